"""What the replay guard asks of a store: three decisions and a broom.

A row is a key, its owner, and a time; while it is *held* the time is the lease's end, once *done* it is when the key
is forgotten. A row whose time has come counts as absent, whatever its state.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import NoReturn, Protocol

from ..core.errors import UsageError

__all__ = ["Held", "ReplayStore"]


class Held(Enum):
    """Who has a key after `ReplayStore.claim`."""

    MINE = "mine"
    ANOTHER = "another"
    DONE = "done"

    def __bool__(self) -> NoReturn:
        raise UsageError("three states have no truth value", hint="compare with Held.MINE, Held.ANOTHER or Held.DONE")


class ReplayStore(Protocol):
    """Every verb is one atomic decision by the store; times are the guard's, aware and in UTC."""

    async def claim(self, key: str, owner: str, *, now: datetime, until: datetime) -> Held:
        """Takes `key` for `owner` until then, unless a living row stands."""
        ...

    async def commit(self, key: str, owner: str, *, now: datetime, until: datetime) -> bool:
        """Marks the key done until then; only for the owner of a living, held row."""
        ...

    async def release(self, key: str, owner: str, *, now: datetime) -> bool:
        """Gives the key up; only for the owner of a living, held row."""
        ...

    async def sweep(self, now: datetime) -> int:
        """Deletes rows whose time has come; returns how many."""
        ...
