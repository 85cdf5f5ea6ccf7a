"""`Entitlements`: whether a tenant's subscription includes a feature, and how much of it is left.

Everything that is not known denies: an unknown feature, an unknown status, no subscription, a source that is down.
A source that fails is answered for by its last snapshot while that is younger than `max_stale`; after that the
feature's own `on_unknown` decides. Metered use is taken before the effect, by one conditional UPDATE.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from ..core.clock import Clock, SystemClock, to_micros
from ..core.entropy import random_hex
from ..core.errors import ConfigurationError, EntitlementDenied, HostError, Unavailable, UsageError
from ..core.sansio import suspends, synced
from ..core.tenant import TenantContext
from .subscription import EntitlementDecision, EntitlementSnapshot, Feature, Reason, standing

__all__ = ["EntitlementSource", "Entitlements", "Hold", "Reservation", "StaticEntitlements", "UsageStore"]

_LOG: Final = logging.getLogger("wellstreak_trust.tenancy")
_CAPACITY: Final = 10_000
_LARGEST: Final = 2**53 - 1


class EntitlementSource(Protocol):
    """Knows the subscriptions."""

    async def snapshot(self, tenant_id: str, /) -> EntitlementSnapshot | None:
        """The tenant's subscription, None if it has none. Whatever it raises counts as unreachable."""
        ...


@dataclass(frozen=True, slots=True)
class Hold:
    """An amount taken from a counter and not yet used.

    Args:
        period: names the counter of one period; holds of an older period never touch the next one.
    """

    id: str
    tenant_id: str
    feature: str
    period: int
    amount: int


class UsageStore(Protocol):
    """Counters of metered features, one per tenant, feature and period."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def take_if(self, hold: Hold, limit: int, /) -> int | None:
        """Adds the amount if the sum stays within `limit`, in one conditional statement; the sum, or None."""
        ...

    async def commit(self, hold_id: str, /) -> bool:
        """Makes an open hold final; False if it is not open."""
        ...

    async def release(self, hold_id: str, /) -> bool:
        """Gives an open hold back, once; False if it is not open."""
        ...

    async def used(self, tenant_id: str, feature: str, period: int, /) -> int:
        """What is taken, holds included."""
        ...


@dataclass(frozen=True, slots=True)
class Reservation:
    """Metered use that was granted: `commit` it after the effect, `release` it if there was none.

    Args:
        hold: None for a feature without limit, of which nothing is counted.
    """

    feature: str
    amount: int
    hold: Hold | None
    decision: EntitlementDecision


class StaticEntitlements:
    """Subscriptions held by this process, for tests and for hosts that load them at start."""

    suspends: bool = False

    def __init__(self, snapshots: Mapping[str, EntitlementSnapshot] | None = None) -> None:
        self._snapshots: dict[str, EntitlementSnapshot] = dict(snapshots or {})

    async def snapshot(self, tenant_id: str) -> EntitlementSnapshot | None:
        """What was applied last."""
        return self._snapshots.get(tenant_id)

    def apply(self, tenant_id: str, snapshot: EntitlementSnapshot) -> bool:
        """Takes a billing event; False for a version at or below the one held: late events change nothing."""
        held = self._snapshots.get(tenant_id)
        if held is not None and snapshot.version <= held.version:
            return False
        self._snapshots[tenant_id] = snapshot
        return True


class Entitlements:
    """Judges features.

    Args:
        source: the subscriptions.
        usage: counters of metered features; without it a metered feature is a configuration error.
        grace: how long after `period_end` a past-due subscription still works.
        max_stale: how old a snapshot may be before `on_unknown` decides.
    """

    def __init__(
        self,
        source: EntitlementSource,
        usage: UsageStore | None = None,
        *,
        grace: timedelta = timedelta(days=7),
        max_stale: timedelta = timedelta(minutes=15),
        clock: Clock | None = None,
    ) -> None:
        if grace < timedelta() or max_stale < timedelta():
            raise ConfigurationError("grace and max_stale are not negative", reason="entitlements")
        self.suspends: bool = suspends(source, usage)
        self._source: EntitlementSource = source
        self._usage: UsageStore | None = usage
        self._grace: timedelta = grace
        self._max_stale: timedelta = max_stale
        self._clock: Clock = clock or SystemClock()
        self._last: dict[str, EntitlementSnapshot] = {}

    async def acheck(self, ctx: TenantContext, feature: str, amount: int = 1) -> EntitlementDecision:
        """Whether `amount` of `feature` would be granted now; changes nothing, never raises for an outage.

        Raises:
            UsageError: an amount below 1.
        """
        found, snapshot = await self._judge(ctx.tenant_id, feature, _amount(amount))
        if not found.allowed or found.limit is None or snapshot is None:
            return found
        try:
            used = await self._counter().used(ctx.tenant_id, feature, _period(snapshot))
        except Unavailable:
            return replace(found, allowed=False, reason="source_unavailable")
        return _metered(found, used, amount)

    check: Final = synced(acheck)

    async def arequire(self, ctx: TenantContext, feature: str | None = None) -> None:
        """Passes while `feature` is granted; without one, while the subscription itself is good.

        Raises:
            EntitlementDenied: with the reason.
        """
        if feature is None:
            found, _ = await self._judge(ctx.tenant_id, "", 1, Feature())
        else:
            found = await self.acheck(ctx, feature)
        if not found.allowed:
            raise _denied(found)

    require: Final = synced(arequire)

    async def areserve(self, ctx: TenantContext, feature: str, amount: int = 1) -> Reservation:
        """Takes `amount` before the effect.

        Raises:
            EntitlementDenied: with the reason. UsageError: an amount below 1. Unavailable: the counter is down.
        """
        found, snapshot = await self._judge(ctx.tenant_id, feature, _amount(amount))
        if not found.allowed:
            raise _denied(found)
        if found.limit is None or snapshot is None:
            return Reservation(feature, amount, None, found)
        hold = Hold(random_hex(), ctx.tenant_id, feature, _period(snapshot), amount)
        used = await self._counter().take_if(hold, found.limit)
        if used is None:
            taken = await self._counter().used(ctx.tenant_id, feature, hold.period)
            raise _denied(replace(_metered(found, taken, amount), allowed=False, reason="limit_reached"))
        return Reservation(feature, amount, hold, replace(found, used=used, remaining=max(0, found.limit - used)))

    reserve: Final = synced(areserve)

    async def acommit(self, reservation: Reservation) -> bool:
        """Makes the use final; False if it was committed or released before."""
        return reservation.hold is not None and await self._counter().commit(reservation.hold.id)

    commit: Final = synced(acommit)

    async def arelease(self, reservation: Reservation) -> bool:
        """Gives the amount back, once; a committed reservation stays. False if nothing was given back."""
        return reservation.hold is not None and await self._counter().release(reservation.hold.id)

    release: Final = synced(arelease)

    async def _judge(
        self, tenant_id: str, feature: str, amount: int, included: Feature | None = None
    ) -> tuple[EntitlementDecision, EntitlementSnapshot | None]:
        """Everything but the counter; and the snapshot it rests on. `included` stands in for what the plan says."""
        now = self._clock.now()
        snapshot, reachable = await self._snapshot(tenant_id, now)
        if snapshot is None:
            return EntitlementDecision(False, "no_subscription" if reachable else "source_unavailable"), None
        stale = snapshot.stale(now)
        if included is None and isinstance(feature, str):
            included = snapshot.features.get(feature)
        if included is None:
            return EntitlementDecision(False, "unknown_feature", stale=stale), snapshot
        reason = self._standing(snapshot, included, now)
        decision = EntitlementDecision(
            reason == "allowed", reason, included.limit, resets_at=snapshot.period_end, stale=stale
        )
        return (decision if included.limit is not None else replace(decision, resets_at=None)), snapshot

    def _standing(self, snapshot: EntitlementSnapshot, feature: Feature, now: datetime) -> Reason:
        if snapshot.older_than(self._max_stale, now):
            return "allowed" if feature.on_unknown == "allow" else "source_unavailable"
        return standing(snapshot, feature, now, self._grace)

    async def _snapshot(self, tenant_id: str, now: datetime) -> tuple[EntitlementSnapshot | None, bool]:
        """The source's answer and True; or, when it fails, the last answer, dated, and False."""
        try:
            found = await self._source.snapshot(tenant_id)
        except HostError:
            raise  # a bug of the host is not an outage
        except Exception as error:  # the source is the host's code or a driver: any failure means "not known now"
            _LOG.warning("entitlement source failed: %s", type(error).__name__)
            return self._last.get(tenant_id), False
        self._last.pop(tenant_id, None)
        if found is not None:
            if len(self._last) >= _CAPACITY:
                self._last.pop(next(iter(self._last)), None)
            self._last[tenant_id] = found if found.as_of is not None else replace(found, as_of=now)
        return found, True

    def _counter(self) -> UsageStore:
        if self._usage is None:
            raise ConfigurationError(
                "a metered feature needs a usage store",
                hint="Entitlements(source, usage=SqlUsageStore(database))",
                reason="usage_store",
            )
        return self._usage


def _amount(amount: int) -> int:
    if type(amount) is not int or not 1 <= amount <= _LARGEST:
        raise UsageError("an amount is an int of at least 1")
    return amount


def _period(snapshot: EntitlementSnapshot) -> int:
    return to_micros(snapshot.period_end) if snapshot.period_end is not None else 0


def _metered(found: EntitlementDecision, used: int, amount: int) -> EntitlementDecision:
    limit = found.limit or 0
    fits = used + amount <= limit
    return replace(
        found, allowed=fits, reason="allowed" if fits else "limit_reached", used=used, remaining=max(0, limit - used)
    )


def _denied(found: EntitlementDecision) -> EntitlementDenied:
    return EntitlementDenied(found.reason, limit=found.limit, used=found.used, resets_at=found.resets_at)
