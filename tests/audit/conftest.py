"""Audit logs over real stores, and a signer that is the same in every run."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import create_engine

from wellstreak_trust.audit import AuditEvent, AuditLog, DirectoryAuditStore, Ed25519Signer, MemoryAuditStore
from wellstreak_trust.audit.event import Draft
from wellstreak_trust.audit.store import Leaf
from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.errors import StoreUnavailable
from wellstreak_trust.storage.sql import Database, SqlAuditStore
from wellstreak_trust.storage.sql.audit_tables import CURSOR, DISCLOSURE, HEAD, HOLD, LEAF, SIGNED, SUBJECT, TILE

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))


class Outage(MemoryAuditStore):
    """A store that can be switched off; it may also take the batch and lose the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.down: Exception | None = None
        self.answers: bool = True

    async def append_batch(
        self, drafts: Sequence[Draft], *, now: Callable[[], datetime], deadline: timedelta
    ) -> list[Leaf]:
        if self.down is not None:
            raise self.down
        found = await super().append_batch(drafts, now=now, deadline=deadline)
        if not self.answers:
            raise StoreUnavailable("the connection broke after the commit")
        return found


class Interleaved(MemoryAuditStore):
    """Lets `other`, once, do something right after one moment of what is tested; subclasses say when that is."""

    def __init__(self, moment: str) -> None:
        super().__init__()
        self.moment: str = moment
        self.other: Callable[[], object] | None = None

    def comes(self, moment: str) -> None:
        other = self.other if moment == self.moment else None
        if other is not None:
            self.other = None
            other()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def outage() -> Any:
    """`.down = error` switches the store off; `.answers = False` takes the batch and loses the answer."""
    return Outage()


@pytest.fixture
def log(outage: Any, clock: FixedClock) -> AuditLog:
    return AuditLog(outage, SIGNER, "wellstreak.test/audit", clock=clock, spill=3)


@pytest.fixture
def sqlite_log(sqlite_path: Path, clock: FixedClock) -> Iterator[AuditLog]:
    engine = create_engine(f"sqlite:///{sqlite_path}")
    database = Database(engine)
    database.create_all()
    yield AuditLog(SqlAuditStore(database), SIGNER, "wellstreak.test/audit", clock=clock)
    engine.dispose()


@pytest.fixture
def tamper(sqlite_path: Path) -> Callable[..., None]:
    """Changes the database file behind the application's back."""

    def execute(statement: str, *values: object) -> None:
        with closing(sqlite3.connect(sqlite_path)) as connection:
            connection.execute(statement, values)
            connection.commit()

    return execute


@pytest.fixture
def make() -> Callable[..., AuditEvent]:
    def event(action: str = "billing.plan_changed", tenant_id: str = "t1", **fields: Any) -> AuditEvent:
        fields = {"outcome": "success", "actor": {"id": "user_1"}, "occurred_at": NOW} | fields
        return AuditEvent(action, tenant_id=tenant_id, **fields)

    return event


@pytest.fixture(scope="session")
def audit_database(postgres_server: str) -> Iterator[Database]:
    """One database for all of these tests; each empties the tables, which is quicker than making them."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "wt_audit_{os.getpid()}"')
        url = urlsplit(postgres_server)._replace(scheme="postgresql+psycopg", path=f"/wt_audit_{os.getpid()}").geturl()
        engine = create_engine(url)
        database = Database(engine)
        database.create_all()
        yield database
        engine.dispose()
        connection.execute(f'DROP DATABASE "wt_audit_{os.getpid()}" WITH (FORCE)')


@pytest.fixture(params=["memory", "sqlite", "postgresql", "directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Every store of this package, empty."""
    if request.param == "memory":
        yield MemoryAuditStore()
    elif request.param == "directory":
        yield DirectoryAuditStore(tmp_path / "trail")
    elif request.param == "postgresql":
        database = request.getfixturevalue("audit_database")
        with database.engine.begin() as connection:
            for table in (LEAF, HEAD, TILE, SIGNED, DISCLOSURE, SUBJECT, HOLD, CURSOR):
                connection.execute(table.delete())
        yield SqlAuditStore(database)
    else:
        engine = create_engine(f"sqlite:///{tmp_path / 'trail.db'}")
        database = Database(engine)
        database.create_all()
        yield SqlAuditStore(database)
        engine.dispose()


@pytest.fixture
def each_log(store: Any, clock: FixedClock) -> AuditLog:
    """A log over every store of this package."""
    return AuditLog(store, SIGNER, "wellstreak.test/audit", clock=clock)
