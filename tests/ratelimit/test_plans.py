"""`PlanSource`: other numbers for customers who bought more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from wellstreak_trust.core import ConfigurationError, FixedClock
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, Override, PlanSource, RateLimiter

MINUTE = timedelta(minutes=1)
RULE = LimitRule("api", 2, MINUTE)


class Billing:
    """A source that counts how often it is asked, and can fail."""

    def __init__(self, **plans: Any) -> None:
        self.plans = plans
        self.asked = 0
        self.down = False

    def __call__(self, keys: Mapping[str, str]) -> Mapping[str, Override]:
        self.asked += 1
        if self.down:
            raise ConnectionError("billing is down")
        return self.plans.get(keys["tenant"], {})


def limiter(store: Any, clock: FixedClock, billing: Billing, *rules: LimitRule) -> RateLimiter:
    return RateLimiter(rules or [RULE], store, clock, plans=PlanSource(billing, clock=clock))


def admitted(api: RateLimiter, tenant: str, times: int = 40) -> int:
    return sum(api.check({"tenant": tenant}).allowed for _ in range(times))


def test_each_customer_has_the_numbers_of_the_plan(any_store: Any, clock: FixedClock) -> None:
    billing = Billing(big={"api": Override(10)}, bursty={"api": Override(10, 5)})
    api = limiter(any_store, clock, billing)
    assert [admitted(api, tenant) for tenant in ("small", "big", "bursty")] == [2, 10, 5]
    assert api.check({"tenant": "big"}).headers()["RateLimit-Policy"] == '"api";q=10;w=60'
    assert api.usage({"tenant": "big"})["api"].limit == 10
    assert billing.asked == 3  # kept, whatever the number of checks


def test_a_new_plan_keeps_what_was_counted(any_store: Any, clock: FixedClock) -> None:
    billing = Billing()
    rule = LimitRule("month", 10, "month", algorithm="calendar")
    api = limiter(any_store, clock, billing, rule)
    assert admitted(api, "t") == 10
    billing.plans["t"] = {"month": Override(25)}
    clock.advance(timedelta(seconds=30))
    assert admitted(api, "t") == 15
    del billing.plans["t"]
    api._plans.forget({"tenant": "t"})  # type: ignore[union-attr]  # the limiter has one
    assert admitted(api, "t") == 0


def test_a_source_that_fails_is_served_stale_and_else_as_declared(clock: FixedClock) -> None:
    billing = Billing(big={"api": Override(10)})
    api = limiter(MemoryLimitStore(), clock, billing)
    assert admitted(api, "big") == 10
    billing.down = True
    clock.advance(timedelta(hours=1))
    assert admitted(api, "big") == 10
    assert admitted(api, "new") == 2
    asked = billing.asked
    admitted(api, "big")
    assert billing.asked == asked  # a source that is down is not asked by every request
    billing.down = False
    clock.advance(timedelta(seconds=30))
    billing.plans["new"] = {"api": Override(6)}
    assert admitted(api, "new") == 3  # half of the bucket has drained


@pytest.mark.parametrize("answer", [None, [], {"api": 5}, {"api": (5, 5)}, {5: Override(5)}, "api"])
def test_an_answer_of_another_shape_is_a_failure(clock: FixedClock, answer: Any) -> None:
    plans = PlanSource(lambda keys: answer, clock=clock)
    assert plans.limits_for({"tenant": "t"}) == {}


@pytest.mark.parametrize(("limit", "burst"), [(0, None), (-1, None), (True, None), (5, 0), (1.5, None), ("5", None)])
def test_an_override_is_a_positive_number(limit: Any, burst: Any) -> None:
    with pytest.raises(ConfigurationError):
        Override(limit, burst)


@pytest.mark.parametrize(
    ("rule", "override", "expected"),
    [
        (LimitRule("r", 10, MINUTE, burst=5), Override(100), (100, 50)),
        (LimitRule("r", 10, MINUTE, burst=1), Override(5), (5, 1)),
        (LimitRule("r", 10, MINUTE), Override(5, 50), (5, 5)),
        (LimitRule("r", 10, timedelta(seconds=1)), Override(10**12), (1_000_000, 1_000_000)),
        (LimitRule("r", 10, MINUTE, algorithm="exact"), Override(10**6), (1_000, None)),
        (LimitRule("r", 10, "day", algorithm="calendar"), Override(10**6), (10**6, None)),
    ],
)
def test_an_override_never_exceeds_what_the_rule_can_be(rule: LimitRule, override: Override, expected: Any) -> None:
    clock_free = RateLimiter([rule], plans=PlanSource(lambda keys: {"r": override}))
    (charge,) = asyncio.run(clock_free._charges({"tenant": "t"}, 1))
    assert (charge.rule.limit, charge.rule.burst) == expected
    assert charge.key == rule.key({"tenant": "t"})


def test_checks_without_the_key_have_no_plan(clock: FixedClock) -> None:
    billing = Billing(t={"client": Override(9)})
    api = limiter(MemoryLimitStore(), clock, billing, LimitRule("client", 2, MINUTE, by=("client",)))
    assert sum(api.check({"client": "c"}).allowed for _ in range(9)) == 2
    assert billing.asked == 0


def test_an_asynchronous_source_is_awaited(clock: FixedClock) -> None:
    async def load(keys: Mapping[str, str]) -> Mapping[str, Override]:
        await asyncio.sleep(0)
        return {"api": Override(4)}

    api = RateLimiter([RULE], MemoryLimitStore(), clock, plans=PlanSource(load, clock=clock))
    with pytest.raises(ConfigurationError, match="asynchronous"):
        api.check({"tenant": "t"})

    async def run() -> int:
        return sum([(await api.acheck({"tenant": "t"})).allowed for _ in range(9)])

    assert asyncio.run(run()) == 4


def test_what_is_kept_is_bounded(clock: FixedClock) -> None:
    plans = PlanSource(lambda keys: {}, clock=clock)
    for number in range(10_050):
        plans.limits_for({"tenant": f"t{number}"})
    assert len(plans._kept) == 10_000


@pytest.mark.parametrize("wrong", [{"by": "tenant"}, {"by": ()}, {"load": None}], ids=str)
def test_a_source_is_a_function_and_its_keys(wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        PlanSource(**{"load": lambda keys: {}, **wrong})
