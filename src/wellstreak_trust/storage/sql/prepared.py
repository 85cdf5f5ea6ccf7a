"""Statements for hot paths: compiled once, and on SQLite handed to the driver as text and values.

There a statement costs a few microseconds, and Core's own way of executing it three times as much again. On a server
the round trip hides that, so Core executes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect
from sqlalchemy.sql.expression import Executable, Insert

__all__ = ["Prepared", "PreparedInsert"]


class Prepared:
    """One statement with named parameters, whose types the driver needs no help with (text, integers, bytes)."""

    __slots__ = ("_clause", "_text")

    def __init__(self, clause: Executable) -> None:
        self._clause: Executable = clause
        self._text: tuple[str, tuple[str, ...]] | None = None

    def run(self, connection: Connection, values: Mapping[str, object]) -> CursorResult[Any]:
        """Executes it once."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._clause, dict(values))
        text, names = self._text or self._compiled(connection.dialect)
        return connection.exec_driver_sql(text, tuple([values[name] for name in names]))

    def _compiled(self, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
        compiled: Any = self._clause.compile(dialect=dialect)  # type: ignore[attr-defined]  # every statement has it
        self._text = str(compiled), tuple(compiled.positiontup or ())
        return self._text


class PreparedInsert:
    """An INSERT of whole rows, each a tuple in the order of the table's columns."""

    __slots__ = ("_clause", "_names", "_text")

    def __init__(self, clause: Insert) -> None:
        self._clause: Insert = clause
        self._names: tuple[str, ...] = tuple(column.name for column in clause.table.c)
        self._text: str | None = None

    def run(self, connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
        """Inserts all rows."""
        if not rows:
            return
        if connection.dialect.name != "sqlite":
            connection.execute(self._clause, [dict(zip(self._names, row, strict=True)) for row in rows])
            return
        if self._text is None:
            self._text = str(self._clause.compile(dialect=connection.dialect))
        connection.exec_driver_sql(self._text, rows[0] if len(rows) == 1 else list(rows))
