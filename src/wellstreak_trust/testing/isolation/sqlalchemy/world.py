"""`World`: rows for the host's own tables, of several tenants; some children are another tenant's, on purpose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, Connection, Enum, Table, insert, select
from sqlalchemy.orm import Mapper
from sqlalchemy.schema import CreateTable

from ..dice import Dice
from ..values import value_of
from .schema import Schema, python_type, unique

__all__ = ["World", "typed"]

Row = dict[str, Any]
_MORE: Final = 10_000  # keys of rows that only a variation has
Values = Mapping[Any, Callable[[int], Any]]


def typed(column: Column[Any], tenant: str) -> Any:
    """The tenant id as a value of its column."""
    kind = python_type(column)
    return kind(tenant) if kind in (int, UUID) else tenant


class World:
    """Rows by table.

    Args:
        tenants: the first one is the tenant under test.
        rows: of each model and tenant.
        values: makers of values by column (``Model.column``), for types or rules that cannot be guessed.
    """

    def __init__(
        self, schema: Schema, dice: Dice, tenants: Sequence[str], *, rows: int = 4, values: Values | None = None
    ) -> None:
        self.schema: Schema = schema
        self.tenants: tuple[str, ...] = tuple(tenants)
        self.rows: dict[Table, list[Row]] = defaultdict(list)
        self._dice: Dice = dice
        self._count: int = rows
        self._number: int = 0
        self._values: dict[Any, Callable[[int], Any]] = {_column(key): maker for key, maker in (values or {}).items()}
        for mapper in self._in_order():
            self._fill(mapper)
        for table in schema.links:
            self._link(table)

    def own(self, table: Table, row: Row) -> bool:
        """Whether a row is the first tenant's: by its column, else by all the rows that it points at."""
        if table in self.schema.shared:
            return True
        if self.schema.column in table.c:
            return bool(row[self.schema.column] == typed(table.c[self.schema.column], self.tenants[0]))
        return all(self._ends(table, row))

    def torn(self, table: Table, row: Row) -> bool:
        """Whether a row links two tenants' rows: neither may see it, and it goes when either end goes."""
        return self.schema.column not in table.c and len(set(self._ends(table, row))) > 1

    def _ends(self, table: Table, row: Row) -> list[bool]:
        return [
            self.own(key.column.table, above)
            for key in table.foreign_keys
            for above in self.rows[key.column.table]
            if key.column.table not in self.schema.shared and above[key.column.name] == row[key.parent.name]
        ]

    def varied(self, dice: Dice) -> World:
        """The same rows of the first tenant among other rows of the others: some gone, some changed, some new."""
        other = copy(self)
        other.rows = defaultdict(list, {table: list(rows) for table, rows in self.rows.items()})
        for mapper in self._in_order():
            kept, settable = [], self.schema.settable(mapper)
            for row in other.rows[mapper.local_table]:
                if self.own(mapper.local_table, row) or len(mapper.self_and_descendants) > 1:
                    kept.append(row)
                elif not dice.chance(0.3):
                    fresh = {column.name: self._value(dice, column, dice.number(0, 99)) for column in settable.values()}
                    kept.append(row | fresh)
            if mapper.local_table not in self.schema.shared and len(mapper.self_and_descendants) == 1:
                owner, start = self.tenants[1], _MORE + dice.number(0, _MORE)
                kept += [self.row(mapper.local_table, owner, start + n, dice=dice) for n in range(dice.number(0, 3))]
            other.rows[mapper.local_table] = kept
        for table in self.schema.links:
            other.rows[table] = [
                row for row in self.rows[table] if len(other._ends(table, row)) == len(self._ends(table, row))
            ]
        return other

    def create(self, connection: Connection) -> None:
        """The tables without foreign keys: rows point at parents that only other tenants have, or nobody."""
        for table in self.schema.metadata.sorted_tables:
            connection.execute(CreateTable(table, include_foreign_key_constraints=[]))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                index.create(connection)

    def restore(self, connection: Connection, *, alone: bool) -> None:
        """Puts the rows back as they were; `alone` only those of the first tenant."""
        for table in self.schema.metadata.sorted_tables:
            connection.execute(table.delete())
            kept = [row for row in self.rows[table] if not alone or self.own(table, row)]
            if kept:
                connection.execute(insert(table), kept)

    def dump(self, connection: Connection) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """The first tenant's rows and everybody else's, read by core SQL."""
        own: dict[str, list[str]] = {}
        others: dict[str, list[str]] = {}
        for table in self.schema.metadata.sorted_tables:
            # What the database or the mapper sets to the time of the change differs on its own.
            columns = [column for column in table.c if column.onupdate is None and column.server_onupdate is None]
            own[table.name], others[table.name] = [], []
            for row in connection.execute(select(*columns)).mappings():
                if not self.torn(table, dict(row)):
                    (own if self.own(table, dict(row)) else others)[table.name].append(repr(dict(row)))
        return own, others

    def _in_order(self) -> list[Any]:
        """Parents first, and of each hierarchy the base only."""
        place = {table: number for number, table in enumerate(self.schema.metadata.sorted_tables)}
        bases = [mapper for mapper in self.schema.mappers if mapper.inherits is None and not mapper.concrete]
        return sorted(bases, key=lambda mapper: place.get(mapper.local_table, 0))

    def _fill(self, mapper: Any) -> None:
        owners: list[str | None] = list(self.tenants) if self.schema.owned(mapper) else [None]
        kinds = [each for each in mapper.self_and_descendants if not _abstract(each)]
        turns = len(self.tenants) if any(map(self._names_tenants, mapper.primary_key)) else self._count
        # The tenants take turns, so that neither keys nor insertion order tell them apart.
        for turn in range(turns):
            for owner in owners:
                kind = kinds[(turn + self._number) % len(kinds)]
                self._number += 1
                key: Row = {}
                for table in kind.tables:
                    row = self.row(table, owner, self._number, inherited=key)
                    if kind.polymorphic_on is not None and kind.polymorphic_on.name in row:
                        row[kind.polymorphic_on.name] = kind.polymorphic_identity
                    key |= {column.name: row[column.name] for column in table.primary_key}
                    self.rows[table].append(row)

    def row(
        self,
        table: Table,
        owner: str | None,
        number: int,
        *,
        inherited: Row | None = None,
        corrupt: float = 0.2,
        dice: Dice | None = None,
    ) -> Row:
        """A new row; it is not part of the world yet.

        Args:
            owner: its tenant; None for a shared table.
            inherited: the key of the row that this one continues.
            corrupt: how often it points at another tenant's parent.
        """
        dice = (dice or self._dice).always(f"{table.name}{number}")
        row: Row = {}
        if owner is not None and self.schema.column in table.c:
            row[self.schema.column] = typed(table.c[self.schema.column], owner)
        row |= {name: value for name, value in (inherited or {}).items() if name in table.primary_key.columns}
        for constraint in sorted(table.foreign_key_constraints, key=lambda each: str(each.column_keys)):
            if not all(name in row for name in constraint.column_keys):
                row |= self._reference(dice, constraint, row, owner, corrupt=corrupt)
        for column in table.c:
            if column.computed is None and column.name not in row:
                row[column.name] = self._value(dice, column, number)
        return row

    def _reference(self, dice: Dice, constraint: Any, row: Row, owner: str | None, *, corrupt: float) -> Row:
        """The columns of one foreign key."""
        pairs = [(element.parent.name, element.column.name) for element in constraint.elements]
        parent: Table = constraint.referred_table
        fits = [
            above
            for above in self.rows[parent]
            if all(name not in row or row[name] == above[key] for name, key in pairs)
        ]
        free = [(name, key) for name, key in pairs if name not in row]
        if all(constraint.parent.c[name].nullable for name, _ in free) and dice.chance(0.2):
            return {name: None for name, _ in free}
        if owner is not None and self.schema.column in parent.c and not dice.chance(corrupt):
            mine = typed(parent.c[self.schema.column], owner)
            fits = [above for above in fits if above[self.schema.column] == mine] or fits
        if not fits:
            return {name: None for name, _ in free if constraint.parent.c[name].nullable}
        above = dice.choice(fits)
        return {name: above[key] for name, key in free}

    def _link(self, table: Table) -> None:
        seen: set[str] = set()
        for owner in self.tenants * self._count:
            self._number += 1
            row = self.row(table, owner, self._number)
            if repr(row) not in seen:
                seen.add(repr(row))
                self.rows[table].append(row)

    def _value(self, dice: Dice, column: Column[Any], number: int) -> Any:
        if column in self._values:
            return self._values[column](number)
        # The tenants of a multi-tenant service stand in a shared table: its key is the tenant id.
        if column.primary_key and self._names_tenants(column):
            return typed(column, self.tenants[(number - 1) % len(self.tenants)])
        if column.nullable and not column.primary_key and dice.chance(0.25):
            return None
        if isinstance(column.type, Enum):
            return dice.choice(list(column.type.enum_class or column.type.enums))
        kind = python_type(column)
        if kind is object and column.nullable:
            return None
        aware = bool(getattr(column.type, "timezone", False))
        length = getattr(column.type, "length", None)
        chosen = number if unique(column) else dice.number(0, 9)
        return value_of(kind, chosen, unique=unique(column), length=length, aware=aware)

    def _names_tenants(self, column: Column[Any]) -> bool:
        return any(
            key.column is column
            for table in self.schema.metadata.sorted_tables
            if self.schema.column in table.c
            for key in table.c[self.schema.column].foreign_keys
        )


def _column(key: Any) -> Any:
    """The table's column behind ``Model.column``."""
    mapped = getattr(key, "property", None)
    return key if mapped is None else mapped.columns[0]


def _abstract(mapper: Mapper[Any]) -> bool:
    return mapper.polymorphic_on is not None and mapper.polymorphic_identity is None and bool(mapper.polymorphic_map)
