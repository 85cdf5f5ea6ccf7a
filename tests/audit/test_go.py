"""Our exports and proofs, verified by Go's `sumdb/note` and `sumdb/tlog`: other people's code, in another language."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from wellstreak_trust.audit import AuditEvent, AuditLog, Ed25519Signer, WitnessKey
from wellstreak_trust.audit.cosignature import cosign, with_lines

SOURCE = Path(__file__).parent / "go" / "main.go"
LIBRARIES = Path("/usr/share/gocode")  # Debian's golang-golang-x-mod-dev
Make = Callable[..., AuditEvent]
Go = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Go:
    program = shutil.which("go")
    if program is None or not (LIBRARIES / "src/golang.org/x/mod/sumdb").is_dir():
        reason = "Go with golang.org/x/mod is not here (apt install golang-go golang-golang-x-mod-dev)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("go")
    environment = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": str(LIBRARIES),
        "GOFLAGS": "",
        "GOCACHE": os.environ.get("GOCACHE", str(Path.home() / ".cache" / "go-build")),
    }
    subprocess.run(
        [program, "build", "-o", str(folder / "verify"), str(SOURCE)], env=environment, check=True, timeout=300
    )
    return lambda *words: subprocess.run(
        [str(folder / "verify"), *map(str, words)], capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def grown(log: AuditLog, make: Make, tmp_path: Path) -> Path:
    """600 entries: full and partial tiles of two levels; an older checkpoint, a proof and its entry beside them."""
    log.emit_many([make(data={"n": n}) for n in range(300)])
    (tmp_path / "old").write_text(log.checkpoint("t1"))
    log.emit_many([make(data={"n": n}) for n in range(300)])
    log.export("t1", tmp_path / "export")
    (tmp_path / "proof").write_text(log.prove("t1", 421))
    (tmp_path / "entry").write_bytes(log.entry("t1", 421))
    return tmp_path


def words(folder: Path, log: AuditLog) -> list[object]:
    return [folder / "export", log.vkey("t1"), folder / "old", folder / "proof", folder / "entry"]


def test_go_verifies_note_tiles_inclusion_and_consistency(go: Go, log: AuditLog, grown: Path) -> None:
    done = go(*words(grown, log))
    assert (done.returncode, done.stdout) == (0, "verified 600 entries\n")


def test_a_cosigned_checkpoint_is_still_the_logs(go: Go, log: AuditLog, grown: Path) -> None:
    signed = (grown / "export/checkpoint").read_text()
    eye = Ed25519Signer.from_seed(bytes([1]) * 32)
    line = cosign(signed.partition("\n\n")[0] + "\n", "witness.test/w1", eye, log.clock.now())
    assert WitnessKey("witness.test/w1", eye.public_key).id
    (grown / "export/checkpoint").write_text(with_lines(signed, [line]))
    assert go(*words(grown, log)).returncode == 0


CHANGES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "an entry": ("export/tile/entries/001", lambda octets: octets.replace(b'"n":299', b'"n":298')),
    "a hash": ("export/tile/0/000", lambda octets: octets[:-1] + b"\0"),
    "an upper hash": ("export/tile/1/000.p/2", lambda octets: bytes(32) + octets[32:]),
    "the last tile": ("export/tile/0/002.p/88", lambda octets: octets[:-32]),
    "the size": ("export/checkpoint", lambda octets: octets.replace(b"\n600\n", b"\n599\n")),
    "the old checkpoint": ("old", lambda octets: octets.replace(b"\n300\n", b"\n299\n")),
    "the proof": ("proof", lambda octets: octets.replace(b"index 421", b"index 420")),
    "the entry of the proof": ("entry", lambda octets: octets.replace(b"success", b"failure")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_go_refuses_what_we_refuse(name: str, go: Go, log: AuditLog, grown: Path) -> None:
    path, change = CHANGES[name]
    before = (grown / path).read_bytes()
    (grown / path).write_bytes(change(before))
    assert change(before) != before
    assert go(*words(grown, log)).returncode == 1
