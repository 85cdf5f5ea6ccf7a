"""PayPal: ids, time and the CRC-32 of the body, signed with a key whose certificate a header points to.

https://developer.paypal.com/api/rest/webhooks/rest/ (verify by yourself)

A CRC binds nothing against somebody who chooses bodies: 4 bytes make any body fit. So `signed` does not name the body,
and what moves money should be read from PayPal's API by the id.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from zlib import crc32

from ...core.clock import from_micros
from ...core.errors import MalformedHeader, MissingSignature, SignatureMismatch, UnsupportedScheme, UntrustedCertificate
from ..codecs import decode_signature
from ..key_source import KeySource, trusted
from ..parse import is_id, time_reader
from ..rule import Arrived, Proof, Rule
from ..scheme import Mac, Scheme, Source, Timestamp
from .pinned import build, public_key, rsa_verifies

__all__ = ["SCHEMES", "signed_text"]

_HOST: Final = re.compile(r"api(-m)?(\.sandbox)?\.paypal\.com")
_PATH: Final = re.compile(r"/v1/notifications/certs/[A-Za-z0-9-]{1,128}")
_WEBHOOK_ID: Final = re.compile(r"[A-Z0-9]{8,64}")
_SUBJECTS: Final = ("messageverificationcerts.paypal.com", "messageverificationcerts.sandbox.paypal.com")
_MINUTE: Final = 60_000_000  # microseconds
_iso: Final = time_reader("iso")


@dataclass(frozen=True, slots=True)
class PaypalRule(Rule):
    """The secret is the webhook id; the certificate must chain to an authority and be PayPal's."""

    content: ClassVar[str] = "{transmission id}|{time}|{webhook id}|{CRC-32 of the body}; a CRC does NOT bind the body"
    configured: ClassVar[str] = "webhook id [, certificate]"
    signed: ClassVar[frozenset[str]] = frozenset(("timestamp", "id"))
    fetches: ClassVar[bool] = True

    def build(self, scheme: Scheme, texts: Sequence[str], *, allow_weak: bool, source: KeySource) -> tuple[Any, ...]:
        """The webhook id, optionally with the certificate."""
        chains = _Chains(source)
        found = build(texts, source, _WEBHOOK_ID.fullmatch, "the webhook id, as the dashboard shows it")
        return tuple(_Account(each.id, each.identity, each.material, chains) for each in found)

    def prove(self, keys: Sequence[Any], arrived: Arrived) -> Proof:
        """See `Rule`."""
        sent = arrived.headers
        id, stamp = sent.get("paypal-transmission-id", ""), sent.get("paypal-transmission-time", "")
        signature = sent.get("paypal-transmission-sig", "")
        if not signature or not id or not stamp:
            raise MissingSignature("a PAYPAL-TRANSMISSION header is missing")
        if sent.get("paypal-auth-algo", "SHA256withRSA") != "SHA256withRSA":
            raise UnsupportedScheme("another algorithm than SHA256withRSA")
        octets = decode_signature(signature, "base64")
        at = _iso(stamp)
        if octets is None or not is_id(id):
            raise MalformedHeader("the transmission id or signature has not its form")
        url = trusted(sent.get("paypal-cert-url"), _HOST, _PATH)
        for key in keys:
            text = signed_text(id, stamp, key.identity, arrived.body)
            if rsa_verifies(key.certified(url, arrived.now), octets, text):
                return Proof(key.id, None, at, id=id)
        raise SignatureMismatch("the certificate's key did not sign this for the webhook id")


def signed_text(id: str, stamp: str, webhook_id: str, body: bytes) -> bytes:
    """What is signed."""
    return f"{id}|{stamp}|{webhook_id}|{crc32(body)}".encode()


class _Chains:
    """The leaves of one verifier whose chain was followed: to do it for every forged delivery would cost the host more
    than its sender.
    """

    def __init__(self, source: KeySource) -> None:
        self._source: KeySource = source
        self._store: Any = None
        self._last: tuple[bytes, int, Any] = (b"", 0, None)

    def leaf(self, url: str, now: int) -> Any:
        """The key of the certificate at that address, judged anew every minute."""
        document, minute = self._source.fetch(url), now // _MINUTE
        before = self._last
        if before[:2] != (document, minute):
            before = self._last = (document, minute, self._followed(document, now))
        return before[2]

    def _followed(self, document: bytes, now: int) -> Any:
        """The leaf's key, if its chain ends in an authority and it names PayPal."""
        from cryptography import x509
        from cryptography.x509 import verification as chain

        try:
            leaf, *others = x509.load_pem_x509_certificates(document)
            self._store = self._store or chain.Store(_authorities(self._source))
            policy = chain.PolicyBuilder().store(self._store).time(from_micros(now).replace(tzinfo=None))
        except ValueError:
            raise UntrustedCertificate("no certificates at that address, or no authorities here") from None
        for subject in _SUBJECTS:
            try:
                policy.build_server_verifier(x509.DNSName(subject)).verify(leaf, others)
                return leaf.public_key()
            except chain.VerificationError:
                continue
        raise UntrustedCertificate("the certificate does not chain to an authority, or is not PayPal's")


def _authorities(source: KeySource) -> list[Any]:
    """The roots that parse: a system's store holds some that break the rules, and they must not spoil the others."""
    from cryptography import x509

    found = []
    for octets in source.roots():
        with suppress(ValueError, Warning):  # a warning where the host makes errors of them
            found.append(x509.load_der_x509_certificate(octets))
    return found


@dataclass(frozen=True, slots=True)
class _Account:
    """One webhook id, with the provider's key if it is pinned."""

    id: str
    identity: str
    material: str
    chains: _Chains

    def certified(self, url: str, now: int) -> Any:
        """The pinned key, or the leaf of a chain."""
        return public_key(self.material.encode(), now) if self.material else self.chains.leaf(url, now)


SCHEMES: Final = (
    Scheme(
        "paypal",
        ("PAYPAL-TRANSMISSION-SIG",),
        mac=Mac("rsa-sha256", "base64", "rsa-pem"),
        rule=PaypalRule(),
        timestamp=Timestamp("PAYPAL-TRANSMISSION-TIME", unit="iso", past=3 * 86_400, future=300),  # retried for 3 days
        id=Source(header="PAYPAL-TRANSMISSION-ID"),
        type=Source(body="event_type"),
        reads=("PAYPAL-CERT-URL", "PAYPAL-AUTH-ALGO"),
    ),
)
