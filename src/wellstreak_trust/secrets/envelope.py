"""The envelope: AES-256-GCM under a key made for one message, committed to key and context (suite 0x01).

::

    ctx      = LP("wellstreak-trust/secret-context/v1", store, tenant_id, name, u64(version), purpose)
    head     = "WS" || 0x01 format || 0x01 suite || 0x00 flags || u32(key version)          9 bytes
    info     = LP("wellstreak-trust/envelope/v1", head, salt, ctx)                          salt: 32 random bytes
    okm      = HKDF-Expand-SHA512(key, info, 64)                                            RFC 5869, 2.3: one block
    body     = AES-256-GCM(okm[:32], nonce = 0, padded plaintext, AAD = head || salt || C)  C = okm[32:], the commitment
    envelope = head || salt || C || body                                                    89 bytes + padded

AES-GCM alone commits to neither key nor context: one ciphertext can be made that opens under two keys. C does, and is
compared before anything is decrypted. The zero nonce is sound because a key of 256 derived bits seals one message. The
context is never stored: who opens must know the address, so a row that was moved does not open.
The published format with its worked example is ``docs/reference/envelope-format.md``.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hmac import compare_digest
from struct import Struct
from struct import error as _StructError
from typing import Final, Literal, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.hmac import HMAC

from ..core.canonical import length_prefixed, u32
from ..core.entropy import SYSTEM_ENTROPY, Entropy
from ..core.errors import EnvelopeUnsupported, SecretTampered, UsageError

__all__ = [
    "KEY_BYTES",
    "EnvelopeContext",
    "EnvelopeKey",
    "Purpose",
    "from_text",
    "open",
    "open_into",
    "seal",
    "to_text",
]

Purpose = Literal["value/text", "value/bytes", "tenant-key"]
Octets = bytes | bytearray | memoryview

_OCTETS: Final = (bytes, bytearray, memoryview)

KEY_BYTES: Final = 64
_SUITE: Final = b"WS\x01\x01\x00"
_SALT: Final = slice(9, 41)
_COMMITMENT: Final = slice(41, 73)
_FIXED: Final = 73  # head, salt and commitment: all of it is associated data
_TAG: Final = 16
_BLOCK: Final = 32
_SHORTEST: Final = _FIXED + _BLOCK + _TAG
_NONCE: Final = bytes(12)
_PADDING: Final = tuple(b"\x80".ljust(count, b"\0") for count in range(_BLOCK + 1))
_TEXT: Final = "wst1."

# What `length_prefixed` writes before the parts that vary; the rest is put together without its loop, for speed.
_CONTEXT: Final = u32(6) + length_prefixed("wellstreak-trust/secret-context/v1")[4:]
_INFO: Final = u32(4) + length_prefixed("wellstreak-trust/envelope/v1")[4:] + u32(9)
_SALT_LENGTH: Final = u32(32)
_LENGTH: Final = Struct(">I").pack
_VERSION: Final = Struct(">IQI").pack


@dataclass(frozen=True, slots=True)
class EnvelopeContext:
    """Where an envelope belongs: every field is bound, none is stored with it.

    Args:
        store: id of the store. tenant_id, name: address of the secret. version: 0 to 2^64-1.
        purpose: ``value/text``, ``value/bytes`` or ``tenant-key``.
    """

    store: str
    tenant_id: str
    name: str
    version: int
    purpose: Purpose | str
    _tail: bytes | None = field(default=None, init=False, repr=False, compare=False)

    def encode(self) -> bytes:
        """``LP(domain, store, tenant_id, name, u64(version), purpose)``; raises `UsageError` for what has no bytes."""
        try:
            store, tenant = self.store.encode(), self.tenant_id.encode()
            name, purpose = self.name.encode(), self.purpose.encode()
            version = _VERSION(8, self.version, len(purpose))
        except (UnicodeEncodeError, AttributeError, OverflowError, _StructError):
            raise UsageError("a context is four texts and a version from 0 to 2^64-1") from None
        lengths = _LENGTH(len(store)), _LENGTH(len(tenant)), _LENGTH(len(name))
        return b"".join((_CONTEXT, lengths[0], store, lengths[1], tenant, lengths[2], name, version, purpose))

    def tail(self) -> bytes:
        """What of `info` follows the salt, and HKDF's counter: made once, because who seals a value may open it too."""
        tail = self._tail
        if tail is None:
            bound = self.encode()
            tail = _LENGTH(len(bound)) + bound + b"\x01"
            object.__setattr__(self, "_tail", tail)
        return tail


@dataclass(frozen=True, slots=True)
class EnvelopeKey:
    """A 64-byte key with its version, ready for use: the key itself, and what comes before the salt, are hashed once.

    Raises:
        UsageError: not 64 bytes, or a version beyond 32 bits.
    """

    material: bytes = field(repr=False)
    version: int = 1
    head: bytes = field(init=False, repr=False, compare=False)
    _keyed: HMAC = field(init=False, repr=False, compare=False)
    _info: HMAC = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.material, bytes) or len(self.material) != KEY_BYTES:
            raise UsageError(f"an envelope key is {KEY_BYTES} bytes", hint="core.entropy, not a password")
        keyed, head = HMAC(self.material, SHA512()), _SUITE + u32(self.version)
        info = keyed.copy()
        info.update(_INFO + head + _SALT_LENGTH)
        for name, value in {"head": head, "_keyed": keyed, "_info": info}.items():
            object.__setattr__(self, name, value)

    def mac(self, message: bytes) -> bytes:
        """HMAC-SHA512 over `message`, 64 bytes (RFC 2104)."""
        keyed = self._keyed.copy()
        keyed.update(message)
        return keyed.finalize()

    def expand(self, info: bytes) -> bytes:
        """HKDF-Expand-SHA512 with this key as PRK, one block of 64 bytes (RFC 5869, 2.3)."""
        return self.mac(info + b"\x01")

    def derive(self, salt: bytes, context: EnvelopeContext) -> bytes:
        """``okm`` of an envelope: `expand` of its info, whose beginning is hashed already."""
        info = self._info.copy()
        info.update(salt + context.tail())
        return info.finalize()

    def __reduce__(self) -> NoReturn:
        raise UsageError("an envelope key cannot be pickled", hint="send the wrapped key")


def seal(
    key: EnvelopeKey | bytes, plaintext: Octets, context: EnvelopeContext, *, entropy: Entropy = SYSTEM_ENTROPY
) -> bytes:
    """An envelope around `plaintext`, 89 bytes and 1 to 32 of padding longer.

    Args:
        key: an `EnvelopeKey`, or 64 raw bytes (version 1).
        entropy: gives the salt; anything but the system's is for test vectors.

    Raises:
        UsageError: a key, plaintext or context of the wrong type or size.
    """
    if not isinstance(plaintext, _OCTETS):
        raise UsageError("plaintext is bytes", hint="encode text as UTF-8")
    plain = plaintext if type(plaintext) is bytes else bytes(plaintext)
    salt = entropy.octets(_BLOCK)
    if len(salt) != _BLOCK:
        raise UsageError("the entropy source gave too few bytes")
    key = _admitted(key, context)  # under the same name: error reporters print locals, and raw bytes may have come in
    okm = key.derive(salt, context)
    fixed = key.head + salt + okm[32:]
    # No name for the padded copy: its memory is free again, and still warm, when the result needs as much.
    return fixed + AESGCM(okm[:32]).encrypt(_NONCE, plain + _PADDING[_BLOCK - len(plain) % _BLOCK], fixed)


def open(key: EnvelopeKey | bytes, envelope: Octets, context: EnvelopeContext) -> bytes:
    """The plaintext, after every check in the published order.

    Raises:
        EnvelopeUnsupported: length, magic, format, suite or flags.
        SecretTampered: another key version, commitment, tag or padding: the bytes, the key or the context are not those
            of the sealer.
        UsageError: a key or context of the wrong type or size.
    """
    key = _admitted(key, context)
    aead, fixed, body = _unlock(key, envelope, context)
    try:
        padded = aead.decrypt(_NONCE, body, fixed)
    except InvalidTag:
        raise _tampered("tag") from None
    size = _unpadded(padded)
    if size is None:
        del padded
        raise _tampered("padding")
    return padded[:size]


def open_into(key: EnvelopeKey | bytes, envelope: Octets, context: EnvelopeContext) -> tuple[bytearray, int]:
    """As `open`, into a buffer that the caller can wipe: the buffer, and how many of its bytes are plaintext."""
    key = _admitted(key, context)
    aead, fixed, body = _unlock(key, envelope, context)
    buffer = bytearray(len(body) - _TAG)  # our own, never the caller's: CVE-2023-23931 wrote into immutable objects
    cause = "padding"
    try:
        aead.decrypt_into(_NONCE, body, fixed, buffer)
        size = _unpadded(buffer)
        if size is not None:
            return buffer, size
    except InvalidTag:
        cause = "tag"
    buffer[:] = bytes(len(buffer))  # the library decrypts before it compares the tag, and this frame is printed
    raise _tampered(cause)


def to_text(envelope: bytes) -> str:
    """``wst1.`` and unpadded base64url, where only text will do."""
    return _TEXT + urlsafe_b64encode(envelope).rstrip(b"=").decode("ascii")


def from_text(text: str) -> bytes:
    """The envelope in `text`; raises `EnvelopeUnsupported` for every spelling but the one that `to_text` writes."""
    try:
        found = urlsafe_b64decode(text.removeprefix(_TEXT) + "==")
    except (ValueError, AttributeError, TypeError):
        found = b""
    if to_text(found) != text or not found:
        raise EnvelopeUnsupported("not the text form of an envelope")
    return found


def _admitted(key: EnvelopeKey | bytes, context: EnvelopeContext) -> EnvelopeKey:
    if not isinstance(context, EnvelopeContext):
        raise UsageError(
            "the context is an EnvelopeContext", hint="EnvelopeContext(store, tenant_id, name, version, ...)"
        )
    return key if isinstance(key, EnvelopeKey) else EnvelopeKey(key)


def _unlock(key: EnvelopeKey, envelope: Octets, context: EnvelopeContext) -> tuple[AESGCM, bytes, Octets]:
    """All checks that need no decryption, in order; then the cipher, its associated data and its input."""
    octets = envelope if type(envelope) is bytes else _bytes(envelope)
    if len(octets) < _SHORTEST or (len(octets) - _FIXED - _TAG) % _BLOCK:
        raise EnvelopeUnsupported("the length is that of no envelope")
    fixed = octets[:_FIXED]
    if not fixed.startswith(key.head):
        if fixed.startswith(_SUITE):
            raise _tampered("key version")
        raise EnvelopeUnsupported("not format 1, suite 0x01", hint="a newer release wrote it, or it is no envelope")
    okm = key.derive(fixed[_SALT], context)
    if not compare_digest(okm[32:], fixed[_COMMITMENT]):
        raise _tampered("commitment")
    return AESGCM(okm[:32]), fixed, memoryview(octets)[_FIXED:]


def _bytes(envelope: object) -> bytes:
    return bytes(envelope) if isinstance(envelope, _OCTETS) else b""


def _unpadded(padded: bytes | bytearray) -> int | None:
    """Where the plaintext ends (ISO 7816-4): the mark stands in the last block, and only zeros follow it."""
    last = padded[-_BLOCK:].rstrip(b"\0")
    return len(padded) - _BLOCK + len(last) - 1 if last.endswith(b"\x80") else None


def _tampered(what: str) -> SecretTampered:
    return SecretTampered(f"{what} does not verify", hint="the row was changed or moved, or another key is configured")
