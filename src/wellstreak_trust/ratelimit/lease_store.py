"""Leases of a bounded number of places: what a store must do atomically, and the store in memory.

A lease is a token with an end. Taking one first drops those whose end has come, so a holder that crashed gives its
place back by itself; renewing moves the end, and only while the lease still stands.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ..core.clock import Clock

if TYPE_CHECKING:
    from .memory import MemoryLimitStore

__all__ = ["LeaseStore", "MemoryLeases", "Place"]

_MICROSECOND: Final = timedelta(microseconds=1)
_Leases = dict[str, int]  # tokens and their ends


class Place(NamedTuple):
    """Whether a place was free, how many are taken now, and nanoseconds until the next one ends by itself."""

    taken: bool
    in_use: int
    wait: int


class LeaseStore(Protocol):
    """Keeps leases; every verb is one atomic step. Stores with a clock of their own ignore `clock`."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def take_place(self, key: str, token: str, limit: int, ttl: timedelta, clock: Clock) -> Place:
        """Takes one of `limit` places under `key`, if one is free."""
        ...

    async def extend(self, key: str, token: str, ttl: timedelta, clock: Clock) -> bool:
        """Moves the end of a lease that stands; tells whether it does."""
        ...

    async def leave(self, key: str, token: str, clock: Clock) -> None:
        """Ends a lease; one that has ended is left alone."""
        ...


class _Standing:
    """How long leases are kept, for the sweep of the table."""

    __slots__ = ()

    def now(self, clock: Clock) -> int:
        return clock.monotonic_ns()

    def level(self, state: _Leases | None, now: int) -> tuple[int, int]:
        return -len(state or ()), self.expires(state, now)

    def expires(self, state: _Leases | None, now: int) -> int:
        return max(state.values()) - now if state else 0


_STANDING: Final = _Standing()


class MemoryLeases:
    """Leases of this process, in the table of a `MemoryLimitStore`."""

    suspends: bool = False

    def __init__(self, table: MemoryLimitStore) -> None:
        self._table: MemoryLimitStore = table

    async def take_place(self, key: str, token: str, limit: int, ttl: timedelta, clock: Clock) -> Place:
        """See `LeaseStore`."""
        now = clock.monotonic_ns()
        with self._table.lock:
            live = self._live(key, now)
            if len(live) >= limit:
                return Place(False, len(live), min(live.values()) - now)
            live[token] = now + _nanos(ttl)
            self._table.put(key, live, _STANDING, clock)
            return Place(True, len(live), 0)

    async def extend(self, key: str, token: str, ttl: timedelta, clock: Clock) -> bool:
        """See `LeaseStore`."""
        now = clock.monotonic_ns()
        with self._table.lock:
            live = self._live(key, now)
            if token not in live:
                return False
            live[token] = now + _nanos(ttl)
            self._table.put(key, live, _STANDING, clock)
            return True

    async def leave(self, key: str, token: str, clock: Clock) -> None:
        """See `LeaseStore`."""
        with self._table.lock:
            live = self._live(key, clock.monotonic_ns())
            live.pop(token, None)
            if live:
                self._table.put(key, live, _STANDING, clock)
            else:
                self._table.blank(key, live)

    def _live(self, key: str, now: int) -> _Leases:
        return {token: end for token, end in self._table.states.get(key, {}).items() if end > now}


def _nanos(duration: timedelta) -> int:
    return duration // _MICROSECOND * 1_000
