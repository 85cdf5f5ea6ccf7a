"""The middleware: preflights, header decoration, refusals; under WSGI and ASGI, sync and async."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from ...core.errors import ConfigurationError, TrustError
from ...core.http import RequestFacts
from ...trust import Trust
from ..shared import Edge, asgi_facts, wsgi_facts

__all__ = ["TrustMiddleware", "edge", "facts_of"]

_FACTS = "_wellstreak_trust_facts"


@lru_cache(maxsize=8)
def _load(path: str) -> Edge:
    found = import_string(path)
    trust = found() if callable(found) else found
    if not isinstance(trust, Trust):
        raise ConfigurationError(f"{path} is no Trust", hint="WELLSTREAK_TRUST = 'module.trust'", reason="no_trust")
    return Edge(trust)


def edge() -> Edge:
    """The edge over the `Trust` that ``settings.WELLSTREAK_TRUST`` names (an instance, or a function returning one).

    Raises:
        ConfigurationError: the setting is missing or names something else.
    """
    path = getattr(settings, "WELLSTREAK_TRUST", None)
    if not isinstance(path, str):
        raise ConfigurationError(
            "settings.WELLSTREAK_TRUST is missing",
            hint="WELLSTREAK_TRUST = 'project.security.trust'",
            reason="no_trust",
        )
    return _load(path)


def facts_of(request: HttpRequest) -> RequestFacts:
    """The facts of a request; the route is the matched view's name."""
    match = request.resolver_match
    route = (match.view_name or None) if match is not None else None
    held: RequestFacts | None = getattr(request, _FACTS, None)
    if held is None or held.route != route:
        scope: Any = getattr(request, "scope", None)
        held = asgi_facts(scope, route=route) if scope is not None else wsgi_facts(request.META, route=route)
        setattr(request, _FACTS, held)
    return held


class TrustMiddleware:
    """Outermost in ``MIDDLEWARE``, so that refusals of other middleware are rendered too."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response: Callable[[HttpRequest], Any] = get_response
        self.edge: Edge = edge()
        self._later: bool = iscoroutinefunction(get_response)
        if self._later:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """One request, in the way the chain below it runs."""
        if self._later:
            return self._acall(request)
        early = self._preflight(request)
        if early is not None:
            return early
        try:
            response = self.get_response(request)
        except TrustError as error:
            response = self._render(error)
        return self._decorate(request, response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        early = self._preflight(request)
        if early is not None:
            return early
        try:
            response = await self.get_response(request)
        except TrustError as error:
            response = self._render(error)
        return self._decorate(request, response)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        """Renders what a view raised; Django would make a 500 of it before `__call__` could see it."""
        return self._render(error) if isinstance(error, TrustError) else None

    def _render(self, error: TrustError) -> HttpResponse:
        problem = self.edge.problem(error)
        response = HttpResponse(problem.body, status=problem.status)
        for name, value in problem.headers:
            response[name] = value
        return response

    def _preflight(self, request: HttpRequest) -> HttpResponse | None:
        pairs = self.edge.preflight(facts_of(request))
        if pairs is None:
            return None
        response = HttpResponse(b"", status=204)
        for name, value in pairs:
            response[name] = value
        return response

    def _decorate(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        for name, value in self.edge.decorate(facts_of(request), list(response.items())):
            response[name] = value
        return response
