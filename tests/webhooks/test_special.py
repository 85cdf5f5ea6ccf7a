"""Schemes with a rule, against computations that share no line with them; and what their shape lets an attacker try."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wellstreak_trust import webhooks
from wellstreak_trust.core import FixedClock
from wellstreak_trust.testing import signer
from wellstreak_trust.webhooks import VerifiedWebhook, WebhookError
from wellstreak_trust.webhooks.special.forms import multipart

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
KEY = "0123456789abcdef0123456789abcdef"
URL = "https://hooks.example.com/in?tenant=7"


def mac(key: bytes, content: bytes, digest: str = "sha256") -> bytes:
    return hmac.new(key, content, digest).digest()


def check(name: str | webhooks.Scheme, secret: str, headers: Any, body: bytes, **more: Any) -> VerifiedWebhook:
    return webhooks.verifier(name, [secret], clock=FixedClock(NOW), allow_weak=True).verify(headers, body, **more)


# --- computed by hand ------------------------------------------------------------------------------------------------


def test_mandrill() -> None:
    events = json.dumps([{"event": "send"}])
    body = urlencode({"mandrill_events": events}).encode()
    headers = {
        "X-Mandrill-Signature": b64encode(
            mac(KEY.encode(), (URL + "mandrill_events" + events).encode(), "sha1")
        ).decode()
    }
    assert check("mandrill", KEY, headers, body, url=URL).signed == {"url", "body"}
    for url in (URL.replace("https", "http"), URL.replace(".com", ".com:443"), URL + "8"):
        with pytest.raises(webhooks.SignatureMismatch):
            check("mandrill", KEY, headers, body, url=url)


def test_mailgun_binds_its_token_and_not_the_event() -> None:
    token = "a" * 50
    made = {"timestamp": STAMP, "token": token, "signature": mac(KEY.encode(), (STAMP + token).encode()).hex()}
    one = check("mailgun", KEY, {}, json.dumps({"signature": made, "event-data": {"event": "opened"}}).encode())
    two = check("mailgun", KEY, {}, json.dumps({"signature": made, "event-data": {"event": "forged"}}).encode())
    assert (one.id, one.id_signed, "body" in one.signed) == (token, True, False)
    assert one.replay_key == two.replay_key  # so a body that was put beside a seen token acts on nothing
    shifted = made | {"timestamp": STAMP[:-1], "token": STAMP[-1] + token[:-1]}
    with pytest.raises(WebhookError):
        check("mailgun", KEY, {}, json.dumps({"signature": shifted}).encode())


@pytest.mark.parametrize("form", ["json", "urlencoded", "multipart"])
def test_dropbox_sign_in_each_of_its_bodies(form: str) -> None:
    kind = "signature_request_signed"
    event = {"event_time": STAMP, "event_type": kind, "event_hash": mac(KEY.encode(), (STAMP + kind).encode()).hex()}
    document = json.dumps({"event": event})
    bodies = {
        "json": ("application/json", document.encode()),
        "urlencoded": ("application/x-www-form-urlencoded", f"json={quote_plus(document)}".encode()),
        "multipart": (
            "multipart/form-data; boundary=xYz",
            f'--xYz\r\nContent-Disposition: form-data; name="json"\r\n\r\n{document}\r\n--xYz--\r\n'.encode(),
        ),
    }
    content_type, body = bodies[form]
    found = check("dropbox_sign", KEY, {"Content-Type": content_type}, body)
    assert (found.type, found.signed, found.timestamp) == (kind, {"timestamp"}, NOW)
    verifier = webhooks.verifier("dropbox_sign", [KEY])
    assert verifier.acknowledgement.body == b"Hello API Event Received"


@pytest.mark.parametrize(
    "body",
    [
        b"--xYz--\r\n",
        b"--xYz\r\n\r\n{}\r\n--xYz",
        b'--xYz\r\nContent-Disposition: form-data; name="json"\r\n\r\n{}\r\n' * 2 + b"--xYz--\r\n",
        b'--other\r\nContent-Disposition: form-data; name="json"\r\n\r\n{}\r\n--other--\r\n',
    ],
)
def test_multipart_bodies_that_are_cut_off_or_doubled(body: bytes) -> None:
    with pytest.raises(WebhookError):
        check("dropbox_sign", KEY, {"Content-Type": "multipart/form-data; boundary=xYz"}, body)


def test_braintree() -> None:
    private = "private_key_of_some_length"
    payload = b64encode(b"<notification><kind>check</kind></notification>").decode() + "\n"
    key = hashlib.sha1(private.encode()).digest()
    for signed in (payload, payload.rstrip("\n")):
        signature = mac(key, payload.encode(), "sha1").hex()
        both = f"other_key|{'0' * 40}&public_key|{signature}"
        body = urlencode({"bt_signature": both, "bt_payload": signed}).encode()
        assert check("braintree", f"public_key|{private}", {}, body).signed == {"body"}
        with pytest.raises(webhooks.SignatureMismatch):
            check("braintree", f"third_key|{private}", {}, body)


def test_coinbase_cdp_and_the_headers_it_may_name() -> None:
    body = b'{"eventType":"x"}'
    sent = {
        "Content-Type": "application/json",
        "X-Hook0-Id": "id-1",
        "X-Event-Type": "wallet.activity",
        "X-Event-Id": "e1",
    }

    def signature(named: str, values: str) -> str:
        content = f"{STAMP}.{named}.{values}.".encode() + body
        return f"t={STAMP},v0=old,h={named},v1={mac(KEY.encode(), content).hex()}"

    for named, values in (
        ("content-type x-hook0-id", "application/json.id-1"),
        ("content-type x-event-id x-event-type", "application/json.e1.wallet.activity"),
    ):
        headers = sent | {"X-Hook0-Signature": signature(named, values)}
        assert check("coinbase_cdp", KEY, headers, body).signed == {"timestamp", "body"}
    for named, values in (("host", "h"), ("content-type content-type", "application/json.application/json"), ("", "")):
        with pytest.raises(webhooks.MalformedHeader):
            check("coinbase_cdp", KEY, sent | {"X-Hook0-Signature": signature(named, values)}, body)


def test_bytes_do_not_move_between_named_headers_and_body() -> None:
    body, named = b'{"eventType":"x"}', "content-type x-event-type"
    content = f"{STAMP}.{named}.application/json.wallet.activity.".encode() + body
    signature = f"t={STAMP},h={named},v1={mac(KEY.encode(), content).hex()}"
    for kind, moved in (("wallet", b"activity." + body), ("wallet.activity.{", body[1:])):
        headers = {"Content-Type": "application/json", "X-Event-Type": kind, "X-Hook0-Signature": signature}
        with pytest.raises(WebhookError):
            check("coinbase_cdp", KEY, headers, moved)


def test_msgraph_asks_every_notification() -> None:
    good, bad = {"clientState": KEY}, {"clientState": "other"}
    assert check("msgraph", KEY, {}, json.dumps({"value": [good, good]}).encode()).signed == frozenset()
    for batch in ([good, bad], [bad], [good, {}], [{"clientState": None}], []):
        with pytest.raises(webhooks.WebhookError):
            check("msgraph", KEY, {}, json.dumps({"value": batch}).encode())


# --- Adyen -----------------------------------------------------------------------------------------------------------


def adyen_item(reference: str = "psp-1", **more: Any) -> dict[str, Any]:
    item: dict[str, Any] = {
        **{"pspReference": reference, "merchantAccountCode": "Shop", "merchantReference": "o:1\\2"},
        **{"amount": {"value": 100, "currency": "EUR"}, "eventCode": "AUTHORISATION", "success": "true"},
        **more,
    }
    content = f"{reference}::Shop:o:1\\2:100:EUR:AUTHORISATION:true"
    item["additionalData"] = {"hmacSignature": b64encode(mac(bytes.fromhex(KEY), content.encode())).decode()}
    return item


def batch(*items: Any) -> bytes:
    return json.dumps({"notificationItems": [{"NotificationRequestItem": item} for item in items]}).encode()


def test_adyen_checks_every_item_of_a_batch() -> None:
    assert check("adyen_payments", KEY, {}, batch(adyen_item(), adyen_item("psp-2"))).id is None
    assert check("adyen_payments", KEY, {}, batch(adyen_item())).id == "psp-1"
    for items in (
        (adyen_item(), adyen_item() | {"success": "false"}),
        (adyen_item(), {k: v for k, v in adyen_item().items() if k != "additionalData"}),
        (adyen_item(), None),
        (),
    ):
        with pytest.raises(WebhookError):
            check("adyen_payments", KEY, {}, batch(*items))


def test_adyen_events_of_one_payment_are_two_events() -> None:
    one = check("adyen_payments", KEY, {}, batch(adyen_item()))
    two = check("adyen_payments", KEY, {}, batch(adyen_item("psp-1"), adyen_item("psp-2")))
    again = check("adyen_payments", KEY, {}, batch(adyen_item(reason="unsigned, so it makes no new event")))
    assert one.replay_key != two.replay_key
    assert one.replay_key == again.replay_key


# --- Twilio ----------------------------------------------------------------------------------------------------------


def test_an_empty_form_never_skips_the_body() -> None:
    """Signed without a body; a body put beside it must count."""
    signature = b64encode(mac(KEY.encode(), URL.encode(), "sha1")).decode()
    headers = {"X-Twilio-Signature": signature}
    assert check("twilio", KEY, headers, b"", url=URL).body == b""
    for body in (b"{}", b'{"a":1}', b"a", b"&", b"a=b", b"=", b"\xff"):
        with pytest.raises(WebhookError):
            check("twilio", KEY, headers, body, url=URL)


def test_the_hash_in_the_url_is_always_compared() -> None:
    body = b"a=b"
    good = hashlib.sha256(body).hexdigest()
    for query, fits in (
        (f"bodySHA256={good}", True),
        (f"bodySHA256={'0' * 64}", False),
        (f"bodySHA256={good}&bodySHA256={'0' * 64}", False),
        ("bodySHA256=", False),
        (f"bodySHA256={good.upper()}", False),
    ):
        url = f"{URL}&{query}"
        headers = {"X-Twilio-Signature": b64encode(mac(KEY.encode(), url.encode(), "sha1")).decode()}
        if fits:
            assert check("twilio", KEY, headers, body, url=url).body == body
        else:
            with pytest.raises(webhooks.SignatureMismatch):
                check("twilio", KEY, headers, body, url=url)


def test_a_form_has_one_spelling() -> None:
    body = b"To=%2B1800&Body=a+b"
    headers = {"X-Twilio-Signature": b64encode(mac(KEY.encode(), f"{URL}Bodya bTo+1800".encode(), "sha1")).decode()}
    assert check("twilio", KEY, headers, body, url=URL).body == body
    for spelled in (b"To=%2b1800&Body=a+b", b"To=%2B1800&&Body=a+b", b"To=%2B1800&Body=a b", b"To=%2B1800&Body=a+b&"):
        with pytest.raises(webhooks.MalformedBody):
            check("twilio", KEY, headers, spelled, url=URL)


# --- SNS -------------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("11.4.3")
def test_sns_version_one_is_taken_by_who_asks_for_it() -> None:
    old = signer("sns_sha1")
    sent = old.sign(at=NOW)
    assert old.verifier(clock=FixedClock(NOW)).verify(sent.headers, sent.body).id_signed
    with pytest.raises(webhooks.UnsupportedScheme):
        webhooks.verifier("sns", old.secrets, clock=FixedClock(NOW)).verify(sent.headers, sent.body)


def test_sns_fields_do_not_run_into_each_other() -> None:
    ours = signer("sns")
    body = json.dumps({"Type": "Notification", "Message": "pay\nMessageId\nfake", "Subject": "s"}).encode()
    document = json.loads(ours.sign(body, at=NOW).body)
    verifier = ours.verifier(clock=FixedClock(NOW))
    assert verifier.verify({}, json.dumps(document).encode()).id == document["MessageId"]
    for change in (
        {"Message": "pay", "MessageId": f"fake\nMessageId\n{document['MessageId']}"},
        {"Subject": f"s\nTimestamp\n{document['Timestamp']}"},
        {"Message": "other"},
        {"Subject": None},
        {"Type": "SubscriptionConfirmation"},
    ):
        with pytest.raises(WebhookError):
            verifier.verify({}, json.dumps(document | change).encode())


# --- PayPal ----------------------------------------------------------------------------------------------------------


def test_paypal_does_not_claim_to_bind_the_body() -> None:
    """Four bytes make any body fit a CRC-32."""
    ours = signer("paypal")
    sent = ours.sign(b'{"event_type":"A"}', at=NOW)
    event = ours.verifier(clock=FixedClock(NOW)).verify(sent.headers, sent.body)
    assert event.signed == {"timestamp", "id"}
    with pytest.raises(webhooks.SignatureMismatch):
        ours.verifier(clock=FixedClock(NOW)).verify(sent.headers, b'{"event_type":"B"}')
    with pytest.raises(webhooks.UnsupportedScheme):
        ours.verifier(clock=FixedClock(NOW)).verify(sent.headers | {"PAYPAL-AUTH-ALGO": "MD5withRSA"}, sent.body)
    other = ours.secrets[0].replace("1AB23456CD789012E", "9ZZ23456CD789012E")
    with pytest.raises(webhooks.SignatureMismatch):
        webhooks.verifier("paypal", [other], clock=FixedClock(NOW)).verify(sent.headers, sent.body)


# --- RFC 9421 --------------------------------------------------------------------------------------------------------

BODY = b'{"hello": "world"}'
DIGEST = f"sha-256=:{b64encode(hashlib.sha256(BODY).digest()).decode()}:"
SHARED = b64encode(b"k" * 32).decode()
COVERED = '("@method" "@target-uri" "content-digest")'


def message(
    covered: str = COVERED, parameters: str = f";created={STAMP}", *, sign: Callable[[bytes], bytes] | None = None
) -> dict[str, str]:
    """Signed by hand, by RFC 9421, 2.5."""
    values = {
        **{"@method": "POST", "@target-uri": URL, "@authority": "hooks.example.com", "@path": "/in"},
        **{"@query": "?tenant=7", "@scheme": "https", "content-digest": DIGEST, "content-type": "application/json"},
    }
    names = [name.strip('"') for name in covered.strip("()").split(" ") if name]
    lines = [f'"{name}": {values[name]}' for name in names] + [f'"@signature-params": {covered}{parameters}']
    base = "\n".join(lines).encode()
    octets = sign(base) if sign else mac(b"k" * 32, base)
    return {
        "Content-Type": "application/json",
        "Content-Digest": DIGEST,
        "Signature-Input": f"sig={covered}{parameters}",
        "Signature": f"sig=:{b64encode(octets).decode()}:",
    }


@pytest.mark.asvs("4.1.5")
def test_rfc9421_by_hand() -> None:
    found = check("rfc9421", SHARED, message(), BODY, url=URL)
    assert (found.signed, found.timestamp) == ({"body", "url", "timestamp"}, NOW)
    parts = message('("@method" "@authority" "@path" "@query" "content-digest" "content-type")')
    assert check("rfc9421", SHARED, parts, BODY, url=URL).body == BODY


@pytest.mark.parametrize(
    "covered",
    ["()", '("@method")', '("@method" "content-digest")', '("@target-uri" "content-digest")',
     '("@method" "@authority" "@path" "content-digest")', '("@method" "@target-uri")'],
)  # fmt: skip
def test_a_signature_over_too_little_is_none(covered: str) -> None:
    with pytest.raises(webhooks.MissingSignature):
        check("rfc9421", SHARED, message(covered), BODY, url=URL)


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ("", webhooks.MissingSignature),
        (f';created="{STAMP}"', webhooks.MalformedHeader),
        (f";created={STAMP};created={STAMP}", webhooks.MalformedHeader),
        (f";created={int(STAMP) - 301}", webhooks.TimestampOutOfTolerance),
        (f";created={int(STAMP) + 61}", webhooks.TimestampOutOfTolerance),
        (f";created={STAMP};expires={int(STAMP) - 1}", webhooks.TimestampOutOfTolerance),
        (f';created={STAMP};alg="ed25519"', webhooks.SignatureMismatch),
        (f';created={STAMP};evil="x"', webhooks.MalformedHeader),
    ],
)
def test_parameters_count(parameters: str, error: type[WebhookError]) -> None:
    with pytest.raises(error):
        check("rfc9421", SHARED, message(parameters=parameters), BODY, url=URL)


def test_the_digest_is_compared_and_known() -> None:
    headers = message()
    with pytest.raises(webhooks.SignatureMismatch):
        check("rfc9421", SHARED, headers, BODY + b" ", url=URL)
    with pytest.raises(webhooks.MalformedHeader):
        check("rfc9421", SHARED, headers | {"Content-Digest": "md5=:AAAA:"}, BODY, url=URL)
    with pytest.raises(webhooks.SignatureMismatch):
        check("rfc9421", SHARED, headers, BODY, url=URL, method="PUT")
    with pytest.raises(webhooks.SignatureMismatch):
        check("rfc9421", SHARED, headers, BODY, url=URL + "8")


def test_the_key_decides_the_algorithm() -> None:
    edwards, curve = Ed25519PrivateKey.generate(), generate_private_key(SECP256R1())

    def raw(base: bytes) -> bytes:
        r, s = decode_dss_signature(curve.sign(base, ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    pem = [key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in (edwards, curve)]
    der = b64encode(edwards.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    for secret, headers in (
        (pem[0].decode().strip(), message(sign=edwards.sign)),
        (der, message(sign=edwards.sign)),
        (pem[1].decode().strip(), message(sign=raw)),
    ):
        assert check("rfc9421", secret, headers, BODY, url=URL).body == BODY
        forged = message(sign=partial(mac, secret.encode()))
        with pytest.raises(webhooks.SignatureMismatch):
            check("rfc9421", secret, forged, BODY, url=URL)


def test_two_labels_and_a_relaxed_scheme() -> None:
    good, weak = message(), message('("@method")')
    both = good | {
        "Signature-Input": weak["Signature-Input"].replace("sig=", "a=") + ", " + good["Signature-Input"],
        "Signature": weak["Signature"].replace("sig=", "a=") + ", " + good["Signature"],
    }
    assert check("rfc9421", SHARED, both, BODY, url=URL).signed == {"body", "url", "timestamp"}
    relaxed = webhooks.rfc9421("@method")
    assert check(relaxed, SHARED, weak, BODY, url=URL).signed == {"timestamp"}


@pytest.mark.parametrize(
    "secret", ["", "short", "not base64 at all!", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"]
)
def test_keys_that_are_none(secret: str) -> None:
    with pytest.raises(webhooks.WeakSecret):
        webhooks.verifier("rfc9421", [secret])


@pytest.mark.parametrize(
    ("name", "secret"),
    [("sns", "arn:aws:sqs:us-east-1:123456789012:x"), ("sns", "*"), ("paypal", "short"), ("plaid", "client"),
     ("fusionauth", "http://auth.example.com"), ("fusionauth", "hmac:short"), ("google_chat", "chat"),
     ("pubsub", "https://h.example"), ("fal", "https://fal.ai/"), ("braintree", "public|"), ("braintree", "a|b|c"),
     ("sns", "arn:aws:sns:us-east-1:123456789012:x\nnot a key"), ("google_chat", "123456789012\n{broken")],
)  # fmt: skip
def test_identities_of_another_form_are_refused_at_start(name: str, secret: str) -> None:
    with pytest.raises(webhooks.WeakSecret):
        webhooks.verifier(name, [secret])


def test_a_stale_delivery_is_refused_whatever_the_rule() -> None:
    for name in ("sns", "paypal", "plaid", "fal", "mailgun", "coinbase_cdp", "dropbox_sign", "rfc9421"):
        ours = signer(name)
        sent = ours.sign(at=NOW - timedelta(days=10))
        with pytest.raises(webhooks.TimestampOutOfTolerance):
            ours.verifier(clock=FixedClock(NOW)).verify(sent.headers, sent.body, url=sent.url)


@pytest.mark.asvs("1.3.12")
def test_the_head_of_a_part_is_not_searched_further_than_heads_go() -> None:
    """Over a long line the search for the name is quadratic: a megabyte of these took minutes."""
    kind = "multipart/form-data; boundary=b"
    for filler, found in ((10, b"{}"), (50, b"")):
        head = b"content-disposition: form-data;" * filler + b' name="json"'
        assert multipart(kind, b"--b\r\n" + head + b"\r\n\r\n{}\r\n--b--\r\n", "json") == found


def test_two_customers_who_sign_within_one_second_are_two_events() -> None:
    """Dropbox Sign signs time and type alone."""
    ours = signer("dropbox_sign")

    def key(signature: str, request: str, **more: Any) -> str:
        document = {
            "event": {"event_metadata": {"related_signature_id": signature}},
            "signature_request": {"signature_request_id": request, **more},
        }
        sent = ours.sign(json.dumps(document).encode(), at=NOW)
        return ours.verifier(clock=FixedClock(NOW)).verify(sent.headers, sent.body).replay_key

    assert len({key("s1", "r1"), key("s2", "r1"), key("s1", "r2")}) == 3
    assert key("s1", "r1") == key("s1", "r1", is_complete=True)  # a retry that tells more
    assert key("s1", "r1") != key("s1r1", "")


def test_dropbox_sign_retries_for_three_days_with_the_time_of_the_event() -> None:
    ours = signer("dropbox_sign")
    sent = ours.sign(at=NOW - timedelta(days=2))
    assert ours.verifier(clock=FixedClock(NOW)).verify(sent.headers, sent.body).timestamp == NOW - timedelta(days=2)
    with pytest.raises(webhooks.TimestampOutOfTolerance):
        ours.verifier(clock=FixedClock(NOW + timedelta(days=2))).verify(sent.headers, sent.body)


@pytest.mark.parametrize(
    ("secret", "body", "header"),
    [
        ("test", b'{"_id":"resume"}', "t=1633519811129,v1=tLa470fx7qkLLEcMOcEUFuBbRSkGujyskxrNXcoh0N0"),
        (
            "try-me",
            b'{"title":"GROQ-Hooks are neat"}',
            "t=1633518820676,v1=e7C9h2sfbFfc4V7TEz7PSOp4IoNzl0UdVsBV-1wgdeA",
        ),
    ],
)
def test_sanity_as_its_own_library_tests_it(secret: str, body: bytes, header: str) -> None:
    """https://github.com/sanity-io/webhook-toolkit/blob/main/test/signature.test.ts."""
    verifier = webhooks.verifier("sanity", [secret], allow_weak=True)
    now = datetime.fromtimestamp(int(header[2:12]), UTC)
    assert verifier.verify({"sanity-webhook-signature": header}, body, now=now).signed == {"timestamp", "body"}
    with pytest.raises(webhooks.SignatureMismatch):
        verifier.verify({"sanity-webhook-signature": header.replace("t=16", "t=17")}, body, now=now)


def test_a_covered_header_that_came_twice_is_not_there() -> None:
    """Read as empty, it would fit a signature over an empty one, and the application would read the first of two."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()
    scheme = webhooks.rfc9421("@method", "x-role")
    raw = f'("@method" "x-role");created={STAMP}'
    base = f'"@method": POST\n"x-role": \n"@signature-params": {raw}'.encode()
    lines = [
        ("Signature-Input", f"a={raw}"),
        ("Signature", f"a=:{b64encode(private.sign(base)).decode()}:"),
        ("X-Role", ""),
    ]
    assert check(scheme, public, lines, b"", url=URL).provider == "rfc9421"
    with pytest.raises(webhooks.MalformedHeader):
        check(scheme, public, [*lines[:2], ("X-Role", "admin"), ("X-Role", "admin")], b"", url=URL)


def test_a_retry_of_pubsub_counts_itself_and_is_the_same_event() -> None:
    ours = signer("pubsub")

    def event(message: str, **more: Any) -> VerifiedWebhook:
        document = {"subscription": "projects/p/subscriptions/s", "message": {"messageId": message}, **more}
        sent = ours.sign(json.dumps(document).encode(), at=NOW)
        return ours.verifier(clock=FixedClock(NOW)).verify(sent.headers, sent.body)

    first, again = event("m1", deliveryAttempt=1), event("m1", deliveryAttempt=2)
    assert (first.id, first.id_signed, first.replay_key) == ("m1", False, again.replay_key)
    assert first.replay_key != event("m2").replay_key
    assert event("").replay_key != event("", x=1).replay_key
