"""`HttpProbe`: one authenticated request to a provider, that cannot be turned against the host.

The name is resolved once and every address checked before a connection is made to exactly that address, so that a
name which changes its mind (DNS rebinding) gains nothing. Redirects are never followed: the credential would travel
along. One deadline bounds the whole exchange, because a server that drips a byte a second resets per-read timeouts.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from ..core.clock import Clock
from ..core.errors import ConfigurationError
from .probe import Kind, ProbeContext, ProbeResult

__all__ = ["HttpProbe"]

_MAX_BODY: Final = 64 * 1024
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_BY_STATUS: Final = {401: "unauthorized", 403: "forbidden", 429: "rate_limited"}


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Asks a URL with the connection's secret.

    Args:
        name: unique within the provider.
        url: https (or http where `allow_private`).
        kind: ``"auth"`` counts as proof; choose an endpoint that answers 401 without a good credential.
        timeout: deadline around resolving, connecting and reading.
        header, prefix: where the secret goes; an empty header sends none.
        ok: accepted status codes.
        allow_private: permit loopback and private addresses, for self-hosted providers and tests.
    """

    name: str
    url: str
    kind: Kind = "auth"
    timeout: timedelta = timedelta(seconds=5)
    method: str = "GET"
    header: str = "Authorization"
    prefix: str = "Bearer "
    ok: range = range(200, 300)
    allow_private: bool = False
    required: bool = True
    blocking: bool = True

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
            raise ConfigurationError("the probe's url is not https://host/...", reason="probe_url")
        if parts.scheme == "http" and not self.allow_private:
            raise ConfigurationError(
                "a probe over plain http would send the credential in clear", hint="use https", reason="probe_url"
            )

    async def run(self, context: ProbeContext) -> ProbeResult:
        """One request; blocks, so the async face runs it in a worker thread."""
        begun = context.clock.monotonic_ns()
        result = self._ask(context)
        return ProbeResult(
            result.outcome,
            result.code,
            result.detail,
            timedelta(microseconds=(context.clock.monotonic_ns() - begun) // 1000),
            context.clock.now(),
            result.retry_after,
        )

    def _ask(self, context: ProbeContext) -> ProbeResult:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        deadline = _Deadline(context.clock, self.timeout)
        try:
            address = _checked_address(host, port, allow_private=self.allow_private)
        except OSError:
            return ProbeResult("fail", "unreachable")
        if address is None:
            return ProbeResult("fail", "blocked_address")
        connection = _Pinned(host, port, address, deadline, secure=parts.scheme == "https")
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(self.method, path, headers=self._headers(context))
            response = connection.getresponse()
            _drain(response, connection, deadline)
            return self._meaning(response)
        except ssl.SSLError:
            return ProbeResult("fail", "tls")
        except TimeoutError:
            return ProbeResult("fail", "timeout")
        except OSError:
            return ProbeResult("fail", "unreachable")
        except (http.client.HTTPException, ValueError):
            return ProbeResult("fail", "bad_response")
        finally:
            connection.close()

    def _headers(self, context: ProbeContext) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "wellstreak-trust-probe"}
        if context.secret is not None and self.header:
            value = context.secret.reveal()
            headers[self.header] = self.prefix + (value if isinstance(value, str) else value.decode("latin-1"))
        return headers

    def _meaning(self, response: http.client.HTTPResponse) -> ProbeResult:
        status = response.status
        if status in self.ok:
            return ProbeResult("ok")
        wait = response.headers.get("Retry-After", "")
        seconds = int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 6 else None
        retry = timedelta(seconds=min(seconds, 86_400)) if seconds is not None else None
        if status in _BY_STATUS:
            return ProbeResult("fail", _BY_STATUS[status], f"status {status}", retry_after=retry)
        if 300 <= status < 400:
            return ProbeResult("fail", "redirected", f"status {status}")
        return ProbeResult(
            "fail", "server_error" if status >= 500 else "bad_response", f"status {status}", retry_after=retry
        )


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


class _Pinned(http.client.HTTPConnection):
    """A connection to one checked address, with the name kept for Host and SNI."""

    def __init__(self, host: str, port: int, address: str, deadline: _Deadline, *, secure: bool) -> None:
        super().__init__(host, port)
        self._address: str = address
        self._deadline: _Deadline = deadline
        self._secure: bool = secure

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), timeout=self._deadline.left())
        self.sock = plain
        if self._secure:
            plain.settimeout(self._deadline.left())
            self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)


def _drain(response: http.client.HTTPResponse, connection: http.client.HTTPConnection, deadline: _Deadline) -> None:
    """Reads at most 64 KiB, so that a slow or endless body is a timeout and not a success."""
    read = 0
    while read < _MAX_BODY:
        if connection.sock is not None:
            connection.sock.settimeout(deadline.left())
        deadline.left()
        piece = response.read1(8192)
        if not piece:
            return
        read += len(piece)


def _checked_address(host: str, port: int, *, allow_private: bool) -> str | None:
    """The first address of the name, or None if any of its addresses is not global."""
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not found:
        raise OSError("no address")
    if not allow_private and not all(_is_global(text) for text in found):
        return None
    return found[0]


def _is_global(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = (
            address.ipv4_mapped
            or address.sixtofour
            or (ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None)
        )
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return address.is_global and not address.is_multicast
