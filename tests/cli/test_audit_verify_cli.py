"""``audit verify | prove | witness | verifier``: what they print, and the status they end with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import create_engine
from typer.testing import CliRunner, Result

from wellstreak_trust.audit import AuditEvent, AuditLog, Ed25519Signer, WitnessKey, verify
from wellstreak_trust.audit.anchors import WitnessAnchor, WitnessClient
from wellstreak_trust.audit.cosignature import cosign, with_lines
from wellstreak_trust.cli.__main__ import app
from wellstreak_trust.core import SystemClock
from wellstreak_trust.core.egress import Egress
from wellstreak_trust.storage.sql import Database, SqlAuditStore

ORIGIN = "audit.test/log"
SIGNER = Ed25519Signer.from_seed(bytes(32))
EYE = Ed25519Signer.from_seed(bytes([1]) * 32)
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("WELLSTREAK_TRUST_AUDIT_ORIGIN", ORIGIN)
    return lambda *words: CliRunner().invoke(app, ["audit", *map(str, words)])


@pytest.fixture
def log(sqlite_path: Path) -> Iterator[AuditLog]:
    engine = create_engine(f"sqlite:///{sqlite_path}")
    Database(engine).create_all()
    log = AuditLog(SqlAuditStore(Database(engine)), SIGNER, ORIGIN)
    for number in range(5):
        log.emit(AuditEvent("demo.done", "success", "acme", {"id": f"u{number}"}))
    yield log
    engine.dispose()


@pytest.fixture
def export(log: AuditLog, tmp_path: Path) -> Path:
    (tmp_path / "pin").write_text(log.export("acme", tmp_path / "export"))
    return tmp_path / "export"


def test_levels_decide_between_zero_and_three(run: Run, log: AuditLog, export: Path) -> None:
    key, pin = ["--key", log.vkey("acme")], ["--pinned", export.parent / "pin"]
    for words, status in (
        ([*key, *pin], 0),
        (key, 3),
        ([*key, "--at-least", "signed"], 0),
        (pin, 3),
        ([], 3),
        (["--at-least", "internal"], 0),
        ([*key, *pin, "--at-least", "witnessed"], 3),
        (["--key", log.vkey(), "--tenant", "acme", *pin], 0),
    ):
        result = run("verify", export, *words)
        assert (result.exit_code, words) == (status, words)
    assert "weaker than asked for: signed, not anchored" in run("verify", export, *key).output
    assert "not checked   no key of a witness was given" in run("verify", export, *key).output


def test_a_terminal_sees_a_bar(run: Run, log: AuditLog, export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from io import StringIO

    from rich.console import Console

    from wellstreak_trust.cli import audit_store

    seen = StringIO()
    monkeypatch.setattr(audit_store, "ERR", Console(file=seen, force_terminal=True, width=100))
    assert run("verify", export, "--key", log.vkey("acme")).exit_code == 3
    assert "verifying" in seen.getvalue()
    assert "5/5" in seen.getvalue()


def test_what_was_changed_is_named(run: Run, log: AuditLog, export: Path) -> None:
    bundle = export / "tile/entries/000.p/5"
    bundle.write_bytes(bundle.read_bytes().replace(b"u3", b"u7"))
    result = run("verify", export, "--key", log.vkey("acme"))
    assert result.exit_code == 1
    assert "first bad     entry 3" in result.output


def test_what_cannot_be_looked_at(run: Run, log: AuditLog, export: Path, tmp_path: Path) -> None:
    key = log.vkey("acme")
    for words in (
        (tmp_path / "absent",),
        (export, "--pinned", tmp_path / "absent"),
        (export, "--key", "nonsense"),
        (export, "--at-least", "splendid"),
        (export, "--key", key, "--quorum", 2),
        ("--database", "postgresql+asyncpg://h/d"),
        ("--database", f"sqlite:///{tmp_path}/absent/x.db"),
        (tmp_path / "absent", "--entry", tmp_path / "pin", "--key", key),
        ("--entry", tmp_path / "pin", "--key", key),
    ):
        assert (run("verify", *words).exit_code, words) == (2, words)


def test_a_whole_database(run: Run, log: AuditLog, sqlite_path: Path, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(log.checkpoint())
    words = ["--database", f"sqlite:///{sqlite_path}", "--key", log.vkey(), "--pinned", tmp_path / "pin"]
    result = run("verify", *words)
    assert result.exit_code == 0
    assert "tenant        acme: 5 entries, anchored" in result.output
    assert run("verify", *words[:4], "--tenant", "acme", "--at-least", "internal").exit_code == 0
    with log.store._database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM wst_audit_head WHERE tenant_id = 'acme'")
    result = run("verify", *words)
    assert result.exit_code == 1
    assert "the spine names a tree that the store does not have: 5 entries" in result.output


@pytest.mark.parametrize("source", ["export", "database"])
def test_a_proof_is_made_and_verified(
    source: str, run: Run, log: AuditLog, export: Path, sqlite_path: Path, tmp_path: Path
) -> None:
    where = [export] if source == "export" else ["--database", f"sqlite:///{sqlite_path}", "--tenant", "acme"]
    out = tmp_path / "x.tlog-proof"
    made = run("prove", 3, *where, "--out", out, "--entry-out", tmp_path / "entry")
    assert (made.exit_code, made.output) == (0, "")
    assert out.read_text() == log.prove("acme", 3) == run("prove", 3, *where).output
    key = ["--key", log.vkey("acme")]
    good = run("verify", out, "--entry", tmp_path / "entry", *key)
    assert good.exit_code == 0
    assert "Entry 3 of 5" in good.output
    assert run("verify", out, "--entry", tmp_path / "entry").exit_code == 3
    (tmp_path / "entry").write_bytes(log.entry("acme", 2))
    assert run("verify", out, "--entry", tmp_path / "entry", *key).exit_code == 1
    assert run("prove", 5, *where).exit_code == 2


def test_proofs_that_cannot_be_made(run: Run, log: AuditLog, export: Path, sqlite_path: Path, tmp_path: Path) -> None:
    database = ["--database", f"sqlite:///{sqlite_path}"]
    for words in (database, [*database, "--tenant", "globex"], [tmp_path], [tmp_path / "absent"]):
        assert (run("prove", 0, *words).exit_code, words) == (2, words)
    (export / "tile/entries/000.p/5").unlink()
    assert run("prove", 0, export).exit_code == 2
    assert run("prove", 3, *database, "--tenant", "acme", "--out", tmp_path).exit_code == 2


def test_a_proof_with_witnesses(run: Run, log: AuditLog, export: Path, tmp_path: Path) -> None:
    note = (export / "checkpoint").read_text()
    line = cosign(note.partition("\n\n")[0] + "\n", "witness.test/w1", EYE, log.clock.now())
    (export / "checkpoint").write_text(with_lines(note, [line]))
    out, entry = tmp_path / "x.tlog-proof", tmp_path / "entry"
    run("prove", 3, export, "--out", out, "--entry-out", entry)
    keys = ["--key", log.vkey("acme"), "--key", WitnessKey("witness.test/w1", EYE.public_key)]
    result = run("verify", out, "--entry", entry, *keys, "--at-least", "witnessed")
    assert result.exit_code == 0
    assert "witnessed by witness.test/w1" in result.output


def test_the_script_is_written_beside_the_export(run: Run, export: Path) -> None:
    result = run("verifier", export.parent)
    assert (result.exit_code, result.output.strip()) == (0, str(export.parent / "verify_trail.py"))
    assert run("verifier", export).exit_code == 2


def test_a_witness_is_served(log: AuditLog, run: Run, tmp_path: Path) -> None:
    pem = EYE._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "witness.pem").write_bytes(pem)
    command = [sys.executable, "-m", "wellstreak_trust.cli", "audit", "witness", "witness.test/w1", "--port", "0"]
    command += ["--key-file", str(tmp_path / "witness.pem"), "--log", log.vkey()]
    command += ["--database", f"sqlite:///{tmp_path / 'witness.db'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            key = served.stdout.readline().split()[1]
            url = served.stdout.readline().strip().removesuffix("/add-checkpoint")
            client = WitnessClient(url, key, way=Egress(SystemClock(), allow_private=True))
            watched = AuditLog(log.store, SIGNER, ORIGIN, sinks=[WitnessAnchor(log.store, ORIGIN, client)])
            watched.checkpoint()
        finally:
            served.terminate()
    report: Any = verify(log.store, keys=[log.vkey(), key])
    assert (report.level, report.tenants["acme"].level) == ("witnessed", "witnessed")
    missing = run("witness", "w", "--key-file", tmp_path / "absent", "--log", log.vkey(), "--database", "sqlite://")
    assert missing.exit_code == 2
