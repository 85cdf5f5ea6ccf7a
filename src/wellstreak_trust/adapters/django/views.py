"""Decorators for function and class views, sync and async."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest
from django.http.multipartparser import MultiPartParserError

from ...core.errors import ConfigurationError
from ...core.event import Outcome
from ...guard import Grant, Operation, outcome_of
from ..shared import Declaration, Edge, asked_of, declare, outcome_of_status
from ..streams import inside
from .bodies import Ending, settled
from .middleware import edge, facts_of, hold, visit_of

__all__ = ["guarded", "public"]

V = TypeVar("V", bound=Callable[..., Any])
T = TypeVar("T")

# What Django answers by itself (django.core.handlers.exception).
_STATUSES: dict[type[Exception], int] = {
    Http404: 404, PermissionDenied: 403, SuspiciousOperation: 400, BadRequest: 400, MultiPartParserError: 400,
}  # fmt: skip


def guarded(operation: Operation, *, resource: Any = None, arguments: Any = None) -> Callable[[V], V]:
    """Guards a view function, ``async def`` too, or a view class.

    ``request.grant`` is the `Grant`; a view with a parameter of that name is handed it.

    Args:
        resource: what is acted upon, or a callable of the request, run once the tenant is known.
        arguments: what an approval binds besides the resource: a mapping, or such a callable.
    """
    return lambda view: _declared(view, _Guarded(operation, resource, arguments), Declaration(operation=operation))


def public(reason: str) -> Callable[[V], V]:
    """Declares a view open, with the reason; origin and the limits per client still apply."""
    return lambda view: _declared(view, _Open(), Declaration(reason=reason))


class _Open:
    """Runs a view after the stages that need no credential."""

    async def aenter(self, found: Edge, request: HttpRequest) -> Grant | None:
        await found.guard.aadmit(facts_of(request))
        return None


class _Guarded:
    """Runs a view inside a grant."""

    def __init__(self, operation: Operation, *asked: Any) -> None:
        self._operation: Operation = operation
        self._asked: tuple[Any, ...] = asked

    async def aenter(self, found: Edge, request: HttpRequest) -> Grant | None:
        grant = await found.guard.aenter(facts_of(request), self._operation, *asked_of(request, *self._asked))
        hold(request, grant)
        return grant


# Views are the host's own functions, of any signature: they pass through here untyped on purpose.
def _declared(view: Any, way: _Open | _Guarded, declaration: Declaration) -> Any:
    if isinstance(view, type):
        dispatch: Any = view.dispatch  # type: ignore[attr-defined]  # django.views.View has it
        view.dispatch = declare(_wrapped(dispatch, way), declaration, of=dispatch)  # type: ignore[attr-defined]  # as above
        return view
    return declare(_wrapped(view, way), declaration, of=view)


def _wrapped(view: Any, way: _Open | _Guarded) -> Any:
    hands_over = "grant" in signature(view).parameters

    def extra(grant: Grant | None) -> dict[str, Grant]:
        return {"grant": grant} if hands_over and grant is not None else {}

    @wraps(view)
    async def later(*args: Any, **kwargs: Any) -> Any:
        request = _request(args)
        grant = await way.aenter(edge(), request)
        if grant is None:
            return await view(*args, **kwargs)
        ending = Ending(visit_of(request), grant, outcome_of_exception)
        try:
            grant.enter_scope()
            response = await view(*args, **kwargs, **extra(grant))
        except BaseException as error:
            grant.leave_scope()
            await ending.adone(error)
            raise
        grant.leave_scope()
        if not ending.outlives(response):
            await ending.adone()
        return response

    if iscoroutinefunction(view):
        return later

    @wraps(view)
    def now(*args: Any, **kwargs: Any) -> Any:
        if _is_async_class(view, args):
            return later(*args, **kwargs)
        request = _request(args)
        found = edge()
        grant = settled(found, way.aenter(found, request))
        if grant is None:
            return view(*args, **kwargs)
        return concluded(request, grant, lambda: view(*args, **kwargs, **extra(grant)))

    return now


def concluded(request: HttpRequest, grant: Grant, view: Callable[[], Any]) -> Any:
    """Runs a plain view inside its grant; what it returns, or raises, ends the operation."""
    ending = Ending(visit_of(request), grant, outcome_of_exception)
    response = inside(grant, view, ending.done)
    if not ending.outlives(response):
        ending.done()
    return response


def _is_async_class(view: Any, args: tuple[Any, ...]) -> bool:
    """Whether this is `dispatch` of a class with asynchronous handlers: a plain function that returns a coroutine.

    The instance is the first argument, or bound into the partial that Django's `method_decorator` makes.
    """
    owner = args[0] if args else None
    if isinstance(owner, HttpRequest):
        owner = getattr(getattr(view, "func", view), "__self__", None)
    return getattr(view, "__name__", "") == "dispatch" and bool(getattr(owner, "view_is_async", False))


def outcome_of_exception(error: BaseException) -> Outcome:
    """How Django answers an exception, in the words of the trail."""
    status = next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), None)
    return outcome_of(error) if status is None else outcome_of_status(status)


def _request(args: tuple[Any, ...]) -> HttpRequest:
    for arg in args:
        if isinstance(arg, HttpRequest):
            return arg
    raise ConfigurationError("a guarded view was called without its request", hint="view(request, ...)", reason="view")
