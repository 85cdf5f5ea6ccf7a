"""A real server, a real handshake: another site's page is told 403 before anything is accepted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from small import READ, Small
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websocket import WebSocketBadStatusException, create_connection

from wellstreak_trust.adapters.starlette import TrustMiddleware, entered


@pytest.fixture
def small() -> Small:
    return Small()


@pytest.fixture
def port(small: Small) -> Iterator[int]:
    async def echo(websocket: WebSocket) -> None:
        async with entered(websocket, READ):
            await websocket.accept()
            await websocket.send_text(await websocket.receive_text())
            await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/w/acme/ws", echo)])
    app.add_middleware(TrustMiddleware, trust=small.trust)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, ws="wsproto", log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(20)
    listener.close()


def connect(port: int, small: Small, origin: str | None) -> str:
    name, value = small.cookie("ada")
    line = create_connection(
        f"ws://127.0.0.1:{port}/w/acme/ws",
        header=[f"{name}: {value}"],
        origin=origin,
        suppress_origin=origin is None,
        timeout=10,
    )
    line.send("hello")
    text = str(line.recv())
    line.close()
    return text


@pytest.mark.asvs("4.4.2")
@pytest.mark.parametrize(
    "foreign", ["https://evil.test", "null", "http://127.0.0.1", "http://127.0.0.1.evil.test", None]
)
def test_a_foreign_page_is_refused_before_the_handshake(port: int, small: Small, foreign: str | None) -> None:
    with pytest.raises(WebSocketBadStatusException) as refused:
        connect(port, small, foreign)
    assert refused.value.status_code == 403
    assert small.trail() == []


def test_our_own_page_is_let_in(port: int, small: Small) -> None:
    assert connect(port, small, f"http://127.0.0.1:{port}") == "hello"
    deadline = time.monotonic() + 20
    while len(small.trail()) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)  # the server ends its side after ours
    assert small.trail() == ["notes.read attempted", "notes.read success"]
