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
