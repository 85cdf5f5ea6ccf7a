"""Which rules a set of tables has shown at work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..authz import Policy, RuleFacts
from .policy import PolicyTable

__all__ = ["RuleCoverage", "rule_coverage"]

_WORDS: Final[Mapping[bool | None, str]] = {True: "TRUE", False: "FALSE", None: "UNKNOWN"}


@dataclass(frozen=True, slots=True)
class RuleCoverage:
    """What was seen of each rule; true where nothing is missing.

    Args:
        seen: the values of each rule, by its id.
        fired: the forbids that decided a question.
    """

    rules: tuple[RuleFacts, ...]
    seen: Mapping[str, frozenset[bool | None]]
    fired: frozenset[str]

    def __bool__(self) -> bool:
        return not self.missing

    @property
    def missing(self) -> tuple[str, ...]:
        """A line for each value that a rule can have and never had, and for each forbid that never denied."""
        return tuple(line for rule in self.rules for line in self._gaps(rule))

    @property
    def percent(self) -> int:
        """Values seen, of those that can be, rounded down."""
        possible = sum(len(rule.values) for rule in self.rules)
        seen = sum(len(rule.values & self.seen[rule.id]) for rule in self.rules)
        return 100 * seen // possible if possible else 100

    def _gaps(self, rule: RuleFacts) -> Iterator[str]:
        for value, word in _WORDS.items():
            if value in rule.values - self.seen[rule.id]:
                yield f"{rule.place}: {rule.id} was never {word}"
        if rule.effect == "forbid" and True in rule.values and rule.id not in self.fired:
            yield f"{rule.place}: {rule.id} never denied anything"


def rule_coverage(policy: Policy, tables: Iterable[PolicyTable]) -> RuleCoverage:
    """Runs the tables and looks at every rule of every question.

    A grant counts where a role of the subject holds it, and a forbid is proved to fire by a decision that names it.
    """
    facts = policy.rules()
    seen: dict[str, set[bool | None]] = {rule.id: set() for rule in facts}
    fired: set[str] = set()
    for table in tables:
        for outcome in table.run(policy).outcomes:
            who, what = table.subjects.get(outcome.subject), table.resources.get(outcome.resource)
            for rule in policy.trace(who, outcome.permission, what, table.context):
                seen[rule.rule_id].add(rule.value)
            if outcome.decision.code == "forbidden_by_rule":
                fired.update(outcome.decision.rule_ids)
    return RuleCoverage(facts, {name: frozenset(values) for name, values in seen.items()}, frozenset(fired))
