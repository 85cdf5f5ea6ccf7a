"""RFC 9457 documents and the response around them."""

from __future__ import annotations

import json

import pytest

from wellstreak_trust.core import errors
from wellstreak_trust.core.problem import document, respond


def test_document_members() -> None:
    found = document("denied", "Forbidden", 403, instance="/x", members={"limit": 3})
    assert found == {
        "type": "urn:wellstreak-trust:problem:denied",
        "title": "Forbidden",
        "status": 403,
        "code": "denied",
        "limit": 3,
        "instance": "/x",
    }
    assert document("a", "b", 400, type_uri="https://iana.org/x")["type"] == "https://iana.org/x"


@pytest.mark.asvs("4.1.1", "14.2.2", "14.3.2")
def test_response_is_never_stored_and_carries_the_errors_headers() -> None:
    answer = respond(errors.InvalidCredential("secret cause", reason="expired"), instance="/r", trace_id="t1")
    headers = dict(answer.headers)
    assert answer.status == 401
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Cache-Control"] == "no-store"
    assert headers["WWW-Authenticate"] == "Bearer"
    body = json.loads(answer.body)
    assert body["trace_id"] == "t1"
    assert b"secret cause" not in answer.body


def test_a_replayed_delivery_is_acknowledged_as_success() -> None:
    answer = respond(errors.Replayed())
    assert answer.status == 200
    assert dict(answer.headers)["Content-Type"] == "application/json"


class _Chatty(errors.Conflict, code="chatty", title="Chatty"):
    """A host's own error that says too much."""

    def members(self) -> dict[str, object]:
        ours = dict.fromkeys(("type", "title", "status", "code", "instance", "trace_id", "detail", "hint"), "hijacked")
        return {**ours, "balance": 30}


def test_extension_members_replace_nothing_and_bring_nothing_private() -> None:
    """RFC 9457, 3.2: extensions stand beside the members of 3.1."""
    answer = respond(_Chatty("private"), instance="/x", trace_id="t1")
    found = json.loads(answer.body)
    assert "hijacked" not in found.values()
    assert list(found) == ["type", "title", "status", "code", "balance", "instance", "trace_id"]
    assert "instance" not in _Chatty().problem()


def test_members_have_the_types_of_rfc_9457() -> None:
    answer = respond(errors.TenantNotFound("private"))
    found = json.loads(answer.body)
    assert found["type"].startswith("urn:")  # 3.1.1: a URI, absolute as recommended
    assert found["status"] == answer.status == 404  # 3.1.2: the number of the response itself
    assert isinstance(found["title"], str)  # 3.1.3: the same for every occurrence
    assert found["title"] == errors.TenantNotFound("another").title
    assert "detail" not in found  # 3.1.4 is optional, and ours is for operators
    assert answer.body.isascii()
    assert json.loads(respond(errors.NotFound(), instance="/\ud800\n").body)["instance"] == "/\ud800\n"
