"""The condition that makes a table alias show own rows alone, as SQL.

The values are read when SQL is made and are always parameters. A borrowed table is visible through ``EXISTS`` on each
of its owners. Deleting needs one own end of a link only: a row must be able to go even where somebody once linked it
to a foreign one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core.errors import UnscopedStatement
from ...core.tenant import TenantContext
from ..unscoped import is_unscoped
from .acting import refuse, value_for
from .registry import Owner, Table, tables
from .text import breaks_out
from .whole import add_piece

__all__ = ["Enclosed", "OwnRows", "condition", "enclosed"]

Quote = Callable[[str], str]


def condition(
    table: Table,
    alias: str,
    context: TenantContext,
    quote: Quote,
    *,
    owners: tuple[Owner, ...] | None = None,
    any_owner: bool = False,
    depth: int = 0,
) -> tuple[str, list[str]]:
    """SQL and parameters; `alias` is quoted already.

    Args:
        owners: those that are not covered otherwise; None for all.
        any_owner: whether one own owner is enough.
        depth: how many ``EXISTS`` this one stands in; an inner alias must not shadow an outer one.
    """
    parts: list[str] = []
    params: list[str] = []
    for column, name in table.columns:
        value = value_for(context, name)
        if value is not None:
            parts.append(f"{alias}.{quote(column)} = %s")
            params.append(value)
    inherited = []
    for owner in table.owners if owners is None else owners:
        sql, values = _owned(owner, alias, context, quote, depth)
        inherited.append(sql)
        params += values
    if any_owner and len(inherited) > 1:
        parts.append(f"({' OR '.join(inherited)})")
    else:
        parts += inherited
    return " AND ".join(parts), params


def _owned(owner: Owner, alias: str, context: TenantContext, quote: Quote, depth: int) -> tuple[str, list[str]]:
    inner = quote(f"wst{depth}")
    table = tables()[owner.table]
    sql, params = condition(table, inner, context, quote, depth=depth + 1)
    own = f"{inner}.{quote(owner.target)} = {alias}.{quote(owner.column)} AND {sql}"
    return f"EXISTS (SELECT 1 FROM {quote(table.name)} {inner} WHERE {own})", params  # noqa: S608 - quoted names of the host's


class OwnRows:
    """A condition as a child of Django's ``WhereNode``."""

    __slots__ = ("params", "sql")

    contains_aggregate = False
    contains_over_clause = False

    def __init__(self, sql: str, params: list[str]) -> None:
        self.sql: str = sql
        self.params: list[str] = params

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[str]]:
        """What Django's compiler asks of every node."""
        add_piece(connection, self.sql)
        return self.sql, self.params


class Enclosed:
    """A host's condition beside `OwnRows`, which it can neither leave nor hide."""

    __slots__ = ("node",)

    contains_aggregate = False
    contains_over_clause = False

    def __init__(self, node: Any) -> None:
        self.node: Any = node

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """As `OwnRows.as_sql`.

        Raises:
            UnscopedStatement: the condition closes a parenthesis that it did not open, or holds a comment.
        """
        sql, params = compiler.compile(self.node)
        return enclosed(sql), params


def enclosed(sql: str) -> str:
    """`sql` in parentheses of its own; raises as `Enclosed`."""
    if not sql:
        return sql
    if breaks_out(sql) and not is_unscoped():
        refuse(
            UnscopedStatement(
                "a condition closes a parenthesis that it did not open, or holds a comment",
                hint="use expressions, or unscoped(reason)",
            ),
            sql,
        )
    return f"({sql})"
