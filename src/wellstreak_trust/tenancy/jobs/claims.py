"""Single use of envelopes, for tasks that must not run twice."""

from __future__ import annotations

from datetime import datetime
from threading import Lock
from typing import Protocol

from ...core.clock import Clock, SystemClock

__all__ = ["JobClaims", "MemoryJobClaims"]


class JobClaims(Protocol):
    """Remembers which envelopes were used. `storage.redis.RedisJobClaims` for more than one process."""

    @property
    def suspends(self) -> bool:
        """Whether the verb suspends."""
        ...

    async def claim(self, tenant_id: str, job_id: str, until: datetime, /) -> bool:
        """True for the first claim of a job, in one atomic step; remembered at least until then."""
        ...


class MemoryJobClaims:
    """Claims of one process."""

    suspends: bool = False

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._lock: Lock = Lock()
        self._until: dict[tuple[str, str], datetime] = {}

    async def claim(self, tenant_id: str, job_id: str, until: datetime) -> bool:
        """As `JobClaims.claim`; what is over is forgotten at each call."""
        now = self._clock.now()
        with self._lock:
            for key in [key for key, end in self._until.items() if end <= now]:
                del self._until[key]
            if (tenant_id, job_id) in self._until:
                return False
            self._until[tenant_id, job_id] = until
            return True
