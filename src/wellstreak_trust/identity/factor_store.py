"""What second factors are at rest, and what their stores decide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

__all__ = ["PasskeyRow", "PasskeyStore", "RecoveryCodeStore", "TotpRow", "TotpStore"]


@dataclass(frozen=True, slots=True)
class TotpRow:
    """One authenticator app of a user.

    Args:
        seed: the name of the seed in its vault, and of this enrolment; not the seed.
        last_step: the last time step that was accepted; -1 before the first.
        tries: wrong and right ones since `tries_since`, or since the last right one.
    """

    user_id: str
    seed: str
    created_at: datetime
    last_step: int = -1
    tries: int = 0
    tries_since: datetime | None = None


class TotpStore(Protocol):
    """Keeps at most one pending and one confirmed app a user. Every verb is atomic."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def enrol(self, row: TotpRow, /) -> str | None:
        """Puts a pending app in the place of an earlier pending one; returns the seed name of that one."""
        ...

    async def attempt(
        self, user_id: str, /, *, pending: bool, now: datetime, limit: int, window: timedelta
    ) -> TotpRow | None:
        """Counts a try against an app and gives it back, if fewer than `limit` were made within `window`.

        Counted before anything is compared, so that parallel guesses cannot outnumber the limit.
        """
        ...

    async def confirm_if(self, seed: str, step: int, /) -> tuple[bool, str | None]:
        """Makes a pending app the confirmed one with `step` as its last; tells whether it still was pending, and the
        seed name of the one it replaced.
        """
        ...

    async def advance_if(self, seed: str, step: int, /) -> bool:
        """Sets the last step of a confirmed app and forgets its tries, if `step` is later; one of many callers wins."""
        ...

    async def remove(self, user_id: str, /) -> tuple[str, ...]:
        """Forgets both apps of a user; returns their seed names."""
        ...

    async def confirmed(self, user_id: str, /) -> bool:
        """Whether the user has a confirmed app."""
        ...


class RecoveryCodeStore(Protocol):
    """Keeps one set of recovery codes a user. Every verb is atomic."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def replace(self, user_id: str, salt: bytes, digests: Iterable[bytes], /) -> None:
        """Puts a set in the place of the one before."""
        ...

    async def salt_of(self, user_id: str, /) -> bytes | None:
        """The salt of the user's set; None without one."""
        ...

    async def consume_if(self, user_id: str, digest: bytes, /) -> int | None:
        """Forgets one code, if it is there; returns how many are left. One of many callers wins."""
        ...

    async def count(self, user_id: str, /) -> int:
        """How many codes are left."""
        ...


@dataclass(frozen=True, slots=True)
class PasskeyRow:
    """One passkey (WebAuthn credential record, section 4).

    Args:
        id: the credential id. public_key: COSE, never changed after registration.
        sign_count: 0 for authenticators that do not count.
        backed_up: whether it is copied to other devices of its owner.
    """

    id: bytes
    user_id: str
    public_key: bytes = field(repr=False)
    sign_count: int
    created_at: datetime
    label: str | None = None
    transports: tuple[str, ...] = ()
    backed_up: bool = False
    last_used_at: datetime | None = None


class PasskeyStore(Protocol):
    """Keeps passkeys. Every verb is atomic."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def add(self, row: PasskeyRow, /) -> bool:
        """Adds a passkey; False if its id is known, whoever has it (WebAuthn, 7.1, step 26)."""
        ...

    async def read(self, id: bytes, /) -> PasskeyRow | None:
        """The passkey of a credential id."""
        ...

    async def advance_if(self, id: bytes, sign_count: int, at: datetime, backed_up: bool, /) -> bool:
        """Records a use if `sign_count` is greater than the one on record, or both are 0; tells whether."""
        ...

    async def list(self, user_id: str, /) -> tuple[PasskeyRow, ...]:
        """The passkeys of a user, oldest first."""
        ...

    async def remove(self, id: bytes, /, *, user_id: str) -> bool:
        """Forgets a passkey of this user; tells whether there was one."""
        ...
