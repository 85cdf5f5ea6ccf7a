"""One rule set that takes secrets out of what is logged, reported or displayed.

Three rules, in this order: marker types, key names, token shapes inside text. The input is copied, never changed;
foreign objects are shown by their type name, because a ``__repr__`` may print anything; a rule that fails replaces
the whole value. Work is bounded, so that a hostile structure costs no more than a large one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from .secret import Secret

__all__ = ["CUT", "MASKED", "redact", "redact_text"]

MASKED: Final = "***"
CUT: Final = "…(cut)"
MAX_DEPTH: Final = 8
MAX_NODES: Final = 1_000
MAX_TEXT: Final = 8_192

_MARKERS: Final = frozenset(("Secret", "Personal", "SecretStr", "SecretBytes"))  # by name: core imports no pydantic
_KEYS: Final = frozenset(
    """authorization proxyauthorization cookie setcookie password passwd passphrase secret token accesstoken
    refreshtoken idtoken apikey clientsecret privatekey signature otp totp recoverycode sessionid csrf dsn
    databaseurl""".split()
)
_NOT_LETTERS: Final = re.compile(r"[-_. ]")
_PREFIXES: Final = tuple(
    """whsec_ whsk_ sk_live_ sk_test_ rk_live_ xoxa- xoxb- xoxe- xoxp- xoxr- xoxs- xapp- ghp_ gho_ ghu_ ghs_ ghr_
    github_pat_ glpat- SG. shpat_ AKIA ASIA wss_ wst_ wsr_ wsk_ wst1.""".split()
)
_SHAPES: Final = re.compile(
    r"eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*"  # JSON Web Token
    r"|(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}"  # Authorization values (RFC 6750, RFC 7617)
    r"|-----BEGIN [A-Z0-9 ]{1,40}-----[\s\S]*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)"  # PEM
    rf"|\b(?:{'|'.join(map(re.escape, _PREFIXES))})[A-Za-z0-9_\-.+/=]{{6,}}"  # provider prefixes and our own
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"  # user and password in a URL
)
_HINTS: Final = ("eyJ", "-----BEGIN ", "://", *_PREFIXES)  # no shape matches without one of these, or a scheme's name


def redact_text(text: str) -> str:
    """`text` with everything that looks like a credential replaced, cut at 8 KiB."""
    short = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + CUT
    # Clean text is the usual case, and looking for fixed words costs a tenth of trying every shape at every place.
    if any(hint in short for hint in _HINTS) or "bearer" in (low := short.lower()) or "basic" in low:
        return _SHAPES.sub(MASKED, short)
    return short


def redact(value: object) -> object:
    """A copy of `value` that is safe to show; never raises, never changes its argument."""
    return _Walk().visit(value, 0)


def _is_secret_key(key: str) -> bool:
    return _NOT_LETTERS.sub("", key).lower() in _KEYS


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
        if isinstance(value, Secret) or type(value).__name__ in _MARKERS:
            return MASKED
        if value is None or isinstance(value, bool | int | float):
            return value
        if type(value) is str:
            return redact_text(value)
        if isinstance(value, date | timedelta):
            return str(value)
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            if depth >= MAX_DEPTH or self.nodes > MAX_NODES:
                return CUT
            return self._container(value, depth)
        return f"<{type(value).__name__}>"

    def _container(self, value: object, depth: int) -> object:
        if isinstance(value, Mapping):
            found: dict[object, object] = {}
            for key, item in value.items():
                if self.nodes > MAX_NODES:
                    found[CUT] = CUT
                    break
                name = redact_text(key) if type(key) is str else f"<{type(key).__name__}>"
                secret = type(key) is str and _is_secret_key(key)
                found[name] = MASKED if secret else self.visit(item, depth + 1)
            return found
        items: list[object] = []
        for item in value:  # type: ignore[attr-defined]  # a container by the caller's test
            if self.nodes > MAX_NODES:
                items.append(CUT)
                break
            items.append(self.visit(item, depth + 1))
        return tuple(items) if isinstance(value, tuple) else items
