"""Scopes in Flask and Starlette without our adapters, as a host might wire them itself (case CX08)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from wellstreak_trust.tenancy import current_tenant, scope_leaks, tenant_scope, testing_context
from wellstreak_trust.tenancy.jobs import propagate


def name() -> str:
    found = current_tenant()
    return found.tenant_id if found is not None else "-"


class Body:
    """Says at every step, and at its end, where it runs."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def __call__(self) -> Iterator[str]:
        try:
            for _ in range(3):
                yield name()
        finally:
            self.ended.append(name())


@pytest.mark.parametrize("with_context", [True, False], ids=["stream_with_context", "plain"])
@pytest.mark.parametrize("hang_up", [True, False], ids=["hang up", "read"])
def test_a_flask_stream_is_in_the_requests_tenant_and_teardown_twice_is_harmless(
    with_context: bool, hang_up: bool
) -> None:
    app, body, teardowns = flask.Flask(__name__), Body(), list[str]()

    @app.before_request
    def enter() -> None:
        flask.g.scope = tenant_scope(testing_context(flask.request.args["tenant"]))
        flask.g.scope.__enter__()

    @app.teardown_request
    def leave(error: BaseException | None) -> None:
        flask.g.scope.__exit__(None, None, None)
        teardowns.append(name())

    @app.get("/")
    def view() -> flask.Response:
        steps = propagate(body)()
        return flask.Response(flask.stream_with_context(steps) if with_context else steps)

    before = scope_leaks()
    for tenant_id in ("t1", "t2", "t1"):
        response = app.test_client().get("/", query_string={"tenant": tenant_id}, buffered=False)
        if hang_up:
            assert next(response.iter_encoded()) == tenant_id.encode()
        else:
            assert response.text == tenant_id * 3
        response.close()
        assert name() == "-"
        assert body.ended.pop() == tenant_id
    assert set(teardowns) == {"-"}
    assert scope_leaks() == before


class TenantMiddleware:
    """Pure ASGI, as a host would write it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        async with tenant_scope(testing_context(scope["query_string"].decode())):
            await self.app(scope, receive, send)


class Logged(BaseHTTPMiddleware):
    """The kind that runs the application in a task of its own."""

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


@pytest.mark.parametrize(
    "stack",
    [[TenantMiddleware], [Logged, TenantMiddleware], [TenantMiddleware, Logged]],
    ids=["alone", "below BaseHTTPMiddleware", "above it"],
)
def test_starlette_bodies_threads_and_background_tasks_see_it(stack: list[Any]) -> None:
    ended: list[str] = []

    async def later() -> AsyncIterator[str]:
        for _ in range(2):
            await asyncio.sleep(0)
            yield name()

    def sync() -> Iterator[str]:
        yield name()
        yield name()

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(later(), background=BackgroundTask(lambda: ended.append(name())))

    async def threaded(request: Request) -> StreamingResponse:
        return StreamingResponse(sync())

    def view(request: Request) -> PlainTextResponse:
        return PlainTextResponse(name())

    routes = [Route("/stream", stream), Route("/threaded", threaded), Route("/view", view)]
    app = Starlette(routes=routes, middleware=[Middleware(layer) for layer in stack])

    async def run() -> list[str]:
        paths = [(path, tenant_id) for tenant_id in ("t1", "t2") for path in ("/stream", "/threaded", "/view")]
        answers = await asyncio.gather(*(get(app, path, tenant_id) for path, tenant_id in paths))
        assert name() == "-"
        return answers

    assert asyncio.run(run()) == ["t1t1", "t1t1", "t1", "t2t2", "t2t2", "t2"]
    assert sorted(ended) == ["t1", "t2"]


async def get(app: Any, path: str, query: str) -> str:
    sent: list[bytes] = []
    asked: list[None] = []
    done = asyncio.Event()

    async def receive() -> dict[str, Any]:
        asked.append(None)
        if len(asked) > 1:
            await done.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message.get("body", b""))
        if message["type"] == "http.response.body" and not message.get("more_body"):
            done.set()

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": query.encode(), "headers": [], "http_version": "1.1", "scheme": "http", "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return b"".join(sent).decode()
