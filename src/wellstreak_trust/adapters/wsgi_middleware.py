"""The WSGI middleware: preflights, header decoration, refusals. Public as ``wsgi.TrustMiddleware``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from types import TracebackType
from typing import Any, Protocol

from ..core.errors import ConfigurationError, TrustError
from ..core.problem import ProblemResponse
from ..core.sansio import require_blocking
from ..trust import Trust
from .hooks import Answer
from .shared import Edge
from .visit import KEY, Visit

__all__ = ["App", "Environ", "StartResponse", "TrustMiddleware", "answer", "visit_of"]

Environ = dict[str, Any]
Lines = list[tuple[str, str]]
Write = Callable[[bytes], object]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class StartResponse(Protocol):
    """What a server gives an application to begin its answer with (PEP 3333)."""

    def __call__(self, status: str, headers: Lines, exc_info: ExcInfo | None = None, /) -> Write:
        """Begins the answer; returns the old way of writing it."""
        ...


App = Callable[[Environ, StartResponse], Iterable[bytes]]


class TrustMiddleware:
    """Puts the `Trust` into the environment, answers preflights, decorates every response, renders refusals.

    Args:
        trust: the composition; its stores must be blocking, because WSGI applications are.
        scheme_is_trusted: False where TLS ends at a proxy that is not in ``Trust(client_address=...)``.
        forwarded_host: take ``X-Forwarded-Host`` from the proxies that are.

    Raises:
        ConfigurationError: a store suspends.
    """

    def __init__(self, app: App, trust: Trust, *, scheme_is_trusted: bool = True, forwarded_host: bool = False) -> None:
        self.app: App = app
        self.edge: Edge = Edge(trust, scheme_is_trusted=scheme_is_trusted, forwarded_host=forwarded_host)
        require_blocking(self.edge.guard, "WSGI", "this Trust")

    @property
    def trust(self) -> Trust:
        """The composition."""
        return self.edge.trust

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """One request."""
        visit = environ[KEY] = Visit(self.edge, self.edge.facts.wsgi(environ))
        preflight = self.edge.preflight(visit.facts)
        if preflight is not None:
            return answer(start_response, ProblemResponse(204, tuple(preflight), b""))
        response = _Response(visit, start_response)
        try:
            body = self.app(environ, response.start)
        except TrustError as error:
            return response.refused(error)
        return body if isinstance(body, list | tuple) else response.stepwise(body)


class _Response(Iterator[bytes]):
    """An answer, whose place a refusal may take until the first byte of its body is out."""

    def __init__(self, visit: Visit, start_response: StartResponse) -> None:
        self._visit: Visit = visit
        self._start_response: StartResponse = start_response
        self._begun: bool = False
        self._body: Iterable[bytes] = ()
        self._steps: Iterator[bytes] | None = None

    def start(self, status: str, headers: Lines, exc_info: ExcInfo | None = None, /) -> Write:
        """What the application calls; the server refuses a second start that has no error to show for it."""
        lines = self._visit.edge.decorate(self._visit.facts, headers, self._visit.nonce)
        write = self._start_response(status, lines, *(() if exc_info is None else (exc_info,)))
        self._visit.status = int(status[:3])

        def written(data: bytes) -> object:
            self._begun = self._begun or bool(data)
            return write(data)

        return written

    def refused(self, error: TrustError) -> list[bytes]:
        """The refusal instead of the answer.

        Raises:
            TrustError: half an answer is out: the server cuts the connection.
        """
        if self._begun:
            raise error
        return answer(self.start, self._visit.edge.problem(error), sys.exc_info() if self._visit.status else None)

    def stepwise(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """The body, one step for each that the server asks for."""
        self._body = body
        return self

    def __next__(self) -> bytes:
        try:
            if self._steps is None:
                self._steps = iter(self._body)
            piece = next(self._steps)
        except TrustError as error:
            (piece,), self._steps = self.refused(error), iter(())
        self._begun = self._begun or bool(piece)
        return piece

    def close(self) -> None:
        """Closes the application's body, as the server must ask us to."""
        close: Callable[[], object] | None = getattr(self._body, "close", None)
        if close is not None:
            close()


def answer(start: StartResponse, found: Answer, exc_info: ExcInfo | None = None) -> list[bytes]:
    """A whole answer of ours."""
    line = f"{found.status} {HTTPStatus(found.status).phrase}"
    headers = [*found.headers, *([] if found.status == 204 else [("Content-Length", str(len(found.body)))])]
    start(line, headers, *(() if exc_info is None else (exc_info,)))
    return [found.body]


def visit_of(environ: Environ) -> Visit:
    """The visit that the middleware put into the environment.

    Raises:
        ConfigurationError: the middleware is missing.
    """
    found = environ.get(KEY)
    if not isinstance(found, Visit):
        raise ConfigurationError("no Trust in this app", hint="TrustMiddleware(app, trust=trust)", reason="no_trust")
    return found
