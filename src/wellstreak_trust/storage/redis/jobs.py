"""Single use of job envelopes across processes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ...core.canonical import length_prefixed
from ...core.clock import Clock, SystemClock
from .port import RedisPort
from .spelling import milliseconds

__all__ = ["RedisJobClaims"]

_CLAIM: Final = "return redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) and 1 or 0"
_MARGIN: Final = timedelta(minutes=5)  # for clocks that differ: a claim must outlive its envelope


class RedisJobClaims:
    """`JobClaims` over one key a job, which expires by itself. An outage raises `StoreUnavailable`: nothing runs."""

    def __init__(self, port: RedisPort, *, prefix: str = "wst:job:", clock: Clock | None = None) -> None:
        self.suspends: bool = port.suspends
        self._port: RedisPort = port
        self._prefix: bytes = prefix.encode()
        self._clock: Clock = clock or SystemClock()

    async def claim(self, tenant_id: str, job_id: str, until: datetime) -> bool:
        """As `JobClaims.claim`."""
        key = self._prefix + length_prefixed(tenant_id, job_id).hex().encode()
        reply = await self._port.script(_CLAIM, [key], [milliseconds(until - self._clock.now(), _MARGIN)])
        return bool(reply == 1)
