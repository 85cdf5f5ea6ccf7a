"""`Dice`: chance that repeats, in parts that can be left out one by one.

A statement is grown from a seed. Every optional part of it rolls dice of its own, seeded by its place, so that leaving
one out changes nothing else. That is what makes a failing statement small: try without each part, and keep what still
fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Self, TypeVar

__all__ = ["Dice"]

T = TypeVar("T")


class Dice:
    """Chance from `seed` at one place of a statement.

    Args:
        seed: equal seeds give equal rolls in every process.
        without: places that are left out.
    """

    def __init__(self, seed: str, without: frozenset[str] = frozenset()) -> None:
        self.taken: list[str] = []
        self.path: str = ""
        self._seed: str = seed
        self._without: frozenset[str] = without
        self._random: Random = Random(seed)
        self._steps: int = 0

    def part(self, name: str, odds: float = 1.0) -> Self | None:
        """Dice for an optional part; None when it is not there. `odds` is the chance that it is, from 0 to 1."""
        inner = self.always(name)
        if inner.chance(1.0 - odds) or inner.path in self._without:
            return None
        self.taken.append(inner.path)
        return inner

    def always(self, name: str) -> Self:
        """Dice for a part that cannot be left out."""
        self._steps += 1
        inner = type(self).__new__(type(self))
        inner.taken, inner._seed, inner._without = self.taken, self._seed, self._without
        inner.path, inner._steps = f"{self.path}/{self._steps}.{name}", 0
        inner._random = Random(f"{self._seed}{inner.path}")
        return inner

    def chance(self, odds: float) -> bool:
        """True with the probability `odds`."""
        return self._random.random() < odds

    def choice(self, options: Sequence[T]) -> T:
        """One of `options`, which is not empty."""
        return self._random.choice(options)

    def some(self, options: Sequence[T], least: int = 1, most: int = 3) -> list[T]:
        """Between `least` and `most` different ones of `options`, as far as there are so many."""
        most = min(most, len(options))
        return self._random.sample(options, self._random.randint(min(least, most), most))

    def number(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return self._random.randint(low, high)
