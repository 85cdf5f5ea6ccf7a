"""Separate verdicts, each of which says only what was checked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from audit_trails import Held
from wellstreak_trust.audit import (
    AuditEvent,
    AuditForkDetected,
    AuditLog,
    Checkpoint,
    Ed25519Signer,
    MemoryAuditStore,
    TileStore,
    VerifyReport,
    WitnessKey,
    note,
    verify,
)
from wellstreak_trust.audit.cosignature import cosign, with_lines
from wellstreak_trust.audit.rebuilt import Rebuilt, leaf_hashes
from wellstreak_trust.audit.store import Head, Signed
from wellstreak_trust.audit.tiles import Tile, bundle, tiles_of
from wellstreak_trust.core import FixedClock, UsageError
from wellstreak_trust.core.errors import ConfigurationError, StoreUnavailable
from wellstreak_trust.core.sansio import drive

Make = Callable[..., AuditEvent]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


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


# --- what goes beyond one tree that is whole ------------------------------------------------------------------------


@pytest.fixture
def pruned(sqlite_log: AuditLog, make: Make, tmp_path: Path) -> tuple[AuditLog, Path]:
    """700 entries, of which the first 512 are gone from the store and from the export."""
    log = sqlite_log
    log.emit_many([make(data={"n": n}) for n in range(700)])
    drive(log.store.prune("t1", 600))
    log.emit(make("audit.pruned", reason="two years", data={"first": 512, "count": 512}))
    for index in (0, 1):
        drive(log.store.head("t1"))
        assert drive(log.store.leaves("t1", index, index + 1)) == []
    tree = Checkpoint.unverified(log.checkpoint("t1"))
    target = TileStore(tmp_path / "export")
    for tile in tiles_of(tree.size):
        target.write(tile.path, drive(tile_octets(log, tile)))
    target.write("checkpoint", log.checkpoint("t1").encode())
    for index in (0, 1):
        (tmp_path / f"export/tile/entries/00{index}").unlink()
    return log, tmp_path / "export"


async def tile_octets(log: AuditLog, tile: Tile) -> bytes:
    if tile.level is None:
        found = await log.store.leaves("t1", tile.index * 256, tile.index * 256 + tile.width)
        return bundle(leaf.leaf for leaf in found)
    return (await log.store.tile("t1", tile.level, tile.index))[: tile.width * 32]


def test_pruned_entries_are_counted_and_no_alarm(pruned: tuple[AuditLog, Path]) -> None:
    log, export = pruned
    pinned = log.checkpoint("t1")
    for source in (log.store, export):
        for minimum in (None, 512, 600):
            report = verify(source, tenant_id="t1", keys=[log.vkey("t1")], pinned=pinned, minimum_index=minimum)
            assert (report.failed, report.level, report.size, report.pruned) == ((), "anchored", 701, 512)
            assert "what the 512 pruned entries said" in report.unchecked


def test_entries_that_nobody_pruned_are_missed(pruned: tuple[AuditLog, Path], tamper: Callable[..., None]) -> None:
    """Deleting the oldest entries takes more than claiming that they were pruned."""
    log, export = pruned
    for source in (log.store, export):
        report = verify(source, tenant_id="t1", keys=[log.vkey("t1")], minimum_index=256)
        assert (report.integrity, report.first_bad_seq) == ("failed", 256)
    tamper("DELETE FROM wst_audit_leaf WHERE seq < 600")
    tamper("UPDATE wst_audit_head SET first_seq = 600")
    assert verify(log.store, tenant_id="t1").integrity == "failed"
    (export / "tile/entries/002.p/189").unlink()
    assert verify(export).integrity == "failed"


def test_hashes_of_pruned_entries_are_still_verified(pruned: tuple[AuditLog, Path]) -> None:
    _, export = pruned
    (export / "tile/0/001").unlink()
    assert verify(export).failed == ()  # the hash above stands for it
    (export / "tile/0/000").write_bytes(bytes(8192))
    assert verify(export).reason == "tile/0/000 does not lead to the root"
    (export / "tile/0/000").unlink()
    (export / "tile/1/000.p/2").write_bytes(bytes(64))
    assert verify(export).integrity == "failed"
    (export / "tile/1/000.p/2").unlink()
    report = verify(export)
    assert (report.integrity, report.first_bad_seq, report.size) == ("failed", 0, 0)


def test_a_pin_below_the_minimum_index_cannot_be_compared(pruned: tuple[AuditLog, Path]) -> None:
    log, export = pruned
    older = AuditLog(MemoryAuditStore(), log._notary.signer, log.origin, clock=log.clock)
    older.emit_many([AuditEvent("a.b", "success", "t1", {"id": "u"}) for _ in range(3)])
    report = verify(export, keys=[log.vkey("t1")], pinned=older.checkpoint("t1"))
    assert (report.append_only, report.completeness, report.level) == ("not_checked", "not_checked", "signed")
    assert "below the minimum index" in report.reason


def test_erasure_is_counted_and_no_alarm(log: AuditLog, make: Make, tmp_path: Path) -> None:
    log.emit(make())
    for outcome, count in (("attempted", 9), ("success", 3), ("success", 2)):
        log.emit(make("audit.subject_erased", outcome=outcome, reason="asked for", data={"count": count}))
    log.emit(make("audit.subject_erased", reason="asked for", data={"count": "many"}))
    log.export("t1", tmp_path)
    for source in (log.store, tmp_path):
        report = verify(source, tenant_id="t1")
        assert (report.failed, report.erased_count) == ((), 5)
        assert "5 personal values erased on purpose" in str(report)


def test_progress_is_told(log: AuditLog, make: Make, tmp_path: Path) -> None:
    log.emit_many([make() for _ in range(1_300)])
    log.export("t1", tmp_path)
    for source in (log.store, tmp_path):
        told: list[tuple[int, int]] = []
        verify(source, tenant_id="t1", progress=lambda *step, told=told: told.append(step))
        assert told[-1] == (1_300, 1_300)
        assert told == sorted(set(told))


def test_beyond_ten_thousand_entries_the_frame_decides(tmp_path: Path) -> None:
    """A log that signed an entry which two readers read differently: small trees are parsed, large ones on request."""
    twice = entry(7).replace(b'"v":1}', b'"v":1,"v":1}')
    small = signed_tree([entry(n) if n != 7 else twice for n in range(20)])
    assert verify(small).first_bad_seq == 7
    large = signed_tree([entry(n) if n != 7 else entry(7).replace(b'"n":7', b'"n":7,"n":8') for n in range(10_001)])
    report = verify(large)
    assert report.failed == ()
    assert any("not every entry was parsed" in said for said in report.unchecked)
    report = verify(large, thorough=True)
    assert (report.integrity, report.first_bad_seq) == ("failed", 7)
    assert not any("parsed" in said for said in report.unchecked)
    assert verify(small, thorough=False).first_bad_seq == 7  # its tail is not as drawn, so it is parsed


def entry(seq: int, stamp: str = "2026-11-24T12:00:00.000000Z", tenant_id: str = "t1") -> bytes:
    return (
        f'{{"action":"a.b","actor":{{"id":"u"}},"data":{{"n":{seq}}},"id":"e{seq}","occurred_at":"{stamp}",'
        f'"outcome":"success","recorded_at":"{stamp}","seq":{seq},"tenant_id":"{tenant_id}","v":1}}'
    ).encode()


def signed_tree(entries: list[bytes]) -> TileStore:
    """An export of whatever entries, under a genuine signature."""
    tree, row, held = Rebuilt(), leaf_hashes(entries), Held({})
    tree.add(row)
    for tile in tiles_of(len(entries)):
        at = tile.index * 256
        if tile.level is None:
            held.content[tile.path] = bundle(entries[at : at + tile.width])
        else:
            held.content[tile.path] = tree.tile(tile.level, tile.index) or b"".join(row[at : at + 256])
    text = Checkpoint("o", len(entries), tree.root()).text()
    held.content["checkpoint"] = note.sign(text, "o", Ed25519Signer.from_seed(bytes(32))).encode()
    return held


ODD: dict[str, tuple[bytes, str]] = {
    "another place": (entry(4), "another place"),
    "a place that is text": (entry(3).replace(b'"seq":3', b'"seq":"3"'), "another place"),
    "a place that is true": (entry(3).replace(b'"seq":3', b'"seq":true'), "another place"),
    "another tenant": (entry(3, tenant_id="t2"), "another tenant"),
    "no tenant": (entry(3).replace(b'"tenant_id"', b'"tenant"'), "another tenant"),
    "no time": (entry(3).replace(b'"recorded_at"', b'"noted_at"'), "not an event"),
    "a time in words": (entry(3).replace(b'"recorded_at":"2026', b'"recorded_at":"this'), "not an event"),
    "a time of another zone": (entry(3, stamp="2026-11-24T12:00:00.00+01:00"), "not an event"),
    "a short time": (entry(3, stamp="2026-11-24T12:00:00Z"), "not an event"),
    "an empty time": (entry(3, stamp=""), "not an event"),
    "another version": (entry(3).replace(b'"v":1', b'"v":2'), "not an event"),
    "a version that is true": (entry(3).replace(b'"v":1', b'"v":true'), "not an event"),
    "a float": (entry(3).replace(b'"n":3', b'"n":3.0'), "not an event"),
    "infinity": (entry(3).replace(b'"n":3', b'"n":Infinity'), "not an event"),
}


UNSEEN = ("a float", "infinity")  # only a thorough look parses what the frame does not show


@pytest.mark.parametrize(
    ("name", "thorough"), [(name, True) for name in ODD] + [(name, False) for name in ODD if name not in UNSEEN]
)
def test_entries_that_are_signed_and_wrong(name: str, thorough: bool) -> None:
    wrong, reason = ODD[name]
    entries = [entry(n) for n in range(6)]
    entries[3] = wrong
    report = verify(signed_tree(entries), thorough=thorough)
    assert (report.integrity, report.first_bad_seq) == ("failed", 3)
    assert reason in report.reason


@pytest.mark.parametrize("thorough", [True, False])
def test_keys_of_the_frame_inside_an_event_confuse_nobody(log: AuditLog, make: Make, thorough: bool) -> None:
    """A host may call its own data `recorded_at`, `seq`, `id` or `tenant_id`."""
    hostile = {"a": 1, "id": "x", "occurred_at": "2026-01-01T00:00:00.000000Z", "outcome": "denied"}
    hostile |= {"recorded_at": "1999-01-01T00:00:00.000000Z", "seq": 7, "tenant_id": "t2", "v": 1}
    log.emit_many([make(data=hostile, request=hostile, source=hostile) for _ in range(3)])
    log.emit(make(actor={"credential_id": "c", **hostile, "id": "user_1"}))
    report = verify(log.store, tenant_id="t1", thorough=thorough)
    assert (report.failed, report.size) == ((), 4)


def test_quorums_that_make_no_sense(log: AuditLog) -> None:
    eye = WitnessKey("w", bytes([2]) * 32)
    for quorum in (0, -1, 2, True, "1"):
        with pytest.raises(UsageError):
            verify(log.store, tenant_id="t1", keys=[eye], quorum=quorum)
    with pytest.raises(UsageError):
        verify(log.store, tenant_id="t1", quorum=2)


def test_a_cosignature_that_is_wrong_fails_the_signature(filled: AuditLog, clock: FixedClock, tmp_path: Path) -> None:
    eye = Ed25519Signer.from_seed(bytes([5]) * 32)
    key = WitnessKey("w", eye.public_key)
    filled.export("t1", tmp_path)
    signed = (tmp_path / "checkpoint").read_text()
    keys = [filled.vkey("t1"), key]
    (tmp_path / "checkpoint").write_text(
        with_lines(signed, [cosign(signed.partition("\n\n")[0] + "\n", "w", eye, NOW)])
    )
    good = verify(tmp_path, keys=keys)
    assert (good.level, good.witnesses[0].at, good.covers) == ("witnessed", NOW, 5)
    (tmp_path / "checkpoint").write_text(with_lines(signed, [cosign("another text\n", "w", eye, NOW)]))
    bad = verify(tmp_path, keys=keys)
    assert (bad.signature, bad.level, bad.reason) == (
        "failed",
        "internal",
        "a signature line of a known witness does not verify",
    )
    assert verify(tmp_path, keys=[key]).level == "internal"


class Busy(MemoryAuditStore):
    """Lets somebody append and sign right after a question of one kind was answered."""

    def __init__(self, question: str) -> None:
        super().__init__()
        self.question = question
        self.other: Callable[[], object] | None = None

    def _comes(self, question: str) -> None:
        if question == self.question and self.other is not None:
            other, self.other = self.other, None
            other()

    async def head(self, tenant_id: str) -> Head:
        found = await super().head(tenant_id)
        self._comes("head")
        return found

    async def signed(self, origin: str) -> Signed | None:
        found = await super().signed(origin)
        self._comes("signed")
        return found


@pytest.mark.parametrize("question", ["head", "signed"])
def test_a_log_that_is_written_and_signed_meanwhile_is_not_called_forged(question: str, make: Make) -> None:
    store = Busy(question)
    log = AuditLog(store, Ed25519Signer.from_seed(bytes(range(32))), "wellstreak.test/audit")
    log.emit(make())
    log.checkpoint("t1")
    log.checkpoint()

    def more() -> None:
        log.emit(make())
        log.checkpoint("t1")
        log.checkpoint()

    for tenant_id in ("t1", None):
        store.other = more
        assert verify(store, tenant_id=tenant_id, keys=[log.vkey()]).failed == ()
        assert store.other is None


@pytest.mark.parametrize("first", [1, 5, 255, 256])
@pytest.mark.parametrize("minimum_index", [None, 0])
def test_a_head_that_hides_the_oldest_entries_from_every_search(
    first: int, minimum_index: int | None, sqlite_log: AuditLog, tamper: Callable[..., None], make: Make
) -> None:
    """Queries and reports begin where the head says that pruning ended; the rows are all there and give the root."""
    sqlite_log.emit_many([make() for _ in range(300)])
    tamper("UPDATE wst_audit_head SET first_seq = ?", first)
    assert len(sqlite_log.query("", tenant_id="t1")) == 300 - first
    report = verify(sqlite_log.store, tenant_id="t1", minimum_index=minimum_index)
    assert (report.integrity, report.reason != "") == ("failed", True)


@pytest.mark.parametrize("name", [b"", b"x"], ids=repr)
def test_a_tree_whose_name_is_no_text_is_a_verdict(
    name: bytes, sqlite_log: AuditLog, tamper: Callable[..., None], make: Make
) -> None:
    sqlite_log.emit(make())
    sqlite_log.checkpoint()
    tamper("UPDATE wst_audit_head SET tenant_id = ? WHERE tenant_id = 't1'", name)
    for keys in ([], [sqlite_log.vkey()]):
        assert "integrity" in verify(sqlite_log.store, keys=keys).failed


def test_a_tile_that_is_no_bytes_signs_nothing_and_says_so(
    sqlite_log: AuditLog, tamper: Callable[..., None], make: Make
) -> None:
    sqlite_log.emit_many([make() for _ in range(300)])
    tamper("UPDATE wst_audit_tile SET hashes = ?", "9" * 40)
    for call in (lambda: sqlite_log.checkpoint("t1"), sqlite_log.checkpoint, sqlite_log.tick):
        with pytest.raises(AuditForkDetected):
            call()
