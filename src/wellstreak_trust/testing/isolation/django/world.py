"""`World`: rows for the tables of the host's models, of several tenants, written and read below every guard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, Final
from uuid import UUID

from ..dice import Dice
from ..values import value_of
from .schema import Models, aware, python_type, tables

__all__ = ["World", "below", "typed"]

TORN: Final = ""
_MORE: Final = 10_000  # keys of rows that only a variation has

Row = dict[str, Any]


def typed(field: Any, tenant: str) -> Any:
    """The tenant id as a value of its field."""
    kind = python_type(field)
    return kind(tenant) if kind in (int, UUID) else tenant


def below(connection: Any, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """Runs SQL on the backend's own cursor: execute wrappers, where guards stand, are not asked."""
    with connection.cursor() as cursor:
        own = cursor.cursor
        own.execute(sql, tuple(parameters))
        return list(own.fetchall()) if own.description else []


class World:
    """Rows by table of the twins.

    Args:
        models: the twins; the host's own tables have the same columns.
        prefix: what the twins' tables are named with.
        tenants: the first one is the tenant under test.
        values: makers of values by ``Model.field`` label, such as ``"shop.Order.number"``.
    """

    def __init__(
        self,
        models: Models,
        dice: Dice,
        tenants: Sequence[str],
        *,
        prefix: str,
        rows: int,
        values: Mapping[str, Callable[[int], Any]],
    ) -> None:
        self.models: Models = models
        self.tenants: tuple[str, ...] = tuple(tenants)
        self.prefix: str = prefix
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self.tables: list[Any] = tables(models.by_label.values())
        self._values: Mapping[str, Callable[[int], Any]] = values
        self._dice: Dice = dice
        self._number: int = 0
        for model in self.tables:
            self._fill(model, rows)

    def _fill(self, model: Any, rows: int) -> None:
        seen: set[str] = set()
        # The tenants take turns, so that neither keys nor insertion order tell them apart.
        for owner in self.tenants * rows:
            self._number += 1
            row = self.row(model, owner, self._number)
            missing = any(row[field.attname] is None and not field.null for field in model._meta.local_concrete_fields)
            pair = repr([value for name, value in row.items() if name != model._meta.pk.attname])
            if not missing and not (model._meta.auto_created and pair in seen):
                seen.add(pair)
                self.rows[model._meta.db_table].append(row)

    def row(self, model: Any, owner: str, number: int, *, corrupt: float = 0.2, dice: Dice | None = None) -> Row:
        """A new row by attribute name; it is not part of the world yet.

        Args:
            owner: its tenant.
            corrupt: how often it points at another tenant's row.
        """
        dice = (dice or self._dice).always(f"{model._meta.db_table}{number}")
        row: Row = {}
        for field in model._meta.local_concrete_fields:
            if field.attname == self.models.column and field.remote_field is None:
                row[field.attname] = typed(field, owner)
            elif field.remote_field is not None:
                row[field.attname] = self._reference(dice, field, owner, corrupt=corrupt)
            else:
                row[field.attname] = self._value(dice, field, number)
        return row

    def _reference(self, dice: Dice, field: Any, owner: str, *, corrupt: float) -> Any:
        parent, target = field.remote_field.model, field.target_field
        if target.model._meta.db_table != parent._meta.db_table:
            parent = target.model
        if field.null and dice.chance(0.2):
            return None
        fits = self.rows[parent._meta.db_table]
        inherited = getattr(field.remote_field, "parent_link", False)
        if self.models.owned(parent) and (inherited or not dice.chance(corrupt)):
            fits = [above for above in fits if self.owner(parent, above) == owner] or ([] if inherited else fits)
        if field.unique:
            taken = {below[field.attname] for below in self.rows[field.model._meta.db_table]}
            fits = [above for above in fits if above[target.attname] not in taken]
        return dice.choice(fits)[target.attname] if fits else None

    def _value(self, dice: Dice, field: Any, number: int) -> Any:
        maker = self._values.get(f"{field.model._meta.label}.{field.name}")
        if maker is not None:
            return maker(number)
        if field.choices:
            return dice.choice([value for value, _ in field.flatchoices])
        if field.null and dice.chance(0.25):
            return None
        together = [names for names in field.model._meta.unique_together if field.name in names]
        together += [each for each in field.model._meta.constraints if field.name in getattr(each, "fields", ())]
        unique = bool(field.unique or together)
        chosen = number if unique else dice.number(0, 9)
        return value_of(python_type(field), chosen, unique=unique, length=field.max_length, aware=aware())

    def varied(self, dice: Dice) -> World:
        """The same rows of the first tenant among other rows of the others: some gone, some changed, some new."""
        other = copy(self)
        other.rows = defaultdict(list, {table: list(rows) for table, rows in self.rows.items()})
        above = {parent._meta.db_table for model in self.models.tenants for parent in model._meta.parents}
        for model in self.models.tenants:
            table = model._meta.db_table
            if model._meta.parents or model._meta.proxy or table in above:
                continue  # a row in two tables comes and goes whole
            kept = []
            for row in self.rows[table]:
                fresh = {
                    field.attname: self._value(dice, field, dice.number(0, 99))
                    for field in self.models.settable(model)
                }  # fmt: skip
                if self.own(model, row):
                    kept.append(row)
                elif not dice.chance(0.3):
                    kept.append(row | fresh)
            start = _MORE + dice.number(0, _MORE)
            more = [self.row(model, self.tenants[1], start + number, dice=dice) for number in range(dice.number(0, 3))]
            needed = [field.attname for field in model._meta.local_concrete_fields if not field.null]
            other.rows[table] = kept + [row for row in more if all(row[name] is not None for name in needed)]
        for model in self.tables:
            if model._meta.auto_created:
                rows = self.rows[model._meta.db_table]
                other.rows[model._meta.db_table] = [
                    row for row in rows if other._ends(model, row) == self._ends(model, row)
                ]
        return other

    def of(self, model: Any) -> list[Row]:
        """The rows of a model, whether the host's or its twin."""
        table: str = model._meta.concrete_model._meta.db_table
        return self.rows[table if table in self.rows else self.prefix + table]

    def twin(self, model: Any) -> Any:
        """The plain twin of a model."""
        return self.models.by_label[model._meta.label]

    def owner(self, model: Any, row: Row) -> str | None:
        """Whose a row is: by its column, else by the owned rows that it points at; None for everybody's.

        `TORN` is a link between rows of two tenants: neither may see it, and it goes when either end goes.
        """
        for field in model._meta.local_concrete_fields:
            if field.attname == self.models.column:
                return str(row[field.attname])
        owners = {end for end in self._ends(model, row) if end is not None}
        return None if not owners else owners.pop() if len(owners) == 1 else TORN

    def _ends(self, model: Any, row: Row) -> list[str | None]:
        """Whose the rows are that a row points at."""
        return [
            self.owner(field.target_field.model, above)
            for field in model._meta.local_concrete_fields
            if field.remote_field is not None and row.get(field.attname) is not None
            for above in self.rows[field.target_field.model._meta.db_table]
            if above[field.target_field.attname] == row[field.attname]
        ]

    def own(self, model: Any, row: Row) -> bool:
        """Whether a row is the first tenant's, or shared by all."""
        return self.owner(model, row) in (None, self.tenants[0])

    def insert(self, connection: Any, *, alone: bool) -> None:
        """Writes all rows into the host's tables, or only the first tenant's into the twins'."""
        quoted = connection.ops.quote_name
        for model in self.tables:
            fields = model._meta.local_concrete_fields
            names = ", ".join(quoted(field.column) for field in fields)
            places = ", ".join(["%s"] * len(fields))
            sql = f"INSERT INTO {quoted(self._table(model, alone=alone))} ({names}) VALUES ({places})"
            for row in self.rows[model._meta.db_table]:
                if not alone or self.own(model, row):
                    below(connection, sql, [self._prepared(field, row, connection) for field in fields])

    def dump(self, connection: Any, *, alone: bool) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """The first tenant's rows and everybody else's."""
        own: dict[str, list[str]] = {}
        others: dict[str, list[str]] = {}
        for model in self.tables:
            fields = [field for field in model._meta.local_concrete_fields if not getattr(field, "auto_now", False)]
            names = ", ".join(connection.ops.quote_name(field.column) for field in fields)
            table = connection.ops.quote_name(self._table(model, alone=alone))
            name = model._meta.db_table
            own[name], others[name] = [], []
            for values in below(connection, f"SELECT {names} FROM {table}"):
                row = {field.attname: value for field, value in zip(fields, values, strict=True)}
                if model._meta.auto_created:
                    shown = [value for key, value in row.items() if key != model._meta.pk.attname]
                else:
                    shown = list(row.values())
                if self.owner(model, row) != TORN:
                    (own if self.own(model, row) else others)[name].append(repr(shown))
        return own, others

    def empty(self, connection: Any, *, alone: bool) -> None:
        """Deletes all rows."""
        for model in reversed(self.tables):
            below(connection, f"DELETE FROM {connection.ops.quote_name(self._table(model, alone=alone))}")

    def _table(self, model: Any, *, alone: bool) -> str:
        name: str = model._meta.db_table
        return name if alone else name.removeprefix(self.prefix)

    @staticmethod
    def _prepared(field: Any, row: Row, connection: Any) -> Any:
        value = row[field.attname]
        return field.get_db_prep_save(value, connection=connection)
