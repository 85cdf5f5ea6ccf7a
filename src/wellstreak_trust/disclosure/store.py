"""Where reports live: what a store must do atomically, and the store in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Protocol

from .ticket import ReportState

__all__ = ["MemoryReportStore", "ReportRow", "ReportStore"]


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One report.

    Args:
        key: the digest of its id, which the store never sees.
        parts: pieces of its content in the secret store; 0 where `content` holds it in clear.
    """

    key: str
    state: ReportState
    received_at: datetime
    updated_at: datetime
    impact: str
    severity: str | None
    weakness: str | None
    embargo_until: datetime
    parts: int = 0
    content: str | None = None
    notes: tuple[str, ...] = ()


class ReportStore(Protocol):
    """Keeps reports; every verb is atomic."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def add(self, row: ReportRow) -> None:
        """Stores a new report."""
        ...

    async def swap_if(self, key: str, from_state: ReportState, to_state: ReportState, at: datetime) -> bool:
        """Moves it on if it stands there; tells whether it did."""
        ...

    async def get(self, key: str) -> ReportRow | None:
        """A report, or None."""
        ...

    async def note(self, key: str, text: str, at: datetime) -> bool:
        """Adds a note; tells whether the report is there."""
        ...

    async def list(self, state: ReportState | None, limit: int) -> list[ReportRow]:
        """Reports in a state, or all, the oldest first."""
        ...


class MemoryReportStore:
    """Reports of this process."""

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._rows: dict[str, ReportRow] = {}

    async def add(self, row: ReportRow) -> None:
        """See `ReportStore`."""
        with self._lock:
            self._rows[row.key] = row

    async def swap_if(self, key: str, from_state: ReportState, to_state: ReportState, at: datetime) -> bool:
        """See `ReportStore`."""
        with self._lock:
            held = self._rows.get(key)
            if held is None or held.state != from_state:
                return False
            self._rows[key] = replace(held, state=to_state, updated_at=at)
            return True

    async def get(self, key: str) -> ReportRow | None:
        """See `ReportStore`."""
        return self._rows.get(key)

    async def note(self, key: str, text: str, at: datetime) -> bool:
        """See `ReportStore`."""
        with self._lock:
            held = self._rows.get(key)
            if held is not None:
                self._rows[key] = replace(held, notes=(*held.notes, text), updated_at=at)
            return held is not None

    async def list(self, state: ReportState | None, limit: int) -> list[ReportRow]:
        """See `ReportStore`."""
        found = [row for row in list(self._rows.values()) if state in (None, row.state)]
        return sorted(found, key=lambda row: row.received_at)[:limit]
