"""Public keys out of JSON Web Keys and into them (RFC 7517, RFC 7518 section 6, RFC 8037), read strictly.

Raises `ConfigurationError` with the rule that failed, and never anything of the key itself.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ..core.errors import ConfigurationError

__all__ = ["PublicKey", "encoded", "public_jwk", "public_key_of", "refused_key", "thumbprint"]

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_PRIVATE: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]{1,1400}")
_CURVES: Final[Mapping[str, tuple[ec.EllipticCurve, int]]] = {
    "P-256": (ec.SECP256R1(), 32),
    "P-384": (ec.SECP384R1(), 48),
    "P-521": (ec.SECP521R1(), 66),
}


def refused_key(why: str, hint: str = "") -> ConfigurationError:
    """The one error of keys that do not load."""
    return ConfigurationError(f"a key was refused: {why}", hint=hint, reason="key")


def public_key_of(jwk: object) -> PublicKey:
    """The key of one JWK that may verify signatures.

    Raises:
        ConfigurationError: a private or secret member, another use, a type or curve that is not taken, octets that
            are no key.
    """
    if not isinstance(jwk, Mapping):
        raise refused_key("a JWK is a JSON object")
    if _PRIVATE.intersection(jwk):
        raise refused_key("it holds a private or secret member", "publish public keys; secrets: KeySet.from_secret")
    _refuse_other_use(jwk)
    try:
        return _LOADERS.get(jwk.get("kty", ""), _unknown_type)(jwk)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise refused_key("its octets are not a public key of its type") from None


def public_jwk(key: PublicKey) -> dict[str, str]:
    """The members that make a key what it is, each in its one spelling, sorted by name (RFC 7638, 3.2)."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"e": _shortest(numbers.e), "kty": "RSA", "n": _shortest(numbers.n)}
    if isinstance(key, ec.EllipticCurvePublicKey):
        name, size = next((name, size) for name, (curve, size) in _CURVES.items() if curve.name == key.curve.name)
        point = key.public_numbers()
        x, y = (encoded(number.to_bytes(size, "big")) for number in (point.x, point.y))
        return {"crv": name, "kty": "EC", "x": x, "y": y}
    return {"crv": "Ed25519", "kty": "OKP", "x": encoded(key.public_bytes_raw())}


def thumbprint(key: PublicKey) -> str:
    """SHA-256 of a key in base64url (RFC 7638): the same for every spelling of the key."""
    return encoded(sha256(json.dumps(public_jwk(key), separators=(",", ":")).encode("ascii")).digest())


def encoded(octets: bytes) -> str:
    """Base64url without padding (RFC 7515, 2)."""
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _shortest(number: int) -> str:
    return encoded(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _refuse_other_use(jwk: Mapping[str, Any]) -> None:
    if jwk.get("use", "sig") != "sig":
        raise refused_key("its use is not sig")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise refused_key("its key_ops do not hold verify")


def _rsa(jwk: Mapping[str, Any]) -> PublicKey:
    e, n = (int.from_bytes(_octets(jwk, name), "big") for name in "en")
    return rsa.RSAPublicNumbers(e, n).public_key()


def _ec(jwk: Mapping[str, Any]) -> PublicKey:
    if jwk.get("crv") not in _CURVES:
        return _unknown("curve")
    curve, size = _CURVES[jwk["crv"]]
    x, y = (int.from_bytes(_octets(jwk, name, size), "big") for name in "xy")
    return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()


def _okp(jwk: Mapping[str, Any]) -> PublicKey:
    if jwk.get("crv") != "Ed25519":
        return _unknown("curve")
    return ed25519.Ed25519PublicKey.from_public_bytes(_octets(jwk, "x", 32))


def _unknown_type(jwk: Mapping[str, Any]) -> PublicKey:
    del jwk
    return _unknown("kty")


def _unknown(what: str) -> PublicKey:
    raise refused_key(f"its {what} is not taken", "RSA, P-256, P-384, P-521 and Ed25519 are")


def _octets(jwk: Mapping[str, Any], name: str, size: int | None = None) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise ValueError(name)
    found = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encoded(found) != text or (size is not None and len(found) != size):
        raise ValueError(name)
    return found


_LOADERS: Final[Mapping[str, Callable[[Mapping[str, Any]], PublicKey]]] = {"RSA": _rsa, "EC": _ec, "OKP": _okp}
