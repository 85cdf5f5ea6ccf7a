"""The one SQL port on real SQLite and PostgreSQL, blocking and asynchronous."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from wellstreak_trust.core import ConfigurationError, drive
from wellstreak_trust.core.errors import StoreMisconfigured, StoreUnavailable
from wellstreak_trust.storage.sql import AsyncDatabase, Database, ThreadedDatabase, create_all
from wellstreak_trust.storage.sql.database import insert
from wellstreak_trust.storage.sql.schema import MIGRATIONS

NEWEST = MIGRATIONS[-1].version


def sync_url(kind: str, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite":
        return f"sqlite:///{request.getfixturevalue('sqlite_path')}"
    url: str = request.getfixturevalue("postgres_url")
    return url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    engine = create_engine(sync_url(request.param, request), poolclass=NullPool)
    yield Database(engine)
    engine.dispose()


def async_engine(url: str) -> AsyncEngine:
    for blocking, suspending in (("sqlite:", "sqlite+aiosqlite:"), ("postgresql+psycopg:", "postgresql+asyncpg:")):
        url = url.replace(blocking, suspending)
    return create_async_engine(url, poolclass=NullPool)


def count(connection: Connection) -> int:
    return int(connection.scalar(text("SELECT count(*) FROM t")) or 0)


def test_create_all_is_idempotent_and_stamps_the_version(database: Database) -> None:
    assert database.create_all() == NEWEST
    assert database.create_tables() == NEWEST
    assert create_all(database.engine) == NEWEST
    rows = drive(database.run(lambda c: c.execute(text("SELECT version FROM wst_schema")).all(), read=True))
    assert [row.version for row in rows] == [m.version for m in MIGRATIONS]


def test_processes_that_start_together_agree(database: Database) -> None:
    barrier, failures = threading.Barrier(4), []

    def start() -> None:
        barrier.wait()
        try:
            database.create_all()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_database_of_a_newer_release_is_refused(database: Database) -> None:
    database.create_all()
    newer = "INSERT INTO wst_schema (version, name, applied_at) VALUES (9999, 'future', 0)"
    drive(database.run(lambda c: c.execute(text(newer))))
    with pytest.raises(ConfigurationError) as caught:
        database.create_all()
    assert caught.value.reason == "schema_newer"


def test_a_transaction_commits_or_leaves_nothing(database: Database) -> None:
    drive(database.run(lambda c: c.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY)"))))

    def half(connection: Connection) -> None:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        drive(database.run(half))
    assert drive(database.run(count, read=True)) == 0
    drive(database.run(lambda c: c.execute(text("INSERT INTO t VALUES (1)"))))
    with pytest.raises(IntegrityError):
        drive(database.run(lambda c: c.execute(text("INSERT INTO t VALUES (1)"))))
    assert drive(database.run(count, read=True)) == 1


def test_driver_errors_are_ours_and_show_no_parameters(database: Database) -> None:
    with pytest.raises(StoreMisconfigured) as caught:
        drive(database.run(lambda c: c.execute(text("SELECT * FROM missing WHERE x = :x"), {"x": "hunter2"})))
    error = caught.value
    assert "hunter2" not in str(error) + error.detail + error.hint
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert "create_all" in error.hint


def test_join_runs_inside_the_hosts_transaction(database: Database) -> None:
    drive(database.run(lambda c: c.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY)"))))
    with database.engine.connect() as connection:
        transaction = connection.begin()
        drive(database.join(connection).run(lambda c: c.execute(text("INSERT INTO t VALUES (1)"))))
        transaction.rollback()
    assert drive(database.run(count, read=True)) == 0
    with database.engine.begin() as connection:
        drive(database.join(connection).run(lambda c: c.execute(text("INSERT INTO t VALUES (1)"))))
    assert drive(database.run(count, read=True)) == 1


def test_the_dialects_insert(database: Database) -> None:
    database.create_all()
    from wellstreak_trust.storage.sql.schema import _APPLIED

    values = {"version": 1, "name": "again", "applied_at": 0}
    ignored = drive(
        database.run(lambda c: c.execute(insert(c, _APPLIED).values(values).on_conflict_do_nothing()).rowcount)
    )
    assert ignored in (0, -1)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_asynchronous_face(kind: str, request: pytest.FixtureRequest) -> None:
    engine = async_engine(sync_url(kind, request))
    database = AsyncDatabase(engine)
    with pytest.raises(ConfigurationError) as caught:
        database.create_all()
    assert caught.value.reason == "store_suspends"

    async def main() -> int:
        assert await database.acreate_all() == NEWEST
        await database.run(lambda c: c.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY)")))
        async with engine.connect() as connection:
            transaction = await connection.begin()
            await database.join(connection).run(lambda c: c.execute(text("INSERT INTO t VALUES (1)")))
            await transaction.rollback()
        with pytest.raises(StoreMisconfigured):
            await database.run(lambda c: c.execute(text("SELECT * FROM missing")), read=True)
        await database.run(lambda c: c.execute(text("INSERT INTO t VALUES (1)")))
        found = await database.run(count, read=True)
        await engine.dispose()
        return found

    assert asyncio.run(main()) == 1


def test_sqlite_is_durable_and_takes_the_lock_at_once(sqlite_path: Path) -> None:
    database = Database(create_engine(f"sqlite:///{sqlite_path}", poolclass=NullPool))

    def pragmas(connection: Connection) -> list[object]:
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]

    assert drive(database.run(pragmas)) == ["wal", 2]
    impatient = create_engine(f"sqlite:///{sqlite_path}", poolclass=NullPool, connect_args={"timeout": 0})

    def locked_out(connection: Connection) -> None:
        with impatient.connect() as other, pytest.raises(Exception, match="locked"):
            other.exec_driver_sql("BEGIN IMMEDIATE")

    drive(database.run(locked_out))


def test_an_unreachable_server_is_unavailable() -> None:
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none", connect_args={"connect_timeout": 1})
    with pytest.raises(StoreUnavailable) as caught:
        drive(Database(engine).run(lambda c: c.execute(text("SELECT 1"))))
    assert "nobody" not in str(caught.value) + caught.value.detail


def test_blocking_on_a_loop_is_said_and_threads_are_the_way(sqlite_path: Path) -> None:
    database = Database(create_engine(f"sqlite:///{sqlite_path}"))
    threaded = database.threaded()
    assert isinstance(threaded, ThreadedDatabase)

    async def main() -> int:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            await database.acreate_all()
        assert any(issubclass(w.category, ResourceWarning) and "event loop" in str(w.message) for w in seen)
        return await threaded.acreate_all()

    assert asyncio.run(main()) == NEWEST
    database.engine.dispose()
