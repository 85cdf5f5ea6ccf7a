"""The one SQL port: ``await database.run(work)``, where `work(connection)` is ordinary SQLAlchemy Core code in one
transaction.

Three faces of one verb: `Database` (blocking), `AsyncDatabase` (suspends), and `join(connection)`, which runs inside
a transaction of the host. Driver errors become `StoreUnavailable` or `StoreMisconfigured` without their text, because
drivers print statements together with their parameters. `IntegrityError` passes: the stores decide by it.

SQLite: a transaction that may write takes the lock at once (``BEGIN IMMEDIATE``), because a deferred one that
upgrades cannot wait and fails at random; WAL with ``synchronous=FULL``, because NORMAL does not sync at commit.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, overload

from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ...core.errors import StoreMisconfigured, StoreUnavailable, UsageError
from ...core.sansio import synced
from . import schema

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = ["AsyncDatabase", "Database", "JoinedDatabase", "SqlPort", "ThreadedDatabase", "create_all", "insert"]

T = TypeVar("T")
Work = Callable[[Connection], T]

_READ: Final = "wst_read"
_PRAGMAS: Final = (
    "PRAGMA busy_timeout=5000",  # before journal_mode: switching to WAL itself needs the lock
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA secure_delete=ON",
)


class SqlPort(Protocol):
    """What the SQL stores are built over."""

    @property
    def suspends(self) -> bool:
        """Whether `run` suspends."""
        ...

    async def run(self, work: Work[T], *, read: bool = False) -> T:
        """Runs `work` in one transaction; `read` promises a single SELECT and saves the BEGIN."""
        ...


class _Schema:
    """What every port that owns its transactions can do."""

    suspends: bool = False

    async def run(self, work: Work[T], *, read: bool = False) -> T:
        raise UsageError("not a database")

    async def acreate_all(self) -> int:
        """Creates or migrates all tables; idempotent, safe in processes that start together. Returns the version."""
        return await self.run(schema.create)

    create_all: Final = synced(acreate_all)
    acreate_tables: Final = acreate_all
    create_tables: Final = create_all


class Database(_Schema):
    """A blocking SQLAlchemy engine. The host's own use of the engine is left as it is."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Engine = engine
        self._ours: Engine = _ours(engine)

    async def run(self, work: Work[T], *, read: bool = False) -> T:
        """Runs `work(connection)` in one transaction and returns its result.

        Raises:
            StoreUnavailable: no connection, lock not had in time, connection lost.
            StoreMisconfigured: missing tables, missing rights.
        """
        _warn_on_loop()
        return self._run(work, read)

    def _run(self, work: Work[T], read: bool) -> T:
        with translated(), self._ours.connect() as connection:
            if read:
                connection = connection.execution_options(**{_READ: True})
            with connection.begin():
                return work(connection)

    def threaded(self) -> ThreadedDatabase:
        """The same database for an async host: every call hops to a worker thread."""
        return ThreadedDatabase(self)

    @overload
    def join(self, connection: Connection) -> JoinedDatabase: ...
    @overload
    def join(self, connection: AsyncConnection) -> JoinedAsyncDatabase: ...
    def join(self, connection: Connection | AsyncConnection) -> JoinedDatabase | JoinedAsyncDatabase:
        """A port inside the host's own transaction: nothing is committed here, a rollback there undoes all."""
        return JoinedDatabase(connection) if isinstance(connection, Connection) else JoinedAsyncDatabase(connection)


class ThreadedDatabase(_Schema):
    """A blocking database behind ``asyncio.to_thread``; build it with `Database.threaded()`."""

    suspends = True

    def __init__(self, database: Database) -> None:
        self._database: Database = database

    async def run(self, work: Work[T], *, read: bool = False) -> T:
        """As `Database.run`, in a worker thread. A cancelled caller leaves a whole transaction, done or not."""
        return await asyncio.to_thread(self._database._run, work, read)


class AsyncDatabase(_Schema):
    """An asynchronous SQLAlchemy engine (``sqlite+aiosqlite``, ``postgresql+asyncpg``, ``postgresql+psycopg``)."""

    suspends = True

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine: AsyncEngine = engine
        self._ours: AsyncEngine = type(engine)(_ours(engine.sync_engine))

    async def run(self, work: Work[T], *, read: bool = False) -> T:
        """As `Database.run`; `work` itself is the same blocking code, run by ``AsyncConnection.run_sync``."""
        with translated():
            async with self._ours.connect() as connection:
                if read:
                    connection = await connection.execution_options(**{_READ: True})
                async with connection.begin():
                    return await connection.run_sync(work)

    def join(self, connection: AsyncConnection) -> JoinedAsyncDatabase:
        """A port inside the host's own transaction."""
        return JoinedAsyncDatabase(connection)


class JoinedDatabase:
    """Runs inside the host's transaction on a blocking connection."""

    suspends = False

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection = connection

    async def run(self, work: Work[T], *, read: bool = False) -> T:
        """Runs `work` on the host's connection; neither begins nor commits."""
        with translated():
            return work(self._connection)


class JoinedAsyncDatabase:
    """Runs inside the host's transaction on an asynchronous connection."""

    suspends = True

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection: AsyncConnection = connection

    async def run(self, work: Work[T], *, read: bool = False) -> T:
        """Runs `work` on the host's connection; neither begins nor commits."""
        with translated():
            return await self._connection.run_sync(work)


def create_all(engine: Engine) -> int:
    """Creates or migrates all tables of this package on `engine`; returns the schema version."""
    return Database(engine).create_all()


def insert(connection: Connection, table: Table) -> Any:
    """The dialect's INSERT, for ``on_conflict_do_update`` and ``on_conflict_do_nothing``."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


@contextmanager
def translated() -> Iterator[None]:
    """Turns driver errors into ours. ``from None``: SQLAlchemy's texts hold the parameters of the statement."""
    try:
        yield
    except IntegrityError:
        raise
    except (OperationalError, InterfaceError, PoolTimeout, OSError) as error:
        if _missing_table(error):
            raise _misconfigured(error) from None
        raise StoreUnavailable(f"database: {_kind(error)}", hint="check that it runs and is reachable") from None
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable(f"database: {_kind(error)}") from None
        raise _misconfigured(error) from None
    except SQLAlchemyError as error:
        raise _misconfigured(error) from None


def _missing_table(error: Exception) -> bool:
    return "no such table" in str(getattr(error, "orig", ""))  # SQLite calls it an operational error


def _misconfigured(error: Exception) -> StoreMisconfigured:
    return StoreMisconfigured(
        f"database: {_kind(error)}", hint="run Database(engine).create_all() and check the role's rights"
    )


def _kind(error: Exception) -> str:
    origin = getattr(error, "orig", None) or error
    state = getattr(origin, "sqlstate", None) or getattr(origin, "sqlite_errorname", "")
    return f"{type(origin).__name__} {state}".strip()


def _ours(engine: Engine) -> Engine:
    """The same pool behind an engine of our own, so that our transaction rules do not touch the host's sessions."""
    ours = engine.execution_options()
    if engine.dialect.name == "sqlite":
        event.listen(ours, "begin", _begin_sqlite)
    return ours


def _begin_sqlite(connection: Connection) -> None:
    if "wst_pragmas" not in connection.info:
        for pragma in _PRAGMAS:
            connection.exec_driver_sql(pragma)
        connection.info["wst_pragmas"] = True
    if not connection.get_execution_options().get(_READ, False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _warn_on_loop() -> None:
    """Blocking SQL inside an event loop stalls every other request; shown where Python shows ResourceWarning."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    warnings.warn(
        "blocking SQL on a running event loop: build the store over AsyncDatabase or Database.threaded()",
        ResourceWarning,
        stacklevel=4,
    )
