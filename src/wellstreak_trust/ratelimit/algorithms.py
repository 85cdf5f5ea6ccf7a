"""The arithmetic of the three algorithms: pure functions of a bucket's state and the time, in integer nanoseconds.

gcra
    One number a bucket, the theoretical arrival time (ITU-T I.371, A): the moment at which it is full again. With
    T = ceil(per / limit) and tau = T * burst, `c` units fit if ``max(tat, now) + T*c - now <= tau``. Whatever the
    pattern, a window W admits at most ``limit * W / per + burst``.
exact
    A log of (time, units). Any window of length `per`, wherever it starts, admits at most `limit`; an entry at exactly
    t + per no longer counts.
calendar
    A count for one UTC window, with real month lengths and ISO weeks.

Giving back must not create credit. In ``exact`` and ``calendar`` the charge is found again by its time or window. A
gcra bucket drains in the order of arrival, so a charge that ended at `mark` has ``mark - now`` left in it, less what
others were given back meanwhile, and never less than its own length minus the time since. What has drained is gone:
subtracting it from the state would let the next caller exceed the burst.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol

from ..core.clock import Clock, to_micros

__all__ = ["Ageing", "Calendar", "ExactLog", "Gcra", "Mark", "Meter", "Period"]

Period = Literal["minute", "hour", "day", "week", "month"]
Mark = tuple[int, ...]
"""What a meter needs to find a charge again."""

_SECOND: Final = 1_000_000_000
_TEN_YEARS: Final = 3_660 * 86_400 * _SECOND
_MOST: Final = 2**53 - 1
_LENGTHS: Final = {"minute": 60 * _SECOND, "hour": 3_600 * _SECOND, "day": 86_400 * _SECOND, "week": 604_800 * _SECOND}
_MONDAY: Final = 4 * _LENGTHS["day"]  # 1970-01-05; ISO weeks begin on Monday


class Ageing(Protocol):
    """How long a state says anything, and how much credit it has: what a bounded table sweeps and evicts by.

    `state` is None for a bucket that is full.
    """

    def now(self, clock: Clock) -> int:
        """The time on this scale."""
        ...

    def level(self, state: Any, now: int) -> tuple[int, int]:
        """Whole units left, and nanoseconds until the bucket is full."""
        ...

    def expires(self, state: Any, now: int) -> int:
        """Nanoseconds after which the state says nothing that None does not."""
        ...


class Meter(Ageing, Protocol):
    """One algorithm with one rule's numbers."""

    most: int
    """Units that one charge can come to; a settlement beyond is cut, so that no debt outlasts ten years."""

    def wait(self, state: Any, units: int, now: int) -> int | None:
        """Nanoseconds until `units` fit if nothing else comes: 0 for now, None for never."""
        ...

    def take(self, state: Any, units: int, now: int) -> tuple[Any, Mark]:
        """The state with `units` taken, asked or not, and the mark of this charge."""
        ...

    def give(self, state: Any, units: int, mark: Mark, now: int) -> Any:
        """The state with up to `units` of the charge at `mark` given back; never more than is still in it."""
        ...


GcraState = int | tuple[int, int, int]
"""The arrival time. Once anything was given back: with how much in all, and the latest arrival time there ever was."""


class Gcra:
    """The generic cell rate algorithm; rounds towards strictness."""

    __slots__ = ("emission", "most", "tolerance")

    def __init__(self, limit: int, per: int, burst: int) -> None:
        self.emission: int = -(-per // limit)
        self.tolerance: int = self.emission * burst
        self.most: int = _TEN_YEARS // self.emission

    def now(self, clock: Clock) -> int:
        """See `Meter.now`."""
        return clock.monotonic_ns()

    def wait(self, state: GcraState | None, units: int, now: int) -> int | None:
        """See `Meter.wait`."""
        need = self.emission * units
        if need > self.tolerance:
            return None
        over = max(_parts(state)[0] - now, 0) + need - self.tolerance
        return max(over, 0) if units else 0

    def take(self, state: GcraState | None, units: int, now: int) -> tuple[GcraState, Mark]:
        """See `Meter.take`."""
        arrival, given, latest = _parts(state)
        if latest <= now:
            given = 0  # every charge that could ask what was given back has drained
        arrival = max(arrival, now) + self.emission * units
        return (arrival, given, max(latest, arrival)) if given else arrival, (arrival, given, now)

    def give(self, state: GcraState | None, units: int, mark: Mark, now: int) -> GcraState | None:
        """See `Meter.give`."""
        arrival, given, latest = _parts(state)
        ended, given_then, taken_at = mark
        length = self.emission * units
        left = max(ended - max(given - given_then, 0) - now, length - (now - taken_at))
        back = min(length, left)
        return state if state is None or back <= 0 else (arrival - back, given + back, latest)

    def level(self, state: GcraState | None, now: int) -> tuple[int, int]:
        """See `Meter.level`."""
        depth = max(_parts(state)[0] - now, 0)
        return max(self.tolerance - depth, 0) // self.emission, depth

    def expires(self, state: GcraState | None, now: int) -> int:
        """See `Meter.expires`."""
        return _parts(state)[2] - now


def _parts(state: GcraState | None) -> tuple[int, int, int]:
    if isinstance(state, tuple):
        return state
    arrival = state or 0
    return arrival, 0, arrival


class ExactLog:
    """Every admitted charge, until it is `per` old. Entries of one instant are one entry."""

    __slots__ = ("limit", "most", "per")

    def __init__(self, limit: int, per: int) -> None:
        self.limit: int = limit
        self.per: int = per
        self.most: int = _MOST

    def now(self, clock: Clock) -> int:
        """See `Meter.now`."""
        return clock.monotonic_ns()

    def wait(self, state: Any, units: int, now: int) -> int | None:
        """See `Meter.wait`."""
        if units > self.limit:
            return None
        live = self._live(state, now)
        over = sum(spent for _, spent in live) + units - self.limit
        if units == 0 or over <= 0:
            return 0
        at = now - self.per
        while over > 0:
            at, spent = live.pop(0)
            over -= spent
        return at + self.per - now

    def take(self, state: Any, units: int, now: int) -> tuple[Any, Mark]:
        """See `Meter.take`."""
        live = self._live(state, now)
        if live and live[-1][0] >= now:
            units += live.pop()[1]
        return (*live, (now, units)), (now,)

    def give(self, state: Any, units: int, mark: Mark, now: int) -> Any:
        """See `Meter.give`."""
        kept = [(at, max(spent - units, 0) if at == mark[0] else spent) for at, spent in self._live(state, now)]
        return tuple(entry for entry in kept if entry[1]) or None

    def level(self, state: Any, now: int) -> tuple[int, int]:
        """See `Meter.level`."""
        live = self._live(state, now)
        left = max(self.limit - sum(spent for _, spent in live), 0)
        return left, live[-1][0] + self.per - now if live else 0

    def expires(self, state: Any, now: int) -> int:
        """See `Meter.expires`."""
        return int(state[-1][0]) + self.per - now if state else 0

    def _live(self, state: Any, now: int) -> list[tuple[int, int]]:
        return [entry for entry in state or () if now - entry[0] < self.per]


class Calendar:
    """A count for the current UTC window; the only meter on the wall clock."""

    __slots__ = ("anchor_day", "limit", "most", "period")

    def __init__(self, limit: int, period: Period, anchor_day: int) -> None:
        self.limit: int = limit
        self.period: Period = period
        self.anchor_day: int = anchor_day
        self.most: int = _MOST

    def now(self, clock: Clock) -> int:
        """See `Meter.now`."""
        return to_micros(clock.now()) * 1_000

    def wait(self, state: Any, units: int, now: int) -> int | None:
        """See `Meter.wait`."""
        if units > self.limit:
            return None
        start, end = self.window(now)
        return 0 if units == 0 or self._count(state, start) + units <= self.limit else end - now

    def take(self, state: Any, units: int, now: int) -> tuple[Any, Mark]:
        """See `Meter.take`."""
        start = self.window(now)[0]
        return (start, self._count(state, start) + units), (start,)

    def give(self, state: Any, units: int, mark: Mark, now: int) -> Any:
        """See `Meter.give`."""
        if state is None or state[0] != mark[0]:
            return state
        return (state[0], max(state[1] - units, 0))

    def level(self, state: Any, now: int) -> tuple[int, int]:
        """See `Meter.level`."""
        start, end = self.window(now)
        used = self._count(state, start)
        return max(self.limit - used, 0), end - now if used else 0

    def expires(self, state: Any, now: int) -> int:
        """See `Meter.expires`."""
        return self.window(state[0])[1] - now if state else 0

    def window(self, now: int) -> tuple[int, int]:
        """First nanosecond of the window that holds `now`, and the first after it."""
        length = _LENGTHS.get(self.period)
        if length is not None:
            start = now - (now - (_MONDAY if self.period == "week" else 0)) % length
            return start, start + length
        day = datetime.fromtimestamp(now // _SECOND, UTC)
        month = day.year * 12 + day.month - 1 - (day.day < self.anchor_day)
        return self._month(month), self._month(month + 1)

    def _month(self, month: int) -> int:
        return to_micros(datetime(month // 12, month % 12 + 1, self.anchor_day, tzinfo=UTC)) * 1_000

    @staticmethod
    def _count(state: Any, start: int) -> int:
        return int(state[1]) if state is not None and state[0] == start else 0
