"""The ASGI middleware: preflights, header decoration, refusals. Public as ``asgi.TrustMiddleware``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Final

from ..core.errors import ConfigurationError, RequestError, TrustError
from ..core.http import RequestFacts
from ..core.problem import ProblemResponse
from ..trust import Trust
from .hooks import Answer
from .shared import Edge
from .visit import KEY, Visit

__all__ = [
    "CONNECTIONS",
    "CURRENT_SCOPE",
    "INTERNAL_ERROR",
    "POLICY_VIOLATION",
    "App",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "TrustMiddleware",
    "answer",
    "edge_of",
    "routed",
    "visit_of",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CONNECTIONS: Final = ("http", "websocket")
CURRENT_SCOPE: Final[ContextVar[Scope | None]] = ContextVar("wellstreak_trust_asgi_scope", default=None)
NORMAL: Final = (1000, 1001)  # RFC 6455, 7.4.1
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011
_LAST: Final = ("http.response.body", "http.response.pathsend")


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

    @property
    def trust(self) -> Trust:
        """The composition."""
        return self.edge.trust

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] not in CONNECTIONS:
            await self.app(scope, receive, send)
            return
        visit = scope[KEY] = Visit(self.edge, self.edge.facts.asgi(scope))
        token = CURRENT_SCOPE.set(scope)
        try:
            await (self._http if scope["type"] == "http" else self._websocket)(visit, scope, receive, send)
        finally:
            CURRENT_SCOPE.reset(token)

    async def _http(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        async def decorated(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                pairs = [(_text(name), _text(value)) for name, value in message.get("headers", ())]
                message["headers"] = _encoded(self.edge.decorate(visit.facts, pairs, visit.nonce))
            try:
                await send(message)
            except OSError:  # how servers say that nobody listens any more (ASGI HTTP, 2.4)
                visit.left = True
                raise
            visit.ended = message["type"] in _LAST and not message.get("more_body")

        preflight = self.edge.preflight(visit.facts)
        if preflight is not None:
            await answer(send, ProblemResponse(204, tuple(preflight), b""))
            return
        try:
            await self.app(scope, receive, decorated)
        except TrustError as error:
            if visit.status:
                raise  # half an answer is out: the server cuts the connection
            await answer(decorated, self.edge.problem(error))

    async def _websocket(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        last = ""

        async def watched(message: Message) -> None:
            nonlocal last
            _note(visit, message, accepted=bool(last))
            last = message["type"]
            await send(message)

        async def heard() -> Message:
            message = await receive()
            visit.left = visit.left or message["type"] == "websocket.disconnect"
            return message

        try:
            self.edge.guard.require_origin(visit.facts)
            await self.app(scope, heard, watched)
        except TrustError as error:
            problem = self.edge.problem(error)
            if not last and "websocket.http.response" in (scope.get("extensions") or {}):
                await answer(send, problem, prefix="websocket.")
            elif last in ("", "websocket.accept", "websocket.send"):
                # Before the handshake is accepted, servers answer a close with 403 (ASGI WebSocket, 2.5).
                theirs = isinstance(error, RequestError)
                await send({"type": "websocket.close", "code": POLICY_VIOLATION if theirs else INTERNAL_ERROR})


def _note(visit: Visit, message: Message, *, accepted: bool) -> None:
    """What the application says of a socket's end, as a status of HTTP."""
    if message["type"] == "websocket.accept":
        visit.status = 101
    elif message["type"] == "websocket.http.response.start":
        visit.status = message["status"]
    elif message["type"] == "websocket.close":
        code = message.get("code") or NORMAL[0]
        if not accepted:
            visit.status = 403  # as servers answer it (ASGI WebSocket, 2.5)
        elif code not in NORMAL:
            visit.status = 500 if code == INTERNAL_ERROR else 400


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _encoded(pairs: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


async def answer(send: Send, found: Answer, prefix: str = "") -> None:
    """Sends a whole answer of ours."""
    headers = _encoded([*found.headers, ("Content-Length", str(len(found.body)))])
    await send({"type": f"{prefix}http.response.start", "status": found.status, "headers": headers})
    await send({"type": f"{prefix}http.response.body", "body": found.body})


def edge_of(scope: Mapping[str, Any]) -> Edge:
    """The edge that the middleware put into the scope.

    Raises:
        ConfigurationError: the middleware is missing.
    """
    return visit_of(scope).edge


def visit_of(scope: Mapping[str, Any]) -> Visit:
    """The visit of a connection; raises as `edge_of`."""
    found = scope.get(KEY)
    if not isinstance(found, Visit):
        raise ConfigurationError(
            "no Trust in this app", hint="app.add_middleware(TrustMiddleware, trust=trust)", reason="no_trust"
        )
    return found


def routed(scope: Mapping[str, Any]) -> RequestFacts:
    """The facts of a connection, with the matched route's name."""
    visit = visit_of(scope)
    route = getattr(scope.get("route"), "name", None) or getattr(scope.get("endpoint"), "__name__", None)
    if visit.facts.route != route:
        visit.facts = visit.facts.routed(route)
    return visit.facts
