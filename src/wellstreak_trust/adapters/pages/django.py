"""Django: ``path("operators/", include(operator_page(console)))``, under WSGI and ASGI."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path

from ...console import VIEW_OPERATIONS, Console, ConsolePage
from ...guard import Grant, Operation
from ..django import guarded

__all__ = ["operator_page"]

_SAFE: Final = ("GET", "HEAD")  # Django's routes do not see the method


def operator_page(console: Console, operation: Operation = VIEW_OPERATIONS) -> list[URLPattern]:
    """The page as two URL patterns; its views are ``async def`` where a part of the console suspends."""

    def show(request: HttpRequest, grant: Grant, name: str = "") -> HttpResponse:
        if request.method not in _SAFE:
            return HttpResponseNotAllowed(_SAFE)
        return _response(console.page(name, request.META.get("QUERY_STRING", ""), grant))

    async def ashow(request: HttpRequest, grant: Grant, name: str = "") -> HttpResponse:
        if request.method not in _SAFE:
            return HttpResponseNotAllowed(_SAFE)
        return _response(await console.apage(name, request.META.get("QUERY_STRING", ""), grant))

    view = guarded(operation)(ashow if console.suspends else show)
    return [path("", view, name="operator_page"), path("<str:name>", view, name="operator_section")]


def _response(made: ConsolePage) -> HttpResponse:
    return HttpResponse(made.html, status=made.status, headers=dict(made.headers))
