"""Plain ASGI: ``operator_page(console)`` is an application, for the host to mount at a prefix (``root_path``)."""

from __future__ import annotations

from asyncio import to_thread

from ...console import VIEW_OPERATIONS, Console
from ...core.problem import ProblemResponse
from ...guard import Operation
from ..asgi import App, Receive, Scope, Send, current_grant, guarded
from ..asgi_middleware import answer

__all__ = ["operator_page"]

_SAFE = ("GET", "HEAD")


def operator_page(console: Console, operation: Operation = VIEW_OPERATIONS) -> App:
    """The page as one application, the overview at its root and the sections below; on asyncio."""

    @guarded(operation)
    async def show(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in _SAFE:
            await answer(send, ProblemResponse(405, (("Allow", ", ".join(_SAFE)),), b""))
            return
        name = scope["path"].removeprefix(scope.get("root_path", "")).strip("/")
        asked = name, scope.get("query_string", b"").decode("latin-1"), current_grant(scope)
        # Blocking stores are read in a worker thread, so that others are served meanwhile.
        made = await (console.apage(*asked) if console.suspends else to_thread(console.page, *asked))
        await answer(send, ProblemResponse(made.status, made.headers, made.html.encode()))

    return show
