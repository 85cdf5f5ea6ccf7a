"""``keys`` and ``secrets`` on the command line: values come from standard input, and nothing shows many."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import create_engine
from typer.testing import CliRunner, Result

from wellstreak_trust.audit import AuditLog, Ed25519Signer
from wellstreak_trust.cli.__main__ import app
from wellstreak_trust.storage.sql import Database, SqlAuditStore

RUN = CliRunner()
VALUE = "xoxb-cli-value"
PASSPHRASE = "correct horse battery staple"


class Shell:
    """Commands over one database and one key file, named by settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(create_engine(f"sqlite:///{folder / 'app.db'}"))
        self.database.create_all()
        self.log = AuditLog(SqlAuditStore(self.database), signer=Ed25519Signer.generate(), origin="audit.test/log")

    def __call__(self, *arguments: str | Path, stdin: str | bytes | None = None, status: int = 0) -> Result:
        result = RUN.invoke(app, [str(each) for each in arguments], input=stdin)
        assert result.exit_code == status, result.output
        return result

    def close(self) -> None:
        self.database.engine.dispose()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    found = Shell(tmp_path)
    monkeypatch.setenv("WELLSTREAK_TRUST_DATABASE_URL", f"sqlite:///{tmp_path / 'app.db'}")
    monkeypatch.setenv("WELLSTREAK_TRUST_KEK_FILE", str(tmp_path / "kek.json"))
    monkeypatch.setenv("WELLSTREAK_TRUST_AUDIT_ORIGIN", "audit.test/log")
    found("keys", "generate", tmp_path / "kek.json")
    yield found
    found.close()


def test_one_secret_through_its_life(shell: Shell) -> None:
    assert "v1" in shell("secrets", "put", "t1", "slack/bot", "--label", "team=a", stdin=f"{VALUE}\n").output
    shell("secrets", "put", "t1", "slack/bot", "--expect", "0", stdin="other", status=2)
    for overlap in ("-1", "1" + "0" * 30):
        shell("secrets", "rotate", "t1", "slack/bot", "--overlap", overlap, stdin="never", status=2)
    shell("secrets", "rotate", "t1", "slack/bot", "--overlap", "60", stdin="second")
    shown = shell("secrets", "reveal", "t1", "slack/bot", "--yes")
    assert shown.stdout_bytes == b"second"
    assert VALUE not in shell("secrets", "reveal", "t1", "slack/bot", "--version", "1", stdin="n\n", status=1).output
    history = shell("secrets", "versions", "t1", "slack/bot").output
    assert [line[0] for line in history.splitlines()] == [" ", "*"]
    assert "until" in history
    shell("secrets", "revert", "t1", "slack/bot", "1")
    assert shell("secrets", "reveal", "t1", "slack/bot", "--yes").stdout_bytes == VALUE.encode()
    assert "disabled" in shell("secrets", "disable", "t1", "slack/bot").output
    shell("secrets", "reveal", "t1", "slack/bot", "--yes", status=2)
    shell("secrets", "enable", "t1", "slack/bot")
    shell("secrets", "destroy", "t1", "slack/bot", "--version", "1", "--confirm", "other", status=2)
    shell("secrets", "destroy", "t1", "slack/bot", "--version", "1", "--confirm", "slack/bot")
    listed = shell("secrets", "list", "t1").output
    assert listed.startswith("slack/bot v3 enabled text")
    assert "team=a" in listed
    assert "v3" in shell("secrets", "describe", "t1", "slack/bot").output
    shell("secrets", "describe", "t1", "other", status=2)
    raw = b"\xff\n"
    shell("secrets", "put", "t1", "raw", "--bytes", "--not-after", "2099-01-01T00:00:00", stdin=raw)
    assert shell("secrets", "reveal", "t1", "raw", "--yes").stdout_bytes == raw
    shell("secrets", "put", "t1", "raw", stdin=raw, status=2)
    shell("secrets", "put", "t1", "raw", "--label", "x", stdin="v", status=2)
    actors = {json.dumps(event["actor"]) for event in shell.log.events("t1", limit=1_000)}
    assert len(actors) == 1
    assert '"cli:' in actors.pop()


def test_no_command_takes_a_value_and_none_shows_many(shell: Shell) -> None:
    shell("secrets", "put", "t1", "a", stdin=VALUE)
    shell("secrets", "put", "t1", "a", VALUE, status=2)
    outputs = [
        shell("secrets", command, *arguments).output
        for command, *arguments in (
            *(("list", "t1"), ("describe", "t1", "a"), ("versions", "t1", "a"), ("verify",)),
            *(("reencrypt", "t1"), ("disable", "t1", "a")),
        )
    ]
    assert VALUE not in "".join(outputs)
    shell("secrets", "reveal", "t1", "a", "b", "--yes", status=2)


def test_long_work(shell: Shell, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shell("secrets", "put", "t1", name, stdin=VALUE)
    assert "2 secrets" in shell("secrets", "reencrypt", "t1", "--dry-run").output
    assert "key 2: 2 secrets" in shell("secrets", "reencrypt", "t1", "--retire").output
    new, kek = tmp_path / "new.json", tmp_path / "kek.json"
    shell("keys", "generate", new)
    chain = ("--kek", str(new), "--kek", str(kek))
    assert "would be" in shell("keys", "rewrap", "--dry-run", *chain).output
    assert "1 keys wrapped" in shell("keys", "rewrap", *chain).output
    assert "2 secrets, 2 versions" in shell("secrets", "verify", *chain).output
    shell("secrets", "list", "t1", status=2)  # the older key alone no longer helps
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection, connection:
        connection.execute("UPDATE wst_secret SET current = 7 WHERE name = 'b'")
    bad = shell("secrets", "verify", "--tenant", "t1", *chain, status=1)
    assert "failed: b" in bad.output
    assert "failed: b" in shell("secrets", "reencrypt", "t1", *chain, status=1).output


def test_shredding_prints_its_receipt(shell: Shell) -> None:
    shell("secrets", "put", "t1", "a", stdin=VALUE)
    shell("secrets", "shred", "t1", "--confirm", "t2", status=2)
    receipt = json.loads(shell("secrets", "shred", "t1", "--confirm", "t1").output)
    assert (receipt["tenant"], receipt["keys"], receipt["secrets"]) == ("t1", [1], 1)
    assert "still hold" in receipt["backups"]
    shell("secrets", "reveal", "t1", "a", "--yes", status=2)


def test_fernet_is_imported_from_files(shell: Shell, tmp_path: Path) -> None:
    key = Fernet.generate_key()
    (tmp_path / "key").write_bytes(key + b"\n")
    tokens = {"a": Fernet(key).encrypt(VALUE.encode()).decode(), "b": "junk"}
    (tmp_path / "tokens.json").write_text(json.dumps(tokens))
    arguments = ("secrets", "import-fernet", "t1", tmp_path / "tokens.json", "--key", tmp_path / "key")
    assert "1 imported, 0 there already, 1 failed" in shell(*arguments, "--dry-run", status=1).output
    assert "failed: b" in shell(*arguments, status=1).output
    assert shell("secrets", "reveal", "t1", "a", "--yes").stdout_bytes == VALUE.encode()
    (tmp_path / "tokens.json").write_text("[]")
    shell(*arguments, status=2)
    (tmp_path / "tokens.json").write_text("{")
    shell(*arguments, status=2)


def test_doctor_finds_a_database_that_went_back(shell: Shell, tmp_path: Path) -> None:
    shell("secrets", "put", "t1", "a", stdin="one")
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        rows = connection.execute("SELECT * FROM wst_secret").fetchall()
        versions = connection.execute("SELECT * FROM wst_secret_version").fetchall()
    shell("secrets", "rotate", "t1", "a", stdin="two")
    trail = tmp_path / "trail"
    shell.log.export("t1", trail)
    command = ("secrets", "doctor", "--against-audit", trail, "--key", shell.log.vkey("t1"))
    assert "1 secrets" in shell(*command).output
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection, connection:
        for table, kept in (("wst_secret", rows), ("wst_secret_version", versions)):
            connection.execute(f"DELETE FROM {table}")
            connection.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(kept[0]))})", kept[0])
    assert shell("secrets", "reveal", "t1", "a", "--yes").stdout_bytes == b"one"
    found = shell(*command, status=1)
    assert "rolled_back: a of t1, 1 stored, 2 recorded" in found.output
    entries = next((trail / "tile" / "entries").glob("**/*.p/*"))
    entries.write_bytes(entries.read_bytes().replace(b'"revision":2', b'"revision":1'))
    shell(*command, status=2)


def test_keys_of_every_kind(shell: Shell, tmp_path: Path) -> None:
    locked, private, public = (tmp_path / f"{name}.json" for name in ("locked", "private", "public"))
    shell("keys", "generate", locked, "--passphrase", stdin=f"{PASSPHRASE}\n")
    shell("keys", "generate", private, "--public", public)
    shell("keys", "generate", private, "--public", tmp_path / "other.json", status=2)
    ready = shell("keys", "status", "--kek", locked, "--kek", private, stdin=f"{PASSPHRASE}\n").output
    assert [line.split()[0] for line in ready.splitlines()] == ["ready", "ready"]
    assert "opens" in ready
    assert "seals only" in shell("keys", "status", "--kek", public).output
    shell("keys", "status", "--kek", locked, stdin="another passphrase\n", status=2)
    moved = tmp_path / "moved.json"
    shell("keys", "change-passphrase", locked, moved, stdin=f"{PASSPHRASE}\nanother passphrase\n")
    shell("keys", "status", "--kek", moved, stdin="another passphrase\n")
    assert "ready" in shell("keys", "status").output
    shell("keys", "status", "--kek", tmp_path / "missing.json", status=2)


def test_without_a_key_or_a_database_nothing_starts(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("nonsense", "sqlite+aiosqlite:///x.db"):
        shell("secrets", "list", "t1", "--database", url, status=2)
    monkeypatch.delenv("WELLSTREAK_TRUST_KEK_FILE")
    assert "--kek" in shell("secrets", "list", "t1", status=2).output
