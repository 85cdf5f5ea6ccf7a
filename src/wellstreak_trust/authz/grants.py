"""Delegated administration: may one member leave another holding exactly these roles?

Ranks alone are not enough, because a custom role of rank 0 may hold more than an admin; and permissions alone are not
enough, because an admin could then strip an owner. So both are compared, on what is given and on what is taken.
Every path uses this one rule: invite, assign, revoke, transfer, role edit, key mint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..core.principal import Principal
from ..core.tenant import Membership, TenantContext
from .ceilings import mask_on
from .decision import Decision
from .implication import implies
from .judge import Actor, actor_of, names
from .logic import Either, Node, Truth
from .model import Model, Rules

__all__ = ["Assignment", "AssignmentCode", "assign"]

AssignmentCode = Literal[
    "allowed",
    "unauthenticated",
    "tenant_mismatch",
    "impersonated",
    "unknown_role",
    "exceeds_grants",
    "exceeds_rank",
    "target_outranks",
    "ceiling",
    "evaluation_error",
]


@dataclass(frozen=True, slots=True)
class Assignment:
    """Whether roles may be given, and why not; its truth value is `allowed`.

    Args:
        permissions: what the subject lacks, sorted; empty where something else decided.
    """

    allowed: bool
    code: AssignmentCode
    permissions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.allowed


def assign(model: Model, subject: object, target: object, roles: object) -> Assignment:
    """Whether `subject` may leave `target` holding exactly `roles`; may raise what their own code raises."""
    giver, taker = actor_of(subject), _taker(target)
    if giver is None or taker is None:
        return _refused("unauthenticated")
    if giver.tenant_id is None or giver.tenant_id != taker.tenant_id:
        return _refused("tenant_mismatch")
    if mask_on(giver.principal) is not None:  # also an agent that nobody stands behind
        return _refused("impersonated")
    given = _known(model, roles)
    if given is None:
        return _refused("unknown_role")
    return _compared(model, giver, taker, given)


def _compared(model: Model, giver: Actor, taker: Actor, given: frozenset[str]) -> Assignment:
    lacking = _lacking(model, given, giver.roles)
    if lacking:
        return _refused("exceeds_grants", lacking)
    rank = _rank(model, giver.roles)
    if any(model.ranks[role] > rank for role in given):  # no role at all is below every rank
        return _refused("exceeds_rank")
    if taker.id != giver.id and taker.roles:
        lacking = _lacking(model, taker.roles, giver.roles)
        if lacking or _rank(model, taker.roles) >= rank:
            return _refused("target_outranks", lacking)
    if giver.scopes is not None:
        scopes = names(giver.scopes)
        uncovered = [name for name, rules in model.table.items() if _conditions(rules, given) and name not in scopes]
        if uncovered:
            return _refused("ceiling", uncovered)
    return Assignment(True, "allowed")


def _refused(code: AssignmentCode, permissions: Iterable[str] = ()) -> Assignment:
    return Assignment(False, code, tuple(sorted(permissions)))


def _taker(target: object) -> Actor | None:
    if type(target) is Membership:
        return actor_of(TenantContext(target.tenant_id, Principal(target.principal_id), target))
    return actor_of(target)


def _known(model: Model, roles: object) -> frozenset[str] | None:
    """The roles as a set; None where one is unknown, or where there is text in place of a collection."""
    if not isinstance(roles, Iterable) or isinstance(roles, str | bytes | Mapping):
        return None
    given = list(roles)
    return frozenset(given) if all(type(role) is str and role in model.ranks for role in given) else None


def _rank(model: Model, roles: frozenset[str]) -> int:
    """The highest; a role that the policy does not know counts for nothing."""
    return max((model.ranks[role] for role in roles if role in model.ranks), default=0)


def _lacking(model: Model, wanted: frozenset[str], held: frozenset[str]) -> list[str]:
    """The permissions that `wanted` roles hold and `held` roles do not, or only under a narrower condition.

    Platform permissions are never held through a membership, so nobody can hand one on.
    """
    return [
        name
        for name, rules in model.table.items()
        if not _covers(_conditions(rules, held) if rules.scope == "tenant" else [], _conditions(rules, wanted))
    ]


def _conditions(rules: Rules, roles: frozenset[str]) -> list[Node]:
    """Under which conditions these roles hold the permission; TRUE for one without condition."""
    found: list[Node] = []
    for role in roles:
        entry = rules.grants.get(role, ())
        if isinstance(entry, Decision):
            return [Truth(True)]
        found += (rule.condition.node for rule in entry)
    return list(dict.fromkeys(found))


def _covers(held: list[Node], wanted: list[Node]) -> bool:
    together = Either(tuple(held))
    return all(implies(condition, together) for condition in wanted)
