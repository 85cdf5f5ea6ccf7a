"""Mail as this room sees it, and what it must know of the host's accounts.

Whoever asks "does this address have an account?" must get no answer, neither by words nor by time. So a request for a
known and for an unknown address does the same: one look-up, one write, one call of the mailer, and nothing that the
answer waits for depends on which it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from ..core.secret import Secret

__all__ = ["EmailAddresses", "Mail", "MailKind", "Mailer", "PasswordAccounts", "Revocable"]

MailKind = Literal[
    "verify_email", "change_email", "reset_password", "magic_link", "code", "email_changed", "password_changed"
]


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to be written by the host.

    Args:
        kind: what it is about; the last two are notices and carry neither link nor code.
        address: where to; always one that the host's accounts gave, never one that a request typed in, except for
            ``change_email``, which proves a new one.
        token: for the link. code: to be typed in. expires_at: of either.
    """

    kind: MailKind
    user_id: str
    address: str = field(repr=False)
    token: Secret[str] | None = None
    code: Secret[str] | None = None
    expires_at: datetime | None = None


class Mailer(Protocol):
    """Sends mail."""

    @property
    def suspends(self) -> bool:
        """Whether `send` suspends."""
        ...

    async def send(self, mail: Mail | None, /) -> None:
        """Takes a mail for sending soon: into a queue or an outbox table. The browser's answer waits for this call, so
        it must not wait for a mail server.

        None is a mail for nobody: do what costs time, such as the write to the queue, and send nothing.
        """
        ...


class EmailAddresses(Protocol):
    """The host's accounts, as far as addresses go. Addresses are compared by `normalised_email`."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def find(self, address: str, /) -> str | None:
        """The id of the account whose address this is, proved or not."""
        ...

    async def address_of(self, user_id: str, /) -> str | None:
        """The address the account has now, proved or not."""
        ...

    async def has_proof(self, user_id: str, /) -> bool:
        """Whether the account ever had a proved address."""
        ...

    async def mark_verified(self, user_id: str, address: str, /) -> bool:
        """Marks `address` as proved if it still is the account's, and, if that is the account's first proof, drops any
        password and linked identity set before, in one transaction. Tells whether it was the first.
        """
        ...

    async def change_address(self, user_id: str, old: str, new: str, /) -> bool:
        """Puts the proved address `new` in the place of `old`, if that is still the account's and `new` is nobody
        else's; tells whether.
        """
        ...


class PasswordAccounts(EmailAddresses, Protocol):
    """Accounts with passwords."""

    async def password_of(self, user_id: str, /) -> str | None:
        """The stored hash; None for an account without a password, or one that may not sign in."""
        ...

    async def change_password(self, user_id: str, old: str | None, new: str, /) -> bool:
        """Stores the hash `new` if the stored one is still `old`; tells whether."""
        ...


class Revocable(Protocol):
    """What ends with an account's old credentials: `SessionManager`, `RefreshFamilies`, `ApiKeys`."""

    @property
    def suspends(self) -> bool:
        """Whether the verb suspends."""
        ...

    async def arevoke_all(self, user_id: str, /) -> object:
        """Ends everything of a user."""
        ...
