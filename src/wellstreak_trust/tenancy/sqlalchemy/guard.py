"""`TenantGuard`: puts the layers together and onto a sessionmaker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeVar
from weakref import WeakMethod

from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import Mapper, Session, scoped_session, sessionmaker

from ...core.errors import ConfigurationError, UsageError
from ..observations import Observations
from .engine import Gate, ModalCache
from .instances import Instances, listen
from .rules import Mode, Rules
from .session import GuardedSession, guarded_session
from .tables import Classes, Tables

__all__ = ["TenantGuard"]

F = TypeVar("F")
_MODES: Final = ("enforce", "observe")


class TenantGuard:
    """Keeps the sessions and engines of a declarative base inside the current tenant.

    ::

        guard = TenantGuard(Base, column="tenant_id", shared=[Plan], links=[task_tags])
        guard.install(SessionLocal)

    Args:
        base: the declarative base.
        column: name of the tenant column, as the database spells it. Every table that has it is a tenant's.
        shared: tables, mapped classes or full names that all tenants see whole.
        links: likewise, tables without the column whose rows belong to whom their foreign keys point to.
        company: name of an optional second column inside a tenant. Where the table has it and the context has a
            `company_id`, it is guarded as the tenant is; a context without company sees the whole tenant.
        mode: ``"enforce"``, or ``"observe"`` to record in `observations` and change nothing.
        observations: the report to write to; a new one unless given.

    Raises:
        ConfigurationError: a mapped table of no class, a name that fits no table, an unknown mode.
    """

    def __init__(
        self,
        base: Any,
        column: str = "tenant_id",
        *,
        shared: Iterable[Any] = (),
        links: Iterable[Any] = (),
        company: str | None = None,
        mode: Mode = "enforce",
        observations: Observations | None = None,
    ) -> None:
        if mode not in _MODES:
            raise ConfigurationError(f"unknown mode {mode!r}", hint="enforce or observe", reason="tenant_guard_mode")
        if not hasattr(base, "metadata") or not hasattr(base, "registry"):
            raise ConfigurationError(
                "not a declarative base", hint="TenantGuard(Base, ...)", reason="tenant_guard_base"
            )
        self.observations: Observations = observations if observations is not None else Observations()
        classes = Classes(base, column, company, _names(shared), _names(links))
        self._tables: Tables = Tables(classes)
        self._rules: Rules = Rules(self._tables, mode, self.observations)
        self._gate: Gate = Gate(self._rules)
        self._instances: Instances = Instances(self._rules)
        self._fault: ConfigurationError | None = None
        self._tables.check()
        _when_configured(self)

    @property
    def observes(self) -> bool:
        """Whether it reports and changes nothing."""
        return self._rules.observes

    def install(self, factory: F) -> F:
        """Guards a `sessionmaker` or `async_sessionmaker` (or a scoped session of one) and the engine it is bound to.

        Installing twice is harmless. An engine that is given later, or at a call, is guarded at its first use.

        Returns:
            The same factory.

        Raises:
            UsageError: something else was given.
            ConfigurationError: another guard has the factory or the engine.
        """
        target: Any = factory
        if isinstance(target, scoped_session | async_scoped_session):
            target = target.session_factory
        if isinstance(target, async_sessionmaker):
            chosen = target.kw.get("sync_session_class") or target.class_.sync_session_class
            target.kw["sync_session_class"] = self._guarded(chosen)
        elif isinstance(target, sessionmaker):
            target.class_ = self._guarded(target.class_)
        else:
            raise UsageError("install takes a sessionmaker or async_sessionmaker", hint="guard.install(SessionLocal)")
        binds = [target.kw.get("bind"), *(target.kw.get("binds") or {}).values()]
        for bind in binds:
            if bind is not None:
                self.guard_engine(bind)
        listen(self._tables.classes.base)
        return factory

    def guard_engine(self, engine: Any) -> None:
        """Guards an engine (`Engine`, `AsyncEngine`, or a connection's) that no sessionmaker brings along.

        Raises:
            UsageError: something else was given.
            ConfigurationError: another guard has the engine.
        """
        found: Any = engine
        if isinstance(found, AsyncEngine | AsyncConnection):
            found = found.sync_engine if isinstance(found, AsyncEngine) else found.sync_connection
        if isinstance(found, Connection):
            found = found.engine
        if not isinstance(found, Engine):
            raise UsageError("not an engine", hint="guard.guard_engine(engine)")
        self._gate.attach(found)

    def _guarded(self, class_: type[Session]) -> type[Session]:
        if issubclass(class_, GuardedSession):
            if class_.guard_gate.rules is not self._rules:
                raise ConfigurationError(
                    "the sessionmaker has another TenantGuard", hint="install one guard", reason="tenant_guard_twice"
                )
            return class_
        return guarded_session(class_, self._gate, self._instances, self._ready)

    def _ready(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _configured(self) -> None:
        """All models known so far are configured: judges the new ones, and replaces what was compiled before."""
        self._instances.forget()
        self._tables.forget()
        try:
            self._tables.check()
            self._tables.check_links()
            self._fault = None
        except ConfigurationError as error:
            known, self._fault = self._fault, error
            if known is None:
                raise
            return  # it was raised where it arose; now the sessions tell
        for mapper in self._tables.classes.base.registry.mappers:
            cache = mapper.__dict__.get("_compiled_cache")
            if not isinstance(cache, ModalCache):
                # Private: statements of a flush are cached on the mapper, and a cached one has its conditions baked in.
                mapper.__dict__["_compiled_cache"] = ModalCache(100)


def _when_configured(guard: TenantGuard) -> None:
    method = WeakMethod(guard._configured)

    def configured() -> None:
        found = method()
        if found is not None:
            found()

    event.listen(Mapper, "after_configured", configured)
    if any(mapper.configured for mapper in guard._tables.classes.base.registry.mappers):
        guard._configured()


def _names(given: Iterable[Any]) -> frozenset[str]:
    names: set[str] = set()
    for each in given:
        mapper = getattr(each, "__mapper__", None)
        if isinstance(each, str):
            names.add(each)
        elif isinstance(each, Table):
            names.add(each.fullname)
        elif mapper is not None:
            names.update(table.fullname for table in mapper.tables)
        else:
            raise ConfigurationError(
                f"{type(each).__name__} is neither a table, a mapped class nor a name",
                hint="shared=[Plan, 'currency']",
                reason="tenant_table_unclassified",
            )
    return frozenset(names)
