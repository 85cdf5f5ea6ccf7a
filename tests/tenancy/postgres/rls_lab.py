"""A laboratory: a clean schema, what is planted in it, and the doctor's word on it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

import psycopg

from wellstreak_trust.tenancy.postgres import Finding, doctor, link_policy_ddl, policy_ddl

ROLES = ("owner", "app", "other")
SCHEMA = "lab"

CLEAN = """
CREATE TABLE project (
  id int PRIMARY KEY, tenant_id text NOT NULL, name text, UNIQUE (tenant_id, id), UNIQUE (tenant_id, name)
);
CREATE TABLE task (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, project_id int, title text,
  FOREIGN KEY (tenant_id, project_id) REFERENCES project (tenant_id, id)
);
CREATE INDEX ON task (tenant_id, project_id);
CREATE TABLE country (code text PRIMARY KEY, name text UNIQUE);
CREATE TABLE watcher (project_id int NOT NULL REFERENCES project, email text NOT NULL);
CREATE VIEW titles WITH (security_invoker = true) AS SELECT title FROM task;
CREATE SEQUENCE invoice_number;
GRANT SELECT, INSERT, UPDATE, DELETE ON project, task, country, watcher TO {app};
GRANT SELECT ON titles TO {app};
GRANT USAGE ON SEQUENCE invoice_number TO {app};
"""


class Lab:
    """A clean schema, what is planted in it, and the doctor's word on it."""

    names: Final = {role: f"wt_{role}_{os.getpid()}" for role in ROLES}

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def build(self) -> None:
        for name in self.names.values():
            self.run(f"CREATE ROLE {name} LOGIN")
        self.run(f"CREATE SCHEMA {SCHEMA}", f"SET LOCAL search_path = {SCHEMA}")
        self.run(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {{app}}, {{other}}; GRANT ALL ON SCHEMA {SCHEMA} TO {{owner}}")
        self.as_owner(CLEAN)
        self.as_owner(
            *policy_ddl("project"), *policy_ddl("task"), *link_policy_ddl("watcher", {"project_id": "project"})
        )

    def run(self, *statements: str) -> None:
        """As a superuser; ``{app}``, ``{owner}`` and ``{other}`` are roles."""
        for each in statements:
            self.connection.execute(self._named(each))

    def _named(self, text: str) -> str:
        for role, name in self.names.items():
            text = text.replace(f"{{{role}}}", name)
        return text

    def as_owner(self, *statements: str) -> None:
        self._as("owner", statements)

    def as_app(self, *statements: str) -> None:
        self._as("app", statements)

    def _as(self, role: str, statements: Sequence[str]) -> None:
        self.run(f"SET LOCAL ROLE {self.names[role]}", *statements, "RESET ROLE")

    def examine(self, role: str = "app", **options: Any) -> list[Finding]:
        self.run(f"SET LOCAL ROLE {self.names.get(role, role)}")
        try:
            return doctor(self.connection, **{"schemas": (SCHEMA,), **options})
        finally:
            self.run("RESET ROLE")

    def codes(self, role: str = "app", **options: Any) -> set[str]:
        return {each.code for each in self.examine(role, **options)}

    def heal(self, findings: Sequence[Finding]) -> None:
        """Runs every hint that is SQL, as a superuser; CONCURRENTLY does not go inside a transaction."""
        lines = dict.fromkeys(line for each in findings for line in each.hint.splitlines() if not line.startswith("--"))
        self.run(*(line.replace(" CONCURRENTLY", "") for line in lines))
