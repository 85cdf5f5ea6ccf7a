"""Where a written value comes from: every expression that may give it, through queries, unions and recursion.

A value is proven when *each* of its sources is: a union gives what any of its halves gives, and a recursive CTE what
its recursive half adds. So columns of subqueries and CTEs are followed to the columns of all selects below them. A CTE
is what the statement writes under its name: who mentions the first half of a recursive one reads the whole.

Nothing else is followed. What computes (a function, arithmetic, CASE) is a source of its own, and proves nothing. A
CAST is seen through only where it keeps every value: to a text that is long enough, or within one kind of type.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import CHAR, NCHAR, CompoundSelect, Numeric, Select, SmallInteger, String
from sqlalchemy.sql.elements import BindParameter, Cast, ColumnElement, Grouping, Label
from sqlalchemy.sql.selectable import CTE, ScalarSelect, SelectStatementGrouping

if TYPE_CHECKING:
    from .compiler import GuardedCompiler

__all__ = ["bare", "sources"]


def bare(value: Any) -> Any:
    """The expression below brackets, labels and casts that keep its values."""
    while isinstance(value, Grouping | Label) or (isinstance(value, Cast) and _keeps(value)):
        value = value.clause if isinstance(value, Cast) else value.element
    return value


def _keeps(cast: Cast[Any]) -> bool:
    type_: Any = cast.type
    before: Any = cast.clause.type
    length = getattr(type_, "length", None)
    if length is not None:  # values of binds may be longer than their type
        fits = not isinstance(cast.clause, BindParameter) and 0 < (getattr(before, "length", None) or 0) <= length
        if not fits:
            return False
    if isinstance(type_, CHAR | NCHAR | Numeric | SmallInteger):
        return False
    return isinstance(type_, String) or type_._type_affinity is before._type_affinity


def sources(compiler: GuardedCompiler, value: Any) -> Iterator[Any]:
    """Every expression that may give the value. Asked when all is compiled: only then the CTEs are known."""
    todo: list[Any] = [value]
    seen: dict[int, Any] = {}
    while todo:
        each = bare(todo.pop())
        if hasattr(each, "__clause_element__"):
            each = bare(each.__clause_element__())
        if id(each) in seen:
            continue
        seen[id(each)] = each
        below = _chosen(each.element) if isinstance(each, ScalarSelect) else _below(compiler, each)
        if below:
            todo.extend(below)
        else:
            yield each


def _chosen(query: Any) -> list[Any]:
    """The one column of each select in a query; nothing where a part of it is no plain select."""
    while isinstance(query, SelectStatementGrouping | Grouping):
        query = query.element
    if isinstance(query, CompoundSelect):
        halves = [_chosen(half) for half in query.selects]
        return [column for half in halves for column in half] if all(halves) else []
    columns = list(query.selected_columns) if isinstance(query, Select) else []
    return columns if len(columns) == 1 else []


def _below(compiler: GuardedCompiler, column: Any) -> list[Any]:
    """The columns that a column of a subquery, alias or CTE stands for."""
    if not isinstance(column, ColumnElement):
        return []
    below = list(column._proxies)
    table = getattr(column, "table", None)
    if below and isinstance(table, CTE):
        for whole in _written(compiler.seen_ctes, table):
            if column.key not in whole.c:
                return []
            below.extend(whole.c[column.key]._proxies)
    return below


def _written(ctes: Iterable[Any], mentioned: CTE) -> Iterator[Any]:
    names = {mentioned.name} if mentioned._cte_alias is None else {mentioned.name, mentioned._cte_alias.name}
    return (cte for cte in ctes if cte.name in names)
