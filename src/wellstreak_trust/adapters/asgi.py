"""Any ASGI application: ``TrustMiddleware(app, trust=trust)`` around it, ``guarded(operation)`` around each of its
parts.

A part is an application itself, ``async def app(scope, receive, send)``, for requests and sockets: one's own, or a
framework's that is mounted. No framework is imported, so that context variables and streams survive; Starlette and
FastAPI build on this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import update_wrapper
from types import TracebackType
from typing import Any

from ..core.errors import InvalidRequest
from ..core.event import Outcome
from ..core.http import RequestFacts
from ..guard import Grant, Operation, outcome_of, refuse_generators
from ..webhooks import Delivery, Incoming, Receiver, aread_body
from .asgi_middleware import (
    CONNECTIONS,
    App,
    Message,
    Receive,
    Scope,
    Send,
    TrustMiddleware,
    answer,
    edge_of,
    routed,
    visit_of,
)
from .hooks import areceived
from .shared import Declaration, asked_of, assert_all_routes_declared, declare
from .visit import Visit

__all__ = [
    "App",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "TrustMiddleware",
    "assert_all_routes_declared",
    "csp_nonce",
    "current_grant",
    "edge_of",
    "entered",
    "facts_of",
    "guarded",
    "public",
    "webhook",
]


def facts_of(scope: Scope) -> RequestFacts:
    """The facts of a connection."""
    return routed(scope)


def csp_nonce(scope: Scope) -> str:
    """The nonce of this response's content security policy, for its ``<script nonce=...>``; the same at every call."""
    return visit_of(scope).csp_nonce()


def current_grant(scope: Scope) -> Grant:
    """The grant of a connection.

    Raises:
        ConfigurationError: outside a guarded part.
    """
    return visit_of(scope).granted()


class entered:
    """``async with entered(scope, operation) as grant:``: through the guard, into the tenant's scope, onto the record.

    Args:
        asked: resource and arguments, as `Guard.aenter` takes them.
        judge: how an exception of the host's framework is recorded.
        shield: keeps a cancellation away from the end's record.
    """

    __slots__ = ("_asked", "_judge", "_operation", "_scope", "_shield", "grant", "handed_over", "visit")

    def __init__(
        self,
        scope: Scope,
        operation: Operation,
        asked: Sequence[Any] = (),
        *,
        judge: Callable[[BaseException], Outcome] = outcome_of,
        shield: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._scope: Scope = scope
        self._operation: Operation = operation
        self._asked: Sequence[Any] = asked
        self._judge: Callable[[BaseException], Outcome] = judge
        self._shield: Callable[[], AbstractContextManager[object]] = shield
        self.visit: Visit = visit_of(scope)
        self.grant: Grant | None = None
        self.handed_over: bool = False  # to whoever sends the answer and calls `aended`

    async def __aenter__(self) -> Grant:
        guard = self.visit.edge.guard
        grant = await guard.aenter(routed(self._scope), self._operation, *self._asked)
        self.grant = self.visit.grant = grant
        try:
            grant.enter_scope()
        except BaseException as error:
            await self.aended(error)
            raise
        return grant

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self.grant is not None
        self.grant.leave_scope()
        if error is not None or not self.handed_over:
            await self.aended(error)

    async def aended(self, error: BaseException | None = None) -> None:
        """Records how it ended: once, however often it is said."""
        assert self.grant is not None
        if error is None:
            await self.grant.afinish(self.visit.outcome())
            return
        with self._shield():  # a client that hangs up must not keep its end out of the trail
            await self.grant.afinish(self.visit.outcome(error, self._judge))


def guarded(operation: Operation, *, resource: Any = None, arguments: Any = None) -> Callable[[App], App]:
    """Guards an application; `current_grant(scope)` is its grant. What it sends is sent in the tenant's scope.

    Args:
        resource: what is acted upon, or a callable (or coroutine function) of the scope, run once the tenant is known.
        arguments: what an approval binds besides the resource: a mapping, or such a callable.
    """

    def decorate(app: App) -> App:
        refuse_generators(app)

        async def guarded_app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] not in CONNECTIONS:
                await app(scope, receive, send)
                return
            async with entered(scope, operation, asked_of(scope, resource, arguments)):
                await app(scope, receive, send)

        return declare(_named(guarded_app, app), Declaration(operation=operation), of=app)

    return decorate


def public(reason: str) -> Callable[[App], App]:
    """Declares an application open, with the reason; origin and the limits per client still apply."""

    def decorate(app: App) -> App:
        refuse_generators(app)

        async def open_app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] in CONNECTIONS:
                await edge_of(scope).guard.aadmit(routed(scope))
            await app(scope, receive, send)

        return declare(_named(open_app, app), Declaration(reason=reason), of=app)

    return decorate


def webhook(
    receiver: Receiver, *, token: Callable[[Scope], str] | None = None
) -> Callable[[Callable[[Delivery], Awaitable[App | None]]], App]:
    """Makes an application of a handler ``async def handler(delivery)``: the raw body is read once, verified, and
    processed once.

    What the handler returns answers, an application itself (such as a response of Starlette's); without one, it is what
    the provider wants to read.

    Args:
        token: the endpoint's, out of the scope, for receivers with a registry.
    """

    def decorate(handler: Callable[[Delivery], Awaitable[App | None]]) -> App:
        async def hook(scope: Scope, receive: Receive, send: Send) -> None:
            lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
            declared = next((value for name, value in lines if name.lower() == "content-length"), None)

            async def read(limit: int) -> bytes:
                return await aread_body(_chunks(receive), declared, limit=limit)

            query = scope.get("query_string", b"").decode("latin-1")
            incoming = Incoming(scope["method"], query, lines, read, token(scope) if token is not None else "")
            found = await areceived(receiver, incoming, handler)
            await (found(scope, receive, send) if callable(found) else answer(send, found))

        return update_wrapper(hook, handler, updated=())

    return decorate


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("the client left in the middle of its body")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


def _named(wrapper: App, app: App) -> App:
    """Not its attributes: an application of a framework has many, and none of them is the wrapper's."""
    return update_wrapper(wrapper, app, updated=())
