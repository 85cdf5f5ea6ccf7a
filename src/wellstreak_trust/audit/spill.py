"""What the trail owes: protective events kept while the store is down, and the count of those that were lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from ..core.clock import rfc3339
from ..core.entropy import random_hex
from ..core.event import AuditEvent
from .event import Draft, draft

__all__ = ["Gap", "Spill"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of one tenant that will never be recorded: how many, between which times.

    Its `id` makes a second attempt to tell of it safe, as long as it has not grown.
    """

    count: int
    first: datetime
    last: datetime
    id: str = field(default_factory=random_hex, compare=False)

    def widened(self, other: Gap) -> Gap:
        """Both gaps as one."""
        return Gap(self.count + other.count, min(self.first, other.first), max(self.last, other.last))

    def draft(self, tenant_id: str) -> Draft:
        """The event that tells of it."""
        return draft(
            AuditEvent(
                "audit.gap",
                "error",
                tenant_id,
                {"id": "audit", "kind": "system"},
                data={"count": self.count, "first": rfc3339(self.first), "last": rfc3339(self.last)},
                occurred_at=self.last,
                id=self.id,
            )
        )


class Spill:
    """Bounded memory of events, and unbounded counting of those that found no room.

    Args:
        limit: events kept; the next ones are counted only.
    """

    __slots__ = ("_gaps", "_kept", "_limit", "_lock", "dropped")

    def __init__(self, limit: int) -> None:
        self._limit: int = limit
        self._kept: deque[Draft] = deque()
        self._gaps: dict[str, Gap] = {}
        self._lock: Lock = Lock()
        self.dropped: int = 0

    def __len__(self) -> int:
        return len(self._kept) + len(self._gaps)

    def keep(self, drafts: Iterable[Draft], moment: datetime) -> None:
        """Keeps what there is room for, in order, and counts the rest as lost at `moment`."""
        for one in drafts:
            with self._lock:
                room = len(self._kept) < self._limit
                if room:
                    self._kept.append(one)
            if not room:
                self.lose(one.tenant_id, Gap(1, moment, moment))

    def lose(self, tenant_id: str, gap: Gap) -> None:
        """Counts events that will never be recorded."""
        with self._lock:
            before = self._gaps.get(tenant_id)
            self._gaps[tenant_id] = gap if before is None else before.widened(gap)
            self.dropped += gap.count

    def take(self) -> tuple[list[Draft], dict[str, Gap]]:
        """Hands over everything; the caller records it or brings it back."""
        with self._lock:
            kept, gaps = list(self._kept), self._gaps
            self._kept.clear()
            self._gaps = {}
            return kept, gaps

    def bring_back(self, kept: Iterable[Draft], gaps: dict[str, Gap]) -> None:
        """Undoes `take` after another failure; counts nothing twice."""
        with self._lock:
            self._kept.extendleft(reversed(list(kept)))
            for tenant_id, gap in gaps.items():
                later = self._gaps.get(tenant_id)
                self._gaps[tenant_id] = gap if later is None else gap.widened(later)
