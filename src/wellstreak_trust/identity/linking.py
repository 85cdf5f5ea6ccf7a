"""Whose account a provider's identity opens: rules first, then the host's accounts behind a protocol.

The key of an identity is (issuer, subject). An e-mail address is a claim about a mailbox: whoever may write it into an
account or a token, and does so first, must not end up in somebody else's account.

| the identity | an account has its address | what happens |
|---|---|---|
| is linked already | does not matter | that account is opened |
| has an address proved by a provider trusted for its domain | yes, and proved it | linked to that account |
| | yes, and never proved it | `LinkRequired` |
| | no | a new account, with the address proved |
| has an address that is not proved so | yes | `LinkRequired` |
| | no, or it has none | a new account without a proved address |

`LinkRequired` is answered by signing in to the account in the way it has so far and calling `link`, or by proving the
address (`EmailVerification`). The first proof of an address drops every password, session and identity that came
before it, so that who registered a stranger's address and waited is left with nothing. Together these are the defence
against the five classes of account pre-hijacking (Sudhodanan and Paverd 2022).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from ..core.errors import ConfigurationError, Conflict, LinkRequired
from ..core.sansio import suspends, synced
from .login import Identity
from .tokens import normalised_email

__all__ = ["ANY_DOMAIN", "Account", "AccountLinking", "LinkedAccounts", "SignedIn", "Verdict", "judge"]

ANY_DOMAIN: Final = "*"
Outcome = Literal["known", "linked", "created"]


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the host that has a certain address.

    Args:
        proved: whether it has ever proved it.
    """

    user_id: str
    proved: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say.

    Args:
        outcome: None where signing in to the account comes first.
        user_id: which account, None for a new one.
        proved: the address counts as proved.
    """

    outcome: Outcome | None
    user_id: str | None = None
    proved: bool = False


def judge(*, known: str | None, vouched: bool, holder: Account | None) -> Verdict:
    """The table above.

    Args:
        known: the account that (issuer, subject) is linked to.
        vouched: a provider trusted for the address's domain proves it.
        holder: the account that has the address.
    """
    if known is not None:
        return Verdict("known", known)
    if holder is None:
        return Verdict("created", proved=vouched)
    return Verdict("linked", holder.user_id, proved=True) if vouched and holder.proved else Verdict(None)


class LinkedAccounts(Protocol):
    """The host's accounts, as far as linking must know them. Every verb is atomic."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def linked_to(self, issuer: str, subject: str, /) -> str | None:
        """The account that this identity opens."""
        ...

    async def holder_of(self, address: str, /) -> Account | None:
        """The account that has this address (in lower case), proved or not; a proved one before any other."""
        ...

    async def create(self, issuer: str, subject: str, /, *, address: str | None, proved: bool) -> str | None:
        """A new account with this identity and address; its id. None if identity or proved address are taken by now."""
        ...

    async def attach(self, user_id: str, issuer: str, subject: str, /, *, address: str | None) -> bool:
        """Links an identity to an account, and tells whether it is the account's now.

        Args:
            address: only if this still is the account's proved address; None for no such condition.
        """
        ...


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Which account an identity opened, and how it came to it."""

    user_id: str
    outcome: Outcome = field(default="known")


class AccountLinking:
    """Finds the account of an identity. Both methods have an ``a`` twin.

    Args:
        accounts: the host's.
        trusted: for each issuer, the domains whose mailboxes it vouches for, in lower case; ``ANY_DOMAIN`` for a
            provider that checks every address. An issuer that is not listed is trusted for none.

    Raises:
        ConfigurationError: domains that are text, or hold an @ or capitals.
    """

    def __init__(self, accounts: LinkedAccounts, *, trusted: Mapping[str, Collection[str]]) -> None:
        self.suspends: bool = suspends(accounts)
        for domains in trusted.values():
            if isinstance(domains, str) or any("@" in name or name != name.lower() for name in domains):
                raise ConfigurationError(
                    "trusted gives a collection of domains for each issuer",
                    hint='{"https://accounts.google.com": {"example.com"}}',
                    reason="trusted_domains",
                )
        self._accounts: LinkedAccounts = accounts
        self._trusted: dict[str, frozenset[str]] = {issuer: frozenset(names) for issuer, names in trusted.items()}

    async def asign_in(self, identity: Identity) -> SignedIn:
        """The account that an identity opens, by the rules of this module.

        Raises:
            LinkRequired: an account has the address, and this identity may not open it by that alone.
        """
        for _ in range(2):  # accounts that change between the look and the deed are judged once more
            found = await self._attempt(identity)
            if found is not None:
                return found
        raise LinkRequired("an account has this address", hint="sign in to it and link, or prove the address")

    async def _attempt(self, identity: Identity) -> SignedIn | None:
        key = (identity.issuer, identity.subject)
        known = await self._accounts.linked_to(*key)
        address = normalised_email(identity.email) or None
        holder = await self._accounts.holder_of(address) if known is None and address is not None else None
        verdict = judge(known=known, vouched=self._vouches(identity), holder=holder)
        if verdict.outcome == "known" and known is not None:
            return SignedIn(known)
        if verdict.outcome == "created":
            made = await self._accounts.create(*key, address=address, proved=verdict.proved)
            return SignedIn(made, "created") if made is not None else None
        if verdict.user_id is not None and await self._accounts.attach(verdict.user_id, *key, address=address):
            return SignedIn(verdict.user_id, "linked")
        return None

    sign_in: Final = synced(asign_in)

    async def alink(self, user_id: str, identity: Identity) -> None:
        """Links an identity to the account of whoever is signed in; ask for a fresh sign-in first.

        Raises:
            Conflict: the identity opens another account.
        """
        if not await self._accounts.attach(user_id, identity.issuer, identity.subject, address=None):
            raise Conflict("the identity opens another account")

    link: Final = synced(alink)

    def _vouches(self, identity: Identity) -> bool:
        domains = self._trusted.get(identity.issuer, frozenset())
        mailbox, _, domain = (normalised_email(identity.email) or "").rpartition("@")
        named = bool(mailbox and domain)
        return identity.email_proved is True and named and not domains.isdisjoint((domain, ANY_DOMAIN))
