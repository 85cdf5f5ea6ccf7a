"""The Alembic operations, with Alembic itself: up, down, offline, and in what autogenerate writes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic import command
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Connection, Engine, MetaData, NullPool, String, Table, create_engine, text

from wellstreak_trust.core.errors import UsageError
from wellstreak_trust.tenancy.postgres import doctor, policy_ddl
from wellstreak_trust.tenancy.postgres.alembic import TENANT_RLS, DisableTenantRls, EnableTenantRls

SECURED = text("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = to_regclass(:name)")
POLICIES = text("SELECT count(*) FROM pg_policy WHERE polrelid = CAST(:name AS regclass)")


@pytest.fixture
def connection(lab_url: str) -> Any:
    engine: Engine = create_engine(lab_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as opened, opened.begin() as transaction:
        opened.execute(text("CREATE SCHEMA revised"))
        opened.execute(text("SET LOCAL search_path = revised"))
        opened.execute(text('CREATE TABLE note (org text NOT NULL PRIMARY KEY); CREATE TABLE "Od:d" (tenant_id uuid)'))
        yield opened
        transaction.rollback()
    engine.dispose()


def operations(connection: Connection) -> Any:
    return Operations(MigrationContext.configure(connection))


def test_up_and_down(connection: Connection) -> None:
    op = operations(connection)
    op.enable_tenant_rls("note", column="org")
    assert connection.execute(SECURED, {"name": "note"}).one() == (True, True)
    found = doctor(connection, columns=("org",), schemas=("revised",))
    assert {each.code for each in found if each.object == "revised.note"} == {"owner_is_app"}
    op.disable_tenant_rls("note", column="org")
    assert connection.execute(SECURED, {"name": "note"}).one() == (False, False)
    assert connection.scalar(POLICIES, {"name": "note"}) == 0


def test_names_types_and_seals_pass_through(connection: Connection) -> None:
    op = operations(connection)
    op.enable_tenant_rls('revised."Od:d"', type="uuid", name="mine")
    assert connection.scalar(POLICIES, {"name": '"Od:d"'}) == 1
    op.disable_tenant_rls('"Od:d"', schema="revised", name="mine")
    assert connection.scalar(POLICIES, {"name": '"Od:d"'}) == 0


def test_each_operation_undoes_the_other() -> None:
    up = EnableTenantRls("note", column="org", type="uuid", sealed=True)
    down = up.reverse()
    assert isinstance(down, DisableTenantRls)
    assert down.reverse().to_diff_tuple() == up.to_diff_tuple()


def test_offline_it_prints_the_same_statements() -> None:
    printed = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": printed, "literal_binds": True}
    )
    Operations(context).enable_tenant_rls("note", type="uuid", company="company_id")  # type: ignore[attr-defined]
    for statement in policy_ddl("note", type="uuid", company="company_id"):
        assert statement + ";" in printed.getvalue()


def test_what_cannot_be_is_refused_when_the_revision_is_written() -> None:
    with pytest.raises(UsageError):
        EnableTenantRls("note; DROP TABLE note")
    with pytest.raises(TypeError):
        EnableTenantRls("note", colum="org")


def target(**info: Any) -> MetaData:
    metadata = MetaData(schema="revised")
    Table("note", metadata, Column("org", String, primary_key=True), info=info)
    Table("fresh", metadata, Column("tenant_id", String, primary_key=True), info={TENANT_RLS: {}})
    Table("shared", metadata, Column("id", String, primary_key=True))
    return metadata


def test_autogenerate_writes_revisions_that_run(connection: Connection) -> None:
    opts = {"include_schemas": True, "include_name": lambda name, kind, _: kind != "schema" or name == "revised"}
    context = MigrationContext.configure(connection, opts=opts)
    connection.execute(text('DROP TABLE "Od:d"'))
    script = produce_migrations(context, target(**{TENANT_RLS: {"column": "org"}}))
    code = render_python_code(script.upgrade_ops, migration_context=context)
    back = render_python_code(script.downgrade_ops, migration_context=context)
    assert "op.enable_tenant_rls('note', schema='revised', column='org')" in code
    assert "op.enable_tenant_rls('fresh', schema='revised')" in code
    assert "op.disable_tenant_rls('note', schema='revised', column='org')" in back
    assert "shared" in code
    assert code.count("_tenant_rls(") == back.count("_tenant_rls(") == 2
    names = {"op": operations(connection), "sa": sqlalchemy}
    run(code, names)
    assert connection.execute(SECURED, {"name": "fresh"}).one() == (True, True)
    assert not produce_migrations(context, target(**{TENANT_RLS: {"column": "org"}})).upgrade_ops.ops
    run(back, names)
    assert connection.execute(SECURED, {"name": "note"}).one() == (False, False)


def run(code: str, names: dict[str, Any]) -> None:
    lines = [line.removeprefix("    ") for line in code.splitlines()]
    exec("\n".join(lines), names)


ENV = """
from alembic import context
import sqlalchemy as sa
import wellstreak_trust.tenancy.postgres.alembic

metadata = sa.MetaData()
sa.Table("ticket", metadata, sa.Column("tenant_id", sa.String, primary_key=True), info={"tenant_rls": {}})
url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        only = lambda name, kind, _: kind != "table" or name == "ticket"
        context.configure(
            connection=connection, version_table="lab_version", target_metadata=metadata, include_name=only
        )
        with context.begin_transaction():
            context.run_migrations()
"""
TEMPLATE = """
from alembic import op
import sqlalchemy as sa
${imports}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

def upgrade():
    ${upgrades}

def downgrade():
    ${downgrades}
"""


def test_the_command_writes_a_revision_and_runs_it(lab_url: str, tmp_path: Path) -> None:
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENV)
    (tmp_path / "script.py.mako").write_text(TEMPLATE)
    url = lab_url.replace("postgresql:", "postgresql+psycopg:")
    config = Config(stdout=io.StringIO(), output_buffer=io.StringIO())
    for name, value in (("script_location", str(tmp_path)), ("path_separator", "os"), ("sqlalchemy.url", url)):
        config.set_main_option(name, value)
    revision = command.revision(config, "tickets", autogenerate=True)
    assert revision is not None
    written = Path(revision.path).read_text()  # type: ignore[union-attr]  # one revision, not several
    assert "import wellstreak_trust.tenancy.postgres.alembic" in written
    assert "op.enable_tenant_rls('ticket')" in written
    command.upgrade(config, "head", sql=True)
    assert 'ALTER TABLE "ticket" FORCE ROW LEVEL SECURITY;' in config.output_buffer.getvalue()
    command.upgrade(config, "head")
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.execute(SECURED, {"name": "public.ticket"}).one() == (True, True)
        command.check(config)
    command.downgrade(config, "base")
    with engine.begin() as connection:
        assert connection.execute(SECURED, {"name": "public.ticket"}).all() == []
        connection.execute(text("DROP TABLE lab_version"))
