"""Webhook views for Django, sync and async."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from ...webhooks import Delivery, Incoming, Receiver, read_body
from ..hooks import Answer, areceived, received

__all__ = ["webhook"]

View = Callable[..., Any]


def webhook(receiver: Receiver, *, parameter: str = "token") -> Callable[[Callable[[Delivery], Any]], View]:
    """Makes a view of a handler ``handler(delivery)``, ``async def`` too: the raw body is read once, verified, and
    processed once. It is exempt from CSRF checks, because no browser sends this: the signature authenticates.

    The handler's `HttpResponse` is the view's; without one, it is what the provider wants to read.

    Args:
        parameter: of the route, which holds the endpoint's token, for receivers with a registry.
    """

    def decorate(handler: Callable[[Delivery], Any]) -> View:
        async def handle(delivery: Delivery) -> HttpResponseBase | None:
            answer: HttpResponseBase | None = handler(delivery)
            return answer

        def now(request: HttpRequest, **path: Any) -> HttpResponseBase:
            incoming = _incoming(request, str(path.get(parameter, "")))
            if receiver.suspends:
                return _response(async_to_sync(areceived)(receiver, incoming, handle))
            return _response(received(receiver, incoming, handle))

        async def later(request: HttpRequest, **path: Any) -> HttpResponseBase:
            return _response(await areceived(receiver, _incoming(request, str(path.get(parameter, ""))), handler))

        view: Any = wraps(handler)(later if iscoroutinefunction(handler) else now)
        view.csrf_exempt = True
        return view  # type: ignore[no-any-return]  # Django's own mark is an attribute of the function

    return decorate


def _incoming(request: HttpRequest, token: str) -> Incoming:
    async def read(limit: int) -> bytes:
        return read_body(request, request.META.get("CONTENT_LENGTH"), limit=limit)

    query = request.META.get("QUERY_STRING", "")
    return Incoming(request.method or "", query, list(request.headers.items()), read, token)


def _response(found: HttpResponseBase | Answer) -> HttpResponseBase:
    if isinstance(found, HttpResponseBase):
        return found
    return HttpResponse(found.body, status=found.status, headers=dict(found.headers))
