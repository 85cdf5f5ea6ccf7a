"""Separate verdicts, each of which says only what was checked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from wellstreak_trust.audit import AuditEvent, AuditLog, Ed25519Signer, TileStore, VerifyReport, verify
from wellstreak_trust.core import FixedClock, UsageError
from wellstreak_trust.core.errors import ConfigurationError, StoreUnavailable

Make = Callable[..., AuditEvent]


@pytest.fixture
def filled(log: AuditLog, make: Make) -> AuditLog:
    log.emit_many([make(data={"n": n}) for n in range(5)])
    return log


def verdicts(report: VerifyReport) -> tuple[str, ...]:
    return report.integrity, report.signature, report.append_only, report.completeness, report.time_order


@pytest.fixture(params=["directory", "tiles", "store"])
def source(request: pytest.FixtureRequest, filled: AuditLog, tmp_path: Path) -> Any:
    filled.export("t1", tmp_path / "export")
    return {"directory": tmp_path / "export", "tiles": TileStore(tmp_path / "export"), "store": filled.store}[
        request.param
    ]


def test_nothing_held_means_internal_only(source: Any) -> None:
    """Toy 27: a report without a pin must not speak of append-only or completeness."""
    report = verify(source, tenant_id="t1")
    assert verdicts(report) == ("verified", "not_checked", "not_checked", "not_checked", "verified")
    assert (report.level, report.covers, report.size, report.first_bad_seq, report.failed) == (
        "internal",
        0,
        5,
        None,
        (),
    )


def test_a_key_lifts_to_signed(source: Any, filled: AuditLog) -> None:
    report = verify(source, tenant_id="t1", keys=[filled.vkey("t1")])
    assert (report.signature, report.append_only, report.level, report.covers) == (
        "verified",
        "not_checked",
        "signed",
        5,
    )
    stranger = str(Ed25519Signer.from_seed(bytes(32)).key(filled.vkey("t1").split("+")[0]))
    report = verify(source, tenant_id="t1", keys=[stranger])
    assert (report.signature, report.level, report.reason != "") == ("failed", "internal", True)


def test_a_pin_lifts_to_anchored(filled: AuditLog, make: Make, tmp_path: Path) -> None:
    pinned = filled.checkpoint("t1")
    filled.emit_many([make() for _ in range(4)])
    filled.export("t1", tmp_path / "export")
    for source in (tmp_path / "export", filled.store):
        report = verify(source, tenant_id="t1", pinned=pinned, keys=[filled.vkey("t1")])
        assert verdicts(report) == ("verified",) * 5
        assert (report.level, report.covers, report.size) == ("anchored", 9, 9)
        unkeyed = verify(source, tenant_id="t1", pinned=pinned)
        assert (unkeyed.append_only, unkeyed.level) == ("verified", "internal")


def test_pins_that_do_not_fit(source: Any, filled: AuditLog, make: Make) -> None:
    keys = [filled.vkey("t1")]
    filled.emit(make(tenant_id="t2"))
    foreign = verify(source, tenant_id="t1", pinned=filled.checkpoint("t2"), keys=[*keys, filled.vkey("t2")])
    assert (foreign.append_only, foreign.level) == ("failed", "internal")
    unsigned = filled.checkpoint("t1").replace("\n5\n", "\n4\n")
    assert verify(source, tenant_id="t1", pinned=unsigned, keys=keys).append_only == "failed"
    with pytest.raises(UsageError):
        verify(source, tenant_id="t1", pinned="garbage", keys=keys)


def test_time_order_is_a_verdict_of_its_own(log: AuditLog, clock: FixedClock, make: Make) -> None:
    """The order is that of `seq`; a clock that went back is told and breaks nothing."""
    log.emit(make())
    clock.advance(timedelta(hours=-1))
    log.emit(make())
    report = verify(log.store, tenant_id="t1")
    assert (report.integrity, report.time_order, report.failed) == ("verified", "failed", ("time_order",))


def test_a_report_has_no_truth_value(filled: AuditLog) -> None:
    with pytest.raises(UsageError):
        bool(verify(filled.store, tenant_id="t1"))


def test_the_callers_own_mistakes(filled: AuditLog, outage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in ({"tenant_id": "t1", "keys": ["nonsense"]}, {"tenant_id": "t1", "keys": "nonsense"}):
        with pytest.raises(UsageError):
            verify(filled.store, **arguments)
    with pytest.raises(UsageError):
        verify(object())  # type: ignore[arg-type]  # what a caller may hand over

    async def down(*question: object) -> None:
        raise StoreUnavailable("down")

    monkeypatch.setattr(outage, "head", down)
    monkeypatch.setattr(outage, "signed", down)
    with pytest.raises(StoreUnavailable):
        verify(outage, tenant_id="t1")


def test_empty_trees_and_missing_directories(log: AuditLog, tmp_path: Path) -> None:
    assert verify(log.store, tenant_id="nobody").integrity == "verified"
    log.export("nobody", tmp_path / "export")
    report = verify(tmp_path / "export", keys=[log.vkey("nobody")])
    assert (report.integrity, report.signature, report.size, report.level) == ("verified", "verified", 0, "signed")
    absent = verify(tmp_path / "absent", keys=[log.vkey("nobody")])
    assert (absent.integrity, absent.signature, absent.size) == ("failed", "failed", 0)


def test_exports_grow_in_place(filled: AuditLog, make: Make, tmp_path: Path) -> None:
    keys = [filled.vkey("t1")]
    first = filled.export("t1", tmp_path)
    filled.emit_many([make() for _ in range(255)])
    filled.export("t1", tmp_path, actor={"id": "auditor"})
    report = verify(tmp_path, pinned=first, keys=keys)
    assert (report.integrity, report.level, report.size) == ("verified", "anchored", 261)
    assert filled.events("t1", limit=1)[0]["action"] == "audit.exported"
    assert (tmp_path / "tile/entries/000.p/5").is_file()
    for damage in (b"", b"x", (tmp_path / "tile/entries/000.p/5").read_bytes() + b"\0\0"):
        (tmp_path / "tile/entries/000.p/5").write_bytes(damage)
        assert verify(tmp_path, keys=keys).integrity == "failed"


def test_an_export_does_not_overwrite_another_tree(filled: AuditLog, make: Make, tmp_path: Path) -> None:
    filled.emit(make(tenant_id="t2"))
    filled.export("t1", tmp_path)
    with pytest.raises(UsageError):
        filled.export("t2", tmp_path)
    (tmp_path / "checkpoint").write_text("something else")
    with pytest.raises(UsageError):
        filled.export("t1", tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError):
        filled.export("t1", tmp_path / "file")


def test_an_export_needs_every_leaf(
    sqlite_log: AuditLog, tamper: Callable[..., None], make: Make, tmp_path: Path
) -> None:
    from wellstreak_trust.audit import AuditForkDetected

    sqlite_log.emit_many([make() for _ in range(300)])
    sqlite_log.checkpoint("t1")
    tamper("DELETE FROM wst_audit_leaf WHERE seq = 7")
    with pytest.raises(AuditForkDetected):
        sqlite_log.export("t1", tmp_path / "export")
    assert not (tmp_path / "export/checkpoint").exists()
