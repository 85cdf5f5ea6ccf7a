"""The oracle of any ORM: the same statement, guarded among others' rows and unguarded alone, must give the same.

A side is one place where statements run. The left side is guarded and its database is shared; the right side is the
physical truth: a database in which nobody else has rows. What the right side answers is what isolation *means*, so no
rule of the guard is repeated here.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol

from .dice import Dice
from .report import Difference, OracleReport, Outcome, judge

__all__ = ["Oracle", "ScriptOracle", "Side"]

_TRIES: Final = 60  # to make one difference small


class Side(Protocol):
    """One place where statements run."""

    def play(self, dice: Dice) -> Outcome:
        """Grows the statement that `dice` describes, runs it in the tenant's scope, and puts the rows back."""

    def script(self, dice: Dice, length: int) -> Outcome:
        """As `play`, for several statements whose changes stay until the end; `value` holds what each gave."""


class Oracle:
    """Compares two sides.

    Args:
        guarded: the side under test.
        alone: the side that is right.
        seed: equal seeds give equal statements.
    """

    def __init__(self, guarded: Side, alone: Side, seed: int | str = 0) -> None:
        self.guarded: Side = guarded
        self.alone: Side = alone
        self.seed: str = str(seed)

    def run(self, statements: int = 300, *, first: int = 0, most: int = 20) -> OracleReport:
        """Compares that many statements.

        Args:
            first: the number of the first one.
            most: differences to make small; the others are counted as they are.
        """
        differences: list[Difference] = []
        refusals: Counter[str] = Counter()
        examples: dict[str, Difference] = {}
        failed = 0
        for number in range(first, first + statements):
            found, alike = self._tried(number, frozenset())
            failed += alike
            if found is None:
                continue
            if found.kind != "refusal":
                differences.append(self._smallest(found) if len(differences) < most else found)
                continue
            what = f"{found.guarded.refused} in {found.guarded.form}"
            refusals[what] += 1
            if what not in examples:
                examples[what] = self._smallest(found)
        return OracleReport(statements, tuple(differences), refusals, examples, failed)

    def replay(self, number: int) -> Difference | None:
        """One statement again, made small; None where both sides agree."""
        found, _ = self._tried(number, frozenset())
        return None if found is None else self._smallest(found)

    def _played(self, side: Side, dice: Dice) -> Outcome:
        return side.play(dice)

    def _tried(self, number: int, without: frozenset[str]) -> tuple[Difference | None, bool]:
        """What differs, and whether both sides failed alike."""
        seed = f"{self.seed}:{number}"
        dice = Dice(seed, without)
        guarded = self._played(self.guarded, dice)
        expected = self._played(self.alone, Dice(seed, without))
        kind = judge(guarded, expected)
        if kind is None:
            return None, expected.error is not None
        return Difference(number, kind, tuple(dice.taken), guarded, expected), False

    def _smallest(self, found: Difference) -> Difference:
        """Leaves out one part after the other for as long as the kind of the difference stays."""
        without: frozenset[str] = frozenset()
        parts = list(found.shape)
        for _ in range(_TRIES):
            if not parts:
                break
            part = parts.pop()
            smaller, _ = self._tried(found.number, without | {part})
            if smaller is not None and (smaller.kind, smaller.guarded.refused) == (found.kind, found.guarded.refused):
                found, without = smaller, without | {part}
                parts = [each for each in parts if each in smaller.shape]
        return found


class ScriptOracle(Oracle):
    """Non-interference: both sides are guarded and hold the same rows of the tenant, and different rows of others.

    A script of the tenant must give the same on both, statement by statement: values, errors, row counts, and the own
    rows in the end. Whatever differs was told by the others' rows.

    Args:
        length: statements in a script.
    """

    def __init__(self, guarded: Side, beside: Side, seed: int | str = 0, *, length: int = 6) -> None:
        super().__init__(guarded, beside, seed)
        self.length: int = length

    def _played(self, side: Side, dice: Dice) -> Outcome:
        return side.script(dice, self.length)
