"""A whole store against its spine: what no tree can show about itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from wellstreak_trust.audit import AuditEvent, AuditLog, verify
from wellstreak_trust.audit.spine import head_draft, tree_id
from wellstreak_trust.audit.store import Head
from wellstreak_trust.core import FixedClock, UsageError
from wellstreak_trust.core.sansio import drive

Make = Callable[..., AuditEvent]
Tamper = Callable[..., None]


@pytest.fixture
def filled(sqlite_log: AuditLog, make: Make, clock: FixedClock) -> AuditLog:
    """Three tenants, noted in the spine at several sizes."""
    for size in range(3):
        sqlite_log.emit_many([make(tenant_id=f"t{n}", data={"n": n}) for n in range(3) for _ in range(size + 1)])
        clock.advance(timedelta(seconds=30))
        sqlite_log.tick()
    return sqlite_log


def test_a_whole_store(filled: AuditLog) -> None:
    pinned = filled.checkpoint()
    report = verify(filled.store, keys=[filled.vkey()], pinned=pinned)
    assert report.failed == ()
    assert (report.level, report.size, report.covers, set(report.tenants)) == ("anchored", 18, 18, {"t0", "t1", "t2"})
    assert {one.level for one in report.tenants.values()} == {"anchored"}
    assert {one.append_only for one in report.tenants.values()} == {"verified"}
    signed = verify(filled.store, keys=[filled.vkey()])
    assert (signed.level, signed.append_only, signed.completeness) == ("signed", "not_checked", "not_checked")
    assert "t1: 6 entries, signed" in str(signed)


def test_without_keys_trees_are_found_by_their_roots(filled: AuditLog, tamper: Tamper) -> None:
    report = verify(filled.store)
    assert (report.failed, report.level, report.signature) == ((), "internal", "not_checked")
    assert {one.append_only for one in report.tenants.values()} == {"verified"}
    wipe(tamper, "t1")
    gone = verify(filled.store)
    assert (gone.completeness, gone.level) == ("failed", "internal")
    assert f"tree {tree_id(filled.origin, 't1')}" in gone.tenants


def wipe(tamper: Tamper, tenant_id: str) -> None:
    for table in ("leaf", "head", "tile"):
        tamper(f"DELETE FROM wst_audit_{table} WHERE tenant_id = ?", tenant_id)


def test_a_tenant_that_was_deleted_is_missed(filled: AuditLog, tamper: Tamper) -> None:
    wipe(tamper, "t1")
    report = verify(filled.store, keys=[filled.vkey()])
    name = f"tree {tree_id(filled.origin, 't1')}"
    assert (report.completeness, report.append_only, report.level) == ("failed", "failed", "internal")
    assert (report.tenants[name].size, report.tenants[name].completeness) == (0, "failed")
    assert name in report.reason
    assert "6 entries" in report.reason
    assert report.tenants["t0"].failed == ()


def older(path: Path, tenant_id: str, size: int) -> None:
    """Cuts a tree back to a former state that is in itself perfect."""
    from wellstreak_trust.audit.tree import Frontier

    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM wst_audit_leaf WHERE tenant_id = ? AND seq >= ?", (tenant_id, size))
        tree = Frontier()
        query = "SELECT leaf_hash FROM wst_audit_leaf WHERE tenant_id = ? ORDER BY seq"
        for (one,) in connection.execute(query, (tenant_id,)):
            tree.append(one)
        connection.execute(
            "UPDATE wst_audit_head SET size = ?, root = ?, edge = ? WHERE tenant_id = ?",
            (size, tree.root(), b"".join(tree.edge), tenant_id),
        )
    connection.close()


def test_a_truncated_tenant_is_named(filled: AuditLog, sqlite_path: Path) -> None:
    older(sqlite_path, "t2", 4)
    assert verify(filled.store, tenant_id="t2").failed == ()
    report = verify(filled.store, keys=[filled.vkey()])
    assert (report.completeness, report.tenants["t2"].completeness) == ("failed", "failed")
    assert (report.tenants["t2"].first_bad_seq, report.first_bad_seq) == (4, 4)
    assert report.reason.startswith("t2: the spine noted 6 entries, 4 are here")


def test_a_rewritten_tenant_is_named(filled: AuditLog, sqlite_path: Path) -> None:
    from wellstreak_trust.audit.event import content_digest
    from wellstreak_trust.audit.tree import leaf_hash

    with sqlite3.connect(sqlite_path) as connection:
        (leaf,) = connection.execute("SELECT leaf FROM wst_audit_leaf WHERE tenant_id='t0' AND seq=2").fetchone()
        forged = leaf.replace(b"user_1", b"user_9")
        connection.execute(
            "UPDATE wst_audit_leaf SET leaf=?, leaf_hash=?, content_digest=?, actor='user_9' "
            "WHERE tenant_id='t0' AND seq=2",
            (forged, leaf_hash(forged), content_digest(forged)),
        )
    connection.close()
    older(sqlite_path, "t0", 6)
    assert verify(filled.store, tenant_id="t0").failed == ()
    report = verify(filled.store, keys=[filled.vkey()])
    assert (report.append_only, report.tenants["t0"].append_only) == ("failed", "failed")
    assert report.tenants["t0"].reason == "the entries are not those that the spine noted"


def test_entries_that_are_new_are_told_and_no_fault(filled: AuditLog, make: Make) -> None:
    draftless = AuditLog(filled.store, clock=filled.clock)  # a process without the key records, and notes nothing
    draftless.emit_many([make(tenant_id="t0"), make(tenant_id="t9")])
    report = verify(filled.store, keys=[filled.vkey()])
    assert (report.failed, report.size, report.covers) == ((), 20, 18)
    assert report.tenants["t9"].unchecked == ("the spine has not noted this tree yet",)
    assert report.tenants["t9"].level == "internal"
    assert "1 trees that the spine has not noted yet" in report.unchecked
    assert "1 entries newer than what the spine noted of their trees" in report.unchecked


def test_entries_slipped_in_behind_the_spine(filled: AuditLog, make: Make, tamper: Tamper, clock: FixedClock) -> None:
    """A tree, or a tail, that is older than the spine's last leaf and that the spine never saw."""
    for tenant_id in ("t1", "ghost"):
        AuditLog(filled.store, clock=clock).emit(make(tenant_id=tenant_id))
    tamper("UPDATE wst_audit_head SET grown = 0")  # as if they had been noted: later ticks pass over them
    clock.advance(timedelta(minutes=5))
    filled.emit(make(tenant_id="t0"))
    filled.tick()
    report = verify(filled.store, keys=[filled.vkey()])
    assert report.append_only == "failed"
    bad = {name: one.first_bad_seq for name, one in report.tenants.items() if one.failed}
    assert bad == {"t1": 6, "ghost": 0}
    assert "never saw" in report.reason


def test_the_spine_itself(filled: AuditLog, tamper: Tamper) -> None:
    pinned = filled.checkpoint()
    tamper("UPDATE wst_audit_leaf SET leaf = replace(leaf, 'size', 'sise') WHERE tenant_id = '' AND seq = 1")
    report = verify(filled.store, keys=[filled.vkey()], pinned=pinned)
    assert (report.integrity, report.first_bad_seq, report.level) == ("failed", 1, "internal")
    for table in ("leaf", "head", "tile"):
        tamper(f"DELETE FROM wst_audit_{table} WHERE tenant_id = ''")
    gone = verify(filled.store, keys=[filled.vkey()], pinned=pinned)
    assert (gone.append_only, gone.completeness, gone.signature) == ("failed", "failed", "failed")


def test_a_store_without_a_spine(sqlite_log: AuditLog, make: Make) -> None:
    AuditLog(sqlite_log.store, clock=sqlite_log.clock).emit(make())
    report = verify(sqlite_log.store)
    assert (report.failed, report.level, report.size) == ((), "internal", 1)
    assert report.tenants["t1"].append_only == "not_checked"


def test_keys_of_two_logs_are_a_mistake(filled: AuditLog) -> None:
    other = AuditLog(filled.store, filled._notary.signer, "other.test/audit")
    with pytest.raises(UsageError):
        verify(filled.store, keys=[filled.vkey(), other.vkey()])


def test_the_logs_own_key_stands_for_a_tenants(filled: AuditLog, tmp_path: Path) -> None:
    filled.export("t1", tmp_path / "export")
    for source in (filled.store, tmp_path / "export"):
        report: Any = verify(source, tenant_id="t1", keys=[filled.vkey()])
        assert (report.signature, report.level) == ("verified", "signed")
    assert verify(tmp_path / "export", tenant_id="t2", keys=[filled.vkey()]).failed == ("integrity", "signature")


@pytest.mark.parametrize(("size", "mark"), [(4, 1), (6, 2)], ids=["smaller than before", "another root"])
def test_a_spine_that_contradicts_itself(size: int, mark: int, filled: AuditLog) -> None:
    """Only whoever has the key of the log, and code of its own, can bring this about."""
    tree = tree_id(filled.origin, "t1")
    draft = head_draft(tree, Head(size, bytes([mark]) * 32))._replace(id=f"again.{mark}")
    before, between, after = (part.replace(b"%s.%d" % (tree.encode(), size), b"again.%d" % mark) for part in draft[6:9])
    forged = draft._replace(before=before, between=between, after=after)
    drive(filled.store.append_batch([forged], now=filled.clock.now, deadline=timedelta(seconds=1)))
    report = verify(filled.store, keys=[filled.vkey()])
    assert report.level == "internal"
    if size == 4:
        assert (report.append_only, report.reason) == ("failed", "t1: the entries are not those that the spine noted")
    else:
        assert (report.integrity, report.reason) == ("failed", "the spine contradicts itself about a tree")
