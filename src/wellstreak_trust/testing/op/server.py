"""HTTP for the provider: sound answers, and answers that are sent in a way that wears a client out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .provider import Reply

__all__ = ["Server"]

Answer = Callable[[str, str, Mapping[str, str], bytes], "Reply"]
_BEAT: Final = 0.05
_HUGE: Final = 300 * 1024


class Server:
    """Threads on a free port of 127.0.0.1.

    Args:
        answer: makes the reply to a request.
        how: says how documents at a path are sent: empty, or ``status_500``, ``status_401``, ``redirect``, ``huge``,
            ``deep``, ``text``, ``drip``, ``drip_header``, ``slow``.
    """

    def __init__(self, answer: Answer, how: Callable[[str], str]) -> None:
        self.answer: Answer = answer
        self.how: Callable[[str], str] = how
        self.stopping: Event = Event()
        self._httpd: ThreadingHTTPServer | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        """The address, once it is started."""
        return f"http://127.0.0.1:{self._httpd.server_port if self._httpd is not None else 0}"

    def start(self) -> None:
        """Listens."""
        httpd = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        httpd.daemon_threads = True
        self._httpd, self._thread = httpd, Thread(target=lambda: httpd.serve_forever(0.02), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Closes the port; answers that drip end."""
        self.stopping.set()
        if self._httpd is not None and self._thread is not None:
            self._httpd.shutdown()
            self._httpd.server_close()
            self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    owner: Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *args: Any) -> None:
        return None

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.owner.answer(self.command, self.path, headers, self.rfile.read(length))
        how = self.owner.how(self.path)
        try:
            self._send(reply, how)
        except OSError:
            self.close_connection = True  # the client had enough

    def _send(self, reply: Reply, how: str) -> None:
        if how.startswith("status_"):
            return self._whole(int(how[7:]), b"{}")
        if how == "redirect":
            self.send_response(302)
            self.send_header("Location", self.path + "?again")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if how.startswith("drip"):
            return self._drip(reply.body, header=how == "drip_header")
        if how == "huge":
            return self._whole(200, reply.body[:-1] + b" " * _HUGE + b"}")
        if how == "deep":
            return self._whole(200, b'{"keys":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
        if how == "text":
            return self._whole(200, b"<html>hello</html>")
        return self._whole(reply.status, reply.body, reply.headers)

    def _whole(self, status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.send_response(status)
        for name, value in headers or (("Content-Type", "application/json"),):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self, body: bytes, *, header: bool) -> None:
        """One octet at a time: each resets a client's timeout of single reads."""
        head = (
            b"HTTP/1.1 200 OK\r\nX-Long: " if header else b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        self.wfile.write(head)
        for octet in b"a" * 10_000 if header else body:
            if self.owner.stopping.is_set():
                return
            self.wfile.write(bytes((octet,)))
            self.wfile.flush()
            time.sleep(_BEAT)
