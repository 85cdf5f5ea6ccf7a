"""Rows against the trail: what went back while no process was there to see it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.secrets import DoctorReport, Finding, KeyChain, LocalKeyProvider, SecretStore
from wellstreak_trust.storage.sql import Database, SqlSecretBackend

KEK = LocalKeyProvider("k_0011223344556677", bytes(range(64)))
TABLES = ("wst_tenant_key", "wst_secret", "wst_secret_version")


class Host:
    """A store over a file, and its trail elsewhere."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = AuditLog(MemoryAuditStore())
        engine = create_engine(f"sqlite:///{path}")
        self.database = Database(engine)
        self.database.create_all()
        self.store = self.fresh()

    def fresh(self) -> SecretStore:
        return SecretStore(SqlSecretBackend(self.database), KeyChain([KEK]), audit=self.log)

    def events(self) -> Iterator[dict[str, Any]]:
        for tenant_id in ("t1", "t2", "system"):
            yield from reversed(self.log.events(tenant_id, limit=10_000))

    def doctor(self) -> DoctorReport:
        return self.fresh().doctor(self.events())

    def sql(self, statement: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def copy(self) -> dict[str, list[Any]]:
        return {table: self.sql(f"SELECT * FROM {table}") for table in TABLES}

    def restore(self, rows: dict[str, list[Any]]) -> None:
        for table in TABLES:
            self.sql(f"DELETE FROM {table}")
            for row in rows[table]:
                self.sql(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", *row)


@pytest.fixture
def host(sqlite_path: Path) -> Iterator[Host]:
    found = Host(sqlite_path)
    for tenant_id in ("t1", "t2"):
        for name in ("a", "b"):
            found.store.put(tenant_id, name, "one")
    found.store.put("t1", "a", "two")
    yield found
    found.database.engine.dispose()


def test_a_store_in_use_is_healthy(host: Host) -> None:
    store = host.store
    store.disable("t1", "a")
    store.enable("t1", "a")
    store.revert("t1", "a", 1)
    store.destroy("t1", "a", version=1)
    store.reencrypt("t1", batch=1)
    store.rotate("t1", "a", "three")
    store.refresh("t1", "a", lambda _: "never called")
    store.shred("t2", confirm="t2")
    report = host.doctor()
    assert (report.findings, report.healthy, report.secrets) == ((), True, 4)
    assert report.events > 10


def test_a_restored_database_is_found(host: Host) -> None:
    old = host.copy()
    host.store.rotate("t1", "a", "three")
    host.store.put("t1", "new", "x")
    host.store.disable("t2", "b")
    host.restore(old)
    fresh = host.fresh()
    assert fresh.get("t1", "a").reveal() == "two", "without the trail nobody can tell"
    report = host.doctor()
    assert not report.healthy
    assert report.findings == (
        Finding("missing", "t1", "new", 0, 1),
        Finding("rolled_back", "t1", "a", 2, 3),
        Finding("rolled_back", "t2", "b", 1, 2),
    )


def test_one_secret_put_back_is_found_after_a_reencryption_too(host: Host) -> None:
    old = host.copy()
    host.store.reencrypt("t1")
    assert host.doctor().healthy
    host.restore(old)
    assert {found.kind for found in host.doctor().findings} == {"rolled_back"}


def test_a_swapped_ciphertext_is_found(host: Host) -> None:
    (envelope,) = host.sql("SELECT envelope FROM wst_secret_version WHERE tenant_id='t1' AND name='b'")[0]
    host.sql("UPDATE wst_secret_version SET envelope=? WHERE tenant_id='t1' AND name='a' AND version=1", envelope)
    assert host.doctor().findings == (Finding("altered", "t1", "a", 2, 2),)


def test_deleted_rows_are_found(host: Host) -> None:
    host.sql("DELETE FROM wst_secret WHERE name='a'")
    host.sql("DELETE FROM wst_secret_version WHERE tenant_id='t2' AND name='a'")
    assert host.doctor().findings == (Finding("missing", "t1", "a", 0, 2), Finding("missing", "t2", "a", 0, 1))


def test_a_shredded_tenant_does_not_come_back_unseen(host: Host) -> None:
    old = host.copy()
    host.store.shred("t2", confirm="t2")
    host.restore(old)
    assert Finding("revived", "t2", "") in host.doctor().findings


def test_what_was_never_recorded_is_told_and_no_alarm(host: Host) -> None:
    silent = SecretStore(SqlSecretBackend(host.database), KeyChain([KEK]))
    silent.put("t1", "silent", "x")
    silent.put("t2", "b", "y")
    report = host.doctor()
    assert report.healthy
    assert report.findings == (Finding("unrecorded", "t1", "silent", 1, 0), Finding("unrecorded", "t2", "b", 2, 1))


def test_an_edited_revision_is_found(host: Host) -> None:
    host.sql("UPDATE wst_secret SET revision='x' WHERE tenant_id='t1' AND name='a'")
    assert host.doctor().findings == (Finding("rolled_back", "t1", "a", 0, 2),)


def test_names_edited_into_bytes_are_told_with_the_others(host: Host) -> None:
    for name in ("a", "b", "c"):
        host.store.put("t1", name, "value")
    host.sql("UPDATE wst_secret SET name = CAST(name AS BLOB) WHERE name = 'b'")
    host.sql("UPDATE wst_secret_version SET name = CAST(name AS BLOB) WHERE name = 'b'")
    host.sql("UPDATE wst_secret SET revision = 9")
    found = {(each.kind, str(each.name)) for each in host.doctor().findings}
    assert found == {("missing", "b"), *(("unrecorded", name) for name in ("a", "c", "b'b'"))}
