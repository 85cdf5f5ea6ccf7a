"""The connection store in memory, for tests and single-process hosts."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from datetime import date, datetime, timedelta

from .record import Check, ConnectionRecord
from .store import CHECKS_KEPT, DAYS_KEPT
from .view import Day

__all__ = ["MemoryConnectionStore"]

_Key = tuple[str, str]


class MemoryConnectionStore:
    """Dictionaries and a lock."""

    suspends: bool = False
    is_memory: bool = True

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: threading.Lock = threading.Lock()
        self._rows: dict[_Key, ConnectionRecord] = {}
        self._checks: dict[_Key, deque[Check]] = {}
        self._days: dict[_Key, dict[date, tuple[int, int]]] = {}

    async def load(self, tenant_id: str, provider: str) -> ConnectionRecord | None:
        """See `ConnectionStore`."""
        return self._rows.get((tenant_id, provider))

    async def swap_if(self, record: ConnectionRecord, check: Check | None = None) -> bool:
        """See `ConnectionStore`."""
        key = (record.tenant_id, record.provider)
        with self._lock:
            held = self._rows.get(key)
            if (held.version if held is not None else 0) != record.version:
                return False
            self._rows[key] = replace(record, version=record.version + 1)
            if check is not None:
                self._keep(key, check)
            return True

    async def claim_due(self, now: datetime, until: datetime, limit: int) -> list[ConnectionRecord]:
        """See `ConnectionStore`."""
        with self._lock:
            due = sorted(
                (row.next_check, key)
                for key, row in self._rows.items()
                if row.next_check is not None
                and row.next_check <= now
                and (row.leased_until is None or row.leased_until <= now)
            )
            for _, key in due[:limit]:
                row = self._rows[key]
                self._rows[key] = replace(row, leased_until=until, version=row.version + 1)
            return [self._rows[key] for _, key in due[:limit]]

    async def checks(self, tenant_id: str, provider: str) -> list[Check]:
        """See `ConnectionStore`."""
        return list(self._checks.get((tenant_id, provider), ()))

    async def days(self, tenant_id: str, provider: str) -> list[Day]:
        """See `ConnectionStore`."""
        return [Day(day, *counts) for day, counts in sorted(self._days.get((tenant_id, provider), {}).items())]

    def _keep(self, key: _Key, check: Check) -> None:
        self._checks.setdefault(key, deque(maxlen=CHECKS_KEPT)).appendleft(check)
        days = self._days.setdefault(key, {})
        day = check.at.date()
        passed, total = days.get(day, (0, 0))
        days[day] = (passed + check.passed, total + 1)
        for old in [old for old in days if old <= day - timedelta(days=DAYS_KEPT)]:
            del days[old]

    async def list(self, tenant_id: str | None) -> list[ConnectionRecord]:
        """See `ConnectionStore`."""
        return [row for key, row in sorted(self._rows.items()) if tenant_id in (None, key[0])]
