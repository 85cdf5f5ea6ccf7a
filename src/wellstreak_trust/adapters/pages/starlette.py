"""Starlette: ``Mount("/operators", routes=operator_page(console))``."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ...console import VIEW_OPERATIONS, Console
from ...guard import Grant, Operation
from ..starlette import guarded

__all__ = ["operator_page", "shown"]


async def shown(console: Console, request: Request, grant: Grant) -> Response:
    """The answer to one request; blocking stores are read in a worker thread, so that others are served meanwhile."""
    asked = request.path_params.get("path", ""), request.scope["query_string"].decode("latin-1"), grant
    made = await (console.apage(*asked) if console.suspends else run_in_threadpool(console.page, *asked))
    return Response(made.html, made.status, dict(made.headers))


def operator_page(console: Console, operation: Operation = VIEW_OPERATIONS) -> list[BaseRoute]:
    """The page as two routes."""

    @guarded(operation)
    async def show(request: Request, grant: Grant) -> Response:
        return await shown(console, request, grant)

    return [Route("/", show), Route("/{path}", show)]
