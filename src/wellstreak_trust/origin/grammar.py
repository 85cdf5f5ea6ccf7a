"""The serialised origin (WHATWG HTML, 7.1.1; RFC 6454, 6.2), read as strictly as browsers write it.

Whatever a browser cannot have sent is no origin: nothing is trimmed, folded or repaired, because every repair is a
second spelling that some allow-list did not think of. No regular expression and no URL parser looks at request data:
`urlsplit` drops tabs and newlines, and `int` takes signs, underscores and the digits of other scripts.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

__all__ = ["DEFAULT_PORTS", "MAX_HOST", "MAX_LENGTH", "Parts", "is_address", "is_host", "port_number", "split"]

Parts = tuple[str, str, int | None]
"""Scheme, host, and port where it is not the scheme's default."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
MAX_LENGTH: Final = 300  # scheme, 253 octets of host, a dot and a port need 271
MAX_HOST: Final = 253
_MAX_LABEL: Final = 63
_MAX_PORT: Final = 65_535
_HOST: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-.")
_INSIDE_BRACKETS: Final = frozenset("0123456789abcdef:")


def split(text: str) -> Parts | None:
    """The parts of a serialised origin, or None for any other text. Total."""
    if len(text) > MAX_LENGTH:
        return None
    scheme, mark, rest = text.partition("://")
    if not mark or scheme not in DEFAULT_PORTS:
        return None
    bracket = rest.find("]") + 1
    host, colon, tail = rest[:bracket], rest[bracket : bracket + 1], rest[bracket + 1 :]
    if not bracket:
        host, colon, tail = rest.partition(":")
    if colon not in ("", ":") or not is_host(host):
        return None
    if not colon:
        return scheme, host, None
    port = port_number(tail)
    return None if port is None or port == DEFAULT_PORTS[scheme] else (scheme, host, port)


def port_number(text: str) -> int | None:
    """1 to 65535 in ASCII digits without a leading zero, else None."""
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or text[0] == "0":
        return None
    number = int(text)
    return number if number <= _MAX_PORT else None


def is_host(host: str) -> bool:
    """Whether a browser would serialise a host like this."""
    if host[:1] == "[":
        return host[-1:] == "]" and _is_canonical_v6(host[1:-1])
    if not _HOST.issuperset(host):
        return False
    named = host[:-1] if host[-1:] == "." else host
    labels = named.split(".")
    if len(named) > MAX_HOST or "" in labels or max(map(len, labels)) > _MAX_LABEL:
        return False
    # A host that ends in a number is an IPv4 address or nothing (WHATWG URL, 3.5), and those lose a trailing dot.
    return not _ends_in_number(labels[-1]) or _is_canonical_v4(host)


def is_address(host: str) -> bool:
    """Whether a host that `is_host` accepts is an IP address."""
    return host[0] == "[" or _ends_in_number(host.rpartition(".")[2])


def _ends_in_number(label: str) -> bool:
    return label.isdigit() or label.startswith("0x")


def _is_canonical_v4(host: str) -> bool:
    try:
        return str(IPv4Address(host)) == host
    except AddressValueError:
        return False


def _is_canonical_v6(inner: str) -> bool:
    if not _INSIDE_BRACKETS.issuperset(inner):
        return False
    try:
        address = IPv6Address(inner)
    except AddressValueError:
        return False
    mapped = address.ipv4_mapped
    if mapped is not None:
        # Browsers write the last 32 bits in hex; newer Pythons write them dotted.
        return inner == f"::ffff:{int(mapped) >> 16:x}:{int(mapped) & 0xFFFF:x}"
    return str(address) == inner
