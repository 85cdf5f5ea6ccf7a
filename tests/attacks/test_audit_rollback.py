"""The store goes back: a restored backup, a truncated table, a tenant that never was.

Whoever holds something of the newer state could be shown two truths. Nothing is signed that contradicts it.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from wellstreak_trust.audit import (
    AuditEvent,
    AuditForkDetected,
    AuditLog,
    Checkpoint,
    CheckpointRegression,
    Ed25519Signer,
    verify,
)
from wellstreak_trust.core import FixedClock
from wellstreak_trust.storage.sql import Database, SqlAuditStore

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
Open = Callable[..., AuditLog]


class Elsewhere:
    """A sink whose notes outlive any restore."""

    suspends = False

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}

    async def apublish(self, origin: str, note: str, /) -> None:
        self.notes[origin] = note

    async def alatest(self, origin: str, /) -> str | None:
        return self.notes.get(origin)


@pytest.fixture
def opened(sqlite_path: Path) -> Iterator[Open]:
    """Opens the log as a new process would."""
    with ExitStack() as engines:

        def start(*sinks: Elsewhere) -> AuditLog:
            engine = create_engine(f"sqlite:///{sqlite_path}")
            engines.callback(engine.dispose)
            database = Database(engine)
            database.create_all()
            return AuditLog(SqlAuditStore(database), SIGNER, "rollback.test/audit", clock=FixedClock(NOW), sinks=sinks)

        yield start


def events(tenant_id: str, count: int, note: str = "true") -> list[AuditEvent]:
    who = {"id": "u"}
    return [
        AuditEvent("a.b", "success", tenant_id, who, data={"n": n, "note": note}, occurred_at=NOW) for n in range(count)
    ]


def backed_up(path: Path) -> Path:
    copy = path.with_suffix(".backup")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def restored(path: Path, copy: Path) -> None:
    for stale in path.parent.glob(f"{path.name}-*"):
        stale.unlink()
    shutil.copy(copy, path)


def tampered(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize("grown", [0, 2, 5, 300], ids=["shorter", "as long", "longer", "tiles longer"])
def test_a_restored_backup_ends_at_the_sink(grown: int, opened: Open, sqlite_path: Path) -> None:
    """Toy 22, with everything that the database knew about signatures restored too."""
    sink = Elsewhere()
    log = opened(sink)
    log.emit_many(events("t1", 3))
    log.tick()
    copy = backed_up(sqlite_path)
    log.emit_many(events("t1", 2))
    log.tick()
    pinned = log.checkpoint("t1")
    log.store._database.engine.dispose()  # type: ignore[attr-defined]  # a SqlAuditStore over a Database
    restored(sqlite_path, copy)
    again = opened(sink)
    if grown:
        again.emit_many(events("t1", grown, "false"))
    for ask in (lambda: again.checkpoint("t1"), again.checkpoint, again.tick):
        with pytest.raises(CheckpointRegression):
            ask()
    assert Checkpoint.unverified(sink.notes[Checkpoint.unverified(pinned).origin]).size == 5
    report = verify(again.store, tenant_id="t1", pinned=pinned, keys=[again.vkey("t1")])
    assert report.append_only == "failed"


def test_a_restore_while_the_process_runs(opened: Open, sqlite_path: Path) -> None:
    """No sink: this process knows what it signed."""
    log = opened()
    log.emit_many(events("t1", 3))
    log.checkpoint()
    copy = backed_up(sqlite_path)
    log.emit_many(events("t1", 2))
    log.checkpoint()
    log.store._database.engine.dispose()  # type: ignore[attr-defined]  # a SqlAuditStore over a Database
    restored(sqlite_path, copy)
    log.emit_many(events("t1", 9, "false"))
    with pytest.raises(CheckpointRegression):
        log.checkpoint()


DELETED = "DELETE FROM wst_audit_{} WHERE tenant_id = 't1'"
WIPED = tuple(DELETED.format(table) for table in ("leaf", "head", "tile"))


@pytest.mark.parametrize("grown", [1, 3, 6], ids=["shorter", "as long", "longer"])
def test_a_tenant_that_was_wiped_cannot_begin_anew(grown: int, opened: Open, sqlite_path: Path) -> None:
    """Toy 4 and 15: no row is left of it, but the spine noted it."""
    log = opened()
    log.emit_many([*events("t1", 3), *events("t2", 1)])
    log.checkpoint()
    tampered(sqlite_path, *WIPED)
    with pytest.raises(CheckpointRegression):
        log.checkpoint("t1")
    again = opened()
    again.emit_many(events("t1", grown, "false"))
    for ask in (again.checkpoint, again.tick, lambda: again.checkpoint("t1")):
        with pytest.raises((CheckpointRegression, AuditForkDetected)):
            ask()
    again.emit_many(events("t2", 1))
    with pytest.raises((CheckpointRegression, AuditForkDetected)):
        again.checkpoint()
    keys = [again.vkey("t2")]
    assert verify(again.store, tenant_id="t2", keys=keys, pinned=again.checkpoint("t2")).level == "anchored"


def test_a_tail_that_was_cut_with_care(opened: Open, sqlite_path: Path) -> None:
    """Leaves and head agree again; the spine remembers that the tree was longer."""
    log = opened()
    log.emit_many(events("t1", 2))
    short = sqlite3.connect(sqlite_path)
    size, root, edge = short.execute("SELECT size, root, edge FROM wst_audit_head WHERE tenant_id = 't1'").fetchone()
    log.emit_many(events("t1", 1))
    log.checkpoint()
    short.execute("DELETE FROM wst_audit_leaf WHERE tenant_id = 't1' AND seq >= 2")
    short.execute("UPDATE wst_audit_head SET size = ?, root = ?, edge = ? WHERE tenant_id = 't1'", (size, root, edge))
    short.commit()
    short.close()
    again = opened()
    again.emit_many(events("t1", 1, "false"))
    for ask in (again.tick, lambda: again.checkpoint("t1")):
        with pytest.raises((CheckpointRegression, AuditForkDetected)):
            ask()


def test_the_spine_itself_cut(opened: Open, sqlite_path: Path) -> None:
    log = opened()
    log.emit_many(events("t1", 1))
    log.checkpoint()
    tampered(
        sqlite_path,
        "DELETE FROM wst_audit_leaf WHERE tenant_id = ''",
        "DELETE FROM wst_audit_head WHERE tenant_id = ''",
        "UPDATE wst_audit_head SET grown = 1",
    )
    again = opened()
    again.emit_many(events("t1", 1))
    with pytest.raises(CheckpointRegression):
        again.checkpoint()


def test_an_emit_is_never_what_fails(opened: Open, sqlite_path: Path) -> None:
    log = opened()
    log.emit_many(events("t1", 3))
    log.checkpoint()
    tampered(sqlite_path, *WIPED)
    assert isinstance(log.clock, FixedClock)
    for number in range(3):
        log.clock.advance(timedelta(seconds=2))
        assert log.emit(events("t1", 1)[0]).seq == number
    assert isinstance(log.fault, CheckpointRegression | AuditForkDetected)
