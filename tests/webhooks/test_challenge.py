"""Endpoint handshakes: signed ones are verified first, unsigned ones present the configured token."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
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


# --- the other handshakes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "method", "query", "headers", "body"),
    [
        ("dropbox", "GET", "?challenge=abc-123", {}, b"abc-123"),
        ("msgraph", "POST", "?validationToken=Validation%3A+a+b", {}, b"Validation: a b"),
        ("okta", "GET", "", {"X-Okta-Verification-Challenge": "abc"}, b'{"verification":"abc"}'),
        ("trello", "HEAD", "", {}, b""),
        ("mandrill", "HEAD", "", {}, b""),
    ],
)
def test_plain_answers(name: str, method: str, query: str, headers: dict[str, str], body: bytes) -> None:
    verifier = signer(name).verifier()
    answer = verifier.challenge(method, URL + query, headers, b"")
    assert answer is not None
    assert (answer.status, answer.body, answer.handover) == (200, body, None)
    assert ("X-Content-Type-Options", "nosniff") in answer.headers or not body
    assert verifier.challenge("PUT", URL + query, headers, b"") is None


@pytest.mark.parametrize(
    ("name", "method", "query"),
    [
        ("dropbox", "GET", "?challenge=<script>"),
        ("dropbox", "GET", "?challenge=a&challenge=b"),
        ("dropbox", "GET", f"?challenge={'a' * 513}"),
        ("msgraph", "POST", "?validationToken=%0d%0aX"),
        ("msgraph", "POST", "?validationToken=%C3%A9"),
        ("braintree", "GET", "?bt_challenge=XYZ"),
        ("x", "GET", "?crc_token=%7B%7D"),
    ],
)
def test_what_is_never_answered(name: str, method: str, query: str) -> None:
    with pytest.raises(webhooks.WebhookError):
        signer(name).verifier().challenge(method, URL + query, {}, b"")


def test_x_signs_no_delivery_in_its_handshake() -> None:
    ours = signer("x")
    answer = ours.verifier().challenge("GET", f"{URL}?crc_token=dG9rZW4", {}, b"")
    assert answer is not None
    token = json.loads(answer.body)["response_token"]
    expected = hmac.new(ours.secret.encode(), b"dG9rZW4", "sha256").digest()
    assert token == f"sha256={b64encode(expected).decode()}"


@pytest.mark.parametrize("name", ["asana", "notion"])
def test_a_secret_is_taken_only_while_pending(name: str) -> None:
    ours = signer(name)
    headers = {"X-Hook-Secret": ours.secret} if name == "asana" else {}
    body = b"" if name == "asana" else json.dumps({"verification_token": ours.secret}).encode()
    with pytest.raises(webhooks.SignatureMismatch):
        ours.verifier().challenge("POST", URL, headers, body)
    answer = ours.verifier(pending=True).challenge("POST", URL, headers, body)
    assert answer is not None
    assert answer.handover is not None
    assert answer.handover.reveal() == ours.secret
    assert ours.secret not in repr(answer.handover)
    sent = ours.sign(b'{"verification_token":"x","id":"1"}')
    assert ours.verifier().challenge("POST", URL, sent.headers, sent.body) is None


def test_sns_reports_where_to_confirm_and_only_at_amazon() -> None:
    ours = signer("sns")
    for url, good in (
        ("https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=t", True),
        ("https://sns.us-east-1.amazonaws.com.evil.example/?Action=ConfirmSubscription", False),
        ("http://sns.us-east-1.amazonaws.com/", False),
        ("https://169.254.169.254/", False),
    ):
        document = {"Type": "SubscriptionConfirmation", "Message": "m", "SubscribeURL": url, "Token": "t"}
        sent = ours.sign(json.dumps(document).encode(), at=NOW)
        if good:
            answer = ours.verifier().challenge("POST", URL, sent.headers, sent.body, now=NOW)
            assert answer is not None
            assert answer.handover is not None
            assert answer.handover.reveal() == url
        else:
            with pytest.raises(webhooks.UntrustedCertificate):
                ours.verifier().challenge("POST", URL, sent.headers, sent.body, now=NOW)
    plain = ours.sign(at=NOW)
    assert ours.verifier().challenge("POST", URL, plain.headers, plain.body, now=NOW) is None


def test_some_providers_want_words() -> None:
    wanted = {"adyen_payments": (200, b"[accepted]"), "msgraph": (202, b""), "stripe": (200, b"")}
    for name, (status, body) in wanted.items():
        answer = signer(name).verifier().acknowledgement
        assert (answer.status, answer.body) == (status, body)
