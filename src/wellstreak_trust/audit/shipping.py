"""Shipping the trail elsewhere, so that what happened here can be seen where this system cannot change it.

::

    store ──leaves from the cursor──►  shipper ──batch──►  sink
      ▲                                   │
      └── cursor moves after the sink has taken the batch ┘

A sink is asked by a shipper that reads what is stored; nobody who emits an event ever waits for one. At least once: a
crash between sink and cursor repeats a batch, and id and leaf hash tell a collector what it has already. In order, one
tenant at a time, and several shippers may run: the one whose cursor was moved by another starts again from there.

A sink that fails is nobody's error: what is stored waits. What was pruned before a sink had taken it is lost to that
sink, and is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import O_APPEND, O_CREAT, O_RDWR, PathLike, fdopen, fsync, open
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from ..core.errors import ConfigurationError, StoreUnavailable, UsageError
from ..core.sansio import suspends, synced
from .checkpoint import tree_origin
from .formats import Format, Record, format_named
from .query.search import parsed
from .store import AuditStore

if TYPE_CHECKING:
    from socket import socket
    from ssl import SSLContext

__all__ = ["AuditSink", "CallableSink", "CursorStore", "FileSink", "Shipped", "Shipper", "SyslogSink"]

_BATCH: Final = 500
_TENANTS: Final = 500


class AuditSink(Protocol):
    """A place that events are shipped to.

    Attributes:
        name: names the cursor, so it must not change; 1 to 128 characters.
    """

    name: str

    @property
    def suspends(self) -> bool:
        """Whether `asend` suspends."""
        ...

    async def asend(self, records: Sequence[Record], /) -> None:
        """Takes a batch, whole and durably, before it returns; the same batch may come again.

        Raises:
            Exception: any; nothing is taken for sent, and the batch comes again.
        """
        ...


@runtime_checkable
class CursorStore(Protocol):
    """How far each sink has come; every `AuditStore` of this package is one."""

    async def cursor(self, sink: str, tenant_id: str) -> int:
        """The next seq for a sink; 0 at the start."""
        ...

    async def move_cursor_if(self, sink: str, tenant_id: str, old: int, new: int) -> bool:
        """Moves it if it still is `old`; tells whether it did."""
        ...


@dataclass(frozen=True, slots=True)
class Shipped:
    """What one run did.

    Args:
        sent: events that the sink has taken.
        behind: events that still wait.
        skipped: events that were pruned before this sink had taken them.
        fault: why it stopped early, a code or the name of an error; empty where it did not.
    """

    sent: int = 0
    behind: int = 0
    skipped: int = 0
    fault: str = ""

    def with_(self, other: Shipped) -> Shipped:
        """Both together."""
        fault = self.fault or other.fault
        return Shipped(self.sent + other.sent, self.behind + other.behind, self.skipped + other.skipped, fault)


class Shipper:
    """Moves one sink forward. Call it from a scheduler, or after what should be seen at once.

    Args:
        store: the audit store; it also keeps the cursors.
        sink: where to.
        origin: the log's own origin (`AuditLog.origin`).
        batch: events handed over at once.

    Raises:
        ConfigurationError: a store that keeps no cursors; a sink that suspends over a store that does not.
    """

    def __init__(self, store: AuditStore, sink: AuditSink, origin: str, *, batch: int = _BATCH) -> None:
        if not hasattr(store, "move_cursor_if"):
            raise ConfigurationError(
                "this audit store keeps no cursors", hint="implement CursorStore next to AuditStore"
            )
        if suspends(sink) and not suspends(store):
            raise ConfigurationError(
                "the sink suspends and the store does not", hint="a blocking sink, or AsyncDatabase"
            )
        if not isinstance(sink.name, str) or not 0 < len(sink.name) <= 128 or batch < 1:
            raise UsageError("a sink has a name of 1 to 128 characters, and a batch an event at least")
        self.suspends: bool = suspends(store)
        self._store: Any = store
        self._sink: AuditSink = sink
        self._origin: str = origin
        self._batch: int = batch

    async def aship(self, tenant_id: str) -> Shipped:
        """Ships all that a tenant's trail has more; never raises for the sink.

        Raises:
            AuditForkDetected: a stored leaf is not what was hashed; it and what is behind it are not shipped.
            StoreUnavailable: the store did not answer.
        """
        done = Shipped()
        while True:
            head = await self._store.head(tenant_id)
            cursor = await self._store.cursor(self._sink.name, tenant_id)
            start = max(cursor, head.first)
            leaves = await self._store.leaves(tenant_id, start, start + self._batch)
            records = [Record(leaf, parsed(leaf), tree_origin(self._origin, tenant_id)) for leaf in leaves]
            if not records:
                return done
            try:
                await self._sink.asend(records)
            except Exception as error:  # whatever a sink throws, what is stored waits
                fault = str(getattr(error, "code", type(error).__name__))
                return done.with_(Shipped(behind=head.size - start, fault=fault))
            after = records[-1].leaf.seq + 1
            if await self._store.move_cursor_if(self._sink.name, tenant_id, cursor, after):
                done = done.with_(Shipped(sent=len(records), skipped=start - cursor))

    ship: Final = synced(aship)

    async def aship_all(self) -> Shipped:
        """Ships every tenant's trail; a sink that fails is left alone for the rest of this run."""
        done, after = Shipped(), ""
        while True:
            page = await self._store.heads(after, _TENANTS)
            for tenant_id, head in page:
                if done.fault:
                    cursor = await self._store.cursor(self._sink.name, tenant_id)
                    done = done.with_(Shipped(behind=max(0, head.size - cursor)))
                else:
                    done = done.with_(await self.aship(tenant_id))
            if len(page) < _TENANTS:
                return done
            after = page[-1][0]

    ship_all: Final = synced(aship_all)


class FileSink:
    """Appends to a file and syncs it before a batch counts as sent; a torn last line of a crash is cut off first.

    Args:
        path: the file; made with mode 0600. Rotate it by renaming: each batch opens it anew.
        form: one of `formats.FORMATS`.
    """

    suspends: bool = False

    def __init__(self, path: str | PathLike[str], form: str = "jsonl", *, name: str | None = None) -> None:
        self.path: Path = Path(path)
        self.name: str = f"file:{self.path.name}" if name is None else name
        self._form: Format = format_named(form)

    async def asend(self, records: Sequence[Record], /) -> None:
        """As `AuditSink.asend`."""
        text = "".join(map(self._form.text, records))
        with fdopen(open(self.path, O_RDWR | O_CREAT | O_APPEND, 0o600), "r+b") as file:
            end = _whole_lines(file)
            file.truncate(end)
            file.seek(end)
            file.write(((self._form.header if end == 0 else "") + text).encode())
            file.flush()
            fsync(file.fileno())


def _whole_lines(file: Any) -> int:
    """Where the last whole line ends."""
    end = file.seek(0, 2)
    while end > 0:
        start = max(0, end - 65_536)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return int(start + at + 1)
        end = start
    return 0


class CallableSink:
    """Hands a batch to a function of the host, such as one that posts it and raises unless the answer is 2xx.

    Args:
        send: takes the body and its media type.
        form: one of `formats.FORMATS`.
    """

    suspends: bool = False

    def __init__(self, send: Callable[[bytes, str], object], form: str = "cloudevents", *, name: str) -> None:
        self.name: str = name
        self._send: Callable[[bytes, str], object] = send
        self._form: Format = format_named(form)

    async def asend(self, records: Sequence[Record], /) -> None:
        """As `AuditSink.asend`."""
        self._send((self._form.header + "".join(map(self._form.text, records))).encode(), self._form.media_type)


class SyslogSink:
    """Syslog over TCP with octet counting (RFC 6587, 3.4.1), or over TLS (RFC 5425) with a context.

    The protocol knows no answer: what the other side had not read when a connection broke is lost to it, though not to
    the trail. There is no UDP: it would call sent what was never received.

    Args:
        address: host and port.
        form: ``syslog`` or ``cef``.
        context: for TLS; it must verify the server's name.
        timeout: seconds for the connection and each write.
    """

    suspends: bool = False

    def __init__(
        self,
        address: tuple[str, int],
        form: str = "syslog",
        *,
        context: SSLContext | None = None,
        timeout: float = 5.0,
        name: str | None = None,
    ) -> None:
        if context is not None and not context.check_hostname:
            raise ConfigurationError("a TLS context that verifies nobody", hint="ssl.create_default_context()")
        self.name: str = f"syslog:{address[0]}:{address[1]}" if name is None else name
        self._address: tuple[str, int] = address
        self._form: Format = format_named(form)
        self._context: SSLContext | None = context
        self._timeout: float = timeout

    async def asend(self, records: Sequence[Record], /) -> None:
        """As `AuditSink.asend`."""
        from socket import create_connection  # here, because few processes ship

        frames = [line.encode() for line in map(self._form.line, records)]
        try:
            with create_connection(self._address, self._timeout) as plain:
                if self._context is None:
                    self._write(plain, frames)
                else:
                    with self._context.wrap_socket(plain, server_hostname=self._address[0]) as sealed:
                        self._write(sealed, frames)
        except OSError as error:
            raise StoreUnavailable(f"the collector did not take the batch ({type(error).__name__})") from None

    @staticmethod
    def _write(connection: socket, frames: Sequence[bytes]) -> None:
        from socket import SHUT_WR

        connection.sendall(b"".join(b"%d %b" % (len(frame), frame) for frame in frames))
        connection.shutdown(SHUT_WR)
