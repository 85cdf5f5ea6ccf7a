"""The host on Django, without a project: settings and URLs are made here."""

import re
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import include, path

from wellstreak_trust.core import drive
from wellstreak_trust.core.entropy import random_hex

from .calls import Call, Reply, Route
from .host import Host
from .routes import ROUTES

_HELD: dict[str, Host] = {}
urlpatterns: list[Any] = []


def trust() -> Any:
    """What ``settings.WELLSTREAK_TRUST`` names."""
    return _HELD["host"].trust


def make_app(host: Host) -> WSGIHandler:
    """The host as an application of this framework; refuses to start with an undeclared route."""
    _HELD["host"] = host
    settings.configure(
        SECRET_KEY=random_hex(32),  # of this run alone: the host keeps no state in Django
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["wellstreak_trust.adapters.django.TrustMiddleware"],
        INSTALLED_APPS=["wellstreak_trust.adapters.django"],
        WELLSTREAK_TRUST=f"{__name__}.trust",
        APPEND_SLASH=False,
    )
    django.setup()
    by_path: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        by_path.setdefault(route.path, {})[route.method] = _view(route)
    for template, views in by_path.items():
        pattern = re.sub(r"\{(\w+)\}", r"<str:\1>", template).lstrip("/")
        urlpatterns.append(path(pattern, _by_method(views), name=template))
    from wellstreak_trust.adapters.django import assert_all_routes_declared
    from wellstreak_trust.adapters.pages.django import operator_page

    urlpatterns.append(path("operators/", include(operator_page(host.console))))
    assert_all_routes_declared()
    return WSGIHandler()


def _by_method(views: dict[str, Any]) -> Any:
    """Django routes do not see the method; every view behind one path is declared by itself."""
    from wellstreak_trust.adapters.shared import declaration_of, declare

    def dispatch(request: HttpRequest, **params: str) -> HttpResponse:
        view = views.get(request.method or "")
        return view(request, **params) if view is not None else HttpResponseNotAllowed(list(views))

    declared = [found for view in views.values() if (found := declaration_of(view)) is not None]
    return declare(dispatch, declared[0]) if len(declared) == len(views) else dispatch


def _view(route: Route) -> Any:
    from wellstreak_trust.adapters.django import facts_of, guarded, public

    def call(request: HttpRequest, params: dict[str, str], grant: Any = None) -> Call:
        return Call(_HELD["host"], facts_of(request), params, request.body, grant)

    if route.operation is None:

        @public(route.public)
        def open_view(request: HttpRequest, **params: str) -> HttpResponse:
            return _respond(drive(route.handler(call(request, params))))

        return open_view

    resource = route.resource

    def fetch(request: HttpRequest) -> Any:
        assert resource is not None
        match = request.resolver_match
        return resource(call(request, dict(match.kwargs) if match is not None else {}))

    @guarded(route.operation, resource=fetch if resource is not None else None)
    def view(request: HttpRequest, grant: Any, **params: str) -> HttpResponse:
        return _respond(drive(route.handler(call(request, params, grant))))

    return view


def _respond(reply: Reply) -> HttpResponse:
    response = HttpResponse(reply.body, status=reply.status, content_type=reply.media)
    for name, value in reply.headers:
        if name == "Set-Cookie":  # Django keeps cookies apart from other headers, of which it knows one a name
            response.cookies.load(value)
        else:
            response[name] = value
    return response
