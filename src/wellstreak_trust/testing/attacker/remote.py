"""A running server, spoken to over `http.client`, which sends a target as it is given and a header line twice."""

from __future__ import annotations

import socket
import ssl
from dataclasses import replace
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from ...core.errors import UsageError
from .wire import CRASHED, Answer, Request

__all__ = ["HANDSHAKE", "RemoteWire", "authority_of"]

_BODY_LIMIT: Final = 4 * 1024 * 1024
HANDSHAKE: Final = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),  # RFC 6455, 1.3
)


def authority_of(base: str, *, allow_remote: bool) -> tuple[str, str]:
    """Scheme and authority of a base URL that may be attacked.

    Raises:
        UsageError: no http(s) URL, a path, or a host that is not this machine while `allow_remote` is False.
    """
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.username:
        raise UsageError("not the base URL of a host", hint="such as http://127.0.0.1:8000")
    if not allow_remote and not _loopback(parts.hostname, parts.port or 0):
        raise UsageError(
            f"{parts.hostname} is not this machine",
            hint="attack a copy on 127.0.0.1; allow_remote=True only for a system that you may attack",
        )
    return parts.scheme, parts.netloc


def _loopback(host: str, port: int) -> bool:
    """Whether every address behind a name is this machine's own."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return bool(found) and all(ip_address(str(where[0]).partition("%")[0]).is_loopback for *_, where in found)


class RemoteWire:
    """Sends each request over a connection of its own, so that one cannot spoil the next."""

    def __init__(self, scheme: str, authority: str, patience: float) -> None:
        self._secure: bool = scheme == "https"
        self._authority: str = authority
        self._patience: float = patience

    def open(self) -> None:
        """Connections are opened as they are needed."""

    def close(self) -> None:
        """And closed after each answer."""

    def send(self, request: Request, host: str) -> Answer:
        """The answer to one request; a broken connection or a silence counts as a crash."""
        connection = self._connection()
        try:
            connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in (("Host", host), *request.headers):
                connection.putheader(name, value)
            if request.body or request.method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body or None)
            found = connection.getresponse()
            body = b"" if found.status == 101 else found.read(_BODY_LIMIT)
            return Answer(found.status, tuple(found.getheaders()), body)
        except (OSError, HTTPException) as error:
            return Answer(CRASHED, crashed=type(error).__name__)
        finally:
            connection.close()

    def handshake(self, request: Request, host: str) -> Answer:
        """Opens a websocket and leaves it: status 101 if it was accepted."""
        return self.send(replace(request, method="GET").plus(*HANDSHAKE), host)

    def _connection(self) -> HTTPConnection:
        if not self._secure:
            return HTTPConnection(self._authority, timeout=self._patience)
        context = ssl.create_default_context()
        return HTTPSConnection(self._authority, timeout=self._patience, context=context)
