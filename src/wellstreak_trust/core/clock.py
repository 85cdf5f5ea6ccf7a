"""The clock seam: the only place that reads the wall clock.

Wall time is an aware UTC `datetime`; durations are measured on the monotonic clock, because the wall clock is set by
others and may go back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol

from .errors import UsageError

__all__ = ["Clock", "FixedClock", "SystemClock", "aware", "from_micros", "micros", "rfc3339", "to_micros"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Clock(Protocol):
    """What every primitive asks for the time."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never goes back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        """`time.monotonic_ns`."""
        return time.monotonic_ns()


class FixedClock:
    """A clock that stands until it is told to move; wall and monotonic time move together.

    Args:
        start: an aware `datetime`; raises `UsageError` for a naive one.
    """

    __slots__ = ("_elapsed", "_start")

    def __init__(self, start: datetime) -> None:
        self._start: datetime = aware(start).astimezone(UTC)
        self._elapsed: timedelta = timedelta()

    def now(self) -> datetime:
        """The time it was set to."""
        return self._start + self._elapsed

    def monotonic_ns(self) -> int:
        """Nanoseconds advanced so far, from an arbitrary positive origin."""
        return 1_000_000_000 + (self._elapsed // _MICROSECOND) * 1_000

    def advance(self, by: timedelta) -> None:
        """Moves both clocks; a negative step sets only a wall clock back, as an operator would."""
        if by >= timedelta():
            self._elapsed += by
        else:
            self._start += by


def aware(moment: datetime, name: str = "time") -> datetime:
    """`moment` itself if it is aware, else `UsageError`: a naive time means a different instant on each machine."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise UsageError(f"{name} is a naive datetime", hint="give it a timezone, such as datetime.UTC")
    return moment


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, exact (no float on the way), for storage and signed bytes."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The inverse of `to_micros`."""
    return _EPOCH + timedelta(microseconds=micros)


def micros(clock: Clock) -> Callable[[], int]:
    """A function that reads the clock as `to_micros` does; for checks that run once a request and more."""
    if type(clock) is SystemClock:
        return lambda: time.time_ns() // 1_000
    return lambda: to_micros(clock.now())


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and `Z`, always 27 characters, so that text order is time order."""
    seconds, rest = divmod((moment - _EPOCH) // _MICROSECOND, 1_000_000)
    return f"{_second(seconds)}.{rest:06d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Most stamps are of the second just formatted, and formatting is half of what a stamp costs."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]
