"""One examination: the catalog that was read, and which of its relations hold rows of tenants."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ...core.errors import UsageError
from . import names
from .catalog import Catalog, Relation
from .ddl import policy_ddl

__all__ = ["Case"]


@dataclass(frozen=True, slots=True)
class Case:
    """What the checks look at.

    Args:
        schemas: None for all but PostgreSQL's own.
        exclude: tables that are shared on purpose; ``table``, ``schema.table``, with ``*``.
        sealed: whether policies are expected to ask a seal.
    """

    catalog: Catalog
    schemas: frozenset[str] | None
    exclude: tuple[str, ...]
    sealed: bool
    seal_schema: str

    def covers(self, schema: str) -> bool:
        """Whether a schema is looked at."""
        return self.schemas is None or schema in self.schemas

    def includes(self, relation: Relation) -> bool:
        """Whether a relation is looked at."""
        spelt = names.split(relation.label)
        shared = any(fnmatchcase(each, pattern) for pattern in self.exclude for each in (spelt[-1], ".".join(spelt)))
        return self.covers(relation.schema) and not shared

    def relations(self, kinds: str) -> Iterator[Relation]:
        """The relations that are looked at, by `relkind`."""
        return (each for each in self.catalog.relations.values() if each.kind in kinds and self.includes(each))

    def tenants(self, kinds: str = "rp") -> Iterator[Relation]:
        """Those with a tenant column."""
        return (each for each in self.relations(kinds) if each.column is not None)

    def tenant(self, oid: int) -> Relation | None:
        """The relation of that number, if it is looked at and has a tenant column."""
        found = self.catalog.relations.get(oid)
        return found if found is not None and found.column is not None and self.includes(found) else None

    def policy(self, relation: Relation) -> list[str]:
        """The DDL that puts a relation under a policy, again if need be."""
        return policy_ddl(relation.label, relation.column or "", type=self.cast(relation), replace=True)

    def cast(self, relation: Relation) -> str | None:
        """The tenant column's type, as `policy_ddl` takes it; None for text, and for what is no name (an array)."""
        kind = (relation.type or "").partition("(")[0].strip()
        try:
            return kind if names.type_name(kind) is not None else None
        except UsageError:
            return None

    def revoked(self, relation: Relation, privilege: str, holders: Collection[str]) -> str:
        """The statement that takes a privilege back; for an owner, who cannot be refused, what is to be decided."""
        if holders:
            return f"REVOKE {privilege} ON {relation.label} FROM {', '.join(holders)};"
        return f"-- its owner {relation.owner} is this role, or a role it can become: choose another owner"

    def left(self, role: str) -> str:
        """The statements that end every membership of ours in `role`."""
        ends = [f"REVOKE {role} FROM {member};" for member, group in self.catalog.memberships if group == role]
        return "\n".join(sorted(ends))
