"""What the limiter asks of a store: three verbs, each one atomic step.

A store decides all charges of a check together: it reads every bucket, and writes only if each enforced rule has room.
Denials write nothing. Shadow rules are judged in the same step and charged where they have room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ..core.clock import Clock
from .algorithms import Mark
from .rules import LimitRule

__all__ = ["Charge", "Level", "LimitStore", "Settlement"]


class Charge(NamedTuple):
    """Units asked of one bucket."""

    rule: LimitRule
    key: str
    units: int


class Level(NamedTuple):
    """What one bucket said. Durations in nanoseconds.

    `wait` is 0 where the units fit, None where they never will; `remaining` and `reset` hold after the decision;
    `mark` finds the charge again, None where nothing was taken.
    """

    wait: int | None
    remaining: int
    reset: int
    mark: Mark | None


class Settlement(NamedTuple):
    """A charge that was taken, and what it comes to in the end."""

    rule: LimitRule
    key: str
    taken: int
    actual: int
    mark: Mark


class LimitStore(Protocol):
    """Buckets. A store that cannot answer raises; the limiter's declared outage policy decides then."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def take_if(
        self, charges: Sequence[Charge], clock: Clock, *, commit: bool = True
    ) -> tuple[bool, Sequence[Level]]:
        """Takes every charge if each enforced rule has room, else nothing; without `commit` only tells.

        Stores with a clock of their own ignore `clock`.
        """
        ...

    async def settle(self, settlements: Sequence[Settlement], clock: Clock) -> None:
        """Gives back what was taken too much, at most what is still in the bucket; charges what was too little."""
        ...

    async def clear(self, charges: Sequence[Charge]) -> None:
        """Fills these buckets."""
        ...
