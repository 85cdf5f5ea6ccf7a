"""What stands in a database: tables, rows, version; read without changing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, inspect, select

from . import schema

__all__ = ["TablesStatus", "tables_of"]


@dataclass(frozen=True, slots=True)
class TablesStatus:
    """The tables of this package in one database.

    Args:
        version: that the database is stamped with; 0 for none.
        newest: that this release writes.
        rows: by table.
        missing: tables of this release that are not there.
    """

    version: int
    newest: int
    rows: Mapping[str, int]
    missing: tuple[str, ...]

    @property
    def current(self) -> bool:
        """Whether ``create_all()`` has nothing to do."""
        return self.version == self.newest and not self.missing


def tables_of(connection: Connection) -> TablesStatus:
    """Counts every row (a scan of each table); for ``Database.run``."""
    schema.load_rooms()
    held = set(inspect(connection).get_table_names())
    tables = schema.metadata.tables
    rows = {
        name: connection.scalar(select(func.count()).select_from(tables[name])) or 0
        for name in sorted(tables)
        if name in held
    }
    version = 0
    if "wst_schema" in held:
        version = connection.scalar(select(func.max(tables["wst_schema"].c.version))) or 0
    missing = tuple(sorted(set(tables) - held))
    return TablesStatus(version, schema.MIGRATIONS[-1].version, rows, missing)
