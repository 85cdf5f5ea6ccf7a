"""`Entitlements`: whether a tenant's subscription includes a feature, and how much of it is left.

Everything that is not known denies: an unknown feature, an unknown status, no subscription, a source that is down.
A source that fails is answered for by its last snapshot while that is younger than `max_stale`; after that the
feature's own `on_unknown` decides. Metered use is taken before the effect, by one conditional UPDATE.

What a snapshot alone decides is decided once and kept until the next moment at which it could change, so a check costs
a look into two dictionaries.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from ..core.clock import Clock, SystemClock, to_micros
from ..core.entropy import random_hex
from ..core.errors import ConfigurationError, EntitlementDenied, HostError, Unavailable, UsageError
from ..core.sansio import suspends, synced
from ..core.tenant import TenantContext
from .subscription import Access, EntitlementDecision, EntitlementSnapshot, Reason, answer, standing

__all__ = ["EntitlementSource", "Entitlements", "Hold", "Reservation", "SeatCounter", "UsageStore"]

_LOG: Final = logging.getLogger("wellstreak_trust.tenancy")
_CAPACITY: Final = 10_000
_LARGEST: Final = 2**53 - 1
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_NO_SUBSCRIPTION: Final = EntitlementDecision(False, "no_subscription")
_SOURCE_UNAVAILABLE: Final = EntitlementDecision(False, "source_unavailable")


class EntitlementSource(Protocol):
    """Knows the subscriptions."""

    async def snapshot(self, tenant_id: str, /) -> EntitlementSnapshot | None:
        """The tenant's subscription, None if it has none. Whatever it raises counts as unreachable."""
        ...


class SeatCounter(Protocol):
    """Knows how many seats are taken; `Memberships` does."""

    async def aseats_taken(self, tenant_id: str, /) -> int:
        """Members and open invitations."""
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

    async def commit(self, hold_id: str, used: int | None = None, /) -> bool:
        """Makes an open hold final, giving back what it holds beyond `used`; False if it is not open."""
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


class _Held:
    """A snapshot with the answers that stand from `since` until `until`, not asked for again while it is fresh."""

    __slots__ = ("answers", "asked", "fresh_from", "fresh_until", "since", "snapshot", "until")

    def __init__(self, snapshot: EntitlementSnapshot, since: datetime, until: datetime) -> None:
        self.snapshot: EntitlementSnapshot = snapshot
        self.since: datetime = since
        self.until: datetime = until
        self.answers: dict[str, EntitlementDecision] = {}
        self.asked: datetime = _FIRST
        self.fresh_from: datetime = _LAST
        self.fresh_until: datetime = _FIRST

    def told(self, now: datetime, fresh_for: timedelta) -> None:
        """The source said so at `now`; a clock that is set back asks again."""
        self.asked = now
        if fresh_for:
            self.fresh_from, self.fresh_until = max(now, self.since), min(self.until, now + fresh_for)


class Entitlements:
    """Judges features.

    Args:
        source: the subscriptions.
        usage: counters of metered features; without it a metered feature is a configuration error.
        seats: counts the seats that are taken; likewise for seat features.
        grace: how long a past-due subscription still works.
        max_stale: how old a snapshot may be before `on_unknown` decides.
        fresh_for: how long a snapshot is answered from without asking the source again. A change in billing is then
            seen that much later.
    """

    def __init__(
        self,
        source: EntitlementSource,
        usage: UsageStore | None = None,
        *,
        seats: SeatCounter | None = None,
        grace: timedelta = timedelta(days=7),
        max_stale: timedelta = timedelta(minutes=15),
        fresh_for: timedelta = timedelta(),
        clock: Clock | None = None,
    ) -> None:
        if grace < timedelta() or max_stale < timedelta() or not timedelta() <= fresh_for <= max_stale:
            raise ConfigurationError(
                "grace, max_stale and fresh_for are not negative, and fresh_for is at most max_stale",
                reason="entitlements",
            )
        self.suspends: bool = suspends(source, usage, seats)
        self._source: EntitlementSource = source
        self._usage: UsageStore | None = usage
        self._seats: SeatCounter | None = seats
        self._grace: timedelta = grace
        self._max_stale: timedelta = max_stale
        self._fresh_for: timedelta = fresh_for
        self._clock: Clock = clock or SystemClock()
        self._held: dict[str, _Held] = {}

    async def acheck(self, ctx: TenantContext, feature: str, amount: int = 1) -> EntitlementDecision:
        """Whether `amount` of `feature` would be granted now; changes nothing, never raises for an outage.

        Raises:
            UsageError: an amount below 1.
        """
        found, snapshot = await self._judge(ctx.tenant_id, feature, amount)
        if found.limit is None or not found.allowed or snapshot is None:
            return found
        metered = snapshot.features[feature].metered
        try:
            used = await (
                self._counter().used(ctx.tenant_id, feature, _period(snapshot))
                if metered
                else self._seat_counter().aseats_taken(ctx.tenant_id)
            )
        except Unavailable:
            return replace(found, allowed=False, reason="source_unavailable")
        return _counted(found, used + amount, used, snapshot.features[feature].overage)

    check: Final = synced(acheck)

    async def aaccess(self, ctx: TenantContext) -> Access:
        """What the subscription as a whole gives: ``allow``, ``read_only`` or ``deny``; for banners and wide gates."""
        return (await self._whole(ctx.tenant_id))[0]

    access: Final = synced(aaccess)

    async def arequire(self, ctx: TenantContext, feature: str | None = None) -> None:
        """Passes while `feature` is granted; without one, while the subscription itself is good.

        Raises:
            EntitlementDenied: with the reason.
        """
        if feature is not None:
            found = await self.acheck(ctx, feature)
        else:
            access, reason = await self._whole(ctx.tenant_id)
            found = EntitlementDecision(access == "allow", reason)
        if not found.allowed:
            raise _denied(found)

    require: Final = synced(arequire)

    async def _whole(self, tenant_id: str) -> tuple[Access, Reason]:
        found, snapshot = await self._judge(tenant_id, "", 1)
        now = self._clock.now()
        if snapshot is None:
            return "deny", found.reason
        if snapshot.older_than(self._max_stale, now):
            return "deny", "source_unavailable"
        return standing(snapshot, now, self._grace)

    async def areserve(self, ctx: TenantContext, feature: str, amount: int = 1) -> Reservation:
        """Takes `amount` before the effect.

        Raises:
            EntitlementDenied: with the reason. Unavailable: the counter is down.
            UsageError: an amount below 1, or a seat feature, whose seats are taken by inviting.
        """
        found, snapshot = await self._judge(ctx.tenant_id, feature, amount)
        if not found.allowed:
            raise _denied(found)
        if found.limit is None or snapshot is None:
            return Reservation(feature, amount, None, found)
        declared = snapshot.features[feature]
        if not declared.metered:
            raise UsageError("seats are not reserved", hint="Memberships.invite takes one, under the workspace's lock")
        hold = Hold(random_hex(), ctx.tenant_id, feature, _period(snapshot), amount)
        used = await self._counter().take_if(hold, found.limit + declared.overage)
        if used is None:
            taken = await self._counter().used(ctx.tenant_id, feature, hold.period)
            raise _denied(replace(_counted(found, taken, taken, 0), allowed=False, reason="limit_reached"))
        return Reservation(feature, amount, hold, _counted(found, used, used, declared.overage))

    reserve: Final = synced(areserve)

    async def acommit(self, reservation: Reservation, used: int | None = None) -> bool:
        """Makes the use final; False if it was committed or released before.

        Args:
            used: what it came to, where the reservation was an estimate; the rest is given back.

        Raises:
            UsageError: `used` below 0 or above what was reserved.
        """
        if used is not None and (type(used) is not int or not 0 <= used <= reservation.amount):
            raise UsageError("used is at most what was reserved", hint="reserve the most that it can come to")
        return reservation.hold is not None and await self._counter().commit(reservation.hold.id, used)

    commit: Final = synced(acommit)

    async def arelease(self, reservation: Reservation) -> bool:
        """Gives the amount back, once; a committed reservation stays. False if nothing was given back."""
        return reservation.hold is not None and await self._counter().release(reservation.hold.id)

    release: Final = synced(arelease)

    async def _judge(
        self, tenant_id: str, feature: str, amount: int
    ) -> tuple[EntitlementDecision, EntitlementSnapshot | None]:
        """Everything but the counter; and the snapshot it rests on."""
        if type(amount) is not int or not 1 <= amount <= _LARGEST:
            raise UsageError("an amount is an int of at least 1")
        now = self._clock.now()
        held = self._held.get(tenant_id)
        if held is None or not held.fresh_from <= now < held.fresh_until:
            try:
                held = self._told(tenant_id, await self._source.snapshot(tenant_id), held, now)
            except HostError:
                raise
            except Exception as error:  # whatever a source raises means "not known now"
                _LOG.warning("entitlement source failed: %s", type(error).__name__)
                if held is None:
                    return _SOURCE_UNAVAILABLE, None
                held = self._dated(held, now)
            if held is None:
                return _NO_SUBSCRIPTION, None
        found = held.answers.get(feature) if type(feature) is str else None
        if found is None:
            found = answer(held.snapshot, feature, now, grace=self._grace, max_stale=self._max_stale)
            if found.reason != "unknown_feature":  # names that nobody declared must not fill the memory
                held.answers[feature] = found
        return found, held.snapshot

    def _told(
        self, tenant_id: str, found: EntitlementSnapshot | None, held: _Held | None, now: datetime
    ) -> _Held | None:
        """What the source said, with the answers that stand already if it is what it said before."""
        if found is None:
            self._held.pop(tenant_id, None)
            return None
        if held is not None and held.snapshot is found and held.since <= now < held.until:
            held.told(now, self._fresh_for)
            return held
        if len(self._held) >= _CAPACITY and tenant_id not in self._held:
            self._held.pop(next(iter(self._held)), None)
        made = self._held[tenant_id] = self._made(found, now, now)
        return made

    def _dated(self, held: _Held, now: datetime) -> _Held:
        """The last answer of a source that is down: a copy of an earlier moment."""
        snapshot = held.snapshot if held.snapshot.as_of is not None else replace(held.snapshot, as_of=held.asked)
        return self._made(snapshot, held.asked, now)

    def _made(self, snapshot: EntitlementSnapshot, asked: datetime, now: datetime) -> _Held:
        turns = list(snapshot.turns(self._grace, self._max_stale))
        since = max((turn for turn in turns if turn <= now), default=_FIRST)
        made = _Held(snapshot, since, min((turn for turn in turns if turn > now), default=_LAST))
        made.told(asked, self._fresh_for)
        return made

    def _counter(self) -> UsageStore:
        if self._usage is None:
            raise ConfigurationError(
                "a metered feature needs a usage store",
                hint="Entitlements(source, usage=SqlUsageStore(database))",
                reason="usage_store",
            )
        return self._usage

    def _seat_counter(self) -> SeatCounter:
        if self._seats is None:
            raise ConfigurationError(
                "a seat feature needs to know the members",
                hint="Entitlements(source, seats=memberships)",
                reason="seat_counter",
            )
        return self._seats


def _period(snapshot: EntitlementSnapshot) -> int:
    return to_micros(snapshot.period_end) if snapshot.period_end is not None else 0


def _counted(found: EntitlementDecision, total: int, used: int, overage: int) -> EntitlementDecision:
    """The decision for a use that brings the counter to `total`."""
    limit = found.limit or 0
    fits = total <= limit + overage
    return replace(
        found,
        allowed=fits,
        reason="allowed" if fits else "limit_reached",
        used=used,
        remaining=max(0, limit - used),
        over=fits and total > limit,
    )


def _denied(found: EntitlementDecision) -> EntitlementDenied:
    return EntitlementDenied(found.reason, limit=found.limit, used=found.used, resets_at=found.resets_at)
