"""One nonce a response, the same in its page and in its policy, and none where no page asked."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from small import Small
from ways import HOST, Answer, call_asgi, call_wsgi, django_settings

from wellstreak_trust.origin import SecurityHeaders

Ask = Callable[[str], Answer]
LINES = [("Host", HOST)]


def flask_site(small: Small) -> Ask:
    from flask import Flask, render_template_string

    from wellstreak_trust.adapters.flask import TrustExtension, public

    app = Flask(__name__)
    TrustExtension(small.trust, app)

    @app.route("/page")
    @public(reason="a page")
    def page() -> str:
        return render_template_string("{{ csp_nonce() }} {{ csp_nonce() }}")

    @app.route("/plain")
    @public(reason="no script")
    def plain() -> str:
        return "plain"

    return lambda path: call_wsgi(app, "GET", path, LINES, b"")


def starlette_site(small: Small) -> Ask:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from wellstreak_trust.adapters.starlette import TrustMiddleware, csp_nonce, public

    @public(reason="a page")
    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{csp_nonce(request)} {csp_nonce(request)}")

    @public(reason="no script")
    async def plain(request: Request) -> PlainTextResponse:
        return PlainTextResponse("plain")

    app = Starlette(routes=[Route("/page", page), Route("/plain", plain)])
    app.add_middleware(TrustMiddleware, trust=small.trust)
    return lambda path: asyncio.run(call_asgi(app, "GET", path, LINES, b""))


@pytest.fixture(params=["flask", "starlette", "django"])
def ask(request: pytest.FixtureRequest) -> Iterator[Ask]:
    small = Small(security_headers=SecurityHeaders.strict())
    if request.param != "django":
        yield {"flask": flask_site, "starlette": starlette_site}[request.param](small)
        return
    from django.conf import UserSettingsHolder, global_settings

    mine: Any = UserSettingsHolder(global_settings)
    mine.WELLSTREAK_TRUST = small.trust
    mine.ROOT_URLCONF = __name__
    mine.ALLOWED_HOSTS = [HOST]
    mine.SECRET_KEY = "of a test"
    mine.MIDDLEWARE = ["wellstreak_trust.adapters.django.TrustMiddleware"]
    with django_settings(mine):
        yield from django_site()


def django_site() -> Iterator[Ask]:
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpRequest, HttpResponse
    from django.template import Engine, RequestContext
    from django.urls import path

    from wellstreak_trust.adapters.django import public

    engine = Engine(context_processors=["wellstreak_trust.adapters.django.csp"])
    template = engine.from_string("{{ csp_nonce }} {{ csp_nonce }}")

    @public(reason="a page")
    def page(request: HttpRequest) -> HttpResponse:
        return HttpResponse(template.render(RequestContext(request)))

    @public(reason="no script")
    def plain(request: HttpRequest) -> HttpResponse:
        return HttpResponse("plain")

    module = ModuleType("nonce_urls")
    module.urlpatterns = [path("page", page), path("plain", plain)]  # type: ignore[attr-defined]  # a made module
    sys.modules["nonce_urls"] = module
    settings.ROOT_URLCONF = "nonce_urls"
    app = WSGIHandler()
    yield lambda target: call_wsgi(app, "GET", target, LINES, b"")
    del sys.modules["nonce_urls"]


@pytest.mark.asvs("3.4.3")
def test_the_page_and_its_policy_share_a_nonce_of_their_own(ask: Ask) -> None:
    seen = set()
    for _ in range(2):
        answer = ask("/page")
        first, second = answer.body.decode().split()
        assert first == second
        assert re.fullmatch(r"[A-Za-z0-9+/]{22}==", first)
        policy = answer.header("content-security-policy") or ""
        assert policy.count(f"'nonce-{first}'") == 2  # scripts and styles
        seen.add(first)
    assert len(seen) == 2


def test_an_answer_that_asked_for_none_allows_none(ask: Ask) -> None:
    ask("/page")
    policy = ask("/plain").header("content-security-policy") or ""
    assert "nonce" not in policy
