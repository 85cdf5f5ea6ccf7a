"""Starlette: ``app.add_middleware(TrustMiddleware, trust=trust)``; pure ASGI, so that context variables and streams
survive. Route guards are in the FastAPI module's dependency, or `guarded` here for plain endpoints.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final

from ..core.errors import ConfigurationError, MissingExtra, RequestError, TrustError
from ..core.event import Outcome
from ..core.http import RequestFacts
from ..core.problem import ProblemResponse
from ..core.tenant import TenantContext
from ..guard import Grant, Operation, outcome_of, refuse_generators
from ..tenancy import tenant_scope
from ..trust import Trust
from .shared import Declaration, Edge, declaration_of, declare, outcome_of_status, refuse_undeclared

try:
    from anyio import CancelScope
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException, WebSocketException
    from starlette.requests import HTTPConnection, Request
    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocketDisconnect
except ImportError:
    raise MissingExtra(
        "the ASGI adapter needs Starlette", hint="pip install 'wellstreak-trust[fastapi]'", reason="extra"
    ) from None

__all__ = [
    "TrustMiddleware",
    "assert_all_routes_declared",
    "declared_routes",
    "edge_of",
    "entered",
    "facts_of",
    "guarded",
    "public",
    "trust_in",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Endpoint = Callable[..., Any]
Declared = tuple[str, Declaration | None]

_KEY: Final = "wellstreak_trust"
_SCOPE: Final[ContextVar[Scope | None]] = ContextVar("wellstreak_trust_asgi_scope", default=None)
_POLICY_VIOLATION, _INTERNAL_ERROR = 1008, 1011  # RFC 6455, 7.4.1


class _Visit:
    """One connection: copies of the scope share it."""

    __slots__ = ("edge", "facts", "status")

    def __init__(self, edge: Edge, scope: Scope) -> None:
        self.edge: Edge = edge
        self.facts: RequestFacts = edge.facts.asgi(scope)
        self.status: int = 0  # of the answer, once it has started


class TrustMiddleware:
    """Puts the `Trust` into the scope, answers preflights, decorates every response, renders refusals.

    WebSocket handshakes from foreign pages are refused before they are accepted.

    Args:
        scheme_is_trusted: False where TLS ends at a proxy that is not in ``Trust(client_address=...)``.
        forwarded_host: take ``X-Forwarded-Host`` from the proxies that are.
    """

    def __init__(self, app: App, trust: Trust, *, scheme_is_trusted: bool = True, forwarded_host: bool = False) -> None:
        self.app: App = app
        self.edge: Edge = Edge(trust, scheme_is_trusted=scheme_is_trusted, forwarded_host=forwarded_host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        visit = scope[_KEY] = _Visit(self.edge, scope)
        token = _SCOPE.set(scope)
        try:
            await (self._http if scope["type"] == "http" else self._websocket)(visit, scope, receive, send)
        finally:
            _SCOPE.reset(token)

    async def _http(self, visit: _Visit, scope: Scope, receive: Receive, send: Send) -> None:
        async def decorated(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                pairs = [(_text(name), _text(value)) for name, value in message.get("headers", ())]
                message["headers"] = _encoded(self.edge.decorate(visit.facts, pairs))
            await send(message)

        preflight = self.edge.preflight(visit.facts)
        if preflight is not None:
            await _send(send, ProblemResponse(204, tuple(preflight), b""))
            return
        try:
            await self.app(scope, receive, decorated)
        except TrustError as error:
            if visit.status:
                raise  # half an answer is out: the server cuts the connection
            await _send(decorated, self.edge.problem(error))

    async def _websocket(self, visit: _Visit, scope: Scope, receive: Receive, send: Send) -> None:
        last = ""

        async def watched(message: Message) -> None:
            nonlocal last
            last = message["type"]
            await send(message)

        try:
            self.edge.guard.require_origin(visit.facts)
            await self.app(scope, receive, watched)
        except TrustError as error:
            problem = self.edge.problem(error)
            if not last and "websocket.http.response" in (scope.get("extensions") or {}):
                await _send(send, problem, prefix="websocket.")
            elif last in ("", "websocket.accept", "websocket.send"):
                # Before the handshake is accepted, servers answer a close with 403 (ASGI WebSocket, 2.5).
                theirs = isinstance(error, RequestError)
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION if theirs else _INTERNAL_ERROR})


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
    return _visit(scope).edge


def _visit(scope: Mapping[str, Any]) -> _Visit:
    found = scope.get(_KEY)
    if not isinstance(found, _Visit):
        raise ConfigurationError(
            "no Trust in this app", hint="app.add_middleware(TrustMiddleware, trust=trust)", reason="no_trust"
        )
    return found


def facts_of(connection: HTTPConnection) -> RequestFacts:
    """The facts of a request, with the matched route's name."""
    return _routed(connection.scope)


def _routed(scope: Mapping[str, Any]) -> RequestFacts:
    visit = _visit(scope)
    route = getattr(scope.get("route"), "name", None) or getattr(scope.get("endpoint"), "__name__", None)
    if visit.facts.route != route:
        held = visit.facts
        visit.facts = RequestFacts(
            held.method,
            held.url,
            held.headers,
            peer=held.peer,
            route=route,
            scheme_is_trusted=held.scheme_is_trusted,
        )
    return visit.facts


@asynccontextmanager
async def entered(connection: HTTPConnection, operation: Operation, resource: Any = None) -> AsyncIterator[Grant]:
    """Takes a request through the guard and into its tenant's scope; `resource` may be a callable of the request."""
    fetch = (lambda tenant: resource(connection)) if callable(resource) else resource
    visit = _visit(connection.scope)
    async with await visit.edge.guard.aenter(_routed(connection.scope), operation, fetch) as grant:
        try:
            yield grant
        except BaseException as error:
            with CancelScope(shield=True):  # a client that hangs up must not keep its end out of the trail
                await grant.afinish(_outcome(error))
            raise
        await grant.afinish(outcome_of_status(visit.status))


def _outcome(error: BaseException) -> Outcome:
    if isinstance(error, HTTPException):
        return outcome_of_status(error.status_code)
    if isinstance(error, WebSocketException):
        return "error" if error.code == _INTERNAL_ERROR else "failure"
    return "success" if isinstance(error, WebSocketDisconnect) else outcome_of(error)


def guarded(operation: Operation, *, resource: Any = None) -> Callable[[Endpoint], Endpoint]:
    """Guards a plain Starlette endpoint ``endpoint(request, grant)``; a streamed answer and its background tasks run
    in the tenant's scope too.
    """

    def decorate(endpoint: Endpoint) -> Endpoint:
        refuse_generators(endpoint)

        @wraps(endpoint)
        async def guarded_endpoint(request: Request) -> Any:
            async with entered(request, operation, resource) as grant:
                response = await _call(endpoint, request, grant)
                await grant.afinish(outcome_of_status(response.status_code))
                return response if grant.tenant is None else _Sent(response, grant.tenant)

        return declare(guarded_endpoint, Declaration(operation=operation), of=endpoint)

    return decorate


class _Sent:
    """A response that is sent in the tenant's scope."""

    def __init__(self, response: Any, tenant: TenantContext) -> None:
        self._response: Any = response
        self._tenant: TenantContext = tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with tenant_scope(self._tenant):
            await self._response(scope, receive, send)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)


def public(reason: str) -> Callable[[Endpoint], Endpoint]:
    """Declares an endpoint open, with the reason; origin and the limits per client still apply."""

    def decorate(endpoint: Endpoint) -> Endpoint:
        refuse_generators(endpoint)

        @wraps(endpoint)
        async def open_endpoint(*args: Any, **kwargs: Any) -> Any:
            scope = _SCOPE.get() or {}
            await edge_of(scope).guard.aadmit(_routed(scope))
            return await _call(endpoint, *args, **kwargs)

        return declare(open_endpoint, Declaration(reason=reason), of=endpoint)

    return decorate


async def _call(endpoint: Endpoint, *args: Any, **kwargs: Any) -> Any:
    if iscoroutinefunction(endpoint):
        return await endpoint(*args, **kwargs)
    return await run_in_threadpool(endpoint, *args, **kwargs)


def assert_all_routes_declared(app: Any, *, public: Mapping[str, str] | None = None) -> None:
    """Refuses an app in which a route, mounts and websockets included, is neither guarded nor public.

    Raises:
        ConfigurationError: names every such path; or an operation that the app's `Trust` cannot serve.
    """
    refuse_undeclared(declared_routes(app.routes), public or {}, trust_in(app))


def declared_routes(
    routes: Iterable[BaseRoute],
    prefix: str = "",
    *,
    opened: Callable[[Iterable[Any]], Iterable[Any]] = iter,
    look: Callable[[Any], Declaration | None] = lambda route: None,
) -> Iterator[Declared]:
    """(path, declaration) of every route, mounted applications included.

    Args:
        opened: lists what a framework nests in one entry.
        look: finds declarations that are not on the endpoint.
    """
    for route in opened(routes):
        path = prefix + (getattr(route, "path", None) or "")
        below = getattr(route, "routes", None)
        if below:
            yield from declared_routes(below, path, opened=opened, look=look)
            continue
        endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
        yield path or repr(endpoint), declaration_of(endpoint) or look(route)


def trust_in(app: Any) -> Edge | None:
    """The edge of the `TrustMiddleware` that an application was given, made anew for checks at start-up."""
    for entry in getattr(app, "user_middleware", ()):
        if entry.cls is TrustMiddleware:
            return Edge(*entry.args, **entry.kwargs)
    return None
