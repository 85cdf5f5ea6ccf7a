"""Commands of ``manage.py``; run by test_notebook."""

from __future__ import annotations

import importlib.util
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.urls import path
from notebook import api, security
from notebook_rig import Rig

from wellstreak_trust.adapters.django import guarded, public
from wellstreak_trust.audit import AuditEvent
from wellstreak_trust.core import Principal


def run(*command: str) -> tuple[int, str, str]:
    out, err, status = io.StringIO(), io.StringIO(), 0
    try:
        call_command(*command, stdout=out, stderr=err)
    except SystemExit as ended:
        status = int(ended.code or 0)
    except CommandError as error:
        status = error.returncode
        err.write(str(error))
    return status, out.getvalue(), err.getvalue()


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_routes_are_listed_with_what_they_declare(rig: Rig) -> None:
    status, out, _ = run("trust_routes")
    assert status == 0
    lines = {tuple(line.split(maxsplit=1)) for line in out.splitlines()}
    assert ("/w/<t>/plain", "notes.create (notes:create), audited as notes.created") in lines
    assert ("/w/<t>/plain", "notes.read (notes:read), audited as notes.read") in lines
    assert ("/open", "open: a test") in lines
    assert ("/admin/notebook/notice/add/", "admin.enter (admin:enter)") in lines
    rows = json.loads(run("trust_routes", "--json")[1])
    assert {"path": "/open", "methods": "", "operation": "", "permission": "", "audit": "", "public": "a test"} in rows


def test_a_route_that_says_nothing_is_status_1(rig: Rig) -> None:
    patterns: tuple[Any, ...] = (path("a", public("x")(api.stream)), path("b", lambda request: None))
    with override_settings(ROOT_URLCONF=patterns):
        status, out, _ = run("trust_routes")
        assert status == 1
        assert [line.split()[-1] for line in out.splitlines() if line.startswith("/b")] == ["UNDECLARED"]
    with override_settings(ROOT_URLCONF=patterns, WELLSTREAK_TRUST_PUBLIC={"/b": "because"}):
        status, out, _ = run("trust_routes")
        assert (status, out.splitlines()[-1].endswith("open: because")) == (0, True)


def test_an_operation_that_cannot_be_served_is_status_1(rig: Rig) -> None:
    view = guarded(security.Operation("x", "notes:reed"))(lambda request: None)
    with override_settings(ROOT_URLCONF=(path("x", view),)):
        status, _, err = run("trust_routes")
    assert status == 1
    assert "notes:reed" in err


def test_the_trail_is_verified_and_a_tampered_one_is_not(rig: Rig) -> None:
    for number in range(3):
        rig.parts.audit.emit(AuditEvent("notes.read", "success", "acme", Principal(f"u{number}")))
    status, out, _ = run("trust_verify", "acme")
    assert status == 0
    assert "internal" in out
    assert run("trust_verify")[0] == 0
    assert run("trust_verify", "acme", "--at-least", "signed")[0] == 3
    assert run("trust_verify", "acme", "--pinned", "/no/such/file")[0] == 2
    store = rig.parts.audit.store
    tree = store._trees["acme"]
    tree.rows[1] = tree.rows[1]._replace(leaf=tree.rows[1].leaf.replace(b"u1", b"u9"))
    status, out, _ = run("trust_verify", "acme")
    assert status == 1, out


def test_a_sink_that_keeps_nothing_cannot_be_verified(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(rig.parts.audit, "store")
    status, _, err = run("trust_verify")
    assert (status, "no store" in err) == (2, True)


def test_the_doctor(rig: Rig) -> None:
    status, out, err = run("trust_doctor")
    if importlib.util.find_spec("wellstreak_trust.doctor") is None:
        assert (status, "no doctor" in err) == (2, True)
    else:
        assert status in (0, 1)
        assert json.loads(run("trust_doctor", "--json")[1])["findings"] is not None
        assert out
