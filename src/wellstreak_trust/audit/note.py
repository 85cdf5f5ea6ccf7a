"""Signed notes of C2SP (c2sp.org/signed-note): a text, a blank line, and one line a signature.

Strict on purpose: one spelling a note. Base64 is decoded and encoded again, because decoders ignore the unused bits
of the last character and an attacker could otherwise change bytes that no signature covers.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ..core.entropy import SYSTEM_ENTROPY, Entropy
from ..core.errors import NoteInvalid, UsageError

__all__ = ["Ed25519Signer", "NamedKey", "Note", "VerifierKey", "check_name", "open", "sign", "split", "strict_base64"]

_ED25519: Final = b"\x01"  # the signature type of c2sp.org/signed-note
_KEY_ID_OCTETS: Final = 4
_MAX_LINES: Final = 100  # Go's limit; the specification asks for at least 16
_DASH: Final = "— "  # U+2014 and a space


class Ed25519Signer:
    """One Ed25519 key that signs notes under any name; the private half never leaves it."""

    __slots__ = ("_key", "public_key")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key: Ed25519PrivateKey = key
        self.public_key: bytes = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, *, entropy: Entropy = SYSTEM_ENTROPY) -> Ed25519Signer:
        """A new key."""
        return cls.from_seed(entropy.octets(32))

    @classmethod
    def from_seed(cls, seed: bytes) -> Ed25519Signer:
        """The key of a 32-byte seed (RFC 8032, 5.1.5); raises `UsageError` for any other length."""
        if not isinstance(seed, bytes) or len(seed) != 32:
            raise UsageError("an Ed25519 seed is 32 bytes", hint="Ed25519Signer.generate() makes one")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_pem(cls, pem: bytes | str) -> Ed25519Signer:
        """An unencrypted PKCS #8 key; raises `UsageError` for anything else, without repeating it."""
        try:
            key = load_pem_private_key(pem.encode("ascii") if isinstance(pem, str) else pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise UsageError("no readable PEM private key", hint="openssl genpkey -algorithm ed25519") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise UsageError("the private key is not an Ed25519 key", hint="openssl genpkey -algorithm ed25519")
        return cls(key)

    def __repr__(self) -> str:
        return f"Ed25519Signer(public_key={self.public_key.hex()!r})"

    def key(self, name: str) -> VerifierKey:
        """The verifier key of this signer under a name."""
        return VerifierKey(name, self.public_key)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of RFC 8032."""
        return self._key.sign(message)


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A name and the Ed25519 key that may sign under it; `str()` is ``name+hex(key id)+base64(type || key)``.

    The type tells what the key signs, so that a signature of one kind is none of another.

    Raises:
        UsageError: a name with a space or plus sign, a key that is not 32 bytes.
    """

    KIND: ClassVar[bytes] = b""
    """The signature type, one byte."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if not isinstance(self.public_key, bytes) or len(self.public_key) != 32:
            raise UsageError("an Ed25519 public key is 32 bytes")

    @property
    def id(self) -> bytes:
        """The first 4 bytes of SHA-256(name || 0x0A || type || key): a hint that finds the key, no proof of it."""
        return sha256(self.name.encode() + b"\n" + self.KIND + self.public_key).digest()[:_KEY_ID_OCTETS]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(self.KIND + self.public_key).decode()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str()`; raises `UsageError` for anything that does not give the same text again."""
        parts = text.split("+", 2) if isinstance(text, str) else []
        packed = strict_base64(parts[2]) if len(parts) == 3 else None
        if packed and packed[:1] == cls.KIND and len(packed) == 33 and _is_name(parts[0]):
            key = cls(parts[0], packed[1:])
            if str(key) == text:
                return key
        raise UsageError("not a verifier key of this type", hint="name+key id+base64, as log.vkey(tenant_id) gives")

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made the signature over these very bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class VerifierKey(NamedKey):
    """The key of a log: Ed25519 signatures of c2sp.org/signed-note (type 0x01)."""

    KIND: ClassVar[bytes] = _ED25519


@dataclass(frozen=True, slots=True)
class Note:
    """A note that at least one known key has signed.

    Args:
        text: what was signed, its last newline included.
        signed_by: the names of the known keys, in the order of their lines.
    """

    text: str
    signed_by: tuple[str, ...]


def sign(text: str, name: str, signer: Ed25519Signer) -> str:
    """`text` as a note with one signature line under `name`; raises `UsageError` for a text no note can hold."""
    if not text.endswith("\n") or not _is_text(text):
        raise UsageError("the text of a note is UTF-8 without control characters and ends in a newline")
    key = signer.key(name)
    packed = b64encode(key.id + signer.sign(text.encode())).decode()
    return f"{text}\n{_DASH}{name} {packed}\n"


def open(note: str | bytes, keys: Iterable[str | VerifierKey]) -> Note:
    """Checks a note against the keys that the caller trusts.

    Lines of unknown keys are ignored. A line of a known key that does not verify refuses the whole note, and so does
    a note without any line of a known key.

    Raises:
        NoteInvalid: malformed, or not signed as above; `reason` is ``malformed``, ``bad_signature`` or
            ``unknown_key``.
        UsageError: a verifier key that is none.
    """
    known = [VerifierKey.parse(key) if isinstance(key, str) else key for key in keys]
    text, lines = split(note)
    message = text.encode()
    signed_by = []
    for name, packed in lines:
        for key in known:
            if key.name == name and key.id == packed[:_KEY_ID_OCTETS]:
                if not key.verifies(packed[_KEY_ID_OCTETS:], message):
                    raise NoteInvalid("a known key did not make this signature", reason="bad_signature")
                signed_by.append(name)
    if not signed_by:
        raise NoteInvalid("no line of a known key", reason="unknown_key")
    return Note(text, tuple(signed_by))


def split(note: str | bytes) -> tuple[str, Sequence[tuple[str, bytes]]]:
    """The text and its lines ``(name, key id || signature)``, none of them verified; raises `NoteInvalid`."""
    whole = _decoded(note)
    text, blank, block = whole.rpartition("\n\n")
    lines = block.removesuffix("\n").split("\n")
    if not blank or not block.endswith("\n") or len(lines) > _MAX_LINES:
        raise _malformed("no text, blank line and signature lines")
    return text + "\n", [_line(line) for line in lines]


def _decoded(note: str | bytes) -> str:
    try:
        whole = note.decode("utf-8") if isinstance(note, bytes) else note
    except UnicodeDecodeError:
        raise _malformed("not UTF-8") from None
    if not isinstance(whole, str) or not _is_text(whole):
        raise _malformed("not UTF-8 text without control characters")
    return whole


def _line(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    packed = strict_base64(encoded)
    if not line.startswith(_DASH) or not _is_name(name) or packed is None or len(packed) <= _KEY_ID_OCTETS:
        raise _malformed("a signature line that is none")
    return name, packed


def _malformed(why: str) -> NoteInvalid:
    return NoteInvalid(why, reason="malformed")


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return not any(character < " " and character != "\n" for character in text)


def check_name(name: object) -> None:
    """Raises `UsageError` for what cannot be the name of a key, and so not the origin of a log."""
    if not _is_name(name):
        raise UsageError("a key name is not empty and holds no space, plus sign or control character")


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name != "" and _is_text(name) and not any(c.isspace() or c == "+" for c in name)


def strict_base64(text: str) -> bytes | None:
    """Standard padded base64 in its only spelling, else None."""
    try:
        octets = b64decode(text, validate=True)
    except (NotBase64, ValueError):
        return None
    return octets if b64encode(octets).decode() == text else None
