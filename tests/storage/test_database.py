"""The one SQL port on real SQLite and PostgreSQL, blocking and asynchronous."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, StaticPool

from wellstreak_trust.core import ConfigurationError, drive
from wellstreak_trust.core.errors import StoreMisconfigured, StoreUnavailable
from wellstreak_trust.storage.sql import AsyncDatabase, Database, ThreadedDatabase, create_all, schema
from wellstreak_trust.storage.sql.database import insert
from wellstreak_trust.storage.sql.schema import MIGRATIONS, Migration

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


@pytest.mark.asvs("2.3.3")
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


LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT max(i) FROM n"


# --- the host beside us ----------------------------------------------------------------------------------------------


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)


def traced(engine: Engine) -> list[str]:
    """Every statement that SQLite itself runs on connections opened from now on."""
    seen: list[str] = []
    event.listen(engine, "connect", lambda connection, _: connection.set_trace_callback(seen.append))
    return seen


def put(connection: Connection) -> None:
    connection.execute(text("INSERT INTO t VALUES (1)"))


def table(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY)"))


def test_the_hosts_sessions_keep_their_own_transactions(sqlite_path: Path) -> None:
    engine = create_engine(f"sqlite:///{sqlite_path}", pool_size=1, max_overflow=0)
    seen = traced(engine)
    database = Database(engine)
    Base.metadata.create_all(engine)
    database.create_all()
    ours = len(seen)
    with Session(engine) as session:
        session.add(Note(id=1))
        session.commit()
        session.add(Note(id=2))
        session.rollback()
        assert session.query(Note).count() == 1
    assert not [statement for statement in seen[ours:] if "IMMEDIATE" in statement or "PRAGMA" in statement]
    assert [statement for statement in seen[ours:] if statement.startswith(("BEGIN", "COMMIT"))][:2] == [
        "BEGIN ",
        "COMMIT",
    ]
    engine.dispose()


def test_pragmas_are_set_once_a_connection_and_a_read_begins_nothing(sqlite_path: Path) -> None:
    engine = create_engine(f"sqlite:///{sqlite_path}", pool_size=1, max_overflow=0)
    seen = traced(engine)
    database = Database(engine)
    drive(database.run(table))
    assert sum("journal_mode" in statement for statement in seen) == 1
    del seen[:]
    assert drive(database.run(count, read=True)) == 0
    assert seen == ["SELECT count(*) FROM t"]
    drive(database.run(put))
    assert [statement.split()[0] for statement in seen[1:]] == ["BEGIN", "INSERT", "COMMIT"]
    engine.dispose()


def test_the_hosts_patience_is_given_back(sqlite_path: Path) -> None:
    engine = create_engine(f"sqlite:///{sqlite_path}", pool_size=1, max_overflow=0, connect_args={"timeout": 0.25})
    database = Database(engine, lock_timeout=timedelta(seconds=2))

    def patience(connection: Connection) -> object:
        return connection.exec_driver_sql("PRAGMA busy_timeout").scalar()

    assert drive(database.run(patience)) == 2_000
    assert drive(database.run(patience, read=True)) == 2_000
    with engine.connect() as connection:
        assert patience(connection) == 250
    with pytest.raises(ZeroDivisionError):
        drive(database.run(lambda c: 1 // 0))
    with engine.connect() as connection:
        assert patience(connection) == 250
    engine.dispose()


def test_a_negative_patience_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        Database(create_engine("sqlite://"), lock_timeout=timedelta(seconds=-1))


def test_a_busy_sqlite_is_unavailable_within_the_timeout(sqlite_path: Path) -> None:
    patient = Database(create_engine(f"sqlite:///{sqlite_path}", poolclass=NullPool))
    drive(patient.run(table))
    engine = create_engine(f"sqlite:///{sqlite_path}", pool_size=1, max_overflow=0)
    hasty = Database(engine, lock_timeout=timedelta(milliseconds=20))

    def locked_out(connection: Connection) -> None:
        put(connection)
        with pytest.raises(StoreUnavailable) as caught:
            drive(hasty.run(put))
        assert "SQLITE_BUSY" in caught.value.detail
        assert drive(hasty.run(count, read=True)) == 0  # WAL: a reader waits for nobody

    drive(patient.run(locked_out))
    with pytest.raises(IntegrityError):
        drive(hasty.run(put))
    with engine.connect() as connection:  # the failed BEGIN gave the host's patience back too
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5_000
    engine.dispose()


def test_threads_take_turns_on_the_one_connection_of_a_static_pool() -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    database = Database(engine)
    drive(database.run(lambda c: c.execute(text("CREATE TABLE n (v INTEGER)"))))

    def step(connection: Connection) -> None:
        value = connection.scalar(text("SELECT count(*) FROM n"))
        connection.execute(text("INSERT INTO n VALUES (:v)"), {"v": value})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: drive(database.run(step)), range(40)))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(DISTINCT v) FROM n")) == 40
    engine.dispose()


def test_tasks_take_turns_on_the_one_connection_of_a_static_pool() -> None:
    async def main() -> object:
        engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
        database = AsyncDatabase(engine)
        await database.run(lambda c: c.execute(text("CREATE TABLE n (v INTEGER PRIMARY KEY)")))
        await asyncio.gather(
            *(database.run(lambda c: c.execute(text("INSERT INTO n DEFAULT VALUES"))) for _ in range(10))
        )
        found = await database.run(lambda c: c.scalar(text("SELECT count(*) FROM n")), read=True)
        await engine.dispose()
        return found

    assert asyncio.run(main()) == 10


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_autocommit_engine_does_not_tear_our_transactions_apart(kind: str, request: pytest.FixtureRequest) -> None:
    engine = create_engine(sync_url(kind, request), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    database = Database(engine)
    drive(database.run(table))

    def half(connection: Connection) -> None:
        put(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        drive(database.run(half))
    assert drive(database.run(count, read=True)) == 0
    drive(database.run(put))
    assert drive(database.run(count, read=True)) == 1


# --- join ------------------------------------------------------------------------------------------------------------


def test_nothing_of_a_join_is_committed_before_the_host_commits(database: Database) -> None:
    drive(database.run(table))
    with Session(database.engine) as session:
        drive(database.join(session.connection()).run(put))
        assert drive(database.run(count, read=True)) == 0
        session.rollback()
    assert drive(database.run(count, read=True)) == 0
    with Session(database.engine) as session:
        port = database.join(session.connection())
        drive(port.run(put))
        assert drive(port.run(count, read=True)) == 1
        session.commit()
    assert drive(database.run(count, read=True)) == 1


def test_a_clash_inside_a_join_leaves_the_hosts_transaction_alive(database: Database) -> None:
    drive(database.run(table))
    drive(database.run(put))
    with database.engine.begin() as connection:
        outer, inner = database.join(connection), database.join(connection)
        with pytest.raises(IntegrityError):
            drive(outer.run(put))
        drive(outer.run(lambda c: drive(inner.run(lambda d: d.execute(text("INSERT INTO t VALUES (2)"))))))
    assert drive(database.run(count, read=True)) == 2


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_clash_inside_an_asynchronous_join(kind: str, request: pytest.FixtureRequest) -> None:
    async def main() -> int:
        engine = async_engine(sync_url(kind, request))
        database = AsyncDatabase(engine)
        await database.run(table)
        await database.run(put)
        async with engine.begin() as connection:
            port = database.join(connection)
            assert port.suspends
            with pytest.raises(IntegrityError):
                await port.run(put)
            await port.run(lambda c: c.execute(text("INSERT INTO t VALUES (2)")))
            assert await port.run(count, read=True) == 2
        found = await database.run(count, read=True)
        await engine.dispose()
        return found

    assert asyncio.run(main()) == 2


# --- faults ----------------------------------------------------------------------------------------------------------


def test_an_exhausted_pool_is_unavailable(sqlite_path: Path) -> None:
    engine = create_engine(f"sqlite:///{sqlite_path}", pool_size=1, max_overflow=0, pool_timeout=0.01)
    database = Database(engine)
    with engine.connect(), pytest.raises(StoreUnavailable) as caught:
        drive(database.run(count, read=True))
    assert "TimeoutError" in caught.value.detail
    engine.dispose()


def test_a_file_that_cannot_be_written_is_no_outage(sqlite_path: Path) -> None:
    Database(create_engine(f"sqlite:///{sqlite_path}", poolclass=NullPool)).create_all()
    engine = create_engine(f"sqlite:///file:{sqlite_path}?mode=ro&uri=true", poolclass=NullPool)
    with pytest.raises(StoreMisconfigured):
        drive(Database(engine).run(table))
    missing = create_engine(f"sqlite:///{sqlite_path}/no/such/folder", poolclass=NullPool)
    with pytest.raises(StoreMisconfigured):
        drive(Database(missing).run(table))


def postgres_engines(url: str) -> tuple[Database, AsyncDatabase]:
    blocking = url.replace("postgresql://", "postgresql+psycopg://")
    return Database(create_engine(blocking, pool_size=2)), AsyncDatabase(async_engine(blocking))


def raising(state: str) -> Callable[[Connection], object]:
    """The server itself raises this SQLSTATE."""
    block = f"DO $$ BEGIN RAISE EXCEPTION 'private' USING ERRCODE = '{state}'; END $$"
    return lambda connection: connection.exec_driver_sql(block)


PASSING = ("40001", "40P01", "53300", "55P03", "57014", "58030")
LASTING = ("42501", "42P01", "25006", "22001", "XX001")


def test_both_drivers_tell_what_waiting_mends_from_what_only_an_operator_mends(postgres_url: str) -> None:
    blocking, suspending = postgres_engines(postgres_url)
    wanted = dict.fromkeys(PASSING, StoreUnavailable) | dict.fromkeys(LASTING, StoreMisconfigured)

    async def main() -> None:
        for state, kind in wanted.items():
            with pytest.raises(kind) as caught:
                await suspending.run(raising(state))
            assert type(caught.value) is kind
            assert "private" not in caught.value.detail
        await suspending.engine.dispose()

    asyncio.run(main())
    for state, kind in wanted.items():
        with pytest.raises(kind) as caught:
            drive(blocking.run(raising(state)))
        assert type(caught.value) is kind
        assert "private" not in caught.value.detail
    blocking.engine.dispose()


def test_a_real_lock_timeout_and_a_lost_connection(postgres_url: str) -> None:
    blocking, suspending = postgres_engines(postgres_url)
    drive(blocking.run(table))
    drive(blocking.run(put))

    def wait_briefly(connection: Connection) -> None:
        connection.execute(text("SET LOCAL lock_timeout = '20ms'"))
        connection.execute(text("UPDATE t SET id = 2"))

    def holding(connection: Connection) -> None:
        connection.execute(text("UPDATE t SET id = 3"))
        with pytest.raises(StoreUnavailable, match="unavailable"):
            drive(blocking.run(wait_briefly))

        async def main() -> None:
            with pytest.raises(StoreUnavailable):
                await suspending.run(wait_briefly)
            await suspending.engine.dispose()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, main()).result()

    drive(blocking.run(holding))
    with pytest.raises(StoreUnavailable):
        drive(blocking.run(lambda c: c.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))))
    assert drive(blocking.run(count, read=True)) == 1  # the pool has forgotten the dead connection
    blocking.engine.dispose()


def test_cancelling_a_run_leaves_no_open_transaction(postgres_url: str) -> None:
    blocking, _ = postgres_engines(postgres_url)
    drive(blocking.run(table))

    async def main() -> tuple[int, object]:
        engine = create_async_engine(postgres_url.replace("postgresql://", "postgresql+asyncpg://"), pool_size=1)
        database = AsyncDatabase(engine)
        written = asyncio.Event()
        loop = asyncio.get_running_loop()

        def half(connection: Connection) -> None:
            put(connection)
            loop.call_soon(written.set)
            connection.execute(text("SELECT pg_sleep(30)"))

        task = asyncio.create_task(database.run(half))
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        found = await database.run(count, read=True), cast("AsyncAdaptedQueuePool", engine.pool).checkedout()
        await engine.dispose()
        return found

    assert asyncio.run(main()) == (0, 0)
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
    )
    assert drive(blocking.run(lambda c: c.scalar(text(query)))) == 0
    blocking.engine.dispose()


def test_cancelling_a_run_on_sqlite_gives_the_lock_back(sqlite_path: Path) -> None:
    async def main() -> int:
        engine = create_async_engine(f"sqlite+aiosqlite:///{sqlite_path}")
        database = AsyncDatabase(engine)
        await database.run(table)
        loop, written = asyncio.get_running_loop(), asyncio.Event()

        def half(connection: Connection) -> None:
            put(connection)
            loop.call_soon(written.set)
            connection.execute(text(LONG))
            connection.execute(text("INSERT INTO t VALUES (2)"))

        task = asyncio.create_task(database.run(half))
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await database.run(put)
        found = await database.run(count, read=True)
        await engine.dispose()
        return found

    assert asyncio.run(main()) == 1


# --- migrations ------------------------------------------------------------------------------------------------------


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def last_table() -> str:
    """One that no other table refers to."""
    return [table.name for table in schema.metadata.sorted_tables if table.name != "wst_schema"][-1]


def test_an_older_database_gets_its_missing_tables_and_steps(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.create_all()
    newest = last_table()
    drive(database.run(lambda c: schema.metadata.tables[newest].drop(c)))
    applied: list[int] = []

    def widen(connection: Connection) -> None:
        applied.append(connection.scalar(text("SELECT max(version) FROM wst_schema")) or 0)
        connection.execute(text("ALTER TABLE wst_schema ADD COLUMN note TEXT"))

    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, Migration(NEWEST + 1, "a later release", widen)))
    assert database.create_all() == NEWEST + 1
    assert database.create_all() == NEWEST + 1
    assert applied == [NEWEST]
    assert newest in drive(database.run(tables))


def test_a_fresh_database_runs_no_step(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(connection: Connection) -> None:
        raise AssertionError("today's tables need no step")

    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, Migration(NEWEST + 1, "a later release", never)))
    assert database.create_all() == NEWEST + 1


def test_a_failing_migration_leaves_nothing_half_applied(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.create_all()
    victim = last_table()
    drive(database.run(lambda c: schema.metadata.tables[victim].drop(c)))

    def first(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE wst_schema ADD COLUMN note TEXT"))

    def second(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (id INTEGER)"))
        connection.execute(text("ALTER TABLE missing ADD COLUMN note TEXT"))

    steps = (*MIGRATIONS, Migration(NEWEST + 1, "one", first), Migration(NEWEST + 2, "two", second))
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    with pytest.raises(StoreMisconfigured):
        database.create_all()
    assert not {"half", victim} & drive(database.run(tables))
    assert "note" not in drive(database.run(lambda c: [x["name"] for x in inspect(c).get_columns("wst_schema")]))
    assert drive(database.run(lambda c: c.scalar(text("SELECT max(version) FROM wst_schema")))) == NEWEST
