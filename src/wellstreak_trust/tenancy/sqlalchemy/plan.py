"""Which condition goes where: the tables a statement reads, and what keeps each of them inside the tenant.

Conditions must change nothing but which rows exist: the answer has to be that of a database which holds one tenant
only. So the place of a condition follows the join that a table stands in.

* A table that its FROM clause preserves (alone, left of joins): WHERE.
* A table on the right of a join: the ON of that join. In WHERE it would turn an outer join into an inner one.
* A table below a FULL JOIN: neither place is right, so it becomes ``(SELECT * FROM t WHERE ...) AS t``.

A table without tenant column is kept inside by its parents: ``task_id IN (SELECT id FROM task WHERE ...)``. That is
left out where the statement joins the parent already, by equality in WHERE, in the ON of an inner join, or in the ON
of an outer join whose right side holds the child.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table, and_, exists, or_, select
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BooleanClauseList,
    ColumnClause,
    ColumnElement,
    Grouping,
    TextClause,
)
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import (
    CTE,
    Alias,
    FromClause,
    FromGrouping,
    Join,
    Lateral,
    Subquery,
    TableClause,
    TableSample,
    TableValuedAlias,
    Values,
)

from .tables import Owned, Parent, Tables
from .verdict import COMPANY, Verdict

__all__ = ["Occurrence", "Plan", "base_table", "held", "sealed"]

Condition = ColumnElement[bool]
Bind = Callable[[Any, bool], Any]

_OPAQUE: Final = (CTE, Lateral, Subquery, TableValuedAlias, Values, FunctionElement)  # judged where they are compiled
_REGISTER: Final = "map it, or declare it in TenantGuard(shared=[...], links=[...]); else unscoped(reason)"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An owned table in a FROM clause, under the name it has there, and the equalities that hold for its rows."""

    selectable: FromClause
    owned: Owned
    equal: tuple[Equalities, ...]


class Derived:
    """Stands in a FROM clause for a table, and compiles to ``(SELECT * FROM t WHERE ...) AS t``."""

    def __init__(self, element: FromClause, condition: Condition) -> None:
        self._element: FromClause = element
        self._condition: Condition = condition
        self._from_objects: Any = element._from_objects

    def _compiler_dispatch(self, compiler: Any, **kw: Any) -> str:
        text: str = compiler.derived_table(self._element, self._condition, kw)
        return text


class Equalities:
    """Which columns some conditions make equal: ``a.x = b.y`` joined by AND."""

    def __init__(self, clauses: Iterable[Any]) -> None:
        self._pairs: dict[tuple[int, str], list[ColumnClause[Any]]] = {}
        for clause in clauses:
            self._read(clause)

    def _read(self, clause: Any) -> None:
        if isinstance(clause, Grouping):
            self._read(clause.element)
        elif isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
            for each in clause.clauses:
                self._read(each)
        elif isinstance(clause, BinaryExpression) and clause.operator is operators.eq:
            for one, other in ((clause.left, clause.right), (clause.right, clause.left)):
                if isinstance(one, ColumnClause) and one.table is not None:
                    others = self._pairs.setdefault((hash(one.table), one.name), [])
                    if isinstance(other, ColumnClause):
                        others.append(other)

    def mentions(self, table: FromClause, name: str) -> bool:
        """Whether the column is compared with anything."""
        return (hash(table), name) in self._pairs

    def with_column(self, table: FromClause, name: str) -> list[ColumnClause[Any]]:
        """What that column is equal to."""
        return self._pairs.get((hash(table), name), [])


def base_table(selectable: Any) -> Any:
    """The element below aliases, samples and brackets."""
    while isinstance(selectable, Alias | TableSample | FromGrouping):
        selectable = selectable.element
    return selectable


def sealed(clause: Any) -> Any:
    """A condition in brackets when it holds text, or an element of the host's own, which could be an OR."""
    for element in visitors.iterate(clause):
        if hasattr(element, "_compiler_dispatcher"):  # set by ``@compiles``
            return Grouping(clause)
        if isinstance(element, TextClause) or getattr(element, "is_literal", False):
            return Grouping(clause)
        if getattr(element, "__visit_name__", "") == "tstring":
            return Grouping(clause)
    return clause


class Plan:
    """The conditions of one SELECT, UPDATE or DELETE.

    Args:
        tables: the classification.
        bind: gives the bind for a column type; second argument: of the company instead of the tenant.
        verdict: takes what is refused.
    """

    def __init__(self, tables: Tables, bind: Bind, verdict: Verdict) -> None:
        self._tables: Tables = tables
        self._bind: Bind = bind
        self._verdict: Verdict = verdict
        self.where: list[Condition] = []
        self.on: dict[int, tuple[Join, list[Condition]]] = {}
        self.full: dict[int, tuple[Join, Join]] = {}
        self.covered: set[int] = set()
        self.bare: list[str] = []  # owned tables that the host's own conditions leave open

    def read(self, froms: Iterable[Any], where: Iterable[Any]) -> Plan:
        """Fills the plan from the FROM elements and the host's own conditions."""
        equal = Equalities(where)
        for element in froms:
            self.where.extend(self._conditions(self._walk(element, (equal,))))
        return self

    def _walk(self, element: Any, equal: tuple[Equalities, ...]) -> list[Occurrence]:
        """The occurrences whose condition belongs above `element`."""
        while isinstance(element, FromGrouping):
            element = element.element
        if isinstance(element, Join):
            return self._walk_join(element, equal)
        if isinstance(element, _OPAQUE):
            return []
        table = base_table(element)
        if isinstance(table, TableClause):
            return self._named(element, table, equal)
        if not isinstance(table, _OPAQUE):
            self._verdict.refuse(f"{type(table).__name__} in FROM, which no condition covers", _REGISTER)
        return []

    def _named(self, element: Any, table: TableClause, equal: tuple[Equalities, ...]) -> list[Occurrence]:
        name = table.fullname
        owned = self._tables.owned(name)
        if owned is None:
            if not self._tables.shared(name):
                self._verdict.refuse(f"the table {name} is of no known class", _REGISTER)
            return []
        self._verdict.tables[name] = None
        if self._verdict.misdescribed(owned, table, written=False):
            return []
        self.covered.add(hash(element))
        return [Occurrence(element, owned, equal)]

    def _walk_join(self, join: Join, equal: tuple[Equalities, ...]) -> list[Occurrence]:
        if join.full:
            self.full[id(join)] = (join, self._derived(join))
            return []
        with_on = (*equal, Equalities((join.onclause,)))
        left = self._walk(join.left, equal if join.isouter else with_on)
        conditions = self._conditions(self._walk(join.right, with_on))
        if conditions:
            self.on[id(join)] = (join, conditions)
        return left

    def _derived(self, element: Any) -> Any:
        """A copy in which every table is a derived one."""
        if isinstance(element, FromGrouping):
            element = copy(element)
            element.element = self._derived(element.element)
            return element
        if isinstance(element, Join):
            element = copy(element)
            element.left, element.right = self._derived(element.left), self._derived(element.right)
            return element
        conditions = self._conditions(self._walk(element, ()))
        if conditions and isinstance(element, Table) and element.schema:
            self._verdict.refuse(f"{element.fullname} in a FULL JOIN", "alias it: its schema is part of its name here")
        return Derived(element, and_(*conditions)) if conditions else element

    def _conditions(self, found: Iterable[Occurrence]) -> list[Condition]:
        return [condition for each in found for condition in self.of(each)]

    def of(self, found: Occurrence) -> Iterator[Condition]:
        """What keeps one occurrence inside the tenant."""
        owned, columns = found.owned, found.selectable.c
        if owned.tenant is not None:
            if not any(equal.mentions(found.selectable, owned.tenant.name) for equal in found.equal):
                self.bare.append(owned.table.fullname)
            yield columns[owned.tenant.key] == self._bind(owned.tenant.type, False)
        if owned.company is not None and self._verdict.mode == COMPANY:
            yield columns[owned.company.key] == self._bind(owned.company.type, True)
        if owned.tenant is None:
            open_ones = [parent for parent in owned.parents if not _joined(parent, found)]
            self.bare.extend(owned.table.fullname for _ in open_ones)
            yield from (_inside(parent, found.selectable) for parent in open_ones)
            loose = all(any(column.nullable for column in parent.columns) for parent in owned.parents)
            if loose and owned.parents and len(open_ones) == len(owned.parents):
                yield or_(*(columns[c.key].is_not(None) for parent in owned.parents for c in parent.columns))
            if not owned.parents:
                name = owned.table.fullname
                self._verdict.refuse(f"nobody owns the rows of {name}", "give it a foreign key to a tenant's table")


def _joined(parent: Parent, found: Occurrence) -> bool:
    """Whether the statement itself ties the occurrence to a row of that parent."""
    candidates: list[set[int]] = []
    for own, key in zip(parent.columns, parent.keys, strict=True):
        others = [other for equal in found.equal for other in equal.with_column(found.selectable, own.name)]
        candidates.append(
            {
                hash(other.table)
                for other in others
                if other.name == key.name
                and isinstance(base := base_table(other.table), Table)
                and base.fullname == parent.table.fullname
            }
        )
    return bool(candidates) and bool(set.intersection(*candidates))


def _inside(parent: Parent, selectable: FromClause) -> Condition:
    return held([selectable.c[column.key] for column in parent.columns], parent, selectable)


def held(own: list[Any], parent: Parent, selectable: Any) -> Condition:
    """The condition that columns of `selectable` hold a row of that parent, or NULL where they may."""
    # The alias keeps the subquery from being correlated to the same table in the enclosing FROM.
    there = parent.table.alias()
    keys = [there.c[key.key] for key in parent.keys]
    inside: Any
    if len(own) == 1:
        inside = own[0].in_(select(keys[0]))
    else:
        pairs = (mine == theirs for mine, theirs in zip(own, keys, strict=True))
        inside = exists(select(keys[0]).where(and_(*pairs)).correlate(selectable))
    if any(column.nullable for column in parent.columns):
        inside = or_(*(column.is_(None) for column in own), inside)
    return inside  # type: ignore[no-any-return]  # untyped above, because `in_` and `exists` are of different classes
