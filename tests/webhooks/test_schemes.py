"""Every scheme: what its provider signs is accepted, what anybody changes is not."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from wellstreak_trust import webhooks
from wellstreak_trust.core import FixedClock
from wellstreak_trust.testing import SignedRequest, Signer, signer
from wellstreak_trust.webhooks import VerifiedWebhook, WebhookError, WebhookVerifier
from wellstreak_trust.webhooks.schemes import lookup

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CLOCK = FixedClock(NOW)
NAMES = webhooks.schemes()
TIMED = [name for name in NAMES if lookup(name).timestamp]
SIGNING = [name for name in NAMES if "body" in lookup(name).signed]
HEADED = [name for name in NAMES if lookup(name).headers]
FORMS = {"twilio", "twilio_sha256", "mandrill", "braintree"}


@cache
def party(name: str) -> tuple[Signer, WebhookVerifier]:
    """One key pair a scheme: making RSA keys is slow."""
    found = signer(name)
    return found, found.verifier(clock=CLOCK)


def accepts(name: str, delivery: SignedRequest, **changed: object) -> VerifiedWebhook:
    sent = replace(delivery, **changed)
    return party(name)[1].verify(sent.headers, sent.body, url=sent.url, method=sent.method)


@pytest.mark.parametrize("name", NAMES)
def test_a_genuine_delivery_is_accepted(name: str) -> None:
    delivery = party(name)[0].sign(at=NOW)
    event = accepts(name, delivery)
    assert (event.provider, event.body, event.signed) == (name, delivery.body, lookup(name).signed)
    assert len(event.replay_key) == 64
    assert name in FORMS or event.json()["message"] == "a sample delivery"


@pytest.mark.parametrize("name", SIGNING)
def test_no_bit_of_the_body_can_change(name: str) -> None:
    delivery = party(name)[0].sign(at=NOW)
    for at in range(0, len(delivery.body), 7):
        octets = bytearray(delivery.body)
        octets[at] ^= 1 << at % 8
        with pytest.raises(WebhookError):
            accepts(name, delivery, body=bytes(octets))


@pytest.mark.parametrize("name", HEADED)
def test_no_bit_of_an_authenticating_header_can_change(name: str) -> None:
    delivery = party(name)[0].sign(at=NOW)
    scheme = lookup(name)
    proving = [scheme.headers[0]]
    proving += [scheme.timestamp.header] if scheme.timestamp and scheme.timestamp.header else []
    proving += [scheme.id.header] if scheme.id and scheme.id.header and "id" in scheme.signed else []
    for header in proving:
        text = delivery.headers[header]
        for at in range(0, len(text), 1 if len(text) < 120 else 5):
            changed = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
            with pytest.raises(WebhookError):
                accepts(name, delivery, headers=delivery.headers | {header: changed})


@pytest.mark.asvs("15.3.7")
@pytest.mark.parametrize("name", HEADED)
def test_headers_that_authenticate_come_exactly_once(name: str) -> None:
    ours = party(name)[0]
    delivery = ours.sign(at=NOW)
    header = lookup(name).headers[0]
    lines = [*delivery.headers.items(), (header, delivery.headers[header])]
    with pytest.raises(webhooks.DuplicateHeader):
        party(name)[1].verify(lines, delivery.body, url=delivery.url)
    with pytest.raises(webhooks.DuplicateHeader):
        accepts(name, ours.duplicated(delivery))
    with pytest.raises(webhooks.MissingSignature):
        accepts(name, delivery, headers={k: v for k, v in delivery.headers.items() if k != header})
    with pytest.raises(WebhookError):
        accepts(name, ours.truncated(delivery))
    with pytest.raises(WebhookError):
        accepts(name, ours.wrong_secret(delivery))


@pytest.mark.parametrize("name", NAMES)
def test_header_names_come_in_any_case_and_as_bytes(name: str) -> None:
    delivery = party(name)[0].sign(at=NOW)
    assert accepts(name, delivery, headers={k.upper(): v for k, v in delivery.headers.items()}).provider == name
    raw = [(k.lower().encode(), v.encode()) for k, v in delivery.headers.items()]
    assert party(name)[1].verify(raw, delivery.body, url=delivery.url).provider == name


HOSTILE = ("", " ", "é" * 64, "\ud800", "a" * 9_000, "=", ",", "t=", "v1=,v1=", "\0")


@pytest.mark.parametrize("name", HEADED)
def test_hostile_header_values_are_refused_by_type(name: str) -> None:
    delivery = party(name)[0].sign(at=NOW)
    for text in HOSTILE:
        with pytest.raises(WebhookError):
            accepts(name, delivery, headers=delivery.headers | {lookup(name).headers[0]: text})


@pytest.mark.parametrize("name", TIMED)
def test_the_clock_is_judged_to_the_second(name: str) -> None:
    ours, verifier = party(name)
    time = lookup(name).timestamp
    assert time is not None
    delivery = ours.sign(at=NOW)
    for skew, good in (
        (time.past, True),
        (time.past + 1, False),
        (-time.future, True),
        (-time.future - 1, False),
    ):
        at = NOW + timedelta(seconds=skew)
        if good:
            assert verifier.verify(delivery.headers, delivery.body, url=delivery.url, now=at).timestamp == NOW
        else:
            with pytest.raises(webhooks.TimestampOutOfTolerance):
                verifier.verify(delivery.headers, delivery.body, url=delivery.url, now=at)


@pytest.mark.parametrize("name", TIMED)
def test_zero_tolerance_means_zero(name: str) -> None:
    ours = party(name)[0]
    strict = ours.verifier(clock=CLOCK, tolerance=timedelta(0))
    delivery = ours.sign(at=NOW)
    assert strict.verify(delivery.headers, delivery.body, url=delivery.url).provider == name
    for skew in (-1, 1):
        with pytest.raises(webhooks.TimestampOutOfTolerance):
            strict.verify(delivery.headers, delivery.body, url=delivery.url, now=NOW + timedelta(seconds=skew))


@pytest.mark.parametrize(
    "name", [name for name in HEADED if lookup(name).mac.encoding in ("hex", "base64", "base64url")]
)
def test_signatures_have_one_spelling(name: str) -> None:
    delivery = party(name)[0].sign(at=NOW)
    header = lookup(name).headers[0]
    text = delivery.headers[header]
    spellings = {text.upper(), text + "=", text + "A", f" {text}", f"{text} ", text.rstrip("=") + "\t"} - {text}
    for spelled in spellings:
        with pytest.raises(WebhookError):
            accepts(name, delivery, headers=delivery.headers | {header: spelled})


def test_independent_computations_agree() -> None:
    """One line of `hmac` for a scheme of each family: the signer alone would share the verifier's mistakes."""
    key, body, stamp = "0123456789abcdef0123456789abcdef", b'{"id":"evt_1"}', str(int(NOW.timestamp()))

    def mac(content: bytes, digest: str = "sha256") -> bytes:
        return hmac.new(key.encode(), content, digest).digest()

    url = "https://hooks.example.com/x"
    deliveries = {
        "github": {"X-Hub-Signature-256": "sha256=" + mac(body).hex()},
        "intercom": {"X-Hub-Signature": "sha1=" + mac(body, "sha1").hex()},
        "paystack": {"x-paystack-signature": mac(body, "sha512").hex()},
        "pagerduty": {"X-PagerDuty-Signature": f"v1={'0' * 64},v1={mac(body).hex()}"},
        "outpost": {"x-outpost-signature": f"v0={'0' * 64},{mac(body).hex()}"},
        "shopify": {"X-Shopify-Hmac-SHA256": b64encode(mac(body)).decode()},
        "hookdeck": {"X-Hookdeck-Signature-2": b64encode(mac(body)).decode()},
        "stripe": {"Stripe-Signature": f"t={stamp},v1={mac(f'{stamp}.'.encode() + body).hex()},v0=old"},
        "slack": {
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": "v0=" + mac(f"v0:{stamp}:".encode() + body).hex(),
        },
        "workos": {"WorkOS-Signature": f"t={stamp}000, v1={mac(f'{stamp}000.'.encode() + body).hex()}"},
        "zendesk": {
            "X-Zendesk-Webhook-Signature-Timestamp": "2026-11-24T12:00:00Z",
            "X-Zendesk-Webhook-Signature": b64encode(mac(b"2026-11-24T12:00:00Z" + body)).decode(),
        },
        "box": {
            "BOX-DELIVERY-TIMESTAMP": "2026-11-24T05:00:00-07:00",
            "BOX-SIGNATURE-PRIMARY": b64encode(bytes(32)).decode(),
            "BOX-SIGNATURE-SECONDARY": b64encode(mac(body + b"2026-11-24T05:00:00-07:00")).decode(),
        },
        "trello": {"X-Trello-Webhook": b64encode(mac(body + url.encode(), "sha1")).decode()},
        "connectwise": {
            "x-content-signature": b64encode(
                hmac.new(hashlib.sha256(key.encode()).digest(), body, "sha256").digest()
            ).decode()
        },
        "telegram": {"X-Telegram-Bot-Api-Secret-Token": key},
        "chargebee": {"Authorization": "Basic " + b64encode(key.encode()).decode()},
    }
    for name, headers in deliveries.items():
        event = webhooks.verifier(name, [key], clock=CLOCK).verify(headers, body, url=url)
        assert event.provider == name


def test_names_are_listed_and_slips_are_helped() -> None:
    assert sorted(NAMES) == NAMES
    assert {"stripe", "github", "meta", "slack", "standard_webhooks", "telegram"} <= set(NAMES)
    with pytest.raises(webhooks.UnsupportedScheme) as caught:
        webhooks.verifier("strpe", ["x" * 32])
    assert "stripe" in caught.value.hint
