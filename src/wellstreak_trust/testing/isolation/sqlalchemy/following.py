"""Attacks through relationships: a link between two tenants' rows is in the database, and a loader follows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, insert, inspect, select
from sqlalchemy.orm import RelationshipProperty, joinedload, lazyload, selectinload, subqueryload

from .ground import Ground, Key
from .tampering import linked

__all__ = ["LOADERS", "corrupt", "follow"]

LOADERS: Final[Mapping[str, Callable[..., Any]]] = {
    "lazy": lazyload,
    "selectin": selectinload,
    "joined": joinedload,
    "subquery": subqueryload,
}


def corrupt(ground: Ground, prop: RelationshipProperty[Any], mine: Key, theirs: Key) -> Callable[[Connection], None]:
    """What joins the attacker's row `mine` with the victim's `theirs` below the guard."""

    def work(connection: Connection) -> None:
        link: Any = prop.secondary
        if link is not None:
            connection.execute(insert(link).values(linked(prop, mine, theirs)))
            return
        pairs = list(prop.synchronize_pairs or ())
        near = dict(zip(prop.parent.primary_key, mine, strict=True))
        far = dict(zip(prop.mapper.primary_key, theirs, strict=True))
        # The pair is (where the value comes from, where it goes): upwards it comes from the far end.
        upwards = prop.direction.name == "MANYTOONE"
        source, child, key = (far, prop.parent, near) if upwards else (near, prop.mapper, far)
        values = {
            target.name: source[origin] for origin, target in pairs
            if origin in source and target.name != ground.schema.column
        }  # fmt: skip
        table: Any = child.local_table
        statement = table.update().values(values)
        for column, value in key.items():
            statement = statement.where(column == value)
        connection.execute(statement)

    return work


def follow(ground: Ground, prop: RelationshipProperty[Any], loader: str, mine: Key, theirs: Key) -> str | None:
    """Loads the attacker's row and follows the relationship; the complaint where it leads to the victim's row."""
    model = prop.parent.class_
    attribute = getattr(model, prop.key)
    with ground.scope(), ground.maker() as session:
        statement = select(model).options(LOADERS[loader](attribute))
        for column, value in zip(prop.parent.primary_key, mine, strict=True):
            statement = statement.where(column == value)
        found = session.scalars(statement).unique().one()
        related = getattr(found, prop.key)
        every = [] if related is None else list(related) if prop.uselist else [related]
        reached = any(inspect(each).identity == theirs for each in every)
        return "the relationship led to the victim's row" if reached else None
