"""Checks of what row level security does not govern: keys, indexes, views, TRUNCATE, defaults and replication."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from .case import Case
from .catalog import ForeignKey, Index, Relation
from .ddl import link_policy_ddl
from .finding import Finding, Severity, found, sql
from .keys import composite_key_ddl
from .policy_checks import faces, readers
from .predicate import vouched

__all__ = ["check_columns", "check_foreign_keys", "check_grants", "check_publications", "check_views"]

_ON_DELETE: Final[Mapping[str, str]] = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_PRIVILEGES: Final[Mapping[str, str]] = {
    "TRUNCATE": "truncate_granted", "REFERENCES": "references_granted", "TRIGGER": "trigger_granted",
}  # fmt: skip
_HEAD: Final = re.compile(r" USING \w+ \(")
_INVOKER_SINCE: Final = 150_000


def check_columns(case: Case) -> Iterator[Finding]:
    """The tenant column and the indexes over it."""
    for table in case.tenants():
        indexes = case.catalog.indexes.get(table.oid, [])
        for index in indexes:
            if index.unique and not index.surrogate and not _has_tenant(index, table):
                yield found("unique_without_tenant", f"{table.label}: {index.name}", _unique_hint(index, table))
        if table.partition:
            continue  # the parent's columns and indexes are its own
        if not table.not_null:
            hint = sql(f"ALTER TABLE {table.label} ALTER COLUMN {table.column} SET NOT NULL")
            yield found("tenant_nullable", table.label, hint)
        if not any(each.whole and each.keys[:1] == (table.attribute,) for each in indexes):
            hint = sql(f"CREATE INDEX{_concurrently(table)} ON {table.label} ({table.column})")
            yield found("tenant_not_indexed", table.label, hint)


def _concurrently(*tables: Relation) -> str:
    return "" if any(each.kind == "p" for each in tables) else " CONCURRENTLY"


def _has_tenant(index: Index, table: Relation) -> bool:
    named = re.search(rf'(?<![\w"$]){re.escape(table.column or "")}(?![\w"$])', index.expressions)
    return table.attribute in index.keys or named is not None


def _unique_hint(index: Index, table: Relation) -> str:
    """The same index with the tenant in front, then the end of the old one."""
    head = _HEAD.search(index.definition)
    if head is None or (index.constraint is not None and not index.definition.startswith("CREATE UNIQUE")):
        return f"-- add {table.column} WITH = to the exclusion constraint {index.name}"
    tail = f"{head[0]}{table.column}, {index.definition[head.end() :]}"
    unique = f"CREATE UNIQUE INDEX{_concurrently(table)} ON {table.label}{tail}"
    if index.constraint is not None:
        return sql(unique, f"ALTER TABLE {table.label} DROP CONSTRAINT {index.constraint}")
    return sql(unique, f"DROP INDEX {table.label.removesuffix(table.name)}{index.name}")


def check_foreign_keys(case: Case) -> Iterator[Finding]:
    """Keys to tenant tables compare tenants, or the child's policies vouch for the parent."""
    for key in case.catalog.foreign_keys:
        child, parent = case.catalog.relations.get(key.child), case.tenant(key.parent)
        if child is None or parent is None or not case.includes(child):
            continue
        if _is_composite(key, child, parent) or (child.column is None and _is_vouched(case, child, parent)):
            continue
        yield found("fk_without_tenant", f"{child.label}: {key.name}", _key_hint(case, key, child, parent))


def _is_composite(key: ForeignKey, child: Relation, parent: Relation) -> bool:
    wanted = (child.column, parent.column)
    same = (key.child, key.parent) == (child.oid, parent.oid)
    return same and any(pair == wanted for pair in zip(key.columns, key.targets, strict=True))


def _is_vouched(case: Case, child: Relation, parent: Relation) -> bool:
    policies = [each for each in case.catalog.policies.get(child.oid, []) if each.permissive]
    return child.secured and child.forced and all(
        any(
            vouched(face, spelt, parent.column or "", readers(each))
            for spelt in (parent.name, parent.label)
        )
        for each in policies
        for face in (*faces(each, "r" if each.command == "a" else "w"),)
    )  # fmt: skip


def _key_hint(case: Case, key: ForeignKey, child: Relation, parent: Relation) -> str:
    if child.column is None:
        return _link_hint(case, child, parent)
    if any(_is_composite(each, child, parent) for each in case.catalog.foreign_keys):
        return sql(f"ALTER TABLE {child.label} DROP CONSTRAINT {key.name}")
    references = {
        mine: theirs
        for mine, theirs in zip(key.columns, key.targets, strict=True)
        if mine != child.column and theirs != parent.column
    }
    steps = composite_key_ddl(
        child.label,
        parent.label,
        references,
        child.column,
        parent_column=parent.column,
        on_delete=_ON_DELETE.get(key.on_delete),
        replaces=key.name,
    )
    if not _concurrently(child, parent):  # partitioned tables take neither
        steps = [each.replace(" CONCURRENTLY", "", 1).removesuffix(" NOT VALID") for each in steps]
    return sql(*steps)


def _link_hint(case: Case, child: Relation, parent: Relation) -> str:
    keys = [each for each in case.catalog.foreign_keys if each.child == child.oid and case.tenant(each.parent)]
    if any(len(each.columns) > 1 for each in keys) or len({each.targets for each in keys}) > 1:
        return f"-- give {child.label} a tenant column, then the composite key"
    parents = {each.columns[0]: case.catalog.relations[each.parent].label for each in keys}
    ddl = link_policy_ddl(
        child.label, parents, parent.column or "", key=keys[0].targets[0], type=case.cast(parent), replace=True
    )
    return sql(*ddl)


def check_views(case: Case) -> Iterator[Finding]:
    """Views over tenant tables run as their reader; materialised ones are closed."""
    for view in case.relations("vm"):
        if not any(case.tenant(source) for source in case.catalog.view_sources.get(view.oid, ())):
            continue
        open_ = case.catalog.touchable(view)
        holders = case.catalog.holders(view, "SELECT", "INSERT", "UPDATE", "DELETE")
        if view.kind == "m":
            if open_:
                yield found("matview", view.label, case.revoked(view, "ALL", holders))
        elif not view.invoker:
            # One that nobody here may read is a grant away from being one that can.
            severity: Severity = "error" if open_ else "warning"
            setting = sql(f"ALTER VIEW {view.label} SET (security_invoker = true)")
            hint = setting if case.catalog.version >= _INVOKER_SINCE else case.revoked(view, "ALL", holders)
            yield found("view_not_invoker", view.label, hint, severity)


def check_grants(case: Case) -> Iterator[Finding]:
    """What is granted past policies, on the tables there are and on those to come."""
    for table in case.tenants():
        for privilege, code in _PRIVILEGES.items():
            holders = case.catalog.holders(table, privilege)
            if holders:
                yield found(code, table.label, case.revoked(table, privilege, holders))
    granted: dict[tuple[str, str | None, str], set[str]] = {}
    for owner, schema, grantee, privilege in case.catalog.defaults:
        granted.setdefault((owner, schema, grantee), set()).add(privilege)
    for (owner, schema, grantee), privileges in granted.items():
        where = f" IN SCHEMA {schema}" if schema is not None else ""
        hint = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner}{where} REVOKE ALL ON TABLES FROM {grantee}"
        worst: Severity = "error" if privileges & _PRIVILEGES.keys() else "warning"
        yield found("default_privileges", f"{schema or 'all schemas'}: {owner} to {grantee}", sql(hint), worst)


def check_publications(case: Case) -> Iterator[Finding]:
    """Replication hands out rows past every policy."""
    tenants = {each.label: each for each in case.tenants()}
    for name, label, by in case.catalog.publications:
        table = tenants.get(label)
        if table is None:
            continue
        schema = label.removesuffix(f".{table.name}")
        hint = {
            "all": f"DROP PUBLICATION {name}",
            "schema": f"ALTER PUBLICATION {name} DROP TABLES IN SCHEMA {schema}",
            "table": f"ALTER PUBLICATION {name} DROP TABLE {label}",
        }[by]
        yield found("published", f"{label}: {name}", sql(hint))
