"""Attacks that read: each gets the victim's key and gives what leaked, or None."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from threading import Thread
from typing import Any, Final

from sqlalchemy import exists, func, inspect, select, text, union_all
from sqlalchemy.orm import Session, aliased, make_transient_to_detached

from .ground import Ground, Key

__all__ = ["READS", "SCOPELESS"]

Attack = Callable[["Spy"], str | None]


class Spy:
    """An open session in the attacker's scope, and the model and key that it is after."""

    def __init__(self, ground: Ground, session: Session, model: Any, key: Key) -> None:
        self.ground: Ground = ground
        self.session: Session = session
        self.model: Any = model
        self.key: Key = key

    @property
    def keys(self) -> list[Any]:
        """The model's primary key."""
        mapper = inspect(self.model)
        return [getattr(self.model, mapper.get_property_by_column(column).key) for column in mapper.primary_key]

    @property
    def aim(self) -> Any:
        """The condition that is true of the victim's row alone."""
        return self.keys[-1] == self.key[-1] if len(self.key) == 1 else self._whole()

    def _whole(self) -> Any:
        condition = self.keys[0] == self.key[0]
        for column, value in zip(self.keys[1:], self.key[1:], strict=True):
            condition = condition & (column == value)
        return condition

    def seen(self, rows: Iterable[Any]) -> str | None:
        """The complaint where a row holds the victim's key."""
        for row in rows:
            values = tuple(row) if hasattr(row, "_mapping") else (row,)
            if values[: len(self.key)] == self.key:
                return f"the victim's key {self.key!r} came back"
            if values and inspect(values[0], raiseerr=False) is not None and self._is(values[0]):
                return "the victim's row came back"
        return None

    def _is(self, instance: Any) -> bool:
        state = inspect(instance)
        return getattr(state, "identity", None) == self.key and bool(set(state.dict) - set(self.own_names))

    @property
    def own_names(self) -> list[str]:
        """The attributes that the attacker knew before."""
        mapper = inspect(self.model)
        return ["_sa_instance_state", *(mapper.get_property_by_column(column).key for column in mapper.primary_key)]

    def forged(self) -> Any:
        """An instance with the victim's key, as if it had been loaded."""
        names = self.own_names[1:]
        instance = self.model(**dict(zip(names, self.key, strict=True)))
        make_transient_to_detached(instance)
        return instance


def _all(spy: Spy) -> str | None:
    return spy.seen(spy.session.scalars(select(spy.model)))


def _columns(spy: Spy) -> str | None:
    return spy.seen(spy.session.execute(select(*spy.keys)))


def _filter(spy: Spy) -> str | None:
    return spy.seen(spy.session.scalars(select(spy.model).where(spy.aim)))


def _key(spy: Spy) -> str | None:
    return spy.seen([found]) if (found := spy.session.get(spy.model, spy.key)) is not None else None


def _legacy(spy: Spy) -> str | None:
    return spy.seen(spy.session.query(spy.model).filter(spy.aim))


def _alias(spy: Spy) -> str | None:
    other = aliased(spy.model)
    return spy.seen(spy.session.execute(select(*(getattr(other, key.key) for key in spy.keys))))


def _subquery(spy: Spy) -> str | None:
    return spy.seen(spy.session.execute(select(select(*spy.keys).subquery())))


def _cte(spy: Spy) -> str | None:
    return spy.seen(spy.session.execute(select(select(*spy.keys).cte())))


def _union(spy: Spy) -> str | None:
    return spy.seen(spy.session.execute(union_all(select(*spy.keys), select(*spy.keys).where(spy.aim))))


def _core(spy: Spy) -> str | None:
    return spy.seen(spy.session.execute(select(*(key.expression for key in inspect(spy.model).primary_key))))


def _text(spy: Spy) -> str | None:
    table = inspect(spy.model).local_table
    names = ", ".join(column.name for column in table.primary_key)
    return spy.seen(spy.session.execute(text(f"SELECT {names} FROM {table.fullname}")))


def _from_text(spy: Spy) -> str | None:
    statement = text(f"SELECT * FROM {inspect(spy.model).local_table.fullname}")
    return spy.seen(spy.session.scalars(select(spy.model).from_statement(statement)))


def _driver_sql(spy: Spy) -> str | None:
    table = inspect(spy.model).local_table
    names = ", ".join(column.name for column in table.primary_key)
    return spy.seen(spy.session.connection().exec_driver_sql(f"SELECT {names} FROM {table.fullname}"))


def _counted(spy: Spy, found: Any) -> str | None:
    own = spy.ground.count(spy.model, spy.ground.attacker)
    return None if found == own else f"the count is {found!r}, of own rows there are {own}"


def _count(spy: Spy) -> str | None:
    return _counted(spy, spy.session.scalar(select(func.count()).select_from(spy.model)))


def _window(spy: Spy) -> str | None:
    return _counted(spy, spy.session.scalar(select(func.count(spy.keys[-1]).over())))


def _filtered(spy: Spy) -> str | None:
    return _counted(spy, spy.session.scalar(select(func.count(spy.keys[-1]).filter(spy.keys[-1].is_not(None)))))


def _scalar(spy: Spy) -> str | None:
    return _counted(spy, spy.session.scalar(select(select(func.count(spy.keys[-1])).scalar_subquery())))


def _exists(spy: Spy) -> str | None:
    asked = (select(exists().where(spy.aim)), select(select(spy.model).where(spy.aim).exists()))
    return "existence was confirmed" if any(spy.session.scalar(each) for each in asked) else None


def _nested_window(spy: Spy) -> str | None:
    asked = select(exists(select(func.max(spy.keys[-1]).over()).where(spy.aim)))
    return "existence was confirmed" if spy.session.scalar(asked) else None


def _forged_refresh(spy: Spy) -> str | None:
    instance = spy.forged()
    spy.session.add(instance)
    spy.session.refresh(instance)
    return spy.seen([instance])


def _forged_attribute(spy: Spy) -> str | None:
    instance = spy.forged()
    spy.session.add(instance)
    for prop in inspect(spy.model).column_attrs:
        getattr(instance, prop.key)
    return spy.seen([instance])


def _merged(spy: Spy) -> str | None:
    names = spy.own_names[1:]
    return spy.seen([spy.session.merge(spy.model(**dict(zip(names, spy.key, strict=True))))])


def _populated(spy: Spy) -> str | None:
    return spy.seen(spy.session.scalars(select(spy.model).execution_options(populate_existing=True)))


def _locked(spy: Spy) -> str | None:
    return spy.seen(spy.session.scalars(select(spy.model).with_for_update()))


def _streamed(spy: Spy) -> str | None:
    return spy.seen(spy.session.scalars(select(spy.model).execution_options(yield_per=1)))


def _engine(spy: Spy) -> str | None:
    bind: Any = spy.session.get_bind()
    with bind.connect() as connection:
        return spy.seen(connection.execute(select(*inspect(spy.model).primary_key)))


READS: Final[Mapping[str, Attack]] = {
    "read_all": _all, "read_columns": _columns, "read_by_filter": _filter, "read_by_key": _key,
    "read_by_legacy_query": _legacy, "read_by_alias": _alias, "read_through_subquery": _subquery,
    "read_through_cte": _cte, "read_through_union": _union, "read_by_core": _core, "read_by_text": _text,
    "read_entities_from_text": _from_text, "read_by_driver_sql": _driver_sql, "count_rows": _count,
    "count_by_window": _window, "count_by_filtered_aggregate": _filtered, "count_by_scalar_subquery": _scalar,
    "ask_for_existence": _exists, "ask_by_nested_window": _nested_window, "refresh_a_forged_instance": _forged_refresh,
    "touch_a_forged_instance": _forged_attribute, "merge_a_foreign_key": _merged, "repopulate": _populated,
    "lock_rows": _locked, "stream_rows": _streamed, "read_by_the_engine": _engine,
}  # fmt: skip
"""Reads in the attacker's scope."""


def _nobody(spy: Spy) -> str | None:
    found = spy.session.scalars(select(spy.model)).all()
    return f"{len(found)} rows came back without a tenant" if found else None


def _nobody_counts(spy: Spy) -> str | None:
    found = spy.session.scalar(select(func.count()).select_from(spy.model))
    return f"a count of {found} came back without a tenant"


def _nobody_get(spy: Spy) -> str | None:
    return "a row came back without a tenant" if spy.session.get(spy.model, spy.key) is not None else None


def _thread(spy: Spy) -> str | None:
    """A thread does not inherit the scope of whoever starts it, and must not see everything for want of one."""
    found: list[Any] = []

    def run() -> None:
        # A refusal, of whatever class the host's own code makes of it.
        with suppress(Exception), spy.ground.maker() as session:
            found.extend(session.scalars(select(spy.model)).all())

    with spy.ground.scope():
        thread = Thread(target=run)
        thread.start()
        thread.join()
    return f"{len(found)} rows came back in a thread without a tenant" if found else None


def _after_pool(spy: Spy) -> str | None:
    """The connection last served the victim."""
    with spy.ground.scope(spy.ground.victim), spy.ground.maker() as other:
        other.scalars(select(spy.model)).all()
        other.commit()
    return _nobody(spy)


def _after_error(spy: Spy) -> str | None:
    try:
        with spy.ground.scope(spy.ground.victim):
            raise LookupError
    except LookupError:
        return _nobody(spy)


def _switched(spy: Spy) -> str | None:
    """A session that holds the victim's rows is used in the attacker's scope."""
    with spy.ground.scope(spy.ground.victim):
        spy.session.scalars(select(spy.model)).all()
    with spy.ground.scope():
        return _key(spy) or spy.seen(spy.session.scalars(select(spy.model)))


def _switched_cursor(spy: Spy) -> str | None:
    with spy.ground.scope(spy.ground.victim):
        rows = iter(spy.session.scalars(select(spy.model).execution_options(yield_per=1)))
    with spy.ground.scope():
        return spy.seen(rows)


SCOPELESS: Final[Mapping[str, Attack]] = {
    "read_without_tenant": _nobody, "count_without_tenant": _nobody_counts, "get_without_tenant": _nobody_get,
    "read_in_a_thread": _thread, "read_on_a_used_connection": _after_pool, "read_after_an_error": _after_error,
    "keep_a_session_across_tenants": _switched, "keep_a_cursor_across_tenants": _switched_cursor,
}  # fmt: skip
"""Reads that begin outside every scope."""
