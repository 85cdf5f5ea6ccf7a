"""The directory store: what a crash leaves is cut and told, what somebody changed is refused."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from wellstreak_trust.audit import (
    AuditEvent,
    AuditForkDetected,
    AuditLog,
    AuditUnavailable,
    CheckpointRegression,
    DirectoryAuditStore,
    verify,
)
from wellstreak_trust.audit.event import Sealed, draft
from wellstreak_trust.audit.journal import Journal
from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.sansio import drive

from .conftest import NOW, SIGNER

Make = Callable[..., AuditEvent]
SECONDS = timedelta(seconds=2)


def opened(path: Path) -> AuditLog:
    return AuditLog(DirectoryAuditStore(path), SIGNER, "wellstreak.test/audit", clock=FixedClock(NOW))


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    return tmp_path / "trail"


def ids(log: AuditLog, tenant_id: str = "t1") -> list[str]:
    return [event["id"] for event in reversed(log.events(tenant_id))]


def test_the_log_goes_on_where_it_stopped(trail: Path, make: Make) -> None:
    first = opened(trail)
    first.emit_many([make(id=f"e{n}") for n in range(300)])
    note = first.checkpoint("t1")
    second = opened(trail)
    assert second.checkpoint("t1") == note
    assert second.emit(make(id="e7")).seq == 7
    assert second.emit(make()).seq == 300
    assert first.emit(make()).seq == 301  # it has read what the other wrote
    report = verify(second.store, tenant_id="t1", pinned=note, keys=[second.vkey("t1")])
    assert (report.integrity, report.append_only, report.size) == ("verified", "verified", 302)


def test_a_torn_end_is_cut_and_told_wherever_it_tore(trail: Path, tmp_path: Path, make: Make) -> None:
    """Toy 14: a chain that starts anew behind a torn line, without a word."""
    log = opened(trail)
    log.emit(make(id="whole"))
    kept = (trail / "journal").stat().st_size
    log.emit_many([make(id="torn-1"), make(id="torn-2")])
    octets = (trail / "journal").read_bytes()
    for end in [*range(kept + 1, kept + 40), *range(kept + 40, len(octets), 97), len(octets) - 1]:
        copy = tmp_path / f"torn-{end}"
        shutil.copytree(trail, copy)
        (copy / "journal").write_bytes(octets[:end])
        again = opened(copy)
        assert ids(again) == ["whole"]
        assert again.emit(make(id="next")).seq == 1
        (told,) = again.events("system")
        assert (told["action"], told["data"]) == ("audit.tail_cut", {"octets": end - kept})
        assert verify(again.store, tenant_id="t1").integrity == "verified"
        assert ids(opened(copy)) == ["whole", "next"]


@pytest.mark.parametrize("damage", [b"\x00" * 200, b"garbage" * 40], ids=["zeros", "garbage"])
def test_what_a_crash_may_leave_behind_the_last_record(damage: bytes, trail: Path, make: Make) -> None:
    opened(trail).emit(make(id="whole"))
    with (trail / "journal").open("ab") as out:
        out.write(damage if damage.startswith(b"\x00") else b"WSR1\x00\x00\x01\x19" + damage)
    again = opened(trail)
    assert again.emit(make()).seq == 1
    assert len(again.events("system")) == 1


def test_a_damaged_record_with_others_behind_it_is_no_crash(trail: Path, tmp_path: Path, make: Make) -> None:
    """Cutting here would make whoever flips a bit delete everything behind it."""
    log = opened(trail)
    for number in range(4):
        log.emit(make(id=f"e{number}"))
    octets = (trail / "journal").read_bytes()
    second = octets.index(b"WSR1", octets.index(b"WSR1") + 1)
    for at in (second, second + 4, second + 5, second + 7, second + 10, second + 60):
        copy = tmp_path / f"damaged-{at}"
        shutil.copytree(trail, copy)
        changed = bytearray(octets)
        changed[at] ^= 0x40
        (copy / "journal").write_bytes(bytes(changed))
        again = opened(copy)
        for _ in range(2):
            with pytest.raises(AuditForkDetected):
                again.emit(make())
        assert not again.emit(make("session.revoked")).durable
        assert (copy / "journal").read_bytes() == bytes(changed)


def test_a_journal_that_is_gone_or_shorter_is_not_begun_anew(trail: Path, make: Make) -> None:
    """Toy 15, for a process that runs and for one that starts."""
    log = opened(trail)
    log.emit(make())
    whole = (trail / "journal").read_bytes()
    log.emit(make())
    (trail / "journal").write_bytes(whole)
    with pytest.raises(AuditForkDetected, match="Stored data"):
        log.emit(make())
    (trail / "journal").unlink()
    for again in (log, opened(trail)):
        with pytest.raises(AuditForkDetected):
            again.emit(make())
    (trail / "journal").write_bytes(b"another file")
    with pytest.raises(AuditForkDetected):
        opened(trail).emit(make())


def test_an_older_copy_cannot_be_signed(trail: Path, make: Make) -> None:
    log = opened(trail)
    log.emit(make())
    before = (trail / "journal").read_bytes()
    log.emit(make())
    log.checkpoint("t1")
    (trail / "journal").write_bytes(before)
    again = opened(trail)
    again.emit_many([make(data={"n": n}) for n in range(5)])
    with pytest.raises(CheckpointRegression):
        again.checkpoint("t1")


def test_what_was_signed_must_be_readable(trail: Path, make: Make) -> None:
    log = opened(trail)
    log.emit(make())
    log.checkpoint("t1")
    for path in (trail / "signed").iterdir():
        path.write_bytes(b"{}")
    with pytest.raises(AuditForkDetected):
        log.checkpoint("t1")


def test_a_failed_write_is_taken_back(trail: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Toy 16: memory ahead of the store after a failed commit, so that the next append forks."""
    log = opened(trail)
    log.emit(make())
    size = (trail / "journal").stat().st_size

    def full(self: Journal, octets: bytes, at: int) -> None:
        os.pwrite(self._descriptor, octets[: len(octets) // 2], at)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_write", full)
        with pytest.raises(AuditUnavailable):
            log.emit(make())
        assert (trail / "journal").stat().st_size == size
    assert log.emit(make()).seq == 1
    assert verify(log.store, tenant_id="t1").integrity == "verified"


def test_another_process_that_holds_the_lock(trail: Path, make: Make) -> None:
    log = AuditLog(DirectoryAuditStore(trail), clock=FixedClock(NOW))
    log.emit(make())
    with (trail / "lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        short = AuditLog(log.store, clock=FixedClock(NOW), deadline=SECONDS / 20)
        with pytest.raises(AuditUnavailable):
            short.emit(make())
        assert not short.emit(make("session.revoked")).durable
    assert short.emit(make()).seq == 1
    assert short.events("t1")[0]["action"] == "session.revoked"


def test_pruning_writes_the_journal_anew_for_every_process(trail: Path, make: Make) -> None:
    log, other = opened(trail), opened(trail)
    log.emit_many([make(id=f"e{n}") for n in range(600)])
    log.emit(make(id="mine", tenant_id="t2"))
    proof, entry = log.prove("t1", 3), log.entry("t1", 3)
    assert other.emit(make(tenant_id="t2")).seq == 1
    before = (trail / "journal").stat().st_size
    assert drive(log.store.prune("t1", 513)) == 512
    assert (trail / "journal").stat().st_size < before / 2
    for each in (log, other, opened(trail)):
        assert drive(each.store.head("t1")).first == 512
        assert ids(each, "t2")[0] == "mine"
        assert each.emit(make()).durable
        assert each.prove("t1", 599).startswith("c2sp.org/tlog-proof@v1\nindex 599\n")
    assert entry not in (trail / "journal").read_bytes()
    assert proof.startswith("c2sp.org/tlog-proof@v1\nindex 3\n")


def test_forgotten_values_leave_no_bytes_behind(trail: Path, make: Make) -> None:
    store = DirectoryAuditStore(trail)
    key = drive(store.subject_key("t1", "subject", b"k" * 32))
    sealed = draft(make(id="e"))._replace(sealed=(Sealed("subject", b"ciphertext"),))
    drive(store.append_batch([sealed], now=FixedClock(NOW).now, deadline=SECONDS))
    drive(store.append_batch([sealed], now=FixedClock(NOW).now, deadline=SECONDS))
    folder = next((trail / "subjects").iterdir())
    with next(folder.glob("*.sealed")).open("ab") as torn:  # a crash came before its event was acknowledged
        torn.write(b"1 AAAA never-stood\n2 AA")
    assert drive(store.disclosures("t1", "subject")) == [(0, b"ciphertext")]
    after = draft(make(id="after the crash"))._replace(sealed=(Sealed("subject", b"another"),))
    drive(store.append_batch([after], now=FixedClock(NOW).now, deadline=SECONDS))  # it must not join the torn line
    assert drive(store.disclosures("t1", "subject")) == [(0, b"ciphertext"), (1, b"another")]
    assert key == b"k" * 32
    assert drive(store.forget("t1", "subject")) == 2
    assert list(folder.iterdir()) == []
