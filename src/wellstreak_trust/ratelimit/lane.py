"""The straight road for the most common limiter: one enforced gcra rule, one required key, memory.

It decides exactly what the store decides (a test compares them step by step), without the objects and calls that
several rules need: about a third of the time. Whatever is unusual is left to the general way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final

from ..core.clock import Clock
from .algorithms import Gcra
from .memory import MemoryLimitStore
from .rules import LimitRule
from .store import Charge, Level
from .verdict import Accounts, Verdict

__all__ = ["Lane"]


# A NamedTuple's own constructor takes twice the time of the tuple's.
_level: Final[Callable[[type[Level], tuple[Any, ...]], Level]] = tuple.__new__
_charge: Final[Callable[[type[Charge], tuple[Any, ...]], Charge]] = tuple.__new__


class Lane:
    """One rule's numbers, next to the store's table and lock."""

    __slots__ = ("_accounts", "_clock", "_cost", "_emission", "_lock", "_name", "_now", "_prefix", "_rule", "_states",
                 "_store", "_tolerance")  # fmt: skip

    def __init__(self, rule: LimitRule, meter: Gcra, store: MemoryLimitStore, clock: Clock, accounts: Accounts) -> None:
        self._rule: LimitRule = rule
        self._name: str = rule.by[0]
        self._prefix: str = rule.prefix
        self._cost: int = rule.cost
        self._emission: int = meter.emission
        self._tolerance: int = meter.tolerance
        self._store: MemoryLimitStore = store
        self._states: dict[str, Any] = store.states
        self._lock: Lock = store.lock
        self._clock: Clock = clock
        self._now: Callable[[], int] = clock.monotonic_ns
        self._accounts: Accounts = accounts

    @classmethod
    def of(cls, rules: Sequence[LimitRule], store: object, clock: Clock, accounts: Accounts) -> Lane | None:
        """A lane for these rules, or None where they need the general way."""
        if len(rules) != 1 or type(store) is not MemoryLimitStore:
            return None
        rule = rules[0]
        if not isinstance(rule.meter, Gcra) or not rule.enforced or len(rule.by) != 1 or rule.by[0].endswith("?"):
            return None
        return cls(rule, rule.meter, store, clock, accounts)

    def check(self, keys: object, cost: object) -> Verdict | None:
        """The verdict, or None where the general way must decide or refuse the arguments."""
        value = keys.get(self._name) if type(keys) is dict else None
        if type(value) is not str or not value or type(cost) is not int or cost <= 0:
            return None
        key = f"{self._prefix}{len(value)}:{value}"
        units = cost * self._cost
        need = self._emission * units
        room = self._tolerance
        if need > room:
            return None
        with self._lock:
            now = self._now()
            state = self._states.get(key)
            if type(state) is int:
                depth = state - now if state > now else 0
            elif state is None:
                depth = 0
            else:
                return None  # something was given back here
            over = depth + need - room
            if over > 0:
                left = (room - depth) // self._emission if room > depth else 0
                level = _level(Level, (over, left, depth, None))
                return Verdict(False, (_charge(Charge, (self._rule, key, units)),), (level,), cost)
            depth += need
            if state is None:
                self._store.put(key, now + depth, self._rule.meter, self._clock)
            else:
                self._states[key] = now + depth
        level = _level(Level, (0, (room - depth) // self._emission, depth, (now + depth, 0, now)))
        return Verdict(True, (_charge(Charge, (self._rule, key, units)),), (level,), cost, self._accounts)
