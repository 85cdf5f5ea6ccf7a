"""Django REST framework under the guard; run by test_notebook."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import override_settings
from django.urls import path
from notebook import api, security
from notebook_rig import Rig
from rest_framework.response import Response
from rest_framework.views import APIView

from wellstreak_trust.adapters.django import assert_all_routes_declared
from wellstreak_trust.adapters.django.rest_framework import Guarded
from wellstreak_trust.core.errors import ConfigurationError
from wellstreak_trust.tenancy import current_tenant, scope_leaks

HTML = ("Accept", "text/html")


@pytest.fixture(params=["wsgi", "asgi"])
def rig(request: pytest.FixtureRequest) -> Any:
    leaks = scope_leaks()
    yield Rig(request.param)
    assert current_tenant() is None
    assert scope_leaks() == leaks


def code(answer: Any) -> str:
    assert answer.header("content-type") == "application/problem+json"
    assert answer.header("cache-control") == "no-store"
    return json.loads(answer.body)["code"]


def test_a_router_of_a_viewset(rig: Rig) -> None:
    listed = rig.ask("/w/acme/notes/")
    assert (listed.status, [note["owner_id"] for note in json.loads(listed.body)]) == (200, ["ada", "bo"])
    mine = rig.notes["acme", "ada"]
    assert json.loads(rig.ask(f"/w/acme/notes/{mine}/").body)["text"] == "of ada"
    made = rig.ask("/w/acme/notes/", method="POST", body={"text": "new", "owner_id": "x"})
    assert (made.status, json.loads(made.body)["owner_id"]) == (201, "ada")
    assert rig.ask(f"/w/acme/notes/{mine}/", method="PUT", body={"text": "b", "owner_id": "ada"}).status == 200
    denied = rig.ask(f"/w/acme/notes/{mine}/", method="DELETE")
    assert (denied.status, code(denied)) == (403, "denied")
    assert json.loads(rig.ask("/w/acme/notes/count/").body) == 3
    assert json.loads(rig.ask(f"/w/acme/notes/{mine}/pin/").body) == "acme b"
    assert rig.parts.trail() == [
        "notes.read attempted", "notes.read success", "notes.created attempted", "notes.created success",
        "notes.updated attempted", "notes.updated success", "access.denied denied", "notes.read attempted",
        "notes.read success",
    ]  # fmt: skip


def test_objects_are_judged_before_and_where_they_are_fetched(rig: Rig) -> None:
    theirs = rig.notes["acme", "bo"]
    body = {"text": "b", "owner_id": "ada"}
    assert code(rig.ask(f"/w/acme/notes/{theirs}/", method="PUT", body=body)) == "denied"
    assert rig.parts.trail() == ["access.denied denied"]  # by `resource`, before anything began
    foreign = rig.notes["evil", "eve"]
    assert rig.ask(f"/w/acme/notes/{foreign}/", method="PUT", body=body).status == 404
    assert rig.ask("/w/acme/notes/999/", method="PUT", body=body).status == 404
    # An operation without `resource`: the condition cannot be judged, so nobody gets in.
    assert code(rig.ask(f"/w/acme/notes/{theirs}/", method="PATCH", body=body)) == "denied"


def test_an_object_that_the_handler_fetches_is_judged_there(rig: Rig) -> None:
    class Swaps(api.Notes):
        """Judged by one object, and then takes another."""

        permission_classes = (Guarded(security.UPDATE, resource={"tenant_id": "acme", "owner_id": "ada"}),)

    patterns = (path("w/<t>/swap/<pk>", Swaps.as_view({"get": "retrieve"})),)
    with override_settings(ROOT_URLCONF=patterns):
        assert rig.ask(f"/w/acme/swap/{rig.notes['acme', 'ada']}").status == 200
        assert code(rig.ask(f"/w/acme/swap/{rig.notes['acme', 'bo']}")) == "denied"
    assert rig.parts.trail()[-2:] == ["notes.updated attempted", "notes.updated denied"]


def test_strangers(rig: Rig) -> None:
    for target in ("notes/", "plain", "function", "stream"):
        nobody, foreign = rig.ask(f"/w/acme/{target}", who=""), rig.ask(f"/w/acme/{target}", who="eve")
        assert (nobody.status, code(nobody), nobody.header("www-authenticate")) == (401, "unauthenticated", "Bearer")
        assert (foreign.status, code(foreign)) == (404, "not_found")
    assert rig.parts.trail() == []  # of a workspace that they could not even find


def test_a_foreign_page_is_refused_though_the_framework_exempts_from_csrf(rig: Rig) -> None:
    name, value = rig.parts.cookie("ada")
    evil = [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")]
    answer = rig.ask("/w/acme/plain", (name, value), *evil, method="POST", body={"a": 1}, who="")
    assert (answer.status, code(answer)) == (403, "origin_denied")


def test_views_functions_and_streams(rig: Rig) -> None:
    assert json.loads(rig.ask("/w/acme/plain").body) == {"tenant": "acme", "user": "ada", "known": True}
    assert json.loads(rig.ask("/w/acme/plain", method="POST", body={"a": [1]}).body) == {"sent": {"a": [1]}}
    assert json.loads(rig.ask("/w/acme/function").body) == "acme"
    if rig.way == "wsgi":
        assert rig.ask("/w/acme/stream").body == b"acmeacmeacme"
    assert json.loads(rig.ask("/open").body) == {"user": "", "known": False}


@pytest.mark.parametrize(
    ("target", "method", "body", "status", "outcome"),
    [
        ("throttled", "GET", b"", 429, "failure"),
        ("refused", "GET", b"", 403, "denied"),
        ("function", "POST", b"", 500, "error"),
        ("links", "POST", {"note": 10_000}, 400, "failure"),
        ("plain", "PUT", b"", 405, ""),
        ("plain", "OPTIONS", b"", 405, ""),
        ("plain", "HEAD", b"", 200, "success"),
        ("notes/999/", "GET", b"", 404, "failure"),
    ],
)
def test_endings(rig: Rig, target: str, method: str, body: Any, status: int, outcome: str) -> None:
    assert rig.ask(f"/w/acme/{target}", method=method, body=body).status == status
    assert [line.split()[1] for line in rig.parts.trail()] == (["attempted", outcome] if outcome else [])


def test_the_browsable_page_bypasses_nothing_and_counts_nothing(rig: Rig) -> None:
    page = rig.ask(f"/w/acme/notes/{rig.notes['acme', 'ada']}/", HTML)
    assert (page.status, b"<html" in page.body) == (200, True)
    assert b'data-method="PUT"' in page.body
    assert b'data-method="DELETE"' not in page.body  # a form is for those who may
    assert rig.parts.trail() == ["notes.read attempted", "notes.read success"]
    assert b'data-method="PUT"' not in rig.ask(f"/w/acme/notes/{rig.notes['acme', 'bo']}/", HTML).body
    assert code(rig.ask("/w/acme/notes/", HTML, who="eve")) == "not_found"
    assert code(rig.ask("/w/acme/notes/", HTML, who="")) == "unauthenticated"


def test_forms_of_the_page_see_the_tenant_also_after_a_mistake(rig: Rig) -> None:
    page = rig.ask("/w/acme/links", HTML)
    assert page.status == 200
    wrong = rig.ask("/w/acme/links", HTML, method="POST", body={"note": 10_000})
    assert (wrong.status, b"<html" in wrong.body) == (400, True)
    for answer in (page, wrong):
        assert f'value="{rig.notes["acme", "ada"]}"'.encode() in answer.body
        assert f'value="{rig.notes["evil", "eve"]}"'.encode() not in answer.body
    assert rig.parts.trail() == [
        "notes.read attempted",
        "notes.read success",
        "notes.read attempted",
        "notes.read failure",
    ]


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_each_request_is_counted_once(accept: str) -> None:
    rig = Rig(limit=2)
    asked = [rig.ask("/w/acme/links", ("Accept", accept)).status for _ in range(3)]
    assert asked == [200, 200, 429]
    limited = rig.ask("/w/acme/links", ("Accept", accept))
    assert int(limited.header("retry-after") or 0) >= 1


def test_what_is_refused_afterwards_is_given_back() -> None:
    rig = Rig(limit=1)
    assert [rig.ask("/w/acme/throttled").status for _ in range(3)] == [429] * 3
    assert rig.ask("/w/acme/plain").status == 200


def test_all_routes_are_declared() -> None:
    Rig()
    assert_all_routes_declared()


class Silent(APIView):
    def get(self, request: Any) -> Response:
        return Response()


class Half(api.Plain):
    def put(self, request: Any) -> Response:
        return Response()


class Chooses(api.Plain):
    def get_permissions(self) -> list[Any]:
        return []


class Either(api.Plain):
    permission_classes = (Guarded(security.READ) | api.Refuses,)


class More(api.Notes):
    operations = {"list": security.LIST}


class Mistaken(api.Plain):
    permission_classes = (Guarded(security.Operation("x", "notes:reed")),)


UNDECLARED: dict[str, Any] = {
    "silent": Silent.as_view(), "half": Half.as_view(), "chooses": Chooses.as_view(), "either": Either.as_view(),
    "more": More.as_view({"get": "list", "post": "create"}), "pin": More.as_view({"get": "pin"}),
}  # fmt: skip


@pytest.mark.parametrize("name", UNDECLARED)
def test_what_says_nothing_is_refused_at_start(name: str) -> None:
    Rig()
    patterns = (path(f"x/{name}", UNDECLARED[name]),)
    with override_settings(ROOT_URLCONF=patterns), pytest.raises(ConfigurationError) as caught:
        assert_all_routes_declared()
    assert caught.value.detail == f"undeclared routes: /x/{name}"


def test_every_operation_of_a_view_is_vetted() -> None:
    Rig()
    patterns = (path("x", Mistaken.as_view()),)
    with override_settings(ROOT_URLCONF=patterns), pytest.raises(ConfigurationError) as caught:
        assert_all_routes_declared()
    assert caught.value.reason == "unknown_permission"


def test_an_undeclared_action_is_refused_when_it_is_asked_too(rig: Rig) -> None:
    with override_settings(ROOT_URLCONF=(path("w/<t>/half", Half.as_view()),)):
        assert rig.ask("/w/acme/half", method="PUT").status == 500
    assert rig.parts.trail() == []


def test_two_operations_on_one_view_are_a_mistake(rig: Rig) -> None:
    class Two(api.Plain):
        permission_classes = (Guarded(security.READ), Guarded(security.LIST))

    with override_settings(ROOT_URLCONF=(path("w/<t>/two", Two.as_view()),)):
        assert rig.ask("/w/acme/two").status == 500
    assert rig.parts.trail() == ["notes.read attempted", "notes.read error"]


def test_without_the_exception_handler_refusals_are_the_same(rig: Rig) -> None:
    class Bare(api.Plain):
        def get_exception_handler(self) -> Any:
            from rest_framework.views import exception_handler

            return exception_handler

    with override_settings(ROOT_URLCONF=(path("w/<t>/plain", Bare.as_view()),), DEBUG=True):
        bare = rig.ask("/w/acme/plain", who="")
    assert (bare.status, bare.body) == (401, rig.ask("/w/acme/plain", who="").body)
