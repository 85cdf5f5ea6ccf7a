"""The laws of the algorithms, whatever the pattern of arrivals, costs and refunds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.core import FixedClock
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from wellstreak_trust.ratelimit.verdict import Verdict

KEYS = {"tenant": "t"}
START = datetime(2026, 11, 24, tzinfo=UTC)
PER = timedelta(seconds=10)

STEPS = st.lists(
    st.tuples(
        st.integers(0, 4_000),  # milliseconds to wait
        st.integers(1, 4),  # cost
        st.none() | st.integers(0, 30),  # the verdict to give back, or none
    ),
    min_size=1,
    max_size=40,
)


def run(rules: list[LimitRule], steps: list[tuple[int, int, int | None]]) -> list[tuple[timedelta, int]]:
    """(time, units) of every admission that was not given back."""
    clock = FixedClock(START)
    api = RateLimiter(rules, MemoryLimitStore(), clock)
    kept: list[tuple[timedelta, int, Verdict]] = []
    for wait, cost, back in steps:
        clock.advance(timedelta(milliseconds=wait))
        if back is not None and back < len(kept):
            kept.pop(back)[2].refund()
            continue
        before = api.peek(KEYS)
        verdict = api.check(KEYS, cost)
        assert 0 <= verdict.remaining <= max(rule.capacity for rule in rules)
        if verdict.allowed:
            kept.append((clock.now() - START, cost, verdict))
        else:
            after = api.peek(KEYS)
            assert (before.remaining, before.reset_after) == (after.remaining, after.reset_after)
            if verdict.retry_after is not None:
                later = FixedClock(clock.now())  # the promise is checked on a copy of the time
                assert later.now() + verdict.retry_after > clock.now()
    return [(at, cost) for at, cost, _ in kept]


def most(admissions: list[tuple[timedelta, int]], window: timedelta) -> int:
    return max((sum(c for at, c in admissions if start <= at < start + window) for start, _ in admissions), default=0)


@pytest.mark.parametrize("burst", [1, 3, 5])
@given(STEPS)
@settings(max_examples=60)
def test_gcra(burst: int, steps: list[tuple[int, int, int | None]]) -> None:
    rule = LimitRule("r", 5, PER, burst=burst)
    admissions = run([rule], steps)
    for seconds in (0.001, 2, 10, 25):
        window = timedelta(seconds=seconds)
        assert most(admissions, window) <= rule.limit * (window / rule.per) + burst + 1e-9


@given(STEPS)
@settings(max_examples=60)
def test_exact(steps: list[tuple[int, int, int | None]]) -> None:
    assert most(run([LimitRule("r", 5, PER, algorithm="exact")], steps), PER) <= 5


@given(STEPS)
@settings(max_examples=60)
def test_calendar(steps: list[tuple[int, int, int | None]]) -> None:
    windows: dict[int, int] = {}
    for at, cost in run([LimitRule("r", 5, "minute", algorithm="calendar")], steps):
        windows[at // timedelta(minutes=1)] = windows.get(at // timedelta(minutes=1), 0) + cost
    assert all(units <= 5 for units in windows.values())


RULES = st.lists(
    st.sampled_from(
        [
            LimitRule("gcra", 5, PER),
            LimitRule("tight", 4, PER, burst=2),
            LimitRule("heavy", 9, PER, cost=3),
            LimitRule("exact", 4, PER, algorithm="exact"),
            LimitRule("minute", 20, "minute", algorithm="calendar"),
            LimitRule("dark", 2, PER, mode="shadow"),
        ]
    ),
    min_size=1,
    max_size=4,
    unique=True,
)


@given(RULES, STEPS)
@settings(max_examples=60)
def test_several_rules_equal_the_naive_reference(
    rules: list[LimitRule], steps: list[tuple[int, int, int | None]]
) -> None:
    """Each rule alone in a limiter of its own, asked first and charged only if all agree."""
    clock = FixedClock(START)
    together = RateLimiter(rules, MemoryLimitStore(), clock)
    alone = [RateLimiter([rule], MemoryLimitStore(), clock) for rule in rules]
    pairs: list[tuple[Verdict, list[Verdict]]] = []
    for wait, cost, back in steps:
        clock.advance(timedelta(milliseconds=wait))
        if back is not None and back < len(pairs):
            one, many = pairs.pop(back)
            for verdict in (one, *many):
                verdict.refund()
            continue
        asked = [single.peek(KEYS, cost) for single in alone]
        verdict = together.check(KEYS, cost)
        assert verdict.violated == tuple(name for answer in asked for name in answer.violated)
        assert verdict.shadow_denied == tuple(name for answer in asked for name in answer.shadow_denied)
        if verdict.allowed:
            pairs.append(
                (verdict, [s.check(KEYS, cost) for s, a in zip(alone, asked, strict=True) if not a.shadow_denied])
            )
        assert together.usage(KEYS) == {name: use for single in alone for name, use in single.usage(KEYS).items()}


@given(STEPS, st.integers(1, 3))
@settings(max_examples=60)
def test_the_straight_road_decides_like_the_general_way(steps: list[tuple[int, int, int | None]], price: int) -> None:
    clock = FixedClock(START)
    straight = RateLimiter([LimitRule("r", 7, PER, burst=4, cost=price)], MemoryLimitStore(), clock)
    general = RateLimiter(straight.rules, MemoryLimitStore(), clock)
    assert straight._lane is not None
    general._lane = None
    pairs = []
    for wait, cost, back in steps:
        clock.advance(timedelta(milliseconds=wait))
        if back is not None and back < len(pairs):
            for verdict in pairs.pop(back):
                verdict.settle(cost - 1)
        pair = straight.check(KEYS, cost), general.check(KEYS, cost)
        assert [(v.allowed, v.remaining, v.reset_after, v.retry_after, v.violated) for v in pair[:1]] == [
            (v.allowed, v.remaining, v.reset_after, v.retry_after, v.violated) for v in pair[1:]
        ]
        pairs.append(pair)


@given(st.sampled_from(["gcra", "exact"]), STEPS)
@settings(max_examples=40)
def test_the_promised_wait_is_enough_and_not_too_long(algorithm: str, steps: list[tuple[int, int, int | None]]) -> None:
    clock = FixedClock(START)
    api = RateLimiter([LimitRule("r", 5, PER, algorithm=algorithm)], MemoryLimitStore(), clock)  # type: ignore[arg-type]  # sampled
    for wait, cost, _ in steps:
        clock.advance(timedelta(milliseconds=wait))
        verdict = api.check(KEYS, cost)
        if verdict.retry_after is not None:
            clock.advance(verdict.retry_after - timedelta(microseconds=1))
            assert not api.peek(KEYS, cost).allowed
            clock.advance(timedelta(microseconds=1))
            assert api.check(KEYS, cost).allowed
