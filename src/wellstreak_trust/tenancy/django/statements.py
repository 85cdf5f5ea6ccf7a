"""What runs on a connection: SQL that no guarded compiler made is judged, and PostgreSQL is told the tenant.

**Judging.** The compilers mark their statements. Text without the mark (``raw()``, a cursor) is read by `text`: what
names a tenant table, or something that no model describes and which may be a view of one, is refused outside
`unscoped`. Django's own schema and flush statements pass: they return no rows.

**Telling.** Row level security reads two settings, set by ``set_config(..., true)``, which holds for one transaction.
They are set before the first statement of a transaction (to the empty text outside every scope) and again when the
tenant changes, and forgotten when a savepoint is rolled back, because that undoes them too. Whether a transaction is
new is asked of the driver, so no commit or rollback goes unseen.

A statement in autocommit mode would find the settings gone, and so no rows. Where it touches tenant tables it is
wrapped in a transaction of its own: three more round trips, which ``ATOMIC_REQUESTS`` saves, and
``WELLSTREAK_TENANCY_RLS = False`` where there are no policies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.db import connections, transaction
from django.db.backends.signals import connection_created

from ...core.errors import CrossTenantWrite, UnscopedStatement
from ..context import current_tenant
from ..setting import COMPANY, TENANT
from ..unscoped import is_unscoped
from .acting import refuse
from .administration import administers
from .config import CONFIG
from .text import complaint

__all__ = ["Compiled", "StatementGuard", "Upsert", "foreign_conflict", "install", "touch"]

_IDLE: Final = 0  # libpq's PQTRANS_IDLE: the next statement begins a transaction
_FAILED: Final = 3  # PQTRANS_INERROR
_TELL: Final = "SELECT set_config(%s, %s, true), set_config(%s, %s, true)"
_NOBODY: Final = ("", "")


class Compiled(str):
    """SQL that a guarded compiler made."""

    __slots__ = ()


class Upsert(Compiled):
    """An INSERT that updates own rows on conflict; it must reach `rows` of them, where that is not 0."""

    rows: int


def foreign_conflict() -> CrossTenantWrite:
    """What an upsert raises that met another tenant's row."""
    return CrossTenantWrite(
        "an upsert conflicts with a row that this tenant does not have", hint="make the tenant part of what is unique"
    )


class StatementGuard:
    """One connection's execute wrapper.

    Args:
        connection: Django's; the wrapper stays on it when it closes and opens again.
    """

    __slots__ = ("_connection", "_postgres", "_told", "touched")

    def __init__(self, connection: Any) -> None:
        self._connection: Any = connection
        self._postgres: bool = connection.vendor == "postgresql"
        self._told: tuple[str, str] | None = None
        self.touched: bool = False  # whether the statement that comes next reads a tenant table

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        """What Django calls for each statement; see ``connection.execute_wrapper``."""
        kind = type(sql)
        if kind is Upsert:
            return self._upsert(execute, sql, params, many, context)
        if kind is not Compiled:
            self._judge(sql)
        if not self._postgres:
            return execute(sql, params, many, context)
        return self._run(execute, sql, params, many, context)

    def _upsert(self, execute: Callable[..., Any], sql: Upsert, params: Any, many: bool, context: Any) -> Any:
        done = self._run(execute, sql, params, many, context)
        if sql.rows and 0 <= context["cursor"].rowcount < sql.rows:
            raise foreign_conflict()
        return done

    def _run(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        if not self._postgres or not CONFIG.rls:
            return execute(sql, params, many, context)
        touched, self.touched = self.touched, False
        if self._connection.get_autocommit():
            if not touched and not (is_unscoped() and current_tenant() is not None):
                return execute(sql, params, many, context)
            with transaction.atomic(using=self._connection.alias):
                self._tell()
                return execute(sql, params, many, context)
        self._tell()
        try:
            return execute(sql, params, many, context)
        finally:
            if not isinstance(sql, Compiled) and "ROLLBACK" in _text(sql, self._connection).upper():
                self._told = None

    def _judge(self, sql: Any) -> None:
        text = _text(sql, self._connection)
        found = complaint(text)
        if found and not is_unscoped() and not administers():
            refuse(
                UnscopedStatement(
                    f"SQL that the guard has not scoped {found}", hint="use the ORM, or say why in unscoped(reason)"
                ),
                text,
            )

    def _tell(self) -> None:
        driver = self._connection.connection
        status = driver.info.transaction_status
        if status == _FAILED:
            return
        context = current_tenant()
        wanted = _NOBODY if context is None else (context.tenant_id, context.company_id or "")
        if status == _IDLE:
            self._told = None  # not even that nobody was told: a session may hold what somebody SET
        if self._told != wanted:
            with driver.cursor() as cursor:
                cursor.execute(_TELL, (TENANT, wanted[0], COMPANY, wanted[1]))
            self._told = wanted


def _text(sql: Any, connection: Any) -> str:
    """What drivers take for a statement: text, bytes, or psycopg's composed SQL."""
    if isinstance(sql, bytes | bytearray):
        return sql.decode("utf-8", "replace")
    return str(sql.as_string(connection.connection)) if hasattr(sql, "as_string") else str(sql)


def touch(connection: Any) -> None:
    """Says that the statement which comes next reads or writes a tenant table."""
    if connection.vendor == "postgresql":
        _opened(connection)  # SQL is made before the first connect
        for each in connection.execute_wrappers:
            if type(each) is StatementGuard:
                each.touched = True


def _opened(connection: Any, **kwargs: Any) -> None:
    """Receives Django's `connection_created`: first in the list is outermost, so nobody has altered the text yet."""
    if not any(type(each) is StatementGuard for each in connection.execute_wrappers):
        connection.execute_wrappers.insert(0, StatementGuard(connection))


def install() -> None:
    """Watches all connections of the process, those that are open too. Harmless when repeated."""
    connection_created.connect(_opened, dispatch_uid="wellstreak_trust.tenancy.django")
    for connection in connections.all(initialized_only=True):
        _opened(connection)
