"""What each rule says to one question, by walking its tree: the plain form of what `compile` makes fast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .holdings import ancestry
from .judge import Actor, actor_of, read
from .logic import Attribute, Lookup, evaluate
from .model import Model, Rule, Rules
from .schema import PRINCIPAL

__all__ = ["Traced", "trace"]


@dataclass(frozen=True, slots=True)
class Traced:
    """One rule and its value: TRUE, FALSE, or None for UNKNOWN."""

    rule_id: str
    effect: Literal["allow", "forbid"]
    value: bool | None


def trace(model: Model, subject: object, permission: str, resource: object, context: object) -> tuple[Traced, ...]:
    """Every forbid of the permission and every grant of it that the subject's roles write or inherit.

    Nothing for a question that no rule is asked about: an unknown permission, or nobody. The tenant is not compared:
    a rule has a value even where the engine does not come as far.
    """
    rules = model.table.get(permission)
    actor = actor_of(subject, rules.scope) if rules is not None else None
    if rules is None or actor is None:
        return ()
    lookup = _lookup(actor, resource, context)
    forbids = (Traced(rule.id, "forbid", evaluate(rule.condition.node, lookup)) for rule in rules.forbids)
    grants = (Traced(rule.id, "allow", evaluate(rule.condition.node, lookup)) for rule in _grants(model, rules, actor))
    return (*forbids, *grants)


def _grants(model: Model, rules: Rules, actor: Actor) -> Iterator[Rule]:
    roles = dict.fromkeys(each for role in sorted(actor.roles) for each in ancestry(model, role))
    for role in roles:
        yield from model.written[role].get(rules.name, ())


def _lookup(actor: Actor, resource: object, context: object) -> Lookup:
    def value(attribute: Attribute) -> object:
        if attribute.root == "principal":
            return actor.named(attribute.name) if attribute.name in PRINCIPAL else actor.attributes.get(attribute.name)
        return read(resource if attribute.root == "resource" else context, attribute.name)

    return value
