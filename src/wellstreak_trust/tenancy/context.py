"""The tenant of the running code: one context variable, entered by block, never set.

A scope is a block; there is no public ``set()``. Threads start without a tenant and raise; tasks inherit the tenant of
their creation. What goes wrong with a block (left twice, left in another `contextvars.Context`, left out of order)
never raises over the host's own error and never leaves a stale tenant behind: the scope goes blank, so that code
which still sees it finds no tenant, and the event is counted and logged as ``scope_leak``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from itertools import count
from types import FrameType, TracebackType
from typing import Any, Final

from ..core.errors import NoTenant, TenantConflict, UsageError
from ..core.principal import Principal
from ..core.tenant import Membership, TenantContext
from .elevation import ElevatedContext, elevated, without_elevation
from .frames import CONTEXTLIB, ENTER_CONTEXT, GENERATOR, refuse_generator

__all__ = ["Rooted", "current_tenant", "require_tenant", "scope_leaks", "tenant_scope", "testing_context"]

_frame: Final = sys._getframe
_LOG: Final = logging.getLogger("wellstreak_trust.tenancy")


class tenant_scope:
    """``with tenant_scope(context):`` or ``async with``: the block runs in that tenant; yields the context.

    The same tenant nests. Another tenant inside a scope is refused and the outer scope survives, except under
    `elevate`. Leaving twice is harmless.

    Raises:
        UsageError: not a `TenantContext`, an empty tenant id, or a scope that is already entered.
        TenantConflict: another tenant's scope is open, or the context's elevation is over.
        ConfigurationError: entered in a generator's frame (`reason` is ``scope_in_generator``).
    """

    __slots__ = ("_context", "_outer", "_token")

    def __init__(self, context: TenantContext) -> None:
        self._context: TenantContext | None = context
        self._token: Token[tenant_scope] | None = None

    def __enter__(self) -> TenantContext:
        code = _frame(1).f_code
        if code.co_flags & GENERATOR or code is ENTER_CONTEXT:
            refuse_generator(_frame(1), "a tenant scope")
        context = self._context
        if type(context) is not TenantContext or self._token is not None or not context.tenant_id:
            context = self._vetted()
        outer = _CURRENT.get()
        if outer is not _OUTSIDE:
            around = outer._context
            if around is not None and around.tenant_id != context.tenant_id and not elevated():
                raise TenantConflict(
                    "a scope of another tenant is open", hint="finish it first, or say why in elevate(reason=..., ...)"
                )
        self._outer: tenant_scope = outer
        self._token = _CURRENT.set(self)
        return context

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        token = self._token
        if token is None:
            return
        self._token = None
        inner = _CURRENT.get()
        try:
            _CURRENT.reset(token)
        except ValueError:  # entered in another Context; raising here would mask the host's error
            self._blank("left in another context", _frame(1))
            return
        if inner is not self:
            _CURRENT.set(inner)  # the inner block still runs and keeps its tenant
            self._blank("left before the scope inside it", _frame(1))
        elif self._outer is not _OUTSIDE and self._outer._context is None:
            _CURRENT.set(self._outer._nearest())

    async def __aenter__(self) -> TenantContext:
        refuse_generator(_frame(1), "a tenant scope")
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)

    def _vetted(self) -> TenantContext:
        """The slow way in: everything that is not a plain context in a fresh scope."""
        context = self._context
        if self._token is not None or not isinstance(context, TenantContext):
            raise UsageError(
                "only a TenantContext enters, and one scope object serves one block at a time",
                hint="with tenant_scope(resolver.resolve(facts, principal)): ...",
            )
        if isinstance(context, ElevatedContext):
            context.require_live()
        if not isinstance(context.tenant_id, str) or not context.tenant_id:
            raise UsageError("a tenant id is a non-empty str")
        return context

    def _nearest(self) -> tenant_scope:
        """The innermost enclosing scope that was not left."""
        scope = self
        while scope._context is None and scope is not _OUTSIDE:
            scope = scope._outer
        return scope

    def _blank(self, how: str, frame: FrameType | None) -> None:
        self._context = None
        while frame is not None and frame.f_code.co_filename in (__file__, CONTEXTLIB):
            frame = frame.f_back
        _LEAKS.add()
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "unknown"
        _LOG.warning("scope_leak: a tenant scope was %s at %s", how, where)


class Rooted:
    """For those who run other people's work: between `enter` and `leave` there is `context`, or no tenant, alone.

    What was open around it, an elevation included, is hidden; `leave` brings exactly that back, whatever the work
    forgot to leave. In a `contextvars.Context` of the work's own nobody needs to leave.
    """

    __slots__ = ("_restore", "_scope")

    def __init__(self, context: TenantContext | None) -> None:
        self._scope: tenant_scope = _OUTSIDE if context is None else tenant_scope(context)
        self._restore: Callable[[], None] | None = None

    def enter(self) -> None:
        """Raises as `tenant_scope` for what is no context, or one whose elevation is over."""
        if self._scope is not _OUTSIDE:
            self._scope._vetted()
            self._scope._outer = _OUTSIDE
        token, restore_elevation = _CURRENT.set(self._scope), without_elevation()

        def restore() -> None:
            _CURRENT.reset(token)
            restore_elevation()

        self._restore = restore

    def leave(self) -> None:
        """Leaving twice, or in another context, is harmless."""
        restore, self._restore = self._restore, None
        if restore is not None:
            try:
                restore()
            except ValueError:  # as in `tenant_scope.__exit__`
                self._scope._blank("left in another context", _frame(1))


class _Leaks:
    """A counter that threads share: `count` steps atomically."""

    def __init__(self) -> None:
        self._steps: count[int] = count(1)
        self.total: int = 0

    def add(self) -> None:
        self.total = next(self._steps)


def _outside() -> tenant_scope:
    scope = tenant_scope.__new__(tenant_scope)
    scope._context, scope._outer, scope._token = None, scope, None
    return scope


_LEAKS: Final = _Leaks()
_OUTSIDE: Final = _outside()  # the scope around everything: it has no tenant
_CURRENT: Final[ContextVar[tenant_scope]] = ContextVar("wellstreak_trust_tenant", default=_OUTSIDE)


def require_tenant() -> TenantContext:
    """The context of the innermost scope.

    Raises:
        NoTenant: outside every scope; also in threads, which start without one.
    """
    context = _CURRENT.get()._context
    if context is None:
        raise NoTenant(
            "no tenant scope is open here", hint="with tenant_scope(context): ...; threads do not inherit one"
        )
    return context


def current_tenant() -> TenantContext | None:
    """The context of the innermost scope, or None. To read tenant data use `require_tenant`, which fails closed."""
    return _CURRENT.get()._context


def scope_leaks() -> int:
    """How many scopes of this process were left out of order or in another context; healthy hosts see 0."""
    return _LEAKS.total


def testing_context(
    tenant_id: str,
    roles: Iterable[str] = ("member",),  # noqa: PT028 - no test: the public name is what hosts' tests import
    *,
    id: str = "u1",  # noqa: PT028 - as above
    **principal: Any,
) -> TenantContext:
    """A context for unit tests, with a membership nobody proved.

    Args:
        roles: the membership's roles.
        id: of the `Principal`; further keywords are its other fields.
    """
    if isinstance(roles, str):
        raise UsageError("roles is a collection of names", hint="roles=('member',)")
    who = Principal(id, tenant_id=tenant_id, **principal)
    return TenantContext(tenant_id, who, Membership(tenant_id, who.id, frozenset(roles)))


testing_context.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it by its name
