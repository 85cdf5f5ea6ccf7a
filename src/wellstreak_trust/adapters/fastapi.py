"""FastAPI, on the Starlette adapter: ``Annotated[Grant, Depends(Guarded(operation))]`` or ``dependencies=[...]``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Annotated, Any

from ..core.errors import ConfigurationError, InvalidRequest, MissingExtra
from ..core.event import Outcome
from ..core.problem import respond
from ..core.tenant import TenantContext
from ..guard import Grant, Operation
from .asgi_middleware import POLICY_VIOLATION, TrustMiddleware, edge_of, visit_of
from .shared import Declaration, refuse_undeclared, undeclared_among
from .starlette import csp_nonce, entered, facts_of, outcome_of_exception, public, webhook
from .starlette_routes import declared_routes, trust_in

try:
    from fastapi import Depends, FastAPI
    from fastapi.dependencies.models import Dependant
    from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
    from fastapi.routing import iter_route_contexts
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket
except ImportError:
    raise MissingExtra(
        "the FastAPI adapter needs FastAPI", hint="pip install 'wellstreak-trust[fastapi]'", reason="extra"
    ) from None

__all__ = [
    "CurrentGrant",
    "CurrentTenant",
    "Guarded",
    "TrustMiddleware",
    "assert_all_routes_declared",
    "csp_nonce",
    "current_grant",
    "current_tenant",
    "edge_of",
    "facts_of",
    "problems",
    "public",
    "undeclared_routes",
    "webhook",
]


class Guarded:
    """A dependency that guards its route and yields the `Grant`.

    Args:
        operation: what the route does.
        resource: what is acted upon, or a callable (or coroutine function) of the request, run once the tenant is
            known.
        arguments: what an approval binds besides the resource: a mapping, or such a callable.
    """

    def __init__(self, operation: Operation, *, resource: Any = None, arguments: Any = None) -> None:
        self.operation: Operation = operation
        self.resource: Any = resource
        self.arguments: Any = arguments

    async def __call__(self, connection: HTTPConnection) -> AsyncIterator[Grant]:
        """Entered by FastAPI before the endpoint, left after it."""
        async with entered(connection, self.operation, self.resource, self.arguments, judge=_outcome) as grant:
            yield grant


def _outcome(error: BaseException) -> Outcome:
    malformed = isinstance(error, RequestValidationError | WebSocketRequestValidationError)
    return "failure" if malformed else outcome_of_exception(error)


def current_grant(connection: HTTPConnection) -> Grant:
    """The grant of a request; see `CurrentGrant`.

    Raises:
        ConfigurationError: outside a guarded route.
    """
    return visit_of(connection.scope).granted()


def current_tenant(connection: HTTPConnection) -> TenantContext:
    """The tenant of a request; see `CurrentTenant`.

    Raises:
        ConfigurationError: outside a guarded route, or in one of the platform.
    """
    tenant = current_grant(connection).tenant
    if tenant is None:
        raise ConfigurationError("this operation is the platform's", hint="CurrentGrant alone", reason="no_tenant")
    return tenant


CurrentGrant = Annotated[Grant, Depends(current_grant)]
"""A parameter's type: the grant of a route whose router, or app, is guarded. It guards nothing itself."""
CurrentTenant = Annotated[TenantContext, Depends(current_tenant)]
"""A parameter's type: the tenant of such a route."""


def problems(app: FastAPI) -> None:
    """Answers malformed bodies with a problem document.

    FastAPI's own 422 repeats the whole input, so a body with one field missing would echo the secret in another.
    """

    async def malformed(request: Request, error: Exception) -> Response:
        del request, error
        answer = respond(InvalidRequest())
        return Response(answer.body, answer.status, dict(answer.headers))

    async def malformed_socket(socket: WebSocket, error: Exception) -> None:
        del error
        await socket.close(POLICY_VIOLATION)

    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(WebSocketRequestValidationError, malformed_socket)


def assert_all_routes_declared(app: FastAPI, *, public: Mapping[str, str] | None = None) -> tuple[Operation, ...]:
    """Refuses an app in which a route, included routers and mounts too, is neither guarded nor public.

    Returns:
        The registered operations that no route serves.

    Raises:
        ConfigurationError: names every such path, and every operation that the app's `Trust` cannot serve or does
            not know.
    """
    return refuse_undeclared(_declared(app), public or {}, trust_in(app))


def undeclared_routes(app: FastAPI, *, public: Mapping[str, str] | None = None) -> list[str]:
    """The paths that `assert_all_routes_declared` would refuse, for a service under adoption; it refuses nothing."""
    return undeclared_among(_declared(app), public or {})


def _declared(app: FastAPI) -> Iterable[tuple[str, Declaration | None]]:
    return declared_routes(app.routes, opened=unfolded, look=guard_of)


def unfolded(routes: Iterable[Any]) -> Iterable[Any]:
    """Every route by itself: included routers are one nested entry without a path (FastAPI 0.165)."""
    return iter_route_contexts(list(routes))


def guard_of(route: Any) -> Declaration | None:
    """What a route's dependencies declare; None for one that has no guard among them."""
    return _guard_in(getattr(route, "dependant", None))


def _guard_in(dependant: Dependant | None) -> Declaration | None:
    """The declaration of the first `Guarded` among a route's dependencies, nested ones included."""
    if dependant is None:
        return None
    if isinstance(dependant.call, Guarded):
        return Declaration(operation=dependant.call.operation)
    return next((found for below in dependant.dependencies if (found := _guard_in(below))), None)
