"""A report that says more than was checked is worse than none (toys 1 and 27)."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from audit_trails import SIGNER, behind, events, opened, rewrite
from wellstreak_trust.audit import AuditLog, MemoryAuditStore, verify
from wellstreak_trust.core import UsageError


def test_the_code_and_data_that_wrote_it_prove_nothing(sqlite_path: Path) -> None:
    """Toy 1: the whole table is written anew and agrees with itself; the report must not say more than that."""
    with opened(sqlite_path) as log:
        log.emit_many(events(6))
        behind(sqlite_path, lambda connection: rewrite(connection, 3))
        report = verify(log.store, tenant_id="t1")
    assert (report.failed, report.level, report.covers) == ((), "internal", 0)
    text = str(report)
    assert "whoever holds the data may have written it all anew" in text
    assert "history may have been rewritten since" in text
    assert "the newest entries may have been cut off" in text


@pytest.mark.parametrize(("keyed", "source"), list(product((False, True), ("store", "directory", "whole store"))))
def test_without_a_pin_nothing_is_called_append_only_or_complete(keyed: bool, source: str, tmp_path: Path) -> None:
    """Toy 27."""
    log = AuditLog(MemoryAuditStore(), SIGNER, "wellstreak.test/audit")
    log.emit_many(events(6))
    log.export("t1", tmp_path / "export")
    log.checkpoint()
    if source == "whole store":
        report = verify(log.store, keys=[log.vkey()] if keyed else [])
    else:
        of = tmp_path / "export" if source == "directory" else log.store
        report = verify(of, tenant_id="t1", keys=[log.vkey("t1")] if keyed else [])
    assert (report.append_only, report.completeness) == ("not_checked", "not_checked")
    assert report.level == ("signed" if keyed else "internal")
    assert not report.reaches("anchored")


def test_a_report_is_no_yes(tmp_path: Path) -> None:
    log = AuditLog(MemoryAuditStore(), SIGNER, "wellstreak.test/audit")
    with pytest.raises(UsageError):
        assert verify(log.store, tenant_id="t1")


def test_entries_behind_the_signed_state_are_not_vouched_for(tmp_path: Path) -> None:
    log = AuditLog(MemoryAuditStore(), SIGNER, "wellstreak.test/audit")
    log.emit_many(events(6))
    pinned = log.checkpoint("t1")
    log.emit_many(events(3))
    report = verify(log.store, tenant_id="t1", keys=[log.vkey("t1")], pinned=pinned)
    assert (report.size, report.covers, report.level) == (9, 6, "anchored")
    assert any("entries from 6 on" in said for said in report.unchecked)


def test_the_empty_state_of_another_tenant_anchors_nothing() -> None:
    """All empty trees share one root; the name tells whose it was."""
    log = AuditLog(MemoryAuditStore(), SIGNER, "wellstreak.test/audit")
    own, foreign = log.checkpoint("t1"), log.checkpoint("t2")
    log.emit_many(events(6))
    for keys in ([], [log.vkey()], [log.vkey("t2")]):
        report = verify(log.store, tenant_id="t1", pinned=foreign, keys=keys)
        assert (report.append_only, report.completeness, report.level) == ("failed", "not_checked", "internal")
    assert verify(log.store, tenant_id="t1", pinned=own, keys=[log.vkey()]).append_only == "verified"


def test_a_tenants_key_or_pin_is_no_evidence_of_all_trees_and_no_tampering_either() -> None:
    log = AuditLog(MemoryAuditStore(), SIGNER, "wellstreak.test/audit")
    log.emit_many(events(6))
    log.checkpoint()
    pinned = log.checkpoint("t1")
    with pytest.raises(UsageError):
        verify(log.store, keys=[log.vkey("t1")])
    with pytest.raises(UsageError):
        verify(log.store, pinned=pinned)


@pytest.mark.parametrize("wrong", [{"minimum_index": -1}, {"minimum_index": "1"}, {"tenant_id": 5}], ids=str)
def test_what_the_caller_got_wrong_is_no_verdict(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        verify(tmp_path, **wrong)  # type: ignore[arg-type]  # that is the mistake


@pytest.mark.parametrize("tenant_id", [None, 5, b"t1", "\ud800"], ids=ascii)
def test_a_tenant_id_that_is_none_is_told_and_alarms_nobody(tenant_id: object, tmp_path: Path) -> None:
    with opened(tmp_path / "trail.db") as log:
        log.emit_many(events(6))
        who = {"id": "u1"}
        for call in (
            lambda tenant: log.erase("s", tenant_id=tenant, reason="asked", actor=who),
            lambda tenant: log.query("", tenant_id=tenant),
            lambda tenant: log.export(tenant, tmp_path / "export"),
            lambda tenant: log.prove(tenant, 0),
            lambda tenant: log.entry(tenant, 0),
            lambda tenant: log.events(tenant),
        ):
            with pytest.raises(UsageError):
                call(tenant_id)


@pytest.mark.parametrize("seq", [None, "0", True, 1.0, -1, 6, 10**30], ids=str)
def test_a_seq_that_is_none_is_told_and_alarms_nobody(seq: object, sqlite_path: Path) -> None:
    with opened(sqlite_path) as log:
        log.emit_many(events(6))
        for call in (log.prove, log.entry):
            with pytest.raises(UsageError):
                call("t1", seq)  # type: ignore[arg-type]  # that is the mistake
