"""Checkpoints as syslog lines (RFC 5424), to a collector that others run.

One message a note, of facility 13 (log audit) and severity 5 (notice); origin, size, root and the whole note in base64
are structured data, so that a collector can search and an auditor can rebuild the note. Over TCP each message stands
behind its length (RFC 6587, 3.4.1); over UDP and Unix sockets it is one datagram. UDP tells nobody that a line was
lost: for an anchor prefer TCP, TLS or a local daemon that queues.
"""

from __future__ import annotations

import socket
import ssl
from base64 import b64encode
from datetime import timedelta
from typing import Final, Literal

from ...core.clock import Clock, SystemClock, rfc3339
from ...core.errors import UsageError
from ..checkpoint import Checkpoint
from .base import Anchor

__all__ = ["SyslogAnchor"]

_CLOCK: Final = SystemClock()
_PRIORITY: Final = 13 * 8 + 5
_SECONDS: Final = timedelta(seconds=1)
_LINGER: Final = 1.0
_TRANSPORTS: Final = ("udp", "tcp", "unix")


class SyslogAnchor(Anchor):
    """Sends each note as one message on a connection of its own.

    Args:
        address: ``(host, port)``, or the path of a Unix socket such as ``/dev/log``.
        transport: ``udp``, ``tcp`` or ``unix``.
        tls: for TCP (RFC 5425); the certificate is checked against the host's name.
        enterprise: your private enterprise number; 32473 is the one for documentation (RFC 5612).
        hostname: how this machine is called in the line.
        timeout: for connecting and for sending.

    Raises:
        UsageError: an address that does not fit the transport.
    """

    def __init__(
        self,
        address: tuple[str, int] | str,
        *,
        transport: Literal["udp", "tcp", "unix"] = "tcp",
        tls: ssl.SSLContext | None = None,
        enterprise: int = 32473,
        hostname: str = "-",
        timeout: timedelta = timedelta(seconds=5),
        clock: Clock = _CLOCK,
    ) -> None:
        super().__init__()
        if transport not in _TRANSPORTS or isinstance(address, str) != (transport == "unix"):
            raise UsageError("a Unix socket has a path, all else a host and a port")
        if tls is not None and transport != "tcp":
            raise UsageError("TLS needs TCP", hint="transport='tcp'")
        self._address: tuple[str, int] | str = address
        self._transport: str = transport
        self._tls: ssl.SSLContext | None = tls
        self._id: str = f"checkpoint@{enterprise}"
        self._hostname: str = _word(hostname, 255)
        self._timeout: float = timeout / _SECONDS
        self._clock: Clock = clock

    def line(self, found: Checkpoint, note: str) -> bytes:
        """The message, without framing."""
        fields = {
            "origin": found.origin,
            "size": str(found.size),
            "root": b64encode(found.root).decode(),
            "note": b64encode(note.encode()).decode(),
        }
        data = "".join(f' {name}="{_escaped(value)}"' for name, value in fields.items())
        at = rfc3339(self._clock.now())
        return f"<{_PRIORITY}>1 {at} {self._hostname} wellstreak-trust - checkpoint [{self._id}{data}]".encode()

    async def _keep(self, found: Checkpoint, note: str) -> None:
        octets = self.line(found, note)
        with self._connected() as link:
            if self._transport == "tcp":
                link.sendall(b"%d %b" % (len(octets), octets))
                if self._tls is None:
                    _await_end(link)
            else:
                link.sendall(octets)

    def _connected(self) -> socket.socket:
        if isinstance(self._address, str):
            link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            return _open(link, self._address, self._timeout)
        if self._transport == "udp":
            family, kind, protocol, _, target = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
            return _open(socket.socket(family, kind, protocol), target, self._timeout)
        plain = socket.create_connection(self._address, timeout=self._timeout)
        if self._tls is None:
            return plain
        try:
            return self._tls.wrap_socket(plain, server_hostname=self._address[0])
        except BaseException:
            plain.close()
            raise


def _open(link: socket.socket, target: object, timeout: float) -> socket.socket:
    try:
        link.settimeout(timeout)
        link.connect(target)  # type: ignore[arg-type]  # what the address family takes
    except BaseException:
        link.close()
        raise
    return link


def _await_end(link: socket.socket) -> None:
    """A collector that reads closes after us; one that is gone answers with a reset, which is a failure."""
    link.shutdown(socket.SHUT_WR)
    link.settimeout(_LINGER)
    try:
        link.recv(1)
    except TimeoutError:
        return  # it keeps its side open, as some do


def _escaped(value: str) -> str:
    """RFC 5424, 6.3.3: three characters are escaped in a value, and nothing in a value can end it."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _word(text: str, longest: int) -> str:
    if not 0 < len(text) <= longest or not all("!" <= character <= "~" for character in text):
        raise UsageError("a header field of syslog is printable ASCII without spaces")
    return text
