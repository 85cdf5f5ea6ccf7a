"""Changes over the host's models: in bulk with row counts, by instance, and new rows. All of it is legal work."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, delete, insert, inspect, select, update
from sqlalchemy.orm import Session

from ..dice import Dice
from ..values import value_of
from .conditions import Conditions
from .plain import plain
from .schema import python_type

__all__ = ["FORMS", "Writes"]

FORMS: Final = (
    "update", "update", "delete", "legacy_update", "legacy_delete", "changed", "removed", "added", "inserted",
    "returned", "merged", "linked", "by_key",
)  # fmt: skip

_NEW: Final = 100_000  # new keys start far from those of the world


class Writes:
    """Grows and runs changes; each form gives counts or rows, and the rows afterwards are compared by the oracle."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions: Conditions = conditions

    def run(self, form: str, dice: Dice, session: Session) -> Any:
        """Runs one change of the form and commits."""
        answer = getattr(self, f"_{form}")(dice, session)
        session.commit()
        return answer

    def _update(self, dice: Dice, session: Session) -> Any:
        model, values = self._changed_values(dice)
        return self._bulk(dice, session, model, update(model).values(values))

    def _delete(self, dice: Dice, session: Session) -> Any:
        model = self._model(dice)
        return self._bulk(dice, session, model, delete(model))

    def _bulk(self, dice: Dice, session: Session, model: Any, statement: Any) -> Any:
        for _ in range(2):
            if part := dice.part("where", 0.6):
                statement = statement.where(self.conditions.grow(part, model))
        if dice.part("held", 0.4):
            session.scalars(select(model)).all()
        synchronised = dice.choice(("auto", "fetch", "evaluate", False))
        result: Any = session.execute(statement, execution_options={"synchronize_session": synchronised})
        return result.rowcount

    def _returned(self, dice: Dice, session: Session) -> Any:
        """What an update or delete gives back."""
        model, values = self._changed_values(dice)
        statement: Any = update(model).values(values) if dice.chance(0.6) else delete(model)
        if part := dice.part("where", 0.7):
            statement = statement.where(self.conditions.grow(part, model))
        shown = [model] if dice.chance(0.3) else self.conditions.keys(model)
        result = session.execute(statement.returning(*shown))
        return sorted(repr(plain(row)) for row in result)

    def _legacy_update(self, dice: Dice, session: Session) -> Any:
        model, values = self._changed_values(dice)
        query = session.query(model)
        if part := dice.part("where", 0.8):
            query = query.filter(self.conditions.grow(part, model))
        return query.update(values, synchronize_session=dice.choice(("auto", "fetch", False)))

    def _legacy_delete(self, dice: Dice, session: Session) -> Any:
        model = self._model(dice)
        query = session.query(model)
        if part := dice.part("where", 0.8):
            query = query.filter(self.conditions.grow(part, model))
        return query.delete(synchronize_session=dice.choice(("auto", "fetch", False)))

    def _changed(self, dice: Dice, session: Session) -> Any:
        """Instances that are changed one by one and flushed."""
        model, values = self._changed_values(dice)
        found = session.scalars(self._some(dice, model)).all()
        for each in found:
            for name, value in values.items():
                setattr(each, name, value)
        return len(found)

    def _removed(self, dice: Dice, session: Session) -> Any:
        """Instances that are deleted, with what cascades from them."""
        found = session.scalars(self._some(dice, self._model(dice)).limit(dice.number(1, 3))).all()
        for each in found:
            session.delete(each)
        session.flush()
        return len(found)

    def _added(self, dice: Dice, session: Session) -> Any:
        """New instances whose foreign keys lead to own rows."""
        model, rows = self._new(dice)
        if dice.part("unstamped", 0.5) and session.info.get("stamped"):
            rows = [{key: value for key, value in row.items() if key != self.conditions.schema.column} for row in rows]
        session.add_all([model(**row) for row in rows])
        session.flush()
        return len(rows)

    def _inserted(self, dice: Dice, session: Session) -> Any:
        """New rows by an insert statement."""
        model, rows = self._new(dice)
        if dice.chance(0.3):
            return sorted(repr(plain(row)) for row in session.execute(insert(model).returning(model), rows))
        result: Any = session.execute(insert(model), rows) if dice.chance(0.6) else session.execute(
            insert(model).values(rows[0])
        )  # fmt: skip
        result.close()
        return len(rows)

    def _merged(self, dice: Dice, session: Session) -> Any:
        """A detached copy of an own row, changed and merged."""
        model, values = self._changed_values(dice)
        found = session.scalars(self._some(dice, model).limit(1)).first()
        if found is None:
            return None
        session.expunge_all()
        for name, value in values.items():
            setattr(found, name, value)
        return plain(session.merge(found, load=True))

    def _linked(self, dice: Dice, session: Session) -> Any:
        """Relationships that are changed: a parent, a collection, a link to an own row."""
        mapper = inspect(self._model(dice))
        relationships = self.conditions.schema.relationships(mapper)
        if not relationships:
            return self._changed(dice, session)
        prop = dice.choice(relationships)
        one = session.scalars(self._some(dice, mapper.class_).limit(1)).first()
        target = prop.mapper.class_
        other = session.scalars(select(target).order_by(*self.conditions.keys(target))).first()
        if one is None or other is None or one is other:
            return None
        if not prop.uselist:
            setattr(one, prop.key, other)
        elif other not in (held := getattr(one, prop.key)):
            held.add(other) if isinstance(held, set) else held.append(other)
        elif dice.part("taken", 0.7):
            held.remove(other)
        session.flush()
        return plain(one, [prop.key])

    def _by_key(self, dice: Dice, session: Session) -> Any:
        """The bulk update by primary key, of own rows."""
        model, values = self._changed_values(dice)
        found = session.scalars(self._some(dice, model)).all()
        mapper = inspect(model)
        names = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
        rows = [{name: getattr(each, name) for name in names} | values for each in found]
        session.expunge_all()
        if rows:
            session.execute(update(model), rows)
        return len(rows)

    # --- parts -----------------------------------------------------------------------------------------------------

    def _model(self, dice: Dice) -> Any:
        return dice.choice([mapper for mapper in self.conditions.schema.tenants if mapper.inherits is None]).class_

    def _some(self, dice: Dice, model: Any) -> Any:
        statement = select(model).order_by(*self.conditions.keys(model))
        part = dice.part("where", 0.7)
        return statement.where(self.conditions.grow(part, model)) if part else statement

    def _changed_values(self, dice: Dice) -> tuple[Any, dict[str, Any]]:
        """A model and new values for some of its columns."""
        schema = self.conditions.schema
        fits = [mapper for mapper in schema.tenants if mapper.inherits is None and schema.settable(mapper)]
        mapper = dice.choice(fits)
        columns = schema.settable(mapper)
        return mapper.class_, {name: self._fresh(dice, columns[name]) for name in dice.some(sorted(columns), 1, 2)}

    def _fresh(self, dice: Dice, column: Column[Any]) -> Any:
        values = [row[column.name] for row in self.conditions.world.rows[column.table]]
        if dice.chance(0.4):
            return dice.choice(values)
        if getattr(column.type, "enums", None):
            return dice.choice(values)
        length = getattr(column.type, "length", None)
        aware = bool(getattr(column.type, "timezone", False))
        return value_of(python_type(column), dice.number(0, 9), unique=False, length=length, aware=aware)

    def _new(self, dice: Dice) -> tuple[Any, list[dict[str, Any]]]:
        """A model and rows for it, by attribute name."""
        world = self.conditions.world
        mapper = inspect(self._model(dice))
        start = _NEW + dice.number(1, _NEW)
        rows = []
        for number in range(dice.number(1, 3)):
            row = world.row(mapper.local_table, world.tenants[0], start + number, corrupt=0.0, dice=dice)
            names = {column: mapper.get_property_by_column(column).key for column in _own_columns(mapper)}
            rows.append({key: row[column.name] for column, key in names.items() if column.name in row})
        return mapper.class_, rows


def _own_columns(mapper: Any) -> list[Column[Any]]:
    """The columns of a mapper's own table that a new instance sets."""
    return [
        column
        for column in mapper.local_table.c
        if mapper.columns.contains_column(column) and column is not mapper.polymorphic_on
    ]
