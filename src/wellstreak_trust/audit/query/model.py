"""A parsed query, which is its own predicate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .fields import QUALIFIERS, Scalar

__all__ = ["Clause", "Glob", "Query", "Span", "Test"]


@dataclass(frozen=True, slots=True)
class Glob:
    """Text with ``*`` for any run of characters, cut at the stars; one part alone is the text itself.

    Matched part by part from the left, each once: linear in the text, where a regular expression might not be.
    """

    parts: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether there is no star."""
        return len(self.parts) == 1

    def matches(self, value: Scalar) -> bool:
        """Whether the whole value is of this form, case and all."""
        text = value if isinstance(value, str) else str(value)
        first, *rest = self.parts
        if not rest:
            return text == first
        *middle, last = rest
        if not text.startswith(first):
            return False
        at = len(first)
        for part in middle:
            found = text.find(part, at)
            if found < 0:
                return False
            at = found + len(part)
        return len(text) - at >= len(last) and text.endswith(last)


@dataclass(frozen=True, slots=True)
class Span:
    """Whole numbers from `low` up to, but not including, `high`; None is open. Times are microseconds UTC."""

    low: int | None
    high: int | None

    def matches(self, value: Scalar) -> bool:
        """Whether a number lies inside; text never does."""
        if not isinstance(value, int):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value < self.high)


Test = Glob | Span


@dataclass(frozen=True, slots=True)
class Clause:
    """What a query says of one key.

    Args:
        name, path: the qualifier, and the path behind it.
        tests: one of them must hold, if there is any.
        bounds: all of them must hold: ``created:>=a created:<b`` is a range and no alternative.
        negated: the event must have no value for which the clause holds.
    """

    name: str
    path: tuple[str, ...]
    tests: tuple[Test, ...]
    bounds: tuple[Span, ...] = ()
    negated: bool = False

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether the event fits."""
        values = QUALIFIERS[self.name].read(event, self.path)
        return any(self._holds(value) for value in values) is not self.negated

    def _holds(self, value: Scalar) -> bool:
        inside = all(bound.matches(value) for bound in self.bounds)
        return inside and (not self.tests or any(test.matches(value) for test in self.tests))


@dataclass(frozen=True, slots=True)
class Query:
    """Clauses that must all hold; none at all matches every event."""

    clauses: tuple[Clause, ...] = ()

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether a parsed leaf fits. The one definition of what a query means."""
        return all(clause.matches(event) for clause in self.clauses)
