"""Webhook views for Flask. Public as ``flask.webhook``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, current_app, make_response, request

from ..core.sansio import require_blocking
from ..webhooks import Delivery, Incoming, Receiver, read_body
from .hooks import received

__all__ = ["webhook"]


def webhook(
    receiver: Receiver, *, parameter: str = "token"
) -> Callable[[Callable[[Delivery], Any]], Callable[..., Response]]:
    """Makes a view of a handler ``handler(delivery)``: the raw body is read once, verified, and processed once.

    The handler's answer is the view's; without one, it is what the provider wants to read. Register the view for
    POST, and for GET and HEAD too where the provider opens with a handshake by these.

    Args:
        parameter: of the route, which holds the endpoint's token, for receivers with a registry.
    """
    require_blocking(receiver, "Flask", "this receiver")

    def decorate(handler: Callable[[Delivery], Any]) -> Callable[..., Response]:
        @wraps(handler)
        def view(**path: Any) -> Response:
            async def read(limit: int) -> bytes:
                return read_body(request.stream, request.content_length, limit=limit)

            async def handle(delivery: Delivery) -> Response | None:
                answer = current_app.ensure_sync(handler)(delivery)
                return None if answer is None else make_response(answer)

            query, lines = request.query_string.decode("latin-1"), list(request.headers.items())
            incoming = Incoming(request.method, query, lines, read, str(path.get(parameter, "")))
            found = received(receiver, incoming, handle)
            return found if isinstance(found, Response) else Response(found.body, found.status, list(found.headers))

        return view

    return decorate
