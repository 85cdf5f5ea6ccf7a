"""The order of checks, the strict forms, secrets and rotation, and what a verified webhook says."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust import webhooks
from wellstreak_trust.core import FixedClock, Secret, UsageError
from wellstreak_trust.core.errors import ConfigurationError
from wellstreak_trust.testing import signer
from wellstreak_trust.webhooks import Mac, Pairs, Plain, Scheme, Source, Timestamp, WebhookError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
CLOCK = FixedClock(NOW)
SECRET = "whsec_" + "a1" * 16
# The key pair that Svix publishes for its own tests.
WHSK = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
BODY = b'{"id":"evt_1","type":"invoice.paid"}'
STRIPE = signer("stripe", SECRET)
VERIFIER = STRIPE.verifier(clock=CLOCK)
GOOD = STRIPE.sign(BODY, at=NOW)
SIGNATURE = GOOD.headers["Stripe-Signature"].partition("v1=")[2]


def stripe(header: str, body: bytes = BODY) -> webhooks.VerifiedWebhook:
    return VERIFIER.verify({"Stripe-Signature": header}, body)


# --- the order -------------------------------------------------------------------------------------------------------


def test_size_is_checked_first() -> None:
    with pytest.raises(webhooks.BodyTooLarge) as caught:
        VERIFIER.verify({}, bytes((1 << 20) + 1))
    assert caught.value.status == 413
    assert STRIPE.verifier(clock=CLOCK, max_body=2 << 20).scheme.name == "stripe"


def test_the_clock_is_checked_after_the_mac() -> None:
    old = STRIPE.sign(BODY, at=NOW - timedelta(days=1))
    with pytest.raises(webhooks.TimestampOutOfTolerance):
        VERIFIER.verify(old.headers, old.body)
    with pytest.raises(webhooks.SignatureMismatch):
        VERIFIER.verify(old.headers, old.body + b" ")


@pytest.mark.parametrize(
    "error", [webhooks.MissingSignature, webhooks.SignatureMismatch, webhooks.TimestampOutOfTolerance]
)
def test_all_401s_look_alike(error: type[WebhookError]) -> None:
    assert error("x", hint="y").problem() == webhooks.UntrustedCertificate().problem()


# --- strict forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", " 1700000000", "+700000000", "1_70000000", "17000000000", "170000000", "1.70000000", "1e9", "nan", "Infinity"]
    + ["-170000000", "0x17000000", STAMP + "000", "१७००००००००"],
)
def test_a_timestamp_has_one_form(text: str) -> None:
    with pytest.raises(webhooks.MalformedHeader):
        stripe(f"t={text},v1={SIGNATURE}")


@pytest.mark.parametrize(
    "header",
    [
        f"t={STAMP},t={STAMP},v1={SIGNATURE}",
        f"v1={SIGNATURE}",
        f"t={STAMP},v1",
        f"t={STAMP},,v1={SIGNATURE}",
        f"t={STAMP},v1={SIGNATURE.upper()}",
        f"t={STAMP},v1=zz",
        f"t={STAMP}" + f",v1={SIGNATURE}" * 9,
    ],
)
def test_a_signature_list_has_one_form(header: str) -> None:
    with pytest.raises(webhooks.MalformedHeader):
        stripe(header)


@pytest.mark.parametrize("header", [f"t={STAMP}", f"t={STAMP},v0={SIGNATURE}", f"t={STAMP},v2={SIGNATURE}"])
def test_unknown_versions_are_no_signature(header: str) -> None:
    with pytest.raises(webhooks.MissingSignature):
        stripe(header)


def test_a_list_may_hold_strangers_in_any_order() -> None:
    zeros = "0" * 64
    for header in (
        f"v1={SIGNATURE},t={STAMP}",
        f"t={STAMP},v1={zeros},v1={SIGNATURE}",
        f"t={STAMP},v1=placeholder,v1={SIGNATURE},v0=x,v9=y",
    ):
        assert stripe(header).id == "evt_1"


@pytest.mark.parametrize("id", ["", "msg.1", "msg 1", "m" * 257, "msg/1"])
def test_a_signed_id_has_no_dot(id: str) -> None:
    ours = signer("standard_webhooks")
    delivery = ours.sign(b"{}", at=NOW, id=id)
    with pytest.raises(webhooks.MalformedHeader):
        ours.verifier(clock=CLOCK).verify(delivery.headers, b"{}")


@pytest.mark.parametrize("body", ["text", None, {"id": 1}, 7])
def test_a_body_that_is_not_raw_bytes_is_named(body: Any) -> None:
    with pytest.raises(webhooks.RawBodyRequired, match="internal_error") as caught:
        VERIFIER.verify(GOOD.headers, body)
    assert "request" in caught.value.hint


def test_buffers_are_bytes() -> None:
    assert VERIFIER.verify(GOOD.headers, memoryview(GOOD.body)).body == BODY  # type: ignore[arg-type]
    assert VERIFIER.verify(GOOD.headers, bytearray(GOOD.body)).body == BODY  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["stripe", "standard_webhooks", "slack", "box", "hubspot", "telegram", "linear"]),
    st.lists(st.tuples(st.text(max_size=8) | st.none() | st.binary(max_size=4), st.text(max_size=30) | st.integers())),
    st.text(max_size=80),
    st.binary(max_size=40),
)
def test_nothing_but_webhook_errors_leaves_verify(name: str, noise: list[Any], text: str, body: bytes) -> None:
    ours = signer(name)
    lines: list[Any] = [*((header, text) for header in ours.sign(at=NOW).headers), *noise]
    with pytest.raises(WebhookError):
        ours.verifier(clock=CLOCK).verify(lines, body, url=text, method=text)


@pytest.mark.parametrize("headers", [None, 7, [1], [("a",)], [("a", "b", "c")], [(None, None)], "text", object()])
def test_headers_that_are_no_headers(headers: Any) -> None:
    with pytest.raises(WebhookError):
        VERIFIER.verify(headers, BODY)


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"webhookTimestamp":' + b"9" * 5_000 + b"}", b'{"webhookTimestamp":"\\ud800"}', b"\xff", b"{}"],
)
def test_a_time_in_the_body_is_read_as_strictly(body: bytes) -> None:
    linear = signer("linear")
    with pytest.raises(WebhookError):
        linear.verifier(clock=CLOCK).verify(linear.sign(body, at=NOW).headers, body)


@pytest.mark.parametrize(
    "url", [None, "", "hooks.example.com", "ftp://x.example", "https://", "https://x:99999999/", "\ud800"]
)
def test_a_signed_url_must_be_configured(url: str | None) -> None:
    square = signer("square")
    delivery = square.sign(BODY)
    with pytest.raises(webhooks.UrlRequired) as caught:
        square.verifier().verify(delivery.headers, BODY, url=url)
    assert caught.value.status == 500
    assert square.verifier(url=delivery.url).verify(delivery.headers, BODY).signed >= {"url", "body"}


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "secrets"),
    [
        ("stripe", []),
        ("stripe", [""]),
        ("stripe", ["short"]),
        ("stripe", ["x" * 32] * 5),
        ("stripe", "x" * 32),
        ("stripe", [SECRET + "\n"]),
        ("stripe", [None]),
        ("stripe", ["\ud800" * 20]),
        ("stripe", [b"\xff" * 20]),
        ("standard_webhooks", ["whsec_!!!"]),
        ("standard_webhooks", ["whsec_" + "YQ" * 8]),
        ("standard_webhooks", ["whpk_" + "YQ" * 8]),
        (
            "standard_webhooks",
            ["whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="],
        ),
        ("adyen_platform", ["74 F4 90 DD 33 F7 32 7B AE CC 88 B2 94 7C 01 1F"]),
        ("adyen_platform", ["zz" * 32]),
        ("discord", ["00" * 16]),
        ("sendgrid", ["AAAA" * 16]),
        ("highlevel", ["-----BEGIN PUBLIC KEY-----"]),
        ("connectwise", ["short"]),
        ("telegram", ["ключ" * 8]),
    ],
)
def test_weak_or_odd_secrets_are_refused(name: str, secrets: Any) -> None:
    with pytest.raises(webhooks.WeakSecret) as caught:
        webhooks.verifier(name, secrets)
    for secret in secrets:
        assert not isinstance(secret, str) or len(secret) < 6 or secret not in caught.value.detail + caught.value.hint


def test_short_secrets_need_a_word() -> None:
    assert webhooks.verifier("github", ["short"], allow_weak=True).scheme.name == "github"
    with pytest.raises(webhooks.WeakSecret):
        webhooks.verifier("github", [" short "], allow_weak=True)


def test_secrets_may_be_wrapped() -> None:
    for wrapped in (Secret(SECRET), Secret(SECRET.encode()), SECRET.encode()):
        assert webhooks.verifier("stripe", [wrapped], clock=CLOCK).verify(GOOD.headers, BODY).id == "evt_1"


def test_rotation_accepts_both_and_tells_which() -> None:
    new, old = signer("stripe"), STRIPE
    both = webhooks.verifier("stripe", [new.secret, old.secret], clock=CLOCK)
    by_old = both.verify(GOOD.headers, BODY)
    delivery = new.sign(BODY, at=NOW)
    by_new = both.verify(delivery.headers, BODY)
    assert by_old.key_id != by_new.key_id
    assert by_old.replay_key == by_new.replay_key
    with pytest.raises(webhooks.SignatureMismatch):
        new.verifier(clock=CLOCK).verify(GOOD.headers, BODY)


def test_standard_webhooks_takes_both_kinds_of_key() -> None:
    shared = signer("standard_webhooks")
    signed = signer("standard_webhooks", WHSK)
    assert signed.secrets == ["whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="]
    both = webhooks.verifier("standard_webhooks", [*signed.secrets, shared.secret], clock=CLOCK)
    one, other = signed.sign(BODY, at=NOW, id="msg_1"), shared.sign(BODY, at=NOW, id="msg_1")
    assert one.headers["webhook-signature"].startswith("v1a,")
    assert both.verify(one.headers, BODY).key_id != both.verify(other.headers, BODY).key_id
    joined = " ".join(sent.headers["webhook-signature"] for sent in (other, one))
    assert both.verify(other.headers | {"webhook-signature": joined}, BODY).id == "msg_1"
    with pytest.raises(webhooks.MissingSignature):
        shared.verifier(clock=CLOCK).verify(one.headers, BODY)


# --- what a verified webhook says ------------------------------------------------------------------------------------


def test_a_verified_webhook_speaks() -> None:
    event = VERIFIER.verify(GOOD.headers, BODY)
    assert (event.provider, event.id, event.id_signed, event.type) == ("stripe", "evt_1", True, "invoice.paid")
    assert (event.timestamp, event.window) == (NOW, timedelta(seconds=360))
    assert event.signed == {"timestamp", "body", "id"}
    assert event.json() is event.json()
    assert event.json() == json.loads(BODY)
    assert SIGNATURE not in repr(event)
    assert "evt_1" not in repr(event)


def test_a_verified_webhook_has_no_truth_value_and_does_not_change() -> None:
    event = VERIFIER.verify(GOOD.headers, BODY)
    with pytest.raises(UsageError):
        bool(event)
    for name in ("body", "provider", "key_id", "anything"):
        with pytest.raises(AttributeError):
            setattr(event, name, "x")


def test_an_unsigned_id_is_a_label_only() -> None:
    github = signer("github")
    delivery = github.sign(BODY, id="one")
    event = github.verifier().verify(delivery.headers, BODY)
    again = github.verifier().verify(delivery.headers | {"X-GitHub-Delivery": "two"}, BODY)
    assert (event.id, again.id, event.id_signed) == ("one", "two", False)
    assert event.replay_key == again.replay_key
    twice = github.verifier().verify([*delivery.headers.items(), ("x-github-delivery", "two")], BODY)
    assert twice.id is None
    assert twice.replay_key == event.replay_key


def test_replay_keys_tell_providers_endpoints_and_contents_apart() -> None:
    def key(name: str, body: bytes, endpoint: str = "") -> str:
        ours = signer(name, "k" * 32)
        return ours.verifier(endpoint=endpoint).verify(ours.sign(body).headers, body).replay_key

    keys = [key("github", b"a"), key("meta", b"a"), key("github", b"b"), key("github", b"a", "tenant-1")]
    assert len(set(keys)) == 4
    assert key("github", b"a") == keys[0]
    assert key("telegram", b"a") != key("telegram", b"b")


def test_the_document_cannot_change_the_replay_key() -> None:
    event = VERIFIER.verify(GOOD.headers, BODY)
    fresh = VERIFIER.verify(GOOD.headers, BODY)
    event.json()["id"] = "evt_other"
    assert event.replay_key == fresh.replay_key


@pytest.mark.parametrize("body", [b"not json", b"[1]", b"[" * 100_000, b'{"id":NaN}', b'{"id":"\\ud800"}', b"\xff"])
def test_a_body_without_an_id_is_known_by_its_content(body: bytes) -> None:
    event = VERIFIER.verify(STRIPE.sign(body, at=NOW).headers, body)
    assert (event.id, event.id_signed) == (None, False)
    assert len(event.replay_key) == 64
    if body not in (b"[1]", b'{"id":"\\ud800"}'):
        with pytest.raises(webhooks.MalformedBody):
            event.json()


# --- schemes of one's own --------------------------------------------------------------------------------------------


def test_a_custom_scheme_is_a_line() -> None:
    acme = webhooks.custom("acme", "X-Acme-Signature", parser=Plain("sha256="))
    ours = signer(acme)
    assert ours.verifier().verify(ours.sign(BODY).headers, BODY).provider == "acme"


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Acme Inc"},
        {"headers": ()},
        {"headers": ("X Acme",)},
        {"content": "{body"},
        {"content": "{body}{body}"},
        {"content": "{secret}"},
        {"content": "{body!r}"},
        {"content": "{timestamp}.{body}"},
        {"timestamp": Timestamp("X-Time")},
        {"content": "{id}.{body}"},
        {"content": "{id}{body}", "id": Source("X-Id")},
        {"content": "{id}-{body}", "id": Source("X-Id")},
        {"content": "{body}{id}", "id": Source("X-Id")},
        {"parser": Pairs()},
        {"mac": Mac(tag="v1")},
        {"mac": Mac("token")},
        {"content": ""},
    ],
)
def test_contradicting_schemes_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Scheme(**({"name": "acme", "headers": ("X-Acme",)} | fields))
    assert caught.value.hint


def test_a_verifier_stays_where_its_keys_are() -> None:
    with pytest.raises(ConfigurationError):
        pickle.dumps(VERIFIER)
    assert SECRET not in repr(VERIFIER)
    with pytest.raises(ConfigurationError):
        STRIPE.verifier(tolerance=timedelta(seconds=-1))
    with pytest.raises(ConfigurationError):
        signer(webhooks.custom("acme", "X-Acme", challenge="nope")).verifier()


def test_a_secret_of_the_ring_ends_by_itself() -> None:
    old, new = signer("stripe"), signer("stripe")
    clock = FixedClock(NOW)
    ring = [new.secret, webhooks.SigningSecret(old.secret, until=NOW + timedelta(hours=24))]
    verifier = webhooks.verifier("stripe", ring, clock=clock)
    ids = {verifier.verify(*sent(party, NOW)).key_id for party in (old, new)}
    assert len(ids) == 2
    clock.advance(timedelta(hours=24))
    later = clock.now()
    assert verifier.verify(*sent(new, later)).key_id in ids
    with pytest.raises(webhooks.SignatureMismatch):
        verifier.verify(*sent(old, later))
    before = NOW + timedelta(hours=23)
    assert verifier.verify(*sent(old, before), now=before).provider == "stripe"


def sent(party: Any, at: datetime) -> tuple[dict[str, str], bytes]:
    found = party.sign(b"{}", at=at)
    return found.headers, found.body


@pytest.mark.parametrize("name", ["github", "slack", "discord", "braintree", "twilio", "paypal", "telegram", "linear"])
def test_every_kind_of_key_may_end(name: str) -> None:
    ours = signer(name)
    made = ours.sign(at=NOW)
    url = made.url if ours.verifier().scheme.needs_url else None
    for until, fits in ((NOW + timedelta(seconds=1), True), (NOW, False)):
        verifier = webhooks.verifier(name, [webhooks.SigningSecret(ours.secrets[0], until)], clock=FixedClock(NOW))
        if fits:
            assert verifier.verify(made.headers, made.body, url=url).provider == name
        else:
            with pytest.raises(webhooks.SignatureMismatch):
                verifier.verify(made.headers, made.body, url=url)


def test_where_two_secrets_sign_the_one_that_lives_counts() -> None:
    """While a provider rotates it signs with both; the order in which they are configured must not matter."""
    old, new = signer("stripe"), signer("stripe")
    first, second = old.sign(b"{}", at=NOW), new.sign(b"{}", at=NOW)
    both = f"{first.headers['Stripe-Signature']},{second.headers['Stripe-Signature'].partition(',')[2]}"
    ended = webhooks.SigningSecret(old.secret, until=NOW)
    for ring in ([ended, new.secret], [new.secret, ended]):
        verifier = webhooks.verifier("stripe", ring, clock=FixedClock(NOW))
        assert verifier.verify({"Stripe-Signature": both}, b"{}").provider == "stripe"


def test_an_end_has_a_timezone_and_a_secret_stays_out_of_the_repr() -> None:
    with pytest.raises(UsageError):
        webhooks.verifier("stripe", [webhooks.SigningSecret("x" * 32, datetime(2026, 1, 1))])
    assert "x" * 32 not in repr(webhooks.SigningSecret("x" * 32))
