"""`Origin`, and the sets of origins a host lists: checked when built, looked up when asked.

A pattern is an origin, or ``https://*.zone[:port]`` for exactly one label below a zone. What could never match a
browser, or would match more than it seems to, is refused at start-up with the text to write instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..core.errors import ConfigurationError
from . import grammar
from .suffixes import is_public_suffix

__all__ = ["Origin", "OriginSet"]

_LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))
_WILDCARD: Final = "*."
_PATTERN_MARKS: Final = frozenset("^$()[]{}|+?\\*")


@dataclass(frozen=True, slots=True)
class Origin:
    """A tuple origin (WHATWG HTML, 7.1.1). ``null`` is opaque: it is no `Origin` and equals nothing.

    Args:
        port: None for the scheme's default.
    """

    scheme: str
    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Origin | None:
        """The origin a browser wrote, or None for anything else. Never raises; looks at 300 characters at most."""
        parts = grammar.split(text) if isinstance(text, str) else None
        return None if parts is None else cls(*parts)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}" + ("" if self.port is None else f":{self.port}")


class OriginSet:
    """Listed origins and zones.

    Args:
        patterns: a sequence of texts; a single text is refused, since it would be read letter by letter.
        allow_insecure: take ``http://`` of hosts that are not this machine.

    Raises:
        ConfigurationError: a pattern that never matches or matches too much; `reason` is ``origin_pattern``.
    """

    __slots__ = ("_zones", "exact", "patterns")

    def __init__(self, patterns: Sequence[str], *, allow_insecure: bool = False) -> None:
        if isinstance(patterns, str | bytes) or not isinstance(patterns, Sequence | frozenset | set):
            raise _refuse("origins are not a sequence of texts", "write a list, such as ['https://app.example.com']")
        exact: set[str] = set()
        zones: set[grammar.Parts] = set()
        for pattern in patterns:
            origin = _admit(pattern, allow_insecure)
            if origin.host.startswith(_WILDCARD):
                zones.add((origin.scheme, origin.host[2:], origin.port))
            else:
                exact.add(pattern)
        self.patterns: tuple[str, ...] = tuple(patterns)
        self.exact: frozenset[str] = frozenset(exact)
        self._zones: frozenset[grammar.Parts] = frozenset(zones)

    def __contains__(self, text: object) -> bool:
        """Whether this text, byte for byte as it was sent, is listed or one label below a listed zone."""
        if text in self.exact:
            return True
        if not self._zones or not isinstance(text, str):
            return False
        parts = grammar.split(text)
        return parts is not None and (parts[0], parts[1].partition(".")[2], parts[2]) in self._zones


def _refuse(detail: str, hint: str) -> ConfigurationError:
    return ConfigurationError(detail, hint=hint, reason="origin_pattern")


def _admit(pattern: object, allow_insecure: bool) -> Origin:
    if not isinstance(pattern, str):
        raise _refuse(f"an origin is a text, not {type(pattern).__name__}", "such as 'https://app.example.com'")
    wild = pattern.partition("://")[2].startswith(_WILDCARD)
    parts = grammar.split(pattern.replace(_WILDCARD, "", 1) if wild else pattern)
    if parts is None:
        raise _refuse(f"{_shown(pattern)} is not an origin that a browser sends", _advice(pattern))
    scheme, host, port = parts
    if wild and len(host) > grammar.MAX_HOST - len(_WILDCARD):
        raise _refuse("a wildcard leaves no room for a label", "a host name has 253 octets at most (RFC 1035, 2.3.4)")
    if host.endswith("."):
        raise _refuse(f"{_shown(pattern)} ends in a dot, which is another origin", "leave the dot out")
    if not all(map(_is_label, host.split("."))):
        raise _refuse(f"{_shown(pattern)} holds a label that is no valid A-label", "write what a browser shows")
    if host.startswith("[::ffff:"):
        raise _refuse(f"{_shown(pattern)} is an IPv4-mapped address", "write the IPv4 address")
    if scheme == "http" and not allow_insecure and (wild or host not in _LOOPBACK):
        raise _refuse(
            f"{_shown(pattern)} is plain http: anybody on the path can be that page",
            "write https://, or allow_insecure=True where the network is yours",
        )
    if wild and (grammar.is_address(host) or is_public_suffix(host)):
        raise _refuse(f"{_shown(pattern)} would trust strangers", "a wildcard stands over a domain that is yours")
    return Origin(scheme, _WILDCARD + host if wild else host, port)


def _is_label(label: str) -> bool:
    if not label.startswith("xn--"):
        return True
    try:
        return not label[4:].encode("ascii").decode("punycode").isascii()
    except UnicodeError:
        return False


def _shown(pattern: str) -> str:
    return "a text with user information" if "@" in pattern else repr(pattern[:80])


def _advice(pattern: str) -> str:
    """The one line that most likely fixes it."""
    if pattern == "*":
        return "CorsPolicy.public() is the only way to every origin"
    if pattern.lower() == "null":
        return "null stands for every sandboxed page; it cannot be listed"
    if not pattern.isascii():
        return "write the A-label (xn--...) that browsers send"
    if grammar.split(pattern.lower()) is not None:
        return f"write {pattern.lower()!r}"
    for shorter in (pattern.rstrip("/"), pattern.removesuffix(":443"), pattern.removesuffix(":80")):
        if grammar.split(shorter) is not None:
            return f"write {shorter!r}"
    if not _PATTERN_MARKS.isdisjoint(pattern):
        return "no patterns but https://*.zone for exactly one label"
    return "write scheme://host or scheme://host:port: no path, no default port, no spaces, one origin a text"
