"""What the attacks on the audit trail share: a log on a real file, and an attacker who knows the format."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine

from wellstreak_trust.audit import AuditEvent, AuditLog, Ed25519Signer, TileStore
from wellstreak_trust.audit.event import content_digest
from wellstreak_trust.audit.tree import Frontier, leaf_hash
from wellstreak_trust.core import FixedClock
from wellstreak_trust.storage.sql import Database, SqlAuditStore

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
ORIGIN = "wellstreak.test/audit"


class Held(TileStore):
    """An export in memory, so that ten thousand changes take no time."""

    __slots__ = ("content",)

    def __init__(self, content: dict[str, bytes]) -> None:
        super().__init__("unused")
        self.content = content

    def read(self, path: str) -> bytes | None:
        return self.content.get(path)

    def write(self, path: str, octets: bytes) -> None:
        self.content[path] = octets

    def files(self) -> list[str]:
        return sorted(self.content)


@contextmanager
def opened(path: Path, **options: object) -> Iterator[AuditLog]:
    """The log on a SQLite file."""
    engine = create_engine(f"sqlite:///{path}")
    Database(engine).create_all()
    yield AuditLog(SqlAuditStore(Database(engine)), SIGNER, ORIGIN, clock=FixedClock(NOW), **options)  # type: ignore[arg-type]  # what a test hands on
    engine.dispose()


def events(count: int, tenant_id: str = "t1", actor: str = "user_1") -> list[AuditEvent]:
    return [
        AuditEvent("billing.plan_changed", "success", tenant_id, {"id": actor}, data={"n": n}, occurred_at=NOW)
        for n in range(count)
    ]


def behind(path: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    """Changes the file without the application."""
    with closing(sqlite3.connect(path)) as connection:
        change(connection)
        connection.commit()


def rewrite(connection: sqlite3.Connection, seq: int, *, tenant_id: str = "t1", size: int | None = None) -> None:
    """Changes an entry and makes every column and hash of the tree agree; cuts the tree to `size` first."""
    here = "tenant_id = ? AND seq = ?"
    if size is not None:
        connection.execute("DELETE FROM wst_audit_leaf WHERE tenant_id = ? AND seq >= ?", (tenant_id, size))
    (leaf,) = connection.execute(f"SELECT leaf FROM wst_audit_leaf WHERE {here}", (tenant_id, seq)).fetchone()
    forged = leaf.replace(b"user_1", b"user_9").replace(b'"kind":"system"', b'"kind":"sister"')
    connection.execute(
        f"UPDATE wst_audit_leaf SET leaf = ?, leaf_hash = ?, content_digest = ?, actor = ? WHERE {here}",
        (forged, leaf_hash(forged), content_digest(forged), "user_9", tenant_id, seq),
    )
    regrow(connection, tenant_id)


def regrow(connection: sqlite3.Connection, tenant_id: str = "t1") -> None:
    """Makes the head follow from the leaf hashes that stand; for trees of fewer than 256 entries."""
    tree = Frontier()
    query = "SELECT leaf_hash FROM wst_audit_leaf WHERE tenant_id = ? ORDER BY seq"
    for (one,) in connection.execute(query, (tenant_id,)).fetchall():
        tree.append(one)
    connection.execute(
        "UPDATE wst_audit_head SET size = ?, root = ?, edge = ? WHERE tenant_id = ?",
        (tree.size, tree.root(), b"".join(tree.edge), tenant_id),
    )
