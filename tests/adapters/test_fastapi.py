"""What is FastAPI's and Starlette's own: worker threads, routers, mounts, streams, tasks, sockets, late failures."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from pydantic import BaseModel
from small import OWN, READ, WRITE, Small, tenant_now
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.websockets import WebSocketDisconnect
from ways import HOST, Answer, call_asgi

from wellstreak_trust import Grant, Operation
from wellstreak_trust.adapters import starlette
from wellstreak_trust.adapters.fastapi import (
    CurrentGrant,
    CurrentTenant,
    Guarded,
    TrustMiddleware,
    assert_all_routes_declared,
    problems,
    public,
    undeclared_routes,
)
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.core.errors import InvalidRequest
from wellstreak_trust.tenancy import current_tenant


class Site:
    def __init__(self, app: Any = None, **options: Any) -> None:
        self.small = Small()
        self.app = app or FastAPI(openapi_url=None)
        self.app.add_middleware(TrustMiddleware, trust=self.small.trust, **options)

    def get(
        self, path: str, *more: tuple[str, Any], method: str = "GET", body: bytes = b"", who: str = "ada"
    ) -> Answer:
        return asyncio.run(call_asgi(self.app, method, path, self.small.lines(who, *more), body))


@pytest.fixture
def site() -> Site:
    return Site()


Granted = Annotated[Grant, Depends(Guarded(READ))]


def test_worker_threads_streams_and_tasks_see_the_tenant_and_nothing_stays(site: Site) -> None:
    seen: list[str] = []

    @site.app.get("/w/{t}/thread")
    def thread(grant: Granted) -> str:
        return tenant_now()

    @site.app.get("/w/{t}/stream")
    async def stream(grant: Granted, kind: str) -> StreamingResponse:
        def steps() -> Iterator[str]:
            for _ in range(2):
                yield tenant_now()

        async def later() -> AsyncIterator[str]:
            for _ in range(2):
                await asyncio.sleep(0)
                yield tenant_now()

        return StreamingResponse(steps() if kind == "sync" else later())

    @site.app.get("/w/{t}/task")
    def task(grant: Granted, tasks: BackgroundTasks) -> str:
        tasks.add_task(lambda: seen.append(tenant_now()))
        return "x"

    async def main() -> list[bytes]:
        found = []
        for path in ("thread", "stream?kind=sync", "stream?kind=async", "task"):
            found.append((await call_asgi(site.app, "GET", f"/w/acme/{path}", site.small.lines(), b"")).body)
            assert current_tenant() is None
        return found

    assert asyncio.run(main()) == [b'"acme"', b"acmeacme", b"acmeacme", b'"x"']
    assert seen == ["acme"]


def test_plain_starlette_streams_and_tasks_too() -> None:
    seen: list[str] = []

    @starlette.guarded(READ)
    async def stream(request: Request, grant: Grant) -> StreamingResponse:
        from starlette.background import BackgroundTask

        async def later() -> AsyncIterator[str]:
            await asyncio.sleep(0)
            yield tenant_now()

        return StreamingResponse(later(), background=BackgroundTask(lambda: seen.append(tenant_now())))

    @starlette.guarded(WRITE)
    def thread(request: Request, grant: Grant) -> PlainTextResponse:
        return PlainTextResponse(tenant_now(), status_code=409)

    @starlette.public("a test")
    async def opened(request: Request) -> PlainTextResponse:
        return PlainTextResponse(tenant_now())

    routes = [Route("/w/{t}/s", stream), Route("/w/{t}/t", thread), Mount("/m", routes=[Route("/o", opened)])]
    site = Site(Starlette(routes=routes))
    assert site.get("/w/acme/s").body == b"acme"
    assert seen == ["acme"]
    assert site.get("/w/acme/t").status == 409
    assert site.get("/m/o").body == b"-"
    assert site.small.trail() == [
        "notes.read attempted", "notes.read success", "notes.written attempted", "notes.written failure",
    ]  # fmt: skip
    starlette.assert_all_routes_declared(site.app)


def test_guarded_generators_are_refused_when_decorated() -> None:
    async def body(request: Request, grant: Grant) -> AsyncIterator[str]:
        yield tenant_now()

    for decorate in (starlette.guarded(READ), starlette.public("x")):
        with pytest.raises(ConfigurationError) as caught:
            decorate(body)
        assert caught.value.reason == "guarded_generator"


@pytest.mark.asvs("8.2.1", "13.4.5")
def test_every_kind_of_route_is_found(site: Site) -> None:
    async def plain() -> str:
        return "x"

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()

    inner, outer = APIRouter(prefix="/inner"), APIRouter(prefix="/outer")
    inner.add_api_route("/a", plain)
    inner.add_api_websocket_route("/ws", socket)
    outer.include_router(inner)
    site.app.include_router(outer)
    sub = FastAPI(openapi_url=None)
    sub.include_router(inner)
    site.app.mount("/sub", sub)
    site.app.mount("/files", PlainTextResponse("x"))
    with pytest.raises(ConfigurationError) as caught:
        assert_all_routes_declared(site.app)
    for path in ("/outer/inner/a", "/outer/inner/ws", "/sub/inner/a", "/sub/inner/ws", "/files"):
        assert path in caught.value.detail
    with pytest.raises(ConfigurationError, match=r"/docs, /docs/oauth2-redirect, /openapi.json, /redoc"):
        assert_all_routes_declared(FastAPI())
    assert undeclared_routes(FastAPI()) == ["/docs", "/docs/oauth2-redirect", "/openapi.json", "/redoc"]
    assert "/outer/inner/a" in undeclared_routes(site.app)
    assert starlette.undeclared_routes(FastAPI(), public={"/docs": "read by developers"})[0] == "/docs/oauth2-redirect"
    described = dict.fromkeys(("/docs", "/docs/oauth2-redirect", "/openapi.json", "/redoc"), "a test")
    assert_all_routes_declared(FastAPI(), public=described)


def test_guards_on_routers_apps_and_below_other_dependencies_count(site: Site) -> None:
    async def current(grant: Granted) -> Grant:
        return grant

    async def plain() -> str:
        return tenant_now()

    async def nested(grant: Annotated[Grant, Depends(current)]) -> str:
        return tenant_now()

    router = APIRouter(prefix="/w/{t}", dependencies=[Depends(Guarded(READ))])
    router.add_api_route("/a", plain)
    site.app.include_router(router)
    site.app.add_api_route("/w/{t}/b", nested)
    assert_all_routes_declared(site.app)
    assert site.get("/w/acme/a").body == site.get("/w/acme/b").body == b'"acme"'
    assert site.get("/w/acme/a", who="eve").status == 404

    whole = FastAPI(openapi_url=None, dependencies=[Depends(Guarded(READ))])
    whole.add_api_route("/w/{t}/a", plain)
    assert_all_routes_declared(whole)
    odd = Site()
    odd.app.add_api_route("/w/{t}/a", plain, dependencies=[Depends(Guarded(Operation("x", "notes:reed")))])
    with pytest.raises(ConfigurationError) as caught:
        assert_all_routes_declared(odd.app)
    assert caught.value.reason == "unknown_permission"


@pytest.mark.parametrize(
    ("ending", "status", "outcome"),
    [
        (HTTPException(404), 404, "failure"),
        (HTTPException(403), 403, "denied"),
        (HTTPException(503), 503, "error"),
        (InvalidRequest("x"), 400, "failure"),
        (PlainTextResponse("no", status_code=410), 410, "failure"),
        (PlainTextResponse("no", status_code=500), 500, "error"),
    ],
)
def test_endings(site: Site, ending: Any, status: int, outcome: str) -> None:
    @site.app.get("/w/{t}/end")
    async def end(grant: Granted) -> Any:
        if isinstance(ending, Exception):
            raise ending
        return ending

    assert site.get("/w/acme/end").status == status
    assert site.small.trail() == ["notes.read attempted", f"notes.read {outcome}"]


def test_a_hung_up_client_is_recorded_and_the_limit_given_back() -> None:
    small = Small(limit=1)
    app = FastAPI(openapi_url=None)
    app.add_middleware(TrustMiddleware, trust=small.trust)

    inside = asyncio.Event()

    @app.get("/w/{t}/slow")
    async def slow(grant: Granted) -> str:
        inside.set()
        await asyncio.sleep(3600)
        return "x"

    async def main() -> None:
        for _ in range(2):  # the limit is 1: the first was given back
            request = asyncio.create_task(call_asgi(app, "GET", "/w/acme/slow", small.lines(), b""))
            await inside.wait()
            inside.clear()
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
            assert current_tenant() is None
            assert small.trail()[-1] == "notes.read error"

    asyncio.run(main())


def test_malformed_bodies_are_not_echoed(site: Site) -> None:
    class Body(BaseModel):
        name: int

    problems(site.app)

    @site.app.post("/w/{t}/body")
    async def take(body: Body, grant: Annotated[Grant, Depends(Guarded(WRITE))]) -> str:
        return "x"

    json = ("Content-Type", "application/json")
    for body in (b'{"name": "hunter2"}', b'{"hunter2": ', b'"hunter2"'):
        answer = site.get("/w/acme/body", json, method="POST", body=body)
        assert (answer.status, answer.header("content-type")) == (400, "application/problem+json")
        assert b"hunter2" not in answer.body
    assert site.get("/w/acme/body", json, method="POST", body=b"\xffhunter2").status == 400  # FastAPI's own answer
    stranger = site.get("/w/acme/body", json, method="POST", body=b'{"name": "x"}', who="eve")
    assert stranger.status == 404  # the guard answers before the body is judged


def test_the_body_is_there_after_the_guard(site: Site) -> None:
    async def fetched(request: Request) -> Any:
        return {"type": "note", "tenant_id": "acme", "size": len(await request.body())}

    @site.app.post("/w/{t}/body")
    async def body(request: Request, grant: Annotated[Grant, Depends(Guarded(WRITE, resource=fetched))]) -> Any:
        return PlainTextResponse(await request.body())

    assert site.get("/w/acme/body", method="POST", body=b"\xff\x00raw").body == b"\xff\x00raw"


def test_a_refusal_after_the_answer_began_cuts_it_off(site: Site) -> None:
    @site.app.get("/w/{t}/late")
    async def late(grant: Granted) -> StreamingResponse:
        async def steps() -> AsyncIterator[str]:
            yield "half"
            raise InvalidRequest("too late")

        return StreamingResponse(steps())

    with pytest.raises((InvalidRequest, ExceptionGroup)):
        site.get("/w/acme/late")
    assert site.small.trail()[-1] in ("notes.read failure", "notes.read error")


def test_public_endpoints_keep_their_dependencies_and_their_origin_check(site: Site) -> None:
    async def name(q: str = "nobody") -> str:
        return q

    @site.app.post("/open")
    @public("a test")
    def opened(who: Annotated[str, Depends(name)], n: int = 1) -> str:
        return who * n

    assert site.get("/open?q=ab&n=2", method="POST").body == b'"abab"'
    lines = [("Host", HOST), ("Origin", "https://evil.example"), ("Cookie", "a=b")]
    assert asyncio.run(call_asgi(site.app, "POST", "/open", lines, b"")).status == 403


def test_lifespan_passes_untouched() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    scope = {"type": "lifespan"}
    asyncio.run(TrustMiddleware(app, trust=Small().trust)(scope, None, None))  # type: ignore[arg-type]  # not called
    assert seen == [{"type": "lifespan"}]


def test_without_the_middleware_the_guard_says_so() -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/w/{t}/x", lambda: "x", dependencies=[Depends(Guarded(READ))])
    with pytest.raises(ConfigurationError, match="no Trust in this app"):
        asyncio.run(call_asgi(app, "GET", "/w/acme/x", [], b""))


# --- sockets ---------------------------------------------------------------------------------------------------------


async def shake(app: Any, path: str, lines: list[tuple[str, Any]], *, answers: bool = True) -> list[Any]:
    scope: dict[str, Any] = {
        "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "wss", "path": path,
        "raw_path": path.encode(), "root_path": "", "query_string": b"", "client": ("203.0.113.9", 5),
        "server": (HOST, 443), "subprotocols": [], "headers": [(n.lower().encode(), v.encode()) for n, v in lines],
        "extensions": {"websocket.http.response": {}} if answers else {},
    }  # fmt: skip
    inbox = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "hi"},
        {"type": "websocket.disconnect", "code": 1000},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return inbox.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    with suppress(WebSocketDisconnect):  # Starlette hands on what its endpoints do not catch
        await app(scope, receive, send)
    return sent


@pytest.fixture
def sockets(site: Site) -> Site:
    @site.app.websocket("/w/{t}/ws")
    async def talk(websocket: WebSocket, grant: Annotated[Grant, Depends(Guarded(WRITE))]) -> None:
        await websocket.accept()
        await websocket.send_text(f"{await websocket.receive_text()} {tenant_now()}")
        await websocket.receive_text()  # the client is gone

    @site.app.websocket("/w/{t}/late")
    async def late(websocket: WebSocket, grant: Annotated[Grant, Depends(Guarded(WRITE))]) -> None:
        await websocket.accept()
        raise InvalidRequest("refused in the middle")

    assert_all_routes_declared(site.app)
    return site


ORIGIN = ("Origin", f"https://{HOST}")


def test_a_guarded_socket_runs_in_its_tenant(sockets: Site) -> None:
    lines = [("Host", HOST), sockets.small.cookie("ada"), ORIGIN]
    sent = asyncio.run(shake(sockets.app, "/w/acme/ws", lines))
    assert [message["type"] for message in sent][:2] == ["websocket.accept", "websocket.send"]
    assert sent[1]["text"] == "hi acme"
    assert sockets.small.trail() == ["notes.written attempted", "notes.written success"]


@pytest.mark.parametrize(
    ("who", "origin", "status"),
    [("ada", "https://evil.example", 403), ("ada", "null", 403), ("eve", f"https://{HOST}", 404), ("", ORIGIN[1], 401)],
)
def test_sockets_are_refused_before_they_are_accepted(sockets: Site, who: str, origin: str, status: int) -> None:
    lines = [("Host", HOST), ("Origin", origin), *([sockets.small.cookie(who)] if who else [])]
    sent = asyncio.run(shake(sockets.app, "/w/acme/ws", lines))
    assert (sent[0]["type"], sent[0]["status"]) == ("websocket.http.response.start", status)
    closed = asyncio.run(shake(sockets.app, "/w/acme/ws", lines, answers=False))
    assert closed == [{"type": "websocket.close", "code": 1008}]  # servers answer 403 to this


def test_a_refusal_inside_an_accepted_socket_closes_it(sockets: Site) -> None:
    lines = [("Host", HOST), sockets.small.cookie("ada"), ORIGIN]
    sent = asyncio.run(shake(sockets.app, "/w/acme/late", lines))
    assert sent[-1] == {"type": "websocket.close", "code": 1008}
    assert sockets.small.trail()[-1] == "notes.written failure"


def test_malformed_socket_parameters_are_not_echoed(site: Site) -> None:
    problems(site.app)

    @site.app.websocket("/w/{t}/n/{n}")
    async def talk(websocket: WebSocket, n: int, grant: Annotated[Grant, Depends(Guarded(WRITE))]) -> None:
        await websocket.accept()

    lines = [("Host", HOST), site.small.cookie("ada"), ORIGIN]
    sent = asyncio.run(shake(site.app, "/w/acme/n/hunter2", lines))
    assert b"hunter2" not in repr(sent).encode()
    assert sent[0]["type"] != "websocket.accept"


# --- what operators see ----------------------------------------------------------------------------------------------


def test_what_is_nobodys_fault_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        async def aauthenticate(self, facts: Any) -> Any:
            raise ValueError("the driver died")

    small = Small(authenticator=Broken())
    app = FastAPI(openapi_url=None)
    app.add_middleware(TrustMiddleware, trust=small.trust)
    app.add_api_route("/w/{t}/x", lambda: "x", dependencies=[Depends(Guarded(READ))])
    with caplog.at_level(logging.ERROR, "wellstreak_trust.adapters"):
        answer = asyncio.run(call_asgi(app, "GET", "/w/acme/x", [("Host", HOST), OWN], b""))
    assert answer.status == 503
    assert b"driver" not in answer.body
    assert "authenticator failed (ValueError)" in caplog.text


# --- from further up -------------------------------------------------------------------------------------------------


def test_a_grant_from_further_up_is_handed_on_and_guards_nothing(site: Site) -> None:
    async def about(grant: CurrentGrant, tenant: CurrentTenant) -> str:
        return f"{grant.operation.name} {tenant.tenant_id}"

    router = APIRouter(prefix="/w/{t}", dependencies=[Depends(Guarded(READ))])
    router.add_api_route("/about", about)
    site.app.include_router(router)
    assert_all_routes_declared(site.app)
    assert site.get("/w/acme/about").body == b'"notes.read acme"'
    assert site.small.trail() == ["notes.read attempted", "notes.read success"]
    site.app.add_api_route("/w/{t}/bare", about)
    with pytest.raises(ConfigurationError, match=r"/w/\{t\}/bare"):
        assert_all_routes_declared(site.app)
    assert site.get("/w/acme/bare").status == 500


def test_a_malformed_body_is_the_clients_failure(site: Site) -> None:
    class Body(BaseModel):
        name: int

    @site.app.post("/w/{t}/body")
    async def take(body: Body, grant: Annotated[Grant, Depends(Guarded(WRITE))]) -> str:
        return "x"

    assert site.get("/w/acme/body", ("Content-Type", "application/json"), method="POST", body=b"{}").status == 422
    assert site.small.trail() == ["notes.written attempted", "notes.written failure"]
