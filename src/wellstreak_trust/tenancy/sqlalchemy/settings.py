"""The settings of a PostgreSQL transaction, which row level security reads.

Tenant and company are set for the transaction at each begin, because COMMIT and ROLLBACK end them, to the empty text
outside every scope, and again before a statement when the scope has changed since or a savepoint was rolled back. In
AUTOCOMMIT they would hold for no statement at all, so tenant work is refused there.

The dialect's own verbs are wrapped, on the instance that the engine owns: an event of the engine would cost each
connection more than the settings themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import bindparam, func, select

from .. import setting
from ..context import current_tenant
from .rules import Rules
from .verdict import LIFTED

__all__ = ["Settings"]

_KEY: Final = "wst_settings"
_AUTOCOMMIT: Final = "use a transaction: the settings of row level security would end with each statement"


class Settings:
    """Keeps the settings of a dialect's transactions."""

    def __init__(self, dialect: Any, rules: Rules) -> None:
        query = select(
            func.set_config(setting.TENANT, bindparam("tenant"), True),
            func.set_config(setting.COMPANY, bindparam("company"), True),
        )
        self._rules: Rules = rules
        self._compiled: Any = query.compile(dialect=dialect)
        begin: Callable[[Any], None] = dialect.do_begin
        rollback: Callable[[Any, str], None] = dialect.do_rollback_to_savepoint
        twophase: Callable[[Any, Any], None] = dialect.do_begin_twophase

        def do_begin(pooled: Any) -> None:
            begin(pooled)
            self._begin(pooled)

        def do_rollback_to_savepoint(connection: Any, name: str) -> None:
            rollback(connection, name)
            connection.info.pop(_KEY, None)  # what was set since is undone

        def do_begin_twophase(connection: Any, xid: Any) -> None:
            connection.info.pop(_KEY, None)  # nothing may run before the driver's own begin
            twophase(connection, xid)

        dialect.do_begin = do_begin
        dialect.do_rollback_to_savepoint = do_rollback_to_savepoint
        dialect.do_begin_twophase = do_begin_twophase

    def _begin(self, pooled: Any) -> None:
        if _autocommits(pooled.dbapi_connection):
            pooled.info[_KEY] = None
        else:
            self._set(pooled, _wanted())

    def before(self, context: Any) -> None:
        """Makes them again when they are not those of the running code any more."""
        connection = context.root_connection
        if not connection.in_transaction():  # the dialect, while it connects
            return
        pooled = connection.connection
        held, wanted = pooled.info.get(_KEY, ()), _wanted()
        if held == wanted:
            return
        if held is not None:
            self._set(pooled, wanted)
            return
        verdict = getattr(context.compiled, "verdict", None)
        if verdict is not None and verdict.tables and verdict.mode != LIFTED:
            self._rules.unscoped("tenant work in AUTOCOMMIT", _AUTOCOMMIT, context.statement)

    def _set(self, pooled: Any, wanted: tuple[str, str]) -> None:
        values = self._compiled.construct_params({"tenant": wanted[0], "company": wanted[1]})
        names = self._compiled.positiontup
        cursor = pooled.cursor()
        try:
            cursor.execute(self._compiled.string, values if names is None else tuple(values[name] for name in names))
        finally:
            cursor.close()
        pooled.info[_KEY] = wanted


def _wanted() -> tuple[str, str]:
    context = current_tenant()
    return ("", "") if context is None else (context.tenant_id, context.company_id or "")


def _autocommits(raw: Any) -> bool:
    return getattr(raw, "autocommit", False) is True or getattr(raw, "isolation_level", None) == "autocommit"
