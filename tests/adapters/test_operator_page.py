"""The operator page in every framework: one guard, one trail, the same headers, the same page."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest
from small import Small
from ways import HOST, Answer, Way, call_asgi

from wellstreak_trust import Operation
from wellstreak_trust.authz import Policy
from wellstreak_trust.console import VIEW_OPERATIONS, Console
from wellstreak_trust.console.style import POLICY
from wellstreak_trust.core.errors import ConfigurationError
from wellstreak_trust.ratelimit import LimitRule, RateLimiter

TARGETS = ("", "connections", "runs", "anomalies", "audit", "limits", "secrets", "reports", "nowhere", "runs?before=x")
STATUSES = (*[200] * 8, 404, 400)


def page(way: Way, target: str, who: str | None = "root", method: str = "GET") -> Answer:
    lines = [("Sec-Fetch-Site", "same-origin"), *([way.cookie(who)] if who else [])]
    return way.ask(method, f"/operators/{target}", *lines)


@pytest.mark.parametrize(("target", "status"), list(zip(TARGETS, STATUSES, strict=True)))
def test_the_same_page_everywhere(ways: list[Way], target: str, status: int) -> None:
    seen = set()
    for way in ways:
        answer = page(way, target)
        assert answer.status == status, way.name
        assert answer.header("content-type") == "text/html; charset=utf-8"
        assert answer.header("content-security-policy") == POLICY
        assert answer.header("cache-control") == "no-store"
        assert answer.header("x-content-type-options") == "nosniff"
        told = re.findall(r"<h1>.*?</h1>|<nav.*?</nav>", answer.body.decode())
        seen.add(tuple(part for part in told if 'class="pager"' not in part))  # each host has a trail of its own
    assert len(seen) == 1


@pytest.mark.parametrize("target", ["", "audit?tenant=acme", "secrets"])
def test_others_are_refused_and_see_nothing(ways: list[Way], target: str) -> None:
    for way in ways:
        for who, status in ((None, 401), ("ada", 403), ("eve", 403)):
            answer = page(way, target, who)
            assert answer.status == status, (way.name, who)
            assert answer.header("content-type") == "application/problem+json"
            assert b"<html" not in answer.body


def test_it_only_reads(ways: list[Way]) -> None:
    for way in ways:
        for method in ("POST", "PUT", "DELETE"):
            answer = page(way, "", method=method)
            assert answer.status == 405, (way.name, method)


def test_each_read_is_on_record(ways: list[Way]) -> None:
    for way in ways:
        before = way.trail("system").count(("operations.viewed", "success"))
        page(way, "limits")
        page(way, "limits", "ada")
        trail = way.trail("system")
        assert trail.count(("operations.viewed", "success")) == before + 1, way.name
        assert trail[0] == ("access.denied", "denied")
        assert trail[2] == ("operations.viewed", "attempted")


def test_a_page_that_is_wrong_is_recorded_as_such(ways: list[Way]) -> None:
    for way in ways:
        page(way, "runs?before=x")
        assert way.trail("system")[0] == ("operations.viewed", "failure"), way.name


def starlette_app(console: Console, small: Small, operation: Operation) -> Any:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from wellstreak_trust.adapters.pages.starlette import operator_page
    from wellstreak_trust.adapters.starlette import TrustMiddleware, assert_all_routes_declared

    app = Starlette(routes=[Mount("/w/{tenant}/operators", routes=operator_page(console, operation))])
    app.add_middleware(TrustMiddleware, trust=small.trust)
    assert_all_routes_declared(app)
    return app


def test_starlette_alone_over_blocking_stores() -> None:
    view = {
        "permissions": {"operations:view": {"scope": "platform"}},
        "roles": {"root": {"allow": ["operations:view"]}},
    }
    small = Small(policy=Policy.from_dict({"schema": 1, **view}))
    opened = small.sessions.open("root", roles=["root"])
    small.cookies["root"] = ("Cookie", f"{opened.cookie.name}={opened.token.reveal()}")
    app = starlette_app(
        Console(audit=small.audit, limiter=RateLimiter([LimitRule("a", 9, timedelta(minutes=1))])),
        small,
        VIEW_OPERATIONS,
    )
    for path, said in (("", b"Nothing needs you."), ("limits", b"1 in all"), ("audit", b"operations.viewed")):
        answer = asyncio.run(call_asgi(app, "GET", f"/w/acme/operators/{path}", small.lines("root"), b""))
        assert answer.status == 200, path
        assert said in answer.body


@pytest.mark.parametrize("who", ["ada", "eve"])
def test_a_permission_of_a_tenant_never_opens_it(who: str) -> None:
    """A host that guards the page by a permission of workspaces gets an error, not a leak."""
    small = Small()
    console = Console(audit=small.audit)
    app = starlette_app(console, small, Operation("notes.read", "notes:read"))
    tenant = {"ada": "acme", "eve": "evil"}[who]
    answer = asyncio.run(call_asgi(app, "GET", f"/w/{tenant}/operators/", small.lines(who), b""))
    assert answer.status == 500
    assert b"html" not in answer.body


def test_flask_refuses_a_console_that_suspends() -> None:
    from wellstreak_trust.adapters.pages.flask import operator_page

    small = Small()
    console = Console(audit=small.audit)
    console.suspends = True
    with pytest.raises(ConfigurationError) as refused:
        operator_page(console)
    assert refused.value.reason == "store_suspends"


def test_the_name_of_the_server_is_not_in_the_page(ways: list[Way]) -> None:
    """Relative addresses alone: the page works at any prefix and behind any proxy."""
    for way in ways:
        assert HOST.encode() not in page(way, "connections").body
