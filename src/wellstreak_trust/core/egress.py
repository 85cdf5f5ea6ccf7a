"""One HTTP request to an address that somebody else chose, which cannot be turned against the host.

::

    name ─► resolve once ─► every address global? ─► connect to that very address (name kept for Host and TLS) ─► answer

A name that changes its mind between check and connection (DNS rebinding) gains nothing. Redirects are never followed:
what was sent would travel along. One deadline bounds the whole exchange, name server and header lines included, because
a server that drips a byte a second resets per-read timeouts. It blocks; asynchronous callers run it in a worker thread.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from .clock import Clock
from .http import Headers

__all__ = ["Egress", "EgressFailed", "EgressResponse", "is_global"]

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: stands for an IPv4 address
_UNICAST: Final = ipaddress.ip_network("2000::/3")  # RFC 4291, 2.4: all that IANA has given out to be global
# What the standard library of some versions calls global: protocol assignments, the retired 6to4 relay (RFC 7526),
# documentation (RFC 9637).
_NOT_GLOBAL: Final = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))


class EgressFailed(Exception):
    """No answer.

    `code` is ``bad_url``, ``blocked_address``, ``unreachable``, ``tls``, ``timeout`` or ``bad_response``.
    """

    code: str

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class EgressResponse:
    """What came back. `complete` is False where the body went on after `Egress.max_body`."""

    status: int
    headers: Headers
    body: bytes
    complete: bool


@dataclass(frozen=True, slots=True)
class Egress:
    """How requests leave.

    Args:
        timeout: deadline around resolving, connecting, sending and reading.
        max_body: bytes of the answer that are read.
        allow_private: permit plain http and addresses that are not global: self-hosted peers and tests.
        tls: the context; None for the system's authorities.
    """

    clock: Clock
    timeout: timedelta = timedelta(seconds=5)
    max_body: int = 64 * 1024
    allow_private: bool = False
    tls: ssl.SSLContext | None = None

    def send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> EgressResponse:
        """One exchange; raises `EgressFailed` and nothing else."""
        deadline = _Deadline(self.clock, self.timeout)
        try:
            return self._send(deadline, method, url, dict(headers or {}), body)
        except ssl.SSLError:
            raise EgressFailed("tls") from None
        except TimeoutError:
            raise EgressFailed("timeout") from None
        except OSError:
            raise EgressFailed("unreachable") from None
        except (http.client.HTTPException, ValueError):
            raise EgressFailed("bad_response") from None

    def _send(
        self, deadline: _Deadline, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> EgressResponse:
        parts = self._parsed(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        address = self._checked(host, port, deadline)
        secure = (self.tls or ssl.create_default_context()) if parts.scheme == "https" else None
        connection = _Pinned(host, port, address, deadline, secure)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            octets = _read(response, self.max_body + 1)
            lines = Headers(response.getheaders())
            return EgressResponse(response.status, lines, octets[: self.max_body], len(octets) <= self.max_body)
        finally:
            connection.end()

    def _parsed(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            fits = parts.scheme == "https" or (parts.scheme == "http" and self.allow_private)
            written = url.isascii() and url.isprintable() and " " not in url
            if not fits or not written or not parts.hostname or parts.username is not None or parts.port == 0:
                raise EgressFailed("bad_url")
        except ValueError:
            raise EgressFailed("bad_url") from None
        return parts

    def _checked(self, host: str, port: int, deadline: _Deadline) -> str:
        """The first address of the name, if all of its addresses are global: one of them may be chosen by anybody."""
        found = _addresses(host, port, deadline)
        if not found:
            raise EgressFailed("unreachable")
        if not self.allow_private and not all(map(is_global, found)):
            raise EgressFailed("blocked_address")
        return found[0]


class _Deadline:
    """What is left of one timeout, whatever it is spent on."""

    def __init__(self, clock: Clock, timeout: timedelta) -> None:
        self._clock: Clock = clock
        self._ends: int = clock.monotonic_ns() + int(timeout.total_seconds() * 1e9)

    def left(self) -> float:
        """Seconds; raises `TimeoutError` when none are left."""
        left = (self._ends - self._clock.monotonic_ns()) / 1e9
        if left <= 0:
            raise TimeoutError
        return left


def _addresses(host: str, port: int, deadline: _Deadline) -> list[str]:
    """What the name resolves to. Resolvers know no deadline, and whoever owns the name may own the server they ask."""
    answer: list[Any] = []

    def resolve() -> None:
        try:
            answer.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.append(error)

    asking = Thread(target=resolve, name="wellstreak_trust-resolver", daemon=True)
    asking.start()
    asking.join(deadline.left())
    if not answer:
        raise TimeoutError
    if isinstance(answer[0], UnicodeError):  # a label over 63 characters
        raise EgressFailed("bad_url")
    if isinstance(answer[0], OSError):
        raise answer[0]
    return [str(entry[4][0]) for entry in answer[0]]


class _Pinned(http.client.HTTPConnection):
    """A connection to one checked address, with the name kept for Host and SNI."""

    def __init__(self, host: str, port: int, address: str, deadline: _Deadline, secure: ssl.SSLContext | None) -> None:
        super().__init__(host, port)
        if secure is not None:
            self.default_port = 443  # so that Host carries no port where the URL carries none
        self._address: str = address
        self._deadline: _Deadline = deadline
        self._secure: ssl.SSLContext | None = secure
        self._open: socket.socket | None = None

    def connect(self) -> None:
        self._open = socket.create_connection((self._address, self.port), timeout=self._deadline.left())
        if self._secure is not None:
            self._open.settimeout(self._deadline.left())
            self._open = self._secure.wrap_socket(self._open, server_hostname=self.host)
        self.sock: Any = _Timed(self._open, self._deadline)

    def end(self) -> None:
        """Closes the socket; `close` is called by the library while the answer is still being read."""
        self.close()
        if self._open is not None:
            self._open.close()


class _Timed(io.RawIOBase):
    """A socket, as far as `http.client` uses one, each of whose steps gets what is left of the deadline."""

    def __init__(self, plain: socket.socket, deadline: _Deadline) -> None:
        super().__init__()
        self._plain: socket.socket = plain
        self._deadline: _Deadline = deadline

    def sendall(self, octets: bytes) -> None:
        """All of them."""
        rest = memoryview(octets)
        while rest:
            self._plain.settimeout(self._deadline.left())
            rest = rest[self._plain.send(rest) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        """The reading side."""
        del mode  # always "rb"
        return io.BufferedReader(_Timed(self._plain, self._deadline))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        self._plain.settimeout(self._deadline.left())
        return self._plain.recv_into(buffer)


def _read(response: http.client.HTTPResponse, most: int) -> bytes:
    """At most so many bytes."""
    found = bytearray()
    while len(found) < most and (piece := response.read1(min(8192, most - len(found)))):
        found += piece
    return bytes(found)


def is_global(text: str) -> bool:
    """Whether an address is one of the public internet, whatever it is wrapped in (mapped, 6to4, Teredo, NAT64)."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        teredo = address.teredo[1] if address.teredo else None
        nat64 = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None
        inner = address.ipv4_mapped or address.sixtofour or teredo or nat64
        if inner is None and address not in _UNICAST:
            return False
        address = inner or address
    return address.is_global and not address.is_multicast and not any(address in network for network in _NOT_GLOBAL)
