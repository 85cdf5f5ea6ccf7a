"""``audit`` on the command line: what is shown, what is recorded, and with which status it ends."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import create_engine
from typer.testing import CliRunner, Result

from wellstreak_trust import Principal, Secret
from wellstreak_trust.audit import AuditEvent, AuditLog, Ed25519Signer, Personal, verify
from wellstreak_trust.cli.__main__ import app
from wellstreak_trust.storage.sql import Database, SqlAuditStore

RUN = CliRunner()
ADA = Principal("user_ada", tenant_id="acme")
ORIGIN = "audit.test/log"


class Shell:
    """Commands over one database that settings name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(create_engine(f"sqlite:///{folder / 'app.db'}"))
        self.database.create_all()
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "audit.pem").write_bytes(pem)
        (folder / "personal.key").write_bytes(bytes(range(32)))
        self.log = AuditLog(
            SqlAuditStore(self.database),
            Ed25519Signer.from_pem(pem),
            ORIGIN,
            personal_key=Secret(bytes(range(32))),
        )

    def __call__(self, *arguments: str | Path, stdin: str | None = None, status: int = 0) -> Result:
        result = RUN.invoke(app, ["audit", *map(str, arguments)], input=stdin)
        assert result.exit_code == status, result.output
        return result

    def emit(self, action: str = "plan.changed", **fields: Any) -> None:
        fields = {"outcome": "success", "tenant_id": "acme", "actor": ADA} | fields
        self.log.emit(AuditEvent(action, **fields))

    def told(self) -> list[tuple[str, str]]:
        return [
            (event["action"], event["actor"]["id"].partition(":")[0]) for event in self.log.events("acme", limit=50)
        ]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    found = Shell(tmp_path)
    monkeypatch.setenv("WELLSTREAK_TRUST_DATABASE_URL", f"sqlite:///{tmp_path / 'app.db'}")
    monkeypatch.setenv("WELLSTREAK_TRUST_AUDIT_ORIGIN", ORIGIN)
    monkeypatch.setenv("WELLSTREAK_TRUST_AUDIT_KEY_FILE", str(tmp_path / "audit.pem"))
    monkeypatch.setenv("WELLSTREAK_TRUST_AUDIT_PERSONAL_KEY_FILE", str(tmp_path / "personal.key"))
    yield found
    found.database.engine.dispose()


def test_tail_shows_the_newest_oldest_first_and_is_recorded(shell: Shell) -> None:
    for number in range(3):
        shell.emit(targets=(f"sub_{number}",), reason="asked")
    lines = shell("tail", "acme", "--limit", "2", "--reason", "case 9").output.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2"]
    assert lines[1].endswith("success   plan.changed user_ada sub_2 (asked)")
    assert shell.told()[0] == ("audit.read", "cli")
    assert shell.log.events("acme", limit=1)[0]["reason"] == "case 9"


def test_query_finds_pages_and_prints_json(shell: Shell) -> None:
    for number in range(5):
        shell.emit(data={"n": number})
    found = shell("query", "acme", "data.n:>=3", "--json").stdout.splitlines()
    assert [json.loads(line)["data"]["n"] for line in found] == [4, 3]
    part = shell("query", "acme", "action:plan.changed", "--limit", "2", "--json")
    assert len(part.stdout.splitlines()) == 2
    assert "more: --before 3" in part.stderr
    rest = shell("query", "acme", "action:plan.changed", "--before", "3", "--json")
    assert [json.loads(line)["seq"] for line in rest.stdout.splitlines()] == [2, 1, 0]


def test_a_mistake_is_pointed_at(shell: Shell) -> None:
    told = shell("query", "acme", "actor:u1 oops", status=2).stderr.splitlines()
    assert told[:2] == ["actor:u1 oops", "         ^"]
    assert "audit_query_invalid: a word without a key" in told[2]


def test_names_in_the_trail_do_not_steer_the_terminal(shell: Shell) -> None:
    shell.emit(targets=("\x1b[2J[red]x[/red]\n99 fake",), reason="\N{RIGHT-TO-LEFT OVERRIDE}gnp")
    for arguments in (("tail", "acme"), ("query", "acme", "seq:0")):
        shown = shell(*arguments).output
        assert "\x1b" not in shown
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in shown
        assert "[red]" in shown
        assert not [line for line in shown.splitlines() if line.startswith("99")]
    assert shell("tail", "acme", "--json").stdout.isascii()


def test_personal_values_are_shown_to_who_says_why(shell: Shell) -> None:
    shell.emit(data={"email": Personal("ada@example.com", subject="ada")})
    assert "ada@example.com" not in shell("query", "acme", "seq:0", "--json").output
    assert "audit.disclosed needs a reason" in shell("query", "acme", "seq:0", "--disclose", status=2).output
    shown = shell("query", "acme", "seq:0", "--disclose", "--reason", "ticket 4", "--json").stdout
    assert json.loads(shown)["data"]["email"] == "ada@example.com"
    assert ("audit.disclosed", "cli") in shell.told()


def test_erase_takes_the_person_from_standard_input(shell: Shell) -> None:
    shell.emit(data={"email": Personal("ada@example.com", subject="ada")})
    shell("hold", "acme", "--reason", "case 5")
    refused = shell("erase", "acme", "--reason", "asked", "--yes", stdin="ada\n", status=1)
    assert "legal_hold" in refused.output
    assert "was held already" in shell("hold", "acme", "--reason", "case 5").output
    shell("release", "acme", "--reason", "settled")
    assert "was not held" in shell("release", "acme", "--reason", "settled").output
    assert shell("erase", "acme", "--reason", "asked", stdin="n\n", status=1).exception
    receipt = json.loads(shell("erase", "acme", "--reason", "asked", "--yes", stdin="ada\n").stdout)
    assert receipt["fields_erased"] == 1
    assert "ada" not in receipt["subject"]
    shell("hold", "acme", "--reason", "r", "--subject", "grace")
    shell("erase", "acme", "--reason", "asked", "--yes", "--subject", "grace", status=1)
    shell("erase", "acme", "--reason", "asked", "--yes", stdin="\n", status=2)


def test_report_is_a_page_or_figures(shell: Shell) -> None:
    shell.emit()
    pinned, key = shell.folder / "pinned", shell.log.vkey("acme")
    pinned.write_text(shell.log.checkpoint("acme"))
    page = shell.folder / "report.html"
    out = shell("report", "acme", "--html", page, "--key", key, "--pinned", pinned, "--title", "Acme").output
    assert "1 events, anchored" not in out  # its own read is an event too
    assert "events, anchored" in out
    assert "<h1>Acme</h1>" in page.read_text()
    figures = json.loads(shell("report", "acme", "--since", "2020-01-01").stdout)
    assert (figures["level"], figures["failed"]) == ("internal", [])
    assert figures["events"] == 3


def test_a_tampered_trail_is_status_1(shell: Shell) -> None:
    shell.emit()
    shell.emit()
    shell.database.engine.dispose()
    with closing(sqlite3.connect(shell.folder / "app.db")) as connection:
        connection.execute("UPDATE wst_audit_leaf SET leaf = replace(leaf, 'user_ada', 'user_eve') WHERE seq = 1")
        connection.commit()
    shell("tail", "acme", status=1)
    shell("query", "acme", "", status=1)
    shell("report", "acme", status=1)
    shell("export", "acme", shell.folder / "out.csv", "--format", "csv", status=1)
    assert not (shell.folder / "out.csv").exists()
    assert not list(shell.folder.glob(".*part"))


@pytest.mark.parametrize("form", ["jsonl", "csv", "ocsf", "cloudevents", "cef", "syslog"])
def test_export_in_the_formats_of_others(shell: Shell, form: str) -> None:
    shell.emit(data={"n": 1})
    shell.emit(data={"n": 2})
    out = shell.folder / f"out.{form}"
    shell("export", "acme", out, "--format", form, "--query", "data.n:2", "--reason", "siem")
    lines = out.read_text().splitlines()
    assert len(lines) == 1 + (form == "csv")
    if form == "csv":
        assert next(csv.DictReader(lines))["seq"] == "1"
    shell("export", "acme", out, "--format", form, status=2)
    assert shell.told()[0] == ("audit.exported", "cli")


def test_export_of_trees_verifies(shell: Shell) -> None:
    shell.emit()
    shell("export", "acme", shell.folder / "tiles")
    shell("export", "acme", shell.folder / "parcel.zip", "--format", "bundle")
    report = verify(shell.folder / "tiles", keys=[shell.log.vkey("acme")])
    assert (report.failed, report.level) == ((), "signed")
    assert (shell.folder / "parcel.zip").stat().st_size > 1_000
    shell("export", "acme", shell.folder / "other", "--query", "seq:0", status=2)
    shell("export", "acme", shell.folder / "none" / "x.csv", "--format", "csv", status=2)


def test_prune_keeps_an_archive(shell: Shell) -> None:
    shell.log.emit_many([AuditEvent("plan.changed", "success", "acme", ADA) for _ in range(300)])
    out = shell("prune", "acme", shell.folder / "archive", "--before", "2999-01-01", "--reason", "retention").output
    assert "256 events pruned; the first is now 256" in out.replace("\n", " ")
    assert verify(shell.folder / "archive", keys=[shell.log.vkey("acme")]).size == 301
    shell("hold", "acme", "--reason", "case 5")
    shell("prune", "acme", shell.folder / "archive", "--before", "2999-01-01", "--reason", "r", status=1)


def test_inventory_is_made_of_the_registry(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = shell("inventory").stdout
    assert "| `secret.read` | A secret was read | critical | refuse the action |" in listed
    (shell.folder / "host_actions.py").write_text(
        "from wellstreak_trust.audit import ActionRegistry, ActionSpec\n"
        "ACTIONS = ActionRegistry([ActionSpec('plan.changed', 'sampled', 'a | b')], strict=False)\n"
    )
    monkeypatch.chdir(shell.folder)
    own = json.loads(shell("inventory", "--registry", "host_actions:ACTIONS", "--format", "json").stdout)
    assert own["strict"] is False
    assert [a["criticality"] for a in own["actions"] if a["name"] == "plan.changed"] == ["sampled"]
    reviewed = shell.folder / "reviewed.md"
    reviewed.write_text(shell("inventory", "--registry", "host_actions:ACTIONS").stdout)
    assert "a \\| b" in reviewed.read_text()
    shell("inventory", "--registry", "host_actions:ACTIONS", "--check", reviewed)
    shell("inventory", "--check", reviewed, status=1)
    shell("inventory", "--registry", "host_actions:NONE", status=2)


@pytest.mark.parametrize(
    "arguments",
    [("tail", "acme"), ("query", "acme", ""), ("report", "acme"), ("export", "acme", "x", "--format", "csv")],
)
def test_a_database_that_cannot_be_opened_is_status_2(
    shell: Shell, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shell.folder)
    told = shell(*arguments, "--database", f"sqlite:///{shell.folder}/none/x.db", status=2).output
    assert "the database cannot be opened" in told


def test_a_short_personal_key_is_refused(shell: Shell) -> None:
    (shell.folder / "personal.key").write_bytes(b"short")
    assert "fewer than 32 bytes" in shell("tail", "acme", status=2).output


def test_tail_follows(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.emit(targets=("first",))
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt
        if len(pauses) == 2:
            shell.emit(targets=("second",))

    monkeypatch.setattr("wellstreak_trust.cli.audit_trail.sleep", pause)
    result = RUN.invoke(app, ["audit", "tail", "acme", "--follow"])
    shown = [line.split()[-1] for line in result.output.splitlines() if "plan.changed" in line]
    assert shown == ["first", "second"]
    assert result.exit_code == 130


def test_detect_tells_what_is_worth_a_look(shell: Shell) -> None:
    for tenant in ("acme", "globex"):
        for _ in range(3):
            shell.emit(
                "access.denied",
                outcome="denied",
                tenant_id=tenant,
                actor=Principal("eve" if tenant == "acme" else "mallory"),
                decision={"allowed": False, "code": "tenant_mismatch"},
            )
    told = shell("detect", "acme", status=1).output
    assert "high   wst.cross_tenant_denials eve: 3 denials" in told
    assert "mallory" not in told
    (finding,) = map(
        json.loads, shell("detect", "acme", "--json", "--since", "2020-01-01", status=1).output.splitlines()
    )
    assert (finding["subject"], finding["seqs"]) == ("eve", [0, 1, 2])
    assert shell("detect", "acme", "--since", "2999-01-01").output == ""
    assert shell("detect", "acme", "--rule", "wst.audit_gap").output == ""
    shell("detect", "acme", "--rule", "wst.nothing", status=2)
    assert ("audit.read", "cli") in shell.told()
    for _ in range(2):
        assert "eve" in shell("detect", "acme", "--record", status=1).output
    assert [action for action, _ in shell.told()].count("anomaly.found") == 1


def test_a_key_is_made_for_its_owner_alone_and_its_public_half_verifies(tmp_path, monkeypatch):
    monkeypatch.setenv("WELLSTREAK_TRUST_AUDIT_ORIGIN", ORIGIN)
    path = tmp_path / "new.pem"
    assert RUN.invoke(app, ["audit", "new-key", str(path)]).exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    assert RUN.invoke(app, ["audit", "new-key", str(path)]).exit_code == 2, "a key that stands is never touched"
    assert path.read_bytes() == before
    database = Database(create_engine(f"sqlite:///{tmp_path / 'app.db'}"))
    database.create_all()
    log = AuditLog(SqlAuditStore(database), Ed25519Signer.from_pem(before), ORIGIN)
    assert RUN.invoke(app, ["audit", "vkey"]).exit_code == 2, "no key is named"
    monkeypatch.setenv("WELLSTREAK_TRUST_AUDIT_KEY_FILE", str(path))
    assert RUN.invoke(app, ["audit", "vkey", "acme"]).output.strip() == log.vkey("acme")
    assert RUN.invoke(app, ["audit", "vkey"]).output.strip() == log.vkey()
    own = RUN.invoke(app, ["audit", "vkey", "--key-file", str(path), "--origin", "other.test/log"])
    assert own.output.startswith("other.test/log+")
    assert RUN.invoke(app, ["audit", "new-key", str(tmp_path / "p"), "--personal"]).exit_code == 0
    assert len((tmp_path / "p").read_bytes()) >= 32
    (tmp_path / "none").write_text("no key")
    assert RUN.invoke(app, ["audit", "vkey", "--key-file", str(tmp_path / "none")]).exit_code == 2
    assert RUN.invoke(app, ["audit", "vkey", "--key-file", str(tmp_path / "absent")]).exit_code == 2
