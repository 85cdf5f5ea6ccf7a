"""FastAPI: ``app.include_router(operator_page(console), prefix="/operators")``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from ...console import VIEW_OPERATIONS, Console
from ...guard import Operation
from ..fastapi import Guarded
from .starlette import shown

__all__ = ["operator_page"]


def operator_page(console: Console, operation: Operation = VIEW_OPERATIONS) -> APIRouter:
    """The page as a router; its routes are no part of the API's description."""
    granted: Any = Depends(Guarded(operation))

    async def show(request: Request, grant: Any = granted) -> Response:
        return await shown(console, request, grant)

    router = APIRouter(include_in_schema=False)
    router.add_api_route("/", show, methods=["GET"], response_class=Response)
    router.add_api_route("/{path}", show, methods=["GET"], response_class=Response)
    return router
