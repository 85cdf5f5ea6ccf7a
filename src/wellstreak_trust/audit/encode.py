"""Canonical bytes and the look for credentials, at the price of a log line.

Nearly every event is plain: text, numbers and mappings whose keys were seen before. One walk over it answers whether
that is so; then a fast encoder may spell it, since on the domain of `core.canonical` all encoders agree byte for byte.
Everything else takes the long way, which refuses with the place that is wrong, or masks.

What was found harmless is remembered: keys as they are, texts by their hash alone, which is keyed for this process and
tells nobody what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Any, Final

from ..core.canonical import CANONICAL_DEPTH, CANONICAL_INT, admitted_json, canonical_json
from ..core.redact import redact_text, secret_key, suspicious

__all__ = ["ENCODERS", "encoded", "plain", "speaks_of_credentials"]

_REMEMBERED_KEYS: Final = 4_096
_REMEMBERED_TEXTS: Final = 16_384
_LONGEST: Final = 512
_WINDOW, _OVERLAP = 8_000, 192  # the redactor looks at 8 KiB at a time

_KEYS: Final[set[str]] = set()
_TEXTS: Final[set[int]] = set()


def plain(fields: Mapping[str, Any]) -> bool:
    """Whether `fields` are in the domain and hold nothing that could be a credential; False asks to look closely."""
    unseen: list[str] = []
    if not _plain_mapping(fields, 0, unseen):
        return False
    if unseen:
        if suspicious("\n".join(unseen)):
            return False
        if len(_TEXTS) > _REMEMBERED_TEXTS:
            _TEXTS.clear()
        _TEXTS.update([hash(text) for text in unseen if len(text) <= _LONGEST])
    return True


def _plain_mapping(fields: Mapping[str, Any], depth: int, unseen: list[str]) -> bool:
    if not _KEYS.issuperset(fields) and not all(key in _KEYS or _learns(key) for key in fields):
        return False
    return _plain_items(fields.values(), depth, unseen)


def _plain_items(items: Iterable[Any], depth: int, unseen: list[str]) -> bool:
    for item in items:
        kind = type(item)
        if kind is str:
            if hash(item) not in _TEXTS:
                unseen.append(item)
        elif kind is dict:
            if depth + 1 >= CANONICAL_DEPTH or not _plain_mapping(item, depth + 1, unseen):
                return False
        elif kind is list or kind is tuple:
            if depth + 1 >= CANONICAL_DEPTH or not _plain_items(item, depth + 1, unseen):
                return False
        elif kind is int:
            if not -CANONICAL_INT <= item <= CANONICAL_INT:
                return False
        elif item is not None and kind is not bool:
            return False
    return True


def _learns(key: Any) -> bool:
    """Whether a key is in the domain and harmless; remembers it."""
    try:
        canonical_json({key: None})
    except Exception:  # whatever it is, the long way names it
        return False
    if secret_key(key) or suspicious(key):
        return False
    if len(_KEYS) < _REMEMBERED_KEYS:
        _KEYS.add(key)
    return True


def speaks_of_credentials(value: Any) -> bool:
    """Whether the redactor would mask anything in a value of the domain, however long its texts are."""
    return any(secret_key(text) if is_key else _shows_one(text) for is_key, text in _texts(value))


def _texts(value: Any) -> Iterator[tuple[bool, str]]:
    if type(value) is str:
        yield False, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield True, key
            yield False, key
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _shows_one(text: str) -> bool:
    if len(text) < _WINDOW:
        return redact_text(text) != text
    windows = (text[at : at + _WINDOW + _OVERLAP] for at in range(0, len(text), _WINDOW))
    return any(redact_text(window) != window for window in windows)


# --- encoders --------------------------------------------------------------------------------------------------------


def _by_orjson() -> Callable[[object], bytes]:
    orjson = import_module("orjson")
    encode: Callable[[object], bytes] = partial(orjson.dumps, option=orjson.OPT_SORT_KEYS)
    return encode


def _by_msgspec() -> Callable[[object], bytes]:
    encode: Callable[[object], bytes] = import_module("msgspec").json.Encoder(order="sorted").encode
    return encode


def _by_standard_library() -> Callable[[object], bytes]:
    return admitted_json


ENCODERS: Final[Mapping[str, Callable[[], Callable[[object], bytes]]]] = {
    "orjson": _by_orjson,
    "msgspec": _by_msgspec,
    "json": _by_standard_library,
}
"""Every way to spell a value of the domain, quickest first; each raises `ImportError` where it is not installed."""


def _quickest() -> Callable[[object], bytes]:
    for make in ENCODERS.values():
        try:
            return make()
        except ImportError:
            continue
    raise AssertionError("the standard library is always there")


_ENCODE: Final = _quickest()


def encoded(fields: Mapping[str, Any]) -> bytes:
    """The canonical bytes of `fields` that are `plain` or passed `canonical_json`.

    Raises:
        UsageError: a lone surrogate, or a key of a class of its own: what only the encoder sees.
    """
    try:
        return _ENCODE(fields)
    except Exception:  # each encoder has its own errors; the long way has ours
        return canonical_json(fields)
