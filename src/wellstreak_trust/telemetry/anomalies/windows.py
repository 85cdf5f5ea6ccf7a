"""Bounded memory of detectors: the least recently seen subject goes first, and a window holds only what is young."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from datetime import timedelta
from itertools import islice
from typing import Final, Generic, TypeVar

from .record import Record

__all__ = ["SEQS", "Subjects", "Window", "micros", "until"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

SEQS: Final = 50
_EVENTS: Final = 10_000  # of one window: far above what makes a rule fire, and no flood fills the memory
_MICROSECOND: Final = timedelta(microseconds=1)


def micros(duration: timedelta) -> int:
    """A duration as records measure time."""
    return duration // _MICROSECOND


def until(events: deque[tuple[int, int]], at: int) -> list[tuple[int, int]]:
    """Takes the (time, seq) of before `at` away from where they wait, the oldest first."""
    found = []
    while events and events[0][0] < at:
        found.append(events.popleft())
    return found


class Subjects(OrderedDict[K, V], Generic[K, V]):
    """A dictionary of at most so many keys."""

    def __init__(self, most: int, make: Callable[[], V]) -> None:
        super().__init__()
        self._most: int = most
        self._make: Callable[[], V] = make

    def at(self, key: K) -> V:
        """What is kept of a key, made where there is nothing."""
        found = self.get(key)
        if found is None:
            found = self[key] = self._make()
            if len(self) > self._most:
                self.popitem(last=False)
        else:
            self.move_to_end(key)
        return found


class Window:
    """The events of one subject within a span of time, how many of each label, and whether they were told of already.

    Of a flood it holds the newest 10,000.
    """

    __slots__ = ("_span", "events", "labels", "quiet_until")

    def __init__(self, span: int) -> None:
        self._span: int = span
        self.events: deque[tuple[int, int, str]] = deque()
        self.labels: dict[str, int] = {}
        self.quiet_until: int = -1

    def add(self, record: Record, label: str = "") -> int:
        """Adds an event; how many are in the window."""
        self.events.append((record.at, record.seq, label))
        self.labels[label] = self.labels.get(label, 0) + 1
        while self.events[0][0] <= record.at - self._span or len(self.events) > _EVENTS:
            _, _, gone = self.events.popleft()
            self.labels[gone] -= 1
            if not self.labels[gone]:
                del self.labels[gone]
        return len(self.events)

    def may_tell(self, at: int) -> bool:
        """True once a span: a burst is one finding and not one for each of its events."""
        if at < self.quiet_until:
            return False
        self.quiet_until = at + self._span
        return True

    def seqs(self) -> tuple[int, ...]:
        """Where the events stand, the newest 50."""
        return tuple(seq for _, seq, _ in reversed([*islice(reversed(self.events), SEQS)]))
