"""Never sign a contradiction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wellstreak_trust.audit import (
    AuditEvent,
    AuditForkDetected,
    AuditLog,
    AuditUnavailable,
    Checkpoint,
    CheckpointRegression,
    Ed25519Signer,
    MemoryAuditStore,
    tree,
    verify,
)
from wellstreak_trust.audit.store import Signed

Make = Callable[..., AuditEvent]


def test_a_checkpoint_is_the_signed_state(log: AuditLog, make: Make) -> None:
    empty = Checkpoint.open(log.checkpoint("t1"), [log.vkey("t1")])
    assert (empty.size, empty.root) == (0, tree.EMPTY_ROOT)
    receipts = log.emit_many([make() for _ in range(5)])
    found = Checkpoint.open(log.checkpoint("t1"), [log.vkey("t1")])
    assert (found.size, found.root) == (5, tree.root([receipt.leaf_hash or b"" for receipt in receipts]))
    assert found.origin.startswith("wellstreak.test/audit/")


def test_an_unchanged_tree_keeps_its_note_and_a_new_key_signs_it_again(
    log: AuditLog, outage: MemoryAuditStore, make: Make
) -> None:
    log.emit(make())
    assert log.checkpoint("t1") == log.checkpoint("t1")
    rotated = AuditLog(outage, Ed25519Signer.from_seed(bytes(32)), "wellstreak.test/audit")
    assert Checkpoint.open(rotated.checkpoint("t1"), [rotated.vkey("t1")]).size == 1
    rotated.emit(make())
    assert Checkpoint.open(rotated.checkpoint("t1"), [rotated.vkey("t1")]).size == 2


def test_a_forged_row_is_not_handed_out(log: AuditLog, outage: MemoryAuditStore, make: Make) -> None:
    log.emit(make())
    note = log.checkpoint("t1")
    origin = Checkpoint.unverified(note).origin
    outage._signed[origin] = Signed(1, outage._signed[origin].root, "anything\n")
    assert log.checkpoint("t1") == note


def test_a_restored_backup_cannot_sign_a_second_history(log: AuditLog, make: Make) -> None:
    """Attack 22: the database goes back, the application goes on; who holds the first note would see two truths."""
    log.emit_many([make() for _ in range(3)])
    store: Any = log.store
    log.emit_many([make() for _ in range(3)])
    log.checkpoint("t1")
    signed = store._signed
    restored = MemoryAuditStore()
    other = AuditLog(restored, log._notary.signer, log.origin)
    other.emit_many([make() for _ in range(3)])
    restored._signed = signed
    with pytest.raises(CheckpointRegression):  # shorter
        other.checkpoint("t1")
    other.emit_many([make() for _ in range(3)])
    with pytest.raises(CheckpointRegression):  # as long, with another content
        other.checkpoint("t1")
    other.emit_many([make() for _ in range(300)])
    with pytest.raises(CheckpointRegression):  # longer
        other.export("t1", "never-written")


def test_the_root_is_proved_from_hashes_not_from_the_cached_head(
    sqlite_log: AuditLog, tamper: Callable[..., None], make: Make
) -> None:
    sqlite_log.emit_many([make() for _ in range(3)])
    tamper("UPDATE wst_audit_head SET root = ?", bytes(32))
    with pytest.raises(AuditForkDetected):
        sqlite_log.checkpoint("t1")
    tamper("UPDATE wst_audit_head SET size = 300")
    with pytest.raises(AuditForkDetected):
        sqlite_log.checkpoint("t1")


def test_a_proof_is_not_made_for_a_leaf_that_was_changed(
    sqlite_log: AuditLog, tamper: Callable[..., None], make: Make
) -> None:
    sqlite_log.emit_many([make() for _ in range(3)])
    tamper("UPDATE wst_audit_leaf SET leaf = ? WHERE seq = 1", b'{"v":1}')
    with pytest.raises(AuditForkDetected):
        sqlite_log.prove("t1", 1)
    with pytest.raises(AuditForkDetected):
        sqlite_log.events("t1")
    assert sqlite_log.prove("t1", 0).startswith("c2sp.org/tlog-proof@v1\nindex 0\n")


def test_who_always_loses_the_race_gives_up(log: AuditLog, outage: Any, make: Make) -> None:
    async def lose(origin: str, old: Signed | None, new: Signed) -> bool:
        return False

    log.emit(make())
    outage.swap_signed_if = lose
    with pytest.raises(AuditUnavailable):
        log.checkpoint("t1")
    assert verify(outage, tenant_id="t1", keys=[log.vkey("t1")]).signature == "not_checked"
