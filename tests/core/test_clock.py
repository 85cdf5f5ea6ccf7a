from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust.core import FixedClock, SystemClock, UsageError
from wellstreak_trust.core.clock import aware, from_micros, micros, rfc3339, to_micros

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_system_clock_is_aware_and_monotonic() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.monotonic_ns() <= clock.monotonic_ns()


def test_fixed_clock_stands_until_told() -> None:
    clock = FixedClock(NOON)
    before = clock.monotonic_ns()
    assert clock.now() == NOON
    clock.advance(timedelta(seconds=2, microseconds=5))
    assert clock.now() == NOON + timedelta(seconds=2, microseconds=5)
    assert clock.monotonic_ns() - before == 2_000_005_000


def test_setting_the_wall_clock_back_never_moves_the_monotonic_clock() -> None:
    clock = FixedClock(NOON)
    before = clock.monotonic_ns()
    clock.advance(timedelta(hours=-1))
    assert clock.now() == NOON - timedelta(hours=1)
    assert clock.monotonic_ns() == before


def test_naive_times_are_refused() -> None:
    with pytest.raises(UsageError, match="naive"):
        FixedClock(NOON.replace(tzinfo=None))
    assert aware(NOON) is NOON


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_micros_are_exact_and_text_order_is_time_order(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment
    assert len(rfc3339(moment)) == 27
    assert (rfc3339(moment) < rfc3339(NOON)) is (moment < NOON)


def test_rfc3339_is_utc() -> None:
    east = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(east) == "2026-01-01T00:00:00.000000Z"


def test_micros_read_the_clock_as_it_tells_the_time() -> None:
    assert micros(FixedClock(NOON))() == to_micros(NOON)
    before = to_micros(SystemClock().now())
    assert before <= micros(SystemClock())() <= to_micros(SystemClock().now())
