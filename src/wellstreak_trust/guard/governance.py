"""The governance matrix: who may do what under which plan, for people who review it.

A role may run an operation under a plan if the policy gives the role its permission *and* the plan includes its
feature. What else the guard asks (step-up, limits, a connection, an approval) stands beside, because it depends on the
request and not on the role or the plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final, Literal

from ..core.errors import ConfigurationError
from .grant import Operation
from .registry import Operations, listed
from .vetting import gathered, unknown_permission, unsold

if TYPE_CHECKING:
    from ..authz import Policy
    from ..tenancy import Feature, Plan

__all__ = ["Governance", "GovernanceCell", "governance"]

GovernanceCell = Literal["yes", "if", "no", "plan"]
_MARKUP: Final = re.compile(r"([\\`*\[\]<>|&])")


@dataclass(frozen=True, slots=True)
class Governance:
    """The matrix; plans in the order given, operations too, roles by rank.

    ========  ==================================================================
    cell      meaning
    ========  ==================================================================
    ``yes``   the role may, and the plan includes what it takes
    ``if``    the same, under a condition of the policy
    ``plan``  the role may, but the plan does not include the feature
    ``no``    the role may not, whatever the plan
    ========  ==================================================================
    """

    name: str
    operations: tuple[Operation, ...]
    roles: tuple[str, ...]
    plans: tuple[Plan, ...]
    by_role: tuple[tuple[Literal["yes", "if", "no"], ...], ...]

    def cell(self, operation: str, role: str, plan: str | None = None) -> GovernanceCell:
        """One cell by names; ``no`` for names it does not know.

        Args:
            plan: None leaves the plan out.
        """
        for declared, cells in zip(self.operations, self.by_role, strict=True):
            if declared.name == operation and role in self.roles:
                sold = next((each for each in self.plans if each.name == plan), None)
                if plan is not None and sold is None:
                    return "no"
                return _cell(cells[self.roles.index(role)], declared, sold)
        return "no"

    def tables(self) -> Iterator[tuple[str, list[list[str]]]]:
        """A title and rows for each plan, the header first; one table without plan where there are none."""
        for plan in self.plans or (None,):
            rows = [["operation", "permission", *self.roles, "feature", "asks besides"]]
            for operation, cells in zip(self.operations, self.by_role, strict=True):
                shown = (_cell(cell, operation, plan) for cell in cells)
                rows.append([operation.name, operation.permission, *shown, _feature(operation, plan), _asks(operation)])
            yield (f"{self.name}: {plan.name}" if plan is not None else self.name), rows

    def to_markdown(self) -> str:
        """A heading and a pipe table for each plan; names are escaped."""
        return "\n".join(f"## {_plain(title)}\n\n{_pipes(rows)}" for title, rows in self.tables())

    def to_html(self) -> str:
        """A ``table`` element with a caption for each plan; a cell's class is its value, and every name is escaped."""
        return "".join(_table(title, rows) for title, rows in self.tables())


def governance(operations: Operations | Iterable[Operation], policy: Policy, plans: Iterable[Plan] = ()) -> Governance:
    """The matrix of these operations, or of a registry, under a policy and the plans on offer.

    Raises:
        ConfigurationError: two operations or plans of one name (``governance``), a permission that the policy does
            not know (``unknown_permission``), or a feature that no plan includes (``unsold_feature``): an operation
            that nobody could ever run. All that could not are told at once.
    """
    declared, offered, found = listed(operations), tuple(plans), policy.matrix()
    _once([operation.name for operation in declared], "operation")
    _once([plan.name for plan in offered], "plan")
    asked = ((unknown_permission(operation, policy), unsold(operation, offered)) for operation in declared)
    faults = [fault for pair in asked for fault in pair if fault is not None]
    if faults:
        raise gathered(faults)
    cells = tuple(tuple(found.cell(operation.permission, role) for role in found.roles) for operation in declared)
    return Governance(found.name, declared, found.roles, offered, cells)


def _once(names: list[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"two {what}s are named {name!r}", reason="governance")


def _included(operation: Operation, plan: Plan | None) -> Feature | None:
    return plan.features.get(operation.feature) if plan is not None and operation.feature is not None else None


def _cell(held: Literal["yes", "if", "no"], operation: Operation, plan: Plan | None) -> GovernanceCell:
    lacks = plan is not None and operation.feature is not None and _included(operation, plan) is None
    return "plan" if lacks and held != "no" else held


def _feature(operation: Operation, plan: Plan | None) -> str:
    if operation.feature is None:
        return ""
    found = _included(operation, plan)
    if found is None or found.limit is None:
        return operation.feature
    return f"{operation.feature} ≤ {found.limit}" + (f" + {found.overage}" if found.overage else "")


def _asks(operation: Operation) -> str:
    asks = []
    if operation.step_up is not None:
        asks.append(f"sign-in aal{operation.step_up.aal}")
    if operation.connection is not None:
        asks.append(f"connection {operation.connection}")
    asks += [f"limit {limit if isinstance(limit, str) else limit.name}" for limit in operation.limits]
    return ", ".join(asks)


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _pipes(rows: list[list[str]]) -> str:
    header, *body = ([_plain(cell) for cell in row] for row in rows)
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, ["---"] * len(header), *body))


def _table(title: str, rows: list[list[str]]) -> str:
    header, *body = rows
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    lines = "".join(f"<tr>{''.join(_html(row))}</tr>\n" for row in body)
    caption = f"<caption>{escape(title)}</caption>"
    return f"<table>\n{caption}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}</tbody>\n</table>\n"


def _html(row: list[str]) -> Iterator[str]:
    first, *cells = row
    yield f'<th scope="row">{escape(first)}</th>'
    for cell in cells:
        known = f' class="{cell}"' if cell in ("yes", "if", "no", "plan") else ""
        yield f"<td{known}>{escape(cell)}</td>"
