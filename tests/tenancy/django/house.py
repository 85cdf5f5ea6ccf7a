"""The host application that the probes run: models, rows, and a database below the guard.

The rows of the published schema, two of them corrupt on purpose: a child of one tenant below a parent of the other.
Further models have a shape of their own, and follow the same pattern: what is t2's reads ``S2...``.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import urlsplit

import django
from django.conf import settings

ROLE, OWNER = "wst_app", "wst_owner"


ALIAS: ContextVar[str] = ContextVar("alias", default="default")


class Router:
    """Everything goes to one database: the guarded one, or its twin that only t1 uses."""

    def db_for_read(self, model, **hints):
        return ALIAS.get()

    db_for_write = db_for_read

    def allow_relation(self, first, second, **hints):
        return True


def beside(where: str) -> str:
    return f"{where}_single"


def reached(kind: str, where: str, name: str) -> dict[str, dict]:
    """The databases of the settings: as the application, and on PostgreSQL as the owner of the tables too."""
    if kind == "sqlite":
        return {name or "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": where}}
    url = urlsplit(where)
    server = {"ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "HOST": url.hostname, "PORT": url.port}
    return {name or "default": {**server, "USER": ROLE}, f"{name}owner": {**server, "USER": OWNER}}


def configure(kind: str, where: str, **more: object) -> None:
    settings.configure(
        DATABASES={**reached(kind, where, ""), **reached(kind, beside(where), "single")},
        DATABASE_ROUTERS=["house.Router"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SECRET_KEY="for tests alone",
        ROOT_URLCONF="urls",
        ALLOWED_HOSTS=["testserver"],
        STATIC_URL="/static/",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        INSTALLED_APPS=[
            "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
            "django.contrib.messages", "wellstreak_trust.tenancy.django", "dwelling",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": [
                    "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]},
            }
        ],
        **more,
    )  # fmt: skip
    django.setup()


TABLES = {
    "root": "id, name",
    "project": "id, tenant_id, name, secret",
    "task": "id, tenant_id, project_id, title",
    "tag": "id, tenant_id, name",
    "task_tags": "task_id, tag_id",
    "brief": "id, tenant_id, project_id, secret",
    "place": "id, tenant_id, secret, root_id",
    "cafe": "place_ptr_id, menu",
    "node": "id, tenant_id, parent_id, secret",
    "note": "id, tenant_id, secret, kind_id, object_id",
    "entry": "id, text, project_id",
    "ledger": "id, tenant_id, company_id, secret",
    "code": "id, tenant_id, name, secret",
}

ROWS = {
    "root": [("t1", "r1"), ("t2", "r2")],
    "project": [(1, "t1", "p1", "S1"), (2, "t2", "p2", "S2"), (3, "t1", "p3", "S1b")],
    "task": [(1, "t1", 1, "S1t"), (2, "t2", 2, "S2t"), (3, "t1", 2, "S1x"), (4, "t2", 1, "S2y")],
    "tag": [(1, "t1", "S1g"), (2, "t2", "S2g")],
    "task_tags": [(1, 1), (1, 2), (2, 2)],
    "brief": [(1, "t1", 1, "S1br"), (2, "t2", 2, "S2br"), (3, "t2", 3, "S2bx")],
    "place": [(1, "t1", "S1pl", "t1"), (2, "t2", "S2pl", "t2"), (3, "t1", "S1pm", "t1")],
    "cafe": [(1, "S1me"), (2, "S2me")],
    "node": [(1, "t1", None, "S1n"), (2, "t2", None, "S2n"), (3, "t1", 1, "S1nn"), (4, "t1", 2, "S1nx")],
    "note": [(1, "t1", "S1o", "project", 1), (2, "t2", "S2o", "project", 2), (3, "t2", "S2ox", "project", 1),
             (4, "t1", "S1ox", "project", 2)],
    "entry": [(1, "e1", 1), (2, "e2", 2), (3, "e3", None)],
    "ledger": [(1, "t1", "c1", "S1l"), (2, "t2", "c1", "S2l"), (3, "t1", "c2", "S1m")],
    "code": [(1, "t1", "a", "S1c"), (2, "t2", "b", "S2k")],
}  # fmt: skip

UNNUMBERED = {"root", "cafe"}


def seen_by(tenant: str) -> dict[str, list[tuple]]:
    """The same rows in a database that only `tenant` uses: what is not its own never existed."""
    own = {
        table: [row for row in rows if table in {"root", "entry"} or (len(row) > 1 and row[1] == tenant)]
        for table, rows in ROWS.items()
    }
    ids = {table: {row[0] for row in rows} for table, rows in own.items()}
    own["task_tags"] = [row for row in ROWS["task_tags"] if row[0] in ids["task"] and row[1] in ids["tag"]]
    own["cafe"] = [row for row in ROWS["cafe"] if row[0] in ids["place"]]
    return own


class Below:
    """The database without any guard: its owner's own connection."""

    def __init__(self, kind: str, where: str) -> None:
        self.pg = kind != "sqlite"
        if self.pg:
            import psycopg

            self._connection = psycopg.connect(where, autocommit=True)
        else:
            self._connection = sqlite3.connect(where, isolation_level=None)
            self._connection.execute("pragma synchronous = off")
            self._connection.execute("pragma journal_mode = wal")

    def sql(self, text: str, params: tuple = ()) -> list[tuple]:
        cursor = self._connection.execute(text.replace("?", "%s") if self.pg and params else text, params)
        return cursor.fetchall() if cursor.description else []

    def roles(self) -> None:
        for role in (ROLE, OWNER):
            if not self.sql("select 1 from pg_roles where rolname = ?", (role,)):
                self.sql(f"create role {role} login")
        self.sql(f"grant all on schema public to {OWNER}")
        self.sql(f"alter default privileges for role {OWNER} grant select, insert, update, delete on tables to {ROLE}")
        self.sql(f"alter default privileges for role {OWNER} grant usage on sequences to {ROLE}")

    def fill(self, rows: dict[str, list[tuple]]) -> None:
        """Empties all tables and puts `rows` in; what the application adds is numbered from 101."""
        kinds = dict(self.sql("select model, id from django_content_type where app_label = 'house'"))
        steps = ["begin", *(["set local session_replication_role = replica"] if self.pg else [])]
        steps += [f"delete from {table}" for table in TABLES]
        steps += self._numbered_from(1)
        for table, found in rows.items():
            for row in found:
                values = [kinds[value] if table == "note" and value == "project" else value for value in row]
                quoted = ", ".join("null" if value is None else repr(value) for value in values)
                steps.append(f"insert into {table} ({TABLES[table]}) values ({quoted})")
        script = ";\n".join([*steps, *self._numbered_from(101), "commit"])
        if self.pg:
            self._connection.execute(script)
        else:
            self._connection.executescript(script)

    def _numbered_from(self, first: int) -> list[str]:
        if self.pg:
            numbered = [table for table in TABLES if table not in UNNUMBERED]
            return ["select " + ", ".join(f"setval('{table}_id_seq', {first}, false)" for table in numbered)]
        return [
            "delete from sqlite_sequence",
            *(f"insert into sqlite_sequence (name, seq) values ('{table}', {first - 1})" for table in TABLES),
        ]

    def close(self) -> None:
        self._connection.close()


def create_tables(models: list, name: str, *, rls: bool) -> None:
    """As migrations would: by the owner, with the policies of `EnableTenantRLS` where asked for."""
    from django.apps import apps
    from django.contrib.contenttypes.management import create_contenttypes
    from django.db import connections

    alias = f"{name}owner" if f"{name}owner" in connections else name or "default"
    frameworks = [each for each in apps.get_models() if each not in models and not each._meta.proxy]
    with connections[alias].schema_editor() as editor:
        for model in [*frameworks, *models]:
            editor.create_model(model)
    create_contenttypes(apps.get_app_config("house"), using=alias, verbosity=0)
    if rls:
        enable_rls(connections[alias], models)


def enable_rls(connection, models: list) -> None:
    from django.apps import apps
    from django.db.migrations.state import ProjectState

    from wellstreak_trust.tenancy.django.operations import EnableTenantRLS
    from wellstreak_trust.tenancy.django.registry import is_tenant_model

    state = ProjectState.from_apps(apps)
    for model in models:
        if is_tenant_model(model):
            operation = EnableTenantRLS(model.__name__)
            with connection.schema_editor() as editor:
                operation.database_forwards("house", editor, state, state)


@contextmanager
def scope(tenant):
    from wellstreak_trust.tenancy import tenant_scope, testing_context

    context = testing_context(tenant) if isinstance(tenant, str) and tenant else tenant
    with tenant_scope(context) as entered:
        yield entered
