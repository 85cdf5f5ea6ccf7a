"""What a verifier is configured with where the provider signs with a key of its own.

The secret text names what the delivery must say about itself (a topic, a webhook id, an audience). Behind a line feed
the public key may follow, as PEM or as a JWK set; then nothing is ever fetched. Without it the key comes from the
provider's address through a `KeySource`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ...core.errors import UntrustedCertificate, WeakSecret
from ..key_source import KeySource, load_keys

__all__ = ["Pinned", "build", "public_key", "rsa_verifies"]

_LEAST_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class Pinned:
    """One configured identity, with its key if it is pinned."""

    id: str
    identity: str
    material: str
    source: KeySource = field(repr=False)

    def jwks(self, url: str, *, anew: bool = False, ask: bytes | None = None) -> list[dict[str, Any]]:
        """The pinned key set, or the one at that address."""
        if self.material:
            return load_keys(self.material.encode())
        return load_keys(self.source.fetch(url, ask=ask, anew=anew))


def build(texts: Sequence[str], source: KeySource, fits: Callable[[str], object], hint: str) -> tuple[Pinned, ...]:
    """One `Pinned` a secret; `WeakSecret` for an identity of another form or a key that does not parse."""
    found = []
    for text in texts:
        identity, _, material = text.partition("\n") if not text.startswith(("{", "-----")) else ("", "", text)
        if not fits(identity) or (material and not material.startswith(("{", "-----BEGIN "))):
            raise WeakSecret("not what this provider is configured with", hint=hint)
        if material:
            _parse(material)
        found.append(
            Pinned(
                sha256(b"wellstreak_trust webhook key id" + text.encode()).hexdigest()[:16], identity, material, source
            )
        )
    return tuple(found)


def _parse(material: str) -> None:
    try:
        load_keys(material.encode()) if material.startswith("{") else public_key(material.encode())
    except Exception:
        raise WeakSecret("the pinned key does not parse", hint="PEM, or a JWK set, behind a line feed") from None


def public_key(octets: bytes, now: int | None = None) -> Any:
    """The key of a PEM public key or certificate, the latter valid at that time (microseconds).

    Raises:
        UntrustedCertificate: neither, or out of its time.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        if b"-----BEGIN CERTIFICATE-----" not in octets:
            return load_pem_public_key(octets)
        leaf = x509.load_pem_x509_certificates(octets)[0]
        if now is not None and not in_time(leaf, now):
            raise UntrustedCertificate("the certificate is not valid at this time")
        return leaf.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UntrustedCertificate("neither a certificate nor a public key in PEM") from None


def in_time(certificate: Any, now: int) -> bool:
    """Whether it is valid at that time."""
    from ...core.clock import from_micros

    return bool(certificate.not_valid_before_utc <= from_micros(now) <= certificate.not_valid_after_utc)


def rsa_verifies(key: Any, signature: bytes, message: bytes, digest: str = "sha256") -> bool:
    """RSASSA-PKCS1-v1_5; a key that is no RSA key of 2048 bits is `UntrustedCertificate`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if not isinstance(key, RSAPublicKey) or key.key_size < _LEAST_RSA_BITS:
        raise UntrustedCertificate("not an RSA key of at least 2048 bits")
    try:
        key.verify(signature, message, PKCS1v15(), hashes.SHA256() if digest == "sha256" else hashes.SHA1())  # noqa: S303  old SNS topics, on request
    except InvalidSignature:
        return False
    return True
