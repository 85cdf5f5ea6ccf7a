"""Who can write the data changes it: the database file behind the application's back, or an export on its way."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from audit_trails import Held
from wellstreak_trust.audit import AuditEvent, AuditLog, Ed25519Signer, MemoryAuditStore, verify
from wellstreak_trust.audit.event import content_digest
from wellstreak_trust.audit.tree import Frontier, leaf_hash
from wellstreak_trust.core import FixedClock
from wellstreak_trust.storage.sql import Database, SqlAuditStore

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
COUNT = 6


def events(count: int) -> list[AuditEvent]:
    who = {"id": "user_1"}
    return [
        AuditEvent("plan.changed", "success", "t1", who, data={"n": n}, occurred_at=NOW, id=f"e{n}")
        for n in range(count)
    ]


# --- the database file -----------------------------------------------------------------------------------------------


def opened(path: Path) -> tuple[AuditLog, Engine]:
    engine = create_engine(f"sqlite:///{path}")
    return AuditLog(SqlAuditStore(Database(engine)), SIGNER, "wellstreak.test/audit", clock=FixedClock(NOW)), engine


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with six events, copied for each attack."""
    path = tmp_path_factory.mktemp("audit") / "template.db"
    log, engine = opened(path)
    Database(engine).create_all()
    log.emit_many(events(COUNT))
    engine.dispose()
    return path


@pytest.fixture
def database(template: Path, sqlite_path: Path) -> Iterator[AuditLog]:
    shutil.copy(template, sqlite_path)
    log, engine = opened(sqlite_path)
    yield log
    engine.dispose()


def tamper(path: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        change(connection)
        connection.commit()


NAMED: dict[str, tuple[str, int | None]] = {
    "leaf edited": ("UPDATE wst_audit_leaf SET leaf = CAST(replace(leaf, 'plan', 'flan') AS BLOB) WHERE seq = 3", 3),
    "leaf edited as text": ("UPDATE wst_audit_leaf SET leaf = replace(leaf, 'plan', 'flan') WHERE seq = 3", 3),
    "leaf is a number": ("UPDATE wst_audit_leaf SET leaf = 7 WHERE seq = 3", 3),
    "leaf emptied": ("UPDATE wst_audit_leaf SET leaf = X'' WHERE seq = 3", 3),
    "leaf hash edited": ("UPDATE wst_audit_leaf SET leaf_hash = X'00' WHERE seq = 2", 2),
    "leaf hash is a number": ("UPDATE wst_audit_leaf SET leaf_hash = 1 WHERE seq = 2", 2),
    "actor column": ("UPDATE wst_audit_leaf SET actor = 'user_2' WHERE seq = 1", 1),
    "action column": ("UPDATE wst_audit_leaf SET action = 'session.opened' WHERE seq = 1", 1),
    "outcome column": ("UPDATE wst_audit_leaf SET outcome = 'failure' WHERE seq = 5", 5),
    "time column": ("UPDATE wst_audit_leaf SET occurred_at = occurred_at + 1 WHERE seq = 0", 0),
    "time column is text": ("UPDATE wst_audit_leaf SET occurred_at = 'soon' WHERE seq = 4", 4),
    "time column beyond all years": ("UPDATE wst_audit_leaf SET occurred_at = 9000000000000000000 WHERE seq = 4", 4),
    "id column": ("UPDATE wst_audit_leaf SET id = 'other' WHERE seq = 2", 2),
    "column that is no UTF-8": ("UPDATE wst_audit_leaf SET action = CAST(X'ff' AS TEXT) WHERE seq = 2", 2),
    "row moved to a tenant": ("UPDATE wst_audit_leaf SET tenant_id = 't2' WHERE seq = 3", 3),
    "row deleted": ("DELETE FROM wst_audit_leaf WHERE seq = 2", 2),
    "first row deleted": ("DELETE FROM wst_audit_leaf WHERE seq = 0", 0),
    "tail deleted": ("DELETE FROM wst_audit_leaf WHERE seq >= 4", 4),
    "tail deleted, head lowered": ("UPDATE wst_audit_head SET size = 4", 4),
    "all rows deleted": ("DELETE FROM wst_audit_leaf", 0),
    "head deleted": ("DELETE FROM wst_audit_head", 0),
    "head root": ("UPDATE wst_audit_head SET root = zeroblob(32)", None),
    "head root is a number": ("UPDATE wst_audit_head SET root = 5", None),
    "head edge": ("UPDATE wst_audit_head SET edge = zeroblob(64)", None),
    "head size is text": ("UPDATE wst_audit_head SET size = 'many'", None),
    "head size is negative": ("UPDATE wst_audit_head SET size = -6", None),
    "head size is huge": ("UPDATE wst_audit_head SET size = 9000000000000000000", 6),
    "all of nine quintillion pruned": (
        "UPDATE wst_audit_head SET size = 9000000000000000000, first_seq = 9000000000000000000",
        0,
    ),
    "more pruned than there is": ("UPDATE wst_audit_head SET first_seq = 7", None),
    "pruned is text": ("UPDATE wst_audit_head SET first_seq = 'all'", None),
    "head root is no UTF-8": ("UPDATE wst_audit_head SET root = CAST(X'ff' AS TEXT)", None),
    "leaf hash is no UTF-8": ("UPDATE wst_audit_leaf SET leaf_hash = CAST(X'ff' AS TEXT) WHERE seq = 3", 3),
    "table dropped": ("DROP TABLE wst_audit_leaf", None),
    "rows swapped": ("UPDATE wst_audit_leaf SET seq = CASE seq WHEN 1 THEN -2 WHEN 2 THEN -1 ELSE seq END", 1),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_changed_database_is_told_and_the_place_is_named(name: str, database: AuditLog, sqlite_path: Path) -> None:
    statement, first_bad = NAMED[name]
    tamper(sqlite_path, lambda connection: connection.execute(statement))
    if name == "rows swapped":
        tamper(sqlite_path, lambda connection: connection.execute("UPDATE wst_audit_leaf SET seq = -seq WHERE seq < 0"))
    report = verify(database.store, tenant_id="t1")
    assert report.integrity == "failed"
    assert report.reason
    if first_bad is not None:
        assert report.first_bad_seq == first_bad


@pytest.mark.parametrize(
    "note",
    [
        "'garbage'",
        "7",
        "CAST(X'ff' AS TEXT)",
        "replace(note, char(10) || '6' || char(10), char(10) || '5' || char(10))",
    ],
)
def test_a_changed_signed_row_fails_the_signature(note: str, database: AuditLog, sqlite_path: Path) -> None:
    database.checkpoint("t1")
    tamper(sqlite_path, lambda connection: connection.execute(f"UPDATE wst_audit_signed SET note = {note}"))
    report = verify(database.store, tenant_id="t1", keys=[database.vkey("t1")])
    assert (report.integrity, report.signature, report.level) == ("verified", "failed", "internal")


def rewrite(connection: sqlite3.Connection, seq: int, *, everything: bool) -> None:
    """An attacker who knows the format: changes a leaf and, if asked, every hash above it."""
    (leaf,) = connection.execute("SELECT leaf FROM wst_audit_leaf WHERE seq = ?", (seq,)).fetchone()
    forged = leaf.replace(b"user_1", b"user_9")
    connection.execute(
        "UPDATE wst_audit_leaf SET leaf = ?, leaf_hash = ?, actor = 'user_9' WHERE seq = ?",
        (forged, leaf_hash(forged), seq),
    )
    if everything:
        connection.execute("UPDATE wst_audit_leaf SET content_digest = ? WHERE seq = ?", (content_digest(forged), seq))
        frontier = Frontier()
        for (one,) in connection.execute("SELECT leaf_hash FROM wst_audit_leaf ORDER BY seq"):
            frontier.append(one)
        connection.execute("UPDATE wst_audit_head SET root = ?, edge = ?", (frontier.root(), b"".join(frontier.edge)))


def test_a_leaf_changed_with_its_hash_is_still_named(database: AuditLog, sqlite_path: Path) -> None:
    tamper(sqlite_path, lambda connection: rewrite(connection, 3, everything=False))
    report = verify(database.store, tenant_id="t1")
    assert (report.integrity, report.first_bad_seq) == ("failed", 3)


def test_a_hash_is_named_by_its_tile(database: AuditLog, sqlite_path: Path) -> None:
    database.emit_many(events(300)[COUNT:])
    tamper(sqlite_path, lambda connection: rewrite(connection, 200, everything=True))
    report = verify(database.store, tenant_id="t1")
    assert (report.integrity, report.first_bad_seq) == ("failed", 200)


def test_a_rewritten_table_is_consistent_until_somebody_else_holds_something(
    database: AuditLog, sqlite_path: Path
) -> None:
    """Toys 1, 2 and 5: same length, all hashes recomputed. Only the signature and the pin can tell."""
    pinned, keys = database.checkpoint("t1"), [database.vkey("t1")]
    tamper(sqlite_path, lambda connection: rewrite(connection, 3, everything=True))
    alone = verify(database.store, tenant_id="t1")
    assert (alone.integrity, alone.level, alone.append_only) == ("verified", "internal", "not_checked")
    assert verify(database.store, tenant_id="t1", keys=keys).signature == "failed"
    held = verify(database.store, tenant_id="t1", pinned=pinned, keys=keys)
    assert (held.append_only, held.completeness, held.level) == ("failed", "not_checked", "internal")


def test_truncation_and_the_end_of_a_whole_tenant_fail_the_pin(database: AuditLog, sqlite_path: Path) -> None:
    """Toy 4: an older copy of the file is perfectly consistent."""
    pinned, keys = database.checkpoint("t1"), [database.vkey("t1")]
    older = AuditLog(MemoryAuditStore(), SIGNER, "wellstreak.test/audit", clock=FixedClock(NOW))
    older.emit_many(events(COUNT - 2))
    for store in (older.store, MemoryAuditStore()):
        report = verify(store, tenant_id="t1", pinned=pinned, keys=keys)
        assert (report.integrity, report.append_only, report.completeness) == ("verified", "failed", "failed")
    tamper(
        sqlite_path,
        lambda connection: connection.executescript("DELETE FROM wst_audit_leaf; DELETE FROM wst_audit_head"),
    )
    report = verify(database.store, tenant_id="t1", pinned=pinned, keys=keys)
    assert (report.append_only, report.completeness, report.signature) == ("failed", "failed", "failed")


# --- an export -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def export() -> tuple[dict[str, bytes], str]:
    log = AuditLog(MemoryAuditStore(), SIGNER, "wellstreak.test/audit", clock=FixedClock(NOW))
    log.emit_many(events(3))
    held = Held({})
    log.export("t1", held)
    return held.content, log.vkey("t1")


Export = tuple[dict[str, bytes], str]


def intact(content: dict[str, bytes], key: str | None) -> bool:
    report = verify(Held(content), keys=[key] if key else [])
    assert report.failed or report.level != "internal" or key is None
    return not report.failed


def test_every_single_bit_flip_is_caught(export: Export) -> None:
    content, key = export
    assert sorted(content) == ["checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"]
    assert intact(content, key)
    missed = []
    for path, octets in content.items():
        checked = key if path == "checkpoint" else None  # what the key covers needs the key; the rest needs none
        for at in range(len(octets) * 8):
            flipped = bytearray(octets)
            flipped[at // 8] ^= 1 << at % 8
            if intact({**content, path: bytes(flipped)}, checked):
                missed.append((path, at))
    assert missed == []


def test_every_missing_emptied_shortened_or_lengthened_file_is_caught(export: Export) -> None:
    content, key = export
    missed = []
    for path, octets in content.items():
        for changed in (b"", octets[:-1], octets[1:], octets[:-32], octets + b"\0", octets + b"\n", octets * 2):
            if intact({**content, path: changed}, key):
                missed.append(path)
        if intact({name: held for name, held in content.items() if name != path}, key):
            missed.append(path)
    assert missed == []


@pytest.mark.parametrize(
    "path",
    ["notes.txt", "tile/0/000", "tile/0/000.p/4", "tile/1/000.p/1", "tile/entries/001.p/1", "tile/x", "checkpoint.new"],
)
def test_nothing_hides_beside_the_tiles(path: str, export: Export) -> None:
    content, key = export
    assert not intact({**content, path: content["tile/0/000.p/3"]}, key)


def test_the_place_in_an_export_is_named(export: Export) -> None:
    content, key = export
    path = "tile/entries/000.p/3"
    for seq in range(3):
        changed = content[path].replace(b'"n":%d' % seq, b'"n":9')
        report = verify(Held({**content, path: changed}), keys=[key])
        assert (report.integrity, report.first_bad_seq) == ("failed", seq)


def test_a_checkpoint_that_promises_the_world_costs_nothing(export: Export) -> None:
    content, key = export
    note = content["checkpoint"].replace(b"\n3\n", b"\n9000000000000000000\n")
    report = verify(Held({**content, "checkpoint": note}), keys=[key])
    assert (report.signature, report.integrity, report.first_bad_seq) == ("failed", "failed", 0)


def test_another_tenants_export_is_not_this_ones(export: Export) -> None:
    content, key = export
    report = verify(Held(content), tenant_id="t2", keys=[key])
    assert (report.integrity, report.first_bad_seq) == ("failed", 0)


@pytest.mark.parametrize(
    "entry", [b"", b"[]", b"{}", b"[" * 60_000, b'{"v":1}', b'"text"', b"\xff", b"1" * 5_000, b"NaN"]
)
def test_entries_that_are_no_events(entry: bytes) -> None:
    """A log that signed nonsense: hashes are right, and yet nothing raises and nothing passes."""
    from wellstreak_trust.audit import Checkpoint
    from wellstreak_trust.audit import note as signed_note
    from wellstreak_trust.audit.tiles import bundle

    tree: Any = Checkpoint("o", 1, leaf_hash(entry))
    held = Held(
        {
            "checkpoint": signed_note.sign(tree.text(), "o", SIGNER).encode(),
            "tile/0/000.p/1": leaf_hash(entry),
            "tile/entries/000.p/1": bundle([entry]),
        }
    )
    report = verify(held, keys=[SIGNER.key("o")])
    assert (report.integrity, report.first_bad_seq, report.signature, report.level) == (
        "failed",
        0,
        "verified",
        "internal",
    )
