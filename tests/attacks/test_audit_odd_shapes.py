"""Values of a shape that no field has: refused by name, or recorded; never an error of the interpreter."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from wellstreak_trust.audit import (
    ActionRegistry,
    ActionSpec,
    AuditEvent,
    AuditEventRejected,
    AuditForkDetected,
    AuditLog,
    DirectoryAuditStore,
    Ed25519Signer,
    MemoryAuditStore,
    Personal,
    verify,
)
from wellstreak_trust.core.errors import AuditConflict, IntegrityError, StoreUnavailable, UsageError
from wellstreak_trust.core.secret import Secret
from wellstreak_trust.storage.sql import Database, SqlAuditStore

WHO = {"tenant_id": "t1", "actor": {"id": "u1"}}
LINES = ("a\u2028b", "a\u2029b", "a\x85b", "a\x9bb")
SIGNER = Ed25519Signer.from_seed(bytes(32))


def log_of(**spec: Any) -> AuditLog:
    registry = ActionRegistry([ActionSpec("x.done", **spec)])
    return AuditLog(MemoryAuditStore(), SIGNER, "example.com/audit", registry)


def event(**fields: Any) -> AuditEvent:
    return AuditEvent(**{"action": "x.done", "outcome": "success", **WHO, **fields})


@pytest.mark.parametrize("data", [5, None, [{}], "text", {1: Personal("x", subject="s"), "b": 2}], ids=repr)
def test_data_that_is_no_mapping_of_declared_keys(data: Any) -> None:
    with pytest.raises(AuditEventRejected):
        log_of(fields=frozenset({"f"})).emit(event(data=data))
    cut = log_of(fields=frozenset({"f"}), criticality="protective")
    assert cut.emit(event(data=data)).durable
    assert cut.events("t1")[0]["data"] == {"cut": "internal_error"}


@pytest.mark.parametrize("outcome", [["success"], {}, None, 5, "maybe"], ids=repr)
def test_an_outcome_that_is_none(outcome: Any) -> None:
    with pytest.raises(AuditEventRejected):
        log_of().emit(event(outcome=outcome))
    assert not log_of(criticality="protective").emit(event(outcome=outcome)).durable


@pytest.mark.parametrize("reason", ["", " ", "\t\n"], ids=repr)
def test_a_blank_reason_is_none(reason: str) -> None:
    with pytest.raises(AuditEventRejected):
        log_of(needs_reason=True).emit(event(reason=reason))


@pytest.mark.parametrize("text", LINES, ids=ascii)
def test_what_ends_a_line_for_some_reader_is_no_identifier(text: str, tmp_path: Path) -> None:
    log = AuditLog(DirectoryAuditStore(tmp_path))
    for fields in ({"id": text}, {"tenant_id": text}, {"actor": {"id": text}}):
        with pytest.raises(AuditEventRejected):
            log.emit(event(**fields))


def test_a_person_is_named_in_unicode() -> None:
    with pytest.raises(UsageError):
        Personal("x", subject="\ud800")
    with pytest.raises(UsageError):
        log_of().erase("\ud800", tenant_id="t1", reason="asked", actor={"id": "u1"})


class NoKeys(MemoryAuditStore):
    """Appends, but answers nothing about persons."""

    async def subject_key(self, tenant_id: str, subject: str, fresh: bytes) -> bytes:
        raise StoreUnavailable("down")


@pytest.mark.parametrize("data", [{"n": 1.5}, {"big": "y" * 70_000}, {"raw": b"x"}], ids=["float", "big", "bytes"])
def test_a_denial_is_recorded_although_neither_its_values_nor_the_rest_can_be(data: dict[str, Any]) -> None:
    registry = ActionRegistry([ActionSpec("x.done", "protective")])
    log = AuditLog(NoKeys(), registry=registry)
    assert log.emit(event(data={**data, "mail": Personal("a@b.example", subject="u1")})).durable
    assert list(log.events("t1")[0]["data"]) == ["cut"]


@pytest.mark.parametrize("octets", [b"", b"[]", b"{", b"[" * 9_999, b'{"action":"audit.tree_head"}'], ids=len)
def test_a_spine_entry_that_is_none_signs_nothing_and_says_so(octets: bytes) -> None:
    store = MemoryAuditStore()
    log = AuditLog(store, SIGNER, "example.com/audit")
    log.emit(event())
    log.checkpoint()
    rows = store._trees[""].rows
    rows[0] = rows[0]._replace(leaf=octets)
    log.emit(event())
    for sign in (lambda: log.checkpoint("t1"), log.checkpoint, log.tick):
        with pytest.raises(AuditForkDetected):
            sign()
    assert verify(store, keys=[log.vkey()]).integrity == "failed"


def test_a_directory_without_its_journal_is_a_verdict(tmp_path: Path) -> None:
    log = AuditLog(DirectoryAuditStore(tmp_path), SIGNER, "example.com/audit")
    log.emit(event())
    pinned = log.checkpoint("t1")
    (tmp_path / "journal").unlink()
    report = verify(DirectoryAuditStore(tmp_path), tenant_id="t1", pinned=pinned, keys=[log.vkey()])
    assert {"integrity", "completeness"} <= set(report.failed)
    assert verify(DirectoryAuditStore(tmp_path)).failed


@pytest.mark.parametrize("shape", [True, 5, "text", {"id": "x"}, [None], [[]]], ids=repr)
def test_one_event_of_an_odd_shape_ends_no_search(shape: Any) -> None:
    log = log_of()
    log.emit(event(targets=shape, changes=shape, id="odd"))
    log.emit(event(targets=("int_3",), changes=({"field": "plan"},), id="even"))
    assert [found["id"] for found in log.query("target:int_3 changed:plan", tenant_id="t1")] == ["even"]
    assert "odd" in [found["id"] for found in log.query("-target:int_3", tenant_id="t1")]
    assert log.report("t1", actor={"id": "u1"}).html()


def sql_log(path: Path) -> AuditLog:
    database = Database(create_engine(f"sqlite:///{path}", poolclass=NullPool))
    database.create_all()
    return AuditLog(
        SqlAuditStore(database),
        SIGNER,
        "example.com/audit",
        ActionRegistry([ActionSpec("x.done")]),
        personal_key=Secret(b"k" * 32),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "log.db"
    log = sql_log(path)
    for number in range(3):
        log.emit(event(data={"mail": Personal(f"m{number}", subject="u1")}))
    log.checkpoint("t1")
    log.checkpoint()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


OFFICER = {"actor": {"id": "officer"}, "reason": "drill"}
WORK: dict[str, Callable[[AuditLog, Path], object]] = {
    "emit": lambda log, _: log.emit(event()),
    "checkpoint": lambda log, _: log.checkpoint("t1"),
    "spine": lambda log, _: log.checkpoint(),
    "tick": lambda log, _: log.tick(),
    "prove": lambda log, _: log.prove("t1", 0),
    "events": lambda log, _: log.events("t1"),
    "query": lambda log, _: log.query("actor:u1", tenant_id="t1"),
    "export": lambda log, folder: log.export("t1", folder),
    "report": lambda log, _: log.report("t1", **OFFICER),
    "bundle": lambda log, folder: log.bundle("t1", folder, **OFFICER),
    "erase": lambda log, _: log.erase("u1", tenant_id="t1", **OFFICER),
    "prune": lambda log, folder: log.prune("t1", before=datetime(2100, 1, 1, tzinfo=UTC), archive=folder, **OFFICER),
}
LEAF = "seq id action actor outcome occurred_at content_digest leaf leaf_hash"
CELLS = [
    *(("wst_audit_leaf", name) for name in LEAF.split()),
    *(("wst_audit_head", name) for name in "size root edge recorded_at first_seq".split()),
    *(("wst_audit_signed", name) for name in "size root note".split()),
    *(("wst_audit_disclosure", name) for name in "subject sealed".split()),
    ("wst_audit_subject", "key"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column"), CELLS)
def test_another_type_in_any_column_is_an_error_of_ours(table: str, column: str, whole: Path, tmp_path: Path) -> None:
    """SQLite keeps any type in any column: whoever can write a row must not choose where the interpreter fails."""
    refused, held = set(), bytes if column in ("id", "action", "actor", "outcome", "note", "subject") else str
    for name, work in WORK.items():
        shutil.copy(whole, path := tmp_path / f"{name}.db")
        with sqlite3.connect(path) as connection:
            which = "" if table == "wst_audit_signed" else " WHERE tenant_id = 't1'"
            if table in ("wst_audit_leaf", "wst_audit_disclosure"):
                which += " AND seq = 1"
            connection.execute(f"UPDATE {table} SET {column} = ?{which}", (held(b"odd") if held is bytes else "odd",))
        try:
            work(sql_log(path), tmp_path / name)
        except (IntegrityError, AuditConflict):
            refused.add(name)
    if table in ("wst_audit_leaf", "wst_audit_head"):
        assert refused & {"export", "events"}, "somebody who reads all of it must notice"
