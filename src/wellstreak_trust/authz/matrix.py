"""The matrix of a policy: permissions by roles, for people who review it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

from .holdings import NEVER, granted
from .implication import Table
from .logic import Node, Truth
from .model import Model

__all__ = ["Cell", "Matrix", "matrix"]

Cell = Literal["yes", "if", "no"]

_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")
_MARKUP: Final = re.compile(r"([\\`*\[\]<>|&])")


@dataclass(frozen=True, slots=True)
class Matrix:
    """Who holds what: ``yes`` always, ``if`` under a condition, ``no`` never.

    A permission that forbids may take away names them in the last column; a forbid that always holds makes it ``no``.

    Args:
        roles: by rank, then by name.
        cells: by permission, then by role.
        forbids: ids of the forbids, by permission.
    """

    name: str
    permissions: tuple[str, ...]
    roles: tuple[str, ...]
    cells: Mapping[str, Mapping[str, Cell]]
    forbids: Mapping[str, tuple[str, ...]]

    def cell(self, permission: str, role: str) -> Cell:
        """One cell; ``no`` for names the policy does not know."""
        return self.cells.get(permission, {}).get(role, "no")

    def rows(self) -> Iterator[list[str]]:
        """The header, then a row for each permission."""
        shown = any(self.forbids.values())
        yield ["permission", *self.roles, *(["forbids"] if shown else ())]
        for permission in self.permissions:
            forbids = [", ".join(self.forbids[permission])] if shown else []
            yield [permission, *(self.cells[permission][role] for role in self.roles), *forbids]

    def to_markdown(self) -> str:
        """A pipe table; names are escaped."""
        header, *rows = ([_MARKUP.sub(r"\\\1", " ".join(cell.split())) for cell in row] for row in self.rows())
        return "".join(f"| {' | '.join(row)} |\n" for row in (header, ["---"] * len(header), *rows))

    def to_csv(self) -> str:
        """RFC 4180. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
        text = io.StringIO()
        csv.writer(text).writerows([_inert(cell) for cell in row] for row in self.rows())
        return text.getvalue()

    def to_html(self) -> str:
        """A ``table`` element; each cell's class is its value, and every name is escaped."""
        header, *rows = self.rows()
        head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
        body = "".join(f"<tr>{''.join(_html(row))}</tr>\n" for row in rows)
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"


def matrix(model: Model) -> Matrix:
    """The matrix of a policy."""
    permissions = tuple(sorted(model.table))
    roles = tuple(sorted(model.ranks, key=lambda role: (model.ranks[role], role)))
    return Matrix(
        name=model.name,
        permissions=permissions,
        roles=roles,
        cells={name: {role: _cell(model, role, name) for role in roles} for name in permissions},
        forbids={name: tuple(rule.id for rule in model.table[name].forbids) for name in permissions},
    )


def _cell(model: Model, role: str, permission: str) -> Cell:
    if any(_always(rule.condition.node) for rule in model.table[permission].forbids):
        return "no"
    node = granted(model, role, permission)
    table = Table.of(node)
    if node == NEVER or (table is not None and table.never(node)):
        return "no"
    return "yes" if _always(node) else "if"


def _always(node: Node) -> bool:
    table = Table.of(node)
    return node == Truth(True) if table is None else table.always(node)


def _inert(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _html(row: Iterable[str]) -> Iterator[str]:
    first, *cells = row
    yield f'<th scope="row">{escape(first)}</th>'
    for cell in cells:
        known = f' class="{cell}"' if cell in ("yes", "if", "no") else ""
        yield f"<td{known}>{escape(cell)}</td>"
