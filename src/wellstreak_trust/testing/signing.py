"""Deliveries as providers would sign them, for the tests of hosts; and the ways attackers would change them.

::

    stripe = signer("stripe")
    delivery = stripe.sign(b'{"id": "evt_1"}')
    stripe.verifier().verify(delivery.headers, delivery.body)

The content that is signed comes from the same `Scheme` that the verifier reads; headers are written here.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from ..core.clock import SystemClock, to_micros
from ..core.entropy import SYSTEM_ENTROPY, random_hex
from ..core.errors import UsageError
from ..webhooks.codecs import claims, encode, key_octets
from ..webhooks.keys import Code, shared_code
from ..webhooks.scheme import Content, Mac, Pairs, Plain, Scheme
from ..webhooks.schemes import lookup
from ..webhooks.verify import WebhookVerifier, verifier
from .special_signing import KINDS, Draft, Kind

__all__ = ["SignedRequest", "Signer", "signer"]

URL: Final = "https://hooks.example.com/webhooks"
_MILLISECOND: Final = 1_000  # in microseconds


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A delivery ready to be sent by any test client."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def signer(name: str | Scheme, secret: str | None = None) -> Signer:
    """A signer of one provider.

    Args:
        secret: what the provider holds: the shared secret, or the private key (``whsk_…``, seed in hex, PKCS#8
            as base64 or PEM). None makes a fresh one.
    """
    scheme = lookup(name)
    if scheme.rule is not None:
        return RuleSigner(scheme, secret)
    return Signer(scheme, secret if secret is not None else _new_secret(scheme.mac))


class Signer:
    """Signs as the provider does.

    Attributes:
        scheme: what it signs by.
        secret: what the provider holds.
        secrets: what a verifier is given: the same, or the public key.
    """

    def __init__(self, scheme: Scheme, secret: str) -> None:
        self.scheme: Scheme = scheme
        self.secret: str = secret
        private = next((mac for mac in scheme.also if secret.startswith("whsk_")), scheme.mac)
        self._mac: Mac = private
        public, self._code = _keys(private, secret)
        self.secrets: list[str] = [public]

    def verifier(self, **options: Any) -> WebhookVerifier:
        """A verifier that accepts what this signs; options as `webhooks.verifier` takes them."""
        options.setdefault("allow_weak", True)
        return verifier(self.scheme, options.pop("secrets", self.secrets), **options)

    def sign(
        self,
        body: bytes | None = None,
        *,
        at: datetime | None = None,
        id: str | None = None,
        url: str | None = None,
        method: str = "POST",
    ) -> SignedRequest:
        """A genuine delivery.

        Args:
            body: the raw bytes; None for a sample that fits the scheme.
            at: when it is signed; None for now.
            id: the delivery's id; None for a fresh one.
            url: the public URL; a fixed one by default.
        """
        moment = at if at is not None else SystemClock().now()
        label = id if id is not None else f"evt_{random_hex(8)}"
        return self._made(Draft(self.scheme, self.secret, body, moment, label, url or URL, method))

    def _made(self, draft: Draft) -> SignedRequest:
        raw = draft.body if draft.body is not None else self._sample(draft.at, draft.id)
        fields = {"timestamp": self._stamp(draft.at), "id": draft.id, "url": draft.url, "method": draft.method}
        content, _ = Content.parse(self.scheme.content)
        signature = self._code(
            (content.before % fields).encode(), raw if content.has_body else b"", (content.after % fields).encode()
        )
        return SignedRequest(draft.method, draft.url, self._headers(signature, fields), raw)

    def _stamp(self, moment: datetime) -> str:
        unit = self.scheme.timestamp.unit if self.scheme.timestamp else "s"
        if unit == "iso":
            return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        millis = to_micros(moment) // _MILLISECOND
        return str(millis if unit == "ms" else millis // 1_000)

    def _headers(self, signature: str, fields: dict[str, str]) -> dict[str, str]:
        scheme, parser = self.scheme, self.scheme.parser
        if isinstance(parser, Plain):
            value = parser.prefix + signature
        else:
            value = self._pairs(parser, signature, fields["timestamp"])
        headers = {"Content-Type": "application/json", scheme.headers[0]: value}
        if scheme.timestamp and scheme.timestamp.header:
            headers[scheme.timestamp.header] = fields["timestamp"]
        if scheme.id and scheme.id.header:
            headers[scheme.id.header] = fields["id"]
        if scheme.type and scheme.type.header:
            headers[scheme.type.header] = "test"
        return headers

    def _pairs(self, parser: Pairs, signature: str, stamp: str) -> str:
        pairs = [(parser.timestamp, stamp)] if parser.timestamp else []
        return parser.separator.join(
            f"{tag}{parser.assign}{text}" for tag, text in [*pairs, (self._mac.tag, signature)]
        )

    def _sample(self, moment: datetime, label: str) -> bytes:
        """JSON with the id, type and time where the scheme looks for them."""
        scheme, document = self.scheme, dict[str, Any](message="a sample delivery")
        places: list[tuple[str, object]] = [
            (scheme.id.body if scheme.id else "", label),
            (scheme.type.body if scheme.type else "", "test"),
            (scheme.timestamp.body if scheme.timestamp else "", to_micros(moment) // _MILLISECOND),
        ]
        for path, value in places:
            *outer, last = path.split(".")
            here = document
            for name in outer:
                here = here.setdefault(name, {})
            if last:
                here[last] = value
        return json.dumps(document, separators=(",", ":")).encode()

    # --- the tamper kit: each returns what an attacker or a broken relay would deliver ------------------------------

    def wrong_secret(self, delivery: SignedRequest) -> SignedRequest:
        """The same content signed by somebody else, now."""
        forged = self._stranger().sign(delivery.body, url=delivery.url, method=delivery.method)
        return replace(delivery, headers=delivery.headers | forged.headers, body=forged.body)

    def _stranger(self) -> Signer:
        return Signer(self.scheme, _new_secret(self._mac))

    def reserialised(self, delivery: SignedRequest) -> SignedRequest:
        """The body parsed and written again, as frameworks do."""
        return replace(delivery, body=json.dumps(json.loads(delivery.body), indent=1).encode())

    def stale(self, body: bytes | None = None, by: timedelta | None = None) -> SignedRequest:
        """A genuine delivery that is too old; by default by a day more than the scheme tolerates."""
        return self.sign(body, at=SystemClock().now() - (by if by is not None else self._beyond("past")))

    def future(self, body: bytes | None = None, by: timedelta | None = None) -> SignedRequest:
        """A genuine delivery that comes too early; by default by a day more than the scheme tolerates."""
        return self.sign(body, at=SystemClock().now() + (by if by is not None else self._beyond("future")))

    def _beyond(self, side: Literal["past", "future"]) -> timedelta:
        time = self.scheme.timestamp
        return timedelta(days=1, seconds=getattr(time, side) if time is not None else 0)

    def duplicated(self, delivery: SignedRequest) -> SignedRequest:
        """The signature header twice, the second in another case."""
        name = self.scheme.headers[0]
        twin = name.upper() if name != name.upper() else name.lower()
        return replace(delivery, headers=delivery.headers | {twin: delivery.headers[name]})

    def truncated(self, delivery: SignedRequest) -> SignedRequest:
        """The signature without its last character."""
        name = self.scheme.headers[0]
        return replace(delivery, headers=delivery.headers | {name: delivery.headers[name][:-1]})


class RuleSigner(Signer):
    """A `Signer` of a scheme with a rule; see `special_signing`."""

    def __init__(self, scheme: Scheme, secret: str | None) -> None:
        kind = KINDS.get(scheme.name)
        if kind is None:
            raise UsageError(f"no signer for {scheme.name}", hint="give a scheme of your own the name it derives from")
        self.scheme: Scheme = scheme
        self._kind: Kind = kind
        self.secret: str = secret if secret is not None else kind.new("")
        self.secrets: list[str] = [kind.public(self.secret)]

    def _made(self, draft: Draft) -> SignedRequest:
        """Where the signature stands in the body, it is put into the body given."""
        headers, octets, address = self._kind.sign(draft)
        return SignedRequest(draft.method, address, headers, octets)

    def _stranger(self) -> Signer:
        return RuleSigner(self.scheme, self._kind.new(self.secret))

    def duplicated(self, delivery: SignedRequest) -> SignedRequest:
        """The signature twice: in the header, or in the body where it stands there."""
        if not self._kind.mark:
            return super().duplicated(delivery)
        field = re.search(self._kind.mark.encode(), delivery.body)
        assert field is not None
        border = b"," if delivery.body.startswith(b"{") else b"&"
        doubled = delivery.body[: field.start()] + field[0] + border + delivery.body[field.start() :]
        return replace(delivery, body=doubled)

    def truncated(self, delivery: SignedRequest) -> SignedRequest:
        """The signature without its last character."""
        if not self._kind.mark:
            return super().truncated(delivery)
        field = re.search(self._kind.mark.encode(), delivery.body)
        assert field is not None
        return replace(delivery, body=delivery.body[: field.end(1) - 1] + delivery.body[field.end(1) :])


# --- keys ----------------------------------------------------------------------------------------------------------


def _new_secret(mac: Mac) -> str:
    octets = SYSTEM_ENTROPY.octets(32)
    if mac.codec == "whsec":
        return f"whsec_{b64encode(octets).decode()}"
    if mac.codec in _PRIVATE:
        return _PRIVATE[mac.codec][0]()
    return b64encode(octets).decode() if mac.codec == "base64" else octets.hex()


def _keys(mac: Mac, secret: str) -> tuple[str, Code]:
    """What the verifier is given, and the function that signs."""
    if mac.codec not in _PRIVATE:
        return secret, shared_code(key_octets(secret, mac.codec, allow_weak=True), mac)
    if claims(secret, mac.codec):
        raise UsageError("a public key cannot sign", hint="give the signer the private key: whsk_…")
    public, sign = _PRIVATE[mac.codec][1](secret)
    return public, lambda before, body, after: encode(sign(before + body + after), mac.encoding)


_Private = tuple[str, Callable[[bytes], bytes]]


def _whsk_new() -> str:
    seed = SYSTEM_ENTROPY.octets(32)
    return f"whsk_{b64encode(seed + bytes.fromhex(_ed25519(seed)[0])).decode()}"


def _whsk(secret: str) -> _Private:
    octets = b64decode(secret.removeprefix("whsk_"))
    public, sign = _ed25519(octets[:32])
    return f"whpk_{b64encode(bytes.fromhex(public)).decode()}", sign


def _ed25519(seed: bytes) -> _Private:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key.public_key().public_bytes_raw().hex(), key.sign


def _p256_new() -> str:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    octets = key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())
    return b64encode(octets).decode()


def _p256(secret: str) -> _Private:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    key = form.load_der_private_key(b64decode(secret), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    public = key.public_key().public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)
    return b64encode(public).decode(), lambda message: key.sign(message, ec.ECDSA(SHA256()))


def _rsa_new() -> str:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    key = generate_private_key(65_537, 2_048)
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode().strip()


def _rsa(secret: str) -> _Private:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256

    key = form.load_pem_private_key(secret.encode(), None)
    assert isinstance(key, RSAPrivateKey)
    public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    return public.decode().strip(), lambda message: key.sign(message, PKCS1v15(), SHA256())


_PRIVATE: Final[dict[str, tuple[Callable[[], str], Callable[[str], _Private]]]] = {
    "whpk": (_whsk_new, _whsk),
    "ed25519-hex": (lambda: SYSTEM_ENTROPY.octets(32).hex(), lambda secret: _ed25519(bytes.fromhex(secret))),
    "p256-spki": (_p256_new, _p256),
    "rsa-pem": (_rsa_new, _rsa),
}
