"""What an oracle found: differences are leaks, losses, errors or effects; refusals of legal work are counted apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Difference", "Kind", "OracleReport", "Outcome", "judge"]

Kind = Literal["leak", "loss", "error", "effect", "refusal"]

_SHOWN = 600


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one statement gave.

    Args:
        value: rows, instances or a count, as plain comparable values.
        error: the class name of what was raised, or None.
        refused: the code of a guard's refusal, or None.
        own: the tenant's own rows afterwards, by table.
        others: everybody else's rows afterwards; None where nothing was written.
        form: which kind of statement it is.
        sql: what went to the database, one text a statement.
    """

    value: Any = None
    error: str | None = None
    refused: str | None = None
    own: Mapping[str, Any] | None = None
    others: Mapping[str, Any] | None = None
    form: str = field(default="", compare=False)
    sql: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Difference:
    """One statement whose answer the guard changed, made as small as it goes.

    Args:
        number: of the statement; with the seed it repeats.
        kind: ``leak`` something of another tenant came out, or its rows changed; ``loss`` own rows are missing;
            ``error`` one side raised; ``effect`` the own rows afterwards differ; ``refusal`` legal work was refused.
        shape: the optional parts that the statement is made of.
        guarded, expected: both answers.
    """

    number: int
    kind: Kind
    shape: tuple[str, ...]
    guarded: Outcome
    expected: Outcome

    @property
    def sql(self) -> tuple[str, ...]:
        """What the guarded side sent to the database."""
        return self.guarded.sql

    def __str__(self) -> str:
        parts = " ".join(part.rpartition(".")[2] for part in self.shape)
        lines = [f"{self.kind} in statement {self.number}, {self.guarded.form} ({parts or 'nothing to leave out'})"]
        lines += [f"    sent      {text}" for text in self.guarded.sql]
        lines += [
            f"    {name:9} {_short(side)}" for name, side in (("guarded", self.guarded), ("alone", self.expected))
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class OracleReport:
    """The sum of a run.

    Args:
        statements: how many were compared.
        differences: see `Difference`.
        refusals: how often legal work was refused, by code and form of the statement.
        examples: one statement for each of those.
        failed_alike: statements that neither side could run; many of them mean a poor generator.
    """

    statements: int
    differences: tuple[Difference, ...] = ()
    refusals: Mapping[str, int] = field(default_factory=Counter)
    examples: Mapping[str, Difference] = field(default_factory=dict)
    failed_alike: int = 0

    @property
    def denied(self) -> int:
        """How many legal statements were refused."""
        return sum(self.refusals.values())

    @property
    def denial_rate(self) -> float:
        """Refused legal statements as a share of all, from 0 to 1."""
        return self.denied / self.statements if self.statements else 0.0

    def check(self, *, denials: float = 0.02) -> None:
        """Raises AssertionError where anything differed, or where more than the share `denials` was refused."""
        if self.differences or self.denial_rate > denials:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        kinds = Counter(found.kind for found in self.differences)
        lines = [
            f"{self.statements} statements: {len(self.differences)} differences "
            f"({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items())) or 'none'}), "
            f"{self.denied} false denials ({100 * self.denial_rate:.2f} %), {self.failed_alike} failed on both sides"
        ]
        lines += [str(found) for found in self.differences[:10]]
        lines += [f"{count}x refused: {what}" for what, count in sorted(self.refusals.items())]
        lines += [f"{what}, for example {found}" for what, found in sorted(self.examples.items())]
        return "\n".join(lines)


def judge(guarded: Outcome, expected: Outcome) -> Kind | None:
    """The kind of the difference between two outcomes; None where they agree."""
    if guarded.others and guarded.others != expected.others:
        return "leak"
    if guarded.refused is not None:
        return "refusal" if expected.error is None else None
    if guarded.error != expected.error:
        return "error"
    if guarded.value != expected.value:
        return "leak" if _surplus(guarded.value, expected.value) else "loss"
    return "effect" if guarded.own != expected.own else None


def _surplus(value: Any, expected: Any) -> bool:
    """Whether `value` holds something that `expected` does not."""
    return bool(Counter(_atoms(value)) - Counter(_atoms(expected)))


def _atoms(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        value = tuple(value.items())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _atoms(each)
    else:
        yield repr(value)


def _short(side: Outcome) -> str:
    text = side.refused or side.error or repr(side.value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
