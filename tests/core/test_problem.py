"""RFC 9457 documents and the response around them."""

from __future__ import annotations

import json

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
