"""The one SQL port: ``await database.run(work)``, where `work(connection)` is ordinary SQLAlchemy Core code in one
transaction.

Three faces of one verb: `Database` (blocking), `AsyncDatabase` (suspends), and `join(connection)`, which runs inside
a transaction of the host. Driver errors become `StoreUnavailable` or `StoreMisconfigured`; `IntegrityError` passes:
the stores decide by it.

SQLite: a transaction that may write takes the lock at once (``BEGIN IMMEDIATE``), because a deferred one that
upgrades cannot wait and fails at random; WAL with ``synchronous=FULL``, because NORMAL does not sync at commit.
`patient(...)` gives the same port with another bound on that wait.
PostgreSQL: always READ COMMITTED, whatever the host's engine says; the stores' statements are written for it, and an
engine in autocommit mode would tear them apart. It waits for ever on a row lock unless the role says otherwise
(``ALTER ROLE app SET lock_timeout = '5s'``): set here, it would cost each write a round trip, a quarter of its time.

A child of `fork()` inherits the pool with its open connections and must not talk through them: it starts with an empty
one. SQLite's idle connections are closed before the fork, because a process knows a file's locks by what it has open
and would take its parent's for its own; a transaction that another thread has open then cannot be helped, so fork
before threads write.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from datetime import timedelta
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, overload
from weakref import WeakSet

from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from ...core.errors import ConfigurationError
from ...core.sansio import synced
from . import schema
from .faults import translated
from .prepared import driver_execute

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = ["AsyncDatabase", "Database", "JoinedDatabase", "SqlPort", "ThreadedDatabase", "create_all", "insert"]

T = TypeVar("T")
Work = Callable[[Connection], T]

_READ: Final = "wst_read"
_HOSTS: Final = "wst_hosts_busy_timeout"
_PRAGMAS: Final = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA secure_delete=ON")
_PATIENCE: Final = timedelta(seconds=5)
_MILLISECOND: Final = timedelta(milliseconds=1)


class SqlPort(Protocol):
    """What the SQL stores are built over."""

    @property
    def suspends(self) -> bool:
        """Whether `run` suspends."""
        ...

    async def run(self, work: Work[T], *, read: bool = False) -> T:
        """Runs `work` in one transaction; `read` promises a single SELECT and saves the BEGIN."""
        ...


class _Schema(ABC):
    """What every port that owns its transactions can do."""

    suspends: bool = False

    @abstractmethod
    async def run(self, work: Work[T], *, read: bool = False) -> T:
        """As `SqlPort.run`."""

    async def acreate_all(self) -> int:
        """Creates or migrates all tables; idempotent, safe in processes that start together. Returns the version."""
        return await self.run(schema.create)

    create_all: Final = synced(acreate_all)
    acreate_tables: Final = acreate_all
    create_tables: Final = create_all


class Database(_Schema):
    """A blocking SQLAlchemy engine. The host's own transactions on the engine are left as they are.

    Args:
        engine: the host's engine; its pool is shared.
        lock_timeout: how long a write waits for SQLite's lock before it is `StoreUnavailable`.
    """

    def __init__(self, engine: Engine, *, lock_timeout: timedelta = _PATIENCE) -> None:
        self.engine: Engine = engine
        self._ours: Engine = _ours(engine, lock_timeout)
        self._reads: Engine = self._ours.execution_options(**{_READ: True})
        # A StaticPool gives one connection to everybody: threads take turns or roll each other back.
        self._turn: AbstractContextManager[object] = RLock() if isinstance(engine.pool, StaticPool) else nullcontext()

    async def run(self, work: Work[T], *, read: bool = False) -> T:
        """Runs `work(connection)` in one transaction and returns its result.

        Raises:
            StoreUnavailable: no connection, lock not had in time, connection lost.
            StoreMisconfigured: missing tables, missing rights.
        """
        _warn_on_loop()
        return self._run(work, read)

    def _run(self, work: Work[T], read: bool) -> T:
        if read:  # nothing to commit: the one SELECT begins by itself, and closing ends it
            with self._turn, translated(), self._reads.connect() as connection:
                return work(connection)
        with self._turn, translated(), self._ours.begin() as connection:
            return work(connection)

    def patient(self, lock_timeout: timedelta) -> Database:
        """The same database, where a write waits no longer than this for SQLite's lock."""
        other = Database(self.engine, lock_timeout=lock_timeout)
        other._turn = self._turn
        return other

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

    def patient(self, lock_timeout: timedelta) -> ThreadedDatabase:
        """As `Database.patient`."""
        return ThreadedDatabase(self._database.patient(lock_timeout))


class AsyncDatabase(_Schema):
    """An asynchronous SQLAlchemy engine (``sqlite+aiosqlite``, ``postgresql+asyncpg``, ``postgresql+psycopg``).

    Args:
        engine: the host's engine; its pool is shared.
        lock_timeout: as for `Database`.
    """

    suspends = True

    def __init__(self, engine: AsyncEngine, *, lock_timeout: timedelta = _PATIENCE) -> None:
        self.engine: AsyncEngine = engine
        ours = _ours(engine.sync_engine, lock_timeout)
        self._ours: AsyncEngine = type(engine)(ours)
        self._reads: AsyncEngine = type(engine)(ours.execution_options(**{_READ: True}))
        shared = isinstance(engine.pool, StaticPool)
        self._turn: AbstractAsyncContextManager[object] = asyncio.Lock() if shared else nullcontext()

    async def run(self, work: Work[T], *, read: bool = False) -> T:
        """As `Database.run`; `work` itself is the same blocking code, run by ``AsyncConnection.run_sync``.

        A cancelled caller leaves no open transaction: it is rolled back before the cancellation goes on.
        """
        with translated():
            if read:
                async with self._turn, self._reads.connect() as connection:
                    return await connection.run_sync(work)
            async with self._turn, self._ours.begin() as connection:
                return await connection.run_sync(work)

    def patient(self, lock_timeout: timedelta) -> AsyncDatabase:
        """As `Database.patient`."""
        other = AsyncDatabase(self.engine, lock_timeout=lock_timeout)
        other._turn = self._turn
        return other

    def join(self, connection: AsyncConnection) -> JoinedAsyncDatabase:
        """A port inside the host's own transaction."""
        return JoinedAsyncDatabase(connection)


class JoinedDatabase:
    """Runs inside the host's transaction on a blocking connection."""

    suspends = False
    joined = True

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection = connection

    async def run(self, work: Work[T], *, read: bool = False) -> T:
        """Runs `work` on the host's connection, inside a savepoint; neither begins nor commits."""
        with translated():
            return work(self._connection) if read else _nested(self._connection, work)


class JoinedAsyncDatabase:
    """Runs inside the host's transaction on an asynchronous connection."""

    suspends = True
    joined = True

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection: AsyncConnection = connection

    async def run(self, work: Work[T], *, read: bool = False) -> T:
        """Runs `work` on the host's connection, inside a savepoint; neither begins nor commits."""
        with translated():
            if read:
                return await self._connection.run_sync(work)
            return await self._connection.run_sync(_nested, work)


def create_all(engine: Engine) -> int:
    """Creates or migrates all tables of this package on `engine`; returns the schema version."""
    return Database(engine).create_all()


def insert(connection: Connection | str, table: Table) -> Any:
    """The dialect's INSERT, for ``on_conflict_do_update`` and ``on_conflict_do_nothing``."""
    dialect = connection if isinstance(connection, str) else connection.dialect.name
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def _nested(connection: Connection, work: Work[T]) -> T:
    """A savepoint, because a clash that a store decides by would else abort the host's transaction (PostgreSQL)."""
    if connection.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        # The driver begins late; a savepoint outside a transaction would commit when it is released.
        if driver is not None and not driver.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    with connection.begin_nested():
        return work(connection)


def _ours(engine: Engine, lock_timeout: timedelta) -> Engine:
    """The same pool behind an engine of our own, so that our transaction rules do not touch the host's sessions."""
    if lock_timeout < timedelta():
        raise ConfigurationError("lock_timeout is negative", hint="lock_timeout=timedelta(seconds=5)")
    in_memory = "memory" in str(engine.url) and engine.dialect.name == "sqlite"
    if not in_memory and not isinstance(engine.pool, StaticPool | SingletonThreadPool):
        _INHERITED.add(engine)  # the others hold a database of this process alone, which closing would delete
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="READ COMMITTED")
    ours = engine.execution_options()
    if engine.dialect.name == "sqlite":
        _SqliteRules(lock_timeout // _MILLISECOND).listen(ours)
    return ours


_INHERITED: Final[WeakSet[Engine]] = WeakSet()


def _close_idle() -> None:
    for engine in list(_INHERITED):
        if engine.dialect.name == "sqlite" and not engine.dialect.is_async:
            engine.dispose()


def _start_anew() -> None:
    for engine in list(_INHERITED):
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close_idle, after_in_child=_start_anew)


class _SqliteRules:
    """How our transactions begin on SQLite. The pragmas stay with the connection, the patience is given back."""

    def __init__(self, patience_ms: int) -> None:
        self._patience_ms: int = patience_ms

    def listen(self, engine: Engine) -> None:
        """Applies the rules to every transaction of `engine`."""
        event.listen(engine, "begin", self.begin)
        event.listen(engine, "commit", self.end)
        event.listen(engine, "rollback", self.end)

    def begin(self, connection: Connection) -> None:
        """``BEGIN IMMEDIATE``, or nothing for a read: SQLite serves a lone SELECT from one snapshot anyway."""
        fresh = _HOSTS not in connection.info
        if fresh:
            (connection.info[_HOSTS],) = driver_execute(connection, "PRAGMA busy_timeout")
        if connection.info[_HOSTS] != self._patience_ms:  # before journal_mode: switching to WAL itself needs the lock
            driver_execute(connection, f"PRAGMA busy_timeout={self._patience_ms}")
        try:
            for pragma in _PRAGMAS if fresh else ():
                driver_execute(connection, pragma)
            if not connection.get_execution_options().get(_READ, False):
                driver_execute(connection, "BEGIN IMMEDIATE")
        except BaseException:
            self.end(connection)
            if fresh and not connection.invalidated:
                del connection.info[_HOSTS]
            raise

    def end(self, connection: Connection) -> None:
        """Gives the connection its host's patience back."""
        if connection.invalidated:  # by a cancellation or a lost file: there is nothing left to give back
            return
        hosts = connection.info.get(_HOSTS, self._patience_ms)
        if hosts != self._patience_ms:
            driver_execute(connection, f"PRAGMA busy_timeout={hosts}")


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
