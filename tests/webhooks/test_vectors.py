"""94 published vectors: each scheme that ships gives the listed verdict; what does not ship yet is named here."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from wellstreak_trust import webhooks
from wellstreak_trust.webhooks import Mac, Pairs, Timestamp
from wellstreak_trust.webhooks.special.paypal import signed_text

# PayPal's certificate is not published with its example, Braintree's vector is a handshake: both stand below.
ELSEWHERE = {"paypal", "braintree"}
LATER = datetime(2026, 11, 24, tzinfo=UTC)


def scheme_of(vector: dict[str, Any]) -> str | webhooks.Scheme:
    provider: str = vector["provider"]
    if provider == "hubspot":
        version = vector["headers"].get("X-HubSpot-Signature-Version")
        return f"hubspot_{version}" if version else "hubspot"
    if provider == "convoy":
        return convoy(vector["scheme"])
    if provider == "rfc9421":
        return webhooks.rfc9421("@authority")  # the RFC's examples do not bind the body
    return provider


def convoy(rule: str) -> str | webhooks.Scheme:
    """Convoy lets each project choose digest and encoding; two are built in, the others are described."""
    content, algorithm, encoding = rule.split()
    timed = content == "ts,body"
    if (algorithm, encoding) == ("hmac-sha256", "hex"):
        return "convoy" if timed else "convoy_simple"
    if timed:
        mac = Mac(algorithm, encoding, tag="v1")
        template = "{timestamp},{body}"
        parser = Pairs(timestamp="t")
        return webhooks.custom(
            "convoy", "X-Convoy-Signature", parser=parser, content=template, mac=mac, timestamp=Timestamp()
        )
    return webhooks.custom("convoy", "X-Convoy-Signature", mac=Mac(algorithm, "base64" if "64" in encoding else "hex"))


def verdict(vector: dict[str, Any]) -> bool:
    seconds = vector.get("tolerance")
    verifier = webhooks.verifier(
        scheme_of(vector),
        [vector["secret"]],
        tolerance=timedelta(seconds=seconds) if seconds is not None else None,
        allow_weak=True,
    )
    now = datetime.fromtimestamp(vector["now"], UTC) if "now" in vector else LATER
    try:
        event = verifier.verify(
            vector["headers"],
            b64decode(vector["body_b64"]),
            url=vector.get("url"),
            method=vector.get("method", "POST"),
            now=now,
        )
    except webhooks.WebhookError:
        return False
    return event.body == b64decode(vector["body_b64"])


def test_published_vectors(published_vectors: Callable[[str], Any]) -> None:
    vectors = published_vectors("webhooks/vectors.json")["vectors"]
    judged = [vector for vector in vectors if vector["provider"] not in ELSEWHERE]
    assert len(judged) == 92
    assert [vector["id"] for vector in judged if verdict(vector) is not vector["valid"]] == []


def test_the_published_braintree_challenge(published_vectors: Callable[[str], Any]) -> None:
    vectors = published_vectors("webhooks/vectors.json")["vectors"]
    vector = next(each for each in vectors if each["id"] == "braintree-challenge")
    verifier = webhooks.verifier("braintree", [f"integration_public_key|{vector['secret']}"], allow_weak=True)
    url = f"https://hooks.example.com/?bt_challenge={b64decode(vector['body_b64']).decode()}"
    answer = verifier.challenge("GET", url, {}, b"")
    assert answer is not None
    assert answer.body == b"integration_public_key|d9b899556c966b3f06945ec21311865d35df3ce4"


def test_the_published_string_that_paypal_signs(published_vectors: Callable[[str], Any]) -> None:
    vectors = published_vectors("webhooks/vectors.json")["vectors"]
    vector = next(each for each in vectors if each["id"] == "paypal-signed-string")
    sent, body = vector["headers"], b64decode(vector["body_b64"])
    text = signed_text(sent["PAYPAL-TRANSMISSION-ID"], sent["PAYPAL-TRANSMISSION-TIME"], vector["webhook_id"], body)
    assert text == vector["signed_string"].encode()
