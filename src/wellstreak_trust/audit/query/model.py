"""A parsed query, which is its own predicate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

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
_INDEXED: Final = ("actor", "action", "id")


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

    def hull(self) -> Span:
        """A span around all numbers for which the clause can hold."""
        tests = [test for test in self.tests if isinstance(test, Span)]
        lows = [bound.low for bound in self.bounds]
        highs = [bound.high for bound in self.bounds]
        if tests:
            lows.append(min((test.low for test in tests), key=lambda low: (low is not None, low)))
            highs.append(max((test.high for test in tests), key=lambda high: (high is None, high or 0)))
        ends = [low for low in lows if low is not None], [high for high in highs if high is not None]
        return Span(max(ends[0], default=None), min(ends[1], default=None))

    def _holds(self, value: Scalar) -> bool:
        inside = all(bound.matches(value) for bound in self.bounds)
        return inside and (not self.tests or any(test.matches(value) for test in self.tests))


@dataclass(frozen=True, slots=True)
class Query:
    """Clauses that must all hold; none at all matches every event."""

    clauses: tuple[Clause, ...] = ()

    @property
    def by_column(self) -> bool:
        """Whether columns alone decide."""
        return all(QUALIFIERS[clause.name].column is not None for clause in self.clauses)

    @property
    def by_index(self) -> bool:
        """Whether an index leads to every match: an actor, an action or an id is named in full."""
        return any(
            clause.name in _INDEXED
            and not clause.negated
            and bool(clause.tests)
            and all(isinstance(test, Glob) and test.exact for test in clause.tests)
            for clause in self.clauses
        )

    @property
    def created(self) -> Span | None:
        """The span of times that every match lies in; None where there is no bound."""
        spans = [clause.hull() for clause in self.clauses if clause.name == "created" and not clause.negated]
        return spans[0] if spans and (spans[0].low, spans[0].high) != (None, None) else None

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether a parsed leaf fits. The one definition of what a query means."""
        return all(clause.matches(event) for clause in self.clauses)
