"""Other people's engines under the same clock, and their parser over our header fields."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import http_sfv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyrate_limiter import Rate
from pyrate_limiter.abstracts.algorithm import GCRA
from throttled import RateLimiterType, Throttled, rate_limiter, utils
from throttled import store as throttled_store

from wellstreak_trust.core import FixedClock
from wellstreak_trust.ratelimit import ConcurrencyLimiter, LimitRule, MemoryLimitStore, RateLimiter

SECOND = timedelta(seconds=1)
KEYS = {"tenant": "t"}
STEPS = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 4)), min_size=1, max_size=40)


@contextmanager
def frozen(clock: FixedClock) -> Iterator[None]:
    """throttled-py under our clock."""
    before = utils.now_mono_f
    utils.now_mono_f = lambda: clock.monotonic_ns() / 1e9
    try:
        yield
    finally:
        utils.now_mono_f = before


@given(STEPS, st.sampled_from([1, 4, 8]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_gcra_is_that_of_throttled(clock: FixedClock, steps: list[tuple[int, int]], burst: int) -> None:
    ours = RateLimiter([LimitRule("r", 8, 8 * SECOND, burst=burst)], MemoryLimitStore(), clock)
    theirs = Throttled(
        using=RateLimiterType.GCRA.value,
        quota=rate_limiter.per_duration(8 * SECOND, limit=8, burst=burst),
        store=throttled_store.MemoryStore(),
    )
    with frozen(clock):
        for wait, cost in steps:
            clock.advance(wait * SECOND / 2)
            verdict, result = ours.check(KEYS, cost), theirs.limit("t", cost=cost)
            assert verdict.allowed is not result.limited
            assert verdict.remaining == result.state.remaining
            if not verdict.allowed and verdict.retry_after is not None:
                assert verdict.retry_after.total_seconds() == pytest.approx(result.state.retry_after)


@given(STEPS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_two_rates_are_those_of_pyrate(clock: FixedClock, steps: list[tuple[int, int]]) -> None:
    rates = [Rate(8, 8_000), Rate(20, 40_000)]
    rules = [LimitRule("short", 8, 8 * SECOND), LimitRule("long", 20, 40 * SECOND)]
    ours, algorithm = RateLimiter(rules, MemoryLimitStore(), clock), GCRA()
    state = algorithm.initial(rates)
    for wait, cost in steps:
        clock.advance(wait * SECOND / 2)
        state, decision = algorithm.step(rates, state, clock.monotonic_ns() // 1_000_000, cost)
        assert ours.check(KEYS, cost).allowed is decision.allowed


def test_fields_are_structured_and_say_what_was_decided(clock: FixedClock) -> None:
    rules = [
        LimitRule('we"ird\\name', 60, 60 * SECOND),
        LimitRule("daily", 1_000, "day", algorithm="calendar"),
        LimitRule("billing", 9, "month", algorithm="calendar"),
        LimitRule("hidden", 5, SECOND, expose=False),
    ]
    fields = RateLimiter(rules, MemoryLimitStore(), clock).check(KEYS, 3).headers()
    policy, limit = http_sfv.List(), http_sfv.List()
    policy.parse(fields["RateLimit-Policy"].encode())
    limit.parse(fields["RateLimit"].encode())
    assert [(item.value, dict(item.params)) for item in policy] == [
        ('we"ird\\name', {"q": 60, "w": 60}),
        ("daily", {"q": 1_000, "w": 86_400}),
        ("billing", {"q": 9}),
    ]
    assert [(item.value, item.params["r"]) for item in limit] == [('we"ird\\name', 57), ("daily", 997), ("billing", 6)]
    lease = ConcurrencyLimiter(MemoryLimitStore(), 2, clock=clock).acquire("k").headers()
    policy.parse(lease["RateLimit-Policy"].encode())
    assert [(item.value, dict(item.params)) for item in policy][-1] == (
        "concurrency",
        {"q": 2, "qu": "concurrent-requests"},
    )
