"""The table in memory: bounded, swept without scans, exact under threads."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from wellstreak_trust.core import ConfigurationError, FixedClock
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter

MINUTE = timedelta(minutes=1)
SHAPES = [
    LimitRule("r", 5, MINUTE),
    LimitRule("r", 5, MINUTE, algorithm="exact"),
    LimitRule("r", 5, "hour", algorithm="calendar"),
]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 24, 12, tzinfo=UTC))


@pytest.mark.parametrize("rule", SHAPES, ids=lambda rule: rule.algorithm)
def test_expired_buckets_go_without_being_asked_for(rule: LimitRule, clock: FixedClock) -> None:
    store = MemoryLimitStore()
    api = RateLimiter([rule], store, clock)
    for number in range(500):
        api.check({"tenant": f"old-{number}"})
    clock.advance(timedelta(hours=2))
    for number in range(20):
        api.check({"tenant": f"new-{number}"})
    assert len(store) == 20
    assert sum(len(keys) for _, keys in store._queues.values()) == 20


@pytest.mark.parametrize("rule", SHAPES, ids=lambda rule: rule.algorithm)
def test_a_full_table_keeps_the_exhausted(rule: LimitRule, clock: FixedClock) -> None:
    store = MemoryLimitStore(max_keys=100)
    api = RateLimiter([rule], store, clock)
    for number in range(60):
        api.check({"tenant": f"before-{number}"})
    victim = {"tenant": "victim"}
    while api.check(victim):
        clock.advance(timedelta(milliseconds=10))
    for number in range(2_000):
        assert api.check({"tenant": f"attack-{number}"}).allowed
    assert len(store) == 100
    assert not api.check(victim).allowed


def test_of_a_sample_the_one_with_most_credit_goes(clock: FixedClock) -> None:
    api = RateLimiter([LimitRule("r", 1_000, MINUTE)], MemoryLimitStore(max_keys=4), clock)
    for name, cost in (("a", 10), ("b", 1), ("c", 10), ("d", 10), ("e", 10)):
        api.check({"tenant": name}, cost)
    assert [api.peek({"tenant": name}).remaining for name in "abcde"] == [990, 1_000, 990, 990, 990]


def test_among_equals_the_newest_goes(clock: FixedClock) -> None:
    api = RateLimiter([LimitRule("r", 1, MINUTE)], MemoryLimitStore(max_keys=100), clock)
    for number in range(1_000):
        api.check({"tenant": f"t{number}"})
    assert [number for number in range(1_000) if not api.peek({"tenant": f"t{number}"}, 1)] == [*range(99), 999]


def test_buckets_charged_again_are_filed_again(clock: FixedClock) -> None:
    store = MemoryLimitStore(max_keys=3)
    api = RateLimiter([LimitRule("r", 60, MINUTE)], store, clock)
    for name in "abc":
        api.check({"tenant": name})
    for name in "ab":
        api.check({"tenant": name}, 50)
    api.check({"tenant": "d"})
    assert {name: api.peek({"tenant": name}).remaining for name in "abcd"} == {"a": 9, "b": 9, "c": 60, "d": 59}


def test_reset_and_refund_leave_no_bucket_behind_for_ever(clock: FixedClock) -> None:
    store = MemoryLimitStore(max_keys=2)
    rules = [SHAPES[1]]
    api = RateLimiter(rules, store, clock)
    api.check({"tenant": "a"}).refund()
    assert len(store) == 0
    for name in "abcdabcd":
        api.check({"tenant": name})
        api.reset({"tenant": name})
    assert len(store) == 0
    for name in "abcd":
        api.check({"tenant": name})
    assert len(store) == 2
    clock.advance(timedelta(hours=1))
    api.check({"tenant": "e"})
    assert len(store) == 1


@pytest.mark.parametrize("max_keys", [0, -1, True, 1.5])
def test_a_table_needs_room(max_keys: int) -> None:
    with pytest.raises(ConfigurationError):
        MemoryLimitStore(max_keys=max_keys)


def test_what_a_production_profile_asks() -> None:
    assert (MemoryLimitStore.is_memory, MemoryLimitStore().volatile) == (True, True)
    assert MemoryLimitStore(allow_memory=True).volatile is False


@pytest.mark.asvs("15.4.1")
@pytest.mark.parametrize("rules", [SHAPES[:1], SHAPES[1:2], [SHAPES[0], LimitRule("x", 50, MINUTE, algorithm="exact")]])
def test_threads_admit_exactly_the_limit(rules: list[LimitRule], clock: FixedClock) -> None:
    api = RateLimiter(rules, MemoryLimitStore(), clock)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            verdicts = list(pool.map(lambda _: api.check({"tenant": "t"}), range(200)))
        admitted = [verdict for verdict in verdicts if verdict.allowed]
        assert len(admitted) == 5
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda at: admitted[at % 5].refund(), range(200)))
    finally:
        sys.setswitchinterval(interval)
    assert api.peek({"tenant": "t"}).remaining == 5


def test_setting_the_wall_clock_back_opens_no_bucket(clock: FixedClock) -> None:
    for rule in SHAPES[:2]:
        api = RateLimiter([rule], MemoryLimitStore(), clock)
        api.check({"tenant": "t"}, 5)
        clock.advance(timedelta(days=-1))
        assert not api.check({"tenant": "t"}).allowed
