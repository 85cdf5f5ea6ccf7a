"""What is Flask's own: blueprints, static files, streams, async views, hooks, application contexts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import flask
import flask.views
import pytest
from small import READ, WRITE, Small, tenant_now
from ways import Answer, call_wsgi

from wellstreak_trust import Operation
from wellstreak_trust.adapters.flask import (
    TrustExtension,
    assert_all_routes_declared,
    current_grant,
    facts_of,
    guarded,
    public,
    undeclared_routes,
)
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.core.errors import AccessDenied, Conflict, InvalidRequest, StoreUnavailable
from wellstreak_trust.origin import CorsPolicy
from wellstreak_trust.tenancy import current_tenant


class Site:
    def __init__(self, **changed: Any) -> None:
        self.small = Small(**changed)
        self.app = flask.Flask("site", static_folder=None)
        TrustExtension(self.small.trust, self.app)

    def get(
        self, path: str, *more: tuple[str, Any], method: str = "GET", body: bytes = b"", who: str = "ada"
    ) -> Answer:
        return call_wsgi(self.app, method, path, self.small.lines(who, *more), body)


@pytest.fixture
def site() -> Site:
    return Site()


def test_blueprints_static_files_and_class_views_are_routes_too(site: Site, tmp_path: Any) -> None:
    blueprint = flask.Blueprint("notes", __name__, url_prefix="/w/<tenant>")

    class Notes(flask.views.MethodView):
        decorators = (guarded(READ),)

        def get(self, tenant: str) -> str:
            return f"{current_grant().tenant.tenant_id} {tenant_now()} {facts_of().route}"

    blueprint.add_url_rule("/notes", view_func=Notes.as_view("list"))
    site.app.register_blueprint(blueprint)
    assert site.get("/w/acme/notes").body == b"acme acme notes.list"
    assert_all_routes_declared(site.app)

    bare = flask.Flask("bare", static_folder=str(tmp_path), static_url_path="/static")
    open_blueprint = flask.Blueprint("open", __name__)
    open_blueprint.add_url_rule("/open", view_func=lambda: "x", endpoint="open")
    bare.register_blueprint(open_blueprint)
    assert undeclared_routes(site.app) == []
    assert undeclared_routes(bare) == ["/open", "/static/<path:filename>"]
    assert undeclared_routes(bare, public={"/static/<path:filename>": "assets", "/open": " "}) == ["/open"]
    with pytest.raises(ConfigurationError, match=r"/open, /static/<path:filename>"):
        assert_all_routes_declared(bare)
    with pytest.raises(ConfigurationError, match="/open"):
        assert_all_routes_declared(bare, public={"/static/<path:filename>": "assets", "/open": " "})
    assert_all_routes_declared(bare, public={"/static/<path:filename>": "assets", "/open": "a test"})


def test_operations_that_cannot_be_served_are_refused_at_start(site: Site) -> None:
    site.app.add_url_rule("/w/<t>/x", view_func=guarded(Operation("x", "notes:reed"))(lambda t: "x"), endpoint="x")
    with pytest.raises(ConfigurationError) as caught:
        assert_all_routes_declared(site.app)
    assert caught.value.reason == "unknown_permission"


def test_one_declaration_a_route_and_one_trust_an_app(site: Site) -> None:
    with pytest.raises(ConfigurationError) as caught:
        public("no")(guarded(READ)(lambda: "x"))
    assert caught.value.reason == "declared_twice"
    with pytest.raises(ConfigurationError):
        public("  ")
        public("  ")(lambda: "x")
    with pytest.raises(ConfigurationError) as caught:
        TrustExtension(site.small.trust, site.app)
    assert caught.value.reason == "two_trusts"


def test_every_step_of_a_stream_is_in_the_tenant_and_it_is_closed_there(site: Site) -> None:
    seen: list[str] = []

    @site.app.get("/w/<tenant>/stream")
    @guarded(READ)
    def stream(tenant: str) -> flask.Response:
        def steps() -> Iterator[str]:
            try:
                for _ in range(3):
                    seen.append(tenant_now() + flask.request.method)
                    yield "x"
            finally:
                seen.append("closed in " + tenant_now())

        return flask.Response(flask.stream_with_context(steps()))

    assert site.get("/w/acme/stream").body == b"xxx"
    assert seen == ["acmeGET"] * 3 + ["closed in acme"]
    assert current_tenant() is None


def test_a_client_that_leaves_closes_what_the_view_opened(site: Site) -> None:
    class File:
        closed = ""

        def __iter__(self) -> Iterator[bytes]:
            yield from (b"1", b"2")

        def close(self) -> None:
            self.closed = tenant_now()

    opened = File()
    site.app.add_url_rule("/w/<t>/f", "f", guarded(READ)(lambda t: flask.Response(opened)))
    with site.app.test_client(use_cookies=False) as client:
        name, value = site.small.cookie("ada")
        answer = client.get("/w/acme/f", headers={name: value}, buffered=False)
        assert answer.status_code == 200, answer.data
        answer.close()
    assert opened.closed == "acme"


def test_async_views_see_the_tenant(site: Site) -> None:
    @site.app.get("/w/<tenant>/later")
    @guarded(READ)
    async def later(tenant: str, grant: Any) -> str:
        await asyncio.sleep(0)
        return f"{tenant_now()} {grant.tenant.tenant_id}"

    assert site.get("/w/acme/later").body == b"acme acme"
    assert current_tenant() is None


def test_the_body_is_there_after_the_guard_byte_for_byte(site: Site) -> None:
    @site.app.post("/w/<tenant>/body")
    @guarded(WRITE, resource=lambda request: {"type": "note", "tenant_id": "acme", "size": len(request.get_data())})
    def body(tenant: str) -> bytes:
        return flask.request.get_data()

    raw = b'{"a": "\xff\x00"}\r\n'
    assert site.get("/w/acme/body", method="POST", body=raw).body == raw


@pytest.mark.parametrize(
    ("ending", "status", "outcome"),
    [
        (lambda: flask.abort(404), 404, "failure"),
        (lambda: flask.abort(403), 403, "denied"),
        (lambda: flask.abort(503), 503, "error"),
        (lambda: flask.abort(flask.Response("no", 409)), 409, "failure"),
        (lambda: ("gone", 410), 410, "failure"),
        (lambda: ("broken", 500), 500, "error"),
        (lambda: flask.redirect("/"), 302, "success"),
        (lambda: 1 / 0, 500, "error"),
        (lambda: _raise(InvalidRequest("x")), 400, "failure"),
        (lambda: _raise(Conflict("x")), 409, "failure"),
        (lambda: _raise(StoreUnavailable("x")), 503, "error"),
    ],
)
def test_endings(site: Site, ending: Any, status: int, outcome: str) -> None:
    site.app.add_url_rule("/w/<t>/end", "end", guarded(READ)(lambda t: ending()))
    assert site.get("/w/acme/end").status == status
    assert site.small.trail() == ["notes.read attempted", f"notes.read {outcome}"]
    assert current_tenant() is None


def _raise(error: Exception) -> Any:
    raise error


def test_refusals_of_the_hosts_own_hooks_are_rendered(site: Site) -> None:
    @site.app.before_request
    def hook() -> None:
        if flask.request.path == "/hook":
            raise InvalidRequest("a detail nobody may see")

    site.app.add_url_rule("/hook", "hook", public("a test")(lambda: "x"))
    answer = site.get("/hook")
    assert (answer.status, answer.header("content-type")) == (400, "application/problem+json")
    assert b"nobody" not in answer.body


def test_head_runs_the_view_and_options_does_not(site: Site) -> None:
    site.app.add_url_rule("/w/<t>/x", "x", guarded(READ)(lambda t: "body"))
    assert (site.get("/w/acme/x", method="HEAD").status, site.get("/w/acme/x", method="HEAD").body) == (200, b"")
    assert site.get("/w/acme/x", method="HEAD", who="eve").status == 404
    assert site.get("/w/acme/x", method="OPTIONS").header("allow") is not None
    assert site.small.trail() == ["notes.read attempted", "notes.read success"] * 2


def test_several_apps_hold_several_trusts() -> None:
    first, second = Site(), Site()
    for site in (first, second):
        site.app.add_url_rule("/w/<t>/x", "x", guarded(READ)(lambda t: tenant_now()))
    assert first.get("/w/acme/x").status == 200
    stranger = call_wsgi(second.app, "GET", "/w/acme/x", first.small.lines("ada"), b"")
    assert stranger.status == 401


def test_an_application_context_kept_open_does_not_keep_a_requests_facts(site: Site) -> None:
    site.app.add_url_rule("/w/<t>/x", "x", guarded(READ)(lambda t: tenant_now()))
    with site.app.app_context():  # `g` outlives both requests
        assert site.get("/w/acme/x").body == b"acme"
        assert site.get("/w/acme/x", who="eve").status == 404
        assert site.get("/w/evil/x", who="eve").body == b"evil"


def test_misplaced_calls_say_what_is_missing(site: Site) -> None:
    site.app.add_url_rule("/open", "open", public("a test")(lambda: current_grant().request_id))
    assert site.get("/open").status == 500
    bare = flask.Flask("bare", static_folder=None)
    bare.add_url_rule("/x", "x", guarded(READ)(lambda: "x"))
    bare.testing = True
    with pytest.raises(ConfigurationError, match="no Trust in this app"):
        bare.test_client().get("/x")


def test_a_resource_that_raises_is_the_hosts_own_answer(site: Site) -> None:
    site.app.add_url_rule("/w/<t>/x", "x", guarded(READ, resource=lambda request: flask.abort(418))(lambda t: "x"))
    assert site.get("/w/acme/x").status == 418
    assert current_tenant() is None


def test_one_cors_policy_speaks() -> None:
    site = Site(cors=CorsPolicy(["https://app.example.com"]))
    origin = ("Origin", "https://app.example.com")

    @site.app.get("/open")
    @public("a test")
    def view() -> tuple[str, dict[str, str]]:
        return "x", {"Access-Control-Allow-Origin": "*", "Vary": "Accept"}

    answer = site.get("/open", origin)
    assert answer.header("access-control-allow-origin") == "https://app.example.com"
    assert {"Accept", "Origin", "Sec-Fetch-Site"} <= set((answer.header("vary") or "").split(", "))
    asked = ("Access-Control-Request-Method", "PUT")
    assert site.get("/open", origin, asked, method="OPTIONS").status == 204


def test_a_denial_inside_the_view_is_recorded_as_one(site: Site) -> None:
    policy = site.small.trust.policy

    @site.app.get("/w/<tenant>/x")
    @guarded(READ)
    def view(tenant: str, grant: Any) -> str:
        raise AccessDenied(policy.check(grant.tenant, "notes:purge"))

    assert site.get("/w/acme/x").status == 403
    assert site.small.trail()[-1] == "notes.read denied"
