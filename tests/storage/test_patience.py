"""One wait, bounded by who waits; and connections that no child inherits."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core.errors import StoreUnavailable
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import AsyncDatabase, Database
from wellstreak_trust.storage.sql.prepared import driver_execute

SHORT = timedelta(milliseconds=100)


@pytest.fixture
def engine(sqlite_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{sqlite_path}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    yield engine
    engine.dispose()


def add(connection: object) -> None:
    connection.execute(text("INSERT INTO t DEFAULT VALUES"))  # type: ignore[attr-defined]  # a Connection


@pytest.mark.asvs("13.2.6")
def test_a_patient_port_waits_as_long_as_it_says(engine: Engine, sqlite_path: Path) -> None:
    database = Database(engine)
    drive(database.run(add))
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        for port in (database.patient(SHORT), Database(engine, lock_timeout=SHORT)):
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable):
                drive(port.run(add))
            assert 0.08 < time.monotonic() - begun < 2
        holder.execute("ROLLBACK")
    drive(database.patient(SHORT).run(add))
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA busy_timeout")) == 5_000  # the host's own is given back


@pytest.mark.parametrize("kind", ["threaded", "aiosqlite"])
def test_patience_of_the_asynchronous_ports(kind: str, engine: Engine, sqlite_path: Path) -> None:
    async def run() -> None:
        later = create_async_engine(f"sqlite+aiosqlite:///{sqlite_path}")
        port = Database(engine).threaded() if kind == "threaded" else AsyncDatabase(later)
        with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as holder:
            await port.run(add)
            holder.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable):
                await port.patient(SHORT).run(add)
            holder.execute("ROLLBACK")
        await later.dispose()

    asyncio.run(run())


def test_errors_of_the_driver_are_those_of_the_engine(engine: Engine) -> None:
    with engine.begin() as connection:
        driver_execute(connection, "INSERT INTO t VALUES (?)", (1,))
        assert driver_execute(connection, "SELECT n FROM t") == (1,)
        assert driver_execute(connection, "SELECT n FROM t WHERE n = 2") is None
        with pytest.raises(IntegrityError) as refused:
            driver_execute(connection, "INSERT INTO t VALUES (?)", [(2,), (1,)], many=True)
        assert "(1,)" not in str(refused.value)
        with pytest.raises(OperationalError):
            driver_execute(connection, "SELECT nothing")
        with pytest.raises(TypeError):
            driver_execute(connection, 7)  # type: ignore[arg-type]  # no error of the driver


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_opens_connections_of_its_own(engine: Engine, sqlite_path: Path) -> None:
    """A connection carried over a fork knows locks that its process does not hold."""
    database = Database(engine)
    drive(database.run(add))
    child = os.fork()
    if not child:
        try:
            held = [os.path.realpath(f"/dev/fd/{name}") for name in os.listdir("/dev/fd")]
            drive(database.run(add))
            os._exit(3 if str(sqlite_path) in held else 0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert drive(database.run(lambda connection: connection.scalar(text("SELECT count(*) FROM t")), read=True)) == 2
