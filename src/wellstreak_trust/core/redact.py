"""One rule set that takes secrets out of what is logged, reported or displayed.

Three rules, in this order: marker types, key names, token shapes inside text. The input is copied, never changed;
foreign objects are shown by their type name, because a ``__repr__`` may print anything; a rule that fails replaces
the whole value. Where a shape could be a harmless word, it is masked: a log line too short is read again, a
credential in a log is rotated.

Work is bounded, so that a hostile structure costs no more than a large one, and linear in the text: every shape either
fails within a few characters of where it begins, or consumes what it has looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

__all__ = ["CUT", "MASKED", "is_marker", "redact", "redact_text", "secret_key", "suspicious"]

MASKED: Final = "***"
CUT: Final = "…(cut)"
MAX_DEPTH: Final = 8
MAX_NODES: Final = 1_000
MAX_TEXT: Final = 8_192
_MAX_KEY: Final = 64
_MAX_INT: Final = 2**1024  # a longer one may not even print (ValueError beyond 4,300 digits)

_MARKERS: Final = frozenset(("Secret", "Personal", "SecretStr", "SecretBytes"))  # by name: core imports no pydantic
_KEYS: Final = frozenset(
    """authorization proxyauthorization cookie setcookie password passwd passphrase secret secretkey token accesstoken
    refreshtoken idtoken authtoken xauthtoken sessiontoken apikey xapikey clientsecret privatekey signature otp totp
    recoverycode sessionid csrf csrftoken xcsrftoken csrfmiddlewaretoken dsn databaseurl""".split()
)
_NOT_LETTERS: Final = re.compile(r"[-_. ]")
_PREFIXES: Final = tuple(
    """whsec_ whsk_ sk_live_ sk_test_ rk_live_ rk_test_ xoxa- xoxb- xoxe- xoxp- xoxr- xoxs- xapp- ghp_ gho_ ghu_ ghs_
    ghr_ github_pat_ glpat- SG. shpat_ AKIA ASIA wss_ wst_ wsr_ wsk_ wst1.""".split()
)
# No shape asks for a border on its left: a credential glued to a word is one all the same.
_SHAPES: Final = re.compile(
    r"eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,4}"  # JSON Web Token or what is left of one (RFC 7515, 7516)
    r"|[Bb](?i:earer)\s++[A-Za-z0-9._~+/=-]+"  # RFC 6750, 2.1
    r"|[Bb](?i:asic)\s++[A-Za-z0-9+/=_-]{6,}"  # RFC 7617, 2
    r"|-----BEGIN [A-Z0-9 ]{1,40}-----[\s\S]*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)"  # RFC 7468, 2
    rf"|(?:{'|'.join(map(re.escape, _PREFIXES))})[A-Za-z0-9_\-.+/=]{{6,}}"  # provider prefixes and our own
)
# To the last `@` before the path, because people do not escape their passwords; or to where the text was cut.
_USERINFO: Final = re.compile(rf"(?<=://)(?:[^\s/?#@:]*:[^\s/]*|[^\s/?#]*)(?=@|{re.escape(CUT)}\Z)")
# No shape matches without one of these, or the name of a scheme in any case. Nothing but literals: that is quick.
_SUSPECTS: Final = re.compile("|".join(map(re.escape, ("://", "eyJ", "-----BEGIN ", *_PREFIXES))))

_AS_IS: Final = frozenset((type(None), bool, int, float))
_SPELLED: Final[Mapping[type, Callable[[Any], str]]] = {
    date: date.isoformat,
    datetime: str,
    time: str,
    timedelta: str,
    UUID: str,
    Decimal: str,
}


def is_marker(kind: type) -> bool:
    """Whether a type says of its values that they are never shown; by name, whoever wrote it."""
    return kind is not str and any(base.__name__ in _MARKERS for base in kind.__mro__)


def redact_text(text: str) -> str:
    """`text` with everything that looks like a credential replaced, cut at 8 KiB."""
    short = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + CUT
    if "://" in short:
        short = _USERINFO.sub(MASKED, short)
    if _suspicious(short):  # clean text is the usual case, and every shape at every place costs ten times as much
        short = _SHAPES.sub(MASKED, short)
    return short


def suspicious(text: str) -> bool:
    """Whether `redact_text` might change `text`; False is certain and a third of the price."""
    return len(text) > MAX_TEXT or _suspicious(text)


def _suspicious(text: str) -> bool:
    return _SUSPECTS.search(text) is not None or "bearer" in (low := text.lower()) or "basic" in low


def redact(value: object) -> object:
    """A copy of `value` that is safe to show; never raises, never changes its argument."""
    return _Walk().visit(value, 0)


def _text_of(key: object) -> str | None:
    """A key's own text, past any method that a subclass has replaced; header names are bytes under ASGI."""
    if isinstance(key, str):
        return str.__str__(key)
    return bytes.decode(key, "latin-1") if isinstance(key, bytes) else None


def secret_key(key: str) -> bool:
    """Whether a value under this name is masked whatever it is."""
    return len(key) <= _MAX_KEY and _NOT_LETTERS.sub("", key).lower() in _KEYS


@dataclass(slots=True)
class _Walk:
    """One traversal with its budget."""

    nodes: int = field(default=0)

    def visit(self, value: object, depth: int) -> object:
        self.nodes += 1
        try:
            return self._rule(value, depth)
        except Exception:  # a rule that fails must neither print the value nor take the request down
            return MASKED

    def _rule(self, value: object, depth: int) -> object:
        # By `type`, never by `isinstance`: a lazy proxy answers for the class behind it, and loads it to do so.
        kind = type(value)
        if is_marker(kind):
            return MASKED
        if issubclass(kind, str):
            return redact_text(str.__str__(value))
        if issubclass(kind, int | float) or value is None:
            return _number(value)
        if kind in _SPELLED:
            return _SPELLED[kind](value)
        if not issubclass(kind, Mapping | list | tuple | set | frozenset):
            return f"<{kind.__name__}>"
        if depth >= MAX_DEPTH or self.nodes > MAX_NODES:
            return CUT
        if issubclass(kind, Mapping):
            return self._mapping(value, depth)  # type: ignore[arg-type]  # by the line above
        return self._items(value, depth)  # type: ignore[arg-type]  # a collection by the test before

    def _mapping(self, value: Mapping[object, object], depth: int) -> dict[object, object]:
        found: dict[object, object] = {}
        for key, item in value.items():
            if self.nodes > MAX_NODES:
                found[CUT] = CUT
                break
            text = _text_of(key)
            if text is not None and secret_key(text):
                self.nodes += 1
                found[text] = MASKED
                continue
            shown = key if type(key) in _AS_IS else f"<{type(key).__name__}>"
            found[shown if text is None else redact_text(text)] = self.visit(item, depth + 1)
        return found

    def _items(self, value: Iterable[object], depth: int) -> object:
        items: list[object] = []
        for item in value:
            if self.nodes > MAX_NODES:
                items.append(CUT)
                break
            items.append(self.visit(item, depth + 1))
        if not isinstance(value, tuple):
            return items
        if len(value) == 2 and secret_key(_text_of(value[0]) or ""):  # a header line, an item of a mapping
            items[1] = MASKED
        return tuple(items)


def _number(value: Any) -> object:
    """The plain number under an enumeration or any other subclass, whose `repr` is not known."""
    kind = type(value)
    plain = value if kind in _AS_IS else int.__int__(value) if issubclass(kind, int) else float.__float__(value)
    return CUT if type(plain) is int and not -_MAX_INT < plain < _MAX_INT else plain
