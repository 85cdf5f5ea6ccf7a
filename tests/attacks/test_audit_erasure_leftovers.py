"""Toy 17: erasure that edits what is hashed, or leaves salt, key or value where somebody finds them again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from audit_trails import SIGNER
from wellstreak_trust import Secret
from wellstreak_trust.audit import AuditEvent, AuditLog, DirectoryAuditStore, Personal, verify
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import Database, SqlAuditStore

EMAIL = "ada.lovelace@example.com"
OFFICER = {"id": "user_officer"}


def fill(log: AuditLog) -> None:
    for number in range(20):
        data = {"email": Personal(EMAIL, subject="ada"), "n": number}
        log.emit(AuditEvent("member.invited", "success", "t1", {"id": "user_1"}, data=data))


def everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_nothing_that_could_open_a_value_is_left_in_the_files(tmp_path: Path) -> None:
    """Free pages and the write-ahead log are read as bytes, as whoever steals the disk does."""
    engine = create_engine(f"sqlite:///{tmp_path / 'trail.db'}")
    Database(engine).create_all()
    log = AuditLog(SqlAuditStore(Database(engine)), SIGNER, "wellstreak.test/audit")
    fill(log)
    with closing(sqlite3.connect(tmp_path / "trail.db")) as connection:
        keys = connection.execute("SELECT key FROM wst_audit_subject WHERE subject <> ''").fetchall()
        sealed = connection.execute("SELECT sealed FROM wst_audit_disclosure").fetchall()
    assert (len(keys), len(sealed)) == (1, 20)
    assert keys[0][0] in everything_below(tmp_path)
    log.erase("ada", tenant_id="t1", reason="asked", actor=OFFICER)
    left = everything_below(tmp_path)
    assert not [row for row in (*keys, *sealed) if row[0] in left]
    assert EMAIL.encode() not in left
    engine.dispose()


def test_nothing_is_left_in_a_directory_either(tmp_path: Path) -> None:
    log = AuditLog(DirectoryAuditStore(tmp_path / "trail"), SIGNER, "wellstreak.test/audit")
    fill(log)
    folder = tmp_path / "trail" / "subjects"
    secrets = [path.read_bytes() for path in folder.rglob("*") if path.suffix in (".key", ".sealed") and path.stem]
    assert len(secrets) == 2
    log.erase("ada", tenant_id="t1", reason="asked", actor=OFFICER)
    left = everything_below(tmp_path)
    assert not [octets for octets in secrets if octets in left]
    assert EMAIL.encode() not in left


def test_the_value_never_touched_the_disk_in_clear(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'trail.db'}")
    Database(engine).create_all()
    fill(AuditLog(SqlAuditStore(Database(engine))))
    assert EMAIL.encode() not in everything_below(tmp_path)
    engine.dispose()


def test_what_was_hashed_is_not_touched_and_no_alarm_is_raised(tmp_path: Path) -> None:
    log = AuditLog(DirectoryAuditStore(tmp_path / "trail"), SIGNER, "wellstreak.test/audit")
    fill(log)
    pinned, before = log.checkpoint("t1"), [log.entry("t1", seq) for seq in range(20)]
    log.erase("ada", tenant_id="t1", reason="asked", actor=OFFICER)
    assert [log.entry("t1", seq) for seq in range(20)] == before
    report = verify(log.store, tenant_id="t1", pinned=pinned, keys=[log.vkey("t1")])
    assert (report.failed, report.erased_count, report.level) == ((), 20, "anchored")


def test_an_event_on_its_way_while_its_person_is_erased_cannot_be_opened(tmp_path: Path) -> None:
    """Its key was read before the erasure and its value is stored after it: sealed under a key that is gone."""
    engine = create_engine(f"sqlite:///{tmp_path / 'trail.db'}")
    Database(engine).create_all()
    log = AuditLog(SqlAuditStore(Database(engine)), SIGNER, "wellstreak.test/audit")
    late = AuditEvent("a.b", "success", "t1", {"id": "u"}, data={"email": Personal(EMAIL, subject="ada")})
    draft = drive(log.people.draft(late))
    log.erase("ada", tenant_id="t1", reason="asked", actor=OFFICER)
    drive(log.store.append_batch([draft], now=log.clock.now, deadline=timedelta(seconds=2)))
    log.emit(AuditEvent("a.b", "success", "t1", {"id": "u"}, data={"email": Personal("new", subject="ada")}))
    fresh, orphan = log.query("action:a.b", tenant_id="t1", disclose=True, actor=OFFICER, reason="r")
    assert fresh["data"]["email"] == "new"
    assert set(orphan["data"]["email"]) == {"_sd"}
    engine.dispose()


@pytest.mark.parametrize("with_key", [False, True])
def test_a_backup_from_before_holds_what_it_holds(tmp_path: Path, with_key: bool) -> None:
    """The limit, stated as a test: a copy from before the erasure opens, unless the host kept its own key elsewhere."""
    engine = create_engine(f"sqlite:///{tmp_path / 'trail.db'}")
    Database(engine).create_all()
    key = Secret(b"k" * 32) if with_key else None
    log = AuditLog(SqlAuditStore(Database(engine)), personal_key=key)
    fill(log)
    with (
        closing(sqlite3.connect(tmp_path / "trail.db")) as live,
        closing(sqlite3.connect(tmp_path / "copy.db")) as copy,
    ):
        live.backup(copy)
    log.erase("ada", tenant_id="t1", reason="asked", actor=OFFICER)
    stolen = create_engine(f"sqlite:///{tmp_path / 'copy.db'}")
    thief = AuditLog(SqlAuditStore(Database(stolen)))
    found = thief.events("t1", limit=1, disclose=True, actor={"id": "thief"}, reason="r")[0]["data"]["email"]
    assert (found == EMAIL) is not with_key
    engine.dispose()
    stolen.dispose()
