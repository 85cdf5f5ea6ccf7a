"""Each provider's own SDK beside ours: whatever is done to a delivery, both say the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
import standardwebhooks
import stripe
import svix
from slack_sdk.signature import SignatureVerifier
from twilio.request_validator import RequestValidator

from wellstreak_trust import webhooks
from wellstreak_trust.testing import signer

JSON, FORM = b'{"id": "evt_1", "type": "invoice.paid"}', b"Body=Hello&From=%2B14155550100"
URL = "https://app.example/hooks"


def by_stripe(secret: str, body: bytes, headers: Any) -> bool:
    try:
        stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret)
    except stripe.SignatureVerificationError:
        return False
    return True


def by_slack(secret: str, body: bytes, headers: Any) -> bool:
    return SignatureVerifier(secret).is_valid_request(body, dict(headers))


def by_twilio(secret: str, body: bytes, headers: Any) -> bool:
    params = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return bool(RequestValidator(secret).validate(URL, params, headers["X-Twilio-Signature"]))


def by_library(library: Any) -> Callable[[str, bytes, Any], bool]:
    def verify(secret: str, body: bytes, headers: Any) -> bool:
        try:
            library.Webhook(secret).verify(body, dict(headers))
        except (
            library.webhooks.WebhookVerificationError,
            ValueError,
        ):  # a signature that is no base64 raises the latter
            return False
        return True

    return verify


SDKS: dict[str, tuple[bytes, Callable[[str, bytes, Any], bool]]] = {
    "stripe": (JSON, by_stripe),
    "slack": (JSON, by_slack),
    "twilio": (FORM, by_twilio),
    "svix": (JSON, by_library(svix)),
    "standard_webhooks": (JSON, by_library(standardwebhooks)),
}
DONE: dict[str, Callable[[Any, Any], Any]] = {
    "nothing": lambda ours, sent: sent,
    "another body": lambda ours, sent: type(sent)(sent.method, sent.url, sent.headers, sent.body.replace(b"e", b"3")),
    "an empty body": lambda ours, sent: type(sent)(sent.method, sent.url, sent.headers, b""),
    "another secret": lambda ours, sent: ours.wrong_secret(sent),
    "cut off": lambda ours, sent: ours.truncated(sent),
}


@pytest.mark.parametrize("what", DONE)
@pytest.mark.parametrize("provider", SDKS)
def test_both_say_the_same(provider: str, what: str) -> None:
    body, theirs = SDKS[provider]
    ours = signer(provider)
    sent = DONE[what](ours, ours.sign(body, url=URL))
    try:
        webhooks.verifier(provider, secrets=[ours.secret]).verify(sent.headers, sent.body, url=URL)
        said = True
    except webhooks.WebhookError:
        said = False
    assert said is theirs(ours.secret, sent.body, sent.headers) is (what == "nothing")


@pytest.mark.parametrize("provider", [name for name in SDKS if name != "twilio"])  # whose signature has no time
def test_both_refuse_what_is_too_old(provider: str) -> None:
    body, theirs = SDKS[provider]
    ours = signer(provider)
    sent = ours.stale(body)
    with pytest.raises(webhooks.TimestampOutOfTolerance):
        webhooks.verifier(provider, secrets=[ours.secret]).verify(sent.headers, sent.body)
    assert not theirs(ours.secret, sent.body, sent.headers)
