"""One contract on memory, SQLite and PostgreSQL, blocking and asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core import Principal
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.memory import MemoryMembershipStore, MemoryUsageStore
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlMembershipStore, SqlUsageStore
from wellstreak_trust.storage.sql.usage import SqlEntitlements
from wellstreak_trust.tenancy import EntitlementSnapshot, Feature, Memberships, testing_context
from wellstreak_trust.testing.stores.memberships import MEMBERSHIP_CHECKS, USAGE_CHECKS

ROOMS = [
    *((check, MemoryMembershipStore, SqlMembershipStore) for check in MEMBERSHIP_CHECKS),
    *((check, MemoryUsageStore, SqlUsageStore) for check in USAGE_CHECKS),
]
every_check = pytest.mark.parametrize(("check", "memory", "sql"), ROOMS, ids=[room[0].__name__ for room in ROOMS])
Check = Callable[[Any], Any]
PERIOD = datetime(2026, 12, 1, 0, 0, 0, 7, tzinfo=UTC)


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


def test_subscriptions_come_back_whole_and_late_events_are_ignored(engine: Engine) -> None:
    source = SqlEntitlements(Database(engine))
    features = {"runs": Feature(limit=3), "export": Feature(on_unknown="allow", read_only=True)}
    newer = EntitlementSnapshot("pro", "active", PERIOD, features, version=7, as_of=PERIOD, period_start=PERIOD)
    assert drive(source.snapshot("t1")) is None
    assert source.apply("t1", newer)
    assert not source.apply("t1", EntitlementSnapshot("free", "canceled", None, {}, version=7))
    assert not source.apply("t1", EntitlementSnapshot("free", "canceled", None, {}, version=6))
    assert drive(source.snapshot("t1")) == newer
    assert source.apply("t1", EntitlementSnapshot("free", "canceled", None, {}, version=8))
    assert drive(source.snapshot("t2")) is None


def test_no_token_and_no_plain_secret_is_stored(engine: Engine) -> None:
    memberships = Memberships(SqlMembershipStore(Database(engine)))
    memberships.create_workspace(Principal("u1"), tenant_id="t1")
    invitation = memberships.invite(testing_context("t1"), "new@example.com", ["member"])
    with engine.connect() as connection:
        stored = repr(connection.execute(text("SELECT * FROM wst_invitation")).all())
    assert "new@example.com" in stored
    assert invitation.token not in stored
    assert invitation.token not in repr(invitation)
