"""`bind_tenant` over real pools: a transaction carries the scope's tenant, and a pooled connection never the last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rls_lab import Lab
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from wellstreak_trust.core.errors import ConfigurationError, UnscopedStatement
from wellstreak_trust.tenancy import TenantContext, tenant_scope, testing_context
from wellstreak_trust.tenancy.postgres import Seal, bind_tenant, policy_ddl, seal_ddl

ALL = text("SELECT secret FROM bound.note ORDER BY 1")
SEALED = text("SELECT secret FROM bound.sealed ORDER BY 1")
SETTINGS = text("SELECT current_setting('wst.tenant', true), current_setting('wst.company', true)")
KEY = Seal(b"binding-key-of-thirty-two-bytes!")
DRIVERS = ("psycopg", "asyncpg")


@pytest.fixture(scope="module")
def app_url(lab_url: str) -> str:
    """The application's role, on tables that it does not own."""
    with psycopg.connect(lab_url, autocommit=True) as connection:
        lab = Lab(connection)
        # A worker that takes tests over from another may come here twice.
        lab.run(
            "DROP SCHEMA IF EXISTS bound, wst_seal CASCADE",
            "CREATE SCHEMA bound",
            "GRANT USAGE ON SCHEMA bound TO {app}",
        )
        for table, sealed in (("note", False), ("sealed", True)):
            lab.run(f"CREATE TABLE bound.{table} (tenant_id text, company_id text, secret text)")
            lab.run(
                f"INSERT INTO bound.{table} VALUES ('t1', 'c1', 'S1'), ('t1', 'c2', 'S1b'), ('t2', 'c1', 'S2')",
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON bound.{table} TO {{app}}",
                *(seal_ddl(lab.names["app"]) if sealed else ()),
                *policy_ddl(f"bound.{table}", company="company_id", sealed=sealed),
            )
        lab.run(KEY.install_sql().reveal())
    return lab_url.replace("postgres@", f"{Lab.names['app']}@")


def engine_of(url: str, driver: str = "psycopg", **options: Any) -> Engine:
    options = {"pool_size": 1, "max_overflow": 0, **options}
    return create_engine(url.replace("postgresql:", f"postgresql+{driver}:"), **options)


@pytest.fixture
def engine(app_url: str) -> Iterator[Engine]:
    """One pooled connection, so that whatever it carries over is seen."""
    made = engine_of(app_url)
    bind_tenant(made)
    yield made
    made.dispose()


def scope(tenant: str, company: str | None = None) -> tenant_scope:
    context = testing_context(tenant)
    return tenant_scope(TenantContext(tenant, context.principal, context.membership, company_id=company))


def test_a_transaction_sees_the_scope(engine: Engine) -> None:
    with scope("t1"), engine.connect() as connection:
        assert connection.scalars(ALL).all() == ["S1", "S1b"]
    with scope("t1", "c2"), engine.begin() as connection:
        assert connection.scalars(ALL).all() == ["S1b"]
    with scope("t2"), Session(engine) as session:
        assert session.scalars(ALL).all() == ["S2"]


def test_outside_every_scope_there_is_nothing(engine: Engine) -> None:
    with scope("t1"), engine.connect() as connection:
        assert connection.scalars(ALL).all()
    with engine.connect() as connection:
        assert connection.scalars(ALL).all() == []
        assert connection.execute(SETTINGS).one() == ("", "")
        with pytest.raises(ProgrammingError, match="row-level security"):
            connection.execute(text("INSERT INTO bound.note VALUES ('t1', 'c1', 'x')"))


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_the_next_transaction_is_set_again(engine: Engine, end: str) -> None:
    with scope("t1"), engine.connect() as connection:
        for _ in range(3):
            assert connection.scalars(ALL).all() == ["S1", "S1b"]
            getattr(connection, end)()


def test_after_an_error_and_its_rollback(engine: Engine) -> None:
    with scope("t1"), engine.connect() as connection:
        with pytest.raises(ProgrammingError):
            connection.execute(text("SELECT * FROM nowhere"))
        connection.rollback()
        assert connection.scalars(ALL).all() == ["S1", "S1b"]


def test_after_a_savepoint_and_its_rollback(engine: Engine) -> None:
    with scope("t1"), engine.connect() as connection:
        inner = connection.begin_nested()
        assert connection.scalars(ALL).all() == ["S1", "S1b"]
        inner.rollback()
        assert connection.scalars(ALL).all() == ["S1", "S1b"]


def test_a_statement_runs_under_the_scope_it_is_issued_in(engine: Engine) -> None:
    """The usual test set-up: one outer transaction, many scopes."""
    with engine.connect() as connection, connection.begin():
        assert connection.scalars(ALL).all() == []
        with scope("t1"):
            assert connection.scalars(ALL).all() == ["S1", "S1b"]
        assert connection.scalars(ALL).all() == []
        with scope("t2"):
            assert connection.scalars(ALL).all() == ["S2"]
        with scope("t1", "c1"):
            assert connection.scalars(ALL).all() == ["S1"]


def test_a_setting_made_inside_a_savepoint_is_made_again_after_its_rollback(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin():
        inner = connection.begin_nested()
        with scope("t1"):
            assert connection.scalars(ALL).all() == ["S1", "S1b"]
            inner.rollback()
            assert connection.scalars(ALL).all() == ["S1", "S1b"]
        assert connection.scalars(ALL).all() == []


def test_a_savepoint_saves_a_transaction_from_an_error(engine: Engine) -> None:
    with scope("t1"), engine.begin() as connection:
        with pytest.raises(ProgrammingError), connection.begin_nested():
            connection.execute(text("SELECT * FROM nowhere"))
        assert connection.scalars(ALL).all() == ["S1", "S1b"]
        connection.execute(text("SAVEPOINT by_hand"))
        with scope("t1", "c1"):
            assert connection.scalars(ALL).all() == ["S1"]
        connection.execute(text("rollback to by_hand"))
        assert connection.scalars(ALL).all() == ["S1", "S1b"]


def test_rl15_what_a_session_left_behind_is_covered(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT set_config('wst.tenant', 't2', false), set_config('wst.company', 'c1', false)"))
        connection.commit()
    with engine.connect() as connection:
        assert connection.scalars(ALL).all() == []
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert connection.scalars(ALL).all() == []
    with scope("t1"), engine.connect() as connection:
        assert connection.scalars(ALL).all() == ["S1", "S1b"]


def test_nothing_is_left_in_the_session(engine: Engine) -> None:
    with scope("t1"), engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert connection.scalars(ALL).all()
        connection.commit()
        assert isinstance(raw, psycopg.Connection)
        assert raw.execute("SELECT current_setting('wst.tenant', true)").fetchone() == ("",)


def test_the_drivers_own_cursor_is_covered_once_a_transaction_has_begun(engine: Engine) -> None:
    with scope("t1"), engine.begin() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        assert raw.execute("SELECT secret FROM bound.note ORDER BY 1").fetchall() == [("S1",), ("S1b",)]
        with raw.cursor().copy("COPY (SELECT secret FROM bound.note) TO STDOUT") as copy:
            assert b"S2" not in b"".join(copy)
    raw = engine.raw_connection()  # no transaction of SQLAlchemy's: nothing
    cursor = raw.cursor()
    cursor.execute("SELECT secret FROM bound.note")
    assert cursor.fetchall() == []
    raw.close()


@pytest.mark.parametrize("how", ["option", "engine", "pool"])
def test_autocommit_is_refused_inside_a_scope(app_url: str, how: str) -> None:
    engine = engine_of(app_url, **({"isolation_level": "AUTOCOMMIT"} if how == "pool" else {}))
    bind_tenant(engine)
    used = engine.execution_options(isolation_level="AUTOCOMMIT") if how == "engine" else engine
    options = {"isolation_level": "AUTOCOMMIT"} if how == "option" else {}
    with used.connect().execution_options(**options) as connection:
        assert connection.scalars(ALL).all() == []  # maintenance work, outside every scope
        with scope("t1"), pytest.raises(UnscopedStatement) as refused:
            connection.execute(ALL)
    assert "transaction" in refused.value.hint
    with scope("t1"), used.connect().execution_options(**options) as connection, pytest.raises(UnscopedStatement):
        connection.execute(ALL)
    engine.dispose()


def test_a_lost_connection_is_told_by_sqlalchemy_and_replaced(engine: Engine, lab_url: str) -> None:
    with scope("t1"):
        with engine.connect() as connection:
            number = connection.scalar(text("SELECT pg_backend_pid()"))
        with psycopg.connect(lab_url, autocommit=True) as server:
            server.execute("SELECT pg_terminate_backend(%s)", (number,))
            while server.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (number,)).fetchone():
                time.sleep(0.01)
        with pytest.raises(OperationalError) as lost, engine.connect() as connection:
            connection.execute(ALL)
        assert lost.value.connection_invalidated
        with engine.connect() as connection:
            assert connection.scalars(ALL).all() == ["S1", "S1b"]


def test_two_phase_transactions_are_set_by_their_first_statement(engine: Engine) -> None:
    with scope("t1"), engine.connect() as connection:
        transaction = connection.begin_twophase()
        assert connection.scalars(ALL).all() == ["S1", "S1b"]
        transaction.rollback()
    with engine.connect() as connection:
        transaction = connection.begin_twophase()
        assert connection.scalars(ALL).all() == []
        transaction.rollback()


def test_threads_that_share_a_pool_see_their_own(app_url: str) -> None:
    engine = engine_of(app_url, pool_size=2)
    bind_tenant(engine)

    def look(number: int) -> bool:
        tenant = ("t1", "t2", None)[number % 3]
        expected = {"t1": ["S1", "S1b"], "t2": ["S2"], None: []}[tenant]
        if tenant is None:
            with engine.connect() as connection:
                return connection.scalars(ALL).all() == expected
        with scope(tenant), engine.connect() as connection:
            return connection.scalars(ALL).all() == expected

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(look, range(120)))
    engine.dispose()


def test_binding_again_changes_nothing(app_url: str) -> None:
    engine = engine_of(app_url)
    bind_tenant(engine)
    bound = engine.dialect.do_begin
    bind_tenant(engine)
    bind_tenant(engine.execution_options(isolation_level="READ COMMITTED"))
    assert engine.dialect.do_begin is bound
    with pytest.raises(ConfigurationError) as refused:
        bind_tenant(engine, KEY)
    assert refused.value.reason == "seal_conflict"
    engine.dispose()


def test_a_guard_may_ask_for_a_binding_that_is_sealed(app_url: str) -> None:
    engine = engine_of(app_url)
    bind_tenant(engine, KEY)
    bind_tenant(engine)
    bind_tenant(engine, KEY)
    with scope("t2"), engine.connect() as connection:
        assert connection.scalars(SEALED).all() == ["S2"]
    engine.dispose()


def test_a_tenant_id_is_never_cut(engine: Engine) -> None:
    with scope("t1\0x"), engine.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(ALL)
    with scope("t1"), engine.connect() as connection:
        assert connection.scalars(ALL).all() == ["S1", "S1b"]


def test_other_databases_are_refused() -> None:
    engine = create_engine("sqlite://")
    with pytest.raises(ConfigurationError, match="sqlite"):
        bind_tenant(engine)


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_isolation_levels_are_kept(engine: Engine, level: str) -> None:
    with scope("t1"), engine.connect().execution_options(isolation_level=level) as connection:
        assert connection.scalars(ALL).all() == ["S1", "S1b"]
        assert connection.scalar(text("SHOW transaction_isolation")) == level.lower()


def test_begin_and_settings_travel_in_one_message(engine: Engine, tmp_path: Path) -> None:
    with scope("t1"), engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        with (tmp_path / "wire").open("w+") as wire:
            raw.pgconn.trace(wire.fileno())
            assert connection.scalars(ALL).all() == ["S1", "S1b"]
            raw.pgconn.untrace()
            wire.seek(0)
            sent = [line for line in wire if "\tF\t" in line and ("BEGIN" in line or "set_config" in line)]
    assert len(sent) == 1


@pytest.mark.asvs("1.2.4")
def test_hostile_tenant_ids_are_values(engine: Engine) -> None:
    for tenant in ("t1' OR true --", "t1\\", "'", "%s", "$1", ":x", "t1;RESET ROLE"):
        with scope(tenant), engine.connect() as connection:
            assert connection.execute(SETTINGS).one() == (tenant, "")
            assert connection.scalars(ALL).all() == []


def test_rl18_a_sealed_engine_opens_sealed_tables_and_injection_does_not(app_url: str) -> None:
    engine = engine_of(app_url)
    bind_tenant(engine, KEY)
    with scope("t1"), engine.connect() as connection:
        assert connection.scalars(SEALED).all() == ["S1", "S1b"]
        connection.execute(text("SELECT set_config('wst.tenant', 't2', true)"))  # injected
        assert connection.scalars(SEALED).all() == []
    with scope("t1", "c1"), engine.connect() as connection:
        connection.execute(text("SELECT set_config('wst.company', '', true)"))  # injected
        assert connection.scalars(SEALED).all() == ["S1"]
    with engine.connect() as connection:
        assert connection.scalars(SEALED).all() == []
    with scope("t1"), engine.connect() as connection:  # after the pool has made a new server process
        connection.invalidate()
    with scope("t1"), engine.connect() as connection:
        assert connection.scalars(SEALED).all() == ["S1", "S1b"]
    engine.dispose()


@pytest.mark.anyio
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("seal", [None, KEY], ids=["plain", "sealed"])
async def test_asynchronous_engines(app_url: str, driver: str, seal: Seal | None) -> None:
    engine = create_async_engine(app_url.replace("postgresql:", f"postgresql+{driver}:"), pool_size=1, max_overflow=0)
    bind_tenant(engine, seal)
    query = SEALED if seal is not None else ALL
    async with scope("t1"):
        async with engine.connect() as connection:
            assert (await connection.scalars(query)).all() == ["S1", "S1b"]
            await connection.rollback()
            assert (await connection.scalars(query)).all() == ["S1", "S1b"]
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            with pytest.raises(UnscopedStatement):
                await connection.execute(query)
    async with engine.connect() as connection:
        assert (await connection.scalars(query)).all() == []
    async with scope("t1", "c2"), engine.begin() as connection:
        inner = await connection.begin_nested()
        await inner.rollback()
        assert (await connection.scalars(query)).all() == ["S1b"]
    await engine.dispose()
