"""What changes for whom between two policies, by meaning and not by text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from .holdings import NEVER, allowed, wildcards
from .implication import Table, normal
from .logic import Node, Truth
from .model import Model, Rules
from .spelling import spelled

__all__ = ["Change", "ChangeKind", "PolicyDiff", "diff"]

ChangeKind = Literal["gained", "lost", "permission", "role", "rank", "scope", "step_up", "approval", "masks"]

_SIGNS: Final[dict[str, str]] = {"gained": "+", "lost": "-"}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference in meaning.

    Args:
        kind: a permission gained or lost by a role, or a changed fact of a permission or role.
        role, permission: whom and what it concerns; empty where it does not matter.
        before, after: when it was and is allowed (``true`` always, ``false`` never), or the changed fact.
        possibly: the conditions compare one attribute in several ways, or are too large to be tried out, so the
            difference may concern cases that never occur.
        by: wildcards that bring the permission to the role in the newer policy (``gained``) or did so before.
    """

    kind: ChangeKind
    role: str
    permission: str
    before: str
    after: str
    possibly: bool = False
    by: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind not in _SIGNS:
            subject = " ".join(filter(None, (self.role and f"role {self.role}", self.permission)))
            kind = self.kind if self.kind not in ("permission", "role") else ""
            return f"~ {subject}{kind and ' ' + kind}: {self.before} -> {self.after}"
        verb = f"possibly {self.kind}" if self.possibly else self.kind
        by = f" (by {', '.join(self.by)})" if self.by else ""
        return f"{_SIGNS[self.kind]} {self.role} {verb} {self.permission}{self._when()}{by}"

    def _when(self) -> str:
        first, second = (self.after, self.before) if self.kind == "gained" else (self.before, self.after)
        when = "" if first == "true" else f" when {first}"
        rest = ("before" if self.kind == "gained" else "still") + f" when {second}"
        return when if second == "false" else f"{when}; {rest}"


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """The differences between two policies; false, empty and without lines where they mean the same."""

    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __str__(self) -> str:
        return "\n".join(self.lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each change, for people."""
        return tuple(map(str, self.changes))

    @property
    def gained(self) -> tuple[Change, ...]:
        """Who may do what they could not, or in more cases."""
        return tuple(change for change in self.changes if change.kind == "gained")

    @property
    def lost(self) -> tuple[Change, ...]:
        """Who may no longer do what they could, or in fewer cases."""
        return tuple(change for change in self.changes if change.kind == "lost")


def diff(before: Model, after: Model) -> PolicyDiff:
    """What changes when `after` takes the place of `before`."""
    return PolicyDiff((*_catalogue(before, after), *_roles(before, after), *_holdings(before, after)))


def _catalogue(before: Model, after: Model) -> Iterator[Change]:
    for name in sorted({*before.table, *after.table}):
        old, new = before.table.get(name), after.table.get(name)
        if old is None or new is None:
            yield Change("permission", "", name, _presence(old), _presence(new))
            continue
        for kind, told in _FACTS.items():
            if told(old) != told(new):
                yield Change(kind, "", name, told(old), told(new))


def _presence(found: object) -> str:
    return "absent" if found is None else "declared"


def _step_up(rules: Rules) -> str:
    wanted = rules.step_up
    if wanted is None:
        return "none"
    return f"aal {wanted.aal}" + (f", {wanted.max_age} s" if wanted.max_age is not None else "")


_FACTS: Final[Mapping[ChangeKind, Callable[[Rules], str]]] = {
    "scope": lambda rules: rules.scope,
    "step_up": _step_up,
    "approval": lambda rules: f"by {rules.approval.by}" if rules.approval is not None else "none",
    "masks": lambda rules: ", ".join(sorted(rules.masks)) or "none",
}


def _roles(before: Model, after: Model) -> Iterator[Change]:
    for role in sorted({*before.ranks, *after.ranks}):
        old, new = before.ranks.get(role), after.ranks.get(role)
        if old is None or new is None:
            yield Change("role", role, "", _presence(old), _presence(new))
        elif old != new:
            yield Change("rank", role, "", str(old), str(new))


def _holdings(before: Model, after: Model) -> Iterator[Change]:
    for role in sorted({*before.ranks, *after.ranks}):
        for name in sorted({*before.table, *after.table}):
            yield from _compared(before, after, role, name)


def _compared(before: Model, after: Model, role: str, name: str) -> Iterator[Change]:
    old, new = normal(allowed(before, role, name)), normal(allowed(after, role, name))
    if old == new:
        return
    table = Table.of(old, new)
    facts: dict[str, Any] = {"before": _worded(old, table), "after": _worded(new, table)}
    if table is None:
        gained, lost, facts["possibly"] = old != Truth(True), new != Truth(True), True
        gained, lost = gained and new != NEVER, lost and old != NEVER
    else:
        gained, lost = table.true(new) & ~table.true(old) != 0, table.true(old) & ~table.true(new) != 0
        facts["possibly"] = table.related
    if gained:
        yield Change("gained", role, name, by=wildcards(after, role, name), **facts)
    if lost:
        yield Change("lost", role, name, by=wildcards(before, role, name), **facts)


def _worded(node: Node, table: Table | None) -> str:
    if table is None:
        return spelled(node)
    if table.always(node):
        return "true"
    return "false" if table.never(node) else spelled(node)
