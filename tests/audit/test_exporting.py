"""What is handed out: recorded first, verifiable offline, and archived before anything is pruned."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from wellstreak_trust import Principal
from wellstreak_trust.audit import (
    AuditEventRejected,
    AuditForkDetected,
    AuditLog,
    AuditQueryInvalid,
    InclusionProof,
    LegalHold,
    MemoryAuditStore,
    Personal,
    verify,
)
from wellstreak_trust.audit.tree import leaf_hash
from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.errors import UsageError

OFFICER = Principal("user_officer", tenant_id="t1")


def filled(log: AuditLog, make: Callable[..., Any], count: int) -> None:
    log.emit_many([make(data={"n": number}) for number in range(count)])


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "verify_trail.py", "trail", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", ["parcel", "parcel.zip"])
def test_a_tenant_verifies_its_parcel_with_nothing_but_python(
    log: AuditLog, make: Any, tmp_path: Path, name: str
) -> None:
    filled(log, make, 300)
    log.emit(make(data={"email": Personal("ada@example.com", subject="ada")}))
    parcel = log.bundle("t1", tmp_path / name, actor=OFFICER)
    folder = tmp_path / name
    if name.endswith(".zip"):
        folder = tmp_path / "unpacked"
        with ZipFile(parcel.path) as packed:
            packed.extractall(folder)
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "events.jsonl", "trail", "verify_trail.py"]
    assert run(folder, "--key", log.vkey("t1")).returncode == 0
    assert (folder / "trail" / "checkpoint").read_text() == parcel.checkpoint
    lines = (folder / "events.jsonl").read_bytes().splitlines()
    assert len(lines) == parcel.events == 302
    assert [leaf_hash(line) for line in lines[:3]] == [leaf_hash(log.entry("t1", seq)) for seq in range(3)]
    assert json.loads(lines[-1])["action"] == "audit.exported"  # a parcel holds its own export
    assert b"ada@example.com" not in (folder / "events.jsonl").read_bytes()
    (folder / "trail" / "tile" / "entries" / "000").write_bytes(b"\0\2{}")
    assert run(folder, "--key", log.vkey("t1")).returncode == 1


def test_a_parcel_is_made_once(log: AuditLog, make: Any, tmp_path: Path) -> None:
    log.emit(make())
    log.bundle("t1", tmp_path / "parcel", actor=OFFICER)
    with pytest.raises(UsageError):
        log.bundle("t1", tmp_path / "parcel", actor=OFFICER)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["parcel"]


def test_a_failing_parcel_leaves_nothing(log: AuditLog, make: Any, tmp_path: Path) -> None:
    filled(log, make, 3)
    tree = log.store._trees["t1"]  # type: ignore[attr-defined]
    tree.rows[1] = tree.rows[1]._replace(leaf=b"{}")
    with pytest.raises(AuditForkDetected):
        log.write("t1", "jsonl", lambda _: None, actor=OFFICER)


@pytest.mark.asvs("14.2.7")
def test_pruning_archives_verifies_and_leaves_proofs_valid(
    each_log: AuditLog, make: Any, tmp_path: Path, clock: FixedClock
) -> None:
    log = each_log
    filled(log, make, 600)
    clock.advance(timedelta(days=400))
    filled(log, make, 50)
    pinned, proof = log.checkpoint("t1"), log.prove("t1", 620)
    seen: list[tuple[int, int]] = []
    receipt = log.prune(
        "t1",
        before=clock.now() - timedelta(days=365),
        archive=tmp_path / "archive",
        reason="retention of a year",
        actor=OFFICER,
        progress=lambda done, all_: seen.append((done, all_)),
    )
    assert (receipt.first, receipt.pruned) == (512, 512)  # whole bundles of 256
    assert seen[-1][0] == seen[-1][1] > 0
    key = log.vkey("t1")
    report = verify(receipt.archive, pinned=receipt.checkpoint, keys=[key])
    assert (report.failed, report.level, report.size) == ((), "anchored", 651)
    left = verify(log.store, tenant_id="t1", pinned=pinned, keys=[key])
    assert (left.failed, left.level, left.pruned) == ((), "anchored", 512)
    assert InclusionProof.parse(proof).verify(log.entry("t1", 620), [key])
    assert InclusionProof.parse(log.prove("t1", 513)).verify(log.entry("t1", 513), [key])
    with pytest.raises(UsageError):
        log.entry("t1", 511)
    told = log.events("t1", limit=2)
    assert [(event["action"], event["outcome"]) for event in told] == [
        ("audit.pruned", "success"),
        ("audit.pruned", "attempted"),
    ]
    assert (told[0]["data"]["first"], told[0]["data"]["count"], told[0]["seq"]) == (512, 512, receipt.seq)
    assert len(log.query("data.n:0..9", tenant_id="t1")) == 10  # of the newer ones
    again = log.prune("t1", before=clock.now(), archive=tmp_path / "archive", reason="r", actor=OFFICER)
    assert (again.first, again.pruned) == (512, 0)
    export = log.export("t1", tmp_path / "export")
    partial = verify(tmp_path / "export", pinned=export, keys=[key], minimum_index=512)
    assert (partial.failed, partial.pruned) == ((), 512)


def test_personal_values_go_with_their_events(each_log: AuditLog, make: Any, tmp_path: Path, clock: FixedClock) -> None:
    each_log.emit_many([make(data={"email": Personal("a@b", subject="ada")}) for _ in range(257)])
    each_log.prune(
        "t1", before=clock.now() + timedelta(days=1), archive=tmp_path / "archive", reason="r", actor=OFFICER
    )
    assert each_log.erase("ada", tenant_id="t1", reason="r", actor=OFFICER).fields_erased == 1


@pytest.mark.parametrize("held", ["somebody", None])
def test_a_hold_beats_pruning(
    each_log: AuditLog, make: Any, tmp_path: Path, clock: FixedClock, held: str | None
) -> None:
    log = each_log
    filled(log, make, 300)
    log.hold(held, tenant_id="t1", reason="litigation", actor=OFFICER)
    clock.advance(timedelta(days=1))
    with pytest.raises(LegalHold):
        log.prune("t1", before=clock.now(), archive=tmp_path / "archive", reason="r", actor=OFFICER)
    assert len(log.events("t1", limit=1_000)) == 302
    assert not (tmp_path / "archive").exists()


def test_the_store_itself_refuses_to_prune_under_hold(store: Any, clock: FixedClock, make: Any) -> None:
    """A hold that comes between the look and the deed wins."""
    log = AuditLog(store, clock=clock)
    filled(log, make, 300)
    log.hold(tenant_id="t1", reason="r", actor=OFFICER)
    from wellstreak_trust.core.sansio import drive

    with pytest.raises(LegalHold):
        drive(store.prune("t1", 256))


def test_an_archive_that_does_not_verify_stops_pruning(
    log: AuditLog, make: Any, tmp_path: Path, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(log, make, 300)
    clock.advance(timedelta(days=1))
    from wellstreak_trust.audit.tiles import TileStore

    write = TileStore.write

    def torn(self: TileStore, path: str, octets: bytes) -> None:
        write(self, path, octets[:-1] if path.startswith("tile/entries") else octets)

    monkeypatch.setattr(TileStore, "write", torn)
    with pytest.raises(AuditForkDetected):
        log.prune("t1", before=clock.now(), archive=tmp_path / "archive", reason="r", actor=OFFICER)
    assert len(log.query("data.n:0..*", tenant_id="t1")) == 300
    failed = log.events("t1", limit=1)[0]
    assert (failed["action"], failed["outcome"]) == ("audit.pruned", "error")


def test_pruning_needs_a_reason(log: AuditLog, make: Any, tmp_path: Path, clock: FixedClock) -> None:
    filled(log, make, 2)
    with pytest.raises(AuditEventRejected):
        log.prune("t1", before=clock.now(), archive=tmp_path, reason="", actor=OFFICER)


def test_a_written_export_is_recorded_with_its_query(log: AuditLog, make: Any) -> None:
    filled(log, make, 5)
    lines: list[str] = []
    assert log.write("t1", "jsonl", lines.append, actor=OFFICER, reason="audit", query="data.n:>=3") == 2
    assert [json.loads(line)["data"]["n"] for line in lines] == [3, 4]
    told = log.events("t1", limit=1)[0]
    assert (told["action"], told["reason"], told["data"]) == (
        "audit.exported",
        "audit",
        {"form": "jsonl", "query": "data.n:>=3"},
    )
    size = len(log.events("t1"))
    with pytest.raises(UsageError):
        log.write("t1", "xml", lines.append, actor=OFFICER)
    with pytest.raises(AuditQueryInvalid):
        log.write("t1", "jsonl", lines.append, actor=OFFICER, query="nonsense")
    assert len(log.events("t1")) == size  # nothing was handed out, nothing is told


def test_reading_is_recorded_where_somebody_reads(log: AuditLog, make: Any) -> None:
    filled(log, make, 2)
    log.events("t1")
    assert len(log.events("t1")) == 2
    log.query("seq:0", tenant_id="t1", actor=OFFICER, reason="case 1")
    log.events("t1", actor=OFFICER)
    log.report("t1", actor=OFFICER)
    told = log.query("action:audit.read", tenant_id="t1")
    assert [event["data"]["form"] for event in told] == ["report", "events", "query"]
    assert told[-1]["data"] == {"form": "query", "query": "seq:0", "found": 1}
    assert told[-1]["reason"] == "case 1"


def test_nothing_is_handed_out_that_cannot_be_recorded(outage: Any, clock: FixedClock, make: Any) -> None:
    from wellstreak_trust.audit import AuditUnavailable, Ed25519Signer
    from wellstreak_trust.core.errors import StoreUnavailable

    log = AuditLog(outage, Ed25519Signer.from_seed(bytes(32)), clock=clock)
    filled(log, make, 2)
    outage.down = StoreUnavailable("down")
    written: list[str] = []
    for read in (
        lambda: log.events("t1", actor=OFFICER),
        lambda: log.query("", tenant_id="t1", actor=OFFICER),
        lambda: log.report("t1", actor=OFFICER),
        lambda: log.write("t1", "csv", written.append, actor=OFFICER),
    ):
        with pytest.raises(AuditUnavailable):
            read()
    assert written == []
    assert isinstance(outage, MemoryAuditStore)
