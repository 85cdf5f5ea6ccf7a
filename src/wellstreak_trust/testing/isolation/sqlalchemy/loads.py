"""Instances and what hangs on them: loader strategies, identity lookups, refreshes."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import inspect, select
from sqlalchemy.orm import (
    Session,
    aliased,
    contains_eager,
    defer,
    immediateload,
    joinedload,
    lazyload,
    load_only,
    selectinload,
    subqueryload,
    undefer,
)

from ..dice import Dice
from .conditions import Conditions, Entity
from .plain import plain

__all__ = ["FORMS", "Loads"]

FORMS: Final = ("strategy", "strategy", "strategy", "contained", "get", "refresh", "expired", "deferred", "held")

_STRATEGIES: Final = (lazyload, selectinload, joinedload, subqueryload, immediateload)


class Loads:
    """Grows and runs loads; each form gives plain values."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions: Conditions = conditions

    def run(self, form: str, dice: Dice, session: Session) -> Any:
        """Runs one load of the form."""
        return getattr(self, f"_{form}")(dice, session)

    def _strategy(self, dice: Dice, session: Session) -> Any:
        """A path of up to three relationships, each by a strategy of its own."""
        entity = self._with_relationships(dice)
        path, option, at = [], None, entity
        for _ in range(dice.number(1, 3)):
            relationships = self.conditions.related(at)
            if not relationships:
                break
            relationship = dice.choice(relationships)
            strategy = dice.choice(_STRATEGIES)
            its = {"innerjoin": True} if strategy is joinedload and dice.part("inner", 0.3) else {}
            asked = relationship
            if part := dice.part("and", 0.15):
                asked = relationship.and_(self.conditions.grow(part, relationship.property.mapper.class_, 0))
            option = strategy(asked, **its) if option is None else getattr(option, strategy.__name__)(asked, **its)
            path.append(relationship.key)
            at = relationship.property.mapper.class_
        statement = select(entity)
        if dice.part("eager", 0.8) and option is not None:
            statement = statement.options(option)
        if part := dice.part("where", 0.5):
            statement = statement.where(self.conditions.grow(part, entity))
        if part := dice.part("limit", 0.2):
            statement = statement.order_by(*self.conditions.keys(entity)).limit(part.number(1, 4))
        found = session.scalars(statement).unique().all()
        return sorted(repr(plain(each, path)) for each in found)

    def _contained(self, dice: Dice, session: Session) -> Any:
        entity = self._with_relationships(dice)
        if not self.conditions.related(entity):
            return self._get(dice, session)
        relationship = dice.choice(self.conditions.related(entity))
        target = relationship.property.mapper.class_
        if dice.chance(0.5) or target is inspect(entity).mapper.class_:
            target = aliased(target)
            relationship = relationship.of_type(target)
        statement = select(entity).join(relationship, isouter=dice.chance(0.7)).options(contains_eager(relationship))
        if part := dice.part("where", 0.5):
            statement = statement.where(self.conditions.grow(part, part.choice([entity, target]), 1))
        found = session.scalars(statement.execution_options(populate_existing=True)).unique().all()
        return sorted(repr(plain(each, [relationship.key])) for each in found)

    def _get(self, dice: Dice, session: Session) -> Any:
        """By a key that may be another tenant's."""
        mapper = inspect(self.conditions.entity(dice)).mapper
        key = self._key(dice, mapper)
        fresh = dice.part("populate", 0.2) is not None
        if dice.part("before", 0.3):
            session.scalars(select(mapper.class_)).all()
        found = session.get(mapper.class_, key, populate_existing=fresh)
        path = [prop.key for prop in dice.some(self.conditions.schema.relationships(mapper), 0, 1)]
        return plain(found, path)

    def _refresh(self, dice: Dice, session: Session) -> Any:
        found = self._one(dice, session)
        if found is None:
            return None
        mapper = inspect(found).mapper
        names = dice.some([prop.key for prop in mapper.attrs if prop.key in self._names(mapper)], 1, 3)
        session.refresh(found, attribute_names=names if dice.part("names", 0.4) else None)
        return plain(found, [prop.key for prop in dice.some(self.conditions.schema.relationships(mapper), 0, 1)])

    def _expired(self, dice: Dice, session: Session) -> Any:
        found = self._one(dice, session)
        if found is None:
            return None
        session.expire(found)
        mapper = inspect(found).mapper
        touched = [repr(getattr(found, name)) for name in sorted(self.conditions.schema.attributes(mapper))[:2]]
        return touched, plain(
            found, [prop.key for prop in dice.some(self.conditions.schema.relationships(mapper), 0, 2)]
        )

    def _deferred(self, dice: Dice, session: Session) -> Any:
        """Columns, and SQL expressions of the mapping, that load when touched or are asked for."""
        entity = self.conditions.entity(dice)
        mapper = inspect(entity).mapper
        names = [prop.key for prop in mapper.column_attrs]
        chosen = dice.some(names, 1, 3)
        ways: tuple[Any, ...] = (defer, undefer, load_only)
        way = dice.choice(ways)
        options = [load_only(*(getattr(entity, name) for name in chosen))] if way is load_only else [
            way(getattr(entity, name)) for name in chosen
        ]  # fmt: skip
        found = session.scalars(select(entity).options(*options)).all()
        return sorted(repr([(name, plain(getattr(each, name))) for name in chosen]) for each in found)

    def _held(self, dice: Dice, session: Session) -> Any:
        """Several loads of one session, which share its identity map."""
        entity = self._with_relationships(dice)
        mapper = inspect(entity).mapper
        found = session.scalars(select(entity)).all()
        names = [prop.key for prop in dice.some(self.conditions.schema.relationships(mapper), 1, 2)]
        first = [plain(each, names[:1]) for each in found]
        session.commit()
        return sorted(map(repr, first)), sorted(repr(plain(each, names[-1:])) for each in found)

    def _one(self, dice: Dice, session: Session) -> Any:
        mapper = inspect(self.conditions.entity(dice)).mapper
        return session.get(mapper.class_, self._key(dice, mapper))

    def _key(self, dice: Dice, mapper: Any) -> Any:
        row = dice.choice(self.conditions.world.rows[mapper.local_table])
        return tuple(row[column.name] for column in mapper.local_table.primary_key)

    def _names(self, mapper: Any) -> set[str]:
        return {*self.conditions.schema.attributes(mapper)} | {
            prop.key for prop in self.conditions.schema.relationships(mapper)
        }

    def _with_relationships(self, dice: Dice) -> Entity:
        """A model that has relationships; an alias of one now and then."""
        schema = self.conditions.schema
        fits = [mapper for mapper in schema.tenants if schema.relationships(mapper)]
        if not fits:
            return self.conditions.entity(dice)
        mapper = dice.choice(fits)
        return aliased(mapper.class_) if dice.chance(0.2) else mapper.class_
