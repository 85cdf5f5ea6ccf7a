"""Denials remembered in this process, so that a caller who hammers an exhausted bucket costs the store nothing.

A denial says when the same cost would fit if nothing else comes. Until then asking again can only be denied again,
unless somebody gives units back, so only rules that are never refunded may be named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Final, NamedTuple

from ..core.clock import Clock
from .store import Charge, Level
from .verdict import Verdict

__all__ = ["DenyCache"]

_MOST: Final = 10_000


class _Denial(NamedTuple):
    charge: Charge
    level: Level
    at: int
    until: int


class DenyCache:
    """What rules refused, by bucket, on the monotonic clock; bounded.

    Args:
        names: the rules whose denials are remembered.
    """

    __slots__ = ("_clock", "_denied", "_lock", "_names")

    def __init__(self, names: Iterable[str], clock: Clock) -> None:
        self._names: frozenset[str] = frozenset(names)
        self._clock: Clock = clock
        self._lock: Lock = Lock()
        self._denied: dict[str, _Denial] = {}

    def refusal(self, charges: Sequence[Charge], cost: int) -> Verdict | None:
        """The denial that stands for one of these charges, about that rule alone; None where the store must say."""
        now = 0
        for charge in charges:
            denial = self._denied.get(charge.key)
            if denial is None or charge.units < denial.charge.units or charge.rule != denial.charge.rule:
                continue  # less may fit, and so may the same under a larger plan
            now = now or self._clock.monotonic_ns()
            if now < denial.until:
                aged = max(denial.level.reset - (now - denial.at), 0)
                level = Level(denial.until - now, denial.level.remaining, aged, None)
                return Verdict(False, (charge,), (level,), cost)
            self._drop(charge.key)
        return None

    def remember(self, charges: Sequence[Charge], levels: Sequence[Level], asked_at: int) -> None:
        """Keeps what enforced rules refused for a time, from when the store was asked: its answer took its time."""
        for charge, level in zip(charges, levels, strict=True):
            if level.wait and charge.rule.enforced and charge.rule.name in self._names:
                with self._lock:
                    self._denied[charge.key] = _Denial(charge, level, asked_at, asked_at + level.wait)
                    if len(self._denied) > _MOST:
                        del self._denied[next(iter(self._denied))]

    def forget(self, charges: Sequence[Charge]) -> None:
        """Drops what is kept of these buckets."""
        for charge in charges:
            self._drop(charge.key)

    def _drop(self, key: str) -> None:
        with self._lock:
            self._denied.pop(key, None)
