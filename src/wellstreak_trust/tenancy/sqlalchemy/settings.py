"""The settings of a PostgreSQL transaction, which row level security reads.

Tenant and company are set for the transaction at each begin, because COMMIT and ROLLBACK end them, to the empty text
outside every scope, and again before a statement when the scope has changed since or a savepoint was rolled back. In
AUTOCOMMIT they would hold for no statement at all, so tenant work is refused there.

The dialect's own verbs are wrapped, on the instance that the engine owns: an event of the engine would cost each
connection more than the settings themselves.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import bindparam, func, select

from .. import setting
from ..context import current_tenant
from .rules import Rules
from .verdict import LIFTED

__all__ = ["Settings"]

_KEY: Final = "wst_settings"
_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]*")  # what a resolver lets through; other ids go as parameters
_BEGIN: Final = "BEGIN; SELECT set_config('{}', '{}', true), set_config('{}', '{}', true)"
_IDLE: Final = 0  # libpq's PQTRANS_IDLE
_TUPLES: Final = 2  # libpq's PGRES_TUPLES_OK
_AUTOCOMMIT: Final = "use a transaction: the settings of row level security would end with each statement"


class Settings:
    """Keeps the settings of a dialect's transactions."""

    def __init__(self, dialect: Any, rules: Rules) -> None:
        query = select(
            func.set_config(setting.TENANT, bindparam("tenant"), True),
            func.set_config(setting.COMPANY, bindparam("company"), True),
        )
        self._rules: Rules = rules
        # Under gevent, waiting inside libpq would stop every greenlet.
        self._folds: bool = dialect.driver == "psycopg" and not dialect.is_async and "gevent" not in sys.modules
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
        raw, wanted = pooled.dbapi_connection, _wanted()
        if _autocommits(raw):
            pooled.info[_KEY] = None
        elif self._folds and _begun(raw, wanted):
            pooled.info[_KEY] = wanted
        else:
            self._set(pooled, wanted)

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


def _begun(raw: Any, wanted: tuple[str, str]) -> bool:
    """BEGIN and the settings in one round trip, below psycopg's cursors; False where that is not possible.

    psycopg would send BEGIN alone before the first statement, and skips it when it finds a transaction.
    """
    plain = raw.isolation_level is None and raw.read_only is None and raw.deferrable is None
    if not plain or raw.pgconn.transaction_status != _IDLE or not all(map(_PLAIN.fullmatch, wanted)):
        return False
    text = _BEGIN.format(setting.TENANT, wanted[0], setting.COMPANY, wanted[1])
    if raw.pgconn.exec_(text.encode("ascii")).status == _TUPLES:
        return True
    raw.rollback()
    return False


def _autocommits(raw: Any) -> bool:
    return getattr(raw, "autocommit", False) is True or getattr(raw, "isolation_level", None) == "autocommit"
