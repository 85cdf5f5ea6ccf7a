"""The attacker has the database and the key of the log (toy 3): only what others hold is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit_trails import ORIGIN, SIGNER, behind, events, opened, rewrite
from wellstreak_trust.audit import (
    Ed25519Signer,
    MemoryAuditStore,
    MemoryWitnessStore,
    Witness,
    WitnessKey,
    verify,
)
from wellstreak_trust.audit.cosignature import with_lines
from wellstreak_trust.audit.store import SPINE
from wellstreak_trust.audit.tree import consistency_proof
from wellstreak_trust.audit.witness import Submission
from wellstreak_trust.core import UsageError
from wellstreak_trust.core.sansio import drive


def resigned(path: Path, size: int, seq: int) -> None:
    """Rewrites the tree and signs it with the genuine key; the log's memory of having signed goes too."""
    behind(path, lambda connection: rewrite(connection, seq, size=size))
    behind(path, lambda connection: connection.execute("DELETE FROM wst_audit_signed"))
    with opened(path) as thief:
        thief.checkpoint("t1")


def test_a_signature_by_a_stolen_key_is_genuine_and_the_pin_is_not_fooled(sqlite_path: Path) -> None:
    with opened(sqlite_path) as log:
        log.emit_many(events(6))
        pinned, keys = log.checkpoint("t1"), [log.vkey("t1")]
    resigned(sqlite_path, 6, 3)
    with opened(sqlite_path) as log:
        report = verify(log.store, tenant_id="t1", keys=keys)
        assert (report.failed, report.level) == ((), "signed")
        report = verify(log.store, tenant_id="t1", keys=keys, pinned=pinned)
    assert (report.append_only, report.level) == ("failed", "internal")


def test_a_witness_is_not_fooled_either(sqlite_path: Path) -> None:
    """It cosigned the first history and refuses the second, whoever signs it."""
    eye = Witness(MemoryWitnessStore(), Ed25519Signer.from_seed(bytes([9]) * 32), "w", [SIGNER.key(ORIGIN)])
    with opened(sqlite_path) as log:
        log.emit_many(events(6))
        note = log.checkpoint()
        answer = eye.add_checkpoint(Submission(0, (), note).body())
        assert answer.status == 200
        cosigned = with_lines(note, [answer.body])
        assert verify(log.store, keys=[log.vkey(), eye.vkey], pinned=cosigned).level == "witnessed"
    behind(sqlite_path, lambda connection: rewrite(connection, 0, tenant_id="", size=1))
    behind(sqlite_path, lambda connection: connection.execute("DELETE FROM wst_audit_signed"))
    with opened(sqlite_path) as thief:  # the thief runs this very code with the stolen key
        second = drive(thief._notary.checkpoint(SPINE))
    assert second != note
    assert eye.add_checkpoint(Submission(1, (), second).body()).status == 422
    longer = Submission(1, tuple(consistency_proof([bytes(32)] * 2, 1)), second)
    assert eye.add_checkpoint(longer.body()).status == 422


def test_a_witness_with_the_key_of_the_log_is_refused() -> None:
    with pytest.raises(UsageError):
        Witness(MemoryWitnessStore(), SIGNER, "w", [SIGNER.key(ORIGIN)])
    with pytest.raises(UsageError):
        verify(MemoryAuditStore(), keys=[SIGNER.key(ORIGIN), WitnessKey("w", SIGNER.public_key)])
    two_names = [WitnessKey("a", bytes([2]) * 32), WitnessKey("b", bytes([2]) * 32)]
    with pytest.raises(UsageError):
        verify(MemoryAuditStore(), keys=[SIGNER.key(ORIGIN), *two_names], quorum=2)
