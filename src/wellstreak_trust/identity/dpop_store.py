"""Where the ids of proofs are kept until they could not be used again."""

from __future__ import annotations

from datetime import datetime
from heapq import heappop, heappush
from threading import Lock
from typing import Protocol

__all__ = ["DpopStore", "MemoryDpopStore"]


class DpopStore(Protocol):
    """Takes each key once. Both verbs are atomic; the caller's clock decides what has ended."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def claim(self, key: bytes, /, *, now: datetime, until: datetime) -> bool:
        """Takes a key of 32 octets until `until`; False if it is taken. One of many callers wins."""
        ...

    async def sweep(self, now: datetime, /) -> int:
        """Forgets the keys that have ended by `now`; returns how many."""
        ...


class MemoryDpopStore:
    """Keys in a dictionary, forgotten when they have ended.

    Args:
        allow_memory: says that a proof may be used once in each process, and again after a restart, in production.
    """

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._until: dict[bytes, datetime] = {}
        self._ends: list[tuple[datetime, bytes]] = []

    async def claim(self, key: bytes, /, *, now: datetime, until: datetime) -> bool:
        """See `DpopStore`."""
        with self._lock:
            self._forget(now)
            if key in self._until:
                return False
            self._until[key] = until
            heappush(self._ends, (until, key))
            return True

    async def sweep(self, now: datetime, /) -> int:
        """See `DpopStore`; claiming does it too."""
        with self._lock:
            return self._forget(now)

    def _forget(self, now: datetime) -> int:
        before = len(self._ends)
        while self._ends and self._ends[0][0] <= now:
            del self._until[heappop(self._ends)[1]]
        return before - len(self._ends)
