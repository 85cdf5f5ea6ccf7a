"""`explain` names the cause, for each slip that users of other libraries report."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wellstreak_trust import webhooks
from wellstreak_trust.testing import signer

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DOCUMENT = {"id": "evt_1", "url": "https://example.com/ä", "nested": {"b": [1, 2], "a": None}}
BODY = json.dumps(DOCUMENT, separators=(",", ":")).encode()
STRIPE = signer("stripe")
GOOD = STRIPE.sign(BODY, at=NOW)


def cause(headers: Any = GOOD.headers, body: Any = BODY, name: str = "stripe", **more: Any) -> str:
    secrets = more.pop("secrets", STRIPE.secrets)
    found = webhooks.explain(name, headers, body, secrets, more.pop("url", None), **({"now": NOW} | more))
    for secret in secrets or []:
        assert not isinstance(secret, str) or secret not in found.hint
    assert found.hint
    return found.cause


def test_ok() -> None:
    assert cause() == "ok"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "missing_header"),
        ({"Stripe-Signature": "garbage"}, "malformed_header"),
        ([*GOOD.headers.items(), *GOOD.headers.items()], "duplicate_header"),
        ({"X-Hub-Signature-256": "sha256=" + "0" * 64}, "wrong_scheme"),
        (None, "malformed_header"),
        ([("a",)], "malformed_header"),
    ],
)
def test_headers(headers: Any, expected: str) -> None:
    assert cause(headers) == expected


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(DOCUMENT).encode(),
        json.dumps(DOCUMENT, indent=2).encode(),
        json.dumps(DOCUMENT, indent=3, ensure_ascii=False).encode(),
        json.dumps(DOCUMENT, sort_keys=True).encode(),
    ],
)
def test_a_body_written_again(body: bytes) -> None:
    signed_sorted = STRIPE.sign(json.dumps(DOCUMENT, separators=(",", ":"), sort_keys=True).encode(), at=NOW)
    headers = signed_sorted.headers if body == json.dumps(DOCUMENT, sort_keys=True).encode() else GOOD.headers
    assert cause(headers, body) == "body_reserialised"


def test_a_body_that_was_parsed() -> None:
    assert cause(body=DOCUMENT) == "body_reserialised"
    escaped = BODY.replace(b"/", b"\\/")
    assert cause(STRIPE.sign(escaped, at=NOW).headers, BODY) == "body_reserialised"


@pytest.mark.parametrize("body", [BODY + b"\n", BODY + b"\r\n"])
def test_line_ends(body: bytes) -> None:
    assert cause(body=body) == "body_newline"
    assert cause(STRIPE.sign(body, at=NOW).headers, BODY) == "body_newline"


def test_time() -> None:
    assert cause(now=NOW + timedelta(days=1)) == "stale"
    assert cause(now=NOW - timedelta(days=1)) == "future"
    workos = signer("workos")
    sent = workos.sign(BODY, at=NOW)
    calendly_like = {"Stripe-Signature": sent.headers["WorkOS-Signature"].replace(", ", ",")}
    assert cause(calendly_like, secrets=workos.secrets) == "timestamp_unit"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/webhooks",
        "https://hooks.example.com:443/webhooks",
        "https://hooks.example.com/webhooks/",
    ]
    + ["https://hooks.example.com/webhooks?a=b", "https://hooks.example.com:8443/webhooks", "not a url"],
)
def test_urls(url: str) -> None:
    square = signer("square")
    sent = square.sign(BODY)
    assert cause(sent.headers, BODY, "square", secrets=square.secrets, url=url) == "wrong_url"


def test_a_proxys_name() -> None:
    square = signer("square")
    sent = square.sign(BODY)
    headers = sent.headers | {"X-Forwarded-Host": "hooks.example.com"}
    url = "http://internal:8000/webhooks"
    assert cause(headers, BODY, "square", secrets=square.secrets, url=url) == "wrong_url"


def test_secrets() -> None:
    assert cause(secrets=["x" * 40]) == "wrong_secret"
    assert cause(secrets=[STRIPE.secret + "\n"]) == "wrong_secret_codec"
    assert cause(secrets=[None]) == "wrong_secret_codec"
    svix = signer("svix")
    headers = {"Stripe-Signature": GOOD.headers["Stripe-Signature"]}
    assert cause(headers, secrets=svix.secrets) == "wrong_secret"
    text = signer("polar", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    sent = text.sign(BODY, at=NOW)
    assert cause(sent.headers, BODY, "standard_webhooks", secrets=text.secrets) == "wrong_secret_codec"


def test_schemes() -> None:
    gitea = signer("github", "k" * 32)
    sent = gitea.sign(BODY)
    assert cause(sent.headers, BODY, "meta", secrets=gitea.secrets) == "ok"
    assert cause(sent.headers, BODY, "nope", secrets=gitea.secrets) == "wrong_scheme"
    convoy = signer("convoy", "k" * 32)
    assert cause(convoy.sign(BODY, at=NOW).headers, BODY, "convoy_simple", secrets=convoy.secrets) in (
        "malformed_header",
        "wrong_scheme",
    )


def test_size() -> None:
    assert cause(body=bytes(2 << 20)) == "body_too_large"


@pytest.mark.parametrize("body", [b"[" * 100_000, b"9" * 5_000, b"\xff\xfe", b""])
def test_hostile_bodies_are_explained_too(body: bytes) -> None:
    assert cause(body=body) == "wrong_secret"


def test_keys_that_cannot_be_had_and_keys_that_are_not_theirs() -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:trust"
    ours = signer("sns")
    sent = ours.sign()
    assert webhooks.explain("sns", sent.headers, sent.body, [topic]).cause == "key_unavailable"
    moved = sent.body.replace(b"sns.us-east-1.amazonaws.com", b"evil.example")
    assert webhooks.explain("sns", sent.headers, moved, ours.secrets).cause == "untrusted_key"
    old = signer("sns_sha1", ours.secret).sign()
    assert webhooks.explain("sns", old.headers, old.body, ours.secrets).cause == "wrong_scheme"


HOSTILE: list[Any] = [None, 7, "text", b"\xff", b"[" * 100_000, b'{"a":"\\ud800"}', [("a",)], {1: 2}, {"a": object()}]


@pytest.mark.parametrize("name", ["stripe", "twilio", "adyen_payments", "sns", "plaid", "rfc9421", "hubspot", "linear"])
def test_nothing_that_was_sent_makes_it_raise(name: str) -> None:
    sent = signer(name).sign()
    for hostile in HOSTILE:
        for headers, body in ((hostile, sent.body), (sent.headers, hostile), (hostile, hostile)):
            for url in (None, sent.url, "https://[::1", "\ud800"):
                assert webhooks.explain(name, headers, body, ["s" * 32], url).cause


def test_other_ways_in_which_bodies_and_addresses_change() -> None:
    github, square = signer("github"), signer("square")
    text = '{"name":"Zoë <a&b>"}'
    cases = {
        b"\xef\xbb\xbf" + text.encode(): text.encode(),
        text.encode().decode("latin-1").encode(): text.encode(),
        text.encode(): text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode(),
    }
    for seen, sent in cases.items():
        headers = github.sign(sent).headers
        assert webhooks.explain("github", headers, seen, github.secrets).cause == "body_reserialised"
    padded = github.sign(b"{}").headers
    assert webhooks.explain("github", padded, b"{} ", github.secrets).cause == "body_newline"
    for seen, sent, forwarded in (
        ("https://h.example/in", "https://h.example:8443/in", {"X-Forwarded-Port": "8443"}),
        ("https://h.example/in", "https://h.example/api/in", {"X-Forwarded-Prefix": "/api/"}),
    ):
        delivery = square.sign(b"{}", url=sent)
        told = webhooks.explain("square", delivery.headers | forwarded, b"{}", square.secrets, seen)
        assert told.cause == "wrong_url"
        assert sent in told.hint
