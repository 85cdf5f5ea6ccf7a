"""The attacker itself: what it refuses, where it stops, what its report shows and hides, and how it reaches a host."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from random import Random
from typing import Any

import flask
import pytest
import uvicorn
from fastapi import APIRouter, FastAPI, WebSocket
from notes import NOTES, READ, Notes, fastapi_app, flask_app
from plants import PLANTS
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount
from starlette.routing import Route as StarletteRoute
from waitress.server import create_server

from wellstreak_trust.adapters import flask as on_flask
from wellstreak_trust.core import UsageError
from wellstreak_trust.core.errors import InvalidCredential
from wellstreak_trust.tenancy import HeaderSource, SubdomainSource, TenantResolver
from wellstreak_trust.testing.attacker import (
    ATTACKS,
    Attacker,
    Burst,
    Naming,
    Person,
    Request,
    Route,
    Severity,
    Target,
    routes_of,
)

ADA, EVE = (
    Person("ada", "acme", {"Cookie": "sid=a-secret-of-ada"}),
    Person("eve", "evil", {"Cookie": "sid=eves-secret"}),
)


# --- what it refuses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("people", "more", "told"),
    [
        ([ADA], {}, "people of two tenants"),
        ([ADA, replace(EVE, name="ada")], {}, "two people have one name"),
        ([ADA, EVE], {"skip": ["sql"]}, "no attack 'sql'"),
        ([ADA, EVE], {"accepted": {"answers.nothing GET /": "why"}}, "no attack 'answers.nothing'"),
    ],
)
def test_what_cannot_be_meant_is_refused(people: list[Person], more: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Attacker(Target.wsgi(flask.Flask("x")), people, **more)


@pytest.mark.parametrize("more", [{"bodies": {"GET /x": 1}}, {"benign": ["GET /x"]}, {"bursts": [Burst("GET /x", 1)]}])
def test_a_place_that_is_no_route_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="'GET /x' is no route"):
        Attacker(Target.wsgi(flask_app(Notes())), [ADA, EVE], **more).run()


def test_an_application_of_another_kind_needs_its_routes() -> None:
    with pytest.raises(UsageError, match="no routes are found on function"):
        Attacker(Target.wsgi(lambda environ, start: []), [ADA, EVE]).run()


@pytest.mark.parametrize(
    "base",
    ["http://192.0.2.1", "https://192.0.2.1:8443", "ftp://127.0.0.1", "127.0.0.1", "http://127.0.0.1/app",
     "http://nobody.invalid", "http://ada:pw@127.0.0.1"],
)  # fmt: skip
def test_other_machines_are_left_alone(base: str) -> None:
    with pytest.raises(UsageError):
        Target.url(base)


def test_another_machine_must_be_meant() -> None:
    assert Target.url("http://192.0.2.1", allow_remote=True).host == "192.0.2.1"
    for mine in ("http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"):
        assert Target.url(mine).scheme == "http"


# --- where it stops --------------------------------------------------------------------------------------------------


def test_an_engagement_that_ended_early_is_no_pass() -> None:
    report = Notes().on_flask(max_requests=200).run()
    assert not report
    assert not report.complete
    assert report.requests == 200
    assert report.findings == ()
    assert {item.outcome for item in report.tried if item.attack == "malformed.input"} == {"not tried"}
    with pytest.raises(AssertionError, match="ended before everything was tried"):
        report.raise_if_any(Severity.CRITICAL)
    assert not Notes().on_fastapi(max_seconds=0.0).run()


def test_what_is_answered_by_a_limit_shows_nothing() -> None:
    app = flask.Flask("limited", static_folder=None)

    @app.before_request
    def limited() -> Any:
        return "", 429, {"Retry-After": "7"}

    waited: list[float] = []
    routes = [Route("GET", "/w/{tenant}/notes"), Route("DELETE", "/w/{tenant}/notes")]
    report = Attacker(
        Target.wsgi(app), [ADA, EVE], routes, on_limited=waited.append, only=["anonymous", "tenants"]
    ).run()
    assert {item.outcome for item in report.tried if item.attack in ("anonymous.nothing", "tenants.by_name")} == {
        "unclear"
    }
    assert set(waited) == {7.0}
    assert report.unproven == {"GET /w/{tenant}/notes": "genuine requests are answered 429"}


def test_one_fault_at_a_place_is_enough() -> None:
    report = PLANTS["any-bearer"]().attack().run()
    assert [item.outcome for item in report.tried if item.attack == "anonymous.false_credential"].count("finding") == 5
    assert {item.note for item in report.tried if item.outcome == "moot"} == {"explained by anonymous.false_credential"}


def test_some_can_be_left_out_or_played_alone() -> None:
    alone = Notes().on_flask(only=["tenants", "vertical.head"]).run()
    assert {name.partition(".")[0] for name in alone.attacks} == {"tenants", "vertical"}
    without = Notes().on_flask(skip=["malformed", "tenants.by_spelling"]).run()
    assert set(without.attacks) == {a.id for a in ATTACKS} - {"malformed.input", "tenants.by_spelling"}


def test_a_finding_may_be_accepted_with_a_reason() -> None:
    why = {"answers.cookie_flags GET /": "a marker without meaning"}
    report = replace(PLANTS["bare-cookie"]().attack(), accepted=why).run()
    assert report
    assert [reason for _, reason in report.accepted] == ["a marker without meaning"]
    assert "a marker without meaning" in report.to_text()
    elsewhere = replace(PLANTS["bare-cookie"]().attack(), accepted={"answers.cookie_flags GET /x": "no"}).run()
    assert not elsewhere


def test_a_credential_that_ended_on_the_way_is_told() -> None:
    host = Notes()
    attack = host.on_flask(only=["tenants.by_name"])
    attack = replace(attack, ids={}, policy=None)
    ended = replace(attack, people=[replace(person, headers={"Cookie": "x=y"}) for person in attack.people])
    assert ended.run().unproven == {
        place: "genuine requests are answered 401"
        for place in ("GET /w/{tenant}/notes", "GET /w/{tenant}/notes/{note}", "GET /w/{tenant}/settings")
    }


# --- what it shows ---------------------------------------------------------------------------------------------------


def test_the_same_seed_tells_the_same() -> None:
    planted = PLANTS["found-by-id-alone"]
    first, second, third = (replace(planted().attack(), seed=seed).run() for seed in (5, 5, 6))
    assert first.to_json() == second.to_json() != third.to_json()
    assert first.to_markdown() == second.to_markdown()
    assert [finding.attack.id for finding in third.findings] == ["tenants.by_id"]


def test_no_credential_is_shown() -> None:
    for name in ("credential-repeated", "webhook-twice", "algorithm-none", "cookie-deleted-only", "first-of-two"):
        attack = PLANTS[name]().attack()
        report = attack.run()
        assert report.findings
        shown = report.to_text() + report.to_markdown() + report.to_json() + repr(report) + repr(attack)
        held = [secret for person in attack.people for secret in person.secrets]
        held += [hook.secret for hook in attack.webhooks]
        assert [secret for secret in held if secret in shown] == []


def test_the_report_reads_like_one() -> None:
    report = PLANTS["found-by-id-alone"]().attack().run()
    said = report.to_markdown()
    for heading in ("## Scope", "## Method", "## Findings", "## What was tried", "## Public, to be reviewed"):
        assert heading in said
    assert "### 1. Critical: tenants.by_id at `GET /w/{tenant}/notes/{note}`" in said
    assert 'curl -i --path-as-is -X GET -H "Cookie: __Host-ws_session=$ADA"' in said
    assert "CWE-639" in said
    assert report.worst() is Severity.CRITICAL
    found = json.loads(report.to_json())
    assert found["findings"][0]["evidence"][0]["answer"].startswith("200\n")
    assert "CRITICAL tenants.by_id at" in str(report.findings[0])


def test_milder_findings_may_wait() -> None:
    report = PLANTS["cached-refusals"]().attack().run()
    report.raise_if_any(Severity.MEDIUM)
    with pytest.raises(AssertionError, match="may be cached"):
        report.raise_if_any()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_every_attack_says_what_it_is(attack: Any) -> None:
    assert all((attack.threat, attack.expected, attack.meaning, attack.fix))
    assert attack.weakness.startswith("CWE-")
    assert set(attack.after) <= {other.id for other in ATTACKS}


# --- which routes it finds -------------------------------------------------------------------------------------------


def test_flask_routes() -> None:
    found = {route.place: route for route in routes_of(flask_app(Notes()))}
    assert found["GET /w/{tenant}/notes"].operation is READ
    assert found["GET /"].public == "the front page"
    assert sorted(found) == [
        "DELETE /w/{tenant}/notes/{note}", "GET /", "GET /w/{tenant}/notes", "GET /w/{tenant}/notes/{note}",
        "GET /w/{tenant}/settings", "POST /hooks/stripe", "POST /w/{tenant}/notes",
    ]  # fmt: skip
    app = flask.Flask("x")
    app.add_url_rule("/n/<int:note>/<uuid:part>/<path:rest>", "n", lambda **path: "")
    assert {route.path for route in routes_of(app)} == {"/n/{note:int}/{part:uuid}/{rest}", "/static/{filename}"}


def test_fastapi_routes() -> None:
    app = fastapi_app(Notes())
    router = APIRouter()
    router.add_api_route("/inner/{note:int}", lambda note: note, methods=["GET", "PUT"])
    app.include_router(router, prefix="/nested")
    found = {route.place: route for route in routes_of(app)}
    assert found["WEBSOCKET /w/{tenant}/live"].operation is READ
    assert not found["PUT /nested/inner/{note:int}"].declared


def test_starlette_routes_and_reasons() -> None:
    async def endpoint(request: Any) -> JSONResponse:
        return JSONResponse({})

    app = Starlette(routes=[Mount("/sub", routes=[StarletteRoute("/a/{b}", endpoint, methods=["GET"])])])
    assert [route.declared for route in routes_of(app)] == [False]
    assert [route.public for route in routes_of(app, public={"/sub/a/{b}": "by hand"})] == ["by hand"]
    assert [(route.declared, route.guarded) for route in routes_of(app, declared=False)] == [(True, True)]


# --- how it reaches a host -------------------------------------------------------------------------------------------


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield server


@contextmanager
def under_waitress(app: Any) -> Iterator[str]:
    with listening() as mine:
        server = create_server(app, sockets=[mine], threads=4)

        def run() -> None:
            with suppress(OSError):  # closing the trigger wakes the loop with a bad descriptor
                server.run()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{mine.getsockname()[1]}"
        server.close()
        thread.join(5)


@contextmanager
def under_uvicorn(app: Any) -> Iterator[str]:
    with listening() as mine:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="wsproto"))
        thread = threading.Thread(target=lambda: server.run(sockets=[mine]), daemon=True)
        thread.start()
        while not server.started:
            threading.Event().wait(0.01)
        yield f"http://127.0.0.1:{mine.getsockname()[1]}"
        server.should_exit = True
        thread.join(5)


@pytest.mark.parametrize("planted", [None, "found-by-id-alone"])
@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_running_server(kind: str, planted: str | None) -> None:
    host = PLANTS[planted]() if planted else Notes()
    app, serve = (flask_app(host), under_waitress) if kind == "wsgi" else (fastapi_app(host), under_uvicorn)
    routes = routes_of(app)
    with serve(app) as url:
        # Over http a cookie named __Host- is not read: the sessions of the host say so by their name.
        attack = host.attacker(Target.url(url, host="testserver.example"), routes=routes)
        report = replace(
            attack,
            only=["anonymous", "tenants", "browsers.hijacked_socket", "webhooks", "malformed"],
            skip=["tenants.by_spelling"],
        ).run()
    found = {finding.attack.id for finding in report.findings}
    assert found == ({"tenants.by_id"} if planted else set()), report.to_text()
    assert report.complete
    sockets = {item.attack: item.tries for item in report.tried if item.place.startswith("WEBSOCKET")}
    expected = {"anonymous.nothing": 1, "tenants.by_name": 3, "browsers.hijacked_socket": 12}
    assert sockets == (expected if kind == "asgi" else {})


def test_a_socket_that_opens_is_seen() -> None:
    app = FastAPI()

    @app.websocket("/s")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    with under_uvicorn(app) as url:
        assert Target.url(url).handshake(Request("WEBSOCKET", "/s")).answer.status == 101
        assert Target.url(url).handshake(Request("WEBSOCKET", "/t")).answer.status == 403


def test_a_silent_server_is_a_crash() -> None:
    with listening() as mine:
        url = f"http://127.0.0.1:{mine.getsockname()[1]}"
        answer = Target.url(url, patience=0.2).send(Request("GET", "/")).answer
    assert (answer.status, answer.crashed) == (500, "TimeoutError")


def test_an_exception_is_an_answer() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError
        raise LookupError

    def raising(environ: Any, start: Any) -> Any:
        raise LookupError

    for target in (Target.asgi(failing), Target.wsgi(raising)):
        with target:
            answer = target.send(Request("GET", "/")).answer
        assert (answer.status, answer.crashed) == (500, "LookupError")


def test_a_lifespan_runs_around_the_attack() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                seen.append((await receive())["type"])
                await send({"type": f"lifespan.{stage}.complete"})
            return
        seen.append(scope["raw_path"].decode())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    with Target.asgi(app) as target:
        assert target.send(Request("GET", "/a/%2e%2e//b")).answer.body == b"x"
    assert seen == ["lifespan.startup", "/a/%2e%2e//b", "lifespan.shutdown"]


def test_a_target_can_be_attacked_again() -> None:
    attack = Notes().on_fastapi(only=["anonymous.nothing"])
    assert attack.run()
    assert attack.run()
    with pytest.raises(UsageError, match="the target is closed"):
        attack.target.send(Request("GET", "/"))


def test_a_start_up_that_fails_is_told() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed"})

    with pytest.raises(UsageError, match="refused to start"), Target.asgi(app):
        pass


def test_wsgi_has_no_sockets() -> None:
    with pytest.raises(UsageError, match="WSGI serves no websocket"):
        Target.wsgi(flask.Flask("x")).handshake(Request("WEBSOCKET", "/"))


@pytest.mark.anyio
async def test_a_test_on_a_loop_may_attack() -> None:
    app = FastAPI()

    @app.websocket("/s")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    with Target.asgi(app) as target:
        assert target.handshake(Request("WEBSOCKET", "/s")).answer.status == 101
        assert target.send(Request("GET", "/none")).answer.status == 404


# --- how a host names its tenants ------------------------------------------------------------------------------------


class ByHeader(Notes):
    naming = Naming(header="X-Workspace")
    sources: Any = (HeaderSource("X-Workspace"),)

    def parts(self) -> dict[str, Any]:
        return {**super().parts(), "tenants": TenantResolver(self.sources, self.memberships)}

    def app(self, trusted: bool) -> flask.Flask:
        app = flask.Flask("by-header", static_folder=None)
        on_flask.TrustExtension(self.trust()).init_app(app)

        @app.get("/notes")
        @on_flask.guarded(READ)
        def listed(grant: Any) -> Any:
            named = self.named(flask.request) if trusted else grant.tenant.tenant_id
            return sorted(NOTES.get(named, {}).values())

        return app

    def named(self, request: Any) -> str:
        return str(request.args.get("tenant_id", request.headers["X-Workspace"]))


class ByHost(ByHeader):
    naming = Naming(host="{tenant}.app.example.com")
    sources = (SubdomainSource("app.example.com"),)

    def named(self, request: Any) -> str:
        return str(request.headers.get("X-Forwarded-Host", request.host)).partition(".")[0]


@pytest.mark.parametrize("kind", [ByHeader, ByHost])
@pytest.mark.parametrize("trusted", [False, True])
def test_tenants_in_a_header_or_a_host(kind: type[ByHeader], trusted: bool) -> None:
    host = kind()
    target = Target.wsgi(host.app(trusted))
    attack = Attacker(target, host.people(), naming=host.naming, marks={"acme": ["acme's own words"]})
    report = attack.run()
    assert {finding.attack.id for finding in report.findings} == ({"tenants.two_at_once"} if trusted else set())
    assert report.unproven == {}
    by_name = [item for item in report.tried if item.attack == "tenants.by_name"]
    assert [item.tries for item in by_name] == [3]


def test_a_host_that_sends_visitors_to_its_sign_in() -> None:
    class Redirecting(Notes):
        def changed(self, app: Any) -> Any:
            @app.errorhandler(InvalidCredential)
            def sent(error: Exception) -> Any:
                return flask.redirect("/sign-in?next=/")

            return app

    strict = Redirecting().on_flask(only=["anonymous.nothing"]).run()
    assert {finding.severity for finding in strict.findings} == {Severity.LOW}
    assert Redirecting().on_flask(only=["anonymous.nothing"], login_path="/sign-in").run()


def test_ids_of_each_kind_are_made_up() -> None:
    from wellstreak_trust.testing.attacker.scene import Scene

    scene = Scene(Target.wsgi(flask.Flask("x")), None, Random(1), 1, 1.0)  # type: ignore[arg-type]  # no plan is asked
    assert scene.nobody("int").isdigit()
    assert len(scene.nobody("uuid")) == 36
    assert scene.nobody() != scene.nobody()
