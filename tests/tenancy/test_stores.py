"""One contract on memory, SQLite and PostgreSQL, blocking and asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core import AuditEvent, Principal
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.memory import MemoryMembershipStore, MemoryUsageStore
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlMembershipStore, SqlOutbox, SqlUsageStore
from wellstreak_trust.storage.sql.usage import SqlEntitlements
from wellstreak_trust.tenancy import Feature, Membership, Memberships, StaticEntitlements, testing_context
from wellstreak_trust.testing.stores.memberships import MEMBERSHIP_CHECKS, SUBSCRIPTION_CHECKS, USAGE_CHECKS

ROOMS = [
    *((check, MemoryMembershipStore, SqlMembershipStore) for check in MEMBERSHIP_CHECKS),
    *((check, MemoryUsageStore, SqlUsageStore) for check in USAGE_CHECKS),
    *((check, StaticEntitlements, SqlEntitlements) for check in SUBSCRIPTION_CHECKS),
]
every_check = pytest.mark.parametrize(("check", "memory", "sql"), ROOMS, ids=[room[0].__name__ for room in ROOMS])
Check = Callable[[Any], Any]


@every_check
def test_memory(check: Check, memory: type, sql: type) -> None:
    assert drive(check(memory())) is None


@every_check
def test_blocking_sql(check: Check, memory: type, sql: type, engine: Engine) -> None:
    store = sql(Database(engine))
    assert store.suspends is False
    assert drive(check(store)) is None


@every_check
def test_async_sqlite(check: Check, memory: type, sql: type, tmp_path: Path) -> None:
    async def run() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'trust.db'}")
        database = AsyncDatabase(engine)
        await database.acreate_all()
        assert sql(database).suspends is True
        await check(sql(database))
        await engine.dispose()

    asyncio.run(run())


@every_check
def test_async_postgres(check: Check, memory: type, sql: type, postgres: Engine, tenancy_url: str) -> None:
    async def run() -> None:
        engine = create_async_engine(tenancy_url.replace("+psycopg", "+asyncpg"))
        assert await check(sql(AsyncDatabase(engine))) is None
        await engine.dispose()

    asyncio.run(run())


def test_a_joined_store_shares_the_hosts_transaction(engine: Engine) -> None:
    database = Database(engine)
    with engine.connect() as connection:
        joined = Memberships(SqlMembershipStore(database.join(connection)))
        joined.create_workspace(Principal("u1"), tenant_id="t1")
        connection.rollback()
    assert Memberships(SqlMembershipStore(database)).prove(Principal("u1"), "t1") is None


def test_no_token_and_no_plain_secret_is_stored(engine: Engine) -> None:
    memberships = Memberships(SqlMembershipStore(Database(engine)))
    memberships.create_workspace(Principal("u1"), tenant_id="t1")
    invitation = memberships.invite(testing_context("t1"), "new@example.com", ["member"])
    with engine.connect() as connection:
        stored = repr(connection.execute(text("SELECT * FROM wst_invitation")).all())
    assert "new@example.com" in stored
    assert invitation.token not in stored
    assert invitation.token not in repr(invitation)


def test_parked_events_are_shown_to_operators(engine: Engine) -> None:
    outbox = SqlOutbox(Database(engine))
    outbox.emit(AuditEvent("a", "success", "t1", Principal("u1"), id="e1"))
    outbox.emit(AuditEvent("a", "success", "t1", Principal("u1"), id="e2"))
    drive(outbox.park("e2", "too_large"))
    assert outbox.parked() == [("e2", "too_large")]


def test_an_older_database_gets_the_new_columns(engine: Engine) -> None:
    """Rows of the first release read as plain memberships, and the outbox appears."""
    with engine.begin() as connection:
        for statement in (
            "DROP TABLE wst_outbox",
            "ALTER TABLE wst_workspace DROP COLUMN transfer",
            "ALTER TABLE wst_membership DROP COLUMN kind",
            "ALTER TABLE wst_membership DROP COLUMN suspended",
            "ALTER TABLE wst_membership DROP COLUMN support",
            "ALTER TABLE wst_subscription DROP COLUMN past_due_since",
            "ALTER TABLE wst_subscription DROP COLUMN reference",
            "DELETE FROM wst_schema WHERE version >= 2",
            "INSERT INTO wst_workspace (tenant_id, name, version) VALUES ('t1', 'Acme', 2)",
            "INSERT INTO wst_membership (tenant_id, principal_id, roles, version) "
            "VALUES ('t1', 'u1', '[\"owner\"]', 2)",
            "INSERT INTO wst_subscription (tenant_id, plan, status, features, version) "
            "VALUES ('t1', 'pro', 'active', '{\"sso\": {\"limit\": null, \"on_unknown\": \"deny\"}}', 1)",
        ):
            connection.exec_driver_sql(statement)
    database = Database(engine)
    assert database.create_all() >= 2
    assert database.create_all() >= 2
    memberships = Memberships(SqlMembershipStore(database), audit=SqlOutbox(database))
    assert memberships.prove(Principal("u1"), "t1") == Membership("t1", "u1", frozenset({"owner"}), 2)
    memberships.add_service(testing_context("t1", id="u1"), "bot", ["member"])
    found = drive(SqlEntitlements(database).snapshot("t1"))
    assert found is not None
    assert found.features == {"sso": Feature()}
