"""The DDL at work: as the application's role, on tables that another role owns, over real connections."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
from psycopg import errors
from rls_lab import SCHEMA, Lab

from wellstreak_trust.tenancy.postgres import (
    Seal,
    composite_key_ddl,
    drop_policy_ddl,
    drop_seal_ddl,
    link_policy_ddl,
    mismatch_query,
    policy_ddl,
    seal_ddl,
)

ROWS = """
INSERT INTO project VALUES (1, 't1', 'p1'), (2, 't2', 'p2'), (3, 't1', 'p3');
INSERT INTO task (tenant_id, project_id, title) VALUES ('t1', 1, 'S1'), ('t2', 2, 'S2');
INSERT INTO watcher VALUES (1, 'a@example.com'), (2, 'b@example.com');
"""


@pytest.fixture
def app(lab: Lab) -> Lab:
    """The laboratory with rows, as the application's role in a transaction of nobody."""
    lab.run(*(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY" for table in ("project", "task", "watcher")))
    lab.as_owner(ROWS)
    lab.run(*(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY" for table in ("project", "task", "watcher")))
    lab.run("SET LOCAL ROLE {app}")
    return lab


def become(app: Lab, tenant: str, company: str = "") -> None:
    app.connection.execute(
        "SELECT set_config('wst.tenant', %s, true), set_config('wst.company', %s, true)", (tenant, company)
    )


def ask(app: Lab, query: str) -> list[Any]:
    return [row[0] for row in app.connection.execute(query).fetchall()]


def refused(app: Lab, statement: str, error: type[psycopg.Error] = errors.InsufficientPrivilege) -> str:
    with pytest.raises(error) as caught, app.connection.transaction():
        app.connection.execute(statement)
    return str(caught.value.diag.message_primary)


@pytest.mark.asvs("8.4.1")
@pytest.mark.parametrize("table", ["project", "task", "watcher"])
def test_reads_see_one_tenant(app: Lab, table: str) -> None:
    become(app, "t1")
    mine = app.connection.execute(f"SELECT * FROM {table}").fetchall()
    assert mine
    assert "t2" not in repr(mine)
    assert "b@" not in repr(mine)
    become(app, "t2")
    assert len(app.connection.execute(f"SELECT * FROM {table}").fetchall()) == 1


@pytest.mark.parametrize("setting", ["unset", "empty", "unknown"])
@pytest.mark.parametrize("table", ["project", "task", "watcher"])
def test_without_a_tenant_there_is_nothing(app: Lab, table: str, setting: str) -> None:
    if setting != "unset":
        become(app, "" if setting == "empty" else "t9")
    assert ask(app, f"SELECT count(*) FROM {table}") == [0]
    assert app.connection.execute(f"DELETE FROM {table}").rowcount == 0


@pytest.mark.asvs("8.4.1")
def test_writes_stay_inside(app: Lab) -> None:
    become(app, "t1")
    assert app.connection.execute("UPDATE task SET title = 'x'").rowcount == 1
    assert app.connection.execute("DELETE FROM task WHERE title = 'S2'").rowcount == 0
    app.connection.execute("INSERT INTO task (tenant_id, title) VALUES ('t1', 'new')")
    refused(app, "INSERT INTO task (tenant_id, title) VALUES ('t2', 'planted')")
    refused(app, "INSERT INTO task (tenant_id, title) SELECT 't2', title FROM task")
    refused(app, "UPDATE task SET tenant_id = 't2'")
    refused(app, "UPDATE task SET tenant_id = NULL")
    refused(
        app,
        "INSERT INTO project VALUES (2, 't1', 'mine') ON CONFLICT (id) DO UPDATE SET name = 'taken over'",
    )
    refused(app, "TRUNCATE task")
    refused(app, "ALTER TABLE task DISABLE ROW LEVEL SECURITY")
    become(app, "t2")
    assert ask(app, "SELECT title FROM task") == ["S2"]


def test_copy_is_judged_too(app: Lab) -> None:
    become(app, "t1")
    with app.connection.cursor().copy("COPY (SELECT title FROM task) TO STDOUT") as copy:
        assert b"".join(copy) == b"S1\n"
    with app.connection.cursor().copy("COPY task TO STDOUT") as copy:
        assert b"S2" not in b"".join(copy)
    # PostgreSQL refuses COPY FROM on a table with row level security, whatever the rows say.
    copying = app.connection.cursor().copy("COPY task (tenant_id, title) FROM STDIN")
    with pytest.raises(errors.FeatureNotSupported), app.connection.transaction(), copying as copy:
        copy.write(b"t2\tplanted\n")


def test_composite_keys_close_the_side_channel(app: Lab) -> None:
    become(app, "t1")
    told = {refused(app, f"INSERT INTO task (tenant_id, project_id) VALUES ('t1', {number})",
                    errors.ForeignKeyViolation).replace("#", "") for number in (2, 99)}  # fmt: skip
    assert len(told) == 1  # another tenant's project and none at all are refused alike
    app.connection.execute("INSERT INTO task (tenant_id, project_id) VALUES ('t1', 3)")


def test_link_tables_answer_alike_for_foreign_and_unknown_parents(app: Lab) -> None:
    become(app, "t1")
    told = {refused(app, f"INSERT INTO watcher VALUES ({number}, 'eve@example.com')") for number in (2, 99)}
    assert len(told) == 1
    refused(app, "UPDATE watcher SET project_id = 2")
    app.connection.execute("INSERT INTO watcher VALUES (3, 'c@example.com')")
    assert ask(app, "SELECT project_id FROM watcher ORDER BY 1") == [1, 3]


def test_link_tables_of_two_parents_need_both(app: Lab) -> None:
    app.run("RESET ROLE")
    app.as_owner(
        "CREATE TABLE link (project_id int, other_id int)",
        "INSERT INTO link VALUES (1, 3), (1, 2), (2, 2)",
        "GRANT SELECT, INSERT ON link TO {app}",
        *link_policy_ddl("link", {"project_id": "project", "other_id": f"{SCHEMA}.project"}),
    )
    app.run("SET LOCAL ROLE {app}")
    become(app, "t1")
    assert app.connection.execute("SELECT * FROM link").fetchall() == [(1, 3)]
    refused(app, "INSERT INTO link VALUES (1, 2)")


def test_a_company_is_a_view_inside_the_tenant(app: Lab) -> None:
    app.run("RESET ROLE")
    app.as_owner(
        "CREATE TABLE invoice (id int, tenant_id text, company_id text)",
        "INSERT INTO invoice VALUES (1, 't1', 'c1'), (2, 't1', 'c2'), (3, 't1', NULL), (4, 't2', 'c1')",
        "GRANT SELECT, INSERT, UPDATE ON invoice TO {app}",
        *policy_ddl("invoice", company="company_id"),
    )
    app.run("SET LOCAL ROLE {app}")
    expected = {("t1", ""): [1, 2, 3], ("t1", "c1"): [1], ("t1", "c9"): [], ("t2", ""): [4], ("", "c1"): []}
    for (tenant, company), seen in expected.items():
        become(app, tenant, company)
        assert ask(app, "SELECT id FROM invoice ORDER BY 1") == seen
    become(app, "t1", "c1")
    refused(app, "INSERT INTO invoice VALUES (5, 't1', 'c2')")
    refused(app, "INSERT INTO invoice VALUES (5, 't1', NULL)")
    refused(app, "UPDATE invoice SET company_id = 'c2'")
    app.connection.execute("INSERT INTO invoice VALUES (5, 't1', 'c1')")


@pytest.mark.parametrize(("kind", "key"), [("uuid", str(uuid.UUID(int=1))), ("bigint", "7"), ('"Key"', "t1")])
def test_keys_of_other_types_survive_a_reused_connection(app: Lab, kind: str, key: str) -> None:
    app.run("RESET ROLE")
    app.as_owner(
        'CREATE DOMAIN "Key" AS varchar(20)',
        f'CREATE TABLE "Typed" ("Tenant" {kind}, "select" int)',
        f"INSERT INTO \"Typed\" VALUES ('{key}', 1)",
        'GRANT SELECT ON "Typed" TO {app}',
        *policy_ddl("Typed", "Tenant", type=kind),
    )
    app.run("SET LOCAL ROLE {app}")
    become(app, key)
    assert ask(app, 'SELECT "select" FROM "Typed"') == [1]
    become(app, "")  # what a setting reads after the transaction that held it: no cast of '' may raise
    assert ask(app, 'SELECT "select" FROM "Typed"') == []


def test_the_policy_is_replaced_and_dropped(app: Lab) -> None:
    app.run("RESET ROLE")
    app.as_owner(*policy_ddl("task", replace=True), *policy_ddl(f"{SCHEMA}.task", replace=True))
    with pytest.raises(errors.DuplicateObject), app.connection.transaction():
        app.run(*policy_ddl("task", schema=SCHEMA))
    app.as_owner(*drop_policy_ddl("task"))
    app.as_app("SET LOCAL search_path = lab")
    app.run("SET LOCAL ROLE {app}")
    assert ask(app, "SELECT count(*) FROM task") == [2]


def test_the_owner_is_governed_too(app: Lab) -> None:
    app.run("RESET ROLE", "SET LOCAL ROLE {owner}")
    assert ask(app, "SELECT count(*) FROM task") == [0]


def test_the_setting_is_read_once_a_statement(app: Lab) -> None:
    plan = "\n".join(ask(app, "EXPLAIN SELECT * FROM task"))
    assert "InitPlan" in plan


# --- sealed --------------------------------------------------------------------------------------------------------

KEY, NEXT = Seal(b"k" * 32), Seal(b"a key that is longer than a block of the hash is hashed first, as RFC 2104 says")


@pytest.fixture
def sealed(app: Lab) -> Lab:
    app.run("RESET ROLE", f"GRANT CREATE ON DATABASE {app.connection.info.dbname} TO {{owner}}")
    app.as_owner(*seal_ddl(app.names["app"], schema="Seal"))
    app.as_owner(KEY.install_sql(schema="Seal").reveal(), NEXT.install_sql(schema="Seal").reveal())
    app.as_owner(
        "ALTER TABLE task ADD company text",
        *policy_ddl("task", sealed=True, seal_schema="Seal", company="company", replace=True),
    )
    app.run("SET LOCAL ROLE {app}")
    return app


def pid(app: Lab) -> int:
    return app.connection.info.backend_pid


@pytest.mark.parametrize("seal", [KEY, NEXT], ids=["short key", "long key"])
def test_a_sealed_value_opens_one_tenant(sealed: Lab, seal: Seal) -> None:
    become(sealed, seal.value("t1", "", pid(sealed)))
    assert ask(sealed, "SELECT title FROM task") == ["S1"]
    refused(sealed, "INSERT INTO task (tenant_id, title) VALUES ('t2', 'planted')")


def test_injected_settings_open_nothing(sealed: Lab) -> None:
    mine = KEY.value("t1", "", pid(sealed))
    mac, _, rest = mine.partition(".")
    forged = [
        "t2", "", "'", mac, f"{mac}.", f"{mac}.0.", f"{mac}.0.t2", f"{mac}.1.t2", f"{mac}.2.t1", f"{mac}.999.t1",
        f"{'0' * 64}.{rest}", mine.upper(), f" {mine}", f"{mine}\n", mine[:-1], f"{mac[:-1]}.{rest}",
        KEY.value("t2", "", pid(sealed) + 1), Seal(b"x" * 32).value("t2", "", pid(sealed)),
    ]  # fmt: skip
    for value in forged:
        become(sealed, value)
        assert ask(sealed, "SELECT title FROM task") == [], value


def test_a_seal_holds_the_company_too(sealed: Lab) -> None:
    sealed.run("RESET ROLE", "ALTER TABLE task DISABLE ROW LEVEL SECURITY", "UPDATE task SET company = 'c1'")
    sealed.run(
        "INSERT INTO task (tenant_id, title) VALUES ('t1', 'whole')", "ALTER TABLE task ENABLE ROW LEVEL SECURITY"
    )
    sealed.run("SET LOCAL ROLE {app}")
    become(sealed, KEY.value("t1", "c1", pid(sealed)), "c1")
    assert ask(sealed, "SELECT title FROM task") == ["S1"]
    sealed.connection.execute("SELECT set_config('wst.company', '', true)")  # injected, to see the whole tenant
    assert ask(sealed, "SELECT title FROM task") == ["S1"]
    become(sealed, KEY.value("t1", "", pid(sealed)))
    assert sorted(ask(sealed, "SELECT title FROM task")) == ["S1", "whole"]


def test_no_byte_moves_between_tenant_and_company(sealed: Lab) -> None:
    mac = KEY.value("t1", "c", pid(sealed)).partition(".")[0]
    become(sealed, f"{mac}.0.ct1")
    assert ask(sealed, "SELECT title FROM task") == []


@pytest.mark.parametrize("tenant", ["t1", "ä", "a.b", "1.x", "'; --", "\\", "😀"])
@pytest.mark.parametrize("company", ["", "é", "12.", "😀"])
def test_what_python_seals_postgres_opens(sealed: Lab, tenant: str, company: str) -> None:
    become(sealed, KEY.value(tenant, company, pid(sealed)))
    assert sealed.connection.execute('SELECT "Seal".opened()').fetchall() == [([tenant, company],)]


def test_the_key_is_closed_and_ends(sealed: Lab) -> None:
    refused(sealed, 'SELECT * FROM "Seal".key')
    refused(sealed, 'INSERT INTO "Seal".key SELECT NULL, NULL')
    refused(sealed, "CREATE FUNCTION \"Seal\".now() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    sealed.run("RESET ROLE")
    sealed.as_owner(KEY.remove_sql(schema="Seal").reveal())
    sealed.run("SET LOCAL ROLE {app}")
    become(sealed, KEY.value("t1", "", pid(sealed)))
    assert ask(sealed, "SELECT title FROM task") == []
    become(sealed, NEXT.value("t1", "", pid(sealed)))
    assert ask(sealed, "SELECT title FROM task") == ["S1"]


def test_the_caller_chooses_no_objects_of_the_function(sealed: Lab) -> None:
    sealed.connection.execute(
        "CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT ''::bytea $$;"
        "CREATE FUNCTION pg_temp.pg_backend_pid() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "SET LOCAL search_path = pg_temp, pg_catalog, lab"
    )
    become(sealed, KEY.value("t2", "", 1))
    assert ask(sealed, "SELECT title FROM lab.task") == []


def test_a_parallel_plan_opens_too(sealed: Lab) -> None:
    sealed.run("RESET ROLE", "SET LOCAL force_parallel_mode = regress" if sealed.connection.info.server_version < 160000
               else "SET LOCAL debug_parallel_query = regress", "SET LOCAL ROLE {app}")  # fmt: skip
    become(sealed, KEY.value("t1", "", pid(sealed)))
    assert ask(sealed, "SELECT count(*) FROM task") == [1]


def test_replay_on_the_same_server_process_is_possible_and_said(sealed: Lab) -> None:
    become(sealed, KEY.value("t1", "", pid(sealed)))
    (seen,) = ask(sealed, "SELECT current_setting('wst.tenant')")
    become(sealed, "")
    become(sealed, seen)
    assert ask(sealed, "SELECT title FROM task") == ["S1"]
    from wellstreak_trust.tenancy.postgres import seal

    assert "replay on the same server process" in (seal.__doc__ or "")


def test_the_seal_is_uninstalled_once_nothing_asks_it(sealed: Lab) -> None:
    sealed.run("RESET ROLE")
    with pytest.raises(errors.DependentObjectsStillExist), sealed.connection.transaction():
        sealed.run(*drop_seal_ddl(schema="Seal"))
    sealed.as_owner(*policy_ddl("task", replace=True), *drop_seal_ddl(schema="Seal"))


def test_a_seal_never_prints_its_key() -> None:
    assert "k" * 8 not in repr(KEY) + str(vars(type(KEY))) + repr(KEY.install_sql()) + str(KEY.remove_sql())


# --- composite keys ------------------------------------------------------------------------------------------------


def test_composite_keys_are_rolled_out_on_tables_at_work(lab_url: str) -> None:
    """Outside a transaction, as ``CONCURRENTLY`` asks, in a schema of its own."""
    with psycopg.connect(lab_url, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA rollout; SET search_path = rollout;"
            "CREATE TABLE project (id int PRIMARY KEY, tenant_id text NOT NULL);"
            'CREATE TABLE "Task" (id int, tenant_id text NOT NULL, project_id int CONSTRAINT old REFERENCES project);'
            "INSERT INTO project VALUES (1, 't1'), (2, 't2');"
            "INSERT INTO \"Task\" VALUES (1, 't1', 1), (2, 't1', 2), (3, 't1', NULL)"
        )
        steps = composite_key_ddl("Task", "project", {"project_id": "id"}, on_delete="SET NULL", replaces="old")
        wrong = mismatch_query("Task", "project", {"project_id": "id"})
        *before, validate, drop = steps
        for step in before:
            connection.execute(step)
        with pytest.raises(errors.ForeignKeyViolation):  # for new rows the key holds already
            connection.execute("INSERT INTO \"Task\" VALUES (4, 't1', 2)")
        with pytest.raises(errors.ForeignKeyViolation):
            connection.execute(validate)
        assert [row[0] for row in connection.execute(wrong).fetchall()] == [2]
        connection.execute('DELETE FROM "Task" WHERE id = 2')
        assert connection.execute(wrong).fetchall() == []
        connection.execute(validate)
        connection.execute(drop)
        connection.execute("DELETE FROM project WHERE id = 1")  # the action spares the tenant
        assert connection.execute('SELECT * FROM "Task" ORDER BY 1').fetchall() == [(1, "t1", None), (3, "t1", None)]
        connection.execute("DROP SCHEMA rollout CASCADE")
