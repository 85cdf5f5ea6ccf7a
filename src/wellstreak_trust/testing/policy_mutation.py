"""Would the tables notice? Each mutant is the policy with one rule dropped, flipped or loosened."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..authz import Policy, RuleFacts
from ..authz.logic import All, Either, negated
from ..authz.spelling import spelled
from ..core.errors import PolicyError
from .policy import PolicyTable

__all__ = ["Mutant", "MutationReport", "mutants", "mutate"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A policy with one fault.

    Args:
        fault: what was done, and where.
    """

    fault: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class MutationReport:
    """Which faults the tables noticed; true where they noticed every one.

    Args:
        killed, survivors: the faults by whether some table failed.
    """

    killed: tuple[str, ...]
    survivors: tuple[str, ...]

    def __bool__(self) -> bool:
        return not self.survivors

    @property
    def percent(self) -> int:
        """Killed, of all, rounded down."""
        total = len(self.killed) + len(self.survivors)
        return 100 * len(self.killed) // total if total else 100


def mutate(policy: Policy, tables: Iterable[PolicyTable]) -> MutationReport:
    """Runs the tables against every mutant that means something else than the policy."""
    held = tuple(tables)
    killed: list[str] = []
    survivors: list[str] = []
    for mutant in mutants(policy):
        noticed = not all(table.run(mutant.policy) for table in held)
        (killed if noticed else survivors).append(mutant.fault)
    return MutationReport(tuple(killed), tuple(survivors))


def mutants(policy: Policy) -> Iterator[Mutant]:
    """Every mutant, without those whose `diff` to the policy is empty: no table could tell them apart.

    Nor those whose condition, spelt out, is beyond what a document may hold; that rule's other mutants remain.
    """
    original = policy.document
    for fault, path, value in _faults(original, policy.rules()):
        try:
            changed = Policy.from_dict(_edited(original, path, value))
        except PolicyError:
            continue
        if policy.diff(changed):
            yield Mutant(fault, changed)


_Path = tuple[str | int, ...]
_Fault = tuple[str, _Path, str | None]  # in words, where, and the new text; None drops what is there


def _faults(document: Mapping[str, Any], rules: Iterable[RuleFacts]) -> Iterator[_Fault]:
    for role, details in document.get("roles", {}).items():
        for index in range(len(details.get("inherits", ()))):
            yield f"dropped roles.{role}.inherits[{index}]", ("roles", role, "inherits", index), None
    for name, details in document.get("permissions", {}).items():
        for key in ("step_up", "approval"):
            if details.get(key):
                yield f"dropped {key} of {name}", ("permissions", name, key), None
    for rule, path in zip(rules, _places(document), strict=True):
        yield f"dropped {rule.place}", path, None
        if rule.condition:
            yield from _loosened(rule, (*path, "when"))


def _places(document: Mapping[str, Any]) -> Iterator[_Path]:
    """Where the rules are, in the order of `Policy.rules`."""
    for role, details in document.get("roles", {}).items():
        yield from (("roles", role, "allow", index) for index in range(len(details.get("allow", ()))))
    yield from (("forbid", index) for index in range(len(document.get("forbid", ()))))


def _loosened(rule: RuleFacts, path: _Path) -> Iterator[_Fault]:
    """A grant without its condition or without one part of an `&&`; a forbid flipped or without one part of an `||`."""
    if rule.effect == "allow":
        yield f"loosened {rule.place}: no condition", path, None
        weakened: type[All | Either] = All
    else:
        yield f"flipped {rule.place}", path, spelled(negated(rule.tree))
        weakened = Either
    if isinstance(rule.tree, weakened):
        for index, part in enumerate(rule.tree.nodes):
            rest = weakened((*rule.tree.nodes[:index], *rule.tree.nodes[index + 1 :]))
            yield f"loosened {rule.place}: without {spelled(part)}", path, spelled(rest)


def _edited(document: Mapping[str, Any], path: _Path, value: str | None) -> dict[str, Any]:
    found = copy.deepcopy(dict(document))
    place: Any = found
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return found
