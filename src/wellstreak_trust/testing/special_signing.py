"""Signers of the schemes that have a rule: what each provider puts where, and what its verifier is told.

A secret of a provider that signs with a key of its own is the identity and, behind a line feed, the private key in PEM;
the verifier gets the identity and the public key, so nothing is ever fetched in tests.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1, sha256
from hmac import digest as hmac_digest
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from ..core.clock import to_micros
from ..core.entropy import SYSTEM_ENTROPY, random_hex
from ..webhooks.codecs import encode, key_octets
from ..webhooks.keys import shared_code
from ..webhooks.scheme import Scheme
from ..webhooks.special import adyen, fal, hook0, paypal, rfc9421, sns, twilio
from ..webhooks.special.forms import pairs

__all__ = ["KINDS", "Draft", "Kind"]

_JSON: Final = {"Content-Type": "application/json"}
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
_TOPIC: Final = "arn:aws:sns:us-east-1:123456789012:trust"
_CERTIFICATE: Final = f"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-{'0' * 32}.pem"


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be signed."""

    scheme: Scheme
    secret: str
    body: bytes | None
    at: datetime
    id: str
    url: str
    method: str

    @property
    def seconds(self) -> int:
        """The time in whole seconds."""
        return to_micros(self.at) // 1_000_000

    def document(self, **sample: Any) -> Any:
        """The body given, parsed, or a sample."""
        return json.loads(self.body) if self.body is not None else {"message": "a sample delivery", **sample}

    def octets(self, **sample: Any) -> bytes:
        """The body given, or a sample."""
        return self.body if self.body is not None else dump(self.document(**sample))

    def mac(self, content: bytes) -> str:
        """By the scheme's own algorithm and codec."""
        octets = key_octets(self.secret, self.scheme.mac.codec, allow_weak=True)
        return shared_code(octets, self.scheme.mac)(content, b"", b"")


Sent = tuple[dict[str, str], bytes, str]  # headers, body, URL


@dataclass(frozen=True, slots=True)
class Kind:
    """One provider.

    Args:
        sign: makes the delivery.
        new: a fresh secret; with another's secret given, one of the same identity.
        public: what a verifier is given for it.
        mark: where the signature stands in the body, for schemes without a header.
    """

    sign: Callable[[Draft], Sent]
    new: Callable[[str], str]
    public: Callable[[str], str] = str
    mark: str = ""


def dump(document: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(document, separators=(",", ":")).encode()


# --- shared secrets --------------------------------------------------------------------------------------------------


def _hex_secret(_: str = "") -> str:
    return random_hex(32)


def _twilio(draft: Draft) -> Sent:
    body = draft.body if draft.body is not None else urlencode({"MessageSid": draft.id, "Body": "a sample"}).encode()
    url, headers = draft.url, _FORM
    looks_json = body[:1] in (b"{", b"[") and draft.scheme.name != "mandrill"
    if looks_json:
        url += f"{'&' if '?' in url else '?'}bodySHA256={sha256(body).hexdigest()}"
        headers = _JSON
    content = url if looks_json else url + twilio.joined(pairs(body))
    return headers | {draft.scheme.headers[0]: draft.mac(content.encode())}, body, url


def _mandrill(draft: Draft) -> Sent:
    events = json.dumps([{"event": "send", "_id": draft.id}])
    body = draft.body if draft.body is not None else urlencode({"mandrill_events": events}).encode()
    return (
        _FORM | {draft.scheme.headers[0]: draft.mac((draft.url + twilio.joined(pairs(body))).encode())},
        body,
        draft.url,
    )


def _adyen(draft: Draft) -> Sent:
    item = {
        "pspReference": draft.id,
        "merchantAccountCode": "Trust",
        "merchantReference": "order-1",
        "amount": {"value": 1130, "currency": "EUR"},
        "eventCode": "AUTHORISATION",
        "success": "true",
    }
    document = draft.document(live="false", notificationItems=[{"NotificationRequestItem": item}])
    items = [each["NotificationRequestItem"] for each in document.get("notificationItems", [])] or [document]
    for each in items:
        signature = draft.mac(adyen.signed_fields(each).encode())
        each["additionalData"] = {**each.get("additionalData", {}), "hmacSignature": signature}
    return _JSON, dump(document), draft.url


def _braintree(draft: Draft) -> Sent:
    sample = b64encode(f"<notification><kind>check</kind><id>{draft.id}</id></notification>".encode()) + b"\n"
    given = dict(parse_qsl(draft.body.decode())) if draft.body is not None else {"bt_payload": sample.decode()}
    public, _, private = draft.secret.partition("|")
    key = sha1(private.encode(), usedforsecurity=False).digest()
    signature = hmac_digest(key, given["bt_payload"].encode(), "sha1").hex()
    form = {"bt_signature": f"{public}|{signature}", "bt_payload": given["bt_payload"]}
    return _FORM, urlencode(form).encode(), draft.url


def _braintree_secret(like: str) -> str:
    return f"{like.partition('|')[0] or random_hex(8)}|{random_hex(16)}"


def _mailgun(draft: Draft) -> Sent:
    document = draft.document(**{"event-data": {"event": "delivered"}})
    token = sha256(draft.id.encode()).hexdigest()[:50]
    stamp = str(draft.seconds)
    signature = draft.mac((stamp + token).encode())
    document["signature"] = {"timestamp": stamp, "token": token, "signature": signature}
    return _JSON, dump(document), draft.url


def _dropbox_sign(draft: Draft) -> Sent:
    document = draft.document()
    stamp, kind = str(draft.seconds), document.get("event", {}).get("event_type", "signature_request_sent")
    event = {"event_time": stamp, "event_type": kind, "event_hash": draft.mac((stamp + kind).encode())}
    document["event"] = {**document.get("event", {}), **event}
    return _JSON, dump(document), draft.url


def _msgraph(draft: Draft) -> Sent:
    document = draft.document(value=[{"subscriptionId": draft.id, "changeType": "created"}])
    for each in document["value"]:
        each["clientState"] = draft.secret
    return _JSON, dump(document), draft.url


def _hook0(draft: Draft) -> Sent:
    body = draft.octets(eventType="test")
    stamp, named = str(draft.seconds), ("content-type", "x-hook0-id")
    content = hook0.signed_content(stamp, named, ("application/json", draft.id)) + body
    signature = f"t={stamp},h={' '.join(named)},v1={draft.mac(content)}"
    return _JSON | {"X-Hook0-Id": draft.id, "X-Event-Type": "test", "X-Hook0-Signature": signature}, body, draft.url


# --- keys of the provider's own --------------------------------------------------------------------------------------


def _private(secret: str) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(secret[secret.index("-----BEGIN") :].encode(), None)


def _pem(key: Any) -> str:
    from cryptography.hazmat.primitives import serialization as form

    return str(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode().strip())


def _public_pem(secret: str) -> str:
    from cryptography.hazmat.primitives import serialization as form

    identity = secret[: secret.index("-----BEGIN")]
    octets = _private(secret).public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    return f"{identity}{octets.decode().strip()}"


def _rsa(default: str) -> Callable[[str], str]:
    def new(like: str) -> str:
        from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

        identity = like.partition("-----BEGIN")[0] or f"{default}\n"
        return f"{identity}{_pem(generate_private_key(65_537, 2_048))}".lstrip()

    return new


def _ec(like: str) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec

    return _pem(ec.generate_private_key(ec.SECP256R1()))


def _pkcs1(secret: str, message: bytes, digest: str = "sha256") -> str:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    chosen = hashes.SHA256() if digest == "sha256" else hashes.SHA1()
    return b64encode(_private(secret).sign(message, PKCS1v15(), chosen)).decode()


def _sns(draft: Draft) -> Sent:
    stamp = draft.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    document = draft.document(Type="Notification", Message="a sample")
    document = {"Type": "Notification", "Message": "a sample", **document}
    document |= {
        "MessageId": draft.id,
        "TopicArn": draft.secret.partition("\n")[0],
        "Timestamp": stamp,
        "SignatureVersion": "1" if draft.scheme.name == "sns_sha1" else "2",
        "SigningCertURL": _CERTIFICATE,
    }
    digest = "sha1" if draft.scheme.name == "sns_sha1" else "sha256"
    document["Signature"] = _pkcs1(draft.secret, sns.signed_lines(document), digest)
    return {"Content-Type": "text/plain; charset=UTF-8"}, dump(document), draft.url


def _paypal(draft: Draft) -> Sent:
    body = draft.octets(event_type="CHECK")
    stamp = draft.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = paypal.signed_text(draft.id, stamp, draft.secret.partition("\n")[0], body)
    headers = {
        "PAYPAL-TRANSMISSION-ID": draft.id,
        "PAYPAL-TRANSMISSION-TIME": stamp,
        "PAYPAL-TRANSMISSION-SIG": _pkcs1(draft.secret, text),
        "PAYPAL-CERT-URL": "https://api.paypal.com/v1/notifications/certs/CERT-0123",
        "PAYPAL-AUTH-ALGO": "SHA256withRSA",
    }
    return _JSON | headers, body, draft.url


def _jwks(secret: str) -> str:
    from jwt.algorithms import ECAlgorithm, RSAAlgorithm

    identity, key = secret[: secret.index("-----BEGIN")], _private(secret).public_key()
    algorithm: Any = ECAlgorithm if hasattr(key, "curve") else RSAAlgorithm
    return identity + json.dumps({"keys": [{**algorithm.to_jwk(key, as_dict=True), "kid": "test", "use": "sig"}]})


def _jwt(draft: Draft, header: str, claims: dict[str, Any], algorithm: str = "RS256", prefix: str = "") -> Sent:
    import jwt

    token = jwt.encode(
        {"iat": draft.seconds, **claims}, _private(draft.secret), algorithm=algorithm, headers={"kid": "test"}
    )
    return _JSON | {header: prefix + token}, draft.octets(), draft.url


def _plaid(draft: Draft) -> Sent:
    claim = {"request_body_sha256": sha256(draft.octets()).hexdigest()}
    return _jwt(draft, "Plaid-Verification", claim, "ES256")


def _fusionauth(draft: Draft) -> Sent:
    claim = {"request_body_sha256": b64encode(sha256(draft.octets()).digest()).decode()}
    return _jwt(draft, "X-FusionAuth-Signature-JWT", claim)


def _google_chat(draft: Draft) -> Sent:
    claims = {"iss": "chat@system.gserviceaccount.com", "aud": draft.secret.partition("\n")[0]}
    return _jwt(draft, "Authorization", {"exp": draft.seconds + 3_600, **claims}, prefix="Bearer ")


def _pubsub(draft: Draft) -> Sent:
    audience, _, account = draft.secret.partition("\n")[0].partition(" ")
    claims = {"iss": "https://accounts.google.com", "aud": audience, "email": account, "email_verified": True}
    return _jwt(draft, "Authorization", {"exp": draft.seconds + 3_600, **claims}, prefix="Bearer ")


def _fal(draft: Draft) -> Sent:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    body, stamp, user = draft.octets(status="OK"), str(draft.seconds), "user-1"
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(draft.secret))
    headers = {
        "X-Fal-Webhook-Request-Id": draft.id,
        "X-Fal-Webhook-User-Id": user,
        "X-Fal-Webhook-Timestamp": stamp,
        "X-Fal-Webhook-Signature": key.sign(fal.signed_lines(draft.id, user, stamp, body)).hex(),
    }
    return _JSON | headers, body, draft.url


def _fal_public(secret: str) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    octets = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)).public_key().public_bytes_raw()
    return json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": encode(octets, "base64url")}]})


def _rfc9421(draft: Draft) -> Sent:
    rule: Any = draft.scheme.rule
    body = draft.octets()
    required = ["@target-uri" if name == "target" else name for name in rule.required]
    headers = _JSON | {"Content-Digest": rfc9421.content_digest(body)}
    lowered = {name.lower(): value for name, value in headers.items()}
    # Other libraries ask for a keyid (RFC 9421, 2.3); ours tries each key.
    raw = f'({" ".join(json.dumps(name) for name in required)});created={draft.seconds};keyid="test"'
    base = rfc9421.signature_base(required, raw, lowered, draft.url, draft.method)
    octets = (
        _private(draft.secret).sign(base)
        if draft.secret.startswith("-----")
        else hmac_digest(b64decode(draft.secret), base, "sha256")
    )
    signature = b64encode(octets).decode()
    return headers | {"Signature-Input": f"sig1={raw}", "Signature": f"sig1=:{signature}:"}, body, draft.url


def _rfc9421_public(secret: str) -> str:
    return _public_pem(secret) if secret.startswith("-----") else secret


def _base64_secret(_: str = "") -> str:
    return b64encode(SYSTEM_ENTROPY.octets(32)).decode()


KINDS: Final[dict[str, Kind]] = {
    "twilio": Kind(_twilio, _hex_secret),
    "twilio_sha256": Kind(_twilio, _hex_secret),
    "mandrill": Kind(_mandrill, _hex_secret),
    "adyen_payments": Kind(_adyen, _hex_secret, mark=r'"hmacSignature":"([^"]*)"'),
    "braintree": Kind(_braintree, _braintree_secret, mark=r"bt_signature=([^&]*)"),
    "mailgun": Kind(_mailgun, _hex_secret, mark=r'"signature":"([^"]*)"'),
    "dropbox_sign": Kind(_dropbox_sign, _hex_secret, mark=r'"event_hash":"([^"]*)"'),
    "msgraph": Kind(_msgraph, _hex_secret, mark=r'"clientState":"([^"]*)"'),
    "coinbase_cdp": Kind(_hook0, _hex_secret),
    "sns": Kind(_sns, _rsa(_TOPIC), _public_pem, r'"Signature":"([^"]*)"'),
    "sns_sha1": Kind(_sns, _rsa(_TOPIC), _public_pem, r'"Signature":"([^"]*)"'),
    "paypal": Kind(_paypal, _rsa("1AB23456CD789012E"), _public_pem),
    "plaid": Kind(_plaid, _ec, _jwks),
    "fusionauth": Kind(_fusionauth, _rsa(""), _jwks),
    "google_chat": Kind(_google_chat, _rsa("123456789012"), _jwks),
    "pubsub": Kind(_pubsub, _rsa("https://hooks.example.com push@trust.iam.gserviceaccount.com"), _jwks),
    "fal": Kind(_fal, _hex_secret, _fal_public),
    "rfc9421": Kind(_rfc9421, _base64_secret, _rfc9421_public),
}
