"""`RateLimiter` and `Verdict` over memory, under a clock that stands."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

from wellstreak_trust.core import ConfigurationError, FixedClock, UsageError
from wellstreak_trust.ratelimit import (
    UNLIMITED,
    LimitRule,
    MemoryLimitStore,
    RateLimited,
    RateLimiter,
    Usage,
    Verdict,
)

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
KEYS = {"tenant": "t1"}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 24, 12, 30, 15, tzinfo=UTC))


def rule(limit: int = 6, name: str = "r", **given) -> LimitRule:
    return LimitRule(name, limit, given.pop("per", MINUTE), **given)


def limiter(*rules: LimitRule, clock: FixedClock, **given) -> RateLimiter:
    return RateLimiter(rules, MemoryLimitStore(), clock, **given)


def admitted(of: RateLimiter, times: int, cost: int = 1) -> int:
    return sum(of.check(KEYS, cost).allowed for _ in range(times))


def test_gcra_spreads_the_limit(clock: FixedClock) -> None:
    api = limiter(rule(), clock=clock)  # one every ten seconds, six at once
    first = api.check(KEYS)
    assert (first.allowed, first.remaining, first.reset_after, first.retry_after) == (True, 5, 10 * SECOND, None)
    assert admitted(api, 10) == 5
    denied = api.check(KEYS)
    assert (bool(denied), denied.remaining, denied.retry_after, denied.violated) == (False, 0, 10 * SECOND, ("r",))
    clock.advance(10 * SECOND - timedelta(microseconds=1))
    assert not api.check(KEYS)
    clock.advance(timedelta(microseconds=1))
    assert api.check(KEYS)
    clock.advance(MINUTE)
    assert admitted(api, 10) == 6


def test_a_small_burst_is_strict(clock: FixedClock) -> None:
    api = limiter(rule(burst=1), clock=clock)
    assert admitted(api, 3) == 1
    clock.advance(10 * SECOND)
    assert admitted(api, 3) == 1


def test_exact_never_holds_more_in_any_window(clock: FixedClock) -> None:
    api = limiter(rule(3, algorithm="exact"), clock=clock)
    assert admitted(api, 1) == 1
    clock.advance(30 * SECOND)
    assert admitted(api, 5) == 2
    denied = api.check(KEYS)
    assert (denied.retry_after, denied.reset_after, denied.remaining) == (30 * SECOND, MINUTE, 0)
    clock.advance(30 * SECOND)  # the first is exactly one period old: it no longer counts
    assert api.peek(KEYS).remaining == 1
    assert admitted(api, 5) == 1
    assert api.check(KEYS, 2).retry_after == 30 * SECOND
    assert api.check(KEYS, 3).retry_after == MINUTE


@pytest.mark.parametrize(
    ("per", "anchor", "to_end"),
    [
        ("minute", 1, timedelta(seconds=45)),
        ("hour", 1, timedelta(minutes=29, seconds=45)),
        ("day", 1, timedelta(hours=11, minutes=29, seconds=45)),
        ("week", 1, timedelta(days=5, hours=11, minutes=29, seconds=45)),  # a Tuesday; ISO weeks begin on Monday
        ("month", 1, timedelta(days=6, hours=11, minutes=29, seconds=45)),
        ("month", 25, timedelta(hours=11, minutes=29, seconds=45)),
        ("month", 24, timedelta(days=29, hours=11, minutes=29, seconds=45)),
    ],
)
def test_calendar_windows_follow_the_calendar(clock: FixedClock, per: str, anchor: int, to_end: timedelta) -> None:
    api = limiter(rule(2, per=per, algorithm="calendar", anchor_day=anchor), clock=clock)
    assert api.peek(KEYS).reset_after == timedelta()
    assert admitted(api, 5) == 2
    denied = api.check(KEYS)
    assert (denied.retry_after, denied.reset_after) == (to_end, to_end)
    clock.advance(to_end - timedelta(microseconds=1))
    assert not api.check(KEYS)
    clock.advance(timedelta(microseconds=1))
    assert admitted(api, 5) == 2


def test_february_has_its_own_length() -> None:
    clock = FixedClock(datetime(2028, 2, 1, tzinfo=UTC))
    api = limiter(rule(1, per="month", algorithm="calendar"), clock=clock)
    api.check(KEYS)
    assert api.check(KEYS).retry_after == timedelta(days=29)


ALGORITHMS = [{"algorithm": "gcra"}, {"algorithm": "exact"}, {"algorithm": "calendar", "per": "day"}]


@pytest.mark.parametrize("shape", ALGORITHMS)
class TestCosts:
    def test_costs_count(self, clock: FixedClock, shape: dict) -> None:
        api = limiter(rule(10, cost=2, **shape), clock=clock)
        assert api.check(KEYS, cost=3).remaining == 4
        assert not api.check(KEYS, cost=3)
        assert api.check(KEYS, cost=2).remaining == 0

    def test_zero_is_always_allowed_and_takes_nothing(self, clock: FixedClock, shape: dict) -> None:
        api = limiter(rule(1, **shape), clock=clock)
        assert api.check(KEYS, 0).remaining == 1
        api.check(KEYS)
        nothing = api.check(KEYS, 0)
        assert (nothing.allowed, nothing.remaining) == (True, 0)

    def test_more_than_ever_fits_is_denied_without_a_retry_time(self, clock: FixedClock, shape: dict) -> None:
        """limits #151: a cost above the limit was admitted."""
        api = limiter(rule(5, **shape), clock=clock)
        for cost in (6, 10**30):
            verdict = api.check(KEYS, cost)
            assert (verdict.allowed, verdict.retry_after, verdict.violated) == (False, None, ("r",))
            assert "Retry-After" not in verdict.headers()
        assert api.check(KEYS, 5).allowed

    @pytest.mark.parametrize("cost", [-1, True, 1.0, "1", None])
    def test_what_is_no_cost_is_refused_before_anything_moves(self, clock: FixedClock, shape: dict, cost) -> None:
        api = limiter(rule(5, **shape), clock=clock)
        verdict = api.check(KEYS)
        for call in (api.check, api.peek):
            with pytest.raises(UsageError, match="cost"):
                call(KEYS, cost)
        with pytest.raises(UsageError, match="cost"):
            verdict.settle(cost)
        assert api.peek(KEYS).remaining == 4

    def test_refund_once(self, clock: FixedClock, shape: dict) -> None:
        api = limiter(rule(10, **shape), clock=clock)
        api.check(KEYS, 2)
        verdict = api.check(KEYS, 5)
        verdict.refund()
        assert api.peek(KEYS).remaining == 8
        verdict.refund()
        verdict.settle(9)
        assert api.peek(KEYS).remaining == 8
        denied = api.check(KEYS, 9)
        denied.refund()
        api.peek(KEYS, 3).refund()
        assert api.peek(KEYS).remaining == 8

    def test_refunds_in_any_order_fill_the_bucket(self, clock: FixedClock, shape: dict) -> None:
        for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
            api = limiter(rule(10, **shape), clock=clock)
            verdicts = [api.check(KEYS, cost) for cost in (1, 5, 2)]
            for index in order:
                verdicts[index].refund()
            assert api.peek(KEYS).remaining == 10

    def test_a_late_refund_never_creates_credit(self, clock: FixedClock, shape: dict) -> None:
        api = limiter(rule(10, **shape), clock=clock)
        old = api.check(KEYS, 10)
        clock.advance(timedelta(days=1))
        api.check(KEYS, 7)
        old.refund()
        assert api.peek(KEYS).remaining == 3

    def test_settle_gives_back_the_rest(self, clock: FixedClock, shape: dict) -> None:
        api = limiter(rule(10, **shape), clock=clock)
        verdict = api.check(KEYS, 5)
        verdict.settle(2)
        assert api.peek(KEYS).remaining == 8
        verdict.refund()
        assert api.peek(KEYS).remaining == 8

    def test_settle_may_go_into_debt(self, clock: FixedClock, shape: dict) -> None:
        api = limiter(rule(10, **shape), clock=clock)
        api.check(KEYS, 8).settle(13)
        denied = api.check(KEYS)
        assert (denied.allowed, denied.remaining) == (False, 0)
        wait = denied.retry_after
        assert wait is not None
        clock.advance(wait)
        assert api.check(KEYS).allowed

    def test_no_debt_is_too_large_to_tell(self, clock: FixedClock, shape: dict) -> None:
        api = limiter(rule(10, **shape), clock=clock)
        api.check(KEYS).settle(10**400)
        assert not api.check(KEYS).allowed
        assert api.peek(KEYS).reset_after <= timedelta(days=3_661)

    def test_peek_usage_and_reset(self, clock: FixedClock, shape: dict) -> None:
        api = limiter(rule(10, **shape), clock=clock)
        api.check(KEYS, 4)
        for _ in range(3):
            assert api.peek(KEYS, 6).allowed
            assert not api.peek(KEYS, 7).allowed
        usage = api.usage(KEYS)["r"]
        assert usage == Usage(10, 6, api.peek(KEYS).reset_after)
        api.reset(KEYS)
        assert api.usage(KEYS)["r"] == Usage(10, 10, timedelta())

    def test_hold(self, clock: FixedClock, shape: dict) -> None:
        api = limiter(rule(2, **shape), clock=clock)
        with pytest.raises(ZeroDivisionError), api.hold(KEYS):
            raise ZeroDivisionError
        assert api.peek(KEYS).remaining == 2
        with api.hold(KEYS, cost=2) as verdict:
            assert verdict.remaining == 0
        assert api.peek(KEYS).remaining == 0
        with pytest.raises(RateLimited) as refused, api.hold(KEYS):
            pytest.fail("the body must not run")
        assert refused.value.verdict.violated == ("r",)

    def test_other_keys_are_other_buckets(self, clock: FixedClock, shape: dict) -> None:
        api = limiter(rule(1, **shape), clock=clock)
        assert api.check({"tenant": "a"})
        assert api.check({"tenant": "b", "ignored": "x"})
        assert not api.check({"tenant": "a"})


def test_a_busy_bucket_gives_back_in_full_however_late(clock: FixedClock) -> None:
    api = limiter(rule(60), clock=clock)  # one a second
    api.check(KEYS, 50)
    verdict = api.check(KEYS, 8)
    clock.advance(20 * SECOND)
    assert api.peek(KEYS).remaining == 22
    verdict.refund()
    assert api.peek(KEYS).remaining == 30


@pytest.mark.parametrize("crowd", [0, 40])
def test_two_refunds_give_back_no_more_than_two_charges_left(clock: FixedClock, crowd: int) -> None:
    api = limiter(rule(4), clock=clock)  # one every fifteen seconds
    first, second = api.check(KEYS), api.check(KEYS, 3)
    first.refund()
    clock.advance(45 * SECOND)  # the bucket is empty: nothing is left of either
    for number in range(crowd):
        api.check({"tenant": f"other-{number}"})  # sweeps what has expired
    assert api.check(KEYS, 4).allowed
    second.refund()
    assert not api.check(KEYS).allowed


def test_several_rules_are_one_decision(clock: FixedClock) -> None:
    user = rule(5, "user", by=("user",))
    api = limiter(user, rule(3, "tenant"), rule(100, "day", algorithm="calendar", per="day"), clock=clock)
    keys = {"tenant": "t1", "user": "u1"}
    verdict = api.check(keys, 3)
    assert (verdict.remaining, verdict.violated) == (0, ())
    for _ in range(50):
        assert api.check(keys).violated == ("tenant",)
    assert {name: usage.remaining for name, usage in api.usage(keys).items()} == {"user": 2, "tenant": 0, "day": 97}
    assert set(api.check(keys, 4).violated) == {"user", "tenant"}
    assert api.check(keys, 4).retry_after is None  # waiting cannot help: four never fit the tenant's three
    verdict.refund()
    assert {usage.remaining for usage in api.usage(keys).values()} == {5, 3, 100}


def test_retry_time_is_the_longest_wait(clock: FixedClock) -> None:
    api = limiter(rule(1, "fast", per=SECOND), rule(1, "slow", per=MINUTE), clock=clock)
    api.check(KEYS)
    denied = api.check(KEYS)
    assert denied.retry_after == MINUTE
    clock.advance(MINUTE)
    assert api.check(KEYS).allowed


def test_shadow_rules_report_and_block_nobody(clock: FixedClock) -> None:
    shadow = rule(2, "dark", mode="shadow")
    api = limiter(rule(4, "real"), shadow, clock=clock)
    verdicts = [api.check(KEYS) for _ in range(5)]
    assert [v.allowed for v in verdicts] == [True] * 4 + [False]
    assert [v.shadow_denied for v in verdicts] == [(), (), ("dark",), ("dark",), ("dark",)]
    assert verdicts[4].violated == ("real",)
    assert "dark" not in str(verdicts[4].headers())
    assert verdicts[1].remaining == 2
    only = limiter(shadow, clock=clock)
    assert only.check(KEYS, 99).allowed
    assert (only.check(KEYS).remaining, only.check(KEYS).headers()) == (UNLIMITED, {})


def test_rules_whose_key_is_absent_do_not_apply(clock: FixedClock) -> None:
    api = limiter(rule(1, "key", by=("api_key?",)), rule(9, "tenant"), clock=clock)
    assert admitted(api, 3) == 3
    assert list(api.usage(KEYS)) == ["tenant"]
    with_key = {**KEYS, "api_key": "k"}
    assert api.check(with_key).allowed
    assert api.check(with_key).violated == ("key",)


def test_views_share_buckets(clock: FixedClock) -> None:
    api = limiter(rule(3, "tenant"), rule(9, "client", by=("client",)), clock=clock)
    anonymous = api.select(lambda rule: rule.by == ("client",))
    assert [rule.name for rule in anonymous.rules] == ["client"]
    anonymous.check({"client": "1.2.3.4"}, 4)
    assert api.select(["client"]).usage({"client": "1.2.3.4"})["client"].remaining == 5
    assert [rule.name for rule in api.select("tenant").rules] == ["tenant"]
    wider = api.with_rules((rule(1, "op", by=("tenant", "route")),))
    keys = {**KEYS, "client": "1.2.3.4", "route": "export"}
    assert wider.check(keys).allowed
    assert wider.check(keys).violated == ("op",)
    assert api.select(["tenant"]).check(KEYS).remaining == 1
    nothing = api.select(lambda rule: False)
    assert (nothing.check({}).allowed, nothing.check({}).remaining) == (True, UNLIMITED)


def test_what_a_limiter_is_not_built_from(clock: FixedClock) -> None:
    for wrong in ([rule(), rule(2)], ["100/minute"]):
        with pytest.raises(ConfigurationError):
            RateLimiter(wrong)  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(ConfigurationError, match="named 'r'"):
        limiter(rule(), clock=clock).with_rules([rule(9)])
    with pytest.raises(ConfigurationError, match="'x'"):
        limiter(rule(), clock=clock).select(["x"])
    for replicas in (0, True, 1.0):
        with pytest.raises(ConfigurationError, match="replicas"):
            RateLimiter([rule()], replicas=replicas)  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(UsageError, match="mapping"):
        RateLimiter([rule()]).check("t1")  # type: ignore[arg-type]  # the point of the test


FIELD = re.compile(r'"(?:[^"\\]|\\["\\])*"(?:;[a-z]+=[0-9]+)+(?:, "(?:[^"\\]|\\["\\])*"(?:;[a-z]+=[0-9]+)+)*')


def test_header_fields(clock: FixedClock) -> None:
    api = limiter(
        rule(60, "user", by=("tenant",)),
        rule(1000, "daily", per="day", algorithm="calendar"),
        rule(5, "plan", per="month", algorithm="calendar"),
        rule(9, "login", expose=False),
        rule(3, 'a"b\\c', per=timedelta(seconds=1.5), algorithm="exact"),
        clock=clock,
    )
    fields = api.check(KEYS).headers()
    assert fields["RateLimit-Policy"] == ('"user";q=60;w=60, "daily";q=1000;w=86400, "plan";q=5, "a\\"b\\\\c";q=3;w=2')
    assert fields["RateLimit"] == ('"user";r=59;t=1, "daily";r=999;t=41385, "plan";r=4;t=559785, "a\\"b\\\\c";r=2;t=2')
    assert "Retry-After" not in fields
    for value in fields.values():
        assert FIELD.fullmatch(value)
    api.check(KEYS, 2)
    denied = api.check(KEYS)
    assert denied.headers()["Retry-After"] == "2"  # a second and a half, rounded up


def test_the_body(clock: FixedClock) -> None:
    api = limiter(rule(1), clock=clock)
    api.check(KEYS)
    assert api.check(KEYS).problem("/r/1") == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Too many requests",
        "status": 429,
        "code": "rate_limited",
        "violated-policies": ["r"],
        "instance": "/r/1",
    }
    error = RateLimited(api.check(KEYS))
    assert dict(error.headers())["Retry-After"] == "60"


def test_async_is_the_same(clock: FixedClock) -> None:
    api = limiter(rule(2), rule(5, "other"), clock=clock)

    async def run() -> list[Verdict]:
        async with api.ahold(KEYS) as held:
            assert held.remaining == 1
        with pytest.raises(ZeroDivisionError):
            async with api.ahold(KEYS):
                raise ZeroDivisionError
        verdicts = [await api.acheck(KEYS), await api.acheck(KEYS), await api.apeek(KEYS)]
        await verdicts[0].arefund()
        assert (await api.ausage(KEYS))["r"].remaining == 1
        await (await api.acheck(KEYS)).asettle(0)
        await api.areset(KEYS)
        return verdicts

    verdicts = asyncio.run(run())
    assert [v.allowed for v in verdicts] == [True, False, True]
    assert api.peek(KEYS).remaining == 2
    assert repr(verdicts[1]) == "Verdict(allowed=False, violated=('r',), degraded=False)"
