"""A key-encryption key in a file of its own."""

from __future__ import annotations

import json
import os
import re
import stat
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ...core.clock import Clock, SystemClock, rfc3339
from ...core.entropy import SYSTEM_ENTROPY, random_hex
from ...core.errors import ConfigurationError
from ...core.secret import Secret
from ..envelope import KEY_BYTES, EnvelopeContext, EnvelopeKey, open, seal
from ..keyring import KeyContext, KeyStatus

__all__ = ["LocalKey", "LocalKeyProvider", "decoded_key", "key_document", "parsed_document"]

_FORMAT: Final = "wellstreak-trust/kek/v1"
_FIELDS: Final = frozenset(("format", "id", "created_at", "key"))
_ID: Final = re.compile(r"k_[0-9a-f]{16}")
_LONGEST: Final = 4_096


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
            raise _refusal("the id of a local key is k_ and 16 hex digits")
        self._key: EnvelopeKey = EnvelopeKey(material)
        self.uri: str = f"local:{key_id}"
        self.blocking: bool = False

    def wrap(self, key: bytes, context: KeyContext, /) -> bytes:
        """An envelope around `key`, bound to the context."""
        return seal(self._key, key, _bound(context))

    def unwrap(self, blob: bytes, context: KeyContext, /) -> bytes:
        """The key; raises `SecretTampered` or `EnvelopeUnsupported`."""
        return open(self._key, blob, _bound(context))

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
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
            try:
                _write(handle, text.reveal())
            except OSError:
                with suppress(OSError):
                    os.unlink(path)  # half a key must not look like one
                raise
        except OSError as error:
            raise _refusal(
                f"{Path(path).name}: {type(error).__name__}", "choose a new file in a writable folder"
            ) from None
        return cls(*parsed_document(text.reveal()))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> LocalKeyProvider:
        """Reads a key file that nobody but its owner can.

        Raises:
            ConfigurationError: missing, readable by others, or no key document; never shows its content.
        """
        name = Path(path).name
        try:
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a FIFO must not hang the start
            try:
                # The open file is asked, not its name: nobody can swap it in between.
                held = os.fstat(handle)
                if not stat.S_ISREG(held.st_mode) or stat.S_IMODE(held.st_mode) & 0o077:
                    raise _refusal(f"{name}: not a regular file that only its owner can read", f"chmod 600 {name}")
                octets = os.read(handle, _LONGEST + 1)
            finally:
                os.close(handle)
        except OSError as error:
            raise _refusal(f"{name}: {type(error).__name__}", "LocalKeyProvider.generate(path) makes one") from None
        return cls(*parsed_document(octets.decode("utf-8", "replace")))


def parsed_document(text: str) -> tuple[str, bytes]:
    """Id and key out of the content of a key file. Raises `ConfigurationError`, without the content."""
    try:
        found: Any = json.loads(text) if len(text) <= _LONGEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or set(found) != _FIELDS or found["format"] != _FORMAT:
        raise _refusal("not a key document of format wellstreak-trust/kek/v1")
    return found["id"], decoded_key(found["key"])


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
        raise _refusal("a key is the base64 of 64 bytes")
    return octets


def _bound(context: KeyContext) -> EnvelopeContext:
    return EnvelopeContext(context.store, context.tenant_id, "", context.key_version, context.purpose)


def _write(handle: int, text: str) -> None:
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())  # secrets sealed under a key that a power cut takes away are gone


def _refusal(detail: str, hint: str = "LocalKeyProvider.generate(path) makes one") -> ConfigurationError:
    return ConfigurationError(detail, hint=hint, reason="kek")
