"""An ASGI application, called as a server would call it, from a thread with a loop of its own.

The thread lets a test that runs on a loop itself use the attacker, and keeps what the host leaves in context variables
out of the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from threading import Thread
from typing import Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

from ...core.errors import UsageError
from .wire import CRASHED, Answer, Request, pairs

__all__ = ["AsgiWire"]

T = TypeVar("T")

_Message = MutableMapping[str, Any]
_App = Callable[[Any, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]]
_PEER: Final = ("203.0.113.9", 50_000)  # RFC 5737: an address that nobody has
_REFUSED: Final = 403  # what servers answer where a handshake is closed before it is accepted (ASGI WebSocket, 2.5)


class AsgiWire:
    """Sends requests to an application in this process; its lifespan runs around them.

    Args:
        patience: seconds after which an answer counts as not given.
    """

    def __init__(self, app: _App, scheme: str, patience: float) -> None:
        self._app: _App = app
        self._scheme: str = scheme
        self._patience: float = patience
        self._running: _Running | None = None

    def open(self) -> None:
        """Starts the loop and the application.

        Raises:
            UsageError: the application's start-up failed.
        """
        self._running = _Running(self._app)
        try:
            self._running.run(self._running.life.start())
        except BaseException:
            self._stopped()
            raise

    def close(self) -> None:
        """Stops both; they may be started again."""
        self._held().run(self._held().life.stop())
        self._stopped()

    def send(self, request: Request, host: str) -> Answer:
        """The answer to one request; never raises for what the application does."""
        return self._held().run(self._within(self._http(request, host)))

    def handshake(self, request: Request, host: str) -> Answer:
        """Opens a websocket: status 101 if it was accepted, else the refusal's."""
        return self._held().run(self._within(self._websocket(request, host)))

    def _stopped(self) -> None:
        running, self._running = self._held(), None
        running.stop()

    def _held(self) -> _Running:
        if self._running is None:
            raise UsageError("the target is closed", hint="with target: ...")
        return self._running

    async def _within(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            return await asyncio.wait_for(work, self._patience)
        except TimeoutError:
            return Answer(CRASHED, crashed=f"no answer within {self._patience:g} s")

    def _scope(self, kind: str, request: Request, host: str) -> dict[str, Any]:
        path, _, query = request.target.partition("?")
        name, _, port = host.partition(":")
        lines = [("host", host), *request.headers]
        if request.body and kind == "http":
            lines.append(("content-length", str(len(request.body))))
        scope: dict[str, Any] = {
            "type": kind, "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
            "scheme": self._scheme if kind == "http" else self._scheme.replace("http", "ws"),
            "path": unquote_to_bytes(path).decode("utf-8", "replace"), "raw_path": path.encode("utf-8"),
            "query_string": query.encode("utf-8"), "root_path": "", "client": _PEER,
            "server": (name, int(port) if port.isdigit() else 443),
            "headers": [(n.lower().encode("latin-1"), _octets(v)) for n, v in lines],
        }  # fmt: skip
        own: dict[str, Any] = {"method": request.method} if kind == "http" else {"subprotocols": []}
        return scope | own

    async def _http(self, request: Request, host: str) -> Answer:
        sent: list[_Message] = []
        inbox: list[_Message] = [{"type": "http.request", "body": request.body, "more_body": False}]

        async def receive() -> _Message:
            if inbox:
                return inbox.pop()
            await asyncio.sleep(self._patience)
            return {"type": "http.disconnect"}

        return await self._called(self._scope("http", request, host), receive, sent)

    async def _called(self, scope: Any, receive: Callable[[], Awaitable[_Message]], sent: list[_Message]) -> Answer:
        async def send(message: _Message) -> None:
            sent.append(message)

        crashed = ""
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # whatever a host lets out is an answer here
            crashed = type(error).__name__
        if not sent:
            return Answer(CRASHED, crashed=crashed or "no answer")
        start, prefix = sent[0], "websocket." if scope["type"] == "websocket" else ""
        if start["type"] == "websocket.accept":
            return Answer(101, pairs(start.get("headers", ())))
        if start["type"] == "websocket.close":
            return Answer(_REFUSED, crashed=crashed)
        assert start["type"] == f"{prefix}http.response.start"
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(start["status"], pairs(start.get("headers", ())), body, crashed)

    async def _websocket(self, request: Request, host: str) -> Answer:
        inbox: list[_Message] = [{"type": "websocket.disconnect", "code": 1001}, {"type": "websocket.connect"}]

        async def receive() -> _Message:
            if inbox:
                return inbox.pop()
            await asyncio.sleep(self._patience)
            return {"type": "websocket.disconnect", "code": 1001}

        return await self._called(self._scope("websocket", request, host), receive, [])


class _Running:
    """A loop in a thread, and the application's lifespan on it."""

    def __init__(self, app: _App) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
        self.life: _Lifespan = _Lifespan(app)
        self._thread: Thread = Thread(target=self.loop.run_forever, name="attacker", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def stop(self) -> None:
        self.run(self.loop.shutdown_asyncgens())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class _Lifespan:
    """The application's own start and end (ASGI Lifespan); an application without one is left alone."""

    def __init__(self, app: _App) -> None:
        self._app: _App = app
        self._inbox: asyncio.Queue[_Message] = asyncio.Queue()
        self._said: asyncio.Queue[str] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._live())
        await self._inbox.put({"type": "lifespan.startup"})
        said = await self._said.get()
        if said == "lifespan.startup.failed":
            raise UsageError("the application refused to start", hint="run it alone; its own error says why")

    async def stop(self) -> None:
        if self._task is not None and not self._task.done():
            await self._inbox.put({"type": "lifespan.shutdown"})
            await self._said.get()
            await self._task

    async def _live(self) -> None:
        async def send(message: _Message) -> None:
            await self._said.put(message["type"])

        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        try:
            await self._app(scope, self._inbox.get, send)
        except Exception:  # how an application says that it has no lifespan (ASGI Lifespan, "Scope")
            await self._said.put("lifespan.unsupported")
        else:
            await self._said.put("lifespan.over")


def _octets(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1", "replace")
