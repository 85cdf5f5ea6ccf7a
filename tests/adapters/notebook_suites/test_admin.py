"""Django's admin under the guard; run by test_notebook."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.admin.models import LogEntry
from django.test import override_settings
from django.urls import path
from notebook import models, security
from notebook_rig import HOST, Rig

from wellstreak_trust.adapters.django import assert_all_routes_declared
from wellstreak_trust.adapters.django.admin import TrustAdminSite, TrustModelAdmin
from wellstreak_trust.adapters.django.workspaces.models import Workspace
from wellstreak_trust.core import Principal
from wellstreak_trust.core.errors import AuditUnavailable, ConfigurationError

FORM = ("Content-Type", "application/x-www-form-urlencoded")
ORIGIN = ("Origin", f"https://{HOST}")


@pytest.fixture(params=["wsgi", "asgi"])
def rig(request: pytest.FixtureRequest) -> Rig:
    made = Rig(request.param)
    models.Notice.objects.create(pk=1, text="first")
    for who in ("root", "auditor"):
        made.cookies[who] = made.parts.cookie(who, roles=[who], aal=2)
    made.cookies["weak"] = made.parts.cookie("root", roles=["root"])
    return made


def post(rig: Rig, target: str, form: dict[str, Any], who: str = "root", to: str = "") -> Any:
    """As a browser: the form's token comes from the form's page."""
    page = rig.ask(target, who=who)
    found = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page.body)
    assert found is not None, page
    token = next(value for name, value in page.headers if name == "Set-Cookie" and "csrftoken=" in value)
    name, held = rig.cookies[who]
    cookie = (name, f"{held}; {token.strip().partition(';')[0]}")
    body = urlencode({**form, "csrfmiddlewaretoken": found[1].decode()}, doseq=True).encode()
    return rig.ask(to or target, cookie, FORM, ORIGIN, method="POST", body=body, who="")


NOTICE = {"reply_set-TOTAL_FORMS": "0", "reply_set-INITIAL_FORMS": "0"}


def test_who_enters_is_the_guards_matter(rig: Rig) -> None:
    assert rig.ask("/admin/", who="root").status == 200
    answer = rig.ask("/admin/", who="ada")
    assert (answer.status, json.loads(answer.body)["code"]) == (403, "denied")
    assert rig.ask("/admin/", who="weak").header("location") == "/signin?next=%2Fadmin%2F&code=reauth_required"
    nobody = rig.ask("/admin/notebook/notice/?q=1", who="")
    assert (nobody.status, nobody.header("location")) == (
        302,
        "/signin?next=%2Fadmin%2Fnotebook%2Fnotice%2F%3Fq%3D1&code=unauthenticated",
    )
    assert rig.ask("/admin/", method="HEAD", who="").status == 401
    assert rig.ask("/admin/login/", who="").header("location") == "/signin"
    assert rig.ask("/admin/password_change/", who="root").status == 404


def test_a_sign_out_is_handed_on(rig: Rig) -> None:
    answer = post(rig, "/admin/", {}, "root", to="/admin/logout/")
    assert (answer.status, answer.header("location")) == (307, "/signout")


def test_each_change_is_an_event_and_none_a_row_of_djangos_log(rig: Rig) -> None:
    assert post(rig, "/admin/notebook/notice/add/", {**NOTICE, "text": "second"}).status == 302
    added = models.Notice.objects.get(text="second").pk
    assert post(rig, f"/admin/notebook/notice/{added}/change/", {**NOTICE, "text": "third"}).status == 302
    listed = {
        "form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": "1", "form-0-text": "edited", "_save": "Save",
    }  # fmt: skip
    models.Notice.objects.filter(pk=added).delete()
    assert post(rig, "/admin/notebook/notice/", listed).status == 302
    assert models.Notice.objects.get(pk=1).text == "edited"
    chosen = {"action": "delete_selected", "_selected_action": ["1"], "post": "yes"}
    assert post(rig, "/admin/notebook/notice/", chosen).status == 302
    assert not models.Notice.objects.exists()
    events = [event for event in rig.parts.audit.events("system", limit=50) if event["action"] == "notices.edited"]
    assert [event["targets"][0]["id"] for event in reversed(events)] == [str(added), str(added), "1", "1"]
    assert [event.get("data", {}).get("fields") for event in reversed(events)] == [None, ["Text"], ["Text"], None]
    assert {event["actor"]["id"] for event in events} == {"root"}
    assert "third" not in json.dumps(events)
    assert LogEntry.objects.count() == 0


def test_a_change_that_cannot_be_recorded_is_none(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    emit = type(rig.parts.audit).aemit

    async def full(self: Any, event: Any) -> Any:
        if event.action == "notices.edited":
            raise AuditUnavailable("the disk is full")
        return await emit(self, event)

    monkeypatch.setattr(type(rig.parts.audit), "aemit", full)
    answer = post(rig, "/admin/notebook/notice/1/change/", {**NOTICE, "text": "unheard"})
    assert answer.status == 503
    assert models.Notice.objects.get(pk=1).text == "first"


def test_the_policy_says_what_may_be_done_with_rows(rig: Rig) -> None:
    page = rig.ask("/admin/notebook/notice/1/change/", who="auditor")
    assert page.status == 200
    assert b'name="text"' not in page.body
    assert rig.ask("/admin/notebook/notice/add/", who="auditor").status == 403
    body = urlencode({**NOTICE, "text": "b"}).encode()
    refused = rig.ask("/admin/notebook/notice/1/change/", FORM, ORIGIN, method="POST", body=body, who="auditor")
    assert refused.status == 403
    assert models.Notice.objects.get(pk=1).text == "first"


def test_what_names_no_operation_is_closed(rig: Rig) -> None:
    """A plain ModelAdmin asks Django's permissions, which nobody here has."""
    assert rig.ask("/admin/notebook/reply/", who="root").status == 403
    assert b"reply_set-0" not in rig.ask("/admin/notebook/notice/1/change/", who="root").body


def test_a_foreign_page_changes_nothing(rig: Rig) -> None:
    evil = [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")]
    name, value = rig.cookies["root"]
    answer = rig.ask("/admin/notebook/notice/1/delete/", (name, value), *evil, method="POST", body=b"post=yes", who="")
    assert answer.status == 403
    assert models.Notice.objects.filter(pk=1).exists()


def test_workspaces_are_looked_at(rig: Rig) -> None:
    from wellstreak_trust.adapters.django.workspaces import DjangoMembershipStore
    from wellstreak_trust.tenancy import Memberships

    if not Workspace.objects.filter(pk="acme").exists():
        Memberships(DjangoMembershipStore()).create_workspace(Principal("ada"), tenant_id="acme")
    listed = rig.ask("/admin/wellstreak_workspaces/workspace/", who="auditor")
    assert (listed.status, b"acme" in listed.body) == (200, True)
    assert rig.ask("/admin/wellstreak_workspaces/workspace/acme/change/", who="root").status == 200
    assert rig.ask("/admin/wellstreak_workspaces/workspace/add/", who="root").status == 403
    assert rig.ask("/admin/wellstreak_workspaces/workspace/acme/delete/", who="root").status == 403


def test_its_urls_are_declared_and_their_operations_vetted() -> None:
    assert_all_routes_declared()

    class Odd(TrustModelAdmin):
        operations = {"view": security.Operation("x", "admin:reed")}

    site = TrustAdminSite(security.ADMIN, "odd")
    site.register(models.Notice, Odd)
    with override_settings(ROOT_URLCONF=(path("odd/", site.urls),)), pytest.raises(ConfigurationError) as caught:
        assert_all_routes_declared()
    assert caught.value.reason == "unknown_permission"
    from django.contrib.admin import AdminSite

    patterns = (path("plain/", AdminSite("plain").urls),)
    with override_settings(ROOT_URLCONF=patterns), pytest.raises(ConfigurationError, match="/plain/login/"):
        assert_all_routes_declared()
