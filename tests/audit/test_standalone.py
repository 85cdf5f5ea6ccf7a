"""The script that goes to strangers: run as they run it, and hit as hard as the package's own verifier."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.audit import (
    AuditEvent,
    AuditLog,
    Ed25519Signer,
    MemoryAuditStore,
    VerifierKey,
    WitnessKey,
    _verify_trail,
    write_verifier,
)
from wellstreak_trust.audit.cosignature import cosign, with_lines
from wellstreak_trust.core import UsageError
from wellstreak_trust.core.errors import ConfigurationError

Make = Callable[..., AuditEvent]
EYE = Ed25519Signer.from_seed(bytes([1]) * 32)
WITNESS = WitnessKey("witness.test/w1", EYE.public_key)


@pytest.fixture
def export(log: AuditLog, make: Make, tmp_path: Path) -> Path:
    log.emit_many([make(data={"n": n}) for n in range(3)])
    log.export("t1", tmp_path / "export")
    return tmp_path / "export"


def run(folder: Path, *words: str) -> tuple[int, str]:
    """As a stranger runs it: an interpreter that sees neither this package nor any other."""
    script = write_verifier(folder)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), *words], capture_output=True, text=True, timeout=60, cwd=folder
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_it_is_short_and_imports_nothing_of_ours(tmp_path: Path) -> None:
    text = write_verifier(tmp_path).read_text()
    assert len(text.splitlines()) < 200
    names = [node.name for found in ast.walk(ast.parse(text)) if isinstance(found, ast.Import) for node in found.names]
    froms = [found.module for found in ast.walk(ast.parse(text)) if isinstance(found, ast.ImportFrom)]
    assert all(str(name) in sys.stdlib_module_names for name in [*names, *froms])


def test_a_good_export(export: Path, log: AuditLog, make: Make) -> None:
    folder = export.parent
    keep = export / "checkpoint"
    (folder / "pinned").write_bytes(keep.read_bytes())
    log.emit_many([make() for _ in range(300)])
    log.export("t1", export)
    key = log.vkey("t1")
    status, said = run(folder, "export", "--key", key, "--pinned", "pinned")
    assert status == 0
    assert "303 entries" in said
    assert "not checked" not in said
    status, said = run(folder, "export")
    assert (status, said.count("not checked")) == (3, 2)
    assert run(folder, "absent", "--key", key)[0] == 2


def test_a_witness_is_told_with_its_time(export: Path, log: AuditLog) -> None:
    note = (export / "checkpoint").read_text()
    text = note.partition("\n\n")[0] + "\n"
    (export / "checkpoint").write_text(with_lines(note, [cosign(text, WITNESS.name, EYE, log.clock.now())]))
    status, said = run(export.parent, "export", "--key", log.vkey("t1"), "--key", str(WITNESS))
    assert status == 0
    assert "witnessed by witness.test/w1 at 2026-11-24T12:00:00Z" in said


def test_a_proof(export: Path, log: AuditLog) -> None:
    folder = export.parent
    (folder / "proof").write_text(log.prove("t1", 1))
    (folder / "entry").write_bytes(log.entry("t1", 1))
    (folder / "other").write_bytes(log.entry("t1", 2))
    words = ["proof", "--key", log.vkey("t1"), "--entry"]
    assert run(folder, *words, "entry")[0] == 0
    assert run(folder, *words, "other")[0] == 1
    (folder / "proof").write_text(log.prove("t1", 1).replace("index 1", "index 2"))
    assert run(folder, *words, "entry")[0] == 1


def test_what_changed_is_named(export: Path, log: AuditLog) -> None:
    bundle = export / "tile/entries/000.p/3"
    bundle.write_bytes(bundle.read_bytes().replace(b'"n":1', b'"n":7'))
    status, said = run(export.parent, "export", "--key", log.vkey("t1"))
    assert (status, said) == (1, "TAMPERED OR DAMAGED: entry 1 was changed\n")


def test_a_pin_of_another_history(export: Path, log: AuditLog, make: Make) -> None:
    other = AuditLog(MemoryAuditStore(), log._notary.signer, log.origin, clock=log.clock)
    other.emit_many([make() for _ in range(5)])
    for size, said in ((2, "not those that were pinned"), (5, "another or a longer tree")):
        short = AuditLog(MemoryAuditStore(), log._notary.signer, log.origin, clock=log.clock)
        short.emit_many([make() for _ in range(size)])
        (export.parent / "pinned").write_text(short.checkpoint("t1"))
        status, told = run(export.parent, "export", "--key", log.vkey("t1"), "--pinned", "pinned")
        assert status == 1
        assert said in told


def test_the_script_stands_beside_the_export(export: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_verifier(export)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError):
        write_verifier(tmp_path / "file")


# --- the same battery as for the package's own verifier ------------------------------------------------------------


def intact(top: Path, keys: list[str]) -> bool:
    try:
        _verify_trail.directory(top, [_verify_trail.key_of(key) for key in keys], "", 0, [])
    except ValueError:
        return False
    return True


class InMemory(PurePosixPath):
    """A path whose file is held here, so that ten thousand changes take no time."""

    held: ClassVar[dict[str, bytes]] = {}

    def is_file(self) -> bool:
        return str(self) in self.held

    exists = is_file

    def read_bytes(self) -> bytes:
        return self.held[str(self)]

    def is_symlink(self) -> bool:
        return False

    is_dir = is_symlink

    def rglob(self, pattern: str) -> list[InMemory]:
        return [InMemory(name) for name in self.held if pattern == "*"]


def test_every_bit_flip_is_caught(export: Path, log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bit of every file. The library verifies the signatures here, for speed; both agree, see below."""

    def quickly(public: bytes, message: bytes, signature: bytes) -> bool:
        return VerifierKey("x", public).verifies(signature, message)

    assert intact(export, [log.vkey("t1")])
    monkeypatch.setattr(_verify_trail, "ed25519", quickly)
    content = {str(file.relative_to(export.parent)): file.read_bytes() for file in export.rglob("*") if file.is_file()}
    monkeypatch.setattr(InMemory, "held", content)
    top: Any = InMemory("export")
    assert intact(top, [log.vkey("t1")])
    missed = []
    for name, octets in list(content.items()):
        keys = [log.vkey("t1")] if name == "export/checkpoint" else []
        for at in range(len(octets) * 8):
            flipped = bytearray(octets)
            flipped[at // 8] ^= 1 << at % 8
            content[name] = bytes(flipped)
            if intact(top, keys):
                missed.append((name, at))
        content[name] = octets
    assert missed == []


def test_every_damaged_or_added_file_is_caught(export: Path, log: AuditLog) -> None:
    missed = []
    for file in sorted(path for path in export.rglob("*") if path.is_file()):
        octets = file.read_bytes()
        keys = [log.vkey("t1")] if file.name == "checkpoint" else []
        for changed in (b"", octets[:-1], octets[1:], octets[:-32], octets + b"\0", octets + b"\n", octets * 2):
            file.write_bytes(changed)
            if intact(export, keys):
                missed.append((file.name, len(changed)))
        file.unlink()
        if intact(export, []):
            missed.append((file.name, -1))
        file.write_bytes(octets)
    hashes = (export / "tile/0/000.p/3").read_bytes()
    for name in ("notes.txt", "tile/0/000", "tile/0/000.p/4", "tile/0/000.p/03", "tile/1/000.p/1", "tile/x"):
        extra = export / name
        extra.parent.mkdir(parents=True, exist_ok=True)
        extra.write_bytes(hashes)
        if intact(export, []):
            missed.append((name, 0))
        extra.unlink()
    assert missed == []
    assert intact(export, [])


def test_pruned_entries_need_the_minimum_index(log: AuditLog, make: Make, tmp_path: Path) -> None:
    log.emit_many([make() for _ in range(600)])
    log.export("t1", tmp_path)
    shutil.move(tmp_path / "tile/entries/000", tmp_path.parent / "gone")
    keys = [_verify_trail.key_of(log.vkey("t1"))]
    with pytest.raises(ValueError, match="missing or added from 0"):
        _verify_trail.directory(tmp_path, keys, "", 0, [])
    assert "first 256 known by their hashes" in _verify_trail.directory(tmp_path, keys, "", 300, [])
    (tmp_path / "tile/0/000").write_bytes(bytes(8192))
    with pytest.raises(ValueError, match="root"):
        _verify_trail.directory(tmp_path, keys, "", 300, [])


# --- its own Ed25519 -----------------------------------------------------------------------------------------------

RFC_8032 = {  # section 7.1, tests 1 to 3
    "TEST 1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    "TEST 2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    "TEST 3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
}  # fmt: skip


@pytest.mark.parametrize("name", RFC_8032)
def test_published_signatures(name: str) -> None:
    public, message, signature = map(bytes.fromhex, RFC_8032[name])
    assert _verify_trail.ed25519(public, message, signature)
    assert not _verify_trail.ed25519(public, message + b"x", signature)


@settings(max_examples=25)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=100), bit=st.integers(0, 511))
def test_it_agrees_with_the_library(seed: bytes, message: bytes, bit: int) -> None:
    signer = Ed25519Signer.from_seed(seed)
    signature = signer.sign(message)
    assert _verify_trail.ed25519(signer.public_key, message, signature)
    flipped = bytearray(signature)
    flipped[bit // 8] ^= 1 << bit % 8
    assert not _verify_trail.ed25519(signer.public_key, message, bytes(flipped))


def test_a_signature_has_one_spelling() -> None:
    """S plus the order of the group is the same point and another signature (RFC 8032, 5.1.7 forbids it)."""
    signer = Ed25519Signer.from_seed(bytes(32))
    signature = signer.sign(b"x")
    scalar = int.from_bytes(signature[32:], "little") + _verify_trail.L
    assert not _verify_trail.ed25519(signer.public_key, b"x", signature[:32] + scalar.to_bytes(32, "little"))
    assert not _verify_trail.ed25519(signer.public_key, b"x", signature + b"\0")
    assert not _verify_trail.ed25519(signer.public_key, b"x", signature[:-1])
    for public in ((2**255 - 1).to_bytes(32, "little"), (2).to_bytes(32, "little")):
        with pytest.raises(ValueError, match="curve"):
            _verify_trail.ed25519(public, b"x", signature)
