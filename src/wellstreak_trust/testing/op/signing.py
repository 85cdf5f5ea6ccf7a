"""Keys of the provider, and tokens made with them: sound ones, and those that no library would make."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

__all__ = ["SigningKey", "b64", "fresh_key", "hmac_token", "shared_key", "unsigned_token"]

_RSA_BITS: Final = 2_048
_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1()}


@dataclass(frozen=True)
class SigningKey:
    """A private key, its algorithm and its name."""

    private: Any
    alg: str
    kid: str

    @property
    def jwk(self) -> dict[str, Any]:
        """Its public half, as published."""
        public: dict[str, Any] = get_default_algorithms()[self.alg].to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "alg": self.alg, "use": "sig"}

    @property
    def pem(self) -> bytes:
        """Its public half as PEM, which a careless verifier takes for an HMAC secret."""
        found: bytes = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return found

    def sign(self, claims: Mapping[str, Any], header: Mapping[str, Any]) -> str:
        """A token of any claims; a header member that is None is left out."""
        signed = _parts(claims, {"alg": self.alg, "kid": self.kid, "typ": "JWT", **header})
        return f"{signed}.{b64(get_default_algorithms()[self.alg].sign(signed.encode(), self.private))}"


def fresh_key(alg: str, kid: str) -> SigningKey:
    """A new key."""
    if alg == "EdDSA":
        return SigningKey(ed25519.Ed25519PrivateKey.generate(), alg, kid)
    if alg in _CURVES:
        return SigningKey(ec.generate_private_key(_CURVES[alg]), alg, kid)
    return SigningKey(rsa.generate_private_key(65_537, _RSA_BITS), alg, kid)


@cache
def shared_key(alg: str, kid: str) -> SigningKey:
    """The same key for every provider of this process: making RSA keys is slow."""
    return fresh_key(alg, kid)


def b64(octets: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _parts(claims: Mapping[str, Any], header: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in header.items() if value is not None}
    return ".".join(b64(json.dumps(part).encode()) for part in (kept, claims))


def unsigned_token(claims: Mapping[str, Any], header: Mapping[str, Any]) -> str:
    """``alg: none``, with a signature of one zero octet, so that it has three parts."""
    return f"{_parts(claims, {**header, 'alg': 'none'})}.AA"


def hmac_token(claims: Mapping[str, Any], header: Mapping[str, Any], secret: bytes) -> str:
    """HS256 under any octets."""
    signed = _parts(claims, {**header, "alg": "HS256"})
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), sha256))}"
