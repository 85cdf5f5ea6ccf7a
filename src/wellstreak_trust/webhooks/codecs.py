"""From the secret a provider shows to the bytes a key is made of; and the text forms of signatures.

A secret has one codec, given by its scheme. Guessing would let text in one form be accepted as weaker bytes of another.
"""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode
from binascii import Error, b2a_base64, unhexlify
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from ..core.errors import WeakSecret
from ..core.secret import Secret
from .scheme import Codec, Encoding, Mac

__all__ = [
    "MIN_OCTETS",
    "SecretText",
    "claims",
    "decode_signature",
    "encode",
    "key_octets",
    "pattern",
    "secret_text",
    "shape",
]

SecretText = str | bytes | Secret[str] | Secret[bytes]

MIN_OCTETS: Final = 16
_DIGEST_OCTETS: Final = {"hmac-sha256": 32, "sha256-concat": 32, "hmac-sha1": 20, "hmac-sha512": 64, "ed25519": 64}
_PREFIX: Final[dict[Codec, str]] = {"whsec": "whsec_", "whpk": "whpk_"}
# Standard Webhooks: 24 to 64 random bytes; an Ed25519 public key has 32 (RFC 8032, 5.1.5).
_BOUNDS: Final[dict[Codec, tuple[int, int]]] = {"whsec": (24, 64), "whpk": (32, 32), "ed25519-hex": (32, 32)}
_PUBLIC: Final = frozenset(("whpk", "ed25519-hex", "p256-spki", "rsa-pem"))


def secret_text(secret: SecretText) -> str:
    """The configured text, checked for what nobody sees in a settings file; raises `WeakSecret`."""
    value = secret.reveal() if isinstance(secret, Secret) else secret
    try:
        text = value.decode("utf-8") if isinstance(value, bytes) else value
        text.encode("utf-8")
    except (UnicodeError, AttributeError):
        raise WeakSecret("a signing secret is not text", hint="paste it as the provider shows it") from None
    if not text:
        raise WeakSecret("a signing secret is empty", hint="is the setting missing in this environment?")
    if text != text.strip():
        raise WeakSecret("a signing secret has whitespace around it", hint="strip it where it is stored")
    return text


def key_octets(text: str, codec: Codec, *, allow_weak: bool = False) -> bytes:
    """The bytes that the key is made of.

    Raises:
        WeakSecret: text that is not of the codec's form, or fewer bytes than a secret needs (16, unless allowed).
    """
    try:
        octets = _decoders[codec](text.removeprefix(_PREFIX.get(codec, "")))
    except ValueError:  # also binascii.Error and UnicodeError
        raise WeakSecret(f"a signing secret is not of the form {codec}", hint=_HINTS.get(codec, "")) from None
    least, most = _BOUNDS.get(codec, (MIN_OCTETS, 1 << 16))
    if len(octets) > most or (len(octets) < least and (codec in _PUBLIC or not allow_weak)):
        raise WeakSecret(
            f"a signing secret has {len(octets)} bytes of the form {codec}", hint=_HINTS.get(codec, _AT_LEAST)
        )
    return octets


def claims(text: str, codec: Codec) -> bool:
    """Whether the secret says by its prefix that it is of this codec."""
    prefix = _PREFIX.get(codec, "")
    return bool(prefix) and text.startswith(prefix)


def encode(octets: bytes, encoding: Encoding) -> str:
    """The text form of a signature."""
    if encoding == "hex":
        return octets.hex()
    if encoding == "base64":
        return b2a_base64(octets, newline=False).decode("ascii")
    if encoding == "base64url":
        return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
    return octets.decode("utf-8")


def decode_signature(text: str, encoding: Encoding) -> bytes | None:
    """The inverse of `encode` on exactly its results: stray padding bits and other spellings are None."""
    try:
        if encoding == "hex":
            octets = bytes.fromhex(text)
        elif encoding == "base64url":
            octets = b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        else:
            octets = b64decode(text, validate=True)
    except ValueError:
        return None
    return octets if encode(octets, encoding) == text else None


def shape(mac: Mac) -> Callable[[str], object]:
    """A predicate on the signature's text: everything that no signature of this kind looks like is refused unhashed."""
    return re.compile(pattern(mac)).fullmatch


def pattern(mac: Mac) -> str:
    """The expression that signatures of this kind fit."""
    octets = _DIGEST_OCTETS.get(mac.algorithm)
    if mac.algorithm == "token":
        return r"[!-~]{1,4096}"
    if mac.encoding == "hex":
        return f"[0-9a-f]{{{2 * octets if octets else '2,2048'}}}"
    if octets is None:
        return r"(?:[A-Za-z0-9+/]{4}){1,512}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
    letters = "[A-Za-z0-9_-]" if mac.encoding == "base64url" else "[A-Za-z0-9+/]"
    pad = "" if mac.encoding == "base64url" else "=" * (-octets % 3)
    return f"{letters}{{{-(-octets * 4 // 3)}}}{pad}"


def _from_base64(text: str) -> bytes:
    if re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", text) is None:
        raise Error("not base64")
    bare = text.rstrip("=")
    return b64decode(bare + "=" * (-len(bare) % 4), validate=True)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8")


def _hashed(text: str) -> bytes:
    if len(text) < MIN_OCTETS:
        raise ValueError("the digest would hide how short it is")
    return sha256(text.encode("utf-8")).digest()


_AT_LEAST: Final = f"at least {MIN_OCTETS} bytes; allow_weak=True only for published examples"
_HINTS: Final[dict[Codec, str]] = {
    "whsec": "whsec_ and base64 of 24 to 64 bytes, as the provider shows it",
    "whpk": "whpk_ and base64 of 32 bytes: the public key, never whsk_",
    "ed25519-hex": "the application's public key, 64 hex digits",
    "p256-spki": "the verification key as shown: base64 of a P-256 public key",
    "rsa-pem": "the provider's public key in PEM",
    "hex": "hex digits, as the provider shows it",
    "base64": "base64, as the provider shows it",
    "sha256": _AT_LEAST,
}
_decoders: Final[dict[Codec, Callable[[str], bytes]]] = {
    "utf8": _utf8,
    "base64": _from_base64,
    "hex": unhexlify,
    "sha256": _hashed,
    "whsec": _from_base64,
    "whpk": _from_base64,
    "ed25519-hex": unhexlify,
    "p256-spki": _from_base64,
    "rsa-pem": _utf8,
}
