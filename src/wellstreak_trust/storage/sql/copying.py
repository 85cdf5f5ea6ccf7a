"""From one database to another: every table of this package, whole, compared afterwards row for row.

For the day when one SQLite file becomes a PostgreSQL server, and for drills. Everything is one transaction on the
target: it holds all of it or nothing. The source is read as of one moment (a read transaction of SQLite, REPEATABLE
READ of PostgreSQL), so a writer that was forgotten cannot tear the copy; what it writes later is lost all the same, so
stop the writers first. Counts alone would not notice a value that a driver changed, so all rows are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Table, func, inspect, select, text

from ...core.errors import ConfigurationError
from ...core.sansio import drive
from . import schema
from .database import Database
from .faults import translated

__all__ = ["CopiedTable", "CopyReport", "copy_all"]

_STAMP: Final = "wst_schema"
_WIDTH: Final = 32
_MODULUS: Final = 1 << (8 * _WIDTH)


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """One table on both sides.

    Args:
        rows, digest: of the source, as read.
        found, found_digest: of the target, read back before its transaction was committed.
    """

    name: str
    rows: int
    digest: bytes
    found: int
    found_digest: bytes

    @property
    def same(self) -> bool:
        """Whether the target holds exactly the source's rows."""
        return (self.rows, self.digest) == (self.found, self.found_digest)


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was copied, the tables in the order of their writing."""

    version: int
    tables: tuple[CopiedTable, ...]

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)


def copy_all(
    source: Database,
    target: Database,
    *,
    batch: int = 1_000,
    progress: Callable[[str, int], None] = lambda table, rows: None,
) -> CopyReport:
    """Copies every table of this package into a database that holds none of its rows.

    The host's own tables are the host's to move. Stop every writer first.

    Args:
        source: of this release's schema version; ``create_all()`` brings an older one there.
        target: empty, or with empty tables; they are made here.
        batch: rows a statement.
        progress: called with a table's name and the rows of it that were written.

    Raises:
        ConfigurationError: the source has another version, the target holds rows, or what was read back differs; the
            target is as it was then.
        StoreUnavailable, StoreMisconfigured: one of the databases does not answer, or refuses.
    """
    version = target.create_all()
    with _moment(source) as reading:
        _require_version(reading, version)

        def work(writing: Connection) -> tuple[CopiedTable, ...]:
            tables = [table for table in schema.metadata.sorted_tables if table.name != _STAMP]
            _require_empty(writing, tables)
            return tuple(_copied(reading, writing, table, (batch, progress)) for table in tables)

        return CopyReport(version, drive(target.run(work)))


@contextmanager
def _moment(source: Database) -> Iterator[Connection]:
    """The source as it is now, whatever is written meanwhile; nothing is changed in it."""
    with translated(), source.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
            connection.execute(text("SET TRANSACTION READ ONLY"))
        else:
            connection.exec_driver_sql("BEGIN")
        try:
            yield connection
        finally:
            connection.rollback()


def _require_version(reading: Connection, version: int) -> None:
    stands_at = None
    if inspect(reading).has_table(_STAMP):
        stands_at = reading.scalar(select(func.max(schema.metadata.tables[_STAMP].c.version)))
    if stands_at != version:
        raise ConfigurationError(
            f"the source has schema version {stands_at}, this release writes {version}",
            hint="run `wellstreak-trust database migrate` on the source first",
            reason="copy_version",
        )


def _require_empty(writing: Connection, tables: Sequence[Table]) -> None:
    for table in tables:
        if writing.execute(select(1).select_from(table).limit(1)).first() is not None:
            raise ConfigurationError(
                f"{table.name} of the target holds rows",
                hint="copy into a new database; two histories are never merged",
                reason="copy_target",
            )


def _copied(
    reading: Connection, writing: Connection, table: Table, how: tuple[int, Callable[[str, int], None]]
) -> CopiedTable:
    batch, progress = how
    rows, digest = 0, 0
    everything = select(table).execution_options(yield_per=batch)  # of the statement: a connection would keep it
    for part in reading.execute(everything).partitions(batch):
        writing.execute(table.insert(), [dict(row._mapping) for row in part])
        rows, digest = rows + len(part), _added(digest, part)
        progress(table.name, rows)
    _continue_counting(writing, table)
    held, again = 0, 0
    for part in writing.execute(everything).partitions(batch):
        held, again = held + len(part), _added(again, part)
    copied = CopiedTable(table.name, rows, _octets(digest), held, _octets(again))
    if not copied.same:
        raise ConfigurationError(
            f"{table.name} read back is not what was written: {held} of {rows} rows",
            hint="nothing was committed; look for triggers or rules on the target's tables",
            reason="copy_differs",
        )
    return copied


def _continue_counting(writing: Connection, table: Table) -> None:
    """A sequence knows nothing of rows that brought their own number: the next insert would clash."""
    column = table.autoincrement_column
    if writing.dialect.name == "postgresql" and column is not None:
        last = writing.scalar(select(func.max(column)))
        if last is not None:
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            writing.execute(select(func.setval(sequence, last)))


def _added(digest: int, rows: Sequence[Any]) -> int:
    """A sum of hashes, because two databases sort texts in two orders."""
    for row in rows:
        spelled = repr([bytes(value) if isinstance(value, memoryview) else value for value in row])
        digest += int.from_bytes(sha256(spelled.encode("utf-8", "backslashreplace")).digest())
    return digest % _MODULUS


def _octets(digest: int) -> bytes:
    return digest.to_bytes(_WIDTH)
