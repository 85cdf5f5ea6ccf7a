"""What SQL text reads from, without a database."""

from __future__ import annotations

import pytest

from wellstreak_trust.tenancy.django import config, registry, text
from wellstreak_trust.tenancy.django.registry import Table


def _forget():
    text._complaint.cache_clear()
    text._residue_complaint.cache_clear()
    text._VERDICTS.clear()


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(config.CONFIG, "_shared", frozenset(("house_cache",)))  # Django has no settings here
    monkeypatch.setattr(config.CONFIG, "_models", frozenset())
    told = registry._Registry()
    told.tables = {
        "project": Table("project", (("tenant_id", "tenant_id"),)),
        "task": Table("Task", (("t", "tenant_id"),)),
    }
    told.shared = {"root", "entry", "django_session"}
    monkeypatch.setattr(registry, "_REGISTRY", told)
    _forget()
    yield
    _forget()


HARMLESS = [
    "select 1",
    "select value from house_cache",
    "select name from root where id = %s",
    "SELECT r.id, e.text FROM root r, entry AS e WHERE e.id = r.id",
    "select * from root left join entry on true",
    "select name, code from root order by name",
    "select * from public.root",
    "select 'project', id from root -- from project",
    "select * from root /* join project */",
    "select extract(epoch from now()), substring(name from 2), trim(both from name) from root",
    "select 1 where 1 is distinct from 2 and 3 is not distinct from 3",
    "insert into entry (text) values ('from me to project')",
    "insert into entry (text) select name from root on conflict do update set text = 'x'",
    "update root set name = %s where id in (select id from entry)",
    "delete from entry using root where root.id = entry.id",
    "with x as (select * from root), y (a, b) as materialized (select 1, 2) select * from x, y",
    "with recursive n as (select 1 union all select * from n) select * from n",
    "select * from generate_series(1, 3), unnest(array[1]) with ordinality u",
    "select relname from pg_class join pg_namespace on true",
    "select * from information_schema.columns",
    "select name from sqlite_master",
    'PRAGMA table_info("project")',
    'SAVEPOINT "s1"',
    'ROLLBACK TO SAVEPOINT "s1"',
    "set local statement_timeout = 100",
    "select pg_advisory_xact_lock(1)",
    "select * from root for update of root skip locked",
    "create table copies (id int)",
    "create index on project (id)",
    "select project.id from root project",
    "select name from root group by name having count(*) > 1 limit 3",
    "",
]
REFUSED = [
    "select * from project",
    'select * from "project"',
    "select * from `project`",
    "select * from [project]",
    "select * from PROJECT",
    "select * from task",
    'select * from "Task"',
    "select * from public.project",
    'select * from "public"."project"',
    "select * from only project",
    "select * from root, project",
    "select * from root r, entry e, project",
    "select * from (root join project on true)",
    "select * from (root), (project)",
    "select * from ((project))",
    "select (select secret from project limit 1)",
    "select exists(select from project)",
    "select * from root where id in (select id from project)",
    "with x as (select * from project) select * from x",
    "with x as (delete from project returning *) select * from x",
    "select secret/**/from/**/project",
    "select 1 union select secret from project",
    "table project",
    "update project set secret = 1",
    "update root set name = p.secret from project p",
    "insert into project values (1)",
    "insert into entry select secret from project",
    "delete from project",
    "delete from root using project",
    "truncate project",
    "truncate table root, project",
    "copy project to stdout",
    "merge into project using root on true when matched then delete",
    "lock table project",
    "create table copies as select * from project",
    "create view peek as select * from project",
    "alter table project rename to x",
    "drop table project",
    "select * from all_projects",
    "select * from root join a_view on true",
    "select * from everything()",
    "do $$ begin perform 1; end $$",
    "execute plan",
    "call everything()",
    "prepare x as select * from project",
    "select query_to_xml('select * from project', true, true, '')",
    "select dblink('host', 'select 1')",
    "select custom('select secret from project')",
    "select custom($q$select secret from project$q$)",
    "select set_config('wst.tenant', 't2', true)",
    "set local wst.tenant = 't2'",
    "reset wst.tenant",
    "select * from root; select * from project",
    'select * from U&"proj\\0065ct"',
    "explain analyze select * from project",
    "declare c cursor for select * from project",
    "select * from root lateral join project on true",
    "select '\\', secret from project --'",
    "select e'\\'', secret from project --'",
    "select $a$, secret from project, $a$",
    "select custom('select title from \"Task\"')",
    "select * from root, lateral (select * from project) p",
    "select * from 'project'",
    "select * from root, 'Project'",
]


@pytest.mark.parametrize("sql", HARMLESS)
def test_harmless(sql):
    assert text.complaint(sql) == ""


@pytest.mark.parametrize("sql", REFUSED)
def test_refused(sql):
    assert text.complaint(sql)


@pytest.mark.parametrize(
    "sql", ["length(name)", "project.name = %s", "1 = 1 or true", "extract(year from now()) > 2", "a in (1)"]
)
def test_fragment(sql):
    assert text.fragment_complaint(sql) == ""


@pytest.mark.parametrize(
    "sql",
    [
        "1=1) or (1=1",
        "1=1) --",
        "1 /* x",
        "(1",
        "1; drop table root",
        "(select secret from project)",
        "exists (table project)",
        "id in (select id from a_view)",
        "'a' = ')' or (1",
    ],
)
def test_refused_fragment(sql):
    assert text.fragment_complaint(sql)


OWN = 'SELECT "project"."name" FROM "project" WHERE ("project"."tenant_id" = %s)'


@pytest.mark.parametrize(
    ("sql", "named", "pieces"),
    [
        (OWN, ("project",), []),
        (f'SELECT "root"."id" FROM "root" WHERE "root"."id" IN ({OWN})', (), [OWN]),
        (f"SELECT COUNT(*) FROM ({OWN}) subquery", (), [OWN]),
        (f"({OWN}) UNION ({OWN})", (), [OWN, OWN]),
        ('SELECT EXTRACT(YEAR FROM "project"."name") FROM "project"', ("project",), []),
        ('INSERT INTO "project" ("name") VALUES (%s), (%s), (%s)', ("project",), []),
        ('SELECT 1 FROM "project" INNER JOIN "project" T2 ON ("project"."id" = T2."id")', ("project", "project"), []),
    ],
)
def test_statement(sql, named, pieces):
    assert text.statement_complaint(sql, named, pieces) == ""


@pytest.mark.parametrize(
    ("sql", "named", "pieces"),
    [
        (OWN.replace('"project"."name"', "(select max(secret) from project)"), ("project",), []),
        (OWN.replace('"project"."name"', "secret from project --"), ("project",), []),
        (OWN.replace('"project"."name"', "'"), ("project",), []),
        (OWN.replace('"project"."name"', "1) union (select 2"), ("project",), []),
        (OWN, (), []),
        (f'SELECT ({OWN}), (SELECT secret FROM "project") FROM "root"', (), [OWN]),
        ('SELECT "all_projects"."id" FROM "all_projects"', (), []),
        ("SELECT 1 FROM \"root\" WHERE name = (select secret from 'project')", (), []),
    ],
)
def test_refused_statement(sql, named, pieces):
    assert text.statement_complaint(sql, named, pieces)


def test_what_breaks_out():
    assert not text.breaks_out("a = %s AND (b IN (%s, %s))")
    assert text.breaks_out("1 = 1) or (1 = 1")
    assert text.breaks_out("1 = 1 --")
