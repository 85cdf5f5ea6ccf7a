"""A real HTTP server on loopback for the length of a test module."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server


class Quiet(BaseHTTPRequestHandler):
    """A handler that writes nothing to the terminal."""

    def log_message(self, *args: Any) -> None:
        return None


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serves in a thread; yields the port."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls is not None:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield httpd.server_port
    httpd.shutdown()
    httpd.server_close()
    thread.join()


class _QuietWsgi(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        return None


@contextmanager
def serving_wsgi(app: Any) -> Iterator[str]:
    """Serves a WSGI application in a thread; yields its base URL."""
    with make_server("127.0.0.1", 0, app, handler_class=_QuietWsgi) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
