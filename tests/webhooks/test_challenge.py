"""Endpoint handshakes: signed ones are verified first, unsigned ones present the configured token."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime

import pytest

from wellstreak_trust import webhooks
from wellstreak_trust.testing import signer

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
URL = "https://hooks.example.com/x"


def test_slack() -> None:
    slack = signer("slack")
    opened = slack.sign(b'{"type":"url_verification","token":"t","challenge":"3eZbrw1aB10FEM"}', at=NOW)
    answer = slack.verifier().challenge("POST", URL, opened.headers, opened.body, now=NOW)
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"3eZbrw1aB10FEM")
    with pytest.raises(webhooks.SignatureMismatch):
        signer("slack").verifier().challenge("POST", URL, opened.headers, opened.body, now=NOW)
    with pytest.raises(webhooks.MissingSignature):
        slack.verifier().challenge("POST", URL, {}, opened.body)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"type":"event_callback"}', b'{"type":"x","text":"url_verification"}', b"\xff"]
)
def test_ordinary_deliveries_are_no_handshake(body: bytes) -> None:
    slack = signer("slack")
    sent = slack.sign(body, at=NOW)
    assert slack.verifier().challenge("POST", URL, sent.headers, body, now=NOW) is None
    assert slack.verifier().challenge("GET", URL, sent.headers, body, now=NOW) is None
    assert signer("github").verifier().challenge("POST", URL, {}, body) is None


@pytest.mark.parametrize("challenge", ['"<script>"', '""', "null", '"' + "a" * 600 + '"', '"\\ud800"'])
def test_only_plain_text_is_echoed(challenge: str) -> None:
    slack = signer("slack")
    opened = slack.sign(b'{"type":"url_verification","challenge":%s}' % challenge.encode(), at=NOW)
    with pytest.raises(webhooks.MalformedBody):
        slack.verifier().challenge("POST", URL, opened.headers, opened.body, now=NOW)


def meta(query: str, token: str | None = "meatyhamhock-0123456789") -> webhooks.ChallengeResponse | None:
    verifier = signer("meta").verifier(verify_token=token)
    return verifier.challenge("GET", f"{URL}?{query}", {}, b"")


def test_meta() -> None:
    answer = meta("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock-0123456789")
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"1158201444")
    assert ("X-Content-Type-Options", "nosniff") in answer.headers
    assert meta("hub.mode=other") is None
    assert meta("") is None


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong", webhooks.SignatureMismatch),
        ("hub.mode=subscribe&hub.challenge=1&hub.verify_token=%C3%A9%FF", webhooks.SignatureMismatch),
        ("hub.mode=subscribe&hub.challenge=1", webhooks.SignatureMismatch),
        ("hub.mode=subscribe&" + "hub.verify_token=meatyhamhock-0123456789&" * 2 + "a=b", webhooks.SignatureMismatch),
        ("hub.mode=subscribe&hub.verify_token=meatyhamhock-0123456789", webhooks.MalformedBody),
        ("hub.mode=subscribe&hub.verify_token=meatyhamhock-0123456789&hub.challenge=%3Cb%3E", webhooks.MalformedBody),
        ("&".join(f"a{number}=1" for number in range(50)), webhooks.MalformedHeader),
    ],
)
def test_meta_refuses(query: str, error: type[webhooks.WebhookError]) -> None:
    with pytest.raises(error):
        meta(query)


def test_meta_needs_a_token_of_its_own() -> None:
    with pytest.raises(webhooks.WeakSecret):
        meta("hub.mode=subscribe&hub.challenge=1&hub.verify_token=", None)


def test_zoom_answers_with_a_code_over_the_token() -> None:
    zoom = signer("zoom")
    opened = zoom.sign(b'{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}', at=NOW)
    answer = zoom.verifier().challenge("POST", URL, opened.headers, opened.body, now=NOW)
    assert answer is not None
    code = hmac.new(zoom.secret.encode(), b"qgg8vlvZRS6UYooatFL8Aw", "sha256").hexdigest()
    assert json.loads(answer.body) == {"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": code}
    other = zoom.sign(b'{"event":"meeting.started"}', at=NOW)
    assert zoom.verifier().challenge("POST", URL, other.headers, other.body, now=NOW) is None


def test_discord_pings_are_answered_only_when_signed() -> None:
    discord = signer("discord")
    ping = discord.sign(b'{"id":"1","type":1}', at=NOW)
    answer = discord.verifier().challenge("POST", URL, ping.headers, ping.body, now=NOW)
    assert answer is not None
    assert json.loads(answer.body) == {"type": 1}
    with pytest.raises(webhooks.SignatureMismatch):
        signer("discord").verifier().challenge("POST", URL, ping.headers, ping.body, now=NOW)
    command = discord.sign(b'{"id":"1","type":2,"data":{"type":1}}', at=NOW)
    assert discord.verifier().challenge("POST", URL, command.headers, command.body, now=NOW) is None
