"""Statements for hot paths: compiled once, and on SQLite handed to the driver as text and values.

There a statement costs a few microseconds, and Core's own way of executing it ten times as much. On a server the round
trip hides that, so Core executes it. What goes to the driver is not seen by listeners of the engine; its errors are
those that Core would have raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.expression import Executable, Insert

__all__ = ["Prepared", "PreparedInsert", "driver_execute"]


def driver_execute(connection: Connection, text: str, values: Sequence[Any] = (), *, many: bool = False) -> Any:
    """Executes on the connection's own driver; returns the first row of what it answers, or None."""
    rows = _driver_rows(connection, text, values, many=many, limit=1)
    return rows[0] if rows else None


def _driver_rows(
    connection: Connection, text: str, values: Sequence[Any], *, many: bool = False, limit: int | None = None
) -> Sequence[Any]:
    cursor = connection.connection.cursor()
    try:
        if many:
            cursor.executemany(text, values)
            return ()
        cursor.execute(text, values)
        if not cursor.description:  # it answers nothing
            return ()
        return cursor.fetchall() if limit is None else cursor.fetchmany(limit)
    except Exception as error:
        base = connection.dialect.loaded_dbapi.Error
        if not isinstance(error, base):
            raise
        raise DBAPIError.instance(text, None, error, base, hide_parameters=True) from error
    finally:
        cursor.close()


class Prepared:
    """One statement with named parameters, whose types the driver needs no help with (text, integers, bytes)."""

    __slots__ = ("_clause", "_text")

    def __init__(self, clause: Executable) -> None:
        self._clause: Executable = clause
        self._text: tuple[str, tuple[str, ...]] | None = None

    def run(self, connection: Connection, values: Mapping[str, object]) -> None:
        """Executes it."""
        if connection.dialect.name != "sqlite":
            connection.execute(self._clause, dict(values))
        else:
            self._rows(connection, values, 1)

    def first(self, connection: Connection, values: Mapping[str, object]) -> Sequence[Any] | None:
        """The first row of a SELECT, or None."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._clause, dict(values)).first()
        rows = self._rows(connection, values, 1)
        return rows[0] if rows else None

    def all(self, connection: Connection, values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
        """All rows of a SELECT."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._clause, dict(values)).all()
        return self._rows(connection, values, None)

    def _rows(self, connection: Connection, values: Mapping[str, object], limit: int | None) -> Sequence[Sequence[Any]]:
        text, names = self._text or self._compiled(connection.dialect)
        return _driver_rows(connection, text, [values[name] for name in names], limit=limit)

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
        driver_execute(connection, self._text, rows, many=True)
