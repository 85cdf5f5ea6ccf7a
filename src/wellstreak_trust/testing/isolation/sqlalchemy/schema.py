"""What the host's mapped models look like: which tables belong to tenants, and which columns can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Column, Enum, Table, UniqueConstraint
from sqlalchemy.orm import Mapper, RelationshipProperty

from ....core.errors import ConfigurationError
from ..values import known

__all__ = ["Schema", "python_type"]

Model = Any


class Schema:
    """The host's models, by introspection.

    Args:
        base: the declarative base, or whatever has its `registry`.
        column: the name of the tenant column.
        shared: models whose rows belong to nobody.
    """

    def __init__(self, base: Any, column: str = "tenant_id", shared: Sequence[Model] = ()) -> None:
        base.registry.configure()
        self.column: str = column
        self.metadata: Any = base.metadata
        ordered = sorted(base.registry.mappers, key=lambda mapper: str(mapper.class_.__name__))
        self.mappers: tuple[Mapper[Any], ...] = tuple(ordered)
        self.shared: frozenset[Table] = frozenset(_tables(shared))
        mapped = {table for mapper in ordered for table in mapper.tables}
        self.links: tuple[Table, ...] = tuple(
            table for table in base.metadata.sorted_tables if table not in mapped and table not in self.shared
        )
        if not self.tenants:
            raise ConfigurationError(f"no model has a column {column!r}", hint="name it with column=", reason="column")

    @property
    def tenants(self) -> tuple[Mapper[Any], ...]:
        """The mappers whose rows belong to tenants."""
        return tuple(mapper for mapper in self.mappers if self.owned(mapper))

    def owned(self, mapper: Mapper[Any]) -> bool:
        """Whether the rows of a mapper belong to tenants."""
        return any(self.column in table.c and table not in self.shared for table in mapper.tables)

    def attributes(self, mapper: Mapper[Any]) -> dict[str, Column[Any]]:
        """The plain columns of a mapper by attribute name."""
        return {
            prop.key: prop.columns[0]
            for prop in mapper.column_attrs
            if isinstance(prop.columns[0], Column) and known(python_type(prop.columns[0]))
        }

    def settable(self, mapper: Mapper[Any]) -> dict[str, Column[Any]]:
        """The columns that a host changes: neither keys nor the tenant's."""
        return {
            name: column
            for name, column in self.attributes(mapper).items()
            if not column.primary_key and not column.foreign_keys and not unique(column) and column.name != self.column
            and column.computed is None and mapper.version_id_col is not column
            and (mapper.polymorphic_on is None or column is not mapper.polymorphic_on)
        }  # fmt: skip

    def relationships(self, mapper: Mapper[Any]) -> list[RelationshipProperty[Any]]:
        """The relationships that load in place."""
        return sorted(
            (prop for prop in mapper.relationships if prop.lazy in _PLAIN and not prop.viewonly),
            key=lambda prop: prop.key,
        )


_PLAIN: Final = ("select", True, "joined", "selectin", "subquery", "immediate", False, "raise", "raise_on_sql")


def python_type(column: Column[Any]) -> type:
    """The type of a column's values; `object` where it does not say."""
    if isinstance(column.type, Enum):
        return column.type.enum_class or str
    try:
        return column.type.python_type
    except NotImplementedError:
        return object


def unique(column: Column[Any]) -> bool:
    """Whether a value of the column may be refused because another row has it."""
    table: Any = column.table
    together = [constraint.columns for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
    together += [index.columns for index in table.indexes if index.unique]
    return bool(column.unique or column.primary_key or any(column.name in columns for columns in together))


def _tables(shared: Iterable[Model]) -> Iterable[Table]:
    for model in shared:
        found: Any = getattr(model, "__table__", model)
        yield found
