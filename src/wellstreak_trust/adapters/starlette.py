"""Starlette: ``app.add_middleware(TrustMiddleware, trust=trust)``; pure ASGI, so that context variables and streams
survive. Route guards are in the FastAPI module's dependency, or `guarded` here for plain endpoints.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final

from ..core.errors import ConfigurationError, MissingExtra, OriginDenied, TrustError
from ..core.http import RequestFacts
from ..core.problem import ProblemResponse
from ..guard import Grant, Operation
from ..trust import Trust
from .shared import Declaration, Edge, asgi_facts, declaration_of, declare, refuse_undeclared

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.requests import HTTPConnection, Request
    from starlette.routing import BaseRoute
except ImportError:
    raise MissingExtra(
        "the ASGI adapter needs Starlette", hint="pip install 'wellstreak-trust[fastapi]'", reason="extra"
    ) from None

__all__ = ["TrustMiddleware", "assert_all_routes_declared", "edge_of", "entered", "facts_of", "guarded", "public"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Endpoint = Callable[..., Any]

_KEY: Final = "wellstreak_trust"
_SCOPE: Final[ContextVar[Scope | None]] = ContextVar("wellstreak_trust_asgi_scope", default=None)


class TrustMiddleware:
    """Puts the `Trust` into the scope, answers preflights, decorates every response, renders refusals.

    WebSocket handshakes from foreign pages are refused before they are accepted.
    """

    def __init__(self, app: App, trust: Trust) -> None:
        self.app: App = app
        self.edge: Edge = Edge(trust)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        scope[_KEY] = self.edge
        token = _SCOPE.set(scope)
        try:
            await (self._http if scope["type"] == "http" else self._websocket)(scope, receive, send)
        finally:
            _SCOPE.reset(token)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        facts = asgi_facts(scope)
        started = False

        async def decorated(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                pairs = [(_text(name), _text(value)) for name, value in message.get("headers", ())]
                message["headers"] = _encoded(self.edge.decorate(facts, pairs))
            await send(message)

        preflight = self.edge.preflight(facts)
        if preflight is not None:
            await _send(send, ProblemResponse(204, tuple(preflight), b""))
            return
        try:
            await self.app(scope, receive, decorated)
        except TrustError as error:
            if started:
                raise
            await _send(decorated, self.edge.problem(error))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        verdict = self.edge.trust.origin.check(asgi_facts(scope))
        if verdict.allowed:
            await self.app(scope, receive, send)
            return
        await receive()  # websocket.connect; the handshake is answered, never accepted and closed
        if "websocket.http.response" in scope.get("extensions", {}):
            await _send(send, self.edge.problem(OriginDenied(verdict.reason)), prefix="websocket.")
        else:
            await send({"type": "websocket.close", "code": 1008})


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _encoded(pairs: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


async def _send(send: Send, problem: ProblemResponse, prefix: str = "") -> None:
    headers = _encoded([*problem.headers, ("Content-Length", str(len(problem.body)))])
    await send({"type": f"{prefix}http.response.start", "status": problem.status, "headers": headers})
    await send({"type": f"{prefix}http.response.body", "body": problem.body})


def edge_of(scope: Mapping[str, Any]) -> Edge:
    """The edge that the middleware put into the scope.

    Raises:
        ConfigurationError: the middleware is missing.
    """
    found = scope.get(_KEY)
    if not isinstance(found, Edge):
        raise ConfigurationError(
            "no Trust in this app", hint="app.add_middleware(TrustMiddleware, trust=trust)", reason="no_trust"
        )
    return found


def facts_of(connection: HTTPConnection) -> RequestFacts:
    """The facts of a request, with the matched route's name."""
    endpoint = connection.scope.get("endpoint")
    return asgi_facts(connection.scope, route=getattr(endpoint, "__name__", None))


@asynccontextmanager
async def entered(connection: HTTPConnection, operation: Operation, resource: Any = None) -> AsyncIterator[Grant]:
    """Takes a request through the guard and into its tenant's scope; `resource` may be a callable of the request."""
    fetch = (lambda tenant: resource(connection)) if callable(resource) else resource
    async with await edge_of(connection.scope).guard.aenter(facts_of(connection), operation, fetch) as grant:
        try:
            yield grant
        except HTTPException as error:
            await grant.afinish("error" if error.status_code >= 500 else "failure")
            raise


def guarded(operation: Operation, *, resource: Any = None) -> Callable[[Endpoint], Endpoint]:
    """Guards a plain Starlette endpoint ``endpoint(request, grant)``."""

    def decorate(endpoint: Endpoint) -> Endpoint:
        @wraps(endpoint)
        async def guarded_endpoint(request: Request) -> Any:
            async with entered(request, operation, resource) as grant:
                return await _call(endpoint, request, grant)

        return declare(guarded_endpoint, Declaration(operation=operation))

    return decorate


def public(reason: str) -> Callable[[Endpoint], Endpoint]:
    """Declares an endpoint open, with the reason; origin and the limits per client still apply."""

    def decorate(endpoint: Endpoint) -> Endpoint:
        @wraps(endpoint)
        async def open_endpoint(*args: Any, **kwargs: Any) -> Any:
            scope = _SCOPE.get()
            edge = edge_of(scope or {})
            await edge.guard.aadmit(asgi_facts(scope or {}, route=getattr(endpoint, "__name__", None)))
            return await _call(endpoint, *args, **kwargs)

        return declare(open_endpoint, Declaration(reason=reason))

    return decorate


async def _call(endpoint: Endpoint, *args: Any, **kwargs: Any) -> Any:
    if iscoroutinefunction(endpoint):
        return await endpoint(*args, **kwargs)
    return await run_in_threadpool(endpoint, *args, **kwargs)


def assert_all_routes_declared(app: Any, *, public: Mapping[str, str] | None = None) -> None:
    """Refuses an app in which a route, mounts and websockets included, is neither guarded nor public.

    Raises:
        ConfigurationError: names every such path.
    """
    refuse_undeclared(list(_declared(app.routes, "")), public or {})


def _declared(routes: list[BaseRoute], prefix: str) -> list[tuple[str, Declaration | None]]:
    found: list[tuple[str, Declaration | None]] = []
    for route in routes:
        path = prefix + getattr(route, "path", "")
        below = getattr(route, "routes", None)
        if below:
            found += _declared(below, path)
        else:
            found.append((path, declaration_of(getattr(route, "endpoint", None) or getattr(route, "app", None))))
    return found
