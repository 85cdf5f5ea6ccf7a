"""`bind_tenant`: every transaction of an engine carries the tenant of the running code to row level security.

The rule: *a statement runs under the scope it is issued in*. The settings are local to the transaction, because a
pooled connection must not carry the last tenant. They die with COMMIT and with ROLLBACK, so they are set again:

* at each begin, so that the driver's own cursor and COPY on it are covered too; to the empty text outside every
  scope, which also covers what somebody's session-wide ``SET`` left behind;
* before a statement when the scope is not the one that was set last, or when that cannot be known: after ROLLBACK TO
  SAVEPOINT, which undoes a setting made inside the savepoint, and in a two-phase transaction, which begins later than
  its event.

AUTOCOMMIT has no transaction that could hold a setting: every query would come back empty, so tenant work on such a
connection is refused. Outside every scope it passes (``CREATE INDEX CONCURRENTLY``, ``VACUUM``), after the settings
of the session have been emptied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, event

from ...core.errors import ConfigurationError, UnscopedStatement
from ..context import current_tenant
from ..setting import COMPANY, TENANT

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from .seal import Seal

__all__ = ["BINDING", "bind_tenant"]

BINDING: Final = "wst_binding"
"""Execution option of the one statement that this module sends through SQLAlchemy; guards let it pass."""

_BOUND: Final = "wst_bound"
_PID: Final = "wst_backend_pid"
_Scope = tuple[str, str]
_NOWHERE: Final[_Scope] = ("", "")


def bind_tenant(engine: Engine | AsyncEngine, seal: Seal | None = None) -> None:
    """Sets ``wst.tenant`` and ``wst.company`` in each transaction of `engine`; call it once, where the engine is made.

    Binding the same engine again changes nothing, so that a guard and its host may both ask for it.

    Args:
        engine: a PostgreSQL engine over psycopg or asyncpg.
        seal: makes the value of the tenant setting where policies are ``sealed``; a connection must then stay on one
            server process, which a pooler in transaction mode does not promise.

    Raises:
        ConfigurationError: not a PostgreSQL engine, or bound before with another seal.
    """
    found = engine if isinstance(engine, Engine) else engine.sync_engine
    if found.dialect.name != "postgresql":
        raise ConfigurationError(
            f"{found.dialect.name} has no row level security", hint="bind PostgreSQL engines only", reason="dialect"
        )
    # A listener's owner, and not a mark on the engine: engines made by execution_options() share those of their parent.
    bound = [owner for each in found.dispatch.begin if isinstance(owner := getattr(each, "__self__", None), _Binding)]
    if not bound:
        _Binding(seal, found.dialect.paramstyle).listen(found)
    elif bound[0].seal is not seal:
        raise ConfigurationError(
            "the engine is bound with another seal", hint="call bind_tenant once", reason="seal_conflict"
        )


class _Binding:
    """The listeners of one engine."""

    __slots__ = ("_set", "seal")

    def __init__(self, seal: Seal | None, paramstyle: str) -> None:
        self.seal: Seal | None = seal
        first, second = ("$1", "$2") if paramstyle == "numeric_dollar" else ("%s", "%s")
        self._set: str = f"SELECT set_config('{TENANT}', {first}, true), set_config('{COMPANY}', {second}, true)"

    def listen(self, engine: Engine) -> None:
        """Applies the rule to every transaction of `engine`."""
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "begin_twophase", self._unknown)
        event.listen(engine, "rollback_savepoint", self._unknown)
        event.listen(engine, "before_cursor_execute", self._before)

    def _begin(self, connection: Connection) -> None:
        self._bind(connection, _scope())

    @staticmethod
    def _unknown(connection: Connection, *_: Any) -> None:
        connection.info.pop(_BOUND, None)

    def _before(self, connection: Connection, *_: Any) -> None:
        scope = _scope()
        if connection.info.get(_BOUND) != scope:
            self._bind(connection, scope)

    def _bind(self, connection: Connection, scope: _Scope) -> None:
        driver = connection.connection.dbapi_connection
        command = self._set
        if driver.autocommit:  # type: ignore[union-attr]  # both drivers have it, DB-API does not
            if scope != _NOWHERE:
                raise UnscopedStatement(
                    "AUTOCOMMIT has no transaction to hold the tenant, so every query would come back empty",
                    hint="use a transaction, or leave the tenant scope",
                )
            command = command.replace("true", "false")
        connection.info[_BOUND] = scope  # first, because what follows may come through here again
        try:
            self._send(connection, command, self._values(connection, scope))
        except BaseException:
            self._unknown(connection)
            raise

    def _values(self, connection: Connection, scope: _Scope) -> _Scope:
        tenant, company = scope
        if self.seal is None or not tenant:
            return scope
        pid = connection.info.get(_PID)
        if pid is None:
            asked = connection.exec_driver_sql("SELECT pg_backend_pid()", execution_options={BINDING: True})
            pid = connection.info[_PID] = asked.scalar_one()
        return self.seal.value(tenant, company, pid), company

    @staticmethod
    def _send(connection: Connection, command: str, values: _Scope) -> None:
        """On the driver's cursor, which costs a third of a statement that SQLAlchemy compiles, times and wraps."""
        try:
            cursor = connection.connection.cursor()
            try:
                cursor.execute(command, values)
            finally:
                cursor.close()
        except connection.dialect.loaded_dbapi.Error:
            # Asked again through SQLAlchemy, which wraps the error and throws lost connections out of the pool.
            connection.exec_driver_sql(command, values, execution_options={BINDING: True})


def _scope() -> _Scope:
    context = current_tenant()
    return _NOWHERE if context is None else (context.tenant_id, context.company_id or "")
