"""One database becomes another: nothing is lost, nothing is half done, and the copy works as the original did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, text
from typer.testing import CliRunner

from wellstreak_trust import Secret
from wellstreak_trust.audit import AuditLog, verify
from wellstreak_trust.cli.__main__ import app
from wellstreak_trust.core import ConfigurationError, drive
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, SecretStore
from wellstreak_trust.storage.sql import SqlAuditStore, SqlOutbox, SqlSecretBackend, copy_all, schema, tables_of

from .conftest import Place

RUN = CliRunner()


def rows_of(place: Place) -> dict[str, int]:
    return dict(drive(place.database.run(tables_of)).rows)


def synthetic(place: Place) -> None:
    """A row for each table that no service of the bench writes, so that no table is copied untested."""

    def work(connection: Any) -> None:
        for table in schema.metadata.sorted_tables:
            if not connection.execute(table.select().limit(1)).first():
                connection.execute(table.insert().values(invented(table)))

    drive(place.database.run(work))


def invented(table: Table) -> dict[str, Any]:
    of_type = {str: "caf\u00e9 \U0001f511", bytes: b"\x00\xff", int: (1 << 53) + 1, bool: True}
    return {
        column.name: 7 if str(column.type) == "INTEGER" else of_type[column.type.python_type]
        for column in table.columns
        if not column.nullable
    }


def test_every_row_of_every_table_arrives(source: Place, target: Place) -> None:
    synthetic(source)
    told: list[tuple[str, int]] = []
    report = copy_all(source.database, target.database, batch=7, progress=lambda name, rows: told.append((name, rows)))
    assert min(rows_of(source).values()) > 0
    assert rows_of(target) == rows_of(source)
    assert all(table.same and len(table.digest) == 32 for table in report.tables)
    assert {table.name for table in report.tables} == set(schema.metadata.tables) - {"wst_schema"}
    assert report.rows == sum(rows_of(source).values()) - len(schema.MIGRATIONS)
    assert ("wst_audit_leaf", report.tables[[t.name for t in report.tables].index("wst_audit_leaf")].rows) in told


def test_the_copy_works_as_the_original_did(source: Place, target: Place, tmp_path: Path, capacity: Any) -> None:
    copy_all(source.database, target.database)
    secrets = SecretStore(
        SqlSecretBackend(target.database), KeyChain([LocalKeyProvider.from_file(tmp_path / "kek.json")])
    )
    assert secrets.get(capacity.tenant(1), "slack/bot").reveal().startswith("xoxb-1")
    assert secrets.verify().sound
    SqlOutbox(target.database).emit(capacity.event(capacity.tenant(1), 101))  # its number comes from a sequence
    assert len(drive(SqlOutbox(target.database).waiting(10))) == 2
    personal = Secret(capacity.PERSONAL)
    log = AuditLog(SqlAuditStore(target.database), capacity.SIGNER, capacity.ORIGIN, personal_key=personal)
    before = log.checkpoint(capacity.tenant(1))
    log.emit(capacity.event(capacity.tenant(1), 99))
    log.tick()
    report = verify(log.store, tenant_id=capacity.tenant(1), pinned=before, keys=[log.vkey(capacity.tenant(1))])
    assert (report.level, report.failed) == ("anchored", ())


def test_there_and_back_again_is_the_same(source: Place, target: Place, tmp_path: Path) -> None:
    there = copy_all(source.database, target.database)
    again = Place(f"sqlite:///{tmp_path / 'again.db'}")
    back = copy_all(target.database, again.database)
    assert [(table.name, table.digest) for table in back.tables] == [(t.name, t.digest) for t in there.tables]
    again.database.engine.dispose()


def test_a_target_with_rows_is_refused_and_untouched(source: Place, target: Place) -> None:
    target.database.create_all()
    drive(target.database.run(lambda c: c.execute(text("INSERT INTO wst_audit_hold VALUES ('acme', '')"))))
    with pytest.raises(ConfigurationError) as caught:
        copy_all(source.database, target.database)
    assert caught.value.reason == "copy_target"
    assert sum(rows_of(target).values()) == 1 + len(schema.MIGRATIONS)


def test_a_source_of_another_version_is_refused(source: Place, target: Place) -> None:
    drive(source.database.run(lambda c: c.execute(text("DELETE FROM wst_schema WHERE version > 2"))))
    with pytest.raises(ConfigurationError, match="schema version 2") as caught:
        copy_all(source.database, target.database)
    assert caught.value.reason == "copy_version"
    drive(source.database.run(lambda c: c.execute(text("DROP TABLE wst_schema"))))
    with pytest.raises(ConfigurationError, match="schema version 0"):
        copy_all(source.database, target.database)


def test_a_target_that_changes_what_it_is_given_keeps_nothing(source: Place, tmp_path: Path) -> None:
    target = Place(f"sqlite:///{tmp_path / 'target.db'}")
    target.database.create_all()
    meddling = (
        "CREATE TRIGGER meddle AFTER INSERT ON wst_secret_version BEGIN "
        "UPDATE wst_secret_version SET state = 'disabled' WHERE rowid = NEW.rowid; END"
    )
    drive(target.database.run(lambda c: c.exec_driver_sql(meddling)))
    with pytest.raises(ConfigurationError) as caught:
        copy_all(source.database, target.database)
    assert caught.value.reason == "copy_differs"
    assert sum(rows_of(target).values()) == len(schema.MIGRATIONS)
    target.database.engine.dispose()


def test_what_is_written_meanwhile_tears_nothing(source: Place, target: Place) -> None:
    """A forgotten writer loses what it writes, and the copy is of one moment all the same."""
    leaves = rows_of(source)["wst_audit_leaf"]

    def write(name: str, rows: int) -> None:
        if name == "wst_audit_head":
            drive(source.database.run(lambda c: c.execute(text("DELETE FROM wst_audit_leaf"))))

    report = copy_all(source.database, target.database, progress=write)
    assert {table.name: table.rows for table in report.tables}["wst_audit_leaf"] == leaves
    assert rows_of(source)["wst_audit_leaf"] == 0


def test_the_command_copies_and_verifies(
    source: Place, target: Place, monkeypatch: pytest.MonkeyPatch, capacity: Any
) -> None:
    monkeypatch.setenv("OLD", source.url)
    monkeypatch.setenv("NEW", target.url)
    key = AuditLog(SqlAuditStore(source.database), capacity.SIGNER, capacity.ORIGIN).vkey()
    result = RUN.invoke(app, ["database", "copy", "--from-env", "OLD", "--to-env", "NEW", "--key", key])
    assert result.exit_code == 0, result.output
    assert "all read back and equal" in result.output
    again = RUN.invoke(app, ["database", "copy", "--from-env", "OLD", "--to", target.url])
    assert (again.exit_code, "holds rows" in again.output) == (2, True)
    unnamed = RUN.invoke(app, ["database", "copy", "--from-env", "NOT_SET", "--to-env", "NEW"])
    assert (unnamed.exit_code, "names no one database" in unnamed.output) == (2, True)


def test_a_tampered_trail_is_copied_and_told(source: Place, target: Place) -> None:
    tamper = "UPDATE wst_audit_leaf SET leaf = CAST(replace(leaf, 'notes.updated', 'notes.deleted') AS BLOB)"
    drive(source.database.run(lambda c: c.exec_driver_sql(tamper)))
    result = RUN.invoke(app, ["database", "copy", "--from", source.url, "--to", target.url])
    assert result.exit_code == 1, result.output
    assert "all read back and equal" in result.output
    assert "failed" in result.output


def test_status_and_migrate(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'fresh.db'}"
    result = RUN.invoke(app, ["database", "status", "--database", url])
    assert result.exit_code == 1
    assert "missing: wst_audit_leaf" in result.output
    assert "schema version 0" in result.output
    assert RUN.invoke(app, ["database", "migrate", "--database", url]).exit_code == 0
    result = RUN.invoke(app, ["database", "status", "--database", url])
    assert result.exit_code == 0
    assert f"schema version {schema.MIGRATIONS[-1].version}, this release writes" in result.output
