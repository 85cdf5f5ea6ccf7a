"""`bind_tenant`: every transaction of an engine carries the tenant of the running code to row level security.

The rule: *a statement runs under the scope it is issued in*. The settings are local to the transaction, because a
pooled connection must not carry the last tenant. They die with COMMIT and with ROLLBACK, so they are set again:

* at each begin, so that the driver's own cursor and COPY on it are covered too; to the empty text outside every
  scope, which also covers what somebody's session-wide ``SET`` left behind;
* before a statement when the scope is not the one that was set last, or when that cannot be known: after ROLLBACK TO
  SAVEPOINT, which undoes a setting made inside the savepoint, and in a two-phase transaction, which begins later than
  its event.

The dialect's own verb is wrapped and its events are listened to: those of the engine would cost each new connection
more than the settings themselves.

AUTOCOMMIT has no transaction that could hold a setting: every query would come back empty, so tenant work on such a
connection is refused. Outside every scope it passes (``CREATE INDEX CONCURRENTLY``, ``VACUUM``), after the settings
of the session have been emptied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Dialect, Engine, event

from ...core.errors import ConfigurationError, UnscopedStatement
from ..context import current_tenant
from ..setting import COMPANY, TENANT

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from .seal import Seal

__all__ = ["bind_tenant"]

_BOUND: Final = "wst_bound"
_PID: Final = "wst_backend_pid"
_Scope = tuple[str, str]
_NOWHERE: Final[_Scope] = ("", "")


def bind_tenant(engine: Engine | AsyncEngine, seal: Seal | None = None) -> None:
    """Sets ``wst.tenant`` and ``wst.company`` in each transaction of `engine`; call it once, where the engine is made.

    Binding the same engine again changes nothing, so that a guard may ask for what its host has done; with a seal, the
    host's call comes first.

    Args:
        engine: a PostgreSQL engine over psycopg or asyncpg.
        seal: makes the value of the tenant setting where policies are ``sealed``; a connection must then stay on one
            server process, which a pooler in transaction mode does not promise.

    Raises:
        ConfigurationError: not a PostgreSQL engine, or bound before with another seal.
    """
    found = engine if isinstance(engine, Engine) else engine.sync_engine
    dialect = found.dialect  # engines made by execution_options() share it with their parent
    if dialect.name != "postgresql":
        raise ConfigurationError(
            f"{dialect.name} has no row level security", hint="bind PostgreSQL engines only", reason="dialect"
        )
    bound = _BINDINGS.get(dialect)
    if bound is None:
        _BINDINGS[dialect] = binding = _Binding(dialect, seal)
        binding.listen(found)
    elif seal is not None and bound.seal is not seal:
        raise ConfigurationError(
            "the engine is bound without this seal", hint="bind it with the seal first", reason="seal_conflict"
        )


class _Binding:
    """What one dialect's transactions are told."""

    __slots__ = ("_begun", "_set", "seal")

    def __init__(self, dialect: Dialect, seal: Seal | None) -> None:
        self.seal: Seal | None = seal
        self._begun: Callable[[object, Mapping[str, str]], bool] | None = None
        if dialect.driver == "psycopg" and not dialect.is_async:
            from .psycopg import begun

            self._begun = begun
        first, second = ("$1", "$2") if dialect.paramstyle == "numeric_dollar" else ("%s", "%s")
        self._set: str = f"SELECT set_config('{TENANT}', {first}, true), set_config('{COMPANY}', {second}, true)"

    def listen(self, engine: Engine) -> None:
        """Applies the rule to every transaction; what it raises is wrapped by SQLAlchemy like the driver's own."""
        dialect: Any = engine.dialect
        begin, twophase = dialect.do_begin, dialect.do_begin_twophase

        def do_begin(pooled: Any) -> None:
            begin(pooled)
            self._bind(pooled, _scope(), begins=True)

        def do_begin_twophase(connection: Any, xid: Any) -> None:
            connection.info.pop(_BOUND, None)  # nothing may run before the driver's own begin
            twophase(connection, xid)

        dialect.do_begin, dialect.do_begin_twophase = do_begin, do_begin_twophase
        event.listen(engine, "do_execute", self._before)
        event.listen(engine, "do_executemany", self._before)
        event.listen(engine, "do_execute_no_params", self._before_without)

    def _before(self, cursor: Any, statement: str, parameters: Any, context: Any) -> None:
        if not context.root_connection.in_transaction():
            return  # the dialect, while it connects
        pooled = context.root_connection.connection
        if statement[:11].upper() == "ROLLBACK TO":
            # It may undo what was set, and in a failed transaction it is the only statement that PostgreSQL takes.
            pooled.info.pop(_BOUND, None)
            return
        scope = _scope()
        if pooled.info.get(_BOUND) != scope:
            self._bind(pooled, scope)

    def _before_without(self, cursor: Any, statement: str, context: Any) -> None:
        self._before(cursor, statement, (), context)

    def _bind(self, pooled: Any, scope: _Scope, *, begins: bool = False) -> None:
        pooled.info.pop(_BOUND, None)
        command = self._set
        if pooled.dbapi_connection.autocommit:
            if scope != _NOWHERE:
                raise UnscopedStatement(
                    "AUTOCOMMIT has no transaction to hold the tenant, so every query would come back empty",
                    hint="use a transaction, or leave the tenant scope",
                )
            command, begins = command.replace("true", "false"), False
        values = self._values(pooled, scope)
        settings = dict(zip((TENANT, COMPANY), values, strict=True))
        if not (begins and self._begun is not None and self._begun(pooled.driver_connection, settings)):
            _ask(pooled, command, values)
        pooled.info[_BOUND] = scope

    def _values(self, pooled: Any, scope: _Scope) -> _Scope:
        tenant, company = scope
        if self.seal is None or not tenant:
            return scope
        if _PID not in pooled.info:
            # The server is asked, and not the driver: behind a pooler the driver knows another number.
            (pooled.info[_PID],) = _ask(pooled, "SELECT pg_backend_pid()", ())
        return self.seal.value(tenant, company, pooled.info[_PID]), company


_BINDINGS: Final[WeakKeyDictionary[Dialect, _Binding]] = WeakKeyDictionary()


def _ask(pooled: Any, command: str, values: tuple[str, ...]) -> Any:
    """The one row of a statement on the driver's cursor: a third of what SQLAlchemy's own way costs."""
    cursor = pooled.cursor()
    try:
        cursor.execute(command, values)
        return cursor.fetchone()
    finally:
        cursor.close()


def _scope() -> _Scope:
    context = current_tenant()
    return _NOWHERE if context is None else (context.tenant_id, context.company_id or "")
