"""Events in the host's own transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.audit import (
    ActionRegistry,
    ActionSpec,
    AuditEvent,
    AuditEventRejected,
    AuditEventTooLarge,
    AuditLog,
    MemoryAuditStore,
)
from wellstreak_trust.core import Principal
from wellstreak_trust.core.errors import ConfigurationError
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlAuditStore, SqlOutbox

Make = Callable[..., AuditEvent]


@pytest.fixture
def engine(sqlite_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{sqlite_path}")
    Database(engine).create_all()
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE plan (name TEXT)"))
    yield engine
    engine.dispose()


@pytest.fixture
def log(engine: Engine) -> AuditLog:
    registry = ActionRegistry([ActionSpec("plan.deleted", "critical", needs_reason=True)], strict=False)
    return AuditLog(SqlAuditStore(Database(engine)), registry=registry)


def test_what_is_rolled_back_leaves_no_event(engine: Engine, log: AuditLog, make: Make) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        connection.execute(text("INSERT INTO plan VALUES ('pro')"))
        log.outbox(connection).emit(make(id="undone"))
        transaction.rollback()
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO plan VALUES ('pro')"))
        log.outbox(connection).emit(make(id="done"))
        assert log.events("t1") == []
    assert log.tick().relayed == 1
    assert [event["id"] for event in log.events("t1")] == ["done"]
    assert log.relay().sent == 0


def test_a_relay_that_repeats_itself_records_once(engine: Engine, log: AuditLog, make: Make) -> None:
    with engine.begin() as connection:
        outbox = log.outbox(connection)
        for number in range(3):
            outbox.emit(make(id=f"e{number}"))
        outbox.emit(make(id="e0"))
    waiting = SqlOutbox(Database(engine))
    first = drive(waiting.waiting(10))
    log.emit(first[0])  # a relay that died before it could settle
    assert log.flush() == 0
    assert sorted(event["id"] for event in log.events("t1")) == ["e0", "e1", "e2"]


def test_what_can_never_be_recorded_is_refused_before_the_commit(engine: Engine, log: AuditLog, make: Make) -> None:
    with engine.connect() as connection:
        outbox = log.outbox(connection)
        for event, refusal in (
            (make("plan.deleted"), AuditEventRejected),
            (make(data={"n": 1.5}), AuditEventRejected),
            (make(data={"n": "x" * 70_000}), AuditEventTooLarge),
            (make("no name"), AuditEventRejected),
            (None, AuditEventRejected),
        ):
            with pytest.raises(refusal):
                outbox.emit(event)  # type: ignore[arg-type]  # what a host may hand over
    assert log.relay().sent == 0


def test_credentials_do_not_wait_in_the_table(engine: Engine, log: AuditLog, make: Make, sqlite_path: Path) -> None:
    who = Principal("user_1", credential_id="key_1")
    event = make(actor=who, data={"password": "hunter2hunter2"}, changes=({"new": "ghp_hunter2hunter2"},), id="e")
    with engine.begin() as connection:
        log.outbox(connection).emit(event)
    engine.dispose()
    assert b"hunter2" not in b"".join(path.read_bytes() for path in sqlite_path.parent.iterdir())
    log.relay()
    assert log.emit(event).seq == 0  # the same content: what was masked then is masked now


def test_a_store_without_a_database_has_no_outbox() -> None:
    with pytest.raises(ConfigurationError, match="outbox"):
        AuditLog(MemoryAuditStore()).outbox(object())


def test_an_asynchronous_host(engine: Engine, sqlite_path: Path, make: Make) -> None:
    async def run() -> None:
        later = create_async_engine(f"sqlite+aiosqlite:///{sqlite_path}")
        log = AuditLog(SqlAuditStore(AsyncDatabase(later)))
        async with later.begin() as connection:
            with pytest.raises(ConfigurationError, match="await"):
                log.outbox(connection).emit(make())
            await log.outbox(connection).aemit(make(id="e"))
        assert (await log.atick()).relayed == 1
        assert [event["id"] for event in await log.aevents("t1")] == ["e"]
        await later.dispose()

    asyncio.run(run())
