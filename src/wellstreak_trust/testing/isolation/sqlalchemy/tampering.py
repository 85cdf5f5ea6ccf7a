"""Attacks that write: whatever they do, the victim's rows must be as before, and none may be added."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import delete, insert, inspect, update
from sqlalchemy.orm import RelationshipProperty

from .schema import python_type
from .spying import Spy
from .world import typed

__all__ = ["UNTENANTED", "WRITES", "foreign_key_attacks", "relationship_attacks"]

Tamper = Callable[[Spy], object]


def _values(spy: Spy) -> dict[str, Any]:
    """A column to change, and a value that the victim's row does not have: its tenant where there is no other."""
    row = spy.ground.row(spy.model, spy.key)
    for name, column in sorted(spy.ground.schema.settable(inspect(spy.model)).items()):
        value, kind = row.get(column.name), python_type(column)
        if value is not None and column.nullable:
            return {name: None}
        if kind in _OTHER:
            return {name: _OTHER[kind](value)}
    return {_tenant(spy): _typed(spy, spy.ground.attacker)}


_OTHER: Final[Mapping[type, Callable[[Any], Any]]] = {
    str: lambda value: "y" if value == "x" else "x",
    bool: lambda value: not value,
    int: lambda value: 1 if value is None else value + 1,
}


def _tenant(spy: Spy) -> str:
    """The attribute of the tenant column."""
    mapper = inspect(spy.model)
    columns = mapper.local_table.c if spy.ground.schema.column in mapper.local_table.c else mapper.columns
    return str(mapper.get_property_by_column(columns[spy.ground.schema.column]).key)


def _typed(spy: Spy, tenant: str) -> Any:
    mapper = inspect(spy.model)
    return typed(mapper.attrs[_tenant(spy)].columns[0], tenant)


def _bulk_update(spy: Spy) -> None:
    spy.session.execute(update(spy.model).where(spy.aim).values(_values(spy)))


def _bulk_update_all(spy: Spy) -> None:
    spy.session.execute(update(spy.model).values(_values(spy)), execution_options={"synchronize_session": False})


def _bulk_delete(spy: Spy) -> None:
    spy.session.execute(delete(spy.model).where(spy.aim))


def _legacy_update(spy: Spy) -> None:
    spy.session.query(spy.model).filter(spy.aim).update(_values(spy))


def _legacy_delete(spy: Spy) -> None:
    spy.session.query(spy.model).filter(spy.aim).delete()


def _core_update(spy: Spy) -> None:
    table = inspect(spy.model).local_table
    spy.session.execute(update(table).where(table.c[spy.keys[-1].expression.name] == spy.key[-1]).values(_values(spy)))


def _core_delete(spy: Spy) -> None:
    table = inspect(spy.model).local_table
    spy.session.execute(delete(table).where(table.c[spy.keys[-1].expression.name] == spy.key[-1]))


def _by_key(spy: Spy) -> None:
    spy.session.execute(update(spy.model), [dict(zip(spy.own_names[1:], spy.key, strict=True)) | _values(spy)])


def _mappings(spy: Spy) -> None:
    spy.session.bulk_update_mappings(
        inspect(spy.model), [dict(zip(spy.own_names[1:], spy.key, strict=True)) | _values(spy)]
    )


def _forged_update(spy: Spy) -> None:
    instance = spy.forged()
    spy.session.add(instance)
    for name, value in _values(spy).items():
        setattr(instance, name, value)


def _forged_delete(spy: Spy) -> None:
    spy.session.delete(spy.forged())


def _lying_update(spy: Spy) -> None:
    """The forged instance claims to be the attacker's."""
    instance = spy.forged()
    inspect(instance).dict[_tenant(spy)] = _typed(spy, spy.ground.attacker)
    spy.session.add(instance)
    for name, value in _values(spy).items():
        setattr(instance, name, value)


def _fetched_update(spy: Spy) -> None:
    """An instance that was loaded in the victim's own scope."""
    instance = spy.ground.fetch(spy.model, spy.key, spy.ground.victim)
    spy.session.add(instance)
    for name, value in _values(spy).items():
        setattr(instance, name, value)


def _fetched_merge(spy: Spy) -> None:
    instance = spy.ground.fetch(spy.model, spy.key, spy.ground.victim)
    for name, value in _values(spy).items():
        setattr(instance, name, value)
    spy.session.merge(instance)


def _new(spy: Spy) -> Any:
    """A new instance that names the victim as its tenant; not in the session."""
    with spy.session.no_autoflush:
        instance = spy.ground.make(spy.session, spy.model)
    spy.session.expunge(instance)
    state = inspect(instance)
    names = [prop.key for prop in state.mapper.column_attrs if prop.key in state.dict]
    generated = set(spy.own_names[1:]) - {_tenant(spy)}
    values = {name: state.dict[name] for name in names if name not in generated}
    return values | {_tenant(spy): _typed(spy, spy.ground.victim)}


def _insert(spy: Spy) -> None:
    values = _new(spy)
    spy.session.rollback()
    spy.session.add(spy.model(**values))


def _insert_statement(spy: Spy) -> None:
    values = _new(spy)
    spy.session.rollback()
    spy.session.execute(insert(spy.model).values(values))


def _insert_many(spy: Spy) -> None:
    values = _new(spy)
    spy.session.rollback()
    spy.session.execute(insert(spy.model), [values])


def _insert_objects(spy: Spy) -> None:
    values = _new(spy)
    spy.session.rollback()
    spy.session.bulk_save_objects([spy.model(**values)])


def _move(spy: Spy) -> None:
    """An own row is given to the victim."""
    instance = spy.ground.make(spy.session, spy.model)
    spy.session.commit()
    setattr(instance, _tenant(spy), _typed(spy, spy.ground.victim))


def _move_in_bulk(spy: Spy) -> None:
    spy.ground.make(spy.session, spy.model)
    spy.session.commit()
    spy.session.execute(
        update(spy.model).values({_tenant(spy): _typed(spy, spy.ground.victim)}),
        execution_options={"synchronize_session": False},
    )


WRITES: Final[Mapping[str, Tamper]] = {
    "update_by_filter": _bulk_update, "update_all": _bulk_update_all, "delete_by_filter": _bulk_delete,
    "legacy_update": _legacy_update, "legacy_delete": _legacy_delete, "core_update": _core_update,
    "core_delete": _core_delete, "update_by_key": _by_key, "bulk_update_mappings": _mappings,
    "update_a_forged_instance": _forged_update, "delete_a_forged_instance": _forged_delete,
    "update_a_lying_instance": _lying_update, "update_a_fetched_instance": _fetched_update,
    "merge_a_fetched_instance": _fetched_merge, "insert_for_another": _insert,
    "insert_statement_for_another": _insert_statement, "insert_many_for_another": _insert_many,
    "bulk_save_for_another": _insert_objects, "give_a_row_away": _move, "give_rows_away_in_bulk": _move_in_bulk,
}  # fmt: skip
"""Writes in the attacker's scope."""

UNTENANTED: Final[Mapping[str, Tamper]] = {
    "update_without_tenant": _bulk_update_all, "delete_without_tenant": _bulk_delete,
    "flush_without_tenant": _forged_update,
}  # fmt: skip
"""Writes outside every scope."""


def foreign_key_attacks(prop: RelationshipProperty[Any]) -> Mapping[str, Tamper]:
    """An own row is hung below the victim's parent; `spy.key` is the parent's."""
    pair = dict(prop.local_remote_pairs or ())

    def pointed(spy: Spy) -> dict[str, Any]:
        """The foreign key's attributes, leading to the victim's parent."""
        parent = inspect(prop.mapper.class_)
        keys = {column: value for column, value in zip(parent.primary_key, spy.key, strict=True)}
        mapper = prop.parent
        return {
            mapper.get_property_by_column(local).key: keys[remote]
            for local, remote in pair.items() if remote in keys and local.name != spy.ground.schema.column
        }  # fmt: skip

    def by_value(spy: Spy) -> None:
        instance = spy.ground.make(spy.session, prop.parent.class_)
        for name, value in pointed(spy).items():
            setattr(instance, name, value)

    def by_instance(spy: Spy) -> None:
        instance = spy.ground.make(spy.session, prop.parent.class_)
        setattr(instance, prop.key, spy.ground.fetch(prop.mapper.class_, spy.key, spy.ground.victim))

    def in_bulk(spy: Spy) -> None:
        spy.ground.make(spy.session, prop.parent.class_)
        spy.session.commit()
        values = pointed(spy)
        spy.session.execute(update(prop.parent.class_).values(values), execution_options={"synchronize_session": False})

    return {"by_value": by_value, "by_instance": by_instance, "in_bulk": in_bulk}


def relationship_attacks(prop: RelationshipProperty[Any]) -> Mapping[str, Tamper]:
    """An own row is linked with the victim's through a link table; `spy.key` is the other end's."""

    def appended(spy: Spy) -> None:
        instance = spy.ground.make(spy.session, prop.parent.class_)
        getattr(instance, prop.key).append(spy.ground.fetch(prop.mapper.class_, spy.key, spy.ground.victim))

    def inserted(spy: Spy) -> None:
        table: Any = prop.secondary
        instance = spy.ground.make(spy.session, prop.parent.class_)
        spy.session.flush()
        spy.session.execute(insert(table).values(linked(prop, inspect(instance).identity or (), spy.key)))

    return {"by_append": appended, "by_insert": inserted}


def linked(prop: RelationshipProperty[Any], near: tuple[Any, ...], far: tuple[Any, ...]) -> dict[str, Any]:
    """The row of a link table between two keys."""
    ends = dict(zip(prop.parent.primary_key, near, strict=True)) | dict(zip(prop.mapper.primary_key, far, strict=True))
    pairs = [*(prop.synchronize_pairs or ()), *(prop.secondary_synchronize_pairs or ())]
    return {str(link.name): ends[column] for column, link in pairs}
