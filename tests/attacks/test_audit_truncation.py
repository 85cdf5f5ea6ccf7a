"""The newest entries, a whole tenant, or all since a backup is gone (toy 4): what is left is in itself perfect."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from audit_trails import behind, events, opened, regrow
from wellstreak_trust.audit import AuditForkDetected, VerifyReport, verify

TABLES = ("leaf", "head", "tile", "disclosure", "subject")


def cut(path: Path) -> None:
    behind(path, lambda connection: connection.execute("DELETE FROM wst_audit_leaf WHERE tenant_id='t1' AND seq >= 4"))
    behind(path, regrow)


def wiped(path: Path, tenant_id: str = "t1") -> None:
    for table in TABLES:
        statement = f"DELETE FROM wst_audit_{table} WHERE tenant_id = ?"
        behind(path, lambda connection, statement=statement: connection.execute(statement, (tenant_id,)))


@pytest.mark.parametrize("attack", [cut, wiped], ids=["newest entries", "whole tenant"])
def test_neither_the_pin_nor_the_spine_is_fooled(attack: Callable[[Path], None], sqlite_path: Path) -> None:
    with opened(sqlite_path) as log:
        log.emit_many([*events(6), *events(2, "t2")])
        pinned, spine, keys = log.checkpoint("t1"), log.checkpoint(), [log.vkey("t1")]
        attack(sqlite_path)
        alone = verify(log.store, tenant_id="t1")
        assert (alone.integrity, alone.level) == ("verified", "internal")
        held = verify(log.store, tenant_id="t1", pinned=pinned, keys=keys)
        assert (held.append_only, held.completeness) == ("failed", "failed")
        for pin in (None, spine):
            whole = verify(log.store, keys=[log.vkey()], pinned=pin)
            assert (whole.completeness, whole.level) == ("failed", "internal")
        assert [name for name, report in whole.tenants.items() if not report.failed] == ["t2"]


def test_an_older_copy_of_the_file(sqlite_path: Path, tmp_path: Path) -> None:
    """It is genuine in every part; only what was kept elsewhere is newer."""
    with opened(sqlite_path) as log:
        log.emit_many(events(4))
        log.checkpoint("t1")
        log.checkpoint()
    shutil.copy(sqlite_path, tmp_path / "backup.db")
    with opened(sqlite_path) as log:
        log.emit_many(events(2))
        pinned, spine = log.checkpoint("t1"), log.checkpoint()
    shutil.copy(tmp_path / "backup.db", sqlite_path)
    with opened(sqlite_path) as log:
        found: list[VerifyReport] = [
            verify(log.store, tenant_id="t1", pinned=pinned, keys=[log.vkey("t1")]),
            verify(log.store, pinned=spine, keys=[log.vkey()]),
        ]
        assert verify(log.store, keys=[log.vkey()]).failed == ()
    assert [(one.append_only, one.completeness) for one in found] == [("failed", "failed")] * 2


def test_a_cut_export(tmp_path: Path) -> None:
    """The entries go, the tiles go, the older checkpoint comes back."""
    with opened(tmp_path / "log.db") as log:
        log.emit_many(events(4))
        old = log.export("t1", tmp_path / "old")
        log.emit_many(events(2))
        pinned = log.export("t1", tmp_path / "new")
        report = verify(tmp_path / "old", pinned=pinned, keys=[log.vkey("t1")])
        assert (report.integrity, report.signature) == ("verified", "verified")
        assert (report.append_only, report.completeness, report.level) == ("failed", "failed", "internal")
        (tmp_path / "new/checkpoint").write_text(old)
        assert verify(tmp_path / "new", keys=[log.vkey("t1")]).integrity == "failed"


def test_a_cut_tree_is_not_continued(sqlite_path: Path) -> None:
    """Only the tail is gone, the head is not: the next event would give the rest a fresh, innocent root."""
    with opened(sqlite_path) as log:
        log.emit_many(events(6))
        behind(sqlite_path, lambda connection: connection.execute("DELETE FROM wst_audit_leaf WHERE seq >= 4"))
        with pytest.raises(AuditForkDetected):
            log.emit(events(1)[0])
