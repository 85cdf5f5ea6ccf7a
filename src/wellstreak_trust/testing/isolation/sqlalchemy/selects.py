"""Select statements over the host's models: what is selected, from which joins, wrapped in what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Select,
    and_,
    case,
    distinct,
    except_,
    exists,
    func,
    inspect,
    intersect,
    literal,
    select,
    union,
    union_all,
)
from sqlalchemy.orm import Bundle, Session, aliased

from ..dice import Dice
from ..values import ORDERED
from .conditions import Conditions, Entity
from .plain import plain

__all__ = ["FORMS", "Selects"]

FORMS: Final = (
    "rows", "rows", "rows", "aggregates", "grouped", "windows", "truths", "subquery", "cte", "recursive", "compound",
    "entity_from", "exists", "count", "legacy", "nested_entity", "stream", "lateral",
)  # fmt: skip

_COMPOUND: Final = (union, union_all, intersect, except_)


@dataclass
class _From:
    """A statement under construction: the entities that may be named, and the joins."""

    entities: list[Entity]
    statement: Select[Any]


class Selects:
    """Grows and runs select statements; each form gives plain values."""

    def __init__(self, conditions: Conditions, *, lateral: bool) -> None:
        self.conditions: Conditions = conditions
        self.lateral: bool = lateral

    def run(self, form: str, dice: Dice, session: Session) -> Any:
        """Runs one statement of the form."""
        return getattr(self, f"_{form}")(dice, session)

    def _rows(self, dice: Dice, session: Session) -> Any:
        base = self._from(dice)
        shown = [self._shown(dice.always("shown"), base) for _ in range(dice.number(1, 3))]
        statement = self._finished(dice, base, base.statement.with_only_columns(*shown, maintain_column_froms=True))
        return self._answer(dice, session, statement)

    def _stream(self, dice: Dice, session: Session) -> Any:
        base = self._from(dice)
        statement = self._where(dice, base, base.statement).order_by(*self._keys(base))
        result = session.execute(statement.execution_options(yield_per=dice.number(1, 3)))
        return [plain(row) for part in result.partitions() for row in part]

    def _aggregates(self, dice: Dice, session: Session) -> Any:
        base = self._from(dice)
        shown = [self._aggregate(dice.always("shown"), base) for _ in range(dice.number(1, 3))]
        return self._answer(dice, session, self._where(dice, base, self._showing(dice, base, *shown)))

    def _grouped(self, dice: Dice, session: Session) -> Any:
        base = self._from(dice)
        key, _ = dice.choice(self.conditions.columns(base.entities[0], ORDERED))
        statement = base.statement.with_only_columns(key, self._aggregate(dice.always("shown"), base)).group_by(key)
        if having := dice.part("having", 0.3):
            statement = statement.having(func.count() >= having.number(1, 2))
        return self._answer(dice, session, self._where(dice, base, statement))

    def _windows(self, dice: Dice, session: Session) -> Any:
        base = self._from(dice)
        shown = [self._window(dice.always("shown"), base) for _ in range(dice.number(1, 2))]
        return self._answer(dice, session, self._where(dice, base, self._showing(dice, base, *shown)))

    def _truths(self, dice: Dice, session: Session) -> Any:
        base = self._from(dice, joins=1)
        entity = base.entities[0]
        if dice.chance(0.2):
            return self._answer(dice, session, select(and_(*(key.is_not(None) for key in self._keys(base)))))
        truth = self.conditions.grow(dice.always("left"), entity)
        if other := dice.part("and", 0.6):
            truth = and_(truth, self.conditions.grow(other, entity))
        return self._answer(dice, session, self._where(dice, base, self._showing(dice, base, truth)))

    def _subquery(self, dice: Dice, session: Session) -> Any:
        inner = self._labelled(dice.always("inner")).subquery()
        return self._over(dice, session, inner)

    def _cte(self, dice: Dice, session: Session) -> Any:
        inner = self._labelled(dice.always("inner")).cte(nesting=dice.chance(0.2))
        if again := dice.part("joined", 0.3):
            other = self.conditions.entity(again)
            statement = select(inner.c[0], *self.conditions.keys(other)).join_from(inner, other, literal(True))
            return self._answer(dice, session, statement)
        return self._over(dice, session, inner)

    def _recursive(self, dice: Dice, session: Session) -> Any:
        entity = self.conditions.entity(dice)
        key = self.conditions.keys(entity)[-1]
        start = select(key.label("key"), literal(0).label("depth"))
        if part := dice.part("where", 0.7):
            start = start.where(self.conditions.grow(part, entity, 1))
        walk = start.cte("walk", recursive=True)
        step = aliased(inspect(entity).mapper.class_)
        ties = list(self.conditions.ties(step, entity))
        follows = ties[0][0] == walk.c.key if ties else self.conditions.keys(step)[-1] == walk.c.key
        further = select(self.conditions.keys(step)[-1], walk.c.depth + 1).where(follows, walk.c.depth < 2)
        walk = walk.union_all(further)
        return self._answer(dice, session, select(walk.c.key, walk.c.depth))

    def _compound(self, dice: Dice, session: Session) -> Any:
        whole = self._compounded(dice)
        if dice.chance(0.4):
            return self._over(dice, session, whole.subquery())
        return self._answer(dice, session, whole)

    def _entity_from(self, dice: Dice, session: Session) -> Any:
        """Entities out of a subquery, a union, or a whole statement."""
        mapper = inspect(self.conditions.entity(dice)).mapper
        parts = [
            select(mapper.class_).where(self.conditions.grow(dice.always(side), mapper.class_)) for side in ("a", "b")
        ]
        way = dice.choice(("alias", "union", "statement", "flat"))
        if way == "statement":
            return self._answer(dice, session, select(mapper.class_).from_statement(union(*parts)))
        source = union(*parts).subquery() if way == "union" else parts[0].subquery()
        entity = aliased(mapper.class_, source, flat=way == "flat")
        statement = select(entity)
        if part := dice.part("where", 0.5):
            statement = statement.where(self.conditions.grow(part, entity, 1))
        return self._answer(dice, session, statement)

    def _exists(self, dice: Dice, session: Session) -> Any:
        base = self._from(dice)
        inner = self._where(dice, base, base.statement)
        if dice.chance(0.5):
            return plain(session.scalar(select(exists(inner))))
        return plain(session.execute(select(inner.exists(), literal(1))).one())

    def _count(self, dice: Dice, session: Session) -> Any:
        inner = self._labelled(dice.always("inner"))
        return plain(session.scalar(select(func.count()).select_from(inner.subquery())))

    def _legacy(self, dice: Dice, session: Session) -> Any:
        entity = self.conditions.entity(dice)
        query = session.query(entity)
        if part := dice.part("where", 0.8):
            query = query.filter(self.conditions.grow(part, entity))
        model = inspect(entity).mapper.class_
        others = [each for each in self.conditions.related(entity) if each.property.mapper.class_ is not model]
        if (part := dice.part("join", 0.4)) and others:
            query = query.join(part.choice(others))
        way = dice.choice(("all", "count", "exists", "first", "get", "column"))
        if way == "count":
            return query.count()
        if way == "exists":
            return session.query(query.exists()).scalar()
        if way == "column":
            return sorted(map(repr, query.with_entities(*self.conditions.keys(entity)).all()))
        ordered = query.order_by(*self.conditions.keys(entity))
        return plain(ordered.first()) if way in ("first", "get") else [plain(each) for each in ordered.all()]

    def _nested_entity(self, dice: Dice, session: Session) -> Any:
        """Entities whose key is in another statement, however that one is wrapped."""
        entity = self.conditions.entity(dice)
        other = aliased(inspect(entity).mapper.class_)
        key, its = self.conditions.keys(entity)[-1], self.conditions.keys(other)[-1]
        inner = select(its)
        if part := dice.part("where", 0.8):
            inner = inner.where(self.conditions.grow(part, other))
        way = dice.choice(("plain", "subquery", "cte", "window", "limit"))
        if way == "window":
            inner = select(func.max(its).over())
        if way == "limit":
            inner = inner.order_by(its).limit(dice.number(1, 4))
        if way in ("subquery", "cte"):
            source: Any = inner.subquery() if way == "subquery" else inner.cte()
            inner = select(source.c[0])
        return self._answer(dice, session, select(entity).where(key.in_(inner)))

    def _lateral(self, dice: Dice, session: Session) -> Any:
        if not self.lateral:
            return self._subquery(dice, session)
        entity = self.conditions.entity(dice)
        other = aliased(inspect(self.conditions.entity(dice)).mapper.class_)
        inner = select(*self.conditions.keys(other)).order_by(*self.conditions.keys(other)).limit(dice.number(1, 3))
        for left, right in self.conditions.ties(other, entity):
            inner = inner.where(left == right)
        side = inner.lateral()
        statement = select(*self.conditions.keys(entity), *side.c).join_from(
            entity, side, literal(True), isouter=dice.chance(0.5)
        )
        return self._answer(dice, session, statement)

    # --- parts -----------------------------------------------------------------------------------------------------

    def _from(self, dice: Dice, joins: int = 3) -> _From:
        entity = self.conditions.entity(dice)
        base = _From([entity], select(entity).select_from(entity))
        for _ in range(joins):
            if part := dice.part("join", 0.35):
                self._joined(part, base)
        return base

    def _joined(self, dice: Dice, base: _From) -> None:
        """Joins one more entity."""
        outer, full = dice.chance(0.4), dice.chance(0.02)
        left = dice.choice(base.entities)
        relationships = self.conditions.related(left)
        if not relationships or dice.chance(0.25):
            other = aliased(inspect(self.conditions.entity(dice)).mapper.class_)
            base.statement = base.statement.join(
                other, self.conditions.tie(dice, left, other), isouter=outer, full=full
            )
            base.entities.append(other)
            return
        relationship = dice.choice(relationships)
        mapper = relationship.property.mapper
        taken = any(inspect(each).mapper.isa(mapper) or mapper.isa(inspect(each).mapper) for each in base.entities)
        target = aliased(mapper.class_) if taken or dice.chance(0.4) else mapper.class_
        way = relationship.of_type(target) if target is not mapper.class_ else relationship
        if inner := dice.part("and", 0.2):
            way = way.and_(self.conditions.grow(inner, target, 0))
        base.statement = base.statement.join(way, isouter=outer, full=full)
        base.entities.append(target)

    def _showing(self, dice: Dice, base: _From, *shown: Any) -> Select[Any]:
        """Only the columns; without the entity where they are enough to say what is read."""
        if len(base.entities) == 1 and dice.chance(0.6):
            return select(*shown)
        return base.statement.with_only_columns(*shown, maintain_column_froms=True)

    def _where(self, dice: Dice, base: _From, statement: Select[Any]) -> Select[Any]:
        for _ in range(2):
            if part := dice.part("where", 0.5):
                statement = statement.where(self.conditions.grow(part, part.choice(base.entities)))
        return statement

    def _finished(self, dice: Dice, base: _From, statement: Select[Any]) -> Select[Any]:
        """With conditions, and distinct or ordered and cut."""
        statement = self._where(dice, base, statement)
        if dice.part("distinct", 0.15):
            return statement.distinct()
        if part := dice.part("limit", 0.25):
            statement = statement.order_by(*self._keys(base)).limit(part.number(1, 6)).offset(part.number(0, 2))
        return statement

    def _keys(self, base: _From) -> list[Any]:
        return [key for entity in base.entities for key in self.conditions.keys(entity)]

    def _shown(self, dice: Dice, base: _From) -> Any:
        """One item of a select list that is neither aggregate nor window."""
        entity = dice.choice(base.entities)
        attribute, _ = dice.choice(self.conditions.columns(entity))
        way = dice.choice(("entity", "entity", "column", "column", "bundle", "truth", "case", "scalar", "window"))
        if way == "entity":
            return entity
        if way == "bundle":
            return Bundle("bundle", *self.conditions.keys(entity), attribute)
        if way == "truth":
            return self.conditions.grow(dice.always("truth"), entity, 1)
        if way == "case":
            return case((self.conditions.grow(dice.always("when"), entity, 1), 1), else_=0)
        if way == "scalar":
            return self._scalar(dice, entity)
        return self._window(dice, base) if way == "window" else attribute

    def _scalar(self, dice: Dice, entity: Entity) -> Any:
        """A correlated aggregate of another entity."""
        other = aliased(inspect(self.conditions.entity(dice)).mapper.class_)
        attribute, _ = dice.choice(self.conditions.columns(other, ORDERED))
        inner = select(func.max(attribute)).where(self.conditions.tie(dice, entity, other))
        return inner.scalar_subquery()

    def _aggregate(self, dice: Dice, base: _From) -> Any:
        entity = dice.choice(base.entities)
        attribute, column = dice.choice(self.conditions.columns(entity, ORDERED))
        way = dice.choice(("count", "star", "max", "min", "sum", "distinct"))
        aggregate: Any = func.count(attribute)
        if way == "star":
            aggregate = func.count()
        elif way in ("max", "min"):
            aggregate = getattr(func, way)(attribute)
        elif way == "sum" and self.conditions.summed(column):
            aggregate = func.sum(attribute)
        elif way == "distinct":
            aggregate = func.count(distinct(attribute))
        if part := dice.part("filter", 0.35):
            aggregate = aggregate.filter(self.conditions.grow(part, entity, 0))
        return aggregate

    def _window(self, dice: Dice, base: _From) -> Any:
        attribute, _ = dice.choice(self.conditions.columns(dice.choice(base.entities), ORDERED))
        keys = self._keys(base)
        way = dice.choice(("max", "count", "row_number", "lag", "filter"))
        partition = attribute if dice.part("partition", 0.4) else None
        if way == "row_number":
            return func.row_number().over(partition_by=partition, order_by=keys)
        if way == "lag":
            return func.lag(attribute).over(partition_by=partition, order_by=keys)
        if way == "filter":
            return func.count(attribute).filter(attribute.is_not(None)).over(partition_by=partition)
        return getattr(func, way)(attribute).over(partition_by=partition)

    def _labelled(self, dice: Dice) -> Select[Any]:
        """A statement whose columns have names of their own, to be selected from."""
        base = self._from(dice)
        shown = []
        for number in range(dice.number(1, 3)):
            attribute, _ = dice.choice(self.conditions.columns(dice.choice(base.entities), ORDERED))
            shown.append((self._window(dice, base) if dice.chance(0.2) else attribute).label(f"c{number}"))
        return self._finished(dice, base, base.statement.with_only_columns(*shown, maintain_column_froms=True))

    def _compounded(self, dice: Dice) -> Any:
        entity = self.conditions.entity(dice)
        mapper = inspect(entity).mapper
        name = dice.choice(sorted(self.conditions.schema.attributes(mapper)))
        parts = []
        for side in ("a", "b"):
            each = mapper.class_ if dice.chance(0.5) else aliased(mapper.class_)
            parts.append(select(getattr(each, name)).where(self.conditions.grow(dice.always(side), each)))
        return dice.choice(_COMPOUND)(*parts)

    def _over(self, dice: Dice, session: Session, source: Any) -> Any:
        columns = list(source.c)
        if dice.chance(0.3):
            return self._answer(dice, session, select(func.count(), func.max(columns[0])).select_from(source))
        return self._answer(dice, session, select(*columns))

    def _answer(self, dice: Dice, session: Session, statement: Any) -> Any:
        """Runs it in one of the ways there are; the order of rows says nothing unless it was asked for."""
        way = dice.choice(("execute", "execute", "scalars", "first", "mappings"))
        if way == "scalars":
            return sorted(map(repr, map(plain, session.scalars(statement).unique(repr).all())))
        if way == "first" and len(getattr(statement, "_order_by_clauses", [])):
            return plain(session.execute(statement).first())
        result = session.execute(statement)
        if way == "mappings":
            return sorted(repr(plain(tuple(row.values()))) for row in result.mappings())
        return sorted(repr(plain(row)) for row in result)
