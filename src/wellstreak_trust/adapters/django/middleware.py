"""The middleware: preflights, header decoration, refusals; under WSGI and ASGI, sync and async."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject
from django.utils.module_loading import import_string

from ...core.errors import ConfigurationError, TrustError
from ...core.http import RequestFacts
from ...guard import Grant
from ...trust import Trust
from ..shared import Edge
from ..visit import Visit

__all__ = ["TrustMiddleware", "csp", "csp_nonce", "current_grant", "edge", "facts_of", "hold", "visit_of"]

_VISIT: Final = "_wellstreak_trust_visit"
_REFUSAL: Final = "_wellstreak_trust_refusal"


_EDGES: Final[dict[Any, tuple[object, Edge]]] = {}


def edge() -> Edge:
    """The edge over ``settings.WELLSTREAK_TRUST``: a `Trust`, a function returning one, or the dotted path of either.

    ``WELLSTREAK_TRUST_SCHEME_IS_TRUSTED = False`` says that TLS ends at a proxy that is not in
    ``Trust(client_address=...)``; ``WELLSTREAK_TRUST_FORWARDED_HOST = True`` takes ``X-Forwarded-Host`` from those
    that are.

    Raises:
        ConfigurationError: the setting is missing or names something else.
    """
    named: Any = getattr(settings, "WELLSTREAK_TRUST", None)
    key = named if isinstance(named, str) else id(named)
    held = _EDGES.get(key)
    if held is None or held[0] is not named:
        held = _EDGES[key] = (named, _made(named))
    return held[1]


def _made(named: Any) -> Edge:
    try:
        found = import_string(named) if isinstance(named, str) else named
    except ImportError as error:
        raise _no_trust(f"settings.WELLSTREAK_TRUST names nothing: {error}") from None
    trust = found() if callable(found) else found
    if not isinstance(trust, Trust):
        raise _no_trust(f"settings.WELLSTREAK_TRUST is {type(trust).__name__}, which is no Trust")
    return Edge(
        trust,
        scheme_is_trusted=getattr(settings, "WELLSTREAK_TRUST_SCHEME_IS_TRUSTED", True),
        forwarded_host=getattr(settings, "WELLSTREAK_TRUST_FORWARDED_HOST", False),
    )


def _no_trust(detail: str) -> ConfigurationError:
    return ConfigurationError(detail, hint="WELLSTREAK_TRUST = 'project.security.trust'", reason="no_trust")


def visit_of(request: HttpRequest) -> Visit:
    """What is known of a request; its facts name the matched view."""
    match = request.resolver_match
    route = (match.view_name or None) if match is not None else None
    held: Visit | None = getattr(request, _VISIT, None)
    if held is None or held.facts.route != route:
        found, scope = edge(), getattr(request, "scope", None)
        reader = found.facts
        facts = reader.asgi(scope, route=route) if scope is not None else reader.wsgi(request.META, route=route)
        if held is None:
            held = Visit(found, facts)
            setattr(request, _VISIT, held)
        held.facts = facts
    return held


def facts_of(request: HttpRequest) -> RequestFacts:
    """The facts of a request; the route is the matched view's name."""
    return visit_of(request).facts


def hold(request: HttpRequest, grant: Grant) -> None:
    """Keeps the grant of a request."""
    visit_of(request).grant = grant
    request.grant = grant  # type: ignore[attr-defined]  # a documented attribute of guarded requests


def current_grant(request: HttpRequest) -> Grant:
    """The grant of a request; `request.grant`, for those who want its type.

    Raises:
        ConfigurationError: outside a guarded view.
    """
    return visit_of(request).granted()


def csp_nonce(request: HttpRequest) -> str:
    """The nonce of this response's content security policy; the same at every call of one request."""
    return visit_of(request).csp_nonce()


def csp(request: HttpRequest) -> dict[str, Any]:
    """Context processor: templates write ``<script nonce="{{ csp_nonce }}">``; nothing is made unless they do."""
    return {"csp_nonce": SimpleLazyObject(lambda: csp_nonce(request))}


def _remember(sender: object, request: HttpRequest | None = None, **kwargs: object) -> None:
    """Keeps a refusal that other middleware raised: Django makes a bare 500 of it below us, and only signals it."""
    error = sys.exc_info()[1]
    if request is not None and isinstance(error, TrustError):
        setattr(request, _REFUSAL, error)


got_request_exception.connect(_remember, dispatch_uid="wellstreak_trust")


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
        except TrustError as error:  # only where DEBUG_PROPAGATE_EXCEPTIONS is on
            response = self._render(error)
        return self._finished(request, response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        early = self._preflight(request)
        if early is not None:
            return early
        try:
            response = await self.get_response(request)
        except TrustError as error:
            response = self._render(error)
        return self._finished(request, response)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        """Renders what a view raised; Django would make a 500 of it before `__call__` could see it."""
        return self._render(error) if isinstance(error, TrustError) else None

    def _render(self, error: TrustError) -> HttpResponse:
        problem = self.edge.problem(error)
        return HttpResponse(problem.body, status=problem.status, headers=dict(problem.headers))

    def _preflight(self, request: HttpRequest) -> HttpResponse | None:
        pairs = self.edge.preflight(facts_of(request))
        return None if pairs is None else HttpResponse(b"", status=204, headers=dict(pairs))

    def _finished(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        refusal: TrustError | None = getattr(request, _REFUSAL, None)
        if refusal is not None and response.status_code == 500:
            response = self._render(refusal)
        pairs = self.edge.decorate(facts_of(request), list(response.items()), visit_of(request).nonce)
        kept = {name.lower() for name, _ in pairs}
        for name in [name for name, _ in response.items() if name.lower() not in kept]:
            del response[name]
        for name, value in pairs:
            response[name] = value
        return response
