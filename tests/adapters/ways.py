"""Many ways to one host: each framework, under WSGI or ASGI, and neither of them, driven by raw requests.

No test client stands between: header lines are sent apart or joined exactly as real servers do, raw bytes included.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from wellstreak_trust.demo.host import PASSWORD, Host, Outside, Paths, prepare
from wellstreak_trust.storage.sql import AsyncDatabase, Database

HOST = "testserver.example"
NOWHERE = "http://127.0.0.1:9"  # nobody is there
OUTSIDE = Outside(NOWHERE, NOWHERE, "a secret of the provider", f"https://{HOST}")
Lines = Iterable[tuple[str, str | bytes]]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None


def call_wsgi(app: Any, method: str, target: str, lines: Lines, body: bytes, **given: Any) -> Answer:
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query, "SERVER_NAME": HOST, "SERVER_PORT": "443", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "203.0.113.9", "wsgi.version": (1, 0), "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(), "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(body)), **given,
    }  # fmt: skip
    for name, raw in lines:
        value = raw.decode("latin-1") if isinstance(raw, bytes) else raw
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        # PEP 3333 servers fold repeated lines; cookies by semicolon, all else by comma.
        join = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{join}{value}" if key in environ and key.startswith("HTTP_") else value
    seen: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], None]:
        seen[:] = [int(status.split()[0]), tuple(headers)]
        return lambda data: None

    chunks = app(environ, start_response)
    try:
        content = b"".join(chunks)
    finally:
        getattr(chunks, "close", lambda: None)()
    return Answer(seen[0], seen[1], content)


async def call_asgi(app: Any, method: str, target: str, lines: Lines, body: bytes, **given: Any) -> Answer:
    path, _, query = target.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
        "path": unquote_to_bytes(path).decode("utf-8", "replace"), "raw_path": path.encode(), "root_path": "",
        "query_string": query.encode(), "client": ("203.0.113.9", 5000), "server": (HOST, 443),
        "headers": [(n.lower().encode(), v if isinstance(v, bytes) else v.encode("latin-1")) for n, v in lines],
        **given,
    }  # fmt: skip
    sent: list[Any] = []
    inbox = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if inbox:
            return inbox.pop()
        await asyncio.sleep(3600)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in start.get("headers", ()))
    return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))


@dataclass
class Way:
    """One framework serving one host."""

    name: str
    host: Host
    call: Callable[..., Answer]
    run: Callable[[Any], Any]
    close: Callable[[], None] = field(default=lambda: None)
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, target: str, *lines: tuple[str, str | bytes], body: bytes = b"", host: str = HOST
    ) -> Answer:
        return self.call(method, target, [("Host", host), *lines], body)

    def cookie(self, name: str) -> tuple[str, str]:
        """The session cookie of one person, signed in once."""
        if name not in self.cookies:
            self.cookies[name] = self._signed_in(name)
        return "Cookie", self.cookies[name]

    def _signed_in(self, name: str) -> str:
        body = b'{"email": "%s@example.com", "password": "%s"}' % (name.encode(), PASSWORD.encode())
        found = self.ask("POST", "/signin", ("Content-Type", "application/json"), body=body).header("set-cookie")
        assert found is not None
        return found.partition(";")[0]

    def trail(self, tenant_id: str) -> list[tuple[str, str]]:
        events = self.run(self.host.audit.aevents(tenant_id, limit=500))
        return [(event["action"], event["outcome"]) for event in events]


def _blocking_host(folder: Path) -> Host:
    paths = Paths(folder)
    prepare(paths)
    return Host(paths, Database(create_engine(f"sqlite:///{paths.database}", poolclass=NullPool)), OUTSIDE)


def flask_way(folder: Path) -> Way:
    from wellstreak_trust.core import drive
    from wellstreak_trust.demo.flask_app import make_app

    host = _blocking_host(folder)
    app = make_app(host)
    return Way("flask", host, lambda *request: call_wsgi(app, *request), drive)


def wsgi_way(folder: Path) -> Way:
    from hosts import wsgi_app

    from wellstreak_trust.core import drive

    host = _blocking_host(folder)
    app = wsgi_app(host)
    return Way("wsgi", host, lambda *request: call_wsgi(app, *request), drive)


def starlette_way(folder: Path) -> Way:
    from hosts import starlette_app

    return _suspending("starlette", folder, starlette_app)


def fastapi_way(folder: Path) -> Way:
    from wellstreak_trust.demo.fastapi_app import make_app

    return _suspending("fastapi", folder, make_app)


def asgi_way(folder: Path) -> Way:
    from hosts import asgi_app

    return _suspending("asgi", folder, asgi_app)


def _suspending(name: str, folder: Path, make_app: Callable[[Host], Any]) -> Way:
    paths = Paths(folder)
    prepare(paths)
    engine = create_async_engine(f"sqlite+aiosqlite:///{paths.database}", poolclass=NullPool)
    host = Host(paths, AsyncDatabase(engine), OUTSIDE)
    app = make_app(host)
    runner = asyncio.Runner()
    return Way(name, host, lambda *request: runner.run(call_asgi(app, *request)), runner.run, runner.close)


@contextmanager
def django_settings(mine: Any) -> Iterator[None]:
    """Puts settings of one project in place: Django keeps them per process, and several projects share this one."""
    from django.conf import settings

    before, settings._wrapped = settings._wrapped, mine
    try:
        yield
    finally:
        settings._wrapped = before


def django_ways(wsgi_folder: Path, asgi_folder: Path) -> tuple[Way, Way]:
    """Both ways share one project and swap the host they serve."""
    from django.conf import empty, settings
    from django.core.handlers.asgi import ASGIHandler

    from wellstreak_trust.adapters.django import middleware
    from wellstreak_trust.core import drive
    from wellstreak_trust.demo import django_app

    first, second = _blocking_host(wsgi_folder), _blocking_host(asgi_folder)
    with django_settings(empty):
        wsgi = django_app.make_app(first)
        middleware._EDGES.clear()
        django_app._HELD["host"] = second
        asgi = ASGIHandler()
        mine = settings._wrapped
    runner = asyncio.Runner()

    def serve(host: Host, call: Callable[[], Answer]) -> Answer:
        middleware._EDGES.clear()
        django_app._HELD["host"] = host
        with django_settings(mine):
            return call()

    return (
        Way("django-wsgi", first, lambda *r: serve(first, lambda: call_wsgi(wsgi, *r)), drive),
        Way(
            "django-asgi",
            second,
            lambda *r: serve(second, lambda: runner.run(call_asgi(asgi, *r))),
            drive,
            runner.close,
        ),
    )
