"""Any WSGI application: ``TrustMiddleware(app, trust=trust)`` around it, ``guarded(operation)`` around each of its
parts.

A part is an application itself, ``app(environ, start_response)`` (PEP 3333): one's own, or a framework's that is
mounted. A body that is a generator is asked for step by step, in the tenant's scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import update_wrapper
from typing import Any

from ..core.http import RequestFacts
from ..core.sansio import require_blocking
from ..guard import Grant, Operation
from ..webhooks import Delivery, Incoming, Receiver, read_body
from .facts import lines_of
from .hooks import received
from .shared import Declaration, asked_of, assert_all_routes_declared, declare
from .streams import Scoped, inside
from .wsgi_middleware import App, Environ, StartResponse, TrustMiddleware, answer, visit_of

__all__ = [
    "App",
    "Body",
    "Environ",
    "StartResponse",
    "TrustMiddleware",
    "assert_all_routes_declared",
    "csp_nonce",
    "current_grant",
    "facts_of",
    "guarded",
    "public",
    "webhook",
]


class Body:
    """The body of a request, which ends where the request does: servers need not stop a reader there (PEP 3333).

    `webhooks.read_body(Body(environ), limit=...)` takes it whole, and answers 413 beyond the limit.
    """

    def __init__(self, environ: Environ) -> None:
        self._input: Any = environ["wsgi.input"]
        declared = environ.get("CONTENT_LENGTH") or "0"
        self._left: int = int(declared) if declared.isascii() and declared.isdigit() else 0
        self._ends: bool = bool(environ.get("wsgi.input_terminated"))  # the server stops us, as with chunks it must

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        if self._ends:
            return bytes(self._input.read(size))
        piece = bytes(self._input.read(min(size, self._left)))
        self._left -= len(piece)
        return piece


def facts_of(environ: Environ) -> RequestFacts:
    """The facts of a request."""
    return visit_of(environ).facts


def csp_nonce(environ: Environ) -> str:
    """The nonce of this response's content security policy; the same at every call of one request."""
    return visit_of(environ).csp_nonce()


def current_grant(environ: Environ) -> Grant:
    """The grant of a request.

    Raises:
        ConfigurationError: outside a guarded part.
    """
    return visit_of(environ).granted()


def guarded(operation: Operation, *, resource: Any = None, arguments: Any = None) -> Callable[[App], App]:
    """Guards an application, a generator function too; `current_grant(environ)` is its grant.

    Args:
        resource: what is acted upon, or a callable of the environment, run once the tenant is known.
        arguments: what an approval binds besides the resource: a mapping, or such a callable.
    """

    def decorate(app: App) -> App:
        def guarded_app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            visit = visit_of(environ)
            grant = visit.edge.guard.enter(visit.facts, operation, *asked_of(environ, resource, arguments))
            visit.grant = grant

            def done(error: BaseException | None) -> None:
                grant.finish(visit.outcome(error))

            body = inside(grant, lambda: app(environ, start_response), done)
            if isinstance(body, list | tuple):
                done(None)
                return body
            return Scoped(grant.tenant, body, done)

        return declare(update_wrapper(guarded_app, app, updated=()), Declaration(operation=operation), of=app)

    return decorate


def public(reason: str) -> Callable[[App], App]:
    """Declares an application open, with the reason; origin and the limits per client still apply."""

    def decorate(app: App) -> App:
        def open_app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            visit = visit_of(environ)
            visit.edge.guard.admit(visit.facts)
            return app(environ, start_response)

        return declare(update_wrapper(open_app, app, updated=()), Declaration(reason=reason), of=app)

    return decorate


def webhook(
    receiver: Receiver, *, token: Callable[[Environ], str] | None = None
) -> Callable[[Callable[[Delivery], App | None]], App]:
    """Makes an application of a handler ``handler(delivery)``: the raw body is read once, verified, and processed once.

    What the handler returns answers, an application itself (such as a response of Werkzeug's); without one, it is what
    the provider wants to read.

    Args:
        token: the endpoint's, out of the environment, for receivers with a registry.
    """
    require_blocking(receiver, "WSGI", "this receiver")

    def decorate(handler: Callable[[Delivery], App | None]) -> App:
        async def handle(delivery: Delivery) -> App | None:
            return handler(delivery)

        def hook(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            async def read(limit: int) -> bytes:
                return read_body(Body(environ), environ.get("CONTENT_LENGTH"), limit=limit)

            incoming = Incoming(
                environ["REQUEST_METHOD"],
                environ.get("QUERY_STRING", ""),
                lines_of(environ),
                read,
                token(environ) if token is not None else "",
            )
            found = received(receiver, incoming, handle)
            return found(environ, start_response) if callable(found) else answer(start_response, found)

        return update_wrapper(hook, handler, updated=())

    return decorate
