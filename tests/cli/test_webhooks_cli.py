"""``wellstreak-trust webhooks``: the cause by name, and no secret anywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from wellstreak_trust.cli.__main__ import app
from wellstreak_trust.testing import signer
from wellstreak_trust.webhooks import schemes

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRET = "whsec_" + "5f" * 24


def run(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, ["webhooks", *words], env=env)


def test_schemes_are_listed() -> None:
    assert run("schemes").stdout.split() == schemes()


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    sent = signer("stripe", SECRET).sign(b'{"id":"evt_1"}', at=NOW)
    lines = ["POST /in/x HTTP/1.1", *(f"{name}: {value}" for name, value in sent.headers.items()), ""]
    (tmp_path / "headers").write_text("\r\n".join(lines))
    (tmp_path / "body").write_bytes(sent.body)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    return tmp_path


def explain(folder: Path, *more: str, provider: str = "stripe", now: str = "2026-11-24T12:00:10") -> Result:
    files = [f"--headers={folder / 'headers'}", f"--body={folder / 'body'}", f"--secret-file={folder / 'secret'}"]
    return run("explain", provider, *files, f"--now={now}", *more)


def test_a_good_delivery(recorded: Path) -> None:
    found = explain(recorded)
    assert (found.exit_code, found.stdout.split()[0]) == (0, "ok")


def test_causes_are_named_without_the_secret(recorded: Path) -> None:
    late = explain(recorded, now="2026-11-24T13:00:00")
    (recorded / "body").write_bytes(b'{"id": "evt_1"}')
    rewritten = explain(recorded)
    (recorded / "secret").write_text("another secret of some length")
    wrong = explain(recorded)
    (recorded / "secret").write_text(f" {SECRET}")
    spaced = explain(recorded)
    causes = [found.stdout.split()[0] for found in (late, rewritten, wrong, spaced)]
    assert causes == ["stale", "body_reserialised", "wrong_secret", "wrong_secret_codec"]
    for found in (late, rewritten, wrong, spaced):
        assert found.exit_code == 1
        assert SECRET not in found.output
        assert "another secret" not in found.output


def test_the_secret_may_come_by_the_environment(recorded: Path) -> None:
    words = ["explain", "stripe", f"--headers={recorded / 'headers'}", f"--body={recorded / 'body'}"]
    at = "--now=2026-11-24T12:00:10"
    assert run(*words, at, env={"WELLSTREAK_WEBHOOK_SECRET": SECRET}).exit_code == 0
    assert run(*words, at).exit_code == 2


def test_could_not_look(recorded: Path) -> None:
    assert explain(recorded, provider="strype").exit_code == 2
    assert "stripe" in explain(recorded, provider="strype").output
    (recorded / "secret").write_bytes(b"\xff")
    assert explain(recorded).exit_code == 2
    (recorded / "secret").unlink()
    assert explain(recorded).exit_code == 2


def test_a_hostile_recording_does_not_steer_the_terminal(recorded: Path) -> None:
    (recorded / "headers").write_bytes(b"Stripe-Signature: t=\x1b[2J,v1=\xff\n")
    found = explain(recorded)
    assert found.exit_code == 1
    assert "\x1b" not in found.output
