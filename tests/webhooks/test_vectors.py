"""94 published vectors: each scheme that ships gives the listed verdict; what does not ship yet is named here."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from wellstreak_trust import webhooks
from wellstreak_trust.webhooks import Mac, Pairs, Timestamp

NOT_SHIPPED = {"twilio", "adyen_payments", "braintree", "rfc9421", "paypal"}
LATER = datetime(2026, 11, 24, tzinfo=UTC)


def scheme_of(vector: dict[str, Any]) -> str | webhooks.Scheme:
    provider: str = vector["provider"]
    if provider == "hubspot":
        version = vector["headers"].get("X-HubSpot-Signature-Version")
        return f"hubspot_{version}" if version else "hubspot"
    if provider == "convoy":
        return convoy(vector["scheme"])
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
    shipped = [vector for vector in vectors if vector["provider"] not in NOT_SHIPPED]
    assert {vector["provider"] for vector in vectors} - {vector["provider"] for vector in shipped} == NOT_SHIPPED
    assert len(shipped) >= 77
    assert [vector["id"] for vector in shipped if verdict(vector) is not vector["valid"]] == []
