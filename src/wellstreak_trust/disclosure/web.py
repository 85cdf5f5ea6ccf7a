"""Two routes for any framework: each is a WSGI and an ASGI application in one object, mounted where the host likes.

``/.well-known/security.txt`` answers the file, or 404 once it has expired, so that nobody relies on stale contacts.
The intake takes JSON of at most 256 KiB by POST and says the same to everybody: a ticket, or which fields are wrong.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final

from ..core.errors import InvalidRequest, SecurityTxtExpired, TooLarge, TrustError
from ..core.problem import respond
from .security_txt import SecurityTxt

__all__ = ["ReportRoute", "SecurityTxtRoute"]

_BODY_MOST: Final = 256 * 1024
_DIGITS: Final = 12
_REASONS: Final = {200: "OK", 201: "Created", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
                   413: "Content Too Large", 415: "Unsupported Media Type", 429: "Too Many Requests",
                   500: "Internal Server Error", 503: "Service Unavailable"}  # fmt: skip

_Answer = tuple[int, list[tuple[str, str]], bytes]
_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class _Route(ABC):
    """An application for both worlds: called with two arguments it is WSGI, with three ASGI."""

    def __call__(self, *way: Any) -> Any:
        """``(environ, start_response)`` or ``(scope, receive, send)``."""
        return self._asgi(*way) if len(way) == 3 else self._wsgi(*way)

    def _wsgi(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, headers, body = self.blocking(environ)
        start_response(f"{status} {_REASONS[status]}", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    async def _asgi(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        status, headers, body = await self.awaited(scope, receive)
        lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": lines})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    @abstractmethod
    def blocking(self, environ: Mapping[str, Any]) -> _Answer:
        """The answer under WSGI."""

    @abstractmethod
    async def awaited(self, scope: _Scope, receive: _Receive) -> _Answer:
        """The answer under ASGI."""


class SecurityTxtRoute(_Route):
    """Serves a `SecurityTxt`; mount it at ``/.well-known/security.txt``."""

    def __init__(self, security_txt: SecurityTxt) -> None:
        self._file: SecurityTxt = security_txt

    def blocking(self, environ: Mapping[str, Any]) -> _Answer:
        """The answer under WSGI."""
        return self._answer(environ["REQUEST_METHOD"])

    async def awaited(self, scope: _Scope, receive: _Receive) -> _Answer:
        """The answer under ASGI."""
        return self._answer(scope["method"])

    def _answer(self, method: str) -> _Answer:
        if method not in ("GET", "HEAD"):
            return 405, [("Allow", "GET, HEAD"), ("Content-Length", "0")], b""
        try:
            body = self._file.render().encode()
        except SecurityTxtExpired:
            return 404, [("Content-Length", "0")], b""
        return 200, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))], body


class ReportRoute(_Route):
    """Takes reports for a `DisclosureIntake`.

    Args:
        intake: blocking stores serve WSGI, asynchronous ones ASGI.
        client: names whom the limiter counts, from a WSGI environment or an ASGI scope, such as
            ``lambda request: address.key(reader.asgi(request))``; the peer's address unless given.
    """

    def __init__(self, intake: Any, client: Callable[[Mapping[str, Any]], str] | None = None) -> None:
        self._intake: Any = intake
        self._client: Callable[[Mapping[str, Any]], str] | None = client

    def blocking(self, environ: Mapping[str, Any]) -> _Answer:
        """The answer under WSGI."""
        early = _unfit(environ["REQUEST_METHOD"], environ.get("CONTENT_TYPE", ""))
        if early is not None:
            return early
        # PEP 3333: a server may wait for ever for more than the length that the client declared.
        said = environ.get("CONTENT_LENGTH") or str(_BODY_MOST + 1)
        length = int(said) if said.isascii() and said.isdigit() and len(said) < _DIGITS else _BODY_MOST + 1
        body = environ["wsgi.input"].read(min(length, _BODY_MOST + 1))
        client = self._client(environ) if self._client is not None else environ.get("REMOTE_ADDR")
        try:
            return _created(self._intake.submit(_document(body), client=client or None))
        except TrustError as error:
            return _refused(error)

    async def awaited(self, scope: _Scope, receive: _Receive) -> _Answer:
        """The answer under ASGI."""
        media = b", ".join(value for name, value in scope.get("headers", ()) if name == b"content-type")
        early = _unfit(scope["method"], media.decode("latin-1"))
        if early is not None:
            return early
        peer = scope.get("client")
        client = self._client(scope) if self._client is not None else peer[0] if peer else None
        try:
            document = _document(await _body(receive))
            if self._intake.suspends:
                return _created(await self._intake.asubmit(document, client=client))
            return _created(self._intake.submit(document, client=client))
        except TrustError as error:
            return _refused(error)


def _unfit(method: str, media: str) -> _Answer | None:
    if method != "POST":
        return 405, [("Allow", "POST"), ("Content-Length", "0")], b""
    if media.partition(";")[0].strip().lower() != "application/json":
        return 415, [("Accept", "application/json"), ("Content-Length", "0")], b""
    return None


async def _body(receive: _Receive) -> bytes:
    found = bytearray()
    while len(found) <= _BODY_MOST:
        message = await receive()
        found += message.get("body", b"")
        if not message.get("more_body"):
            break
    return bytes(found)


def _document(body: bytes) -> Any:
    if len(body) > _BODY_MOST:
        raise TooLarge("a report of more than 256 KiB", hint="send attachments when asked for them")
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise InvalidRequest("not JSON", hint="an object in UTF-8") from None


def _created(ticket: Any) -> _Answer:
    owed = ticket.acknowledge_by
    found = {"id": ticket.id, "state": ticket.state, "acknowledge_by": owed.isoformat() if owed is not None else None}
    body = json.dumps(found).encode()
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Content-Length", str(len(body)))]
    return 201, headers, body


def _refused(error: TrustError) -> _Answer:
    problem = respond(error)
    status = problem.status if problem.status in _REASONS else 500
    return status, [*problem.headers, ("Content-Length", str(len(problem.body)))], problem.body
