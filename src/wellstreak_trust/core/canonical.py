"""The two byte encodings under everything signed, sealed or hashed.

`length_prefixed` is injective for any list of byte strings: no separator that a part could contain, so no bytes can
move from one part to the next. `canonical_json` is JSON on a domain so small that every serialiser agrees on it byte
for byte (sorted keys, no spaces, UTF-8 unescaped, no floats); what lies outside is refused, never normalised. Within
that domain it is the JSON Canonicalization Scheme (RFC 8785).
"""

from __future__ import annotations

import json
import re
from typing import Final

from .errors import UsageError

__all__ = [
    "CANONICAL_DEPTH",
    "CANONICAL_INT",
    "admitted_json",
    "canonical_json",
    "i64",
    "length_prefixed",
    "u32",
    "u64",
]

CANONICAL_DEPTH: Final = 16
CANONICAL_INT: Final = 2**53 - 1  # what IEEE 754 doubles, and so JavaScript readers, hold exactly (RFC 8259, 6)
_KEY: Final = re.compile(r"[A-Za-z0-9_.-]+")
_ENCODE: Final = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False
).encode


def u32(number: int) -> bytes:
    """Unsigned 32-bit big-endian; raises `UsageError` out of range."""
    return _fixed(number, 4, signed=False)


def u64(number: int) -> bytes:
    """Unsigned 64-bit big-endian; raises `UsageError` out of range."""
    return _fixed(number, 8, signed=False)


def i64(number: int) -> bytes:
    """Signed 64-bit big-endian; raises `UsageError` out of range."""
    return _fixed(number, 8, signed=True)


def _fixed(number: int, octets: int, *, signed: bool) -> bytes:
    try:
        return number.to_bytes(octets, "big", signed=signed)
    except (OverflowError, AttributeError):
        raise UsageError(f"not an integer of {octets * 8} bits") from None


def length_prefixed(*parts: bytes | str) -> bytes:
    """``u32(count) || u32(len p1) || p1 || ...``; text as UTF-8 without normalisation.

    Raises `UsageError` for text that is no Unicode (lone surrogates), and for a part that is neither bytes nor text.
    """
    pieces = [len(parts).to_bytes(4, "big")]
    for part in parts:
        octets = _utf8(part) if isinstance(part, str) else part
        if not isinstance(octets, bytes):
            raise UsageError(f"a part is bytes or text, not {type(octets).__name__}")
        pieces += (len(octets).to_bytes(4, "big"), octets)
    return b"".join(pieces)


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError("text with a lone surrogate has no canonical bytes") from None


def canonical_json(value: object, *, any_key: bool = False) -> bytes:
    """The only spelling of `value`: dict, list, tuple, str, int, bool and None, at most 16 levels deep.

    Args:
        any_key: lift the restriction of keys to ``[A-Za-z0-9_.-]+`` (catalogues whose names hold a colon).

    Raises:
        UsageError: anything outside the domain; names the place, never the value.
    """
    _admit(value, "$", 0, any_key)
    return admitted_json(value)


def admitted_json(value: object) -> bytes:
    """`canonical_json` of a value that is known to lie in its domain; raises `UsageError` for a lone surrogate."""
    return _utf8(_ENCODE(value))


def _admit(value: object, place: str, depth: int, any_key: bool) -> None:
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return
    if kind is int:
        if not -CANONICAL_INT <= value <= CANONICAL_INT:  # type: ignore[operator]  # kind is int
            raise UsageError(f"{place}: an integer beyond 2^53-1", hint="send it as text")
    elif depth >= CANONICAL_DEPTH:
        raise UsageError(f"{place}: nested deeper than {CANONICAL_DEPTH} levels")
    elif kind is dict:  # exactly: a subclass may show the encoder other items than it showed here
        for key, item in value.items():  # type: ignore[attr-defined]  # kind is dict
            if type(key) is not str or not (any_key or _KEY.fullmatch(key)):
                raise UsageError(f"{place}: a key outside [A-Za-z0-9_.-]+")
            _admit(item, f"{place}.{key}", depth + 1, any_key)
    elif kind is list or kind is tuple:
        for index, item in enumerate(value):  # type: ignore[arg-type]  # kind is a sequence
            _admit(item, f"{place}[{index}]", depth + 1, any_key)
    else:
        raise UsageError(f"{place}: {kind.__name__} is not part of canonical JSON", hint="floats as text or scaled int")
