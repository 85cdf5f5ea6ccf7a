"""Limits of the `limits` package under one clock with ours: the same texts, and the same answers."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import limits
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.errors import ConfigurationError
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter

START = datetime(2030, 1, 1, tzinfo=UTC)
SPACES = st.sampled_from(["", " ", "  "])
UNITS = st.sampled_from(["second", "minute", "hour", "day", "seconds", "Minutes", "HOUR", "days"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    multiple = draw(st.one_of(st.just(""), st.integers(1, 900).map(str)))
    parts = [str(draw(st.integers(1, 10**6))), draw(st.sampled_from(["/", "per", "PER"])), multiple, draw(UNITS)]
    return "".join(f"{draw(SPACES)}{part}" for part in parts) + draw(SPACES)


@given(texts())
@settings(max_examples=200)
def test_one_limit_reads_the_same(text: str) -> None:
    theirs, ours = limits.parse(text), LimitRule.parse("r", text)
    assert (ours.limit, ours.per) == (theirs.amount, timedelta(seconds=theirs.get_expiry()))


@given(st.lists(texts(), min_size=1, max_size=4), st.sampled_from([";", ",", "|"]))
@settings(max_examples=100)
def test_several_limits_read_the_same(found: list[str], separator: str) -> None:
    text = separator.join(found)
    ours = LimitRule.parse_many("r", text)
    assert [(rule.limit, rule.per) for rule in ours] == [
        (item.amount, timedelta(seconds=item.get_expiry())) for item in limits.parse_many(text)
    ]


@given(st.text(st.sampled_from("0123456789 /perminutshodaycwk;\n"), max_size=16))
@settings(max_examples=300)
def test_what_reads_here_as_one_limit_of_theirs_means_the_same_there(text: str) -> None:
    try:
        ours = LimitRule.parse("r", text)
    except ConfigurationError:
        return
    if "week" not in text:
        theirs = limits.parse(text)
        assert (ours.limit, ours.per) == (theirs.amount, timedelta(seconds=theirs.get_expiry()))


EDGE = timedelta(milliseconds=1)  # no two hits are a whole period apart: there, the two count differently


@given(st.lists(st.integers(0, 7), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_moving_window_is_an_exact_one(monkeypatch: pytest.MonkeyPatch, waits: list[int]) -> None:
    clock = FixedClock(START)
    monkeypatch.setattr(time, "time", lambda: clock.now().timestamp())
    item, theirs = limits.parse("5/10 seconds"), MovingWindowRateLimiter(MemoryStorage())
    rule = LimitRule.parse("r", "5/10 seconds", by=("user",), algorithm="exact")
    ours = RateLimiter([rule], MemoryLimitStore(), clock)
    for wait in waits:
        clock.advance(timedelta(seconds=wait) + EDGE)
        assert theirs.hit(item, "ada") is ours.check({"user": "ada"}).allowed


def test_after_exactly_one_period_a_hit_is_gone_here_and_counts_once_more_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FixedClock(START)
    monkeypatch.setattr(time, "time", lambda: clock.now().timestamp())
    item, theirs = limits.parse("1/10 seconds"), MovingWindowRateLimiter(MemoryStorage())
    rule = LimitRule.parse("r", "1/10 seconds", by=("user",), algorithm="exact")
    ours = RateLimiter([rule], MemoryLimitStore(), clock)
    said = []
    for wait in (0, 10):
        clock.advance(timedelta(seconds=wait))
        said.append((theirs.hit(item, "ada"), ours.check({"user": "ada"}).allowed))
    assert said == [(True, True), (False, True)]


def test_a_calendar_window_follows_the_clock_and_a_fixed_one_its_first_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FixedClock(START + timedelta(seconds=50))
    monkeypatch.setattr(time, "time", lambda: clock.now().timestamp())
    item, rule = limits.parse("1/minute"), LimitRule.parse("r", "1/minute", by=("user",), algorithm="calendar")
    theirs, ours = FixedWindowRateLimiter(MemoryStorage()), RateLimiter([rule], MemoryLimitStore(), clock)
    assert theirs.hit(item, "ada")
    assert ours.check({"user": "ada"}).allowed
    clock.advance(timedelta(seconds=15))
    assert ours.check({"user": "ada"}).allowed, "a minute of the clock began"
    assert not theirs.hit(item, "ada"), "sixty seconds after its first hit have not passed"
