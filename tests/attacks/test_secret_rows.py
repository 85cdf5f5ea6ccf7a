"""Somebody writes to the database: edited, swapped, moved, deleted, restored rows. An error, or what was written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from wellstreak_trust.core.errors import (
    IntegrityError,
    SecretDisabled,
    SecretRollbackDetected,
    SecretTampered,
    TrustError,
)
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, SecretStore
from wellstreak_trust.storage.sql import Database, SqlSecretBackend

KEK = LocalKeyProvider("k_0011223344556677", bytes(range(64)))
NAME = "slack/bot"
VALUE = "xoxb-demo"


class Attacker:
    """Has the file, and neither key nor process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement, values).fetchall()


class Host:
    """A process: a store of its own over the file."""

    def __init__(self, path: Path) -> None:
        self._engine = create_engine(f"sqlite:///{path}")
        database = Database(self._engine)
        database.create_all()
        self.store = SecretStore(SqlSecretBackend(database), KeyChain([KEK]))

    def close(self) -> None:
        self._engine.dispose()


@pytest.fixture
def attacker(sqlite_path: Path) -> Attacker:
    return Attacker(sqlite_path)


@pytest.fixture
def host(sqlite_path: Path) -> Iterator[Host]:
    found = Host(sqlite_path)
    yield found
    found.close()


@pytest.fixture
def store(host: Host) -> SecretStore:
    host.store.put("t1", NAME, VALUE, labels={"team": "billing"})
    return host.store


@pytest.fixture
def fresh(sqlite_path: Path, store: SecretStore) -> Iterator[SecretStore]:
    """Another process, with neither cache nor marks, once there is something to read."""
    again = Host(sqlite_path)
    yield again.store
    again.close()


def answers(store: SecretStore) -> None:
    """Exactly what was written, or an error of ours."""
    try:
        found = store.get("t1", NAME).reveal(), dict(store.describe("t1", NAME).labels)
    except TrustError as error:
        found = VALUE, {"team": "billing"}
        assert VALUE not in f"{error} {error.detail} {error.hint}"  # noqa: PT017  both branches are right
    assert found == (VALUE, {"team": "billing"})


BYTES = {
    "wst_secret_version": ("envelope", "row_mac"),
    "wst_secret": ("head_mac",),
    "wst_tenant_key": ("wrapped", "check_value"),
}
COLUMNS = {
    "wst_secret_version": "tenant_id name version envelope kind key_version state created_at not_after rotate_after "
    "labels row_mac",
    "wst_secret": "tenant_id name current revision key_version lease_owner lease_until head_mac",
    "wst_tenant_key": "tenant_id version kek_uri wrapped check_value state created_at",
    "wst_secret_store": "id created_at",
}


@pytest.mark.parametrize(("table", "column"), [(table, column) for table in BYTES for column in BYTES[table]])
def test_every_byte_column_is_authenticated(
    sqlite_path: Path, fresh: SecretStore, attacker: Attacker, table: str, column: str
) -> None:
    (was,) = attacker(f"SELECT {column} FROM {table}")[0]
    spoiled = [was[:at] + bytes([was[at] ^ 1 << at % 8]) + was[at + 1 :] for at in range(0, len(was), 3)]
    spoiled += [was[:-1], was[: len(was) // 2], was + b"\0", was + bytes(32), b""]
    for octets in spoiled:
        attacker(f"UPDATE {table} SET {column} = ?", octets)
        with pytest.raises(IntegrityError):
            fresh.get("t1", NAME)
    attacker(f"UPDATE {table} SET {column} = ?", was)
    assert fresh.get("t1", NAME).reveal() == VALUE


VALUES: tuple[Any, ...] = (
    None,
    0,
    1,
    2,
    -1,
    2**40,
    2**63 - 1,
    5_000_000_000,
    1.5,
    "",
    "x",
    "enabled",
    "disabled",
    "destroyed",
    b"",
    b"\xff",
    "bytes",
    "[" * 9_999,
)


@pytest.mark.parametrize("table", COLUMNS)
def test_every_column_edited_is_an_error_or_changes_nothing(
    sqlite_path: Path, fresh: SecretStore, attacker: Attacker, table: str
) -> None:
    for column in COLUMNS[table].split():
        (was,) = attacker(f"SELECT {column} FROM {table}")[0]
        for value in VALUES:
            try:
                attacker(f"UPDATE {table} SET {column} = ?", value)
            except sqlite3.IntegrityError:
                continue
            answers(fresh)
        attacker(f"UPDATE {table} SET {column} = ?", was)
    restarted = Host(sqlite_path)
    assert restarted.store.get("t1", NAME).reveal() == VALUE
    restarted.close()


@pytest.mark.parametrize("table", COLUMNS)
def test_writes_build_on_nothing_that_was_edited(fresh: SecretStore, attacker: Attacker, table: str) -> None:
    """A put over an edited secret is refused, or leaves something that reads back whole."""
    tried = 0
    for column in COLUMNS[table].split():
        for value in (None, 7, "x", b"\xff"):
            (was,) = attacker(f"SELECT {column} FROM {table} LIMIT 1")[0]
            try:
                attacker(f"UPDATE {table} SET {column} = ? WHERE rowid = 1", value)
            except sqlite3.IntegrityError:
                continue
            tried += 1
            with suppress(TrustError):
                fresh.put("t1", NAME, "new")
                assert fresh.get("t1", NAME).reveal() == "new"
            attacker(f"UPDATE {table} SET {column} = ? WHERE rowid = 1", was)
    assert tried > 3


def test_rows_cannot_be_swapped(store: SecretStore, attacker: Attacker) -> None:
    store.put("t1", "other", "value of other")
    store.put("t2", NAME, "value of t2")
    places = [("t1", NAME), ("t1", "other"), ("t2", NAME)]
    for one in places:
        for two in places:
            if one == two:
                continue
            here, there = (
                attacker("SELECT * FROM wst_secret_version WHERE tenant_id=? AND name=?", *at)[0] for at in (one, two)
            )
            attacker("DELETE FROM wst_secret_version WHERE tenant_id=? AND name=?", *one)
            attacker(f"INSERT INTO wst_secret_version VALUES ({','.join('?' * 12)})", *one, *there[2:])
            with pytest.raises(SecretTampered):
                store.get(*one)
            attacker("UPDATE wst_secret_version SET envelope=? WHERE tenant_id=? AND name=?", here[3], *one)
            with pytest.raises(SecretTampered):
                store.get(*one)
            attacker("DELETE FROM wst_secret_version WHERE tenant_id=? AND name=?", *one)
            attacker(f"INSERT INTO wst_secret_version VALUES ({','.join('?' * 12)})", *here)
            assert store.get("t1", NAME).reveal() == VALUE


def test_a_tenant_cannot_be_moved_whole(store: SecretStore, attacker: Attacker, sqlite_path: Path) -> None:
    """Key row and all: the wrapped key is bound to its tenant."""
    for table in ("wst_tenant_key", "wst_secret", "wst_secret_version"):
        attacker(f"UPDATE {table} SET tenant_id = 't2'")
    with pytest.raises(SecretRollbackDetected):
        store.get("t1", NAME)
    with pytest.raises(SecretTampered):
        store.get("t2", NAME)


def test_a_tenant_of_another_store_does_not_open(tmp_path: Path, fresh: SecretStore, attacker: Attacker) -> None:
    foreign = Host(tmp_path / "foreign.db")
    foreign.store.put("t1", NAME, "value of another store")
    foreign.close()
    with closing(sqlite3.connect(attacker.path)) as connection, connection:
        connection.execute("ATTACH ? AS f", (str(tmp_path / "foreign.db"),))
        for table in ("wst_tenant_key", "wst_secret", "wst_secret_version"):
            connection.execute(f"DELETE FROM {table}")
            connection.execute(f"INSERT INTO {table} SELECT * FROM f.{table}")
    with pytest.raises(SecretTampered):
        fresh.get("t1", NAME)


@pytest.mark.parametrize("value", [b"xoxb-demo", b"gAAAAABh" + bytes(100), b"WS\x01\x01\x00" + bytes(116), bytes(185)])
def test_plaintext_and_forged_rows_are_never_returned(fresh: SecretStore, attacker: Attacker, value: bytes) -> None:
    attacker("UPDATE wst_secret_version SET envelope = ?", value)
    with pytest.raises(IntegrityError):
        fresh.get("t1", NAME)


# --- rollback --------------------------------------------------------------------------------------------------------


def test_current_cannot_be_pointed_back(fresh: SecretStore, store: SecretStore, attacker: Attacker) -> None:
    store.rotate("t1", NAME, "new")
    attacker("UPDATE wst_secret SET current = 1")
    for each in (store, fresh):
        with pytest.raises(SecretTampered):
            each.get("t1", NAME)
    attacker("DELETE FROM wst_secret_version WHERE version = 2")
    for each in (store, fresh):
        with pytest.raises(SecretTampered):
            each.get("t1", NAME)


def test_a_missing_older_version_is_noticed(fresh: SecretStore, store: SecretStore, attacker: Attacker) -> None:
    store.rotate("t1", NAME, "new")
    attacker("DELETE FROM wst_secret_version WHERE version = 1")
    with pytest.raises(SecretTampered):
        fresh.get("t1", NAME, version=1)


def test_a_disabled_version_cannot_be_revived(fresh: SecretStore, store: SecretStore, attacker: Attacker) -> None:
    columns = "envelope, state, row_mac"
    row = attacker(f"SELECT {columns} FROM wst_secret_version")[0]
    head = attacker("SELECT revision, head_mac FROM wst_secret")[0]
    store.disable("t1", NAME)
    attacker("UPDATE wst_secret_version SET envelope=?, state=?, row_mac=?", *row)
    for each in (store, fresh):
        with pytest.raises(SecretTampered):
            each.get("t1", NAME)
    attacker("UPDATE wst_secret SET revision=?, head_mac=?", *head)
    with pytest.raises(SecretRollbackDetected):
        store.get("t1", NAME)
    with pytest.raises(SecretRollbackDetected):
        store.put("t1", NAME, "on top of the past")
    with pytest.raises(SecretRollbackDetected):
        store.list("t1")


def test_expiry_cannot_be_moved(fresh: SecretStore, attacker: Attacker) -> None:
    attacker("UPDATE wst_secret_version SET not_after = 1")
    with pytest.raises(SecretTampered):
        fresh.get("t1", NAME)


def test_a_deleted_secret_is_noticed_by_who_has_seen_it(store: SecretStore, attacker: Attacker) -> None:
    attacker("DELETE FROM wst_secret")
    with pytest.raises(SecretRollbackDetected):
        store.get("t1", NAME)
    with pytest.raises(SecretRollbackDetected):
        store.put("t1", NAME, "new")


def test_a_planted_version_is_not_overwritten(store: SecretStore, attacker: Attacker) -> None:
    row = attacker("SELECT * FROM wst_secret_version")[0]
    attacker(f"INSERT INTO wst_secret_version VALUES ({','.join('?' * 12)})", *row[:2], 2, *row[3:])
    with pytest.raises(SecretTampered):
        store.put("t1", NAME, "new")
    assert store.get("t1", NAME).reveal() == VALUE


def test_tampering_is_recorded(sqlite_path: Path, host: Host, store: SecretStore, attacker: Attacker) -> None:
    events: list[Any] = []

    class Sink:
        suspends = False

        async def aemit(self, event: Any, /) -> None:
            events.append((event.action, event.outcome, dict(event.data)))

    engine = create_engine(f"sqlite:///{sqlite_path}")
    watched = SecretStore(SqlSecretBackend(Database(engine)), KeyChain([KEK]), audit=Sink())
    attacker("UPDATE wst_secret_version SET labels = '{}'")
    with pytest.raises(SecretTampered):
        watched.get("t1", NAME)
    assert events == [("secret.read", "error", {"cause": "SecretTampered"})]
    engine.dispose()


def test_the_key_row_of_a_disabled_version_is_no_way_back(store: SecretStore, attacker: Attacker) -> None:
    """A shred that is undone in the database (from a backup) does bring the key back: the manual says so."""
    key = attacker("SELECT wrapped, state FROM wst_tenant_key")[0]
    store.disable("t1", NAME)
    store.shred("t1", confirm="t1")
    attacker("UPDATE wst_tenant_key SET wrapped=?, state=?", *key)
    with pytest.raises(SecretDisabled):
        store.get("t1", NAME)
