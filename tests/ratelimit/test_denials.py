"""Remembered denials, and what is told when the store is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.core import ConfigurationError, FixedClock
from wellstreak_trust.core.errors import AuditUnavailable, StoreUnavailable
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, Override, PlanSource, RateLimiter

MINUTE = timedelta(minutes=1)
KEYS = {"tenant": "t"}


class Counted:
    """A store of memory that counts how often it is asked, and can fail."""

    suspends = False

    def __init__(self) -> None:
        self.store = MemoryLimitStore()
        self.asked = 0
        self.down = False

    async def take_if(self, *arguments: Any, **keywords: Any) -> Any:
        self.asked += 1
        if self.down:
            raise StoreUnavailable("down")
        return await self.store.take_if(*arguments, **keywords)

    async def settle(self, *arguments: Any) -> None:
        await self.store.settle(*arguments)

    async def clear(self, *arguments: Any) -> None:
        await self.store.clear(*arguments)


def test_a_denial_is_remembered_exactly_as_long_as_it_holds(clock: FixedClock) -> None:
    store = Counted()
    api = RateLimiter([LimitRule("r", 6, MINUTE)], store, clock, deny_cache=["r"])
    assert sum(api.check(KEYS).allowed for _ in range(6)) == 6
    first = api.check(KEYS)
    asked = store.asked
    clock.advance(timedelta(seconds=4))
    again = api.check(KEYS)
    assert (store.asked, again.allowed, again.violated, again.remaining) == (asked, False, ("r",), 0)
    assert first.retry_after is not None
    assert again.retry_after == first.retry_after - timedelta(seconds=4)
    assert again.reset_after == first.reset_after - timedelta(seconds=4)
    assert api.check({"tenant": "other"})
    clock.advance(again.retry_after)
    assert api.check(KEYS)


def test_a_slow_answer_makes_no_denial_longer(clock: FixedClock) -> None:
    class Slow(Counted):
        async def take_if(self, *arguments: Any, **keywords: Any) -> Any:
            found = await super().take_if(*arguments, **keywords)
            if not found[0]:
                clock.advance(timedelta(seconds=3))
            return found

    api = RateLimiter([LimitRule("r", 6, MINUTE)], Slow(), clock, deny_cache=["r"])
    for _ in range(6):
        assert api.check(KEYS)
    assert api.check(KEYS).retry_after == timedelta(seconds=10)
    clock.advance(timedelta(seconds=7))
    assert api.check(KEYS)


def test_less_is_asked_for_and_a_larger_plan_too(clock: FixedClock) -> None:
    plans: dict[str, Override] = {}
    rule = LimitRule("r", 6, MINUTE)
    api = RateLimiter([rule], Counted(), clock, deny_cache=["r"], plans=PlanSource(lambda keys: plans, clock=clock))
    assert api.check(KEYS, 4)
    assert not api.check(KEYS, 3)
    assert api.check(KEYS, 2)
    assert not api.check(KEYS)
    plans["r"] = Override(600)
    clock.advance(timedelta(seconds=1))
    assert not api.check(KEYS)  # the plan is still kept
    api._plans.forget(KEYS)  # type: ignore[union-attr]  # the limiter has one
    assert api.check(KEYS)


def test_a_reset_forgets_it_and_other_rules_are_not_remembered(clock: FixedClock) -> None:
    store = Counted()
    api = RateLimiter([LimitRule("a", 1, MINUTE), LimitRule("b", 9, MINUTE)], store, clock, deny_cache=["b"])
    for _ in range(3):
        api.check(KEYS)
    assert store.asked == 3
    cached = RateLimiter([LimitRule("a", 1, MINUTE)], store, clock, deny_cache="a")
    cached.check(KEYS)
    assert not cached.check(KEYS)
    cached.reset(KEYS)
    assert cached.check(KEYS)


def test_what_is_remembered_is_bounded(clock: FixedClock) -> None:
    api = RateLimiter([LimitRule("r", 1, MINUTE)], Counted(), clock, deny_cache=["r"])
    for number in range(10_020):
        for _ in range(2):
            api.check({"tenant": f"t{number}"})
    assert len(api._denials._denied) == 10_000  # type: ignore[union-attr]  # it has one


def test_only_rules_can_be_named() -> None:
    with pytest.raises(ConfigurationError, match="no rule"):
        RateLimiter([LimitRule("r", 1, MINUTE)], deny_cache=["s"])


def test_the_trail_hears_of_a_lost_store_once_and_of_its_return_once(clock: FixedClock) -> None:
    store, log = Counted(), AuditLog(MemoryAuditStore(), clock=clock)
    api = RateLimiter([LimitRule("r", 100, MINUTE)], store, clock, audit=log)
    for down in (True, False, True):
        store.down = down
        for _ in range(20):
            clock.advance(timedelta(seconds=2))
            assert api.check(KEYS)
    told = [(event["action"], event["outcome"], event["data"]["circuit"]) for event in reversed(log.events("system"))]
    assert told == [
        ("limit.degraded", "error", "open"),
        ("limit.degraded", "success", "closed"),
        ("limit.degraded", "error", "open"),
    ]


def test_a_trail_that_is_down_too_stops_no_request(clock: FixedClock, caplog: pytest.LogCaptureFixture) -> None:
    class Deaf:
        suspends = False

        async def aemit(self, event: Any) -> None:
            raise AuditUnavailable("no")

    store = Counted()
    store.down = True
    api = RateLimiter([LimitRule("r", 100, MINUTE)], store, clock, audit=Deaf())
    assert all(api.check(KEYS) for _ in range(9))
    assert "the trail did not take" in caplog.text
