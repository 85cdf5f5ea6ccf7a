"""Sinks: at least once and in order, whatever fails, and nobody who emits waits for one."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from wellstreak_trust.audit import (
    AuditForkDetected,
    AuditLog,
    CallableSink,
    FileSink,
    Record,
    Shipped,
    Shipper,
    SyslogSink,
)
from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.errors import ConfigurationError, UsageError
from wellstreak_trust.core.sansio import drive


class Sink:
    """Remembers what it took; `.down` makes it fail, `.after` makes it fail once it has taken a batch."""

    suspends = False

    def __init__(self, name: str = "siem") -> None:
        self.name = name
        self.taken: list[str] = []
        self.down = self.after = False

    async def asend(self, records: Sequence[Record], /) -> None:
        if self.down:
            raise ConnectionError("no collector")
        self.taken += [record.text("id") for record in records]
        if self.after:
            raise ConnectionError("the answer was lost")


def emit(log: AuditLog, make: Any, *numbers: int, tenant: str = "t1") -> None:
    for number in numbers:
        log.emit(make(tenant_id=tenant, id=f"{tenant}-{number}"))


def test_everything_arrives_in_order_and_once(each_log: AuditLog, make: Any) -> None:
    sink = Sink()
    shipper = Shipper(each_log.store, sink, each_log.origin, batch=2)
    emit(each_log, make, *range(5))
    assert shipper.ship("t1") == Shipped(sent=5)
    assert shipper.ship("t1") == Shipped()
    emit(each_log, make, 5)
    assert Shipper(each_log.store, sink, each_log.origin).ship("t1") == Shipped(sent=1)  # another process goes on
    assert sink.taken == [f"t1-{number}" for number in range(6)]


def test_a_sink_that_fails_is_nobodys_error_and_misses_nothing(each_log: AuditLog, make: Any) -> None:
    sink = Sink()
    shipper = Shipper(each_log.store, sink, each_log.origin, batch=2)
    emit(each_log, make, *range(3))
    sink.down = True
    assert shipper.ship("t1") == Shipped(behind=3, fault="ConnectionError")
    emit(each_log, make, 3)  # who emits notices nothing
    sink.down, sink.after = False, True
    assert shipper.ship("t1") == Shipped(behind=4, fault="ConnectionError")
    sink.after = False
    assert shipper.ship("t1") == Shipped(sent=4)
    assert sink.taken == ["t1-0", "t1-1", "t1-0", "t1-1", "t1-2", "t1-3"]  # at least once


def test_each_sink_and_tenant_has_a_cursor(each_log: AuditLog, make: Any) -> None:
    first, second = Sink("a"), Sink("b")
    emit(each_log, make, 0, 1)
    emit(each_log, make, 0, tenant="t2")
    assert Shipper(each_log.store, first, each_log.origin).ship_all() == Shipped(sent=3)
    assert Shipper(each_log.store, second, each_log.origin).ship("t2") == Shipped(sent=1)
    assert second.taken == ["t2-0"]
    second.down = True
    emit(each_log, make, 1, tenant="t2")
    found = Shipper(each_log.store, second, each_log.origin).ship_all()
    assert (found.sent, found.behind, found.fault) == (0, 3, "ConnectionError")


def test_two_shippers_of_one_sink_leave_nothing_out(each_log: AuditLog, make: Any) -> None:
    emit(each_log, make, *range(40))
    sink = Sink()

    def work() -> None:
        Shipper(each_log.store, sink, each_log.origin, batch=3).ship("t1")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(sink.taken) == {f"t1-{number}" for number in range(40)}
    assert drive(each_log.store.cursor("siem", "t1")) == 40  # type: ignore[attr-defined]


def test_what_was_pruned_before_it_was_taken_is_counted(
    each_log: AuditLog, make: Any, tmp_path: Path, clock: FixedClock
) -> None:
    each_log.emit_many([make() for _ in range(300)])
    each_log.prune("t1", before=clock.now() + timedelta(days=1), archive=tmp_path / "a", reason="r", actor={"id": "o"})
    found = Shipper(each_log.store, Sink(), each_log.origin).ship("t1")
    assert (found.sent, found.skipped) == (46, 256)


def test_a_changed_leaf_is_not_shipped(log: AuditLog, make: Any) -> None:
    emit(log, make, 0)
    rows = log.store._trees["t1"].rows  # type: ignore[attr-defined]
    rows[0] = rows[0]._replace(leaf=b"{}")
    with pytest.raises(AuditForkDetected):
        Shipper(log.store, Sink(), log.origin).ship("t1")


def test_what_does_not_fit_is_refused_when_built(log: AuditLog) -> None:
    class Suspending(Sink):
        suspends = True

    with pytest.raises(ConfigurationError):
        Shipper(log.store, Suspending(), "o")
    with pytest.raises(ConfigurationError):
        Shipper(object(), Sink(), "o")  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        Shipper(log.store, Sink("x" * 129), "o")
    with pytest.raises(UsageError):
        Shipper(log.store, Sink(), "o", batch=0)
    with pytest.raises(ConfigurationError):
        context = ssl.create_default_context()
        context.check_hostname = False
        SyslogSink(("h", 1), context=context)


@pytest.mark.parametrize("form", ["jsonl", "csv", "cef"])
def test_a_file_grows_by_whole_lines(log: AuditLog, make: Any, tmp_path: Path, form: str) -> None:
    path = tmp_path / "events"
    sink = FileSink(path, form)
    emit(log, make, 0, 1)
    assert Shipper(log.store, sink, log.origin).ship("t1").sent == 2
    whole = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(whole + b'{"torn by a crash')
    emit(log, make, 2)
    Shipper(log.store, sink, log.origin).ship("t1")
    lines = path.read_bytes().splitlines()
    assert path.read_bytes().startswith(whole)
    assert len(lines) == 3 + (form == "csv")
    path.rename(tmp_path / "rotated")
    emit(log, make, 3)
    Shipper(log.store, sink, log.origin).ship("t1")
    assert len(path.read_bytes().splitlines()) == 1 + (form == "csv")


def test_a_file_that_cannot_be_written_waits(log: AuditLog, make: Any, tmp_path: Path) -> None:
    emit(log, make, 0)
    found = Shipper(log.store, FileSink(tmp_path / "none" / "events"), log.origin).ship("t1")
    assert (found.sent, found.behind, found.fault) == (0, 1, "FileNotFoundError")


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]], list[int]]]:
    """A real HTTP server: its address, what it was sent, and the statuses it answers with."""
    seen: list[tuple[str, bytes]] = []
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append((self.headers["content-type"], body))
            self.send_response(statuses.pop(0) if statuses else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/events", seen, statuses
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_a_collector_over_http(log: AuditLog, make: Any, collector: Any) -> None:
    url, seen, statuses = collector

    def post(body: bytes, media_type: str) -> None:
        httpx.post(url, content=body, headers={"content-type": media_type}).raise_for_status()

    emit(log, make, 0, 1)
    statuses.append(503)
    shipper = Shipper(log.store, CallableSink(post, name="http"), log.origin)
    assert shipper.ship("t1") == Shipped(behind=2, fault="HTTPStatusError")
    assert shipper.ship("t1") == Shipped(sent=2)
    assert len(seen) == 2
    kind, body = seen[-1]
    assert kind == "application/jsonl"
    assert [json.loads(line)["id"] for line in body.splitlines()] == ["t1-0", "t1-1"]


def listener(handle: Callable[[Any], None]) -> socketserver.ThreadingTCPServer:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            handle(self.request)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    server.block_on_close = True
    return server


def test_syslog_over_tcp_counts_octets(log: AuditLog, make: Any) -> None:
    received: list[bytes] = []
    done = threading.Event()

    def handle(connection: socket.socket) -> None:
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
        received.append(b"".join(parts))
        done.set()

    server = listener(handle)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        log.emit(make(reason="Straße\n\N{SNOWMAN}"))
        emit(log, make, 1)
        sink = SyslogSink(("127.0.0.1", server.server_address[1]))
        assert Shipper(log.store, sink, log.origin).ship("t1") == Shipped(sent=2)
        assert done.wait(10)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
    rest, messages = received[0], []
    while rest:  # RFC 6587, 3.4.1
        length, _, rest = rest.partition(b" ")
        messages.append(rest[: int(length)])
        rest = rest[int(length) :]
    assert [message[:6] for message in messages] == [b"<110>1", b"<110>1"]
    assert json.loads(messages[0].partition(b"\xef\xbb\xbf")[2])["reason"] == "Straße\n\N{SNOWMAN}"


def test_a_collector_that_is_away_is_told_as_unavailable(log: AuditLog, make: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    emit(log, make, 0)
    found = Shipper(log.store, SyslogSink(("127.0.0.1", port), timeout=1), log.origin).ship("t1")
    assert (found.behind, found.fault) == (1, "unavailable")
