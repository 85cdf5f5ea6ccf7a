"""Conditions over the host's models: comparisons, nested queries, and questions about related rows."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Select, and_, exists, func, inspect, not_, or_, select
from sqlalchemy.orm import aliased

from ..dice import Dice
from ..values import ORDERED, SUMMED
from .schema import python_type
from .world import World

__all__ = ["Conditions"]

Entity = Any

_FLAT: Final = ("value", "value", "values", "null", "order", "text", "columns")
_NESTED: Final = (*_FLAT, "and", "or", "not", "related", "related", "in", "exists", "scalar", "counted", "windowed")


class Conditions:
    """Grows conditions.

    Values come from rows of *all* tenants: a guess that is true of another's row only must not be answered.
    """

    def __init__(self, world: World) -> None:
        self.world: World = world
        self.schema: Any = world.schema

    def entity(self, dice: Dice) -> Entity:
        """A model, or an alias of one."""
        mapper = dice.choice(self.schema.mappers if dice.chance(0.1) else self.schema.tenants)
        return aliased(mapper.class_) if dice.chance(0.35) else mapper.class_

    def columns(self, entity: Entity, kinds: tuple[type, ...] | None = None) -> list[tuple[Any, Column[Any]]]:
        """The attributes of an entity whose columns hold one of `kinds`, with those columns."""
        found = self.schema.attributes(inspect(entity).mapper)
        return [
            (getattr(entity, name), column)
            for name, column in found.items()
            if kinds is None or (issubclass(python_type(column), kinds) and python_type(column) is not bool)
        ]

    def related(self, entity: Entity) -> list[Any]:
        """The relationship attributes of an entity."""
        return [getattr(entity, prop.key) for prop in self.schema.relationships(inspect(entity).mapper)]

    def keys(self, entity: Entity) -> list[Any]:
        """The primary key of an entity."""
        mapper = inspect(entity).mapper
        return [getattr(entity, mapper.get_property_by_column(column).key) for column in mapper.primary_key]

    def grow(self, dice: Dice, entity: Entity, depth: int = 2) -> ColumnElement[bool]:
        """One condition about `entity`."""
        form = dice.choice(_NESTED if depth > 0 else _FLAT)
        inner = dice.always(form)
        condition: ColumnElement[bool] = getattr(self, f"_{form}")(inner, entity, depth - 1)
        return condition

    def _value(self, dice: Dice, entity: Entity, depth: int) -> Any:
        attribute, column = dice.choice(self.columns(entity))
        if not issubclass(python_type(column), ORDERED):
            return attribute.is_not(None)
        value = self._seen(dice, column)
        return attribute != value if dice.chance(0.3) else attribute == value

    def _values(self, dice: Dice, entity: Entity, depth: int) -> Any:
        attribute, column = dice.choice(self.columns(entity, ORDERED))
        chosen = [self._seen(dice, column) for _ in range(dice.number(1, 4))]
        return attribute.not_in(chosen) if dice.chance(0.3) else attribute.in_(chosen)

    def _null(self, dice: Dice, entity: Entity, depth: int) -> Any:
        attribute, _ = dice.choice(self.columns(entity))
        return attribute.is_(None) if dice.chance(0.4) else attribute.is_not(None)

    def _order(self, dice: Dice, entity: Entity, depth: int) -> Any:
        attribute, column = dice.choice(self.columns(entity, ORDERED))
        value = self._seen(dice, column)
        return attribute <= value if dice.chance(0.5) else attribute > value

    def _text(self, dice: Dice, entity: Entity, depth: int) -> Any:
        texts = self.columns(entity, (str,))
        if not texts:
            return self._null(dice, entity, depth)
        attribute, column = dice.choice(texts)
        if getattr(column.type, "enums", None):
            return attribute.is_not(None)
        return attribute.startswith(str(self._seen(dice, column))[:1])

    def _columns(self, dice: Dice, entity: Entity, depth: int) -> Any:
        attribute, column = dice.choice(self.columns(entity, ORDERED))
        same = [other for other, its in self.columns(entity, ORDERED) if python_type(its) is python_type(column)]
        return attribute <= dice.choice(same)

    def _and(self, dice: Dice, entity: Entity, depth: int) -> Any:
        return and_(self.grow(dice.always("left"), entity, depth), self.grow(dice.always("right"), entity, depth))

    def _or(self, dice: Dice, entity: Entity, depth: int) -> Any:
        return or_(self.grow(dice.always("left"), entity, depth), self.grow(dice.always("right"), entity, depth))

    def _not(self, dice: Dice, entity: Entity, depth: int) -> Any:
        return not_(self.grow(dice.always("inner"), entity, depth))

    def _related(self, dice: Dice, entity: Entity, depth: int) -> Any:
        relationships = self.related(entity)
        if not relationships:
            return self._exists(dice, entity, depth)
        relationship = dice.choice(relationships)
        target = relationship.property.mapper.class_
        if dice.chance(0.2):
            target = aliased(target)
            relationship = relationship.of_type(target)
        ask = relationship.any if relationship.property.uselist else relationship.has
        inner = dice.part("inner", 0.7)
        asked = ask(self.grow(inner, target, depth)) if inner else ask()
        return ~asked if dice.chance(0.3) else asked

    def _in(self, dice: Dice, entity: Entity, depth: int) -> Any:
        attribute, nested = self._nested(dice, entity, depth)
        return attribute.not_in(nested) if dice.chance(0.2) else attribute.in_(nested)

    def _windowed(self, dice: Dice, entity: Entity, depth: int) -> Any:
        """A subquery whose select list names no entity by itself: windows, filtered aggregates, truths."""
        attribute, picked, other = self._picked(dice, entity)
        if dice.chance(0.5):
            nested = select(func.max(picked).over() if dice.chance(0.6) else func.count(picked).over())
        else:
            nested = select(func.max(picked).filter(self.grow(dice.always("filter"), other, 0)))
        if inner := dice.part("inner", 0.5):
            nested = nested.where(self.grow(inner, other, 0))
        way = dice.choice(("in", "exists", "scalar"))
        if way == "exists":
            return nested.exists()
        return attribute.in_(nested) if way == "in" else attribute >= nested.limit(1).scalar_subquery()

    def _exists(self, dice: Dice, entity: Entity, depth: int) -> Any:
        other = aliased(inspect(self.entity(dice)).mapper.class_)
        nested = exists().where(self.tie(dice, entity, other))
        if inner := dice.part("inner", 0.7):
            nested = nested.where(self.grow(inner, other, depth))
        return ~nested if dice.chance(0.3) else nested

    def _scalar(self, dice: Dice, entity: Entity, depth: int) -> Any:
        attribute, nested = self._nested(dice, entity, depth)
        column = nested.selected_columns[0]
        pick = func.max if dice.chance(0.5) else func.min
        return attribute <= nested.with_only_columns(pick(column)).scalar_subquery()

    def _counted(self, dice: Dice, entity: Entity, depth: int) -> Any:
        other = aliased(inspect(self.entity(dice)).mapper.class_)
        count = func.count() if dice.chance(0.3) else func.count(self.keys(other)[-1])
        nested = select(count).select_from(other).where(self.tie(dice, entity, other))
        if inner := dice.part("inner", 0.5):
            nested = nested.where(self.grow(inner, other, depth))
        return nested.scalar_subquery() >= dice.number(0, 3)

    def _nested(self, dice: Dice, entity: Entity, depth: int) -> tuple[Any, Select[Any]]:
        """An attribute, and a query for values of its type."""
        attribute, picked, other = self._picked(dice, entity)
        nested = select(picked)
        if inner := dice.part("inner", 0.7):
            nested = nested.where(self.grow(inner, other, depth))
        return attribute, nested

    def _picked(self, dice: Dice, entity: Entity) -> tuple[Any, Any, Entity]:
        """An attribute, and one of its type of another entity."""
        attribute, column = dice.choice(self.columns(entity, ORDERED))
        model = inspect(self.entity(dice)).mapper.class_
        other = aliased(model) if dice.chance(0.6) or model is inspect(entity).mapper.class_ else model
        fits = [each for each, its in self.columns(other, ORDERED) if python_type(its) is python_type(column)]
        if not fits:
            other = aliased(inspect(entity).mapper.class_)
            fits = [each for each, its in self.columns(other, ORDERED) if its is column]
        return attribute, dice.choice(fits), other

    def tie(self, dice: Dice, entity: Entity, other: Entity) -> Any:
        """A condition between two entities: a foreign key where one leads from one to the other, else a comparison."""
        ties = list(self.ties(entity, other)) + [(there, here) for there, here in self.ties(other, entity)]
        if ties and dice.chance(0.8):
            left, right = dice.choice(ties)
            return left == right
        attribute, column = dice.choice(self.columns(entity, ORDERED))
        fits = [each for each, its in self.columns(other, ORDERED) if python_type(its) is python_type(column)]
        return attribute == dice.choice(fits) if fits else self.keys(other)[-1].is_not(None)

    def ties(self, entity: Entity, other: Entity) -> Any:
        """The pairs of attributes that a foreign key of `entity` joins with `other`."""
        its = {column: attribute for attribute, column in self.columns(other)}
        for attribute, column in self.columns(entity):
            if column.name == self.schema.column:
                continue
            for key in sorted(column.foreign_keys, key=lambda key: key.target_fullname):
                if key.column in its:
                    yield attribute, its[key.column]

    def _seen(self, dice: Dice, column: Column[Any]) -> Any:
        """A value of some tenant's row."""
        rows: list[Any] = self.world.rows[column.table]
        values = [row[column.name] for row in rows if row[column.name] is not None]
        return dice.choice(values) if values else None

    def summed(self, column: Column[Any]) -> bool:
        """Whether the values of a column add up."""
        return issubclass(python_type(column), SUMMED) and python_type(column) is not bool
