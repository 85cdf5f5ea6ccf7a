"""A key-encryption key in two halves: the web tier wraps, only workers unwrap (HPKE, RFC 9180).

::

    blob = "WS" || 0x01 format || 0x10 suite || 0x00 flags || u32(1) || enc || ciphertext       HPKE base mode
    info = LP("wellstreak-trust/hpke/v1", first 9 bytes, sender, context)
    DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM

A process with the public half makes tenant keys and seals under those that it made itself; it reads nothing that
another process wrote, and nothing of its own once the key has left its cache. It may `put` a new version over any
secret: that takes over nothing of what stands but the numbers of version and revision, which it cannot verify. To
rotate, disable or destroy is a worker's, because that builds on what has verified.

HPKE's base mode tells nothing of the sender, so whoever had the public key could plant a tenant key. Both halves
therefore hold `sender`, 32 secret bytes that enter the key schedule with `info`: keep the public half's file private.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from ...core.canonical import length_prefixed, u32
from ...core.clock import Clock, SystemClock, rfc3339
from ...core.entropy import SYSTEM_ENTROPY
from ...core.errors import EnvelopeUnsupported, KeyUnavailable, SecretTampered
from ...core.secret import Secret
from ..keyring import KeyContext, KeyStatus
from .files import created, read, refusal
from .local import bound, document

__all__ = ["SealedKeyProvider"]

_PRIVATE: Final = "wellstreak-trust/hpke-private/v1"
_PUBLIC: Final = "wellstreak-trust/hpke-public/v1"
_FIELDS: Final = frozenset(("format", "id", "created_at", "sender", "key"))
_HEAD: Final = b"WS\x01\x10\x00" + u32(1)
_DOMAIN: Final = "wellstreak-trust/hpke/v1"
_BYTES: Final = 32
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class SealedKeyProvider:
    """One half or both of an HPKE key; uri ``hpke:<id>``.

    Args:
        public, sender: 32 bytes each. private: the other half; without it, `unwrap` is `KeyUnavailable`.
    """

    blocking: bool = False

    def __init__(self, public: bytes, sender: bytes, private: bytes | None = None) -> None:
        if len(public) != _BYTES or len(sender) != _BYTES:
            raise refusal("an HPKE key has a public half and a sender of 32 bytes each")
        self._public: X25519PublicKey = X25519PublicKey.from_public_bytes(public)
        self._sender: bytes = sender
        self._private: X25519PrivateKey | None = None
        if private is not None:
            self._private = X25519PrivateKey.from_private_bytes(private)
            if self._private.public_key().public_bytes_raw() != public:
                raise refusal("the halves of an HPKE key do not belong together")
        self.opens: bool = private is not None
        self.uri: str = f"hpke:{_id_of(public)}"

    @classmethod
    def generate(
        cls, private_path: str | os.PathLike[str], public_path: str | os.PathLike[str], *, clock: Clock | None = None
    ) -> SealedKeyProvider:
        """Makes a key and the files of its halves, mode 0600; a file that exists is never touched.

        Raises:
            ConfigurationError: a file exists or cannot be written.
        """
        private, sender = X25519PrivateKey.generate(), SYSTEM_ENTROPY.octets(_BYTES)
        public = private.public_key().public_bytes_raw()
        stated = {"created_at": rfc3339((clock or SystemClock()).now()), "sender": _text(sender), "id": _id_of(public)}
        halves = ((private_path, _PRIVATE, private.private_bytes_raw()), (public_path, _PUBLIC, public))
        for path, format_name, half in halves:
            created(path, Secret(json.dumps({**stated, "format": format_name, "key": _text(half)})))
        return cls(public, sender, private.private_bytes_raw())

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> SealedKeyProvider:
        """Reads the file of either half.

        Raises:
            ConfigurationError: missing, readable by others, or no such document; never shows its content.
        """
        text = read(path).reveal()
        public = f'"{_PUBLIC}"' in text
        found = document(text, _PUBLIC if public else _PRIVATE, _FIELDS)
        half, sender = _octets(found["key"]), _octets(found["sender"])
        if public:
            made = cls(half, sender)
        else:
            made = cls(X25519PrivateKey.from_private_bytes(half).public_key().public_bytes_raw(), sender, half)
        if made.uri != f"hpke:{found['id']}":
            raise refusal("the id of an HPKE key is not that of its public half", "the file was edited")
        return made

    def wrap(self, key: bytes, context: KeyContext, /) -> bytes:
        """Seals to the public half."""
        return _HEAD + _SUITE.encrypt(key, self._public, self._info(context))

    def unwrap(self, blob: bytes, context: KeyContext, /) -> bytes:
        """Opens with the private half.

        Raises:
            KeyUnavailable: this process has only the public half. EnvelopeUnsupported, SecretTampered.
        """
        if self._private is None:
            raise KeyUnavailable("this process holds the public half only", hint="let a worker do it", retryable=False)
        if not blob.startswith(_HEAD):
            raise EnvelopeUnsupported("not format 1, suite 0x10")
        try:
            return _SUITE.decrypt(blob[len(_HEAD) :], self._private, self._info(context))
        except (InvalidTag, ValueError):
            raise SecretTampered("HPKE: nothing that was sealed to this key and context") from None

    def status(self) -> KeyStatus:
        """Ready; says which half it is."""
        return KeyStatus(self.uri, "ready", "opens" if self.opens else "seals only")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"

    def _info(self, context: KeyContext) -> bytes:
        return length_prefixed(_DOMAIN, _HEAD, self._sender, bound(context).encode())


def _id_of(public: bytes) -> str:
    return f"k_{sha256(public).hexdigest()[:16]}"


def _text(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")


def _octets(text: Any) -> bytes:
    try:
        found = b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        found = b""
    if len(found) != _BYTES or _text(found) != text:
        raise refusal("a half of an HPKE key is the base64 of 32 bytes")
    return found
