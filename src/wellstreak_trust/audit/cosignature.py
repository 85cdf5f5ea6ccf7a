"""Cosignatures of witnesses (c2sp.org/tlog-cosignature, Ed25519): that a checkpoint extends all they saw, and when.

A checkpoint bears no time; a cosignature does. It is one more signature line below the same text, of type 0x04: the
line holds the key id, 8 bytes of POSIX time and 64 bytes of signature over ``cosignature/v1``, that time, and the
text. The signed bytes do not name the witness, so each witness needs a key of its own.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from ..core.clock import from_micros, to_micros
from ..core.errors import NoteInvalid, UsageError
from .note import Ed25519Signer, NamedKey, VerifierKey, split, strict_base64

__all__ = ["Cosignature", "Key", "WitnessKey", "cosign", "cosignatures", "key_of", "with_lines"]

_KEY_ID, _TIME, _SIGNATURE = 4, 8, 64
_SECOND: Final = 1_000_000
_LATEST: Final = 253_402_300_799  # the end of the year 9999: what a datetime holds


@dataclass(frozen=True, slots=True)
class Cosignature:
    """One witness has seen this checkpoint extend all it saw of the log before, at this time."""

    witness: str
    at: datetime


@dataclass(frozen=True, slots=True)
class WitnessKey(NamedKey):
    """The key of a witness: timestamped Ed25519 cosignatures (type 0x04)."""

    KIND: ClassVar[bytes] = b"\x04"

    def seen_at(self, packed: bytes, text: str) -> datetime | None:
        """When this witness cosigned `text`, by the time and signature behind the key id; None if it did not."""
        seconds = int.from_bytes(packed[:_TIME], "big")
        if len(packed) != _TIME + _SIGNATURE or seconds > _LATEST:
            return None
        signed = self.verifies(packed[_TIME:], _message(text, seconds))
        return from_micros(seconds * _SECOND) if signed else None


Key = VerifierKey | WitnessKey


def key_of(key: str | Key) -> Key:
    """The key of a log or of a witness from its text; the type is in it. Raises `UsageError` for anything else."""
    if isinstance(key, VerifierKey | WitnessKey):
        return key
    if not isinstance(key, str):
        raise UsageError("a verifier key is text, as log.vkey() gives it")
    packed = strict_base64(key.split("+", 2)[-1])
    return WitnessKey.parse(key) if packed and packed[:1] == WitnessKey.KIND else VerifierKey.parse(key)


def cosign(text: str, name: str, signer: Ed25519Signer, at: datetime) -> str:
    """The signature line of a witness below a checkpoint's `text`, its newline included."""
    seconds = to_micros(at) // _SECOND
    packed = seconds.to_bytes(_TIME, "big") + signer.sign(_message(text, seconds))
    return f"— {name} {b64encode(WitnessKey(name, signer.public_key).id + packed).decode()}\n"


def cosignatures(note: str | bytes, keys: Iterable[WitnessKey]) -> tuple[Cosignature, ...]:
    """Who of the known witnesses has cosigned a note, each once, with its latest time.

    Lines of unknown keys are ignored.

    Raises:
        NoteInvalid: malformed, or a line of a known witness that does not verify.
    """
    text, lines = split(note)
    found: dict[str, Cosignature] = {}
    for key in keys:
        for name, packed in lines:
            if name == key.name and packed[:_KEY_ID] == key.id:
                at = key.seen_at(packed[_KEY_ID:], text)
                if at is None:
                    raise NoteInvalid("a known witness did not make this signature", reason="bad_signature")
                before = found.get(name)
                found[name] = before if before and before.at >= at else Cosignature(name, at)
    return tuple(found.values())


def with_lines(note: str, lines: Sequence[str]) -> str:
    """A note with further signature lines; a line that stands already is not added again."""
    standing = note.splitlines(keepends=True)
    return note + "".join(line for line in lines if line not in standing)


def _message(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()
