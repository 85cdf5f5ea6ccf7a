"""Who reads database, trail, logs or answers looks for holes that are still open, and for those who found them."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from wellstreak_trust import Principal
from wellstreak_trust.audit import AuditLog
from wellstreak_trust.core import ConfigurationError, FixedClock
from wellstreak_trust.core.errors import DisclosureRejected, TrustError
from wellstreak_trust.disclosure import DisclosureIntake
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, SecretStore
from wellstreak_trust.storage.sql import Database, SqlAuditStore, SqlReportStore, SqlSecretBackend

NOW = datetime(2026, 11, 27, tzinfo=UTC)
WORD = "xyzzy-sentinel"
REPORT: dict[str, Any] = {
    "title": f"{WORD} title",
    "affected": [f"{WORD} route"],
    "steps": f"{WORD}: first this, then that, and the door is open.",
    "impact": "platform",
    "weakness": "CWE-639",
    "contact": f"{WORD}@example.org",
    "requests": [f"GET /{WORD} HTTP/1.1"],
    "attachments": [{"name": f"{WORD}.py", "sha256": "0" * 64, "size": 1}],
}


@pytest.fixture
def desk(tmp_path: Path) -> tuple[DisclosureIntake, AuditLog]:
    """Everything in one SQLite file, which the thief takes along."""
    database = Database(create_engine(f"sqlite:///{tmp_path / 'all.db'}"))
    database.create_all()
    clock = FixedClock(NOW)
    (keys := tmp_path / "elsewhere").mkdir()
    chain = KeyChain([LocalKeyProvider.generate(keys / "kek.json")])
    log = AuditLog(SqlAuditStore(database), clock=clock)
    secrets = SecretStore(SqlSecretBackend(database), chain, clock=clock)
    return DisclosureIntake(SqlReportStore(database), audit=log, secrets=secrets, clock=clock), log


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())


def test_a_stolen_database_says_nothing(desk: tuple[DisclosureIntake, AuditLog], tmp_path: Path) -> None:
    intake, log = desk
    ticket = intake.submit(REPORT)
    intake.add_note(ticket.id, f"{WORD} in a note of ours")
    for state in ("triaged", "accepted"):
        intake.advance(ticket.id, state, actor=Principal("ada"), reason="looked at")
    stolen = files(tmp_path)
    assert len(stolen) > 10_000
    assert WORD.encode() not in stolen
    assert WORD not in json.dumps(log.events("system"))
    assert intake.notes(ticket.id) == (f"{WORD} in a note of ours",)
    assert WORD not in f"{ticket!r} {intake.get(ticket.id)!r} {intake.list()!r}"


def test_a_note_of_a_sealed_report_is_never_left_in_clear(
    desk: tuple[DisclosureIntake, AuditLog], tmp_path: Path
) -> None:
    """A desk that was put together without the secret store would write what the other one sealed."""
    ticket = desk[0].submit(REPORT)
    engine = create_engine(f"sqlite:///{tmp_path / 'all.db'}")
    careless = DisclosureIntake(SqlReportStore(Database(engine)), clock=FixedClock(NOW))
    for call in (lambda: careless.add_note(ticket.id, WORD), lambda: careless.read(ticket.id)):
        with pytest.raises(ConfigurationError):
            call()
    desk[0].add_note(ticket.id, "sealed:0123456789abcdef")
    assert desk[0].notes(ticket.id) == ("sealed:0123456789abcdef",)
    with pytest.raises(ConfigurationError):
        careless.notes(ticket.id)
    engine.dispose()
    assert WORD.encode() not in files(tmp_path)


def test_the_reporters_key_is_not_in_the_table(desk: tuple[DisclosureIntake, AuditLog]) -> None:
    """The id opens the state of a report to its reporter: the row holds a digest, and the digest opens nothing."""
    intake, _ = desk
    ticket = intake.submit(REPORT)
    (listed,) = intake.list()
    assert listed.id != ticket.id
    with pytest.raises(TrustError):
        intake.get(listed.id[::-1])


@pytest.mark.parametrize("field", sorted(REPORT))
def test_a_refusal_repeats_nothing(
    desk: tuple[DisclosureIntake, AuditLog], caplog: pytest.LogCaptureFixture, field: str
) -> None:
    """A validation error that shows its input is how most reports would end up in a log."""
    bad = {**REPORT, field: {WORD: [WORD]}, WORD: WORD}
    with caplog.at_level(logging.DEBUG), pytest.raises(DisclosureRejected) as refused:
        desk[0].submit(bad)
    error = refused.value
    shown = f"{error!r} {error} {error.detail} {error.hint} {error.problem()} {caplog.text}"
    shown += "".join(traceback.format_exception(error))
    assert WORD not in shown
