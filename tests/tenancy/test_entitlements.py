"""Entitlements: what is not known denies, with a reason of its own (cases EN*)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from wellstreak_trust.core import ConfigurationError, FixedClock, UsageError
from wellstreak_trust.core.errors import StoreUnavailable
from wellstreak_trust.storage.sql import Database, SqlUsageStore
from wellstreak_trust.tenancy import (
    EntitlementDenied,
    Entitlements,
    EntitlementSnapshot,
    Feature,
    MemoryMembershipStore,
    MemoryUsageStore,
    Plan,
    StaticEntitlements,
    StaticPlans,
    testing_context,
)
from workspaces import World, ctx

NOW = datetime(2026, 11, 24, tzinfo=UTC)
END = NOW + timedelta(days=6)
T1 = testing_context("t1")
FEATURES = {
    "sso": Feature(),
    "export": Feature(read_only=True),
    "runs": Feature(limit=3),
    "trusting": Feature(on_unknown="allow"),
}
MOMENT = timedelta(microseconds=1)


def snapshot(status: str = "active", **more: Any) -> EntitlementSnapshot:
    return EntitlementSnapshot("pro", status, more.pop("period_end", END), FEATURES, **more)


def judge(found: EntitlementSnapshot | None, at: datetime = NOW, **more: Any) -> Entitlements:
    source = StaticEntitlements({"t1": found} if found is not None else {})
    return Entitlements(source, usage=MemoryUsageStore(), clock=FixedClock(at), **more)


@pytest.mark.parametrize(
    ("status", "at", "reason"),
    [
        ("trialing", END, "allowed"),
        ("active", END + timedelta(days=90), "allowed"),
        ("past_due", END, "allowed"),
        ("past_due", END + timedelta(days=7) - MOMENT, "allowed"),
        ("past_due", END + timedelta(days=7), "past_due"),
        ("canceled", END - MOMENT, "allowed"),
        ("canceled", END, "canceled"),
        ("paused", NOW, "paused"),
        ("unpaid", NOW, "unpaid"),
        ("incomplete", NOW, "incomplete"),
        ("incomplete_expired", NOW, "incomplete"),
        ("Active", NOW, "unknown_status"),
        ("active ", NOW, "unknown_status"),
        ("", NOW, "unknown_status"),
        ("ended", NOW, "unknown_status"),
        (None, NOW, "unknown_status"),
        (["active"], NOW, "unknown_status"),
    ],
)
def test_the_status_table(status: Any, at: datetime, reason: str) -> None:
    decision = judge(snapshot(status), at).check(T1, "sso")
    assert (decision.allowed, decision.reason, bool(decision)) == (reason == "allowed", reason, reason == "allowed")


@pytest.mark.parametrize("status", ["paused", "unpaid", "incomplete", "incomplete_expired"])
def test_read_only_features_may_stay_on(status: str) -> None:
    assert judge(snapshot(status)).check(T1, "export").allowed
    assert not judge(snapshot("canceled"), END).check(T1, "export").allowed


def test_plans_without_a_period_end() -> None:
    forever = {"period_end": None}
    assert judge(snapshot("active", **forever)).check(T1, "sso").allowed
    assert judge(snapshot("past_due", **forever)).check(T1, "sso").reason == "past_due"
    assert judge(snapshot("canceled", **forever)).check(T1, "sso").reason == "canceled"
    assert judge(snapshot("active", **forever)).reserve(T1, "runs").decision.resets_at is None


@pytest.mark.parametrize("feature", ["unheard", "", "SSO", None, []])
def test_unknown_features_deny(feature: Any) -> None:
    assert judge(snapshot()).check(T1, feature).reason == "unknown_feature"


def test_no_subscription_and_a_period_that_has_not_begun_deny() -> None:
    assert judge(None).check(T1, "sso").reason == "no_subscription"
    assert judge(snapshot(period_start=NOW + MOMENT)).check(T1, "sso").reason == "not_started"
    assert judge(snapshot(period_start=NOW)).check(T1, "sso").allowed


def test_old_copies() -> None:
    fresh = judge(snapshot(as_of=NOW)).check(T1, "sso")
    assert (fresh.allowed, fresh.stale) == (True, False)
    older = judge(snapshot(as_of=NOW - timedelta(minutes=15))).check(T1, "sso")
    assert (older.allowed, older.stale) == (True, True)
    too_old = snapshot(as_of=NOW - timedelta(minutes=15) - MOMENT)
    assert judge(too_old).check(T1, "sso").reason == "source_unavailable"
    trusting = judge(too_old).check(T1, "trusting")
    assert (trusting.allowed, trusting.stale) == (True, True)
    assert not judge(snapshot()).check(T1, "sso").stale


class Flaky:
    suspends = False

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def snapshot(self, tenant_id: str) -> EntitlementSnapshot | None:
        if self.error is not None:
            raise self.error
        return snapshot()


def test_a_source_that_fails_is_answered_for_a_while() -> None:
    source, clock = Flaky(), FixedClock(NOW)
    entitlements = Entitlements(source, clock=clock)
    source.error = OSError("down")
    assert entitlements.check(T1, "sso").reason == "source_unavailable"
    assert entitlements.check(T1, "trusting").reason == "source_unavailable"  # nothing is known of the plan
    source.error = None
    assert entitlements.check(T1, "sso").allowed
    source.error = TimeoutError()
    clock.advance(timedelta(minutes=15))
    held = entitlements.check(T1, "sso")
    assert (held.allowed, held.stale) == (True, True)
    clock.advance(MOMENT)
    assert entitlements.check(T1, "sso").reason == "source_unavailable"
    assert entitlements.check(T1, "trusting").allowed
    source.error = ConfigurationError("a bug is no outage")
    with pytest.raises(ConfigurationError):
        entitlements.check(T1, "sso")


def test_late_events_are_ignored() -> None:
    source = StaticEntitlements({"t1": snapshot(version=5)})
    assert not source.apply("t1", snapshot("canceled", version=5))
    assert not source.apply("t1", snapshot("canceled", version=4))
    assert source.apply("t1", snapshot("paused", version=6))
    assert source.apply("t2", snapshot())
    assert Entitlements(source, clock=FixedClock(NOW)).check(T1, "sso").reason == "paused"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def usage(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        return MemoryUsageStore()
    engine: Engine = request.getfixturevalue(request.param)
    return SqlUsageStore(Database(engine))


@pytest.mark.asvs("2.3.2")
def test_metered_use(usage: Any) -> None:
    clock = FixedClock(NOW)
    source = StaticEntitlements({"t1": snapshot()})
    entitlements = Entitlements(source, usage=usage, clock=clock)
    before = entitlements.check(T1, "runs", 3)
    assert (before.allowed, before.limit, before.used, before.remaining, before.resets_at) == (True, 3, 0, 3, END)
    first, second = entitlements.reserve(T1, "runs", 2), entitlements.reserve(T1, "runs")
    assert (second.decision.used, second.decision.remaining) == (3, 0)
    with pytest.raises(EntitlementDenied) as refused:
        entitlements.reserve(T1, "runs")
    assert (refused.value.reason, refused.value.used, refused.value.limit) == ("limit_reached", 3, 3)
    assert refused.value.resets_at == END
    denied = entitlements.check(T1, "runs")
    assert (denied.allowed, denied.reason, denied.remaining) == (False, "limit_reached", 0)
    assert entitlements.commit(second)
    assert not entitlements.release(second)
    assert entitlements.release(first)
    assert not entitlements.release(first)
    assert not entitlements.commit(first)
    assert entitlements.check(T1, "runs").used == 1
    source.apply("t1", EntitlementSnapshot("pro", "active", END + timedelta(days=30), FEATURES, version=1))
    assert entitlements.check(T1, "runs").used == 0
    source.apply("t1", EntitlementSnapshot("free", "active", END, {"runs": Feature(limit=0)}, version=2))
    assert entitlements.check(T1, "runs").remaining == 0


def test_unmetered_reservations_count_nothing() -> None:
    entitlements = judge(snapshot())
    reservation = entitlements.reserve(T1, "sso", 10)
    assert reservation.hold is None
    assert not entitlements.commit(reservation)
    assert not entitlements.release(reservation)
    with pytest.raises(EntitlementDenied) as refused:
        judge(snapshot("paused")).reserve(T1, "sso")
    assert refused.value.reason == "paused"


@pytest.mark.parametrize("amount", [0, -1, True, 1.0, "1", None, 2**60])
def test_amounts_below_one_are_refused(amount: Any) -> None:
    for call in (judge(snapshot()).check, judge(snapshot()).reserve):
        with pytest.raises(UsageError):
            call(T1, "runs", amount)


def test_a_counter_that_is_down_denies() -> None:
    class Down(MemoryUsageStore):
        async def used(self, tenant_id: str, feature: str, period: int) -> int:
            raise StoreUnavailable("down")

    entitlements = Entitlements(StaticEntitlements({"t1": snapshot()}), usage=Down(), clock=FixedClock(NOW))
    assert entitlements.check(T1, "runs").reason == "source_unavailable"
    assert entitlements.check(T1, "sso").allowed


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Entitlements(StaticEntitlements({"t1": snapshot()}), clock=FixedClock(NOW)).check(T1, "runs")
    assert refused.value.reason == "usage_store"
    with pytest.raises(ConfigurationError):
        Entitlements(StaticEntitlements(), grace=timedelta(days=-1))
    for wrong in (-1, True, 1.5, "3"):
        with pytest.raises(UsageError):
            Feature(limit=wrong)  # type: ignore[arg-type]  # what the test is about
    with pytest.raises(UsageError):
        Feature(on_unknown="maybe")  # type: ignore[arg-type]  # what the test is about
    with pytest.raises(UsageError):
        snapshot(as_of=datetime(2026, 1, 1))
    with pytest.raises(UsageError):
        EntitlementSnapshot("pro", "active", END, {"sso": True})  # type: ignore[dict-item]  # what the test is about


def test_the_async_face() -> None:
    async def run() -> None:
        entitlements = judge(snapshot())
        reservation = await entitlements.areserve(T1, "runs", 3)
        assert not await entitlements.acheck(T1, "runs")
        assert await entitlements.arelease(reservation)
        assert (await entitlements.acheck(T1, "runs")).remaining == 3

    asyncio.run(run())


# --- kinds of features -----------------------------------------------------------------------------------------------


def planned(usage: Any = None, seats: Any = None, status: str = "active", **features: Feature) -> Entitlements:
    source = StaticEntitlements({"t1": EntitlementSnapshot("pro", status, END, features)})
    return Entitlements(source, usage=usage or MemoryUsageStore(), seats=seats, clock=FixedClock(NOW))


def test_a_value_comes_with_the_decision_that_allows_it() -> None:
    found = planned(days=Feature(value=30)).check(T1, "days")
    assert (found.allowed, found.value, found.limit) == (True, 30, None)
    assert planned(status="unpaid", days=Feature(value=30)).check(T1, "days").value is None
    assert planned(status="unpaid", days=Feature(value=30, read_only=True)).check(T1, "days").value == 30


def test_a_soft_limit_is_passed_as_far_as_its_overage(usage: Any) -> None:
    entitlements = planned(usage, runs=Feature(limit=2, overage=1))
    seen = [entitlements.reserve(T1, "runs").decision for _ in range(3)]
    assert [(each.used, each.remaining, each.over) for each in seen] == [(1, 1, False), (2, 0, False), (3, 0, True)]
    with pytest.raises(EntitlementDenied) as refused:
        entitlements.reserve(T1, "runs")
    assert (refused.value.reason, refused.value.limit, refused.value.used) == ("limit_reached", 2, 3)
    assert refused.value.resets_at == END
    denied = entitlements.check(T1, "runs")
    assert (denied.allowed, denied.over, denied.used) == (False, False, 3)


def test_an_estimate_is_settled_at_what_it_came_to(usage: Any) -> None:
    entitlements = planned(usage, tokens=Feature(limit=100))
    estimate = entitlements.reserve(T1, "tokens", 80)
    for wrong in (-1, 81, True, 1.0):
        with pytest.raises(UsageError):
            entitlements.commit(estimate, wrong)  # type: ignore[arg-type]  # what the test is about
    assert entitlements.commit(estimate, 30)
    assert not entitlements.commit(estimate, 0)
    assert entitlements.check(T1, "tokens").used == 30


class Seats:
    suspends = False
    taken = 4
    fault: Exception | None = None

    async def aseats_taken(self, tenant_id: str) -> int:
        if self.fault is not None:
            raise self.fault
        return self.taken


def test_seats_are_counted_by_the_members() -> None:
    seats = Seats()
    entitlements = planned(seats=seats, seats_=Feature(), people=Feature(limit=5, seats=True))
    found = entitlements.check(T1, "people")
    assert (found.allowed, found.limit, found.used, found.remaining, found.resets_at) == (True, 5, 4, 1, None)
    assert entitlements.check(T1, "people", 2).reason == "limit_reached"
    seats.fault = StoreUnavailable("down")
    assert entitlements.check(T1, "people").reason == "source_unavailable"
    with pytest.raises(UsageError):
        entitlements.reserve(T1, "people")
    with pytest.raises(ConfigurationError) as refused:
        planned(people=Feature(limit=5, seats=True)).check(T1, "people")
    assert refused.value.reason == "seat_counter"
    assert planned(people=Feature(seats=True)).check(T1, "people").allowed, "without a limit nothing is counted"


def test_memberships_count_seats() -> None:
    world = World(MemoryMembershipStore())
    world.memberships.invite(ctx("u1"), "x@example.com", ["member"])
    entitlements = planned(seats=world.memberships, people=Feature(limit=2, seats=True))
    assert entitlements.check(T1, "people").used == 2


@pytest.mark.asvs("2.2.3")
@pytest.mark.parametrize(
    "wrong",
    [
        {"overage": -1}, {"overage": 1}, {"overage": True, "limit": 1}, {"limit": 1, "overage": 1, "seats": True},
        {"value": 1.5}, {"value": []}, {"value": 3, "limit": 3},
    ],
)  # fmt: skip
def test_features_that_contradict_themselves_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Feature(**wrong)


# --- the subscription as a whole -------------------------------------------------------------------------------------


WHOLE = {
    "allow": ("trialing", "active", "past_due", "canceled"),
    "read_only": ("paused", "unpaid", "incomplete", "incomplete_expired"),
    "deny": ("Active", "", "ended"),
}


@pytest.mark.parametrize(("access", "statuses"), WHOLE.items())
def test_what_a_status_gives_as_a_whole(access: str, statuses: tuple[str, ...]) -> None:
    assert {judge(snapshot(status)).access(T1) for status in statuses} == {access}


def test_what_is_not_known_gives_nothing() -> None:
    assert judge(None).access(T1) == "deny"
    assert judge(snapshot("past_due"), END + timedelta(days=7)).access(T1) == "deny"
    assert judge(snapshot("canceled"), END).access(T1) == "deny"
    assert judge(snapshot(period_start=NOW + MOMENT)).access(T1) == "deny"
    assert judge(snapshot(as_of=NOW - timedelta(minutes=15) - MOMENT)).access(T1) == "deny"


def test_what_is_required_is_granted_or_raised() -> None:
    judge(snapshot()).require(T1)
    judge(snapshot()).require(T1, "sso")
    for found, feature, reason in (
        (snapshot(), "unheard", "unknown_feature"),
        (snapshot("unpaid"), None, "unpaid"),
        (snapshot("paused"), "sso", "paused"),
        (snapshot(as_of=NOW - timedelta(minutes=15) - MOMENT), None, "source_unavailable"),
        (None, None, "no_subscription"),
    ):
        with pytest.raises(EntitlementDenied) as refused:
            judge(found).require(T1, feature)
        assert refused.value.reason == reason


def test_grace_counts_from_when_payment_failed() -> None:
    since = NOW - timedelta(days=7)
    assert judge(snapshot("past_due", past_due_since=since)).check(T1, "sso").reason == "past_due"
    assert judge(snapshot("past_due", past_due_since=since + MOMENT)).check(T1, "sso").allowed
    assert judge(snapshot("past_due", period_end=None, past_due_since=NOW)).check(T1, "sso").allowed


# --- answers that are kept -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["active", "past_due", "canceled", "unpaid"])
@pytest.mark.parametrize("fresh_for", [timedelta(), timedelta(minutes=15)], ids=["asks", "keeps"])
def test_a_kept_answer_is_the_answer_of_the_moment(status: str, fresh_for: timedelta) -> None:
    """At every turn, a moment before and a moment after, also when the clock is set back."""
    found = snapshot(status, as_of=NOW, period_start=NOW - timedelta(days=1), past_due_since=NOW + timedelta(days=1))
    turns = sorted({*found.turns(timedelta(days=7), timedelta(days=9))})
    moments = [moment for turn in turns for moment in (turn - MOMENT, turn, turn + MOMENT)]
    clock = FixedClock(NOW - timedelta(days=2))
    kept = Entitlements(
        StaticEntitlements({"t1": found}), clock=clock, fresh_for=fresh_for, max_stale=timedelta(days=9)
    )
    for moment in [*moments, *reversed(moments)]:
        clock.advance(moment - clock.now())
        for feature in ("sso", "export", "trusting", "unheard"):
            fresh = Entitlements(
                StaticEntitlements({"t1": found}), clock=FixedClock(moment), max_stale=timedelta(days=9)
            )
            assert kept.check(T1, feature) == fresh.check(T1, feature), (moment, feature)


def test_a_fresh_snapshot_is_not_asked_for_again() -> None:
    class Counting(StaticEntitlements):
        asked = 0

        async def snapshot(self, tenant_id: str) -> EntitlementSnapshot | None:
            self.asked += 1
            return await super().snapshot(tenant_id)

    source, clock = Counting({"t1": snapshot()}), FixedClock(NOW)
    entitlements = Entitlements(source, clock=clock, fresh_for=timedelta(seconds=30))
    for _ in range(3):
        assert entitlements.check(T1, "sso").allowed
    assert source.asked == 1
    source.apply("t1", snapshot("paused", version=1))
    clock.advance(timedelta(seconds=30) - MOMENT)
    assert entitlements.check(T1, "sso").allowed, "seen that much later, as declared"
    clock.advance(MOMENT)
    assert entitlements.check(T1, "sso").reason == "paused"
    clock.advance(-timedelta(seconds=1))
    assert (entitlements.check(T1, "sso").reason, source.asked) == ("paused", 3)
    with pytest.raises(ConfigurationError):
        Entitlements(source, fresh_for=timedelta(minutes=16))


def test_plans_without_billing() -> None:
    free, pro = Plan("free"), Plan("pro", {"sso": Feature()})
    entitlements = Entitlements(StaticPlans([free, pro], {"t1": "pro"}, "free"))
    assert entitlements.check(T1, "sso").allowed
    assert entitlements.check(testing_context("t2"), "sso").reason == "unknown_feature"
    assert Entitlements(StaticPlans([pro], {})).check(T1, "sso").reason == "no_subscription"
    for wrong in (([pro], {"t1": "gold"}), ([pro, pro], {}), ([pro], {}, "gold")):
        with pytest.raises(ConfigurationError):
            StaticPlans(*wrong)  # type: ignore[arg-type]  # what the test is about
