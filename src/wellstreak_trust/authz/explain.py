"""`Explanation`: why a question was answered so, for operators; never for clients.

It names rules and attributes. Of the values it shows the types alone unless asked, because whoever reads a log need
not learn what an attribute held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .breakglass import BreakGlass
from .decision import Decision
from .judge import actor_of
from .logic import All, Atom, Attribute, Either, Lookup, Node, Not, Truth, attributes, evaluate
from .model import Model, Rule
from .spelling import spelled
from .trace import grants_of, lookup_of

__all__ = ["Explained", "Explanation", "Fact", "explained"]

_WORDS: Final = {True: "TRUE", False: "FALSE", None: "UNKNOWN"}


@dataclass(frozen=True, slots=True)
class Fact:
    """An attribute that a condition reads.

    Args:
        name: such as ``resource.owner_id``.
        found: the type of its value, ``absent``, or the value itself where `explain` was asked for values.
    """

    name: str
    found: str


@dataclass(frozen=True, slots=True)
class Explained:
    """One rule and what it said.

    Args:
        value: TRUE, FALSE, or None for UNKNOWN.
        decider: the first part of the condition that kept a grant from being TRUE, or a forbid from being FALSE;
            empty where nothing did.
        facts: what that part reads.
    """

    rule_id: str
    condition: str
    value: bool | None
    decider: str = ""
    facts: tuple[Fact, ...] = ()

    def __str__(self) -> str:
        said = f"{self.rule_id}: {_WORDS[self.value]}"
        if self.condition:
            said += f", when {self.condition}"
        if self.decider:
            seen = ", ".join(f"{fact.name} is {fact.found}" for fact in self.facts)
            said += f"\n      because of {self.decider}" + (f" ({seen})" if seen else "")
        return said


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with the value of every rule that it could have looked at; `str()` is text for operators.

    Args:
        decision: what `check` answers.
        forbids: every forbid of the permission.
        grants: every grant of the permission that the subject's roles hold; those that are not TRUE came near.
        roles: the roles that count, sorted.
        elsewhere: roles of the policy that hold the permission, and the subject does not; where it has no grant.
    """

    decision: Decision
    forbids: tuple[Explained, ...] = ()
    grants: tuple[Explained, ...] = ()
    roles: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def near_misses(self) -> tuple[Explained, ...]:
        """The grants that came near."""
        return tuple(grant for grant in self.grants if grant.value is not True)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        decision = self.decision
        answer = "allowed" if decision.allowed else "denied"
        yield f"{answer}: {decision.permission or 'no permission'} ({decision.code})"
        if decision.rule_ids:
            yield f"  decided by {', '.join(decision.rule_ids)}"
        if decision.missing:
            yield f"  missing or of the wrong type: {', '.join(decision.missing)}"
        yield f"  roles: {', '.join(self.roles) or 'none'}"
        for title, rules in (("forbids", self.forbids), ("grants", self.grants)):
            if rules:
                yield f"  {title}:"
                yield from (f"    {rule}" for rule in rules)
        if self.elsewhere:
            yield f"  held by other roles: {', '.join(self.elsewhere)}"


def explained(model: Model, decision: Decision, asked: tuple[object, object, object], *, values: bool) -> Explanation:
    """The explanation of a decision; may raise what the question's own objects raise.

    Args:
        asked: subject, resource and context.
        values: as in `Policy.explain`.

    Where no rule was reached (nobody asks, an unknown permission, another tenant), no rule is shown.
    """
    subject, resource, context = asked
    rules = model.table.get(decision.permission)
    if rules is None or decision.code in ("unauthenticated", "unknown_permission", "tenant_mismatch"):
        return Explanation(decision)
    actor = actor_of(subject.context() if type(subject) is BreakGlass else subject, rules.scope)
    if actor is None:
        return Explanation(decision)
    trial = _Trial(lookup_of(actor, resource, context), values)
    held = [trial.grant(rule) for rule in grants_of(model, rules, actor)]
    others = () if held else tuple(sorted(role for role in rules.grants if role not in actor.roles))
    forbids = tuple(trial.forbid(rule) for rule in rules.forbids)
    return Explanation(decision, forbids, tuple(held), tuple(sorted(actor.roles)), others)


@dataclass(frozen=True, slots=True)
class _Trial:
    """Rules, tried on one question."""

    lookup: Lookup
    values: bool

    def grant(self, rule: Rule) -> Explained:
        return self._tried(rule, wanted=True)

    def forbid(self, rule: Rule) -> Explained:
        return self._tried(rule, wanted=False)

    def _tried(self, rule: Rule, *, wanted: bool) -> Explained:
        node = rule.condition.node
        value = evaluate(node, self.lookup)
        atom = self._decider(node, wanted)
        if atom is None:
            return Explained(rule.id, rule.condition.text, value)
        facts = tuple(Fact(str(each), self._found(each)) for each in dict.fromkeys(attributes(atom)))
        return Explained(rule.id, rule.condition.text, value, spelled(atom), facts)

    def _decider(self, node: Node, wanted: bool) -> Atom | None:
        """The first atom that kept `node` from being `wanted`; None where it is, or where there is no atom."""
        if evaluate(node, self.lookup) is wanted:
            return None
        match node:
            case Truth():
                return None
            case Not(inner):
                return self._decider(inner, not wanted)
            case All(nodes) | Either(nodes):
                found = (self._decider(inner, wanted) for inner in nodes)
                return next((atom for atom in found if atom is not None), None)
            case _:
                return node

    def _found(self, attribute: Attribute) -> str:
        value = self.lookup(attribute)
        if value is None:
            return "absent"
        return repr(value) if self.values else type(value).__name__
