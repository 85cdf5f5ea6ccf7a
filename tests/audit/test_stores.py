"""One contract on every store, driven and awaited; and writers that race."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.audit import (
    AuditEvent,
    AuditForkDetected,
    AuditLog,
    DirectoryAuditStore,
    MemoryAuditStore,
    averify,
    verify,
)
from wellstreak_trust.core.errors import ConfigurationError
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlAuditStore
from wellstreak_trust.testing.stores.audit import CHECKS


@contextmanager
def sql_store(url: str) -> Iterator[SqlAuditStore]:
    engine = create_engine(url)
    database = Database(engine)
    database.create_all()
    yield SqlAuditStore(database)
    engine.dispose()


def psycopg_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract_in_memory(check: Any) -> None:
    assert drive(check(MemoryAuditStore())) is None


def test_contract_in_a_directory(tmp_path: Path) -> None:
    store = DirectoryAuditStore(tmp_path / "trail")
    assert [drive(check(store)) for check in CHECKS] == [None] * len(CHECKS)
    again = DirectoryAuditStore(tmp_path / "trail")
    for tenant in ("grows", "tiles", "pruned", "sealed"):
        assert drive(again.head(tenant)) == drive(store.head(tenant))
        assert drive(again.leaves(tenant, 0, 9)) == drive(store.leaves(tenant, 0, 9))


def test_contract_on_sqlite(sqlite_path: Path) -> None:
    with sql_store(f"sqlite:///{sqlite_path}") as store:
        assert [drive(check(store)) for check in CHECKS] == [None] * len(CHECKS)


def test_contract_on_postgresql(postgres_url: str) -> None:
    with sql_store(psycopg_url(postgres_url)) as store:
        assert [drive(check(store)) for check in CHECKS] == [None] * len(CHECKS)


@pytest.mark.parametrize("kind", ["aiosqlite", "threaded"])
def test_contract_awaited_on_sqlite(kind: str, sqlite_path: Path) -> None:
    async def run() -> None:
        engine = create_engine(f"sqlite:///{sqlite_path}")
        later = create_async_engine(f"sqlite+aiosqlite:///{sqlite_path}")
        await awaited(Database(engine).threaded() if kind == "threaded" else AsyncDatabase(later))
        engine.dispose()
        await later.dispose()

    asyncio.run(run())


async def awaited(database: Any) -> None:
    await database.acreate_all()
    for check in CHECKS:
        await check(SqlAuditStore(database))
    await awaited_log(SqlAuditStore(database))


async def awaited_log(store: SqlAuditStore) -> None:
    log = AuditLog(store)
    with pytest.raises(ConfigurationError, match="await"):
        log.emit(AuditEvent("a.b", "success", "async", {"id": "u"}))
    receipt = await log.aemit(AuditEvent("a.b", "success", "async", {"id": "u"}))
    async with log.action("a.c", tenant_id="async", actor={"id": "u"}) as act:
        act.data["done"] = True
    assert receipt.seq == 0
    assert [event["outcome"] for event in await log.aevents("async")] == ["success", "attempted", "success"]
    assert (await averify(store, tenant_id="async")).integrity == "verified"
    with pytest.raises(ConfigurationError, match="await"):
        verify(store, tenant_id="async")


def test_contract_awaited_on_postgresql(postgres_url: str) -> None:
    async def run() -> None:
        engine = create_async_engine(postgres_url.replace("postgresql://", "postgresql+asyncpg://"))
        await awaited(AsyncDatabase(engine))
        await engine.dispose()

    asyncio.run(run())


def races(store: SqlAuditStore) -> bool:
    """Four writers, two tenants, batches in opposite orders: no fork, no deadlock, no lost receipt."""
    log = AuditLog(store)

    def write(worker: int) -> list[tuple[str, int | None]]:
        tenants = ["t1", "t2"] if worker % 2 else ["t2", "t1"]
        receipts = []
        for _ in range(15):
            events = [AuditEvent("a.b", "success", tenant, {"id": f"w{worker}"}) for tenant in tenants]
            receipts += log.emit_many(events)
        return [(receipt.tenant_id, receipt.seq) for receipt in receipts]

    with ThreadPoolExecutor(4) as pool:
        places = [place for found in pool.map(write, range(4)) for place in found]
    reports = [verify(store, tenant_id=tenant) for tenant in ("t1", "t2")]
    return set(places) == {(tenant, seq) for tenant in ("t1", "t2") for seq in range(60)} and all(
        (report.integrity, report.size) == ("verified", 60) for report in reports
    )


def test_writers_race_on_sqlite(sqlite_path: Path) -> None:
    with sql_store(f"sqlite:///{sqlite_path}") as store:
        assert races(store)


def test_writers_race_on_postgresql(postgres_url: str) -> None:
    with sql_store(psycopg_url(postgres_url)) as store:
        assert races(store)


TAMPERING = {
    "tail cut off": "DELETE FROM wst_audit_leaf WHERE seq >= 2",
    "head set back": "UPDATE wst_audit_head SET size = 2",
    "head gone": "DELETE FROM wst_audit_head",
    "edge cut": "UPDATE wst_audit_head SET edge = X''",
    "all leaves gone": "DELETE FROM wst_audit_leaf",
}


@pytest.mark.parametrize("statement", TAMPERING.values(), ids=TAMPERING.keys())
def test_a_tree_changed_from_outside_is_not_continued(
    statement: str, sqlite_log: AuditLog, tamper: Callable[..., None], make: Callable[..., AuditEvent]
) -> None:
    """Continuing would give the rest of the tree a fresh, innocent root."""
    sqlite_log.emit_many([make() for _ in range(4)])
    tamper(statement)
    with pytest.raises(AuditForkDetected):
        sqlite_log.emit(make())
    assert not sqlite_log.emit(make("session.revoked")).durable
