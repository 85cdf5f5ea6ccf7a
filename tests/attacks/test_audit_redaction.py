"""Toy 19: redaction that goes by key names alone, or that changes what the caller goes on to use."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from wellstreak_trust import Principal, Secret
from wellstreak_trust.audit import AuditEvent, AuditLog, MemoryAuditStore, Personal

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
CREDENTIALS = {
    "in a key that says so": {"password": "hunter2-x"},
    "in a key that says nothing": {"note": f"Authorization: Bearer {JWT}"},
    "in a list": {"headers": ["accept: */*", f"x-key: {JWT}"]},
    "in a key itself": {"urls": {"a": "https://ada:hunter2-x@db.example/"}},
    "in a wrapper of ours": {"value": Secret("hunter2-x")},
    "in a wrapper in a list": {"values": [{"v": Secret(b"hunter2-x")}]},
    "in a personal value": {"bio": Personal(f"my key is {JWT}", subject="ada")},
    "behind a long text": {"log": "x" * 9_000 + f" {JWT} " + "y" * 9_000},
}


@pytest.mark.parametrize("name", CREDENTIALS)
@pytest.mark.parametrize("field", ["data", "source", "request", "changes"])
def test_a_credential_is_masked_wherever_it_hides(name: str, field: str) -> None:
    log = AuditLog(MemoryAuditStore())
    given: Any = CREDENTIALS[name]
    log.emit(AuditEvent("a.b", "success", "t1", {"id": "u"}, **{field: (given,) if field == "changes" else given}))
    text = log.entry("t1", 0).decode()
    shown = json.dumps(log.events("t1", disclose=True, actor={"id": "o"}, reason="r"))
    for leak in ("hunter2-x", JWT, "c2ln"):
        assert leak not in text
        assert leak not in shown


def test_the_callers_own_values_are_left_alone() -> None:
    log = AuditLog(MemoryAuditStore())
    inner = {"password": "hunter2-x", "list": [{"token": JWT}, "plain"]}
    personal = Personal({"name": "Ada", "tags": ["a"]}, subject="ada")
    given = {"deep": inner, "who": personal}
    before = copy.deepcopy(inner)
    log.emit(AuditEvent("a.b", "success", "t1", {"id": "u"}, data=given))
    assert inner == before
    assert given == {"deep": inner, "who": personal}
    assert personal.value == {"name": "Ada", "tags": ["a"]}


def test_what_is_harmless_stays() -> None:
    log = AuditLog(MemoryAuditStore())
    data = {"passport": "P1", "tokens": 5, "note": "a token of thanks", "secretary": "Grace", "n": [1, None, True]}
    log.emit(AuditEvent("a.b", "success", "t1", {"id": "u"}, data=data))
    assert log.events("t1")[0]["data"] == data


def test_no_digest_is_taken_for_a_credential() -> None:
    """One in thousands would look like one and be masked: then its value could never be shown again."""
    log = AuditLog(MemoryAuditStore())
    values = [Personal(f"v{number}", subject="ada") for number in range(500)]
    for number in range(40):
        log.emit(AuditEvent("a.b", "success", "t1", {"id": "u"}, data={"v": values}, id=f"e{number}"))
    shown = log.events("t1", limit=40, disclose=True, actor={"id": "o"}, reason="r")
    assert all(event["data"]["v"] == [f"v{number}" for number in range(500)] for event in shown)


def test_the_public_id_of_a_session_is_named_and_a_token_in_its_place_is_not() -> None:
    log = AuditLog(MemoryAuditStore(allow_memory=True))
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlc2lnbmF0dXJl"
    for session in ("5f0c", token, "x" * 257):
        who = Principal("ada", session_id=session, actor=Principal("op", session_id="77aa"))
        log.emit(AuditEvent("billing.read", "success", "acme", who))
    log.emit(AuditEvent("billing.read", "success", "acme", {"id": "ada", "session_id": "5f0c"}))
    free, odd, masked, named = (leaf["actor"] for leaf in log.events("acme"))
    assert (named["session_id"], named["actor"]["session_id"]) == ("5f0c", "77aa")
    assert token not in str(masked)
    assert odd["session_id"] == free["session_id"] == "***"
