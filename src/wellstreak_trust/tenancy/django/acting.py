"""For whom a statement runs: the one decision that reading, writing and caching share.

=================  ====================================================================
inside `unscoped`  nothing is restricted
observe mode       nothing is restricted; what would have been refused is reported
in a scope         rows of that tenant alone, and of its company where the context names one
anything else      `NoTenant`
=================  ====================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ...core.errors import CrossTenantRead, CrossTenantWrite, IsolationError
from ...core.tenant import TenantContext
from ..context import current_tenant, require_tenant
from ..unscoped import is_unscoped
from .administration import prepares_tests
from .config import CONFIG, observations
from .registry import COMPANY

__all__ = ["acting", "claim", "fits", "refuse", "tenant_default", "value_for", "who"]

_EVERYBODY: Final = ("",)


def acting(what: str, model: Any = None) -> TenantContext | None:
    """The context whose rows a statement may touch; None where nothing is restricted.

    Args:
        what: the statement in words, for the report of observe mode; `model` completes it.

    Raises:
        NoTenant: outside every scope.
    """
    if is_unscoped():
        return None
    if CONFIG.observe:
        if current_tenant() is None:
            observations.record("NoTenant", what if model is None else f"{what} {model._meta.label}")
        return None
    context = current_tenant()
    return context if context is not None or prepares_tests() else require_tenant()


def refuse(error: IsolationError, what: str = "") -> None:
    """Raises `error`, or reports it in observe mode."""
    if not CONFIG.observe:
        raise error
    observations.record(type(error).__name__, what or error.detail)


def value_for(context: TenantContext, name: str) -> str | None:
    """What a scoping column must hold; None for the company where the context sees the whole tenant."""
    return context.company_id if name == COMPANY else context.tenant_id


def who() -> tuple[str, ...] | None:
    """A key for what may be read now: rows that were read under one key are not shown under another."""
    if is_unscoped() or CONFIG.observe:
        return _EVERYBODY
    context = current_tenant()
    return None if context is None else (context.tenant_id, context.company_id or "")


def tenant_default(name: str) -> str | None:
    """What a new instance starts with. Outside a scope the tenant is empty, and judged when it is written."""
    context = current_tenant()
    if context is None:
        return None if name == COMPANY else ""
    return value_for(context, name)


def claim(instance: Any, names: Iterable[str], *, stamp: bool) -> TenantContext | None:
    """Makes sure that `instance` is a row of whom the code acts for; stamps what is blank; returns as `acting`.

    Raises:
        NoTenant: outside every scope.
        CrossTenantWrite: it names another tenant. The code's tenant is never changed to fit the instance.
    """
    context = acting("write of", type(instance))
    for name in names:
        held = instance.__dict__.get(name)
        if context is None:
            _unrestricted(instance, name, held, stamp=stamp)
            continue
        wanted = context.company_id if name == COMPANY else context.tenant_id
        if held == wanted or wanted is None:
            continue
        if held is None or held == "":
            if stamp:
                setattr(instance, name, wanted)
        else:
            raise CrossTenantWrite(
                f"a {type(instance)._meta.label} of another tenant is written",
                hint="enter that tenant's scope, or unscoped(reason)",
            )
    return context


def _unrestricted(instance: Any, name: str, held: Any, *, stamp: bool) -> None:
    here, label = tenant_default(name), type(instance)._meta.label
    if held is None or held == "":
        if stamp and here:
            setattr(instance, name, here)
        elif stamp and name != COMPANY:
            refuse(CrossTenantWrite(f"a {label} without tenant is written", hint=f"set {name} in unscoped blocks"))
    elif CONFIG.observe and not is_unscoped() and here and held != here:
        observations.record("CrossTenantWrite", f"write of {label}")


def fits(instance: Any, names: Iterable[str]) -> None:
    """Compares a row that came back with whom the code acts for: the net below the restrictions.

    Raises:
        NoTenant, CrossTenantRead: it is another tenant's.
    """
    context = acting("row of", type(instance))
    if context is None:
        here = current_tenant() if CONFIG.observe and not is_unscoped() else None
        if here is not None and any(_differs(instance, name, here) for name in names):
            observations.record("Filtered", f"row of {type(instance)._meta.label}")
    elif any(_differs(instance, name, context) for name in names):
        raise CrossTenantRead(f"a {type(instance)._meta.label} of another tenant came back")


def _differs(instance: Any, name: str, context: TenantContext) -> bool:
    wanted = value_for(context, name)
    return wanted is not None and instance.__dict__.get(name, wanted) != wanted  # absent where the query deferred it
