"""The run books, played: keys rotated by the command line, and a service restored from an older backup."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import create_engine
from typer.testing import CliRunner, Result

import servers
from wellstreak_trust import Principal
from wellstreak_trust.audit import AuditEvent, AuditLog, CheckpointRegression, Ed25519Signer
from wellstreak_trust.audit.anchors import FileAnchor
from wellstreak_trust.cli.__main__ import app
from wellstreak_trust.identity import InvalidCredential, SessionManager
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, SecretStore
from wellstreak_trust.storage.sql import Database, SqlAuditStore, SqlSecretBackend, SqlSessionStore

RUN = CliRunner()
ORIGIN = "drill.test/audit"
ADA = Principal("ada", tenant_id="acme")


class Shift:
    """One service over one database, and the person on call with a shell."""

    def __init__(self, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.url, self._patch = folder, url, monkeypatch
        pem = folder / "audit.pem"
        if not pem.exists():
            octets = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            pem.write_bytes(octets)
            LocalKeyProvider.generate(folder / "kek.json")
        self.database = Database(create_engine(url))
        self.log = AuditLog(
            SqlAuditStore(self.database),
            Ed25519Signer.from_pem(pem.read_bytes()),
            ORIGIN,
            sinks=[FileAnchor(folder / "elsewhere.jsonl")],
        )
        kek = KeyChain([LocalKeyProvider.from_file(folder / "kek.json")])
        self.secrets = SecretStore(SqlSecretBackend(self.database), kek, audit=self.log)
        self.sessions = SessionManager(SqlSessionStore(self.database), audit=self.log)

    def __call__(self, *words: str | Path, status: int = 0, stdin: str | None = None) -> Result:
        for name, value in (("DATABASE_URL", self.url), ("AUDIT_ORIGIN", ORIGIN)):
            self._patch.setenv(f"WELLSTREAK_TRUST_{name}", value)
        self._patch.setenv("WELLSTREAK_TRUST_AUDIT_KEY_FILE", str(self.folder / "audit.pem"))
        result = RUN.invoke(app, [*map(str, words)], input=stdin)
        assert result.exit_code == status, result.output
        return result


@pytest.fixture
def shift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shift:
    found = Shift(tmp_path, f"sqlite:///{tmp_path / 'app.db'}", monkeypatch)
    found.database.create_all()
    found.secrets.put("acme", "slack/bot", "xoxb-first")
    found.secrets.put("globex", "crm/api", "crm-first")
    return found


def test_the_key_encryption_key_is_rotated_from_a_shell(shift: Shift) -> None:
    old, new = shift.folder / "kek.json", shift.folder / "kek-2027.json"
    shift("keys", "generate", new)
    assert shift("keys", "status", "--kek", new, "--kek", old).output.count("ready") == 2
    dry = shift("keys", "rewrap", "--dry-run", "--kek", new, "--kek", old)
    assert "2 keys would be wrapped anew" in dry.output
    assert "2 keys wrapped anew" in shift("keys", "rewrap", "--kek", new, "--kek", old).output
    assert "0 keys wrapped anew" in shift("keys", "rewrap", "--kek", new, "--kek", old).output
    assert "2 tenants, 2 secrets" in shift("secrets", "verify", "--kek", new).output
    assert "not configured" in shift("secrets", "verify", "--kek", old, status=2).output
    shift("secrets", "reencrypt", "acme", "--retire", "--kek", new)
    assert "1 tenants, 1 secrets" in shift("secrets", "verify", "--tenant", "acme", "--kek", new).output
    assert "secrets.rewrapped" in shift("audit", "query", "system", "action:secrets.rewrapped").output


def test_a_stolen_token_is_closed_replaced_and_opened(shift: Shift) -> None:
    kek = shift.folder / "kek.json"
    shift("secrets", "disable", "acme", "slack/bot", "--kek", kek)
    shift("secrets", "reveal", "acme", "slack/bot", "--yes", "--kek", kek, status=2)
    shift("secrets", "rotate", "acme", "slack/bot", "--kek", kek, stdin="xoxb-second\n")
    shown = shift("secrets", "reveal", "acme", "slack/bot", "--yes", "--kek", kek)
    assert "xoxb-second" in shown.output
    told = shift("audit", "query", "acme", "action:secret.read target:slack/bot", "--reason", "incident 7")
    assert "cli:" in told.output


def test_a_hold_forbids_pruning_until_it_is_released(shift: Shift) -> None:
    shift.log.emit(AuditEvent("plan.changed", "success", "acme", ADA))
    archive, reason = shift.folder / "archive", ("--reason", "retention")
    shift("audit", "hold", "acme", "--reason", "incident 7")
    shift("audit", "prune", "acme", archive, "--before", "2036-01-01", *reason, status=1)
    shift("audit", "release", "acme", "--reason", "incident 7 closed")
    shift("audit", "prune", "acme", archive, "--before", "2036-01-01", *reason)
    shift("audit", "verify", archive, "--key", shift.log.vkey("acme"), "--at-least", "signed")


@pytest.fixture(params=["sqlite", "postgresql"])
def backup(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Callable[[], Callable[[], str]]]:
    """The URL of a database, and a function that backs it up; what that returns restores it, and gives the new URL."""
    if request.param == "sqlite":
        live, copy = tmp_path / "live.db", tmp_path / "backup.db"

        def taken() -> Callable[[], str]:
            with closing(sqlite3.connect(live)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            return lambda: f"sqlite:///{copy}"

        return f"sqlite:///{live}", taken
    url = request.getfixturevalue("postgres_url")
    dump, restore = tools("pg_dump"), tools("pg_restore")

    def dumped() -> Callable[[], str]:
        subprocess.run([dump, "--format", "custom", "--file", tmp_path / "app.dump", url], check=True)

        def restored() -> str:
            command = [restore, "--clean", "--if-exists", "--dbname", url, str(tmp_path / "app.dump")]
            subprocess.run(command, check=True)
            return driven(url)

        return restored

    return driven(url), dumped


def driven(url: str) -> str:
    return urlsplit(url)._replace(scheme="postgresql+psycopg").geturl()


def tools(name: str) -> str:
    """The server's own tool: one that is older than the server refuses to dump it."""
    try:
        beside = servers._postgres_bin() / name
    except servers.Unavailable:
        beside = Path(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None or os.environ.get(servers.POSTGRES):
        pytest.skip(f"no {name} that belongs to the server")
    return found


def test_a_restored_backup_is_whole_and_known_to_be_old(
    backup: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, take = backup
    live = Shift(tmp_path, url, monkeypatch)
    live.database.create_all()
    live.secrets.put("acme", "slack/bot", "xoxb-first")
    live.log.emit(AuditEvent("plan.changed", "success", "acme", ADA))
    opened = live.sessions.open("ada", tenant_id="acme")
    live.log.tick()
    restore = take()

    live.secrets.rotate("acme", "slack/bot", "xoxb-second")
    live.sessions.revoke(opened.session.id)
    live.log.tick()
    pinned = tmp_path / "kept.txt"
    pinned.write_text(live.log.export("acme", tmp_path / "export"))
    vkey = live.log.vkey("acme")
    live.database.engine.dispose()

    old = Shift(tmp_path, restore(), monkeypatch)
    kek = tmp_path / "kek.json"
    assert old.database.create_all() == live.database.create_all()
    old("database", "status")
    assert "1 tenants, 1 secrets" in old("secrets", "verify", "--kek", kek).output

    back = old("audit", "verify", "--tenant", "acme", "--pinned", pinned, "--key", vkey, status=1)
    assert "does not continue" in back.output
    with pytest.raises(CheckpointRegression):
        old.log.checkpoint()
    found = old(
        *("secrets", "doctor", "--against-audit", tmp_path / "export", "--key", vkey, "--pinned", pinned),
        *("--kek", kek),
        status=1,
    )
    assert "rolled_back: slack/bot of acme" in found.output

    assert old.sessions.authenticate(opened.token).id == "ada"  # signed out before, and in again
    old.sessions.revoke_everyone(by=Principal("root"))
    with pytest.raises(InvalidCredential):
        old.sessions.authenticate(opened.token)
    old.secrets.rotate("acme", "slack/bot", "xoxb-third")
    assert old.secrets.get("acme", "slack/bot").reveal() == "xoxb-third"
    old.database.engine.dispose()
