"""What a reviewer would ask about: rules that load and yet are hardly meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from .holdings import granted
from .implication import Table
from .logic import Truth, unknowns
from .model import Condition, Model, Rule
from .reader import spell

__all__ = ["Finding", "FindingCode", "lint"]

FindingCode = Literal[
    "forbid_always",
    "forbid_never",
    "grant_always",
    "grant_never",
    "mixed_scopes",
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
    for name, rules in model.table.items():
        if not rules.grants:
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
_LOOKS: Final[tuple[Callable[[Model], Iterator[Finding]], ...]] = (_ungranted, _roles, _grants, _forbids)
