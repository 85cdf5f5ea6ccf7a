"""The doctor: each fault is planted and found, its hint is run, and it is gone; a clean schema gives nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rls_lab import SCHEMA, Lab
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core.errors import UsageError
from wellstreak_trust.tenancy.postgres import CODES, doctor, policy_ddl, seal_ddl

READS = "CREATE FUNCTION me() RETURNS text STABLE LANGUAGE sql AS $$ SELECT {} $$;"
SETTING = "current_setting('wst.tenant', true)"
ONCE = "(SELECT nullif(current_setting('wst.tenant', true), ''))"
OPEN = "CREATE TABLE plain (tenant_id text NOT NULL, name text); CREATE INDEX ON plain (tenant_id);"
SECURED = f"{OPEN} ALTER TABLE plain ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"


def policy(rule: str, head: str = "FOR ALL", check: str | None = None, table: str = "plain") -> str:
    checked = f" WITH CHECK ({check})" if check else ""
    return f"CREATE POLICY p ON {table} {head} USING ({rule}){checked};"


@dataclass(frozen=True)
class Plant:
    """A fault: what is planted, by whom, and the codes it must give."""

    sql: str
    codes: str
    by: str = "owner"
    heals: bool = True


PLANTS = {
    # Row level security itself.
    "RL01 no row level security": Plant(OPEN, "rls_disabled"),
    "policies without row level security": Plant(OPEN + policy(f"tenant_id = {ONCE}"), "rls_disabled"),
    "not forced": Plant("ALTER TABLE task NO FORCE ROW LEVEL SECURITY", "rls_not_forced"),
    "RL03 no policy": Plant(SECURED, "rls_no_policy"),
    "only a restrictive policy": Plant(SECURED + policy(f"tenant_id = {ONCE}", "AS RESTRICTIVE"), "rls_no_policy"),
    "a policy for another role alone": Plant(
        SECURED + policy(f"tenant_id = {ONCE}", "TO {other}"), "rls_no_policy", heals=True
    ),
    # Policies that let others pass.
    "constant": Plant(SECURED + policy("true"), "policy_ignores_tenant"),
    "constant comparison": Plant(SECURED + policy("tenant_id = 't1'"), "policy_ignores_tenant"),
    "another open policy beside ours": Plant(policy("true", "FOR SELECT", table="task"), "policy_ignores_tenant"),
    "OR escape": Plant(SECURED + policy(f"tenant_id = {ONCE} OR name = 'shared'"), "policy_ignores_tenant"),
    "OR flag in a setting": Plant(
        SECURED + policy(f"tenant_id = {ONCE} OR current_setting('app.bypass', true) = 'on'"), "policy_ignores_tenant"
    ),
    "empty means all": Plant(SECURED + policy(f"tenant_id = {ONCE} OR {ONCE} IS NULL"), "policy_ignores_tenant"),
    "COALESCE to the row's own": Plant(
        SECURED + policy(f"tenant_id = coalesce({ONCE}, tenant_id)"), "policy_ignores_tenant"
    ),
    "COALESCE to a default tenant": Plant(
        SECURED + policy(f"tenant_id = coalesce({ONCE}, 't1')"), "policy_ignores_tenant"
    ),
    "a shared tenant beside": Plant(SECURED + policy(f"tenant_id IN ({ONCE}, 'shared')"), "policy_ignores_tenant"),
    "IS NOT FALSE": Plant(SECURED + policy(f"(tenant_id = {ONCE}) IS NOT FALSE"), "policy_ignores_tenant"),
    "NOT": Plant(SECURED + policy(f"NOT (tenant_id = {ONCE})"), "policy_ignores_tenant"),
    "unequal": Plant(SECURED + policy(f"tenant_id <> {ONCE}"), "policy_ignores_tenant"),
    "LIKE": Plant(SECURED + policy(f"tenant_id LIKE {ONCE}"), "policy_ignores_tenant"),
    "CASE": Plant(
        SECURED + policy(f"CASE WHEN name IS NULL THEN true ELSE tenant_id = {ONCE} END"), "policy_ignores_tenant"
    ),
    "the setting compared with another column": Plant(SECURED + policy(f"name = {ONCE}"), "policy_ignores_tenant"),
    "the setting named in a string": Plant(
        SECURED + policy("tenant_id = 'current_setting(' || name"), "policy_ignores_tenant"
    ),
    "WITH CHECK is open": Plant(SECURED + policy(f"tenant_id = {ONCE}", check="true"), "policy_ignores_tenant"),
    "INSERT is open": Plant(
        SECURED + policy(f"tenant_id = {ONCE}", "FOR SELECT") + "CREATE POLICY q ON plain FOR INSERT WITH CHECK (true)",
        "policy_ignores_tenant",
    ),
    "UPDATE moves rows": Plant(
        SECURED + policy(f"tenant_id = {ONCE}", "FOR UPDATE", check="name IS NOT NULL"), "policy_ignores_tenant"
    ),
    "restrictive for reads, open for all": Plant(
        SECURED + "CREATE POLICY q ON plain USING (true);" + policy(f"tenant_id = {ONCE}", "AS RESTRICTIVE FOR SELECT"),
        "policy_ignores_tenant",
    ),
    "restrictive for another role": Plant(
        SECURED + "CREATE POLICY q ON plain USING (true);" + policy(f"tenant_id = {ONCE}", "AS RESTRICTIVE TO {other}"),
        "policy_ignores_tenant",
    ),
    # Policies that read the setting badly.
    "RL16 no nullif": Plant(
        SECURED + policy("tenant_id = (SELECT current_setting('wst.tenant', true))"), "policy_without_nullif"
    ),
    "no nullif, cast": Plant(
        "CREATE TABLE plain (tenant_id uuid NOT NULL); CREATE INDEX ON plain (tenant_id);"
        "ALTER TABLE plain ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        + policy("tenant_id = current_setting('wst.tenant', true)::uuid"),
        "policy_without_nullif policy_not_initplan",
    ),
    "once a row": Plant(
        SECURED + policy("tenant_id = nullif(current_setting('wst.tenant', true), '')"), "policy_not_initplan"
    ),
    "a function without nullif": Plant(
        SECURED + READS.format(SETTING) + policy("tenant_id = (SELECT me())"),
        "policy_without_nullif",
    ),
    "a function that reads no setting": Plant(
        SECURED + READS.format("'t1'::text") + policy("tenant_id = (SELECT me())"),
        "policy_ignores_tenant",
    ),
    # The column and its keys.
    "RL05 nullable": Plant("ALTER TABLE task ALTER tenant_id DROP NOT NULL", "tenant_nullable"),
    "RL06 not indexed": Plant("DROP INDEX task_tenant_id_project_id_idx", "tenant_not_indexed"),
    "index on an expression": Plant(
        "DROP INDEX task_tenant_id_project_id_idx; CREATE INDEX ON task (lower(tenant_id))", "tenant_not_indexed"
    ),
    "partial index": Plant(
        "DROP INDEX task_tenant_id_project_id_idx; CREATE INDEX ON task (tenant_id) WHERE title IS NULL",
        "tenant_not_indexed",
    ),
    "tenant second": Plant(
        "DROP INDEX task_tenant_id_project_id_idx; CREATE INDEX ON task (project_id, tenant_id)", "tenant_not_indexed"
    ),
    "RL11 unique index": Plant("CREATE UNIQUE INDEX ON task (title)", "unique_without_tenant"),
    "unique constraint": Plant("ALTER TABLE task ADD UNIQUE (title)", "unique_without_tenant"),
    "deferrable unique constraint": Plant(
        "ALTER TABLE task ADD UNIQUE (title) DEFERRABLE INITIALLY DEFERRED", "unique_without_tenant"
    ),
    "partial unique index": Plant("CREATE UNIQUE INDEX ON task (title) WHERE title <> ''", "unique_without_tenant"),
    "unique expression": Plant("CREATE UNIQUE INDEX ON task (lower(title))", "unique_without_tenant"),
    "tenant only included": Plant("CREATE UNIQUE INDEX ON task (title) INCLUDE (tenant_id)", "unique_without_tenant"),
    "natural primary key": Plant(
        "ALTER TABLE task DROP CONSTRAINT task_pkey; ALTER TABLE task ADD PRIMARY KEY (title)", "unique_without_tenant"
    ),
    "RL10 foreign key": Plant(
        "ALTER TABLE task DROP CONSTRAINT task_tenant_id_project_id_fkey,"
        " ADD FOREIGN KEY (project_id) REFERENCES project ON DELETE SET NULL",
        "fk_without_tenant",
    ),
    "foreign key beside a composite one": Plant(
        "ALTER TABLE task ADD FOREIGN KEY (project_id) REFERENCES project", "fk_without_tenant"
    ),
    "cascading foreign key": Plant(
        "ALTER TABLE task ADD FOREIGN KEY (project_id) REFERENCES project ON DELETE CASCADE", "fk_without_tenant"
    ),
    "deferrable foreign key": Plant(
        "ALTER TABLE task ADD FOREIGN KEY (project_id) REFERENCES project DEFERRABLE", "fk_without_tenant"
    ),
    "foreign key to itself": Plant("ALTER TABLE task ADD parent_id bigint REFERENCES task", "fk_without_tenant"),
    "link table without policy": Plant(
        "CREATE TABLE link (project_id int REFERENCES project); GRANT SELECT ON link TO {app}", "fk_without_tenant"
    ),
    "link table with an open policy": Plant(
        "CREATE POLICY q ON watcher FOR SELECT USING (true)", "fk_without_tenant", heals=False
    ),
    # What policies do not govern.
    "definer view": Plant("CREATE VIEW v AS SELECT * FROM task; GRANT SELECT ON v TO {app}", "view_not_invoker"),
    "definer view, one column granted": Plant(
        "CREATE VIEW v AS SELECT * FROM task; GRANT SELECT (title) ON v TO PUBLIC", "view_not_invoker"
    ),
    "definer view that nobody reads yet": Plant("CREATE VIEW v AS SELECT * FROM task", "view_not_invoker"),
    "definer view over an invoker view": Plant(
        "CREATE VIEW v AS SELECT * FROM titles; GRANT SELECT ON v TO {app}", "view_not_invoker"
    ),
    "RL08 materialised view": Plant(
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM task; GRANT SELECT ON m TO {app}", "matview"
    ),
    "materialised view over a view": Plant(
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM titles; GRANT SELECT ON m TO PUBLIC", "matview"
    ),
    "leaf partition": Plant(
        "CREATE TABLE part (tenant_id text NOT NULL) PARTITION BY LIST (tenant_id); CREATE INDEX ON part (tenant_id);"
        "CREATE TABLE part_t1 PARTITION OF part FOR VALUES IN ('t1'); GRANT SELECT ON part_t1 TO {app};"
        + ";".join(policy_ddl("part")),
        "partition_exposed",
    ),
    "leaf partition, one column granted": Plant(
        "CREATE TABLE part (tenant_id text NOT NULL) PARTITION BY LIST (tenant_id); CREATE INDEX ON part (tenant_id);"
        "CREATE TABLE part_t1 PARTITION OF part FOR VALUES IN ('t1'); GRANT SELECT (tenant_id) ON part_t1 TO {app};"
        + ";".join(policy_ddl("part")),
        "partition_exposed",
    ),
    "inheritance child": Plant(
        "CREATE TABLE heir () INHERITS (task); CREATE INDEX ON heir (tenant_id)", "rls_disabled"
    ),
    "foreign table": Plant(
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
        f"CREATE FOREIGN TABLE {SCHEMA}.far (tenant_id text) SERVER s; GRANT SELECT ON {SCHEMA}.far TO {{app}}",
        "foreign_table",
        by="superuser",
    ),
    "definer function": Plant(
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'", "definer_search_path"
    ),
    "definer procedure with arguments": Plant(
        'CREATE PROCEDURE "F"(a int, "B" text) LANGUAGE sql SECURITY DEFINER AS \'SELECT 1\'', "definer_search_path"
    ),
    "RL13 TRUNCATE": Plant("GRANT TRUNCATE ON task TO {app}", "truncate_granted"),
    "RL13 TRUNCATE to PUBLIC": Plant("GRANT TRUNCATE ON task TO PUBLIC", "truncate_granted"),
    "RL13 REFERENCES": Plant("GRANT REFERENCES ON task TO {app}", "references_granted"),
    "RL13 REFERENCES on a column": Plant("GRANT REFERENCES (id) ON task TO {app}", "references_granted"),
    "TRIGGER": Plant("GRANT TRIGGER ON task TO {app}", "trigger_granted"),
    "ALL": Plant("GRANT ALL ON task TO {app}", "truncate_granted references_granted trigger_granted"),
    "default privileges": Plant("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {app}", "default_privileges"),
    "default privileges in the schema": Plant(
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA} GRANT ALL ON TABLES TO PUBLIC", "default_privileges"
    ),
    "publication": Plant(f"CREATE PUBLICATION p FOR TABLE {SCHEMA}.task", "published", by="superuser"),
    "publication of a schema": Plant(
        f"CREATE PUBLICATION p FOR TABLES IN SCHEMA {SCHEMA}", "published", by="superuser"
    ),
    "publication of everything": Plant("CREATE PUBLICATION p FOR ALL TABLES", "published", by="superuser"),
    # Roles.
    "owner": Plant(f"ALTER TABLE {SCHEMA}.task OWNER TO {{app}}", "owner_is_app", by="superuser", heals=False),
    "owner reachable": Plant("GRANT {owner} TO {app}", "owner_reachable", by="superuser"),
    "owner reachable by a chain that inherits nothing": Plant(
        "ALTER ROLE {app} NOINHERIT; ALTER ROLE {other} NOINHERIT; GRANT {owner} TO {other}; GRANT {other} TO {app}",
        "owner_reachable",
        by="superuser",
    ),
    "BYPASSRLS": Plant("ALTER ROLE {app} BYPASSRLS", "role_bypasses", by="superuser"),
    "BYPASSRLS reachable": Plant(
        "ALTER ROLE {app} NOINHERIT; ALTER ROLE {other} BYPASSRLS; GRANT {other} TO {app}",
        "role_bypasses",
        by="superuser",
    ),
    "superuser reachable": Plant(
        "ALTER ROLE {other} SUPERUSER; GRANT {other} TO {app}", "role_bypasses", by="superuser"
    ),
    "server files": Plant("GRANT pg_read_server_files TO {app}", "role_escapes", by="superuser"),
    "REPLICATION": Plant("ALTER ROLE {app} REPLICATION", "role_escapes", by="superuser"),
    "TRUNCATE by a role it can become": Plant(
        f"ALTER ROLE {{app}} NOINHERIT; GRANT {{other}} TO {{app}}; GRANT TRUNCATE ON {SCHEMA}.task TO {{other}}",
        "truncate_granted",
        by="superuser",
    ),
    # Settings.
    "a tenant by default": Plant("ALTER ROLE {app} SET wst.tenant = 't1'", "setting_preset", by="superuser"),
    # Types and names.
    "an array": Plant("CREATE TABLE plain (tenant_id text[] NOT NULL)", "rls_disabled tenant_not_indexed", heals=False),
    "a type of two words": Plant(
        "CREATE TABLE plain (tenant_id double precision NOT NULL)", "rls_disabled tenant_not_indexed", heals=False
    ),
    "odd names": Plant(
        'CREATE TABLE "Odd "" Table" (tenant_id uuid, "Na me" text UNIQUE)',
        "rls_disabled tenant_nullable tenant_not_indexed unique_without_tenant",
    ),
}


def plant(lab: Lab, what: Plant) -> None:
    (lab.as_owner if what.by == "owner" else lab.run)(what.sql)


@pytest.mark.parametrize("what", PLANTS.values(), ids=PLANTS)
def test_a_fault_is_found_and_healed_by_its_hint(lab: Lab, what: Plant) -> None:
    plant(lab, what)
    found = lab.examine()
    assert {each.code for each in found} == set(what.codes.split())
    assert all(each.hint for each in found)
    if what.heals:
        lab.heal(found)
        assert lab.examine() == []


SOUND = {
    "as built": "",
    "restrictive tenant, permissive roles": SECURED
    + "CREATE POLICY q ON plain USING (true);"
    + policy(f"tenant_id = {ONCE}", "AS RESTRICTIVE"),
    "restrictive for each command": SECURED
    + "CREATE POLICY q ON plain USING (true);"
    + "".join(
        f"CREATE POLICY r{place} ON plain AS RESTRICTIVE FOR {command};"
        for place, command in enumerate(
            (
                f"SELECT USING (tenant_id = {ONCE})",
                f"INSERT WITH CHECK (tenant_id = {ONCE})",
                f"UPDATE USING (tenant_id = {ONCE})",
                f"DELETE USING (tenant_id = {ONCE})",
            )
        )
    ),
    "one command alone": SECURED + policy(f"tenant_id = {ONCE}", "FOR SELECT"),
    "several sound policies": SECURED
    + policy(f"tenant_id = {ONCE} AND (name = 'a' OR name IS NULL)")
    + f"CREATE POLICY q ON plain FOR DELETE USING ({ONCE} = tenant_id AND name = 'x');",
    "OR of two comparisons": SECURED
    + policy(f"(tenant_id = {ONCE} AND name = 'a') OR (tenant_id = {ONCE} AND name <> 'a')"),
    "an open policy for a role out of reach": SECURED
    + policy(f"tenant_id = {ONCE}")
    + "CREATE POLICY q ON plain TO {other} USING (true);",
    "a function with nullif": SECURED + READS.format(f"nullif({SETTING}, '')") + policy("tenant_id = (SELECT me())"),
    "uuid": "CREATE TABLE plain (tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id));"
    + ";".join(policy_ddl("plain", type="uuid")),
    "bigint": "CREATE TABLE plain (tenant_id bigint NOT NULL, PRIMARY KEY (tenant_id));"
    + ";".join(policy_ddl("plain", type="bigint")),
    "a domain": 'CREATE DOMAIN "Key" AS varchar(20);'
    'CREATE TABLE plain (tenant_id "Key" NOT NULL, PRIMARY KEY (tenant_id));'
    + ";".join(policy_ddl("plain", type='"Key"')),
    "company": "CREATE TABLE plain (tenant_id text NOT NULL, company_id text, UNIQUE (tenant_id, company_id));"
    + ";".join(policy_ddl("plain", company="company_id")),
    "quoted names": 'CREATE TABLE "Plain" (tenant_id text NOT NULL, "Id" int, PRIMARY KEY (tenant_id, "Id"));'
    + ";".join(policy_ddl("Plain")),
    "a dropped tenant column": "CREATE TABLE plain (tenant_id text, name text); ALTER TABLE plain DROP tenant_id;",
    "partitions that are closed": "CREATE TABLE part (tenant_id text NOT NULL) PARTITION BY LIST (tenant_id);"
    "CREATE INDEX ON part (tenant_id); CREATE TABLE part_t1 PARTITION OF part FOR VALUES IN ('t1');"
    "GRANT SELECT ON part TO {app};" + ";".join(policy_ddl("part")),
    "unique over the tenant in an expression": "CREATE UNIQUE INDEX ON task ((tenant_id || '/' || title));",
    "a definer function with a search_path": "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER "
    "SET search_path = pg_catalog, pg_temp AS 'SELECT 1';",
    "a definer view over shared tables": "CREATE VIEW v AS SELECT * FROM country; GRANT SELECT ON v TO {app};",
    "a closed materialised view": "CREATE MATERIALIZED VIEW m AS SELECT * FROM task;",
    "grants to others": "GRANT ALL ON task TO {other};",
}


@pytest.mark.parametrize("sql", SOUND.values(), ids=SOUND)
def test_a_sound_schema_gives_nothing(lab: Lab, sql: str) -> None:
    if sql:
        lab.as_owner(sql)
    assert lab.examine() == []


def test_a_sealed_schema_gives_nothing_and_a_plain_one_is_told(lab: Lab) -> None:
    assert {each.code for each in lab.examine(sealed=True)} == {"policy_not_sealed"}
    lab.run(*seal_ddl(lab.names["app"], schema="lab_seal"))
    lab.as_owner("DROP TABLE watcher", "DROP VIEW titles")
    lab.run(f"GRANT USAGE ON SCHEMA lab_seal TO {lab.names['owner']}")
    for table in ("project", "task"):
        lab.as_owner(*policy_ddl(table, sealed=True, seal_schema="lab_seal", replace=True))
    assert lab.examine(sealed=True, seal_schema="lab_seal", schemas=("lab", "lab_seal")) == []
    lab.run("GRANT SELECT (inner_pad) ON lab_seal.key TO {app}")
    found = lab.examine(sealed=True, seal_schema="lab_seal", schemas=("lab", "lab_seal"))
    assert [each.code for each in found] == ["seal_key_readable"]
    lab.heal(found)
    assert lab.examine(sealed=True, seal_schema="lab_seal", schemas=("lab", "lab_seal")) == []


@pytest.mark.asvs("13.2.2")
def test_the_owner_and_the_superuser_are_findings_themselves(lab: Lab) -> None:
    assert lab.codes("owner") == {"owner_is_app"}
    assert "role_bypasses" in lab.codes("postgres")


def test_shared_tables_are_excluded_by_name_and_pattern(lab: Lab) -> None:
    lab.as_owner(OPEN)
    assert lab.codes() == {"rls_disabled"}
    for pattern in ("plain", "lab.plain", "pl*", "lab.p?ain"):
        assert lab.examine(exclude=(pattern,)) == []
    assert lab.codes(exclude=("other.plain", "plai")) == {"rls_disabled"}


def test_the_tenant_column_may_have_other_names(lab: Lab) -> None:
    lab.as_owner('CREATE TABLE plain ("Workspace" int NOT NULL, tenant_id text)')
    assert {each.code for each in lab.examine(columns=("Workspace",))} >= {"rls_disabled", "tenant_not_indexed"}
    found = lab.examine(columns=("Workspace", "tenant_id"))
    assert {each.object for each in found} == {"lab.plain"}
    lab.heal(found)
    assert lab.examine(columns=("Workspace", "tenant_id")) == []


def test_other_schemas_are_looked_at_unless_named(lab: Lab) -> None:
    lab.run("CREATE SCHEMA elsewhere", "CREATE TABLE elsewhere.t (tenant_id text NOT NULL PRIMARY KEY)")
    assert lab.examine() == []
    assert {each.object for each in lab.examine(schemas=None) if each.code == "rls_disabled"} == {"elsewhere.t"}


def test_findings_are_sorted_and_every_code_is_known(lab: Lab) -> None:
    lab.as_owner(OPEN, "GRANT ALL ON task TO {app}", "CREATE UNIQUE INDEX ON task (title)", "DROP VIEW titles")
    found = lab.examine()
    assert [each.severity for each in found] == sorted(each.severity for each in found)
    assert found == sorted(found, key=lambda each: each.rank)
    assert all(each.code in CODES and CODES[each.code].title == each.title for each in found)


def test_every_case_of_the_list_is_tried(vectors: Callable[[str], Any]) -> None:
    cases = {case["id"] for case in vectors("tenancy/other.json")["postgres"]}
    tests = "".join(path.read_text().lower() for path in Path(__file__).parent.glob("test_*.py"))
    assert cases
    assert not [case for case in cases if f"{case.lower()} " not in tests and f"_{case.lower()}_" not in tests]


def test_every_code_is_planted_somewhere() -> None:
    planted = {code for what in PLANTS.values() for code in what.codes.split()}
    assert CODES.keys() - planted == {"policy_not_sealed", "seal_key_readable"}  # planted in a test of their own


def test_every_kind_of_connection_is_taken(lab_url: str) -> None:
    with psycopg.connect(lab_url) as connection:
        expected = doctor(connection)
    assert {each.code for each in expected} >= {"role_bypasses"}
    engine = create_engine(lab_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        assert doctor(connection) == expected
    engine.dispose()


@pytest.mark.anyio
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_asynchronous_connections_are_taken(lab_url: str, driver: str) -> None:
    engine = create_async_engine(lab_url.replace("postgresql:", f"postgresql+{driver}:"))
    async with engine.connect() as connection:
        found = await connection.run_sync(doctor)
    await engine.dispose()
    assert {each.code for each in found} >= {"role_bypasses"}


@pytest.mark.parametrize(
    "options", [{"columns": ()}, {"columns": "tenant_id"}, {"schemas": "public"}, {"exclude": "t"}], ids=str
)
def test_text_is_no_collection(lab: Lab, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        lab.examine(**options)
