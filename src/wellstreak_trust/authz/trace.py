"""What each rule says to one question, by walking its tree: the plain form of what `compile` makes fast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from .holdings import ancestry
from .implication import Table
from .judge import Actor, actor_of, read
from .logic import Attribute, Lookup, Node, evaluate, negated
from .model import Model, Rule, Rules
from .reader import spell
from .schema import PRINCIPAL

__all__ = ["RuleFacts", "Traced", "grants_of", "lookup_of", "rules", "trace"]


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """One rule as written.

    Args:
        place: path in the document.
        condition: the text of its `when`, empty for none.
        tree: the condition, read.
        values: what it can be in any case at all; ``has(x) && x``, say, is never UNKNOWN.
    """

    id: str
    effect: Literal["allow", "forbid"]
    place: str
    condition: str
    tree: Node
    permissions: tuple[str, ...]
    values: frozenset[bool | None]


def rules(model: Model) -> tuple[RuleFacts, ...]:
    """Every rule of the document, in its order."""
    document = model.document
    places: dict[str, tuple[Literal["allow", "forbid"], str]] = {}
    for role, details in document.roles.items():
        for index, grant in enumerate(details.allow):
            places[grant.id or f"{role}.allow[{index}]"] = "allow", spell(("roles", role, "allow", index))
    for index, forbid in enumerate(document.forbid):
        places[forbid.id] = "forbid", spell(("forbid", index))
    found: dict[str, dict[str, Rule]] = {identifier: {} for identifier in places}
    for held in model.written.values():
        for permission, grants in held.items():
            for rule in grants:
                found[rule.id][permission] = rule
    for each in model.table.values():
        for rule in each.forbids:
            found[rule.id][each.name] = rule
    return tuple(_facts(identifier, *places[identifier], by_name) for identifier, by_name in found.items())


def _facts(
    identifier: str, effect: Literal["allow", "forbid"], place: str, by_permission: Mapping[str, Rule]
) -> RuleFacts:
    condition = next(iter(by_permission.values())).condition
    tree, permissions = condition.node, tuple(by_permission)
    return RuleFacts(identifier, effect, place, condition.text, tree, permissions, _values(tree))


def _values(node: Node) -> frozenset[bool | None]:
    """Past 8 distinct atoms, all three."""
    table = Table.of(node)
    if table is None:
        return frozenset((True, False, None))
    possible = ((True, table.true(node)), (False, table.true(negated(node))), (None, table.unknown(node)))
    return frozenset(value for value, cases in possible if cases)


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
    asked = model.table.get(permission)
    actor = actor_of(subject, asked.scope) if asked is not None else None
    if asked is None or actor is None:
        return ()
    lookup = lookup_of(actor, resource, context)
    forbids = (Traced(rule.id, "forbid", evaluate(rule.condition.node, lookup)) for rule in asked.forbids)
    grants = (
        Traced(rule.id, "allow", evaluate(rule.condition.node, lookup)) for rule in grants_of(model, asked, actor)
    )
    return (*forbids, *grants)


def grants_of(model: Model, asked: Rules, actor: Actor) -> Iterator[Rule]:
    """The grants as written, of each role that counts and of what it inherits."""
    roles = dict.fromkeys(each for role in sorted(actor.roles) for each in ancestry(model, role))
    for role in roles:
        yield from model.written[role].get(asked.name, ())


def lookup_of(actor: Actor, resource: object, context: object) -> Lookup:
    """What a question says about each attribute, None where it is absent."""

    def value(attribute: Attribute) -> object:
        if attribute.root == "principal":
            return actor.named(attribute.name) if attribute.name in PRINCIPAL else actor.attributes.get(attribute.name)
        return read(resource if attribute.root == "resource" else context, attribute.name)

    return value
