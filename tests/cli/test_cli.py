"""The command line: what it prints, and the status it ends with."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from wellstreak_trust.audit import AuditEvent, AuditLog, Ed25519Signer, MemoryAuditStore
from wellstreak_trust.cli.__main__ import app

RUN = CliRunner()


def test_policies_are_checked(tmp_path: Path) -> None:
    good = tmp_path / "good.toml"
    good.write_text('schema = 1\n[permissions."a:b"]\n[roles.r]\nallow = ["a:b"]\n')
    assert RUN.invoke(app, ["policy", "check", str(good)]).exit_code == 0
    bad = tmp_path / "bad.toml"
    bad.write_text('schema = 1\n[permissions."agents:read"]\n[roles.r]\nallow = ["agent:read"]\n')
    result = RUN.invoke(app, ["policy", "check", str(bad)])
    assert result.exit_code == 1
    assert "agents:read" in result.output
    assert RUN.invoke(app, ["policy", "check", str(tmp_path / "missing.toml")]).exit_code == 2


def test_trails_are_verified(tmp_path: Path) -> None:
    log = AuditLog(MemoryAuditStore(), signer=Ed25519Signer.generate(), origin="example.com/audit")
    for number in range(3):
        log.emit(AuditEvent("demo.done", "success", "acme", {"kind": "user", "id": f"u{number}"}))
    directory = tmp_path / "export"
    log.export("acme", directory)
    pin = tmp_path / "pin"
    pin.write_text(log.checkpoint("acme"))
    key = log.vkey("acme")
    assert RUN.invoke(app, ["audit", "verify", str(directory), "--key", key, "--pinned", str(pin)]).exit_code == 0
    assert RUN.invoke(app, ["audit", "verify", str(directory), "--key", key]).exit_code == 3
    entries = next((directory / "tile" / "entries").glob("**/*.p/*"))
    entries.write_bytes(entries.read_bytes().replace(b"u1", b"u9"))
    result = RUN.invoke(app, ["audit", "verify", str(directory), "--key", key, "--pinned", str(pin)])
    assert result.exit_code == 1
    assert "first bad" in result.output
    assert RUN.invoke(app, ["audit", "verify", str(directory), "--pinned", str(tmp_path / "none")]).exit_code == 2


def test_keys_are_generated_once(tmp_path: Path) -> None:
    path = tmp_path / "kek.json"
    assert RUN.invoke(app, ["keys", "generate", str(path)]).exit_code == 0
    assert path.stat().st_mode & 0o077 == 0
    assert RUN.invoke(app, ["keys", "generate", str(path)]).exit_code == 2


def test_security_txt_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "security.txt"
    path.write_text("Contact: security@example.com\nExpires: 2030-01-01T00:00:00Z\n")
    result = RUN.invoke(app, ["security-txt", "check", str(path)])
    assert result.exit_code == 1
    assert ":1:" in result.output


def test_doctor_explains_settings_or_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WELLSTREAK_TRUST_REPLICAS", "2")
    result = RUN.invoke(app, ["doctor"])
    assert result.exit_code == 1  # nothing tells yet how a request names its tenant
    assert "environment: WELLSTREAK_TRUST_REPLICAS" in result.output
    assert "tenant_source" in result.output
    monkeypatch.setenv("WELLSTREAK_TRUST_REPLICA", "2")
    assert RUN.invoke(app, ["doctor"]).exit_code == 1
