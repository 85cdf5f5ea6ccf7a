"""Buckets of this process: one dictionary behind one lock, integers of the monotonic clock.

Nothing scans the table and no thread runs. Keys wait in slots ordered by the time at which they expire; each operation
looks at up to 64 of those that are due. The same slots order what a full table gives up: expired buckets first, then
those with most credit, so that rotating keys never frees an exhausted one.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from threading import Lock
from typing import Any, Final

from ..core.clock import Clock
from ..core.errors import ConfigurationError
from .algorithms import Ageing, Meter
from .attempt_store import MemoryAttempts
from .lease_store import MemoryLeases
from .store import Charge, Level, Settlement

__all__ = ["MemoryLimitStore"]

_SWEEP: Final = 64
_SAMPLE: Final = 8
_SLOT_BITS: Final = 33  # about 8.6 seconds

_Place = tuple[int, int]  # slot number, identity of the meter


class MemoryLimitStore:
    """Limits that hold in one process and are forgotten with it.

    Args:
        allow_memory: accept that in a production profile, where each worker would have its own counters.
        max_keys: live buckets at most.

    Raises:
        ConfigurationError: `max_keys` is not positive.
    """

    suspends: bool = False
    is_memory: bool = True

    def __init__(self, *, allow_memory: bool = False, max_keys: int = 1_000_000) -> None:
        if type(max_keys) is not int or max_keys < 1:
            raise ConfigurationError("max_keys is not a positive number", hint="leave it at 1,000,000")
        self.allow_memory: bool = allow_memory
        self.volatile: bool = not allow_memory
        self._max_keys: int = max_keys
        self.lock: Lock = Lock()
        self.states: dict[str, Any] = {}
        self._queues: dict[_Place, tuple[Ageing, list[str]]] = {}
        self._order: list[_Place] = []  # a heap: the earliest slot first

    def __len__(self) -> int:
        return len(self.states)

    async def take_if(
        self, charges: Sequence[Charge], clock: Clock, *, commit: bool = True
    ) -> tuple[bool, Sequence[Level]]:
        """See `LimitStore`."""
        return self.decide(charges, clock, commit)

    async def settle(self, settlements: Sequence[Settlement], clock: Clock) -> None:
        """See `LimitStore`."""
        with self.lock:
            for rule, key, taken, actual, mark in settlements:
                meter: Meter = rule.meter
                state = self.states.get(key)
                now = meter.now(clock)
                if actual < taken:
                    state = meter.give(state, taken - actual, mark, now)
                else:
                    state = meter.take(state, actual - taken, now)[0]
                if state is None:
                    self.states.pop(key, None)
                else:
                    self.put(key, state, meter, clock)

    async def clear(self, charges: Sequence[Charge]) -> None:
        """See `LimitStore`."""
        with self.lock:
            for charge in charges:
                self.states.pop(charge.key, None)

    def attempts(self) -> MemoryAttempts:
        """The tallies of an `AttemptGuard` in this table."""
        return MemoryAttempts(self)

    def leases(self) -> MemoryLeases:
        """The leases of a `ConcurrencyLimiter` in this table."""
        return MemoryLeases(self)

    def decide(self, charges: Sequence[Charge], clock: Clock, commit: bool = True) -> tuple[bool, Sequence[Level]]:
        """`take_if` as a plain call: nothing here waits, and a coroutine costs as much as the decision."""
        with self.lock:
            admitted = True
            seen: list[tuple[Meter, int, Any, int | None]] = []
            for rule, key, units in charges:
                meter: Meter = rule.meter
                now, state = meter.now(clock), self.states.get(key)
                wait = meter.wait(state, units, now)
                if wait != 0 and rule.enforced:
                    admitted = False
                seen.append((meter, now, state, wait))
            levels = []
            for (_, key, units), (meter, now, state, wait) in zip(charges, seen, strict=True):
                mark = None
                if admitted and commit and wait == 0 and units:
                    state, mark = meter.take(state, units, now)
                    self.put(key, state, meter, clock)
                levels.append(Level(wait, *meter.level(state, now), mark))
            return admitted, levels

    # --- expiry and eviction ------------------------------------------------------------------------------------------

    def put(self, key: str, state: Any, meter: Ageing, clock: Clock) -> None:
        """Stores a state; the caller holds `lock`."""
        if key not in self.states:
            self._sweep(clock)
            if len(self.states) >= self._max_keys:
                self._evict(clock)
            self._file(key, state, meter, clock)
        self.states[key] = state

    def blank(self, key: str, empty: Any) -> None:
        """Leaves a state that says nothing where there was one; the caller holds `lock`.

        The key stays filed until it is due. Dropped and made anew it would be filed each time, and a key that comes and
        goes would fill the queues.
        """
        if key in self.states:
            self.states[key] = empty

    def _file(self, key: str, state: Any, meter: Ageing, clock: Clock) -> None:
        """Files a key under the slot after which it is expired, unless it is charged again."""
        place = (_slot(state, meter, clock), id(meter))
        queue = self._queues.get(place)
        if queue is None:
            queue = self._queues[place] = (meter, [])
            heapq.heappush(self._order, place)
        queue[1].append(key)

    def _earliest(self) -> tuple[int, Ageing, list[str]] | None:
        while self._order:
            meter, keys = self._queues[self._order[0]]
            if keys:
                return self._order[0][0], meter, keys
            del self._queues[heapq.heappop(self._order)]
        return None

    def _sweep(self, clock: Clock) -> None:
        """Drops what has expired: of the keys that are due, 64 at most."""
        due = clock.monotonic_ns() >> _SLOT_BITS
        for _ in range(_SWEEP):
            found = self._earliest()
            if found is None or found[0] >= due:
                return
            key, meter = found[2].pop(), found[1]
            state = self.states.get(key)
            if state is not None and meter.expires(state, meter.now(clock)) > 0:
                self._file(key, state, meter, clock)
            else:
                self.states.pop(key, None)

    def _evict(self, clock: Clock) -> None:
        """Makes room for one key: of those that are full soonest, the one with most credit goes.

        The newest are looked at first, so that an attacker who rotates keys pushes out his own.
        """
        for tries_left in reversed(range(_SWEEP)):
            found = self._earliest()
            if found is None:
                return
            slot, meter, keys = found
            now = meter.now(clock)
            credit = [meter.level(self.states.get(key), now)[0] for key in reversed(keys[-_SAMPLE:])]
            key = keys.pop(-1 - credit.index(max(credit)))
            state = self.states.get(key)
            if state is not None and tries_left and _slot(state, meter, clock) > slot:
                self._file(key, state, meter, clock)  # charged again since it was filed
            elif self.states.pop(key, None) is not None:
                return


def _slot(state: Any, meter: Ageing, clock: Clock) -> int:
    return (clock.monotonic_ns() + meter.expires(state, meter.now(clock))) >> _SLOT_BITS
