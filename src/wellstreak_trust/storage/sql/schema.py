"""The tables of all rooms and the way from one version of them to the next.

A fresh database gets today's tables and is stamped with every migration; an older one gets its missing tables, then
each missing migration in order. All of it is one transaction under a lock, so that processes that start together
agree. A database written by a newer release is refused: its rules are unknown here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.schema import CreateColumn

from ...core.clock import SystemClock, to_micros
from ...core.errors import ConfigurationError

__all__ = ["MIGRATIONS", "Migration", "add_columns", "create", "load_rooms", "metadata"]

metadata: Final = MetaData()

_APPLIED: Final = Table(
    "wst_schema",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("applied_at", BigInteger, nullable=False),
)
_LOCK: Final = 0x7757_5354  # any constant: PostgreSQL's advisory lock of this package's schema


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema. `apply` alters tables of older releases; new tables need no step."""

    version: int
    name: str
    apply: Callable[[Connection], None]


def _first(connection: Connection) -> None:
    del connection  # the first tables are made by `create` itself


def _memberships_of_kinds(connection: Connection) -> None:
    from .memberships import COLUMNS_OF_2 as MEMBERSHIPS
    from .usage import COLUMNS_OF_2 as SUBSCRIPTIONS

    add_columns(connection, *MEMBERSHIPS, *SUBSCRIPTIONS)


def _spine(connection: Connection) -> None:
    from .audit_tables import COLUMNS_OF_3, INDEXES_OF_3

    add_columns(connection, *COLUMNS_OF_3)
    for index in INDEXES_OF_3:
        index.create(connection, checkfirst=True)


def _providers_and_tries(connection: Connection) -> None:
    from .sessions import COLUMNS_OF_4 as SESSIONS
    from .sessions import INDEXES_OF_4 as INDEXES
    from .tokens import COLUMNS_OF_4 as TOKENS

    add_columns(connection, *SESSIONS, *TOKENS)
    for index in INDEXES:
        index.create(connection, checkfirst=True)


MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration(1, "first tables", _first),
    Migration(2, "kinds of membership, ownership on offer, past-due subscriptions", _memberships_of_kinds),
    Migration(3, "audit: what the spine has noted, retention, search by actor and action", _spine),
    Migration(4, "providers behind sessions, tries of one-time tokens", _providers_and_tries),
)


def add_columns(connection: Connection, *columns: Column[Any]) -> None:
    """Adds columns that a later release brought; those that stand already are left as they are."""
    for column in columns:
        if column.name not in {held["name"] for held in inspect(connection).get_columns(column.table.name)}:
            spelled = CreateColumn(column).compile(dialect=connection.dialect)
            connection.execute(text(f"ALTER TABLE {column.table.name} ADD COLUMN {spelled}"))


def create(connection: Connection) -> int:
    """Brings the schema to today's version, inside the caller's transaction; returns the version.

    Raises:
        ConfigurationError: the database is of a newer release.
    """
    load_rooms()
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    fresh = not inspect(connection).has_table(_APPLIED.name)
    metadata.create_all(connection)
    stands_at = connection.scalar(select(func.coalesce(func.max(_APPLIED.c.version), 0))) or 0
    newest = MIGRATIONS[-1].version
    if stands_at > newest:
        raise ConfigurationError(
            f"the database has schema version {stands_at}, this release knows {newest}",
            hint="upgrade wellstreak_trust before you start it on this database",
            reason="schema_newer",
        )
    for migration in MIGRATIONS:
        if migration.version > stands_at:
            if not fresh:
                migration.apply(connection)
            connection.execute(
                _APPLIED.insert().values(
                    version=migration.version, name=migration.name, applied_at=to_micros(SystemClock().now())
                )
            )
    return newest


def load_rooms() -> None:
    """Every module of this package may hold tables; importing it registers them."""
    package = __name__.rpartition(".")[0]
    for found in iter_modules(import_module(package).__path__):
        import_module(f"{package}.{found.name}")
