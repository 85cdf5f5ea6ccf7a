"""Composite keys on a database at work: no step holds a lock while it reads a table.

A foreign key's check runs past every policy, so a child can point at a row that its tenant cannot see, and the answer
tells whether that row exists. With the tenant in the key on both sides the check itself compares the tenants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ...core.errors import UsageError
from . import names

__all__ = ["composite_key_ddl", "mismatch_query"]

_ACTIONS: Final = frozenset(("NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"))


def composite_key_ddl(
    child: str,
    parent: str,
    references: Mapping[str, str],
    column: str = "tenant_id",
    *,
    parent_column: str | None = None,
    schema: str | None = None,
    on_delete: str | None = None,
    replaces: str | None = None,
) -> list[str]:
    """Statements that make a foreign key compare tenants: ``(tenant_id, project_id)`` to ``(tenant_id, id)``.

    Run each by itself, in AUTOCOMMIT: ``CONCURRENTLY`` refuses a transaction. In this order: a unique index on the
    parent, an index on the child, the constraint for new rows only (``NOT VALID``), the check of the rows that are
    there (``VALIDATE`` lets writers through), and the end of the old constraint. Rows that would fail the check are
    found by `mismatch_query`. Partitioned tables take no ``CONCURRENTLY``: leave the word out there.

    Args:
        references: the child's column(s) to the parent's, such as ``{"project_id": "id"}``.
        column: the child's tenant column, and the parent's unless `parent_column` says otherwise.
        on_delete: the action of the key. ``SET NULL`` and ``SET DEFAULT`` spare the tenant (PostgreSQL 15).
        replaces: the constraint that is dropped in the end.

    Raises:
        UsageError: no columns, an unknown action, or names as in `policy_ddl`.
    """
    pair = _Pair.of(child, parent, references, tenants=(column, parent_column or column), schema=schema)
    index = names.derived((pair.parent, *pair.parent_columns), "key")
    own = names.derived((pair.child, *pair.child_columns), "idx")
    constraint = names.derived((pair.child, *pair.child_columns), "fkey")
    here, there = _list(pair.child_columns), _list(pair.parent_columns)
    steps = [
        f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {index} ON {pair.parent} ({there})",
        f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {own} ON {pair.child} ({here})",
        f"ALTER TABLE {pair.child} ADD CONSTRAINT {constraint} FOREIGN KEY ({here}) "
        f"REFERENCES {pair.parent} ({there}){_action(on_delete, tuple(references))} NOT VALID",
        f"ALTER TABLE {pair.child} VALIDATE CONSTRAINT {constraint}",
    ]
    if replaces is not None:
        steps.append(f"ALTER TABLE {pair.child} DROP CONSTRAINT {names.quoted(replaces)}")
    return steps


def mismatch_query(
    child: str,
    parent: str,
    references: Mapping[str, str],
    column: str = "tenant_id",
    *,
    parent_column: str | None = None,
    schema: str | None = None,
) -> str:
    """A query for the children whose parent is another tenant's; run it as a role that sees all rows."""
    pair = _Pair.of(child, parent, references, tenants=(column, parent_column or column), schema=schema)
    joined = " AND ".join(f"c.{names.quoted(a)} = p.{names.quoted(b)}" for a, b in references.items())
    mine, theirs = names.quoted(pair.child_columns[0]), names.quoted(pair.parent_columns[0])
    return f"SELECT c.* FROM {pair.child} AS c JOIN {pair.parent} AS p ON {joined} WHERE c.{mine} <> p.{theirs}"  # noqa: S608  names are read strictly and quoted


@dataclass(frozen=True, slots=True)
class _Pair:
    """A child and its parent, quoted; their columns with the tenant first."""

    child: str
    child_columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]

    @classmethod
    def of(
        cls,
        child: str,
        parent: str,
        references: Mapping[str, str],
        *,
        tenants: tuple[str, str],
        schema: str | None,
    ) -> _Pair:
        if not references:
            raise UsageError("a foreign key has columns", hint='{"project_id": "id"}')
        here, there = (tenants[0], *references), (tenants[1], *references.values())
        return cls(names.qualified(child, schema), here, names.qualified(parent, schema), there)


def _list(columns: tuple[str, ...]) -> str:
    return ", ".join(map(names.quoted, columns))


def _action(on_delete: str | None, columns: tuple[str, ...]) -> str:
    if on_delete is None:
        return ""
    action = on_delete.upper()
    if action not in _ACTIONS:
        raise UsageError("no such action on delete", hint=", ".join(sorted(_ACTIONS)))
    return f" ON DELETE {action}" + (f" ({_list(columns)})" if action.startswith("SET") else "")
