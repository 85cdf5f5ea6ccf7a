"""One small host with everything that outlives a view, or comes in before it, on each way in: streams, tasks, uploads,
large bodies. Each way does it by its framework's own means.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import BackgroundTasks, Depends, FastAPI, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from small import READ, WRITE, Small, tenant_now
from ways import HOST
from werkzeug.formparser import parse_form_data

from wellstreak_trust import Grant
from wellstreak_trust.adapters.fastapi import Guarded, TrustMiddleware
from wellstreak_trust.core.errors import InvalidRequest
from wellstreak_trust.webhooks import aread_body, read_body

PIECE = b"x" * 10
LIMIT = 1 << 16
ERRORS: dict[str, type[Exception]] = {"ours": InvalidRequest, "theirs": ZeroDivisionError}


@dataclass
class Acts:
    """What the views do, and what was seen of it."""

    small: Small = field(default_factory=Small)
    seen: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    waiting: Callable[[], Any] | None = None

    def steps(self, ending: str) -> Iterator[bytes]:
        try:
            for number in range(3):
                self.seen.append(tenant_now())
                if number == 2 and ending in ERRORS:
                    raise ERRORS[ending]("in the middle")
                yield PIECE
        finally:
            self.seen.append(f"closed in {tenant_now()}")

    async def asteps(self, ending: str) -> AsyncIterator[bytes]:
        try:
            for piece in self.steps(ending):
                await asyncio.sleep(0)
                yield piece
        finally:
            self.seen.append(f"aclosed in {tenant_now()}")

    def task(self) -> None:
        self.tasks.append(f"{tenant_now()} {self.small.trail()[-1:]}")

    def told(self, data: bytes) -> bytes:
        return f"{tenant_now()} {len(data)} {hashlib.sha256(data).hexdigest()}".encode()


def ending_of(query: str) -> str:
    return parse_qs(query).get("ending", [""])[0]


def resource(request: object) -> dict[str, Any]:
    return {"type": "note", "tenant_id": "acme"}


def uploaded(media: str, body: bytes) -> bytes:
    """The file in a multipart body that was read whole."""
    environ = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": media, "CONTENT_LENGTH": str(len(body))}
    with closing(parse_form_data({**environ, "wsgi.input": io.BytesIO(body)})[2]["file"]) as file:
        return file.read()


# --- WSGI ------------------------------------------------------------------------------------------------------------


def flask_app(acts: Acts) -> Any:
    import flask

    from wellstreak_trust.adapters.flask import TrustExtension, guarded

    app = flask.Flask("outliving", static_folder=None)
    TrustExtension(acts.small.trust, app)

    @app.get("/w/<t>/stream")
    @guarded(READ)
    def stream(t: str) -> Any:
        return flask.Response(acts.steps(ending_of(flask.request.query_string.decode())))

    @app.post("/w/<t>/upload")
    @guarded(WRITE, resource=resource)
    def upload(t: str) -> Any:
        return acts.told(flask.request.files["file"].read())

    @app.post("/w/<t>/limited")
    @guarded(WRITE)
    def limited(t: str) -> Any:
        return acts.told(read_body(flask.request.stream, flask.request.content_length, limit=LIMIT))

    @app.get("/w/<t>/whole")
    @guarded(READ)
    def whole(t: str) -> Any:
        return meet(acts)

    return app


def meet(acts: Acts) -> bytes:
    before = tenant_now()
    if acts.waiting is not None:
        acts.waiting()
    return f"{before} {tenant_now()}".encode()


async def ameet(acts: Acts) -> bytes:
    before = tenant_now()
    if acts.waiting is not None:
        await acts.waiting()
    return f"{before} {tenant_now()}".encode()


def wsgi_app(acts: Acts) -> Any:
    from wellstreak_trust.adapters.wsgi import Body, TrustMiddleware, guarded

    @guarded(READ)
    def stream(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield from acts.steps(ending_of(environ["QUERY_STRING"]))

    def whole(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [meet(acts) if environ["REQUEST_METHOD"] != "HEAD" else b""]

    def upload(environ: Any, start_response: Any) -> list[bytes]:
        with closing(parse_form_data(environ)[2]["file"]) as file:
            found = acts.told(file.read())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [found]

    def limited(environ: Any, start_response: Any) -> list[bytes]:
        found = acts.told(read_body(Body(environ), environ.get("CONTENT_LENGTH"), limit=LIMIT))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [found]

    parts = {
        ("GET", "stream"): stream,
        ("GET", "whole"): guarded(READ)(whole),
        ("HEAD", "whole"): guarded(READ)(whole),
        ("POST", "upload"): guarded(WRITE, resource=resource)(upload),
        ("POST", "limited"): guarded(WRITE)(limited),
    }

    def route(environ: Any, start_response: Any) -> Any:
        part = parts.get((environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix("/w/").partition("/")[2]))
        if part is not None:
            return part(environ, start_response)
        start_response("404 Not Found", [])
        return []

    return TrustMiddleware(route, acts.small.trust)


# --- ASGI ------------------------------------------------------------------------------------------------------------


def fastapi_app(acts: Acts) -> Any:
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.add_middleware(TrustMiddleware, trust=acts.small.trust)
    may_read, may_write = Depends(Guarded(READ)), Depends(Guarded(WRITE, resource=resource))

    @app.get("/w/{t}/stream", dependencies=[may_read])
    async def stream(request: Request) -> Any:
        return StreamingResponse(acts.asteps(ending_of(request.url.query)))

    @app.post("/w/{t}/upload", dependencies=[may_write])
    async def upload(request: Request) -> Any:
        return PlainTextResponse(acts.told(uploaded(request.headers["content-type"], await request.body())))

    @app.post("/w/{t}/limited", dependencies=[may_write])
    async def limited(request: Request) -> Any:
        length = request.headers.get("content-length")
        return PlainTextResponse(acts.told(await aread_body(request.stream(), length, limit=LIMIT)))

    @app.api_route("/w/{t}/whole", methods=["GET", "HEAD"], dependencies=[may_read])
    async def whole() -> Any:
        return PlainTextResponse(await ameet(acts))

    @app.get("/w/{t}/task", dependencies=[may_read])
    async def task(tasks: BackgroundTasks) -> Any:
        tasks.add_task(acts.task)
        return PlainTextResponse("x")

    @app.get("/w/{t}/failing-task", dependencies=[may_read])
    async def failing(tasks: BackgroundTasks) -> Any:
        tasks.add_task(lambda: 1 / 0)
        return PlainTextResponse("x")

    @app.websocket("/w/{t}/ws")
    async def talk(websocket: WebSocket, grant: Annotated[Grant, Depends(Guarded(WRITE))]) -> None:
        await chat(acts, websocket)

    return app


async def chat(acts: Acts, websocket: Any) -> None:
    """Echoes with the tenant; closes as it is told to."""
    await websocket.accept()
    while True:
        said = await websocket.receive_text()
        if said.startswith("close"):
            await websocket.close(int(said.split()[1]))
            return
        if said in ERRORS:
            raise ERRORS[said]("in the middle")
        await websocket.send_text(f"{said} {(await ameet(acts)).decode()}")


def starlette_app(acts: Acts) -> Any:
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.routing import Route, Router, WebSocketRoute

    from wellstreak_trust.adapters.starlette import entered, guarded

    @guarded(READ)
    async def stream(request: Any, grant: Any) -> Any:
        return StreamingResponse(acts.asteps(ending_of(request.url.query)))

    @guarded(WRITE, resource=resource)
    async def upload(request: Any, grant: Any) -> Any:
        return PlainTextResponse(acts.told(uploaded(request.headers["content-type"], await request.body())))

    @guarded(WRITE)
    async def limited(request: Any, grant: Any) -> Any:
        length = request.headers.get("content-length")
        return PlainTextResponse(acts.told(await aread_body(request.stream(), length, limit=LIMIT)))

    @guarded(READ)
    async def whole(request: Any, grant: Any) -> Any:
        return PlainTextResponse(await ameet(acts))

    @guarded(READ)
    async def task(request: Any, grant: Any) -> Any:
        return PlainTextResponse("x", background=BackgroundTask(acts.task))

    @guarded(READ)
    async def failing(request: Any, grant: Any) -> Any:
        return PlainTextResponse("x", background=BackgroundTask(lambda: 1 / 0))

    async def talk(websocket: Any) -> None:
        async with entered(websocket, WRITE):
            await chat(acts, websocket)

    routes = [Route(f"/w/{{t}}/{view.__name__}", view) for view in (stream, whole, task)]
    routes += [Route(f"/w/{{t}}/{view.__name__}", view, methods=["POST"]) for view in (upload, limited)]
    routes.append(Route("/w/{t}/failing-task", failing))
    app = Starlette(routes=[*routes, WebSocketRoute("/w/{t}/ws", talk)])
    router: Router = app.router
    router.redirect_slashes = False
    app.add_middleware(TrustMiddleware, trust=acts.small.trust)
    return app


def asgi_app(acts: Acts) -> Any:
    """No framework: a request is parsed by Starlette's classes where a parser is needed, as any host may."""
    from wellstreak_trust.adapters.asgi import guarded

    async def send_all(send: Any, pieces: AsyncIterator[bytes]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        try:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            await pieces.aclose()
        await send({"type": "http.response.body", "body": b""})

    async def one(data: bytes) -> AsyncIterator[bytes]:
        yield data

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send_all(send, acts.asteps(ending_of(scope["query_string"].decode())))

    async def upload(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await send_all(send, one(acts.told(uploaded(request.headers["content-type"], await request.body()))))

    async def limited(scope: Any, receive: Any, send: Any) -> None:
        length = dict(scope["headers"]).get(b"content-length", b"0").decode()
        await send_all(send, one(acts.told(await aread_body(Request(scope, receive).stream(), length, limit=LIMIT))))

    async def whole(scope: Any, receive: Any, send: Any) -> None:
        await send_all(send, one(b"" if scope["method"] == "HEAD" else await ameet(acts)))

    async def task(scope: Any, receive: Any, send: Any) -> None:
        await send_all(send, one(b"x"))
        acts.task()

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await send_all(send, one(b"x"))
        raise ZeroDivisionError

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        await chat(acts, WebSocket(scope, receive, send))

    may_read, may_write = guarded(READ), guarded(WRITE, resource=resource)
    parts = {
        ("GET", "stream"): may_read(stream), ("GET", "whole"): may_read(whole), ("HEAD", "whole"): may_read(whole),
        ("GET", "task"): may_read(task), ("GET", "failing-task"): may_read(failing),
        ("POST", "upload"): may_write(upload), ("POST", "limited"): may_write(limited),
        ("", "ws"): guarded(WRITE)(talk),
    }  # fmt: skip

    async def route(scope: Any, receive: Any, send: Any) -> None:
        part = parts.get((scope.get("method", ""), scope["path"].removeprefix("/w/").partition("/")[2]))
        if part is not None:
            await part(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return TrustMiddleware(route, acts.small.trust)


# --- Django ----------------------------------------------------------------------------------------------------------


def django_views(acts: Acts, *, later: bool) -> tuple[Any, ...]:
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import path

    from wellstreak_trust.adapters.django import guarded

    def query(request: Any) -> str:
        return ending_of(request.META["QUERY_STRING"])

    def stream(request: Any, t: str) -> Any:
        return StreamingHttpResponse(acts.steps(query(request)))

    async def astream(request: Any, t: str) -> Any:
        return StreamingHttpResponse(acts.asteps(query(request)))

    def whole(request: Any, t: str) -> Any:
        return HttpResponse(meet(acts))

    async def awhole(request: Any, t: str) -> Any:
        return HttpResponse(await ameet(acts))

    def upload(request: Any, t: str) -> Any:
        return HttpResponse(acts.told(request.FILES["file"].read()))

    def limited(request: Any, t: str) -> Any:
        return HttpResponse(acts.told(read_body(request, request.META.get("CONTENT_LENGTH"), limit=LIMIT)))

    may_read, may_write = guarded(READ), guarded(WRITE, resource=resource)
    return (
        path("w/<t>/stream", may_read(astream if later else stream)),
        path("w/<t>/whole", may_read(awhole if later else whole)),
        path("w/<t>/upload", may_write(upload)),
        path("w/<t>/limited", may_write(limited)),
    )


@dataclass
class Outliving:
    """One way in, over one small host."""

    name: str
    acts: Acts
    app: Any
    is_asgi: bool
    settled: Callable[[], AbstractContextManager[Any]] = nullcontext


def outliving(name: str, small: Small | None = None) -> Outliving:
    acts = Acts(small or Small())
    made = {"flask": flask_app, "wsgi": wsgi_app, "fastapi": fastapi_app, "starlette": starlette_app, "asgi": asgi_app}
    if name in made:
        return Outliving(name, acts, made[name](acts), name not in ("flask", "wsgi"))
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from test_django import project

    later = name == "django-asgi"
    patterns = django_views(acts, later=later)

    def settled() -> AbstractContextManager[Any]:
        return project(acts.small, patterns, APPEND_SLASH=False)

    with settled():
        return Outliving(name, acts, ASGIHandler() if later else WSGIHandler(), later, settled)


# --- clients ---------------------------------------------------------------------------------------------------------


@dataclass
class Got:
    """What a client has of an answer."""

    status: int = 0
    pieces: list[bytes] = field(default_factory=list)
    error: BaseException | None = None
    trails: list[list[str]] = field(default_factory=list)  # the trail, as it stood when each piece came
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


@dataclass
class Asked:
    """A request, and how its client behaves."""

    method: str
    target: str
    lines: list[tuple[str, Any]]
    body: Any = b""  # bytes, or an iterator of them: then its length is not told
    leaves_after: int = 99
    spec: str = "2.3"  # from 2.4 on, a server raises OSError to whoever sends to nobody


def ask(way: Outliving, method: str, path: str, *more: Any, who: str | None = "ada", **given: Any) -> Got:
    tenant = {"ada": "acme", "eve": "evil", None: "acme"}[who]
    lines = way.acts.small.lines(who, *more) if who is not None else [("Host", HOST), *more]
    asked = Asked(method, f"/w/{tenant}/{path}", lines, **given)
    with way.settled():
        if way.is_asgi:
            return asyncio.run(ask_asgi(way, asked))
        return ask_wsgi(way, asked)


class Pieces(io.RawIOBase):
    """An input that is made as it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces, self.rest, self.count = pieces, b"", 0

    def read(self, size: int = -1) -> bytes:
        if not self.rest:
            self.rest = next(self.pieces, b"")
        found, self.rest = (self.rest, b"") if size < 0 else (self.rest[:size], self.rest[size:])
        self.count += len(found)
        return found


def ask_wsgi(way: Outliving, asked: Asked) -> Got:
    path, _, query = asked.target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": asked.method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
        "SERVER_NAME": HOST, "SERVER_PORT": "443", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "203.0.113.9",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "https", "wsgi.errors": io.StringIO(), "wsgi.multithread": False,
        "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip
    if isinstance(asked.body, bytes):
        environ |= {"wsgi.input": io.BytesIO(asked.body), "CONTENT_LENGTH": str(len(asked.body))}
    else:
        environ |= {"wsgi.input": Pieces(asked.body), "wsgi.input_terminated": True}
    for name, value in asked.lines:
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    got = Got()

    def start_response(status: str, headers: Any, error: Any = None) -> Any:
        if error is not None and got.pieces:
            raise error[1]
        got.status, got.headers = int(status[:3]), {key.lower(): value for key, value in headers}
        return lambda data: got.pieces.append(data)

    try:
        body = way.app(environ, start_response)
    except Exception as error:  # what a server logs
        got.error = error
        return got
    try:
        for piece in body:
            if piece:
                got.pieces.append(piece)
                got.trails.append(way.acts.small.trail())
            if len(got.pieces) >= asked.leaves_after:
                break
    except Exception as error:
        got.error = error
    finally:
        getattr(body, "close", lambda: None)()
    return got


async def ask_asgi(way: Outliving, asked: Asked) -> Got:
    path, _, query = asked.target.partition("?")
    lines = [(n.lower().encode(), v if isinstance(v, bytes) else v.encode("latin-1")) for n, v in asked.lines]
    if isinstance(asked.body, bytes):
        lines.append((b"content-length", str(len(asked.body)).encode()))
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": asked.spec}, "http_version": "1.1",
        "method": asked.method, "scheme": "https", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": query.encode(), "client": ("203.0.113.9", 5000), "server": (HOST, 443), "headers": lines,
    }  # fmt: skip
    got, gone = Got(), asyncio.Event()
    pieces = iter((asked.body,)) if isinstance(asked.body, bytes) else asked.body
    held = [next(pieces, None)]

    async def receive() -> Any:
        if held:
            piece, following = held.pop(), next(pieces, None)
            if following is not None:
                held.append(following)
            return {"type": "http.request", "body": piece or b"", "more_body": following is not None}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if gone.is_set():
            if asked.spec >= "2.4":
                raise OSError("nobody listens")
            await asyncio.sleep(0)
            return
        if message["type"] == "http.response.start":
            got.status = message["status"]
            got.headers = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in message.get("headers", ())}
        elif message.get("body"):
            got.pieces.append(bytes(message["body"]))
            got.trails.append(way.acts.small.trail())
        if len(got.pieces) >= asked.leaves_after:
            gone.set()

    try:
        await way.app(scope, receive, send)
    except Exception as error:
        got.error = error
    return got
