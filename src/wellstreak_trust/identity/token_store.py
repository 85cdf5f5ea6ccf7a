"""What a one-time token is at rest, and what a store of them decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

__all__ = ["OneTimeTokenRow", "OneTimeTokenStore"]


@dataclass(frozen=True, slots=True)
class OneTimeTokenRow:
    """One issued token.

    Args:
        key: SHA-256 of the token.
        email, fingerprint: HMACs of what it is bound to, under a key that only the token's holder has; None if unbound.
        data: plain values of the host, handed back on use.
        sealed: what only the token's holder may read, under a key derived from the token.
        tries: how often somebody tried to use it; counted for codes that can be guessed.
    """

    key: bytes
    purpose: str
    subject: str
    issued_at: datetime
    expires_at: datetime
    email: bytes | None = None
    fingerprint: bytes | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    sealed: bytes | None = None
    tries: int = 0


class OneTimeTokenStore(Protocol):
    """Keeps one-time tokens. Every verb is atomic."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def issue(self, row: OneTimeTokenRow, /) -> None:
        """Adds a token and forgets older ones of the same subject and purpose."""
        ...

    async def read(self, key: bytes, /) -> OneTimeTokenRow | None:
        """The unused token of this key."""
        ...

    async def consume_if(self, row: OneTimeTokenRow, /) -> bool:
        """Uses the token up if it is still there unchanged; tells whether. One of many callers wins."""
        ...

    async def attempt(self, key: bytes, limit: int, /) -> OneTimeTokenRow | None:
        """Counts one try of the token and gives it back with its number of tries, if fewer than `limit` were made.

        Counted before anything is compared, so that parallel guesses cannot outnumber the limit.
        """
        ...

    async def revoke(self, purpose: str, subject: str, /) -> None:
        """Forgets the tokens of a subject and purpose."""
        ...

    async def sweep(self, now: datetime, /) -> int:
        """Forgets what expired by `now`; returns how many."""
        ...
