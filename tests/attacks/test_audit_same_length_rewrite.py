"""Another history of the same length (toy 5): an anchor that compares sizes sees nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit_trails import behind, events, opened, rewrite
from wellstreak_trust.audit import CheckpointRegression, verify
from wellstreak_trust.audit.anchors import FileAnchor


@pytest.mark.parametrize("grown", [0, 3], ids=["as long", "longer since"])
@pytest.mark.parametrize("seq", [0, 3, 5])
def test_roots_are_compared_not_sizes(seq: int, grown: int, sqlite_path: Path) -> None:
    with opened(sqlite_path) as log:
        log.emit_many(events(6))
        pinned, spine, keys = log.checkpoint("t1"), log.checkpoint(), [log.vkey("t1")]
        behind(sqlite_path, lambda connection: rewrite(connection, seq))
    with opened(sqlite_path) as log:
        log.emit_many(events(grown, actor="user_2"))
        report = verify(log.store, tenant_id="t1", pinned=pinned, keys=keys)
        assert (report.integrity, report.append_only, report.level) == ("verified", "failed", "internal")
        whole = verify(log.store, keys=[log.vkey()], pinned=spine)
        assert (whole.append_only, whole.tenants["t1"].append_only) == ("failed", "failed")


def test_the_log_itself_refuses_to_sign_it(sqlite_path: Path, tmp_path: Path) -> None:
    """Whatever of its memories the attacker leaves it: the signed row, the spine, an anchor elsewhere."""
    anchor = FileAnchor(tmp_path / "anchor")
    with opened(sqlite_path, sinks=[anchor]) as log:
        log.emit_many(events(6))
        log.checkpoint("t1")
        log.checkpoint()
    behind(sqlite_path, lambda connection: rewrite(connection, 3))
    behind(sqlite_path, lambda connection: connection.execute("DELETE FROM wst_audit_signed"))
    with opened(sqlite_path) as log, pytest.raises(CheckpointRegression):
        log.checkpoint("t1")
    behind(sqlite_path, lambda connection: connection.execute("DELETE FROM wst_audit_leaf WHERE tenant_id = ''"))
    behind(sqlite_path, lambda connection: connection.execute("DELETE FROM wst_audit_head WHERE tenant_id = ''"))
    with opened(sqlite_path, sinks=[anchor]) as log, pytest.raises(CheckpointRegression):
        log.checkpoint("t1")
