"""A host with a registry: all faults of one start-up at once, no stranger served, and what no route serves. The same in
every framework."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from small import READ, WRITE, Small
from ways import Answer, call_asgi, call_wsgi, django_settings

from wellstreak_trust import Operation, Operations
from wellstreak_trust.core import ConfigurationError

Routes = Mapping[str, Operation | None]
Serve = Callable[[Small, Routes], tuple[Callable[[], Any], Callable[[str], Answer]]]
PURGE = Operation("notes.purge", "notes:purge")
STRANGER = Operation("notes.list", "notes:read")
CHANGED = Operation("notes.read", "notes:read")  # not as it is registered: nothing is recorded


def flask_app(small: Small, routes: Routes) -> tuple[Callable[[], Any], Callable[[str], Answer]]:
    import flask

    from wellstreak_trust.adapters.flask import TrustExtension, assert_all_routes_declared, guarded

    app = flask.Flask("site", static_folder=None)
    TrustExtension(small.trust, app)
    for number, (path, operation) in enumerate(routes.items()):
        view = (lambda t: "x") if operation is None else guarded(operation)(lambda t: "x")
        app.add_url_rule(path.replace("{t}", "<t>"), f"view{number}", view)
    return (
        lambda: assert_all_routes_declared(app),
        lambda path: call_wsgi(app, "GET", path, small.lines(), b""),
    )


def starlette_app(small: Small, routes: Routes) -> tuple[Callable[[], Any], Callable[[str], Answer]]:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from wellstreak_trust.adapters.starlette import TrustMiddleware, assert_all_routes_declared, guarded

    async def plain(request: Request, grant: Any = None) -> PlainTextResponse:
        return PlainTextResponse("x")

    app = Starlette(
        routes=[Route(path, plain if each is None else guarded(each)(plain)) for path, each in routes.items()]
    )
    app.add_middleware(TrustMiddleware, trust=small.trust)
    return (
        lambda: assert_all_routes_declared(app),
        lambda path: asyncio.run(call_asgi(app, "GET", path, small.lines(), b"")),
    )


def fastapi_app(small: Small, routes: Routes) -> tuple[Callable[[], Any], Callable[[str], Answer]]:
    from fastapi import Depends, FastAPI

    from wellstreak_trust.adapters.fastapi import Guarded, TrustMiddleware, assert_all_routes_declared

    async def plain() -> str:
        return "x"

    app = FastAPI(openapi_url=None)
    app.add_middleware(TrustMiddleware, trust=small.trust)
    for path, operation in routes.items():
        app.add_api_route(path, plain, dependencies=[] if operation is None else [Depends(Guarded(operation))])
    return (
        lambda: assert_all_routes_declared(app),
        lambda path: asyncio.run(call_asgi(app, "GET", path, small.lines(), b"")),
    )


@contextmanager
def django_project(small: Small, routes: Routes) -> Iterator[None]:
    import django
    from django.apps import apps
    from django.conf import UserSettingsHolder, global_settings
    from django.http import HttpRequest, HttpResponse
    from django.urls import path as django_path

    from wellstreak_trust.adapters.django import guarded

    def plain(request: HttpRequest, t: str) -> HttpResponse:
        return HttpResponse("x")

    holder: Any = UserSettingsHolder(global_settings)
    holder.SECRET_KEY, holder.ALLOWED_HOSTS = "x" * 50, ["*"]
    holder.ROOT_URLCONF = tuple(
        django_path(path.removeprefix("/").replace("{t}", "<t>"), plain if each is None else guarded(each)(plain))
        for path, each in routes.items()
    )
    holder.MIDDLEWARE = ["wellstreak_trust.adapters.django.TrustMiddleware"]
    holder.INSTALLED_APPS = ["wellstreak_trust.adapters.django"]
    holder.WELLSTREAK_TRUST = small.trust
    with django_settings(holder):
        if not apps.ready:
            django.setup()
        yield


def django_app(small: Small, routes: Routes) -> tuple[Callable[[], Any], Callable[[str], Answer]]:
    from django.core.handlers.wsgi import WSGIHandler

    from wellstreak_trust.adapters.django import assert_all_routes_declared

    def check() -> Any:
        with django_project(small, routes):
            return assert_all_routes_declared()

    def ask(path: str) -> Answer:
        lines = small.lines()
        with django_project(small, routes):
            return call_wsgi(WSGIHandler(), "GET", path, lines, b"")

    return check, ask


every = pytest.mark.parametrize("serve", [flask_app, starlette_app, fastapi_app, django_app], ids=lambda f: f.__name__)


@every
def test_a_whole_start_up(serve: Serve) -> None:
    small = Small(operations=Operations([READ, WRITE]))
    check, ask = serve(small, {"/w/{t}/a": READ, "/w/{t}/b": WRITE})
    assert check() == ()
    assert ask("/w/acme/a").status == 200


@every
def test_what_no_route_serves_is_told_and_no_fault(serve: Serve) -> None:
    small = Small(operations=Operations([READ, WRITE, PURGE]))
    check, _ = serve(small, {"/w/{t}/a": READ})
    assert check() == (WRITE, PURGE)


@every
def test_without_a_registry_there_is_nothing_to_tell(serve: Serve) -> None:
    check, ask = serve(Small(), {"/w/{t}/a": STRANGER})
    assert check() == ()
    assert ask("/w/acme/a").status == 200


@every
@pytest.mark.parametrize("stranger", [STRANGER, CHANGED], ids=["unknown", "other than registered"])
def test_a_stranger_is_refused_at_start_and_not_served_either(serve: Serve, stranger: Operation) -> None:
    small = Small(operations=Operations([READ, WRITE]))
    check, ask = serve(small, {"/w/{t}/a": READ, "/w/{t}/b": stranger})
    with pytest.raises(ConfigurationError) as refused:
        check()
    assert refused.value.reason == "unregistered_operation"
    answer = ask("/w/acme/b")
    assert (answer.status, b"internal_error" in answer.body) == (500, True)
    assert b"registered" not in answer.body
    assert ask("/w/acme/a").status == 200


@every
def test_all_faults_of_one_start_up_are_told_at_once(serve: Serve) -> None:
    unrouted = Operation("notes.shred", "notes:shred")
    small = Small(operations=Operations([READ, unrouted]))
    check, _ = serve(small, {"/w/{t}/a": READ, "/w/{t}/b": Operation("x", "notes:raed"), "/w/{t}/c": None})
    with pytest.raises(ConfigurationError) as refused:
        check()
    assert [fault.reason for fault in refused.value.faults] == [
        "undeclared_route", "unregistered_operation", "unknown_permission", "unknown_permission",
    ]  # fmt: skip
    for said in ("/c", "x is not one of", "notes:raed", "notes.shred asks for"):
        assert said in refused.value.detail.replace("<t>", "{t}")


@every
def test_all_faults_of_operations_without_a_registry_too(serve: Serve) -> None:
    both = Operation("x", "notes:raed", limits=("tennant",), connection="drive")
    check, _ = serve(Small(), {"/w/{t}/a": both, "/w/{t}/b": both})
    with pytest.raises(ConfigurationError) as refused:
        check()
    assert [fault.reason for fault in refused.value.faults] == ["unknown_permission", "limits", "connections"]


def test_djangos_own_check_shows_each_fault_with_its_hint() -> None:
    from wellstreak_trust.adapters.django.apps import check_routes

    small = Small(operations=Operations([READ]))
    with django_project(small, {"/w/{t}/a": Operation("x", "notes:raed"), "/w/{t}/b": None}):
        assert [(each.id, bool(each.hint)) for each in check_routes()] == [("trust.E001", True)] * 3
