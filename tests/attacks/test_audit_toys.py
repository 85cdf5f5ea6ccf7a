"""What makes a trail a toy, and where each is tried.

=====================================================  ================================================================
1, 2, 5, 7 verifying with what was rewritten           test_audit_tampering
3 the key beside the data                              here
4, 15, 22 truncation, wiped tenants, old copies        test_audit_rollback, test_audit_tampering, audit/test_directory
6 serialising again to verify                          here
8 the head read outside the lock                       test_audit_outage (processes), audit/test_stores (threads)
9 NORMAL called durable                                test_audit_outage (counted syncs)
10, 12 errors swallowed, denials that wait             test_audit_outage, audit/test_log
11 the event after the action                          audit/test_action, audit/test_outbox
13 the wall clock as order                             audit/test_log
14, 16 torn tails, memory ahead of the store           audit/test_directory, audit/test_log
17, 18 erasure that leaves something                   audit/test_directory and the tests of erasure
19, 20 redaction by name, refusals that repeat         audit/test_event, audit/test_encode
21 a tenant that may be left out                       here
23 queues without a bound                              test_audit_outage, audit/test_sequencer, audit/test_encode
24 injection through names                             here, and the tests of reports and exports
25 deep and cyclic data                                audit/test_event
26 fork with the log open                              test_audit_outage
27 a report that says more than was checked            test_audit_tampering
=====================================================  ================================================================
"""

from __future__ import annotations

import inspect
import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from wellstreak_trust.audit import (
    AuditEvent,
    AuditEventRejected,
    AuditLog,
    DirectoryAuditStore,
    Ed25519Signer,
    MemoryAuditStore,
    verify,
)
from wellstreak_trust.audit.tree import leaf_hash
from wellstreak_trust.core import UsageError
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import Database, SqlAuditStore

SEED = bytes(range(100, 132))


def event(**fields: object) -> AuditEvent:
    return AuditEvent(**{"action": "a.b", "outcome": "success", "tenant_id": "t1", "actor": {"id": "u"}} | fields)  # type: ignore[arg-type]  # fields of many kinds


def test_the_key_is_not_beside_the_data(tmp_path: Path) -> None:
    """Toy 3: who has the database has no signature."""
    engine = create_engine(f"sqlite:///{tmp_path / 'trail.db'}")
    Database(engine).create_all()
    for store in (SqlAuditStore(Database(engine)), DirectoryAuditStore(tmp_path / "trail")):
        log = AuditLog(store, Ed25519Signer.from_seed(SEED), "toys.test/audit")
        log.emit(event())
        log.checkpoint()
        log.checkpoint("t1")
        assert "Ed25519" not in repr(log)
        assert SEED.hex() not in repr(log._notary.signer)
    engine.dispose()
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert len(stored) > 1_000
    assert not [form for form in (SEED, SEED.hex().encode(), b64encode(SEED)) if form in stored]


def test_the_bytes_decide_and_not_what_they_mean() -> None:
    """Toy 6: a space more is another leaf, although it parses to the same event."""
    store = MemoryAuditStore()
    AuditLog(store).emit_many([event(), event()])
    leaf = store._trees["t1"].rows[1]
    spaced = leaf.leaf.replace(b'"v":1', b'"v": 1')
    assert json.loads(spaced) == json.loads(leaf.leaf)
    store._trees["t1"].rows[1] = leaf._replace(leaf=spaced)
    assert verify(store, tenant_id="t1").first_bad_seq == 1
    store._trees["t1"].rows[1] = leaf._replace(leaf=spaced, leaf_hash=leaf_hash(spaced))
    report = verify(store, tenant_id="t1")
    assert (report.integrity, report.first_bad_seq) == ("failed", 1)


@pytest.mark.parametrize(
    "verb",
    [AuditLog.events, AuditLog.entry, AuditLog.prove, AuditLog.export, AuditLog.action],
    ids=lambda v: v.__name__,
)
def test_no_reader_may_leave_the_tenant_out(verb: Callable[..., object]) -> None:
    """Toy 21."""
    assert inspect.signature(verb).parameters["tenant_id"].default is inspect.Parameter.empty


def test_a_tenant_sees_its_own_events_alone() -> None:
    log = AuditLog(MemoryAuditStore(), Ed25519Signer.from_seed(SEED))
    log.emit_many([event(tenant_id=name, id=name) for name in ("t1", "t2", "t", "t11")])
    log.checkpoint()
    assert [found["id"] for found in log.events("t1")] == ["t1"]
    assert [log.events(nobody) for nobody in ("T1", "t1 ", "%", "t_")] == [[]] * 4
    with pytest.raises(UsageError):
        log.events("")  # the spine is nobody's


@pytest.mark.parametrize("name", ["a\nb", "a\r", "a\x1b[2J", "a\x00", "a\u2028b\x85", " "])
def test_names_do_not_break_lines(name: str) -> None:
    """Toy 24, OWASP ASVS 5, 16.4.1: what becomes a column or a line of another log."""
    log = AuditLog(MemoryAuditStore())
    for field in ("action", "id", "tenant_id"):
        if name.isprintable() or (field != "action" and not any(c < " " for c in name)):
            continue
        with pytest.raises(AuditEventRejected):
            log.emit(event(**{field: name}))
    stored = log.emit(event(reason=name, data={"header": name}))
    leaf = drive(log.store.leaves("t1", 0, 1))[0].leaf
    assert stored.durable
    assert b"\n" not in leaf
    assert b"\x1b" not in leaf
    assert json.loads(leaf)["data"]["header"] == name
