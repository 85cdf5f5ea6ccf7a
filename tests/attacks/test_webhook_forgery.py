"""A forged delivery: bytes moved over borders, keys taken for what they are not, headers in many shapes."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest

from wellstreak_trust import webhooks
from wellstreak_trust.core import FixedClock
from wellstreak_trust.testing import signer
from wellstreak_trust.webhooks import WebhookError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CLOCK = FixedClock(NOW)
STAMP = str(int(NOW.timestamp()))


@pytest.mark.parametrize("cut", [1, 2, 5, -1])
@pytest.mark.parametrize("name", ["discord", "zendesk"])
def test_digits_cannot_move_between_time_and_body(name: str, cut: int) -> None:
    ours = signer(name)
    sent = ours.sign(b"123456789", at=NOW)
    time = ours.scheme.timestamp
    assert time is not None
    stamp = sent.headers[time.header]
    shifted = (stamp + "1", b"23456789") if cut < 0 else (stamp[:-cut], stamp[-cut:].encode() + sent.body)
    with pytest.raises(webhooks.MalformedHeader):
        ours.verifier(clock=CLOCK).verify(sent.headers | {time.header: shifted[0]}, shifted[1])


@pytest.mark.parametrize("cut", [1, 3])
def test_digits_cannot_move_between_body_and_time(cut: int) -> None:
    box = signer("box")
    sent = box.sign(b"body-12", at=NOW)
    stamp = sent.headers["BOX-DELIVERY-TIMESTAMP"]
    for body, text in (
        (sent.body + stamp[:cut].encode(), stamp[cut:]),
        (sent.body[:-cut], sent.body[-cut:].decode() + stamp),
    ):
        with pytest.raises(webhooks.MalformedHeader):
            box.verifier(clock=CLOCK).verify(sent.headers | {"BOX-DELIVERY-TIMESTAMP": text}, body)


def test_dots_cannot_move_between_id_time_and_body() -> None:
    ours = signer("standard_webhooks")
    sent = ours.sign(f"{STAMP}.{{}}".encode(), at=NOW, id="msg_1")
    with pytest.raises(webhooks.MalformedHeader):
        ours.verifier(clock=CLOCK).verify(sent.headers | {"webhook-id": f"msg_1.{STAMP}"}, b"{}")


def test_letters_cannot_move_between_method_url_body_and_time() -> None:
    hubspot = signer("hubspot")
    sent = hubspot.sign(b"[123]", at=NOW, url="https://hooks.example.com/?next=abc")
    verifier = hubspot.verifier(clock=CLOCK)
    header = "X-HubSpot-Request-Timestamp"
    stamp = sent.headers[header]
    assert verifier.verify(sent.headers, sent.body, url=sent.url).body == b"[123]"
    for method, url, body, text in (
        ("POSTh", sent.url[1:], sent.body, stamp),
        ("POST", sent.url[:-1], b"c" + sent.body, stamp),
        ("POST", sent.url + "[", sent.body[1:], stamp),
        ("POST", sent.url + "[123]", b"", stamp),
        ("POST", sent.url, sent.body + stamp[:1].encode(), stamp[1:]),
        ("POST", sent.url, sent.body[:-1], "]" + stamp),
    ):
        with pytest.raises(WebhookError):
            verifier.verify(sent.headers | {header: text}, body, url=url, method=method)


def test_a_public_key_is_never_an_hmac_secret() -> None:
    """CVE-2022-29217 in the shape of webhooks: everybody knows the public key, so nobody may sign with it."""
    ours = signer(
        "standard_webhooks",
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
    )
    public = ours.secrets[0]
    content = f"msg_1.{STAMP}.{{}}".encode()
    for key in (public.encode(), b64decode(public.removeprefix("whpk_"))):
        for version in ("v1", "v1a"):
            forged = b64encode(hmac.new(key, content, "sha256").digest()).decode()
            headers = {"webhook-id": "msg_1", "webhook-timestamp": STAMP, "webhook-signature": f"{version},{forged}"}
            with pytest.raises(WebhookError):
                ours.verifier(clock=CLOCK).verify(headers, b"{}")


def test_an_old_version_is_no_way_in() -> None:
    """`hubspot_v1` is a bare hash; a verifier of v3 must not fall back to it, nor stripe to v0, nor GitHub to SHA-1."""
    hubspot, old = signer("hubspot", "k" * 32), signer("hubspot_v1", "k" * 32)
    sent = old.sign(b"{}")
    with pytest.raises(webhooks.MissingSignature):
        hubspot.verifier(clock=CLOCK).verify(sent.headers, b"{}", url=sent.url)
    sha1 = hmac.new(b"k" * 32, b"{}", "sha1").hexdigest()
    for headers in ({"X-Hub-Signature": f"sha1={sha1}"}, {"X-Hub-Signature-256": f"sha1={sha1}"}):
        with pytest.raises(webhooks.MissingSignature):
            webhooks.verifier("github", ["k" * 32]).verify(headers, b"{}")


def test_a_flood_of_signatures_is_refused_unhashed(monkeypatch: pytest.MonkeyPatch) -> None:
    stripe = signer("stripe")
    verifier = stripe.verifier(clock=CLOCK)
    computed: list[object] = []
    monkeypatch.setattr(verifier, "keys", tuple(computed))
    for count in (9, 100, 20_000):
        header = f"t={STAMP}" + f",v1={'a' * 64}" * count
        with pytest.raises(webhooks.MalformedHeader):
            verifier.verify({"Stripe-Signature": header}, b"{}")
    assert computed == []


def test_a_second_header_is_never_chosen_from() -> None:
    github = signer("github")
    sent = github.sign(b"{}")
    good, bad = sent.headers["X-Hub-Signature-256"], "sha256=" + "0" * 64
    for first, second in ((good, bad), (bad, good), (good, good)):
        for name in ("X-Hub-Signature-256", "x-hub-signature-256", "X-HUB-SIGNATURE-256"):
            with pytest.raises(webhooks.DuplicateHeader):
                github.verifier().verify([("X-Hub-Signature-256", first), (name, second)], b"{}")
        with pytest.raises(WebhookError):
            github.verifier().verify({"X-Hub-Signature-256": f"{first},{second}"}, b"{}")


@pytest.mark.parametrize("glue", [",", ", ", ",\t", " , "])
def test_a_signature_that_came_twice_is_refused_however_a_server_joins_it(glue: str) -> None:
    """PEP 3333 servers fold repeated lines by a comma, some with a space: " t" is no new tag."""
    stripe = signer("stripe")
    sent = stripe.sign(b'{"id": "evt_1"}')
    line = sent.headers["Stripe-Signature"]
    assert stripe.verifier().verify(sent.headers, sent.body).id == "evt_1"
    for second in (line, "v1=" + "0" * 64 + f"{glue}t={STAMP}"):
        with pytest.raises(webhooks.MalformedHeader):
            stripe.verifier().verify({**sent.headers, "Stripe-Signature": f"{line}{glue}{second}"}, sent.body)
