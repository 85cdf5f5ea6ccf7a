"""c2sp.org/tlog-checkpoint and c2sp.org/tlog-proof."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import pytest

from wellstreak_trust.audit import AuditEvent, AuditLog, Checkpoint, InclusionProof, NoteInvalid, tree_origin
from wellstreak_trust.audit import note as signed_note
from wellstreak_trust.core import UsageError

ROOT = bytes(range(32))
GOOD = Checkpoint("wellstreak.test/audit/x", 705, ROOT)
R = b64encode(ROOT).decode()


def test_three_lines_there_and_back() -> None:
    assert GOOD.text() == f"wellstreak.test/audit/x\n705\n{R}\n"
    assert Checkpoint.parse(GOOD.text()) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        f"o\n07\n{R}\n",
        f"o\n-1\n{R}\n",
        f"o\n+1\n{R}\n",
        f"o\n١\n{R}\n",
        f"o\n{'9' * 20}\n{R}\n",
        f"o\n1\n{R}\nextension\n",
        f"o\n1\n{R}",
        f"\n1\n{R}\n",
        f"o\n1\n{R[:-4]}\n",
        f"o\n1\n{R.replace('=', '')}\n",
        "",
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        Checkpoint.parse(text)


def test_the_key_must_bear_the_name_of_the_tree(log: AuditLog, make: Callable[..., AuditEvent]) -> None:
    """Else one tenant's checkpoint, signed by the same key, could be shown as another's."""
    log.emit(make())
    note = log.checkpoint("t1")
    assert Checkpoint.open(note, [log.vkey("t1")]).size == 1
    with pytest.raises(NoteInvalid):
        Checkpoint.open(note, [log.vkey("t2")])
    signer = log._notary.signer
    renamed = signed_note.sign(GOOD.text(), "wellstreak.test/audit/y", signer)
    with pytest.raises(NoteInvalid):
        Checkpoint.open(renamed, [signer.key("wellstreak.test/audit/y")])


def test_origins_do_not_name_the_customer() -> None:
    assert "acme" not in tree_origin("wellstreak.test/audit", "acme")
    assert tree_origin("a", "t1") != tree_origin("a", "t2") != tree_origin("b", "t2")


def test_a_proof_convinces_an_outsider(log: AuditLog, make: Callable[..., AuditEvent]) -> None:
    log.emit_many([make(data={"n": n}) for n in range(300)])
    keys = [log.vkey("t1")]
    for seq in (0, 255, 256, 299):
        text, entry = log.prove("t1", seq), log.entry("t1", seq)
        proof = InclusionProof.parse(text)
        assert proof.verify(entry, keys)
        assert proof.text() == text
        assert len(text) < 1_300
        assert not proof.verify(entry + b" ", keys)
        assert not proof.verify(log.entry("t1", seq - 1 if seq else 1), keys)
        assert not proof.verify(entry, [log.vkey("t2")])
        assert not InclusionProof(seq + 1, proof.hashes, proof.checkpoint).verify(entry, keys)
    with pytest.raises(UsageError):
        log.prove("t1", 300)
    with pytest.raises(UsageError):
        log.prove("t1", -1)


def test_proof_files_have_one_spelling(log: AuditLog, make: Callable[..., AuditEvent]) -> None:
    log.emit_many([make(), make()])
    text = log.prove("t1", 1)
    with_extra = text.replace("@v1\n", "@v1\nextra AAAA\n")
    assert InclusionProof.parse(with_extra) == InclusionProof.parse(text)
    for bad in (
        text.replace("@v1", "@v2"),
        text.replace("index 1", "index 01"),
        text.replace("index 1", "index -1"),
        text.replace("index 1\n", ""),
        text.replace("\n\n", "\nAAAA\n\n", 1),
        text.replace("@v1\n", "@v1\nextra ?\n"),
        text.replace("\n\n", "\n"),
        text.replace("\n\n", "\n" + (R + "\n") * 64 + "\n", 1),
        "",
        None,
    ):
        with pytest.raises(NoteInvalid):
            InclusionProof.parse(bad)  # type: ignore[arg-type]  # None is what a host may hand over
