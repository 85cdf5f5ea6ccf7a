"""A witness as a web application without a framework: one path, one method, over WSGI and over ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Final

from ..core.errors import ConfigurationError, Unavailable
from .witness import MAX_BODY, Witness, WitnessAnswer

__all__ = ["WitnessApp"]

_Message = MutableMapping[str, Any]
_SUSPENDS: Final = "store_suspends"
_PATH: Final = "/add-checkpoint"


class WitnessApp:
    """Serves a `Witness`: itself an ASGI application, and a WSGI application as `wsgi`.

    The body is read up to `MAX_BODY` and no further. There is nothing to log in to: the signature of the log is what
    a request is judged by.

    Args:
        prefix: the path that ``/add-checkpoint`` stands below; empty or starting with a slash.
    """

    def __init__(self, witness: Witness, *, prefix: str = "") -> None:
        self.witness: Witness = witness
        self._path: str = prefix.rstrip("/") + _PATH

    def wsgi(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI callable (PEP 3333)."""
        if self.witness.suspends:
            raise ConfigurationError("WSGI over a store that suspends", hint="serve it over ASGI", reason=_SUSPENDS)
        answer = self._refusal(environ.get("REQUEST_METHOD", ""), environ.get("PATH_INFO", ""))
        if answer is None:
            body = environ["wsgi.input"].read(min(_length(environ.get("CONTENT_LENGTH")), MAX_BODY + 1))
            answer = _too_long() if len(body) > MAX_BODY else self._asked(body)
        headers = [(name.title(), value) for name, value in _headers(answer)]
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [answer.body.encode()]

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """The ASGI callable; a blocking store is asked in a worker thread."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        answer = self._refusal(scope["method"], scope["path"])
        if answer is None:
            body = await _body(receive)
            answer = _too_long() if body is None else await self._aasked(body)
        headers = [(name.encode(), value.encode()) for name, value in _headers(answer)]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body.encode()})

    def _refusal(self, method: str, path: str) -> WitnessAnswer | None:
        if path != self._path:
            return WitnessAnswer(404, "no such path\n")
        return None if method == "POST" else WitnessAnswer(405, "POST\n")

    def _asked(self, body: bytes) -> WitnessAnswer:
        try:
            return self.witness.add_checkpoint(body)
        except Unavailable:
            return _down()

    async def _aasked(self, body: bytes) -> WitnessAnswer:
        if not self.witness.suspends:
            from asyncio import to_thread

            return await to_thread(self._asked, body)
        try:
            return await self.witness.aadd_checkpoint(body)
        except Unavailable:
            return _down()


def _headers(answer: WitnessAnswer) -> list[tuple[str, str]]:
    told = [
        ("content-type", answer.content_type),
        ("content-length", str(len(answer.body.encode()))),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ]
    return [*told, ("allow", "POST")] if answer.status == 405 else told


def _too_long() -> WitnessAnswer:
    return WitnessAnswer(413, "too long\n")


def _down() -> WitnessAnswer:
    return WitnessAnswer(503, "try again\n")


def _length(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 12 else 0


async def _body(receive: Callable[[], Awaitable[_Message]]) -> bytes | None:
    """The whole body; None where it is too long. A client that leaves has sent what it has sent."""
    found = bytearray()
    while len(found) <= MAX_BODY:
        message = await receive()
        found += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    return bytes(found) if len(found) <= MAX_BODY else None


async def _lifespan(receive: Callable[[], Awaitable[_Message]], send: Callable[[_Message], Awaitable[None]]) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
