"""Starlette: ``app.add_middleware(TrustMiddleware, trust=trust)``, then ``@guarded(operation)`` on endpoints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import Any

from ..core.errors import MissingExtra
from ..core.event import Outcome
from ..core.http import RequestFacts
from ..core.tenant import TenantContext
from ..guard import Grant, Operation, outcome_of, refuse_generators
from ..webhooks import Delivery, Incoming, Receiver, aread_body
from . import asgi
from .asgi_middleware import (
    CURRENT_SCOPE,
    INTERNAL_ERROR,
    Receive,
    Scope,
    Send,
    TrustMiddleware,
    edge_of,
    routed,
    visit_of,
)
from .hooks import areceived
from .shared import Declaration, asked_of, declare, outcome_of_status
from .starlette_routes import assert_all_routes_declared, declared_routes, trust_in, undeclared_routes
from .streams import scope_of

try:
    from anyio import CancelScope
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException, WebSocketException
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.websockets import WebSocketDisconnect
except ImportError:
    raise MissingExtra(
        "the ASGI adapter needs Starlette", hint="pip install 'wellstreak-trust[fastapi]'", reason="extra"
    ) from None

__all__ = [
    "TrustMiddleware",
    "assert_all_routes_declared",
    "csp_nonce",
    "current_grant",
    "declared_routes",
    "edge_of",
    "entered",
    "facts_of",
    "guarded",
    "public",
    "trust_in",
    "undeclared_routes",
    "webhook",
]

Endpoint = Callable[..., Any]
GuardedEndpoint = Callable[[Request, Grant], Any]


def facts_of(connection: HTTPConnection) -> RequestFacts:
    """The facts of a request, with the matched route's name."""
    return routed(connection.scope)


def csp_nonce(connection: HTTPConnection) -> str:
    """The nonce of this response's content security policy, for its ``<script nonce=...>``; the same at every call."""
    return visit_of(connection.scope).csp_nonce()


def current_grant(connection: HTTPConnection) -> Grant:
    """The grant of a request.

    Raises:
        ConfigurationError: outside a guarded endpoint.
    """
    return visit_of(connection.scope).granted()


def entered(
    connection: HTTPConnection,
    operation: Operation,
    resource: Any = None,
    arguments: Any = None,
    *,
    judge: Callable[[BaseException], Outcome] | None = None,
) -> asgi.entered:
    """Takes a request through the guard and into its tenant's scope.

    `resource` and `arguments` may be callables of the request; `judge` says how an exception is recorded.
    """
    asked = asked_of(connection, resource, arguments)
    return asgi.entered(connection.scope, operation, asked, judge=judge or outcome_of_exception, shield=_shield)


def _shield() -> CancelScope:
    return CancelScope(shield=True)


def outcome_of_exception(error: BaseException) -> Outcome:
    """How Starlette answers an exception, in the words of the trail."""
    if isinstance(error, HTTPException):
        return outcome_of_status(error.status_code)
    if isinstance(error, WebSocketException):
        return "error" if error.code == INTERNAL_ERROR else "failure"
    return "success" if isinstance(error, WebSocketDisconnect) else outcome_of(error)


def guarded(
    operation: Operation, *, resource: Any = None, arguments: Any = None
) -> Callable[[GuardedEndpoint], Callable[[Request], Coroutine[Any, Any, Any]]]:
    """Guards a plain Starlette endpoint ``endpoint(request, grant)``; a streamed answer and its background tasks run
    in the tenant's scope too.
    """

    def decorate(endpoint: GuardedEndpoint) -> Callable[[Request], Coroutine[Any, Any, Any]]:
        refuse_generators(endpoint)
        call = _caller(endpoint)

        @wraps(endpoint)
        async def guarded_endpoint(request: Request) -> Any:
            way = entered(request, operation, resource, arguments)
            async with way as grant:
                response = await call(request, grant)
                if hasattr(response, "body"):
                    await grant.afinish(outcome_of_status(response.status_code))
                way.handed_over = True
                return _Sent(response, way, grant.tenant)

        return declare(guarded_endpoint, Declaration(operation=operation), of=endpoint)

    return decorate


class _Sent:
    """A response that is sent in the tenant's scope, and whose end, if it is a stream, is the operation's."""

    def __init__(self, response: Any, way: asgi.entered, tenant: TenantContext | None) -> None:
        self._response: Any = response
        self._way: asgi.entered = way
        self._tenant: TenantContext | None = tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with scope_of(self._tenant):
                try:
                    await self._response(scope, receive, send)
                finally:
                    await self._close()
        except BaseException as error:
            await self._way.aended(error)
            raise
        await self._way.aended()

    async def _close(self) -> None:
        """A generator that its client left is closed here, not wherever Python happens to collect it."""
        close = getattr(getattr(self._response, "body_iterator", None), "aclose", None)
        if close is not None:
            with CancelScope(shield=True):
                await close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)


def public(reason: str) -> Callable[[Endpoint], Endpoint]:
    """Declares an endpoint open, with the reason; origin and the limits per client still apply."""

    def decorate(endpoint: Endpoint) -> Endpoint:
        refuse_generators(endpoint)
        call = _caller(endpoint)

        @wraps(endpoint)
        async def open_endpoint(*args: Any, **kwargs: Any) -> Any:
            scope = CURRENT_SCOPE.get() or {}
            await edge_of(scope).guard.aadmit(routed(scope))
            return await call(*args, **kwargs)

        return declare(open_endpoint, Declaration(reason=reason), of=endpoint)

    return decorate


def webhook(
    receiver: Receiver, *, parameter: str = "token"
) -> Callable[[Callable[[Delivery], Any]], Callable[[Request], Coroutine[Any, Any, Response]]]:
    """Makes an endpoint of a handler ``handler(delivery)``: the raw body is read once, verified, and processed once.

    The handler's `Response` is the endpoint's; without one, it is what the provider wants to read. Register the
    endpoint for POST, and for GET and HEAD too where the provider opens with a handshake by these.

    Args:
        parameter: of the path, which holds the endpoint's token, for receivers with a registry.
    """

    def decorate(handler: Callable[[Delivery], Any]) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        call = _caller(handler)

        async def endpoint(request: Request) -> Response:
            async def read(limit: int) -> bytes:
                return await aread_body(request.stream(), request.headers.get("content-length"), limit=limit)

            async def handle(delivery: Delivery) -> Response | None:
                answer: Response | None = await call(delivery)
                return answer

            lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
            query = request.scope.get("query_string", b"").decode("latin-1")
            incoming = Incoming(request.method, query, lines, read, str(request.path_params.get(parameter, "")))
            found = await areceived(receiver, incoming, handle)
            return found if isinstance(found, Response) else Response(found.body, found.status, dict(found.headers))

        # Not `wraps`: FastAPI would take the handler's parameters for those of the request.
        endpoint.__name__, endpoint.__doc__ = handler.__name__, handler.__doc__
        return endpoint

    return decorate


def _caller(endpoint: Endpoint) -> Callable[..., Awaitable[Any]]:
    """The endpoint itself, or a way to run it in a worker thread."""
    return endpoint if iscoroutinefunction(endpoint) else partial(run_in_threadpool, endpoint)
