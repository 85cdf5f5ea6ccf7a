"""What is true right now: the tenant of the running code, in the forms that binds, rows and checks need.

Everything here is read at the moment of execution. Nothing captures a tenant: captured values go stale in statement
caches, lazy loads and long-lived sessions.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from textwrap import shorten
from typing import Any, Final, Literal, NoReturn

from ...core.errors import (
    CrossTenantRead,
    CrossTenantWrite,
    IsolationError,
    NoTenant,
    UnscopedStatement,
    UsageError,
)
from ...core.tenant import TenantContext
from ..context import current_tenant
from ..observations import Observations, statement_shape
from ..unscoped import is_unscoped
from .tables import Tables
from .verdict import COMPANY, LIFTED, TENANT, Equal

__all__ = ["Mode", "Rules", "same_id"]

Mode = Literal["enforce", "observe"]

_BIND: Final = ("wst_tenant", "wst_company")
_SCOPE: Final = "with tenant_scope(context): ...; to work across tenants, unscoped(reason)"


def same_id(value: object, wanted: str) -> bool:
    """Whether a value of a row or bind is that id; ids are texts, columns may be UUIDs or numbers."""
    if value == wanted or str(value) == wanted:
        return True
    return isinstance(value, uuid.UUID) and value == _as_uuid(wanted)


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


class Rules:
    """What a guard knows beside one statement: the tables, its mode, the running tenant.

    Args:
        tables: the classification.
        mode: ``observe`` records and changes nothing.
    """

    def __init__(self, tables: Tables, mode: Mode, observations: Observations) -> None:
        self.tables: Tables = tables
        self.observes: bool = mode == "observe"
        self.observations: Observations = observations
        self._companies: bool = tables.classes.company is not None

    def mode(self) -> int:
        """How a statement that runs now must have been compiled."""
        context = current_tenant()
        if context is None:
            return LIFTED if is_unscoped() else TENANT
        return COMPANY if self._companies and context.company_id is not None else TENANT

    def scope(self) -> tuple[str, str | None] | None:
        """Tenant and company of the running code; None outside every scope."""
        context = current_tenant()
        if context is None:
            return None
        return context.tenant_id, context.company_id if self._companies else None

    def id(self, context: TenantContext, company: bool) -> str | None:
        """The id that a tenant column, or company column, must hold."""
        return context.company_id if company else context.tenant_id

    def late(self, type_: Any, company: bool) -> Callable[[], Any]:
        """What a bind calls at each execution; None outside every scope: nothing matches, and the engine raises."""
        convert = converter(type_)

        def read() -> Any:
            context = current_tenant()
            found = None if context is None else self.id(context, company)
            return None if found is None else convert(found)

        return read

    def bind_name(self, company: bool, number: int) -> str:
        """Binds of different types have different names."""
        return f"{_BIND[company]}_{number}" if number else _BIND[company]

    def bound(self, name: str, company: bool) -> Equal:
        """Callers can overwrite a bind by passing a parameter of its name, so ours are compared like any other."""
        return Equal(_BIND[company], company, (name,), writes=False)

    # --- refusals ---------------------------------------------------------------------------------------------------

    def fail(self, error: IsolationError, statement: str = "") -> None:
        """Raises, or records in observe mode."""
        if not self.observes:
            raise error
        self.observations.record(type(error).__name__, statement or error.detail)

    def no_tenant(self, what: str, statement: str = "") -> None:
        """Tenant rows were asked for outside every scope."""
        self.fail(NoTenant(_named(f"{what} outside every tenant scope", statement), hint=_SCOPE), statement)

    def unscoped(self, what: str, hint: str, statement: str = "", *, write: bool = False) -> None:
        """A statement that the guard cannot keep inside the tenant."""
        kind = CrossTenantWrite if write else UnscopedStatement
        self.fail(kind(_named(f"refused: {what}", statement), hint=hint), statement)

    def foreign_read(self, what: str, hint: str = "load it in its own scope, with its own session") -> None:
        """A row of another tenant."""
        self.fail(CrossTenantRead(what, hint=hint), what)

    def foreign_write(self, what: str, hint: str, statement: str = "") -> None:
        """A row that would land in, move to or point at another tenant."""
        self.fail(CrossTenantWrite(_named(what, statement), hint=hint), statement or what)


def _named(what: str, statement: str) -> str:
    """With the statement, which is shown without any value."""
    return f"{what}, in: {shorten(statement_shape(statement), 200, placeholder=' ...')}" if statement else what


def converter(type_: Any) -> Callable[[str], Any]:
    """From the id, a text, to what a column of that type takes."""
    try:
        wanted = type_.python_type
    except NotImplementedError:
        return _unchanged
    if wanted is uuid.UUID:
        return _uuid
    return _number if wanted is int else _unchanged


def _unchanged(text: str) -> str:
    return text


def _uuid(text: str) -> uuid.UUID:
    return _as_uuid(text) or _misfit("UUID")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else _misfit("number")


def _misfit(kind: str) -> NoReturn:
    raise UsageError(f"the id of the current tenant is no {kind}, which its column holds")
