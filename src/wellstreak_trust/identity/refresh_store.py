"""What refresh tokens are at rest, and what a store of them decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Protocol

__all__ = ["FamilyRow", "RefreshStore", "Rotation", "Taken", "refused"]


@dataclass(frozen=True, slots=True)
class FamilyRow:
    """All refresh tokens that go back to one sign-in.

    Args:
        binding: a digest of what must come with every token of the family, if anything does.
        idle: how long a token may lie unused; None for as long as the family lives.
        data: plain values of the host, handed back with every token.
    """

    id: str
    user_id: str
    created_at: datetime
    expires_at: datetime
    binding: str | None = None
    idle: timedelta | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class Taken(Enum):
    """What became of a presented token."""

    ROTATED = "rotated"
    """The first use: the successor is in the store."""
    REPEATED = "repeated"
    """A retry within the grace: the successor of the first use stands."""
    UNKNOWN = "unknown"
    BINDING = "binding"
    """Presented by somebody else than the family is bound to; nothing was changed."""
    EXPIRED = "expired"
    REVOKED = "revoked"
    REUSED = "reused"
    """A second use, too late for a retry: the family is ended by this call, and by no later one."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """One presentation of a token.

    Args:
        key: SHA-256 of the token presented. successor: of the token that shall follow it.
        sealed: the successor, under a key that only the presented token gives.
        grace: how long after its first use the same token may come again.
        binding: a digest of what came with it.
    """

    key: bytes
    successor: bytes
    sealed: bytes = field(repr=False)
    now: datetime
    grace: timedelta
    binding: str | None = None


def refused(family: FamilyRow, ended: bool, lies_since: datetime | None, rotation: Rotation) -> Taken | None:
    """Why no token of this family counts now; None if the token's own use decides.

    Args:
        ended: whether the family was ended.
        lies_since: when the token was issued, if it is unused: `FamilyRow.idle` ends it.
    """
    if family.binding != rotation.binding:
        return Taken.BINDING
    if ended:
        return Taken.REVOKED
    idle_until = None if family.idle is None or lies_since is None else lies_since + family.idle
    if rotation.now >= family.expires_at or (idle_until is not None and rotation.now >= idle_until):
        return Taken.EXPIRED
    return None


class RefreshStore(Protocol):
    """Keeps refresh tokens. Every verb is atomic: a successor is durable or its predecessor is unused."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def begin(self, family: FamilyRow, key: bytes, /) -> None:
        """Adds a family with its first token."""
        ...

    async def take(self, rotation: Rotation, /) -> tuple[Taken, FamilyRow | None, bytes | None]:
        """Uses a token, or answers a retry, or ends the family of one used twice.

        Decided in the order unknown, binding, revoked, expired, then by its use.

        Returns:
            What became of it; the family if there is one; the sealed successor for ``ROTATED`` and ``REPEATED``.
        """
        ...

    async def end(self, family_id: str, /, *, user_id: str | None) -> FamilyRow | None:
        """Ends a family; None if there is no living one, or it is not `user_id`'s."""
        ...

    async def end_all(self, user_id: str, /) -> int:
        """Ends every family of a user; returns how many."""
        ...

    async def list(self, user_id: str, /) -> tuple[FamilyRow, ...]:
        """The families of a user that were not ended, oldest first; some may have run out."""
        ...

    async def sweep(self, now: datetime, /) -> int:
        """Forgets families that ran out by `now`, with their tokens; returns how many."""
        ...
