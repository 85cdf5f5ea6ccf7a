"""The providers' own libraries take what our signers sign, and we take what they sign."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs

import jwt
import openai
import pytest
import standardwebhooks
import stripe
import svix
from openai import InvalidWebhookSignatureError
from slack_sdk.signature import Clock, SignatureVerifier
from twilio.request_validator import RequestValidator

from wellstreak_trust import webhooks
from wellstreak_trust.testing import signer

BODY = json.dumps({"id": "evt_1", "object": "event", "type": "invoice.paid", "name": "Zoë \\/ 1"}).encode()
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://hooks.example.com/in/twilio?tenant=7"
NOW = datetime.now(UTC)


def test_stripe_takes_ours() -> None:
    ours = signer("stripe")
    sent = ours.sign(BODY)
    event = stripe.Webhook.construct_event(sent.body, sent.headers["Stripe-Signature"], ours.secret)
    assert event["id"] == "evt_1"
    for broken in (ours.stale(BODY), ours.wrong_secret(sent), ours.truncated(sent)):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.WebhookSignature.verify_header(
                broken.body.decode(), broken.headers["Stripe-Signature"], ours.secret, 300
            )


def test_we_take_stripes() -> None:
    secret, stamp = "whsec_" + "5f" * 24, int(time.time())
    made = stripe.WebhookSignature._compute_signature(f"{stamp}.{BODY.decode()}", secret)
    header = f"t={stamp},v1={made},v0=ignored"
    assert webhooks.verifier("stripe", [secret]).verify({"Stripe-Signature": header}, BODY).id == "evt_1"


def test_slack_takes_ours_and_we_take_slacks() -> None:
    ours = signer("slack")
    sent = ours.sign(BODY, at=NOW)
    verifier = SignatureVerifier(ours.secret)
    assert verifier.is_valid_request(sent.body, sent.headers)
    assert not verifier.is_valid_request(sent.body + b" ", sent.headers)
    stamp = str(int(Clock().now()))
    signature = verifier.generate_signature(timestamp=stamp, body=BODY)
    assert signature is not None
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}
    assert ours.verifier().verify(headers, BODY).body == BODY


@pytest.mark.parametrize(("library", "name"), [(standardwebhooks, "standard_webhooks"), (svix, "svix")])
def test_standard_webhooks_and_svix_take_ours_and_we_take_theirs(library: Any, name: str) -> None:
    ours = signer(name, STANDARD)
    sent = ours.sign(BODY, id="msg_1")
    library.Webhook(STANDARD).verify(sent.body, sent.headers)
    with pytest.raises(library.webhooks.WebhookVerificationError):
        library.Webhook(STANDARD).verify(sent.body + b" ", sent.headers)
    family = name.partition("_")[0].replace("standard", "webhook")
    signature = library.Webhook(STANDARD).sign("msg_2", NOW, BODY.decode())
    headers = {
        f"{family}-id": "msg_2",
        f"{family}-timestamp": str(int(NOW.timestamp())),
        f"{family}-signature": signature,
    }
    event = ours.verifier().verify(headers, BODY)
    assert (event.id, event.id_signed) == ("msg_2", True)


def test_openai_takes_ours() -> None:
    ours = signer("openai", STANDARD)
    sent = ours.sign(BODY)
    client = openai.OpenAI(api_key="none", webhook_secret=STANDARD)
    client.webhooks.verify_signature(sent.body, sent.headers)
    with pytest.raises(InvalidWebhookSignatureError):
        client.webhooks.verify_signature(sent.body + b" ", sent.headers)
    client.close()


@pytest.mark.parametrize(("name", "algorithm"), [("twilio", "HMAC_SHA1"), ("twilio_sha256", "HMAC_SHA256")])
def test_twilio_takes_our_forms_and_we_take_its(name: str, algorithm: str) -> None:
    ours = signer(name)
    peer = RequestValidator(ours.secret)
    form = b"To=%2B18005551212&From=%2B14158675309&Body=a+%26+b&Empty=&Name=Zo%C3%AB"
    sent = ours.sign(form, url=URL)
    fields = {key: values[0] for key, values in parse_qs(form.decode(), keep_blank_values=True).items()}
    assert peer.validate(URL, fields, sent.headers["X-Twilio-Signature"], algorithm)
    assert not peer.validate(URL + "8", fields, sent.headers["X-Twilio-Signature"], algorithm)
    verifier = ours.verifier()
    for url in (URL, URL.replace(".com/", ".com:443/"), URL.replace(".com/", ".com:8443/")):
        headers = {"X-Twilio-Signature": peer.compute_signature(url, fields, algorithm)}
        assert verifier.verify(headers, form, url=url).signed == {"url", "body"}


def test_twilio_takes_our_json_and_we_take_its() -> None:
    ours = signer("twilio")
    peer = RequestValidator(ours.secret)
    sent = ours.sign(BODY, url=URL)
    assert peer.validate(sent.url, BODY.decode(), sent.headers["X-Twilio-Signature"])
    assert not peer.validate(sent.url, BODY.decode() + " ", sent.headers["X-Twilio-Signature"])
    url = f"{URL}&bodySHA256={peer.compute_hash(BODY.decode())}"
    headers = {"X-Twilio-Signature": peer.compute_signature(url, {})}
    assert ours.verifier().verify(headers, BODY, url=url).body == BODY


def test_a_jwt_library_takes_our_plaid_token_and_we_take_its() -> None:
    """Plaid's library verifies nothing itself; its guide does it with PyJWT, as here."""
    ours = signer("plaid")
    sent = ours.sign(BODY)
    token = sent.headers["Plaid-Verification"]
    key = jwt.PyJWK(json.loads(ours.secrets[0])["keys"][0], "ES256")
    claims = jwt.decode(token, key, algorithms=["ES256"])
    assert claims["request_body_sha256"] == sha256(BODY).hexdigest()
    made = jwt.encode(claims, ours.secret, "ES256", headers={"kid": "test"})
    assert ours.verifier().verify({"Plaid-Verification": made}, BODY).body == BODY


def test_where_we_are_stricter_than_the_peers() -> None:
    """What a library lets pass and we refuse; each stands in the list of the manual."""
    ours = signer("standard_webhooks", STANDARD)
    sent = ours.sign(BODY, id="msg_1")
    peer = standardwebhooks.Webhook(STANDARD)
    text = sent.headers["webhook-signature"]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stray = text[:-2] + letters[letters.index(text[-2]) ^ 1] + "="
    assert b64decode(stray[3:]) == b64decode(text[3:])
    for change in (
        {"webhook-signature": stray},
        {"webhook-timestamp": f" {sent.headers['webhook-timestamp']}"},
    ):
        assert peer.verify(sent.body, sent.headers | change)["id"] == "evt_1"
        with pytest.raises(webhooks.WebhookError):
            ours.verifier().verify(sent.headers | change, BODY)
