"""Values of a shape that no field has: refused by name, or recorded; never an error of the interpreter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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
from wellstreak_trust.core.errors import StoreUnavailable, UsageError

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
