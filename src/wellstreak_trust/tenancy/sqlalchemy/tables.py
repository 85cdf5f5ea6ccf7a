"""Whose rows a table holds: the classification that the rest of the guard asks.

A table is one of three things.

*owned*
    Its rows belong to a tenant. Either it has the tenant column, or its rows belong to whom their *parents* belong to:
    a declared link (the secondary table of a many-to-many relationship, an association object), or the child table of
    a joined inheritance whose base is owned.
*shared*
    Declared so by name: plans, currencies, the list of tenants. Every tenant sees it whole.
*unknown*
    Everything else. A mapped table in this state stops the start-up, any other is refused where it is used, because
    a table that nobody thought about is where the leak is.

Tables are known by their full name, not by identity: another `MetaData` may hold a second `Table` for the same rows.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, ForeignKeyConstraint, Table
from sqlalchemy.exc import NoReferencedColumnError, NoReferencedTableError
from sqlalchemy.orm import Mapper

from ...core.errors import ConfigurationError

__all__ = ["Classes", "Owned", "Parent", "Tables"]

_ALEMBIC: Final = "alembic_version"  # its one row belongs to the schema


@dataclass(frozen=True, slots=True)
class Parent:
    """A foreign key to an owned table: these columns hold that table's columns."""

    columns: tuple[Column[Any], ...]
    table: Table
    keys: tuple[Column[Any], ...]

    @property
    def label(self) -> str:
        """For messages."""
        return ", ".join(f"{column.table.name}.{column.name}" for column in self.columns)


@dataclass(frozen=True, slots=True)
class Owned:
    """A table whose rows belong to a tenant.

    Args:
        tenant: the tenant column, None where the parents tell.
        company: the company column, where there is one.
        parents: foreign keys to owned tables.
    """

    table: Table
    tenant: Column[Any] | None
    company: Column[Any] | None
    parents: tuple[Parent, ...]

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        """The columns that say whose a row is."""
        return tuple(column for column in (self.tenant, self.company) if column is not None)

    def unlike(self, described: Any, *, written: bool) -> str | None:
        """The column that another description of this table lacks, renames or has twice, of those the guard goes by.

        Foreign keys matter where they are written, or tell whose a row is.
        """
        if described is self.table:
            return None
        names = {column.name for column in self.columns}
        pointers = [column for parent in self.parents for column in parent.columns]
        own_keys = [key for parent in self.parents if parent.table is self.table for key in parent.keys]
        told = (*pointers, *own_keys) if written or self.tenant is None else ()
        for column in (*self.columns, *told):
            name, key = column.name, column.key
            found = [(c.key, c.name) for c in described.c if c.key == key or c.name.lower() == name.lower()]
            if found != [(key, name)] and (found or name in names or self.tenant is None):
                return name
        return None


@dataclass(frozen=True, slots=True)
class Classes:
    """What the host declares.

    Args:
        base: the declarative base, whose registry and metadata are classified.
        column, company: names of the columns, as the database spells them.
        shared, links: full names of tables.
    """

    base: Any
    column: str
    company: str | None
    shared: frozenset[str]
    links: frozenset[str]


class Tables:
    """The classification of one declarative base, made anew when tables were added to it."""

    def __init__(self, classes: Classes) -> None:
        self.classes: Classes = classes
        self._owned: dict[str, Owned] = {}
        self._seen: int = -1

    def owned(self, name: str) -> Owned | None:
        """The owned table of that full name."""
        self._fresh()
        return self._owned.get(name)

    def shared(self, name: str) -> bool:
        """Whether every tenant may see the table of that full name."""
        return name in self.classes.shared or name == _ALEMBIC

    def forget(self) -> None:
        """Models were added or changed: classifies anew at the next question."""
        self._seen = -1

    def check(self) -> None:
        """Raises `ConfigurationError` for a table that is mapped, or refers to a tenant's, and is of no class."""
        self._fresh()
        judged = {table.fullname for mapper in self._mappers() for table in _tables_of(mapper)}
        judged |= {name for name, table in self.classes.base.metadata.tables.items() if self._points_inside(table)}
        unknown = sorted(name for name in judged if name not in self._owned and not self.shared(name))
        if unknown:
            raise ConfigurationError(
                f"whose rows are in {', '.join(unknown)}? No column {self.classes.column!r}, and not declared",
                hint=f"add the column, or declare TenantGuard(Base, shared=[...], links=[...]) with {unknown[0]!r}",
                reason="tenant_table_unclassified",
            )

    def _points_inside(self, table: Table) -> bool:
        """Whether a table refers to an owned one, as the secondary table of a relationship does."""
        return any(self._parent(key, self._owned) is not None for key in table.foreign_key_constraints)

    def check_links(self) -> None:
        """Raises `ConfigurationError` for a link that nothing owns. Needs every model to be imported."""
        for name in sorted(self.classes.links):
            found = self.owned(name)
            if found is not None and not found.parents:
                raise ConfigurationError(
                    f"the link {name} has no foreign key to a tenant's table, so nobody owns its rows",
                    hint="give it a foreign key, or declare it in shared=[...]",
                    reason="tenant_link_without_parent",
                )

    def keys_of(self, mapper: Mapper[Any]) -> Iterator[tuple[str, bool, Column[Any]]]:
        """The attributes of a mapped class that say whose an instance is: name, whether of the company, column."""
        self._fresh()
        for name in (self.classes.column, self.classes.company):
            found = self._attribute(mapper, name) if name is not None else None
            if found is not None:
                yield found[0], name != self.classes.column, found[1]

    def _attribute(self, mapper: Mapper[Any], name: str) -> tuple[str, Column[Any]] | None:
        for table in mapper.tables:
            owned = self._owned.get(table.fullname) if isinstance(table, Table) else None
            for column in owned.columns if owned is not None else ():
                if column.name == name and mapper.columns.contains_column(column):
                    return mapper.get_property_by_column(column).key, column
        return None

    def mapper_of(self, table: Table) -> Mapper[Any] | None:
        """The mapper whose identity is that table's primary key."""
        found = (mapper for mapper in self._mappers() if mapper.local_table is table)
        return next(found, None)

    def _mappers(self) -> Iterable[Mapper[Any]]:
        mappers: Iterable[Mapper[Any]] = self.classes.base.registry.mappers
        return mappers

    def _fresh(self) -> None:
        seen = len(self.classes.base.metadata.tables)
        if seen != self._seen:
            owners = dict(self._owners())
            self._owned = {name: self._describe(table, owners) for name, table in owners.items()}
            self._seen = seen

    def _owners(self) -> Iterator[tuple[str, Table]]:
        metadata, classes = self.classes.base.metadata, self.classes
        inherited = {
            table.fullname
            for mapper in self._mappers()
            if any(_has(base.local_table, classes.column) for base in mapper.iterate_to_root())
            for table in _tables_of(mapper)
            if table.fullname not in {name.fullname for name in _secondaries(mapper)}
        }
        for name, table in metadata.tables.items():
            if self.shared(name):
                continue
            if name in classes.links or name in inherited or _has(table, classes.column):
                yield name, table

    def _describe(self, table: Table, owners: dict[str, Table]) -> Owned:
        by_name = {column.name: column for column in table.columns}
        company = by_name.get(self.classes.company) if self.classes.company is not None else None
        tenant = by_name.get(self.classes.column)
        parents = []
        for key in sorted(table.foreign_key_constraints, key=lambda each: str(each.column_keys)):
            parent = self._parent(key, owners)
            if parent is not None:
                parents.append(parent)
        return Owned(table, tenant, company, tuple(parents))

    def _parent(self, key: ForeignKeyConstraint, owners: Container[str]) -> Parent | None:
        try:
            pairs = [(element.parent, element.column) for element in key.elements]
        except (NoReferencedTableError, NoReferencedColumnError):
            return None  # its model is not imported yet; the classification is made anew when it is
        referred = pairs[0][1].table
        if not isinstance(referred, Table) or referred.fullname not in owners:
            return None
        ours = {self.classes.column, self.classes.company}
        pairs = [(own, there) for own, there in pairs if there.name not in ours] or pairs
        return Parent(tuple(own for own, _ in pairs), referred, tuple(there for _, there in pairs))


def _has(table: Any, column: str) -> bool:
    return isinstance(table, Table) and any(each.name == column for each in table.columns)


def _tables_of(mapper: Mapper[Any]) -> Iterator[Table]:
    yield from (table for table in mapper.tables if isinstance(table, Table))
    yield from _secondaries(mapper)


def _secondaries(mapper: Mapper[Any]) -> Iterator[Table]:
    if not mapper.configured:
        return
    for relationship in mapper.relationships:
        if isinstance(relationship.secondary, Table):
            yield relationship.secondary
