"""Replay keys in this process: for tests, demos and hosts of one process that accept to forget with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from threading import Lock

from ..core.errors import StoreUnavailable
from .replay_store import Held

__all__ = ["MemoryReplayStore"]


@dataclass(frozen=True, slots=True)
class _Row:
    owner: str
    done: bool
    until: datetime


class MemoryReplayStore:
    """A bounded dictionary. Full of living rows it refuses; forgetting one early would let its delivery act twice.

    Args:
        max_entries: rows held at once.
        allow_memory: says that forgetting all keys with the process is acceptable in production.
    """

    suspends: bool = False

    def __init__(self, max_entries: int = 100_000, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._max: int = max_entries
        self._lock: Lock = Lock()
        self._rows: dict[str, _Row] = {}
        self._ends: list[tuple[datetime, str]] = []  # a heap; entries of rows that moved on are skipped

    async def claim(self, key: str, owner: str, *, now: datetime, until: datetime) -> Held:
        """See `ReplayStore`; raises `StoreUnavailable` when full."""
        with self._lock:
            self._forget(now)
            row = self._rows.get(key)
            if row is not None:
                return Held.DONE if row.done else Held.ANOTHER
            if len(self._rows) >= self._max:
                raise StoreUnavailable(f"{self._max} replay keys are held", hint="a larger store, or SQL or Redis")
            self._put(key, _Row(owner, False, until))
            return Held.MINE

    async def commit(self, key: str, owner: str, *, now: datetime, until: datetime) -> bool:
        """See `ReplayStore`."""
        with self._lock:
            mine = self._is_mine(key, owner, now)
            if mine:
                self._put(key, _Row(owner, True, until))
            return mine

    async def release(self, key: str, owner: str, *, now: datetime) -> bool:
        """See `ReplayStore`."""
        with self._lock:
            mine = self._is_mine(key, owner, now)
            if mine:
                del self._rows[key]
            return mine

    async def sweep(self, now: datetime) -> int:
        """See `ReplayStore`; claims do it too, so nobody needs to call it."""
        with self._lock:
            return self._forget(now)

    def _is_mine(self, key: str, owner: str, now: datetime) -> bool:
        row = self._rows.get(key)
        return row is not None and row.owner == owner and not row.done and row.until > now

    def _put(self, key: str, row: _Row) -> None:
        self._rows[key] = row
        heappush(self._ends, (row.until, key))

    def _forget(self, now: datetime) -> int:
        before = len(self._rows)
        while self._ends and self._ends[0][0] <= now:
            until, key = heappop(self._ends)
            row = self._rows.get(key)
            if row is not None and row.until == until:
                del self._rows[key]
        return before - len(self._rows)
