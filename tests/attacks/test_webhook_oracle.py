"""Handshakes sign texts that anybody chooses: what they answer must never pass for a delivery."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

import pytest

from wellstreak_trust import webhooks
from wellstreak_trust.testing import signer

URL = "https://hooks.example.com/in"


LIKE_X = webhooks.custom(
    "like_x",
    "x-twitter-webhooks-signature",
    parser=webhooks.Plain("sha256="),
    mac=webhooks.Mac(encoding="base64"),
    challenge="x",
)


@pytest.mark.parametrize("scheme", ["x", LIKE_X], ids=["built in", "custom"])
@pytest.mark.parametrize("token", ["abc", "12345", "null", "true", "AAAA", "dG9rZW4=", "a.b~c"])
def test_the_answer_to_x_signs_no_delivery(token: str, scheme: str | webhooks.Scheme) -> None:
    verifier = signer(scheme).verifier()
    answer = verifier.challenge("GET", f"{URL}?crc_token={quote(token)}", {}, b"")
    assert answer is not None
    signature = json.loads(answer.body)["response_token"]
    with pytest.raises(webhooks.WebhookError):
        verifier.verify({"x-twitter-webhooks-signature": signature}, token.encode())


@pytest.mark.parametrize("token", ["{", "{}", '{"a":1}', " {}", "\ufeff{}"])
def test_x_is_asked_to_sign_nothing_that_begins_like_a_delivery(token: str) -> None:
    with pytest.raises(webhooks.WebhookError):
        signer("x").verifier().challenge("GET", f"{URL}?crc_token={quote(token)}", {}, b"")


@pytest.mark.parametrize("text", ["0123456789abcdef0123", "0123456789abcdef0123456789abcdef"])
@pytest.mark.parametrize("tail", ["", "\n"])
def test_the_answer_to_braintree_signs_no_notification(text: str, tail: str) -> None:
    verifier = signer("braintree").verifier()
    answer = verifier.challenge("GET", f"{URL}?bt_challenge={text}", {}, b"")
    assert answer is not None
    form = urlencode({"bt_signature": answer.body.decode(), "bt_payload": text + tail}).encode()
    with pytest.raises(webhooks.WebhookError):
        verifier.verify({}, form)


def test_the_answer_to_zoom_signs_no_event() -> None:
    """Its content has a version and a time in front, which no token has."""
    ours = signer("zoom")
    opening = ours.sign(json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": "v0"}}).encode())
    answer = ours.verifier().challenge("POST", URL, opening.headers, opening.body)
    assert answer is not None
    made = json.loads(answer.body)["encryptedToken"]
    headers = {"x-zm-request-timestamp": opening.headers["x-zm-request-timestamp"], "x-zm-signature": f"v0={made}"}
    with pytest.raises(webhooks.SignatureMismatch):
        ours.verifier().verify(headers, b"v0")
