"""Keys prepared once per verifier: what a signature is checked with.

For HMAC the two padded blocks (RFC 2104, 2) are hashed when the key is made and the states copied for each message:
setting HMAC up costs more than hashing a small body. Signatures are compared as text in constant time, so every
spelling but the canonical one is a mismatch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest
from hmac import digest as hmac_digest
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..core.clock import aware, to_micros
from ..core.errors import WeakSecret
from .codecs import SecretText, claims, decode_signature, encode, key_octets, secret_text
from .scheme import Encoding, Mac, Scheme

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["Key", "KeyRing", "PublicKey", "SharedKey", "SigningSecret", "build_keys", "key_ring", "shared_code"]

Code = Callable[[bytes, bytes, bytes], str]

MAX_SECRETS: Final = 4
_HASHES: Final[dict[str, Callable[[bytes], _Hash]]] = {
    "hmac-sha256": hashlib.sha256,
    "hmac-sha1": hashlib.sha1,
    "hmac-sha512": hashlib.sha512,
}
_INNER: Final = bytes(octet ^ 0x36 for octet in range(256))
_OUTER: Final = bytes(octet ^ 0x5C for octet in range(256))
_LABEL: Final = b"wellstreak_trust webhook key id"


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """One secret of a key ring: accepted until then, or for as long as it is configured.

    While a secret is replaced, the ring is ``[new, SigningSecret(old, until=the end of the overlap)]``.
    """

    secret: SecretText = field(repr=False)
    until: datetime | None = None


KeyRing = Sequence[SecretText | SigningSecret]


class Key(Protocol):
    """One configured secret, ready to check signatures of one tag."""

    @property
    def id(self) -> str:
        """Differs per secret, reveals no more of it than one signature does."""
        ...

    @property
    def mac(self) -> Mac:
        """What it checks."""
        ...

    def matches(self, before: bytes, body: bytes, after: bytes, signatures: Sequence[str]) -> bool:
        """Whether one of these signs the three parts in a row."""
        ...


class SharedKey:
    """A key that both sides hold; it can compute the signature text itself."""

    __slots__ = ("code", "id", "mac")

    def __init__(self, octets: bytes, mac: Mac) -> None:
        self.id: str = hmac_digest(octets, _LABEL, "sha256")[:8].hex()
        self.mac: Mac = mac
        self.code: Code = shared_code(octets, mac)

    def matches(self, before: bytes, body: bytes, after: bytes, signatures: Sequence[str]) -> bool:
        """Computes once, compares with each in constant time."""
        expected, matched = self.code(before, body, after), False
        for signature in signatures:
            matched |= compare_digest(expected, signature)
        return matched


class PublicKey:
    """A provider's public key."""

    __slots__ = ("_encoding", "_verify", "id", "mac")

    def __init__(self, octets: bytes, mac: Mac) -> None:
        self.id: str = hashlib.sha256(_LABEL + octets).hexdigest()[:16]
        self.mac: Mac = mac
        self._encoding: Encoding = mac.encoding
        self._verify: Callable[[bytes, bytes], bool] = _verifier(octets, mac)

    def matches(self, before: bytes, body: bytes, after: bytes, signatures: Sequence[str]) -> bool:
        """Whether one of the canonically encoded signatures verifies."""
        message = b"".join((before, body, after))
        decoded = (decode_signature(signature, self._encoding) for signature in signatures)
        return any(octets is not None and self._verify(octets, message) for octets in decoded)


def key_ring(name: str, secrets: KeyRing) -> tuple[tuple[str, int | None], ...]:
    """The configured texts, each with the microsecond from which it is refused.

    Those that live longest stand first: newest first, so that the common case costs one MAC; and where several fit,
    the first one has ended only if all have.

    Raises:
        WeakSecret: none or more than 4, or text with what nobody sees. UsageError: an end without a timezone.
    """
    if isinstance(secrets, str | bytes) or not 1 <= len(secrets) <= MAX_SECRETS:
        raise WeakSecret(f"{name}: 1 to {MAX_SECRETS} secrets", hint="secrets=[newest, previous]")
    ring = [each if isinstance(each, SigningSecret) else SigningSecret(each) for each in secrets]
    found = [(secret_text(each.secret), to_micros(aware(each.until, "until")) if each.until else None) for each in ring]
    return tuple(sorted(found, key=lambda entry: (entry[1] is not None, -(entry[1] or 0))))


def build_keys(scheme: Scheme, texts: Sequence[str], *, allow_weak: bool = False) -> tuple[Key, ...]:
    """The keys in the order given; raises `WeakSecret` for a text that is too short, or not of the scheme's form."""
    return tuple(_build(scheme, text, allow_weak) for text in texts)


def _build(scheme: Scheme, text: str, allow_weak: bool) -> Key:
    mac = next((mac for mac in scheme.also if claims(text, mac.codec)), scheme.mac)
    octets = key_octets(text, mac.codec, allow_weak=allow_weak)
    if mac.algorithm in _VERIFIERS:
        return PublicKey(octets, mac)
    if mac.algorithm == "token" and not (text.isascii() and text.isprintable()):
        raise WeakSecret("a shared token is not printable ASCII", hint="it has to fit a header field")
    return SharedKey(octets, mac)


def shared_code(octets: bytes, mac: Mac) -> Code:
    """The function from content to signature text."""
    if mac.algorithm == "token":
        token = encode(octets, mac.encoding)
        return lambda before, body, after: token
    if mac.algorithm == "sha256-concat":
        return lambda before, body, after: hashlib.sha256(b"".join((octets, before, body, after))).hexdigest()
    return _hmac(octets, _HASHES[mac.algorithm], mac.encoding)


def _hmac(octets: bytes, hash_of: Callable[[bytes], _Hash], encoding: Encoding) -> Code:
    size = hash_of(b"").block_size
    block = (octets if len(octets) <= size else hash_of(octets).digest()).ljust(size, b"\0")
    inner, outer = hash_of(block.translate(_INNER)).copy, hash_of(block.translate(_OUTER)).copy

    def code(before: bytes, body: bytes, after: bytes) -> str:
        state, result = inner(), outer()
        state.update(before)
        state.update(body)
        if after:
            state.update(after)
        result.update(state.digest())
        return text(result)

    text: Callable[[_Hash], str] = methodcaller("hexdigest") if encoding == "hex" else _encoding(encoding)
    return code


def _encoding(encoding: Encoding) -> Callable[[_Hash], str]:
    return lambda result: encode(result.digest(), encoding)


def _verifier(octets: bytes, mac: Mac) -> Callable[[bytes, bytes], bool]:
    """`cryptography` loads here, for hosts that have such a provider; any key it cannot read is `WeakSecret`."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        check = _VERIFIERS[mac.algorithm](octets)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise WeakSecret(f"not a public key of the form {mac.codec}") from None

    def verify(signature: bytes, message: bytes) -> bool:
        try:
            check(signature, message)
        except InvalidSignature:
            return False
        return True

    return verify


def _ed25519(octets: bytes) -> Callable[[bytes, bytes], None]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(octets).verify


def _p256(octets: bytes) -> Callable[[bytes, bytes], None]:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    key = load_der_public_key(octets)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a P-256 key")
    method = ec.ECDSA(SHA256())
    return lambda signature, message: key.verify(signature, message, method)


def _rsa(octets: bytes) -> Callable[[bytes, bytes], None]:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(octets)
    if not isinstance(key, RSAPublicKey) or key.key_size < _LEAST_RSA_BITS:
        raise ValueError("not an RSA key of at least 2048 bits")
    padding, method = PKCS1v15(), SHA256()
    return lambda signature, message: key.verify(signature, message, padding, method)


_LEAST_RSA_BITS: Final = 2048
_VERIFIERS: Final[dict[str, Callable[[bytes], Callable[[bytes, bytes], Any]]]] = {
    "ed25519": _ed25519,
    "ecdsa-p256": _p256,
    "rsa-sha256": _rsa,
}
