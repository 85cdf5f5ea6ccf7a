"""`CachedMemberships`: proofs remembered for seconds.

The staleness bound is `max_age`, 30 seconds by default: a member removed by *another process* may pass that long. A
change made through the wrapped `Memberships` in this process evicts at once, also when a lookup that began before it
is still under way: each change names the version from which memberships count.

A proof counts for the kind of principal that it was read for: a prover may tell a user from an API key of the same id.
"""

from __future__ import annotations

from datetime import timedelta
from threading import Lock
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError
from ..core.principal import Principal, PrincipalKind
from ..core.sansio import suspends, synced
from ..core.tenant import Membership
from .resolve import Prover

__all__ = ["CachedMemberships"]

_LONGEST: Final = timedelta(minutes=5)
_CAPACITY: Final = 10_000
_MICROSECOND: Final = timedelta(microseconds=1)
_Key = tuple[str, str]
_Held = tuple[Membership, int, PrincipalKind]


class CachedMemberships:
    """Wraps a `Prover`; refusals are never remembered.

    Args:
        max_age: at most 5 minutes; how long a membership counts after it was read.
    """

    def __init__(
        self, memberships: Prover, max_age: timedelta = timedelta(seconds=30), clock: Clock | None = None
    ) -> None:
        if not timedelta() < max_age <= _LONGEST:
            raise ConfigurationError("max_age is positive and at most 5 minutes", reason="membership_cache")
        self.suspends: bool = suspends(memberships)
        self._memberships: Prover = memberships
        self._clock: Clock = clock or SystemClock()
        self._age_ns: int = max_age // _MICROSECOND * 1_000
        self._lock: Lock = Lock()
        self._held: dict[_Key, _Held] = {}
        self._floors: dict[_Key, int] = {}
        subscribe: Any = getattr(memberships, "subscribe", None)
        if subscribe is not None:
            subscribe(self.bump)

    async def aprove(self, principal: Principal, tenant_id: str) -> Membership | None:
        """The membership, at most `max_age` old."""
        key = (tenant_id, principal.id)
        held = self._held.get(key)
        if held is not None and self._clock.monotonic_ns() < held[1] and held[2] == principal.kind:
            return held[0]
        until = self._clock.monotonic_ns() + self._age_ns  # age counts from before the read
        found = await self._memberships.aprove(principal, tenant_id)
        if found is not None:
            self._remember(key, (found, until, principal.kind))
        return found

    prove: Final = synced(aprove)

    def bump(self, tenant_id: str, principal_id: str, version: int) -> None:
        """Evicts what is older than `version`, now and from lookups under way."""
        with self._lock:
            key = (tenant_id, principal_id)
            self._bound(self._floors)
            self._floors[key] = max(version, self._floors.get(key, 0))
            held = self._held.get(key)
            if held is not None and held[0].version < version:
                del self._held[key]

    def _remember(self, key: _Key, found: _Held) -> None:
        with self._lock:
            if found[0].version >= self._floors.get(key, 0):
                self._bound(self._held)
                self._held[key] = found

    @staticmethod
    def _bound(table: dict[_Key, Any]) -> None:
        if len(table) >= _CAPACITY:  # the oldest goes: dictionaries keep their order of insertion
            del table[next(iter(table))]
