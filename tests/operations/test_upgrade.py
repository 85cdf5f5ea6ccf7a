"""What the page about upgrades says of Alembic: the step runs inside a revision, and autogenerate leaves it alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import MetaData, create_engine, text

from wellstreak_trust.storage.sql import schema, tables_of


def include_object(item: Any, name: str, kind: str, reflected: bool, compare_to: Any) -> bool:
    """As on the page."""
    return not (kind == "table" and name.startswith("wst_"))


def test_a_revision_makes_the_tables_in_its_own_transaction(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)) as op:
        assert schema.create(op.get_bind()) == schema.MIGRATIONS[-1].version
    with engine.connect() as connection:
        assert tables_of(connection).current
    engine.dispose()


def test_a_revision_brings_an_older_schema_up(tmp_path: Path) -> None:
    """As a release before version 4 left it: without the columns that version brought."""
    engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    with engine.begin() as connection:
        schema.create(connection)
        connection.execute(text("DELETE FROM wst_schema WHERE version > 3"))
        connection.execute(text("DROP TABLE wst_one_time_tokens"))
        assert not tables_of(connection).current
        assert tables_of(connection).missing == ("wst_one_time_tokens",)
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)) as op:
        schema.create(op.get_bind())
        assert tables_of(connection).current
    engine.dispose()


def test_autogenerate_would_drop_the_tables_and_does_not(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    with engine.begin() as connection:
        schema.create(connection)
    with engine.connect() as connection:
        careless = compare_metadata(MigrationContext.configure(connection), MetaData())
        careful = compare_metadata(
            MigrationContext.configure(connection, opts={"include_object": include_object}), MetaData()
        )
    assert {change[0] for change in careless} >= {"remove_table"}
    assert careful == []
    engine.dispose()
