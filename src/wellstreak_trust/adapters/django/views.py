"""Decorators for function and class views, sync and async."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import iscoroutinefunction, signature
from typing import Any, TypeVar

from asgiref.sync import async_to_sync
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase, StreamingHttpResponse

from ...core.sansio import drive
from ...guard import Grant, Operation, outcome_of
from ..shared import Declaration, Edge, declare, scoped
from .middleware import edge, facts_of

__all__ = ["guarded", "public"]

V = TypeVar("V", bound=Callable[..., Any])
T = TypeVar("T")

_REFUSALS = (Http404, PermissionDenied, SuspiciousOperation)


def guarded(operation: Operation, *, resource: Any = None) -> Callable[[V], V]:
    """Guards a view function, ``async def`` too, or a view class.

    ``request.grant`` is the `Grant`; a view with a parameter of that name is handed it.

    Args:
        resource: what is acted upon, or a callable of the request, run once the tenant is known.
    """
    return lambda view: declare(_wrapped(view, _Guarded(operation, resource)), Declaration(operation=operation))


def public(reason: str) -> Callable[[V], V]:
    """Declares a view open, with the reason; origin and the limits per client still apply."""
    return lambda view: declare(_wrapped(view, _Open()), Declaration(reason=reason))


class _Open:
    """Runs a view after the stages that need no credential."""

    async def aenter(self, found: Edge, request: HttpRequest) -> Grant | None:
        await found.guard.aadmit(facts_of(request))
        return None


class _Guarded:
    """Runs a view inside a grant."""

    def __init__(self, operation: Operation, resource: Any) -> None:
        self._operation: Operation = operation
        self._resource: Any = resource

    async def aenter(self, found: Edge, request: HttpRequest) -> Grant | None:
        resource = self._resource
        fetch = (lambda tenant: resource(request)) if callable(resource) else resource
        grant = await found.guard.aenter(facts_of(request), self._operation, fetch)
        request.grant = grant  # type: ignore[attr-defined]  # a documented attribute of guarded requests
        return grant


# Views are the host's own functions, of any signature: they pass through here untyped on purpose.
def _wrapped(view: Any, way: _Open | _Guarded) -> Any:
    if isinstance(view, type):
        view.dispatch = _wrapped(view.dispatch, way)  # type: ignore[attr-defined]  # django.views.View has it
        return view
    hands_over = "grant" in signature(view).parameters

    def extra(grant: Grant | None) -> dict[str, Grant]:
        return {"grant": grant} if hands_over and grant is not None else {}

    if iscoroutinefunction(view):

        @wraps(view)
        async def later(*args: Any, **kwargs: Any) -> Any:
            grant = await way.aenter(edge(), _request(args))
            if grant is None:
                return await view(*args, **kwargs)
            async with grant:
                try:
                    return _streamed(grant, await view(*args, **kwargs, **extra(grant)))
                except _REFUSALS:
                    await grant.afinish("failure")
                    raise

        return later

    @wraps(view)
    def now(*args: Any, **kwargs: Any) -> Any:
        found = edge()
        grant = _settled(found, way.aenter(found, _request(args)))
        if grant is None:
            return view(*args, **kwargs)
        grant.enter_scope()
        try:
            response = _streamed(grant, view(*args, **kwargs, **extra(grant)))
        except BaseException as error:
            grant.leave_scope()
            _settled(found, grant.afinish("failure" if isinstance(error, _REFUSALS) else outcome_of(error)))
            raise
        grant.leave_scope()
        _settled(found, grant.afinish())
        return response

    return now


def _settled(found: Edge, operation: Coroutine[Any, Any, T]) -> T:
    """Runs one operation from a sync view, over blocking stores or suspending ones."""
    if not found.guard.suspends:
        return drive(operation)

    async def awaited() -> T:
        return await operation

    return async_to_sync(awaited)()


def _request(args: tuple[Any, ...]) -> HttpRequest:
    return next(arg for arg in args if isinstance(arg, HttpRequest))


def _streamed(grant: Grant, response: HttpResponseBase) -> HttpResponseBase:
    if isinstance(response, StreamingHttpResponse) and not response.is_async:
        body: Any = response.streaming_content
        response.streaming_content = scoped(grant.tenant, body)
    return response
