"""What the doctor for PostgreSQL can find: every code with its severity, and what its findings are handed on as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ...core.finding import Code, Finding, Severity, to_json, to_text
from ...core.finding import to_sarif as log_of

__all__ = ["CODES", "Code", "Finding", "Severity", "found", "sql", "to_json", "to_sarif", "to_text"]

CODES: Final[Mapping[str, Code]] = {
    "rls_disabled": Code("error", "Row level security is off", "every row of every tenant is open to a grant"),
    "rls_not_forced": Code("error", "Row level security is not forced", "the table's owner is exempt"),
    "rls_no_policy": Code("warning", "No policy lets this role in", "every query comes back empty"),
    "policy_ignores_tenant": Code(
        "error", "A policy lets rows of other tenants pass", "permissive policies are joined by OR: one open one is all"
    ),
    "policy_without_nullif": Code(
        "error", "A policy reads the setting without nullif", "it reads '' on a reused connection, and a cast raises"
    ),
    "policy_not_initplan": Code(
        "warning",
        "A policy reads the setting once a row",
        "in a sub-select it is read once a statement",
    ),
    "policy_not_sealed": Code("warning", "A policy trusts a plain setting", "injected SQL can set it"),
    "seal_key_readable": Code("error", "The seal's key is open to this role", "whoever knows it can be any tenant"),
    "setting_preset": Code("error", "The tenant setting has a default", "a connection starts inside a tenant"),
    "tenant_nullable": Code("error", "The tenant may be NULL", "such a row is nobody's, and composite keys skip it"),
    "tenant_not_indexed": Code("warning", "No index starts with the tenant", "every query reads every tenant's rows"),
    "unique_without_tenant": Code(
        "warning", "A unique key without the tenant", "a duplicate tells that a row exists that cannot be seen"
    ),
    "fk_without_tenant": Code(
        "error", "A foreign key without the tenant", "its check ignores policies: a child can have a foreign parent"
    ),
    "view_not_invoker": Code("error", "A view runs as its owner", "policies judge the owner, not the reader"),
    "matview": Code("error", "A materialised view holds tenant rows", "policies do not apply to it"),
    "foreign_table": Code("error", "A foreign table holds tenant rows", "it cannot have policies"),
    "partition_exposed": Code(
        "error", "A partition is open without policies", "its parent's policies apply to queries on the parent alone"
    ),
    "definer_search_path": Code(
        "error", "SECURITY DEFINER without a search_path", "the caller chooses which objects its owner's rights meet"
    ),
    "owner_is_app": Code("error", "This role owns the table", "an owner can switch row level security off"),
    "owner_reachable": Code("error", "This role can become the owner", "SET ROLE, and then as the owner"),
    "role_bypasses": Code("error", "This role is or can become exempt", "superusers and BYPASSRLS see every row"),
    "role_escapes": Code(
        "error", "This role has a way around", "it can read the server's files or log, or make itself another role"
    ),
    "truncate_granted": Code("error", "TRUNCATE is granted", "it empties the table for every tenant, past policies"),
    "references_granted": Code(
        "error", "REFERENCES is granted", "a foreign key of its own tells which rows exist, past policies"
    ),
    "trigger_granted": Code("warning", "TRIGGER is granted", "a trigger is handed other tenants' rows as they change"),
    "default_privileges": Code(
        "warning", "Tables to come are granted by default", "they are open before they have a policy"
    ),
    "published": Code("warning", "A publication holds tenant rows", "replication ignores policies"),
}
"""Every code that `doctor` may give."""


def to_sarif(findings: Iterable[Finding], *, artifact: str = "schema.sql") -> str:
    """A SARIF 2.1.0 log (OASIS), for code scanning.

    Args:
        artifact: the file that results are shown at; a live database has none, and scanners ask for one.
    """
    return log_of(findings, CODES, tool="wellstreak-trust doctor postgres", artifact=artifact)


def found(code: str, object: str, hint: str, severity: Severity | None = None) -> Finding:
    """A finding with the code's own severity, title and risk.

    Args:
        object: the table, view, function or role; with the index, constraint or policy after a colon.
        hint: the SQL that fixes it, one statement a line; lines that begin with ``--`` say what to decide first.
    """
    what = CODES[code]
    return Finding(code, severity or what.severity, object, what.title, hint, what.why)


def sql(*statements: str) -> str:
    """Statements as the lines of a hint."""
    return "\n".join(f"{each};" for each in statements)
