"""What a role holds, as one condition for each permission: what every analysis looks at."""

from __future__ import annotations

from typing import Final

from .decision import Decision
from .logic import All, Either, Node, Truth, negated
from .model import Model

__all__ = ["NEVER", "allowed", "ancestry", "granted", "wildcards"]

NEVER: Final = Truth(False)


def granted(model: Model, role: str, permission: str) -> Node:
    """When the role's grants hold, inherited ones included; FALSE for none."""
    rules = model.table.get(permission)
    held = rules.grants.get(role, ()) if rules is not None else ()
    if isinstance(held, Decision):
        return Truth(True)
    found = tuple(dict.fromkeys(rule.condition.node for rule in held))
    if not found:
        return NEVER
    return found[0] if len(found) == 1 else Either(found)


def allowed(model: Model, role: str, permission: str) -> Node:
    """When a holder of the role alone gets past grants and forbids.

    TRUE exactly where a grant is TRUE and every forbid FALSE: an UNKNOWN forbid makes the conjunction UNKNOWN.
    """
    grants = granted(model, role, permission)
    rules = model.table.get(permission)
    if rules is None or grants == NEVER:
        return NEVER
    forbids = (negated(rule.condition.node) for rule in rules.forbids)
    return All((grants, *dict.fromkeys(forbids)))


def ancestry(model: Model, role: str) -> tuple[str, ...]:
    """The role and all it inherits, each once, nearest first."""
    found = {role: None} if role in model.document.roles else {}
    for name in (queue := list(found)):
        for parent in model.document.roles[name].inherits:
            if parent not in found:
                found[parent] = None
                queue.append(parent)
    return tuple(found)


def wildcards(model: Model, role: str, permission: str) -> tuple[str, ...]:
    """The wildcards by which the role holds the permission, as they are written."""
    names = (grant.permission for each in ancestry(model, role) for grant in model.document.roles[each].allow)
    group = permission.partition(":")[0]
    details = model.document.permissions.get(permission)
    if details is None or details.scope != "tenant":
        return ()  # platform permissions are never held by wildcard
    return tuple(dict.fromkeys(name for name in names if name in ("*", f"{group}:*")))
