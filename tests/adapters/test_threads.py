"""Eight threads of two tenants, interleaved: each sees its own, and a thread keeps nothing for its next request."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
from small import READ, Small, tenant_now
from ways import call_wsgi

from wellstreak_trust.tenancy import current_tenant, scope_leaks

THREADS, ROUNDS = 8, 12


def play(app: Any, small: Small) -> None:
    """Every request waits inside its view until as many of the other tenant are inside theirs."""
    for who in ("ada", "eve"):
        small.cookie(who)

    def client(number: int) -> set[bytes]:
        who, tenant = (("ada", "acme"), ("eve", "evil"))[number % 2]
        found = set()
        for _ in range(ROUNDS):
            answer = call_wsgi(app, "GET", f"/w/{tenant}/x", small.lines(who), b"")
            assert current_tenant() is None
            found.add(answer.body)
            assert call_wsgi(app, "GET", "/open", small.lines(who), b"").body == b"-"
            foreign = "evil" if tenant == "acme" else "acme"
            assert call_wsgi(app, "GET", f"/w/{foreign}/x", small.lines(who), b"").status == 404
        return found

    leaks = scope_leaks()
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(client, range(THREADS)))
    assert answers == [{b"acme acme"}, {b"evil evil"}] * (THREADS // 2)
    assert scope_leaks() == leaks


class Meeting:
    """All threads of a round stand in their views at once."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(THREADS, timeout=20)

    def __call__(self) -> str:
        before = tenant_now()
        self.barrier.wait()
        return f"{before} {tenant_now()}"


def test_flask() -> None:
    from wellstreak_trust.adapters.flask import TrustExtension, guarded, public

    small, meet = Small(), Meeting()
    app = flask.Flask("threads", static_folder=None)
    TrustExtension(small.trust, app)
    app.add_url_rule("/w/<t>/x", "x", guarded(READ)(lambda t: meet()))
    app.add_url_rule("/open", "open", public("a test")(tenant_now))
    play(app, small)


def test_django() -> None:
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.urls import path
    from test_django import project

    from wellstreak_trust.adapters.django import guarded, public

    small, meet = Small(), Meeting()
    views = (
        path("w/<t>/x", guarded(READ)(lambda request, t: HttpResponse(meet()))),
        path("open", public("a test")(lambda request: HttpResponse(tenant_now()))),
    )
    with project(small, views):
        play(WSGIHandler(), small)
