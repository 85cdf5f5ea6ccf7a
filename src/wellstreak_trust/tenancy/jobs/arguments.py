"""The bytes that stand for a job's arguments, the same before the queue's serialiser and after it.

Serialisers do not give back what they took: a tuple comes back as a list, keys in another order. `argument_bytes`
encodes *values*: a tag, then the value's length-prefixed content, so that no two values share their bytes. What would
come back as another value (keys that are no text, objects of a host's own classes) is refused when the job is
published, not when it runs.

=======  ==========================================================================
tag      content
=======  ==========================================================================
``n``    None
``b``    ``1`` or ``0``
``i``    an int, in hex
``f``    a float, as `repr` gives it
``s``    text, as UTF-8
``o``    bytes
``l``    list or tuple: each item's encoding
``m``    dict with text keys, sorted: each key and its value's encoding in turn
``t``    an aware datetime, as microseconds since 1970 UTC; a naive one in ISO 8601
``d``    a date, in ISO 8601
``u``    a UUID, in hex
``e``    a Decimal, as `str` gives it
=======  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from ...core.canonical import length_prefixed
from ...core.clock import to_micros
from ...core.errors import UsageError

__all__ = ["argument_bytes"]

MAX_DEPTH: Final = 64


def argument_bytes(value: object) -> bytes:
    """The one encoding of a job's arguments, for `JobEnvelopes.sign` and `open`.

    Raises:
        UsageError: a value that does not survive a serialiser, or one nested deeper than 64 levels.
    """
    return _encode(value, 0)


def _encode(value: object, depth: int) -> bytes:
    if depth > MAX_DEPTH:
        raise UsageError(f"arguments nested deeper than {MAX_DEPTH} levels")
    for kind, tag, content in _SCALARS:
        if isinstance(value, kind):
            return length_prefixed(tag, content(value))
    if isinstance(value, list | tuple):
        return length_prefixed(b"l", *(_encode(item, depth + 1) for item in value))
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        pairs = (part for key in sorted(value) for part in (key, _encode(value[key], depth + 1)))
        return length_prefixed(b"m", *pairs)
    raise UsageError(
        f"a {type(value).__name__} may come out of the queue as something else",
        hint="pass ids, text, numbers, dates, lists, and dicts with text keys",
    )


def _moment(value: datetime) -> str:
    return value.isoformat() if value.utcoffset() is None else str(to_micros(value))


# In this order: True is an int, a datetime is a date.
_SCALARS: Final[tuple[tuple[type[Any], bytes, Callable[[Any], bytes | str]], ...]] = (
    (str, b"s", str.__str__),  # also of an Enum of texts
    (type(None), b"n", lambda _: b""),
    (bool, b"b", lambda truth: b"1" if truth else b"0"),
    (int, b"i", lambda number: f"{int(number):x}"),  # Python refuses to write very long decimals
    (float, b"f", lambda number: repr(float(number))),
    (bytes, b"o", bytes),
    (datetime, b"t", _moment),
    (date, b"d", date.isoformat),
    (UUID, b"u", lambda value: value.hex),
    (Decimal, b"e", str),
)
