"""FastAPI, on the Starlette adapter: ``Annotated[Grant, Depends(Guarded(operation))]`` or ``dependencies=[...]``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from ..core.errors import InvalidRequest, MissingExtra
from ..core.problem import respond
from ..guard import Grant, Operation
from .shared import Declaration, declaration_of, refuse_undeclared
from .starlette import TrustMiddleware, edge_of, entered, facts_of, public

try:
    from fastapi import FastAPI
    from fastapi.dependencies.models import Dependant
    from fastapi.exceptions import RequestValidationError
    from fastapi.routing import iter_route_contexts
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
except ImportError:
    raise MissingExtra(
        "the FastAPI adapter needs FastAPI", hint="pip install 'wellstreak-trust[fastapi]'", reason="extra"
    ) from None

__all__ = ["Guarded", "TrustMiddleware", "assert_all_routes_declared", "edge_of", "facts_of", "problems", "public"]


class Guarded:
    """A dependency that guards its route and yields the `Grant`.

    Args:
        operation: what the route does.
        resource: what is acted upon, or a callable (or coroutine function) of the request, run once the tenant is
            known.
    """

    def __init__(self, operation: Operation, *, resource: Any = None) -> None:
        self.operation: Operation = operation
        self.resource: Any = resource

    async def __call__(self, connection: HTTPConnection) -> AsyncIterator[Grant]:
        """Entered by FastAPI before the endpoint, left after it."""
        async with entered(connection, self.operation, self.resource) as grant:
            yield grant


def problems(app: FastAPI) -> None:
    """Answers malformed bodies with a problem document.

    FastAPI's own 422 repeats the whole input, so a body with one field missing would echo the secret in another.
    """

    async def malformed(request: Request, error: Exception) -> Response:
        del request, error
        answer = respond(InvalidRequest())
        return Response(answer.body, answer.status, dict(answer.headers))

    app.add_exception_handler(RequestValidationError, malformed)


def assert_all_routes_declared(app: FastAPI, *, public: Mapping[str, str] | None = None) -> None:
    """Refuses an app in which a route, included routers and mounts too, is neither guarded nor public.

    Raises:
        ConfigurationError: names every such path.
    """
    found: list[tuple[str, Declaration | None]] = []
    for context in iter_route_contexts(app.routes):
        route: Any = context
        endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
        declared = declaration_of(endpoint) or _guard_in(getattr(route, "dependant", None))
        found.append((getattr(route, "path", "") or str(endpoint), declared))
    refuse_undeclared(found, public or {})


def _guard_in(dependant: Dependant | None) -> Declaration | None:
    """The declaration of the first `Guarded` among a route's dependencies, nested ones included."""
    if dependant is None:
        return None
    if isinstance(dependant.call, Guarded):
        return Declaration(operation=dependant.call.operation)
    return next((found for below in dependant.dependencies if (found := _guard_in(below))), None)
