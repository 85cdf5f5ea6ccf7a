"""A WSGI application, called as a server would call it (PEP 3333)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from ...core.errors import UsageError
from .wire import CRASHED, Answer, Request

__all__ = ["WsgiWire"]

_PEER: Final = "203.0.113.9"  # RFC 5737: an address that nobody has
_PLAIN: Final = ("CONTENT_TYPE", "CONTENT_LENGTH")


class WsgiWire:
    """Sends requests to an application in this process."""

    def __init__(self, app: Callable[..., Iterable[bytes]], scheme: str) -> None:
        self._app: Callable[..., Iterable[bytes]] = app
        self._scheme: str = scheme

    def open(self) -> None:
        """Nothing has to start."""

    def close(self) -> None:
        """Nothing has to stop."""

    def send(self, request: Request, host: str) -> Answer:
        """The answer to one request; never raises for what the application does."""
        seen: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], None]:
            written = bytearray()
            seen[:] = [int(status.split()[0]), tuple(headers), written]
            return written.extend

        crashed, body = "", b""
        try:
            chunks = self._app(self._environ(request, host), start_response)
            try:
                body = b"".join(chunks)
            finally:
                getattr(chunks, "close", lambda: None)()
        except Exception as error:  # whatever a host lets out is an answer here
            crashed = type(error).__name__
        if not seen or crashed:
            return Answer(CRASHED, crashed=crashed or "no answer")
        return Answer(seen[0], seen[1], bytes(seen[2]) + body)

    def handshake(self, request: Request, host: str) -> Answer:
        """WSGI has no websockets.

        Raises:
            UsageError: always.
        """
        raise UsageError("WSGI serves no websocket", hint="give that route to Target.asgi or Target.url")

    def _environ(self, request: Request, host: str) -> dict[str, Any]:
        path, _, query = request.target.partition("?")
        name, _, port = host.partition(":")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method, "SCRIPT_NAME": "", "QUERY_STRING": query,
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"), "SERVER_NAME": name,
            "SERVER_PORT": port or "443", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": _PEER,
            "wsgi.version": (1, 0), "wsgi.url_scheme": self._scheme, "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": io.StringIO(), "wsgi.multithread": False, "wsgi.multiprocess": False,
            "wsgi.run_once": False, "CONTENT_LENGTH": str(len(request.body)),
        }  # fmt: skip
        for header, raw in (("Host", host), *request.headers):
            value = raw.decode("latin-1") if isinstance(raw, bytes) else raw
            upper = header.upper().replace("-", "_")
            if upper in _PLAIN:
                environ[upper] = value
                continue
            # Servers join what came twice: cookies by a semicolon, all else by a comma.
            key, glue = f"HTTP_{upper}", "; " if upper == "COOKIE" else ","
            environ[key] = f"{environ[key]}{glue}{value}" if key in environ else value
        return environ
