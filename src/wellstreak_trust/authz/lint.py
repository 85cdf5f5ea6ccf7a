"""What a reviewer would ask about: rules that load and yet are hardly meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from .escalation import climbs
from .holdings import allowed, granted
from .implication import Table
from .logic import All, Attribute, Constant, Member, Node, Truth, atoms, negated, unknowns
from .model import Condition, Model, Rule
from .reader import spell
from .trace import rules as every_rule

__all__ = ["Finding", "FindingCode", "lint"]

FindingCode = Literal[
    "forbid_always",
    "forbid_never",
    "grant_always",
    "grant_never",
    "idle_role",
    "mixed_scopes",
    "reaches_owner",
    "risky_grant",
    "shadowed_grant",
    "ungranted_permission",
    "unguarded_forbid",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One question to the author.

    Args:
        place: path in the document, such as ``roles.member.allow[1]``.
        text: what stands there.
        hint: what to write instead, or when to leave it.
    """

    code: FindingCode
    place: str
    text: str
    hint: str

    def __str__(self) -> str:
        return f"{self.place}: {self.code}: {self.text} ({self.hint})"


def lint(model: Model) -> list[Finding]:
    """Every finding, in the order of the document; empty is good."""
    return [finding for look in _LOOKS for finding in look(model)]


def _ungranted(model: Model) -> Iterator[Finding]:
    for name, each in model.table.items():
        if not each.grants:
            yield Finding(
                "ungranted_permission", spell(("permissions", name)), f"no role grants {name}",
                "grant it, or take it from the catalogue",
            )  # fmt: skip


def _grants(model: Model) -> Iterator[Finding]:
    """Conditions of grants that decide nothing; each grant is looked at in the role that writes it."""
    for role, place, rule, permissions in _written(model):
        condition = rule.condition
        if condition.always and not condition.text:
            continue
        value = _constant(condition)
        if value is not None:
            code, hint = _CONSTANT_GRANT[value]
            yield Finding(code, f"{place}.when", f"{condition.text!r} is {_TRUTH[value]}", hint)
            continue
        shadowed = [name for name in permissions if granted(model, role, name) == Truth(True)]
        if shadowed:
            yield Finding(
                "shadowed_grant", place, f"{role} holds {', '.join(shadowed)} without this condition",
                "drop this grant, or the wider one that it was meant to narrow",
            )  # fmt: skip
        elif all(_dead(All((condition.node, *_passed(model, name)))) for name in permissions):
            yield Finding(
                "grant_never", place, f"forbids deny {', '.join(permissions)} wherever {condition.text!r} holds",
                "drop the grant, or narrow the forbid",
            )  # fmt: skip


def _passed(model: Model, permission: str) -> list[Node]:
    """That no forbid of the permission stands in the way."""
    return [negated(rule.condition.node) for rule in model.table[permission].forbids]


def _dead(node: Node) -> bool:
    table = Table.of(node)
    return table is not None and table.never(node)


def _idle(model: Model) -> Iterator[Finding]:
    """Roles that open nothing; a role that some condition asks about has its use there."""
    asked = {
        atom.left.value
        for rule in every_rule(model)
        for atom in atoms(rule.tree)
        if isinstance(atom, Member) and isinstance(atom.left, Constant) and atom.right == _ROLES
    }
    for role in model.ranks:
        held = (allowed(model, role, name) for name, each in model.table.items() if role in each.grants)
        if role not in asked and all(map(_dead, held)):
            yield Finding(
                "idle_role", spell(("roles", role)), f"{role} opens nothing",
                "give it something, or take it away",
            )  # fmt: skip


def _climbing(model: Model) -> Iterator[Finding]:
    """Roles from which one comes to hold all that an owner holds."""
    if _OWNER in model.ranks:
        for role, path in climbs(model, _OWNER).items():
            yield Finding(
                "reaches_owner", spell(("roles", role)), "; then ".join(map(str, path)),
                "lower its rank or narrow its grants; or is this another kind of owner?",
            )  # fmt: skip


def _written(model: Model) -> Iterator[tuple[str, str, Rule, list[str]]]:
    """Each grant as written: its role, its place, the rule, and the permissions it stands for."""
    for role, held in model.written.items():
        by_id: dict[str, tuple[Rule, list[str]]] = {}
        for permission, rules in held.items():
            for rule in rules:
                by_id.setdefault(rule.id, (rule, []))[1].append(permission)
        for index, grant in enumerate(model.document.roles[role].allow):
            rule, permissions = by_id[grant.id or f"{role}.allow[{index}]"]
            yield role, spell(("roles", role, "allow", index)), rule, permissions


def _forbids(model: Model) -> Iterator[Finding]:
    rules = {rule.id: rule for each in model.table.values() for rule in each.forbids}
    for index, forbid in enumerate(model.document.forbid):
        place, condition = spell(("forbid", index)), rules[forbid.id].condition
        value = _constant(condition)
        if value is not None:
            code, hint = _CONSTANT_FORBID[value]
            text = f"{forbid.id} holds {'always' if value else 'never'}"
            yield Finding(code, f"{place}.when" if forbid.when else place, text, hint)
        elif any("*" in name for name in forbid.permissions):
            bare = sorted({str(each) for each in unknowns(condition.node, lambda _: None) if each.root == "resource"})
            if bare:
                yield Finding(
                    "unguarded_forbid", f"{place}.when",
                    f"{forbid.id} denies every question without {', '.join(bare)}, and every one without a resource",
                    f"write has({bare[0]}) && ... where the attribute may rightly be absent",
                )  # fmt: skip


def _constant(condition: Condition) -> bool | None:
    """True where it holds in every case, False where in none; None where that depends, or is too large to try out."""
    table = Table.of(condition.node)
    if table is None:
        return None
    if table.always(condition.node):
        return True
    return False if table.never(condition.node) else None


def _roles(model: Model) -> Iterator[Finding]:
    for role, rank in model.ranks.items():
        held = [rules for rules in model.table.values() if role in rules.grants]
        if len({rules.scope for rules in held}) > 1:
            yield Finding(
                "mixed_scopes", spell(("roles", role)), f"{role} holds tenant and platform permissions",
                "make two roles: who operates the platform holds no tenant data",
            )  # fmt: skip
        details = model.document.permissions
        risky = [r.name for r in held if r.scope == "tenant" and details[r.name].risk == "high"]
        bare = [name for name in risky if granted(model, role, name) == Truth(True)]
        if rank == 0 and bare:
            yield Finding(
                "risky_grant", spell(("roles", role)),
                f"{role} has no rank and holds {', '.join(bare)} without condition",
                "give the role a rank, so that delegation can order it, or give the grant a condition",
            )  # fmt: skip


_TRUTH: Final = {True: "TRUE in every case", False: "TRUE in no case"}
_CONSTANT_GRANT: Final[dict[bool, tuple[FindingCode, str]]] = {
    True: ("grant_always", "drop the condition, or write the one that is meant"),
    False: ("grant_never", "drop the grant, or write the condition that is meant"),
}
_CONSTANT_FORBID: Final[dict[bool, tuple[FindingCode, str]]] = {
    True: ("forbid_always", "take the permissions from the catalogue if nobody may ever use them"),
    False: ("forbid_never", "drop the forbid, or write the condition that is meant"),
}
_OWNER: Final = "owner"
_ROLES: Final = Attribute("principal", "roles", "strings")
_LOOKS: Final[tuple[Callable[[Model], Iterator[Finding]], ...]] = (
    _ungranted, _roles, _idle, _climbing, _grants, _forbids,
)  # fmt: skip
