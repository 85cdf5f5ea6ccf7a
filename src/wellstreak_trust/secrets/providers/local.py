"""A key-encryption key in a file of its own."""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode, b64encode
from typing import Any, Final

from ...core.clock import Clock, SystemClock, rfc3339
from ...core.entropy import SYSTEM_ENTROPY, random_hex
from ...core.secret import Secret
from ..envelope import KEY_BYTES, EnvelopeContext, EnvelopeKey, open, seal
from ..keyring import KeyContext, KeyStatus
from .files import LONGEST, created, read, refusal

__all__ = ["LocalKey", "LocalKeyProvider", "bound", "decoded_key", "document", "key_document", "parsed_document"]

_FORMAT: Final = "wellstreak-trust/kek/v1"
_FIELDS: Final = frozenset(("format", "id", "created_at", "key"))
_ID: Final = re.compile(r"k_[0-9a-f]{16}")


class LocalKey:
    """A key-encryption key in this process; uri ``local:<id>``. Tenant keys are wrapped in envelopes under it.

    Args:
        key_id: ``k_`` and 16 hex digits. material: 64 random bytes.

    Raises:
        ConfigurationError: another id. UsageError: another size.
    """

    __slots__ = ("_key", "blocking", "uri")

    def __init__(self, key_id: str, material: bytes) -> None:
        if not isinstance(key_id, str) or not _ID.fullmatch(key_id):
            raise refusal("the id of a local key is k_ and 16 hex digits")
        self._key: EnvelopeKey = EnvelopeKey(material)
        self.uri: str = f"local:{key_id}"
        self.blocking: bool = False

    def wrap(self, key: bytes, context: KeyContext, /) -> bytes:
        """An envelope around `key`, bound to the context."""
        return seal(self._key, key, bound(context))

    def unwrap(self, blob: bytes, context: KeyContext, /) -> bytes:
        """The key; raises `SecretTampered` or `EnvelopeUnsupported`."""
        return open(self._key, blob, bound(context))

    def status(self) -> KeyStatus:
        """Always ready: the key is in memory."""
        return KeyStatus(self.uri, "ready")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"


class LocalKeyProvider(LocalKey):
    """A local key from a file that only its owner can read."""

    __slots__ = ()

    @classmethod
    def generate(cls, path: str | os.PathLike[str], *, clock: Clock | None = None) -> LocalKeyProvider:
        """Makes a key and its file, mode 0600; a file that exists is never touched.

        Raises:
            ConfigurationError: the file exists or cannot be written.
        """
        text = key_document(clock or SystemClock())
        created(path, text)
        return cls(*parsed_document(text.reveal()))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> LocalKeyProvider:
        """Reads a key file that nobody but its owner can.

        Raises:
            ConfigurationError: missing, readable by others, or no key document; never shows its content.
        """
        return cls(*parsed_document(read(path).reveal()))


def parsed_document(text: str) -> tuple[str, bytes]:
    """Id and key out of the content of a key file. Raises `ConfigurationError`, without the content."""
    found = document(text, _FORMAT, _FIELDS)
    return found["id"], decoded_key(found["key"])


def document(text: str, format_name: str, fields: frozenset[str]) -> dict[str, Any]:
    """A JSON document of exactly these fields. Raises `ConfigurationError`, without the content."""
    try:
        found: Any = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or set(found) != fields or found["format"] != format_name:
        raise refusal(f"not a key document of format {format_name}")
    return found


def key_document(clock: Clock) -> Secret[str]:
    """A new key as the text of a key file."""
    document = {
        "format": _FORMAT,
        "id": f"k_{random_hex(8)}",
        "created_at": rfc3339(clock.now()),
        "key": b64encode(SYSTEM_ENTROPY.octets(KEY_BYTES)).decode("ascii"),
    }
    return Secret(json.dumps(document))


def decoded_key(text: object) -> bytes:
    """64 bytes out of standard base64 in its one spelling; raises `ConfigurationError`."""
    try:
        octets = b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        octets = b""
    if len(octets) != KEY_BYTES or b64encode(octets).decode("ascii") != text:
        raise refusal("a key is the base64 of 64 bytes")
    return octets


def bound(context: KeyContext) -> EnvelopeContext:
    """The context of a wrapped tenant key: no name, and the version of the key."""
    return EnvelopeContext(context.store, context.tenant_id, "", context.key_version, context.purpose)
