"""Strict reading of what a provider sent: headers, signature lists, timestamps.

Everything here runs before any MAC is computed, on bytes that anybody can send. `int()` and `float()` would read
" 17", "+17", "1_7" and full-width digits as numbers, so nothing is converted before its form is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from ..core.clock import to_micros
from ..core.errors import DuplicateHeader, MalformedHeader
from .scheme import Pairs, Plain

__all__ = ["MAX_HEADER", "MAX_SIGNATURES", "HeaderSource", "gatherer", "is_id", "reader", "time_reader"]

HeaderSource = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
Signatures = dict[str, list[str]]  # by tag
Fields = dict[str, str]  # what the content template is filled with

MAX_HEADER: Final = 8_192
MAX_SIGNATURES: Final = 8
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_UNITS: Final = {"s": (10, 1_000_000), "ms": (13, 1_000)}  # digits; microseconds in one

# No dot: `{id}.{timestamp}.{body}` would otherwise have two readings.
is_id: Final = re.compile(r"[A-Za-z0-9_:-]{1,256}").fullmatch


def gatherer(
    proving: Iterable[str], telling: Iterable[str], *, every: bool = False
) -> Callable[[HeaderSource], Fields]:
    """A function that picks the wanted headers out of all, by lower-case name.

    Args:
        proving: headers that authenticate. Twice, in whatever case, is `DuplicateHeader`: two layers of a stack could
            each believe another one.
        telling: headers that only inform and are not signed; one that is repeated reads as absent.
        every: all other headers count as telling ones.
    """
    strict = frozenset(name.lower() for name in proving)
    wanted = strict | {name.lower() for name in telling}
    lengths = _Any() if every else frozenset(map(len, wanted))  # most headers are told apart by their length alone

    def gather(headers: HeaderSource) -> Fields:
        found: Fields = {}
        repeated: list[str] = []
        try:
            pairs: Iterable[tuple[Any, Any]]
            if type(headers) is dict:
                pairs = [(name, headers[name]) for name in headers if len(name) in lengths]
            else:
                pairs = headers.items() if hasattr(headers, "items") else headers
            for name, value in pairs:
                key = name.lower() if type(name) is str else _text(name).lower()
                if not every and key not in wanted:
                    continue
                text = value if type(value) is str else _text(value)
                if key in strict:
                    if key in found:
                        raise DuplicateHeader(f"{key} came more than once", hint="does a proxy repeat it?")
                    if len(text) > MAX_HEADER or not text.isascii():
                        raise MalformedHeader(f"{key} is not ASCII of at most {MAX_HEADER} characters")
                elif key in found:
                    repeated.append(key)
                found[key] = text
        except (TypeError, ValueError, AttributeError):
            raise MalformedHeader("headers are not pairs of text", hint="a mapping or (name, value) pairs") from None
        for key in repeated:
            found.pop(key, None)
        return found

    return gather


class _Any(frozenset[int]):
    """Holds every length."""

    def __contains__(self, item: object) -> bool:
        return True


def _text(value: Any) -> str:
    """Text as it stands; bytes as latin-1, so that no field line fails to decode."""
    if type(value) is str:
        return value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    raise TypeError("neither text nor bytes")


def reader(parser: Plain | Pairs, tags: frozenset[str]) -> Callable[[str, Signatures, Fields], None]:
    """A function that adds the signatures of one header, by tag, and the timestamp where the header carries it.

    Tags that the verifier has no key for are passed over: a provider may add versions. Everything else that does not
    fit the form is `MalformedHeader`.
    """
    return _pairs(parser, tags) if isinstance(parser, Pairs) else _plain(parser)


def _plain(parser: Plain) -> Callable[[str, Signatures, Fields], None]:
    prefix, separator = parser.prefix, parser.separator

    def read(value: str, signatures: Signatures, fields: Fields) -> None:
        if value.startswith(prefix):
            text = value[len(prefix) :]
            found = signatures.setdefault("", [])
            found.extend(text.split(separator) if separator else (text,))
            if len(found) > MAX_SIGNATURES:
                raise _too_many()

    return read


def _pairs(parser: Pairs, tags: frozenset[str]) -> Callable[[str, Signatures, Fields], None]:
    separator, assign, timestamp = parser.separator, parser.assign, parser.timestamp
    known = tags | {timestamp} if timestamp else tags

    def read(value: str, signatures: Signatures, fields: Fields) -> None:
        for part in value.split(separator):
            tag, mark, text = part.partition(assign)
            if tag in tags:
                if signatures and sum(map(len, signatures.values())) == MAX_SIGNATURES:
                    raise _too_many()
                signatures.setdefault(tag, []).append(text)
            elif not mark:
                raise MalformedHeader("the signature header is not a list of tagged values")
            elif tag == timestamp:
                if "timestamp" in fields:
                    raise MalformedHeader("the signature header holds two timestamps")
                fields["timestamp"] = text
            elif tag.strip(" \t") in known:
                # Some servers join what came twice by a comma and a space; the second must not pass for a new tag.
                raise MalformedHeader("the signature header holds a tag after white space: did it come twice?")
        if timestamp and "timestamp" not in fields:
            raise MalformedHeader("the signature header holds no timestamp")

    return read


def _too_many() -> MalformedHeader:
    return MalformedHeader(f"more than {MAX_SIGNATURES} signatures")


def time_reader(unit: str) -> Callable[[str], int]:
    """A function to microseconds since 1970 from the unit's one form; `MalformedHeader` for every other."""
    if unit == "iso":
        return _iso
    digits, scale = _UNITS[unit]

    def read(text: str) -> int:
        if len(text) != digits or not (text.isdigit() and text.isascii()):
            raise MalformedHeader(f"a timestamp is not {digits} digits", hint="seconds and milliseconds are not alike")
        return int(text) * scale

    return read


def _iso(text: str) -> int:
    if not _ISO.fullmatch(text):
        raise MalformedHeader("a timestamp is not ISO 8601 with an offset")
    try:
        return to_micros(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise MalformedHeader("a timestamp names no time") from None
