"""Real servers on free loopback ports, each in a thread of this process: the host, and the provider it uses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .host import Host, Outside, Paths

FRAMEWORKS = ("fastapi", "flask", "django")
GOOD_TOKEN = "msgr-genuine-token"


class _Provider(BaseHTTPRequestHandler):
    """The messaging provider: 200 to one token and 401 to every other, unless ``POST /fault/503`` broke it."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == f"Bearer {GOOD_TOKEN}"
        fault: int = getattr(self.server, "fault", 200)
        self._answer(fault if fault != 200 else 200 if known else 401)

    def do_POST(self) -> None:
        self.server.fault = int(self.path.rpartition("/")[2])  # type: ignore[attr-defined]  # one provider, one fault
        self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: Any) -> None:
        return None


@contextlib.contextmanager
def provider() -> Iterator[str]:
    """The provider's base URL."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}"
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


@contextlib.contextmanager
def serving(framework: str, paths: Paths, outside: Outside) -> Iterator[tuple[str, Host]]:
    """The running host: its base URL, and the host itself for the operator's side of the story."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    run = _asgi if framework == "fastapi" else _wsgi
    with run(framework, paths, replace(outside, url=url), listening) as host:
        yield url, host
    listening.close()


@contextlib.contextmanager
def _wsgi(framework: str, paths: Paths, outside: Outside, listening: socket.socket) -> Iterator[Host]:
    from sqlalchemy import create_engine
    from waitress.server import create_server

    from wellstreak_trust.storage.sql import Database

    engine = create_engine(f"sqlite:///{paths.database}")
    host = Host(paths, Database(engine), outside)
    if framework == "flask":
        from . import flask_app as app_module
    else:
        from . import django_app as app_module  # type: ignore[no-redef]  # one of two modules with one function
    server = create_server(
        app_module.make_app(host), sockets=[listening], threads=8, clear_untrusted_proxy_headers=True
    )
    thread = threading.Thread(target=_until_closed, args=(server,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.close()
        thread.join(5)
        engine.dispose()


def _until_closed(server: Any) -> None:
    with contextlib.suppress(OSError):  # closing the trigger wakes the loop with a bad descriptor
        server.run()


@contextlib.contextmanager
def _asgi(framework: str, paths: Paths, outside: Outside, listening: socket.socket) -> Iterator[Host]:
    import uvicorn
    from sqlalchemy.ext.asyncio import create_async_engine

    from wellstreak_trust.storage.sql import AsyncDatabase

    from .fastapi_app import make_app

    engine = create_async_engine(f"sqlite+aiosqlite:///{paths.database}")
    host = Host(paths, AsyncDatabase(engine), outside)
    server = uvicorn.Server(uvicorn.Config(make_app(host), log_level="warning", lifespan="off", access_log=False))

    async def main() -> None:
        await server.serve(sockets=[listening])
        await engine.dispose()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    ends = time.monotonic() + 10
    while not server.started and time.monotonic() < ends:
        time.sleep(0.01)
    try:
        yield host
    finally:
        server.should_exit = True
        thread.join(10)
