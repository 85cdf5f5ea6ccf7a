"""Replay keys and endpoints in this process: for tests, demos and hosts of one process that may forget with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from heapq import heappop, heappush
from threading import Lock

from ..core.errors import StoreUnavailable
from .endpoint_store import EndpointRow
from .replay_store import Held

__all__ = ["MemoryEndpointStore", "MemoryReplayStore"]


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


class MemoryEndpointStore:
    """`EndpointStore` in dictionaries."""

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._rows: dict[str, EndpointRow] = {}

    async def by_token(self, token_hash: str) -> EndpointRow | None:
        """See `EndpointStore`."""
        with self._lock:
            return next((row for row in self._rows.values() if row.token_hash == token_hash), None)

    async def by_id(self, tenant_id: str, id: str) -> EndpointRow | None:
        """See `EndpointStore`."""
        with self._lock:
            row = self._rows.get(id)
            return row if row is not None and row.tenant_id == tenant_id else None

    async def swap_if(self, row: EndpointRow) -> bool:
        """See `EndpointStore`."""
        with self._lock:
            held = self._rows.get(row.id)
            taken = held is None and any(row.token_hash == other.token_hash for other in self._rows.values())
            if taken or (held.version if held else 0) != row.version:
                return False
            last = (held.last_at, held.last_outcome) if held else (None, "")
            self._rows[row.id] = replace(row, version=row.version + 1, last_at=last[0], last_outcome=last[1])
            return True

    async def note(self, id: str, at: datetime, outcome: str) -> None:
        """See `EndpointStore`."""
        with self._lock:
            row = self._rows.get(id)
            if row is not None and (row.last_at is None or row.last_at <= at):
                self._rows[id] = replace(row, last_at=at, last_outcome=outcome)

    async def list(self, tenant_id: str) -> tuple[EndpointRow, ...]:
        """See `EndpointStore`."""
        with self._lock:
            mine = [row for row in self._rows.values() if row.tenant_id == tenant_id]
        return tuple(sorted(mine, key=lambda row: (row.created_at, row.id)))
