"""Instances: what a loaded row says about its tenant, and what a new one is allowed to say.

The compiler keeps foreign rows out of every result. This is the net below it, for rows that come another way: text in
`unscoped`, ``merge(load=False)``, instances from another session, a result that is read after the scope has changed.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import event, inspect
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.attributes import instance_state

from ..context import current_tenant
from ..unscoped import is_unscoped
from .rules import Rules, converter, same_id

__all__ = ["Instances"]

_LEAVE_OUT: Final = "leave it out: the guard writes the current tenant"


class _Keys(dict[type, tuple[tuple[str, bool, Any], ...]]):
    """For each mapped class the attributes that say whose an instance is: name, whether of the company, converter."""

    def __init__(self, rules: Rules) -> None:
        self._rules: Rules = rules

    def __missing__(self, class_: type) -> tuple[tuple[str, bool, Any], ...]:
        mapper: Mapper[Any] | None = inspect(class_, raiseerr=False)
        found = tuple(self._rules.tables.keys_of(mapper)) if isinstance(mapper, Mapper) else ()
        keys = tuple((key, company, converter(column.type)) for key, company, column in found)
        self[class_] = keys
        return keys


class Instances:
    """Judges instances for one set of rules."""

    def __init__(self, rules: Rules) -> None:
        self.rules: Rules = rules
        self._keys: _Keys = _Keys(rules)

    def forget(self) -> None:
        """Models were added."""
        self._keys.clear()

    def loaded(self, state: Any, *_: Any) -> None:
        """Compares a row with the tenant that is reading it; runs for each instance."""
        keys = self._keys[state.class_]
        if not keys:
            return
        context = current_tenant()
        if context is None:
            if not is_unscoped():
                self.rules.no_tenant(f"{state.class_.__name__} loaded")
            return
        values = state.dict
        for key, company, _ in keys:
            wanted = context.company_id if company else context.tenant_id
            value = values.get(key, wanted)
            if value != wanted and wanted is not None and not same_id(value, wanted) and not is_unscoped():
                self.rules.foreign_read(f"a row of another tenant came back as {state.class_.__name__}")

    def hit(self, session: Any, instance: Any) -> None:
        """An instance that is handed out without asking the database."""
        if not self._keys[type(instance)]:
            return
        session.guard_pin()
        self.loaded(instance_state(instance))

    def owned(self, instance: Any) -> bool:
        """Whether the instance says that it is the current tenant's."""
        context, keys, values = current_tenant(), self._keys[type(instance)], instance_state(instance).dict
        if context is None or not keys:
            return False
        pairs = ((context.company_id if company else context.tenant_id, values.get(key)) for key, company, _ in keys)
        return all(wanted is None or (value is not None and same_id(value, wanted)) for wanted, value in pairs)

    def before_attach(self, session: Session, instance: Any) -> None:
        """An instance comes into a session; in a scope it is the tenant's or has no tenant yet."""
        context = current_tenant()
        if context is None or is_unscoped():
            return
        state = instance_state(instance)
        for key, company, _ in self._keys[state.class_]:
            wanted, value = context.company_id if company else context.tenant_id, state.dict.get(key)
            if value is not None and wanted is not None and not same_id(value, wanted):
                self.rules.foreign_write(f"{state.class_.__name__} of another tenant added to the session", _LEAVE_OUT)

    def taken_on_trust(self, session: Any, instance: Any) -> None:
        """A detached instance was added: nobody has seen its row in this session."""
        session.guard_untrusted.add(instance_state(instance).key)

    def before_flush(self, session: Any, *_: Any) -> None:
        """Stamps new instances, and refuses moved and foreign ones."""
        session.guard_pin()
        for instance in session.new:
            self._stamp(instance)
        for instance in session.dirty:
            self._unmoved(instance)
        for instance in session.deleted:
            self._unmoved(instance)

    def _stamp(self, instance: Any) -> None:
        context, state = current_tenant(), instance_state(instance)
        keys = self._keys[state.class_]
        if not keys:
            return
        if context is None:
            if not is_unscoped():
                self.rules.no_tenant(f"{state.class_.__name__} written")
            return
        for key, company, convert in keys:
            wanted = context.company_id if company else context.tenant_id
            if wanted is None:
                continue
            value = state.dict.get(key)
            if value is None:
                if not self.rules.observes:
                    setattr(instance, key, convert(wanted))
            elif not same_id(value, wanted):
                self.rules.foreign_write(f"{state.class_.__name__}.{key} of another tenant", _LEAVE_OUT)

    def _unmoved(self, instance: Any) -> None:
        context, state = current_tenant(), instance_state(instance)
        if context is None:  # the statement itself is refused
            return
        for key, company, _ in self._keys[state.class_]:
            wanted = context.company_id if company else context.tenant_id
            if wanted is None:
                continue
            value = state.dict.get(key, wanted)
            if not same_id(value, wanted):
                hint = "rows do not move between tenants; copy what is needed in a scope of the other"
                self.rules.foreign_write(f"{state.class_.__name__}.{key} changed to, or of, another tenant", hint)


def listen(base: Any) -> None:
    """Judges every load and refresh of the base's classes by the guard of the session that does it; once a base."""
    if "_wellstreak_guarded" not in base.__dict__:
        base._wellstreak_guarded = True
        event.listen(base, "load", _load, raw=True, propagate=True)
        event.listen(base, "refresh", _load, raw=True, propagate=True)


def _load(state: Any, context: Any, *_: Any) -> None:
    session = (state if context is None else context).session
    instances: Instances | None = getattr(session, "guard_instances", None)
    if instances is not None:
        instances.loaded(state)
