"""Whose request it is: the client address behind explicitly trusted proxies.

A forwarding field is text that anybody can send. It counts only when the peer is a configured proxy, only the one
configured field counts, and it is read from the right: the first address that is no trusted proxy is the client.
An entry that is no address stops the walk, so that text never becomes a rate-limit key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from .errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from .http import RequestFacts

__all__ = ["UNIX", "ClientAddress", "address_group"]

Address = IPv4Address | IPv6Address
_Net = tuple[int, int, int]  # version, network, mask

UNIX: Final = "unix"
_LINE: Final = 64  # the network of one customer's line
_MAX_PORT: Final = 65_535
_MAX_TEXT: Final = 45  # the longest spelling: v6 with an embedded v4
_FIELD: Final = re.compile(r"[a-z0-9-]{1,64}")  # no underscore: WSGI folds it into a hyphen, so clients could send it


class ClientAddress:
    """Finds the client's address.

    Args:
        trusted_proxies: addresses and networks of the proxies in front of the host, and ``"unix"`` to trust a local
            socket. Empty: the peer is the client and every forwarding field is ignored.
        header: ``x-forwarded-for``, ``forwarded`` (RFC 7239), or the one single-value field your edge sets.
        hops: take the n-th entry from the right instead of walking; the peer must be trusted all the same.
        max_hops: entries looked at, 1 to 64.

    Raises:
        ConfigurationError: a proxy list that would trust everybody, or that does not parse.
    """

    __slots__ = ("_header", "_hops", "_max_hops", "_nets", "_unix")

    def __init__(
        self,
        trusted_proxies: Sequence[str] = (),
        header: str = "x-forwarded-for",
        hops: int | None = None,
        max_hops: int = 32,
    ) -> None:
        if isinstance(trusted_proxies, str | bytes):
            raise _refuse("trusted_proxies is one text", "give a list: trusted_proxies=['10.0.0.0/8']")
        proxies = tuple(trusted_proxies)
        self._unix: bool = UNIX in proxies
        self._nets: tuple[_Net, ...] = tuple(_net(entry) for entry in proxies if entry != UNIX)
        if not isinstance(header, str) or not _FIELD.fullmatch(header.lower()):
            raise _refuse("header is not a field name", "such as header='x-forwarded-for'")
        self._header: str = header.lower()
        if hops is not None and (type(hops) is not int or not 1 <= hops <= 64):
            raise _refuse("hops is not 1 to 64", "the number of proxies in front of the host, or None")
        if type(max_hops) is not int or not 1 <= max_hops <= 64:
            raise _refuse("max_hops is not 1 to 64", "leave it at 32")
        self._hops: int | None = hops
        self._max_hops: int = max_hops

    def of(self, facts: RequestFacts) -> str:
        """The client's address in canonical text (RFC 5952 for IPv6; v4-mapped addresses as IPv4).

        Raises:
            ConfigurationError: no usable address. A constant instead would put all callers into one bucket.
        """
        return str(self._find(facts))

    def key(self, facts: RequestFacts, v6: int = _LINE) -> str:
        """The rate-limit group: an IPv4 address whole, an IPv6 address by its /`v6` network (one customer's line).

        Raises:
            UsageError: `v6` is not 1 to 128. ConfigurationError: as `of`.
        """
        if type(v6) is not int or not 1 <= v6 <= 128:
            raise UsageError("v6 is a prefix length, 1 to 128", hint="64 is one customer's line, 48 one site")
        return _group(self._find(facts), v6)

    def trusts(self, peer: str | None) -> bool:
        """Whether a peer is one of the configured proxies, so that what it forwards counts."""
        if peer == UNIX:
            return self._unix
        if not self._nets:
            return False
        address = _address(peer)
        return address is not None and self._trusts(address)

    def _find(self, facts: RequestFacts) -> Address:
        peer = _address(facts.peer)  # None for "unix" too
        found = self._walk(facts, peer) if self.trusts(facts.peer) else peer
        if found is None:
            raise _refuse(
                "the request has no usable client address",
                "let the server pass its peer, or configure trusted_proxies and the header that the proxy sets",
            )
        return found

    def _trusts(self, address: Address) -> bool:
        number, version = int(address), address.version
        return any(version == of and number & mask == net for of, net, mask in self._nets)

    def _walk(self, facts: RequestFacts, peer: Address | None) -> Address | None:
        lines = facts.headers.get_all(self._header)
        entries = _forwarded(lines) if self._header == "forwarded" else _listed(lines)
        if self._hops is not None:
            chosen = entries[-self._hops] if len(entries) >= self._hops else None
            return (_entry(chosen) if chosen is not None else None) or peer
        last_good = peer
        for entry in reversed(entries[-self._max_hops :]):
            address = _entry(entry)
            if address is None:
                return last_good
            last_good = address
            if not self._trusts(address):
                return address
        return last_good


def address_group(text: str) -> str:
    """What `ClientAddress.key` answers for the address in `text`; any other text, such as a group, as it is."""
    found = _address(text)
    return text if found is None else _group(found, _LINE)


def _group(address: Address, v6: int) -> str:
    if address.version == 4:
        return str(address)
    return f"{IPv6Address(int(address) >> 128 - v6 << 128 - v6)}/{v6}"


def _refuse(detail: str, hint: str) -> ConfigurationError:
    return ConfigurationError(detail, hint=hint, reason="client_address")


def _net(entry: str) -> _Net:
    try:
        if not isinstance(entry, str):  # ip_network(10) is 0.0.0.10/32
            raise TypeError
        net = ip_network(entry, strict=True)
    except (ValueError, TypeError):
        raise _refuse(
            f"not an address or network: {entry!r}", "host names and set host bits are refused; write 10.0.0.0/8"
        ) from None
    if net.prefixlen == 0 or "%" in entry:
        raise _refuse(f"{entry} would trust everybody", "list the proxies you run")
    first = net.network_address
    if isinstance(first, IPv6Address) and first.ipv4_mapped is not None and net.prefixlen >= 96:
        return 4, int(first.ipv4_mapped), int(IPv4Address(2**32 - 2 ** (128 - net.prefixlen)))
    return net.version, int(first), int(net.netmask)


def _address(text: str | None) -> Address | None:
    """A canonical address or None; zone ids are refused, they name an interface of *this* machine."""
    # Long text never reaches the cache: 4,096 entries of a whole header each would be a quarter of a gigabyte.
    return None if not text or len(text) > _MAX_TEXT or "%" in text else _parsed(text)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    # CVE-2026-30827: mapped spellings dodge or collapse limits.
    return found if isinstance(found, IPv4Address) or found.ipv4_mapped is None else found.ipv4_mapped


def _entry(text: str) -> Address | None:
    """``1.2.3.4``, ``1.2.3.4:port``, ``v6``, ``[v6]``, ``[v6]:port``."""
    if text.startswith("["):
        inner, mark, rest = text[1:].partition("]")
        found = _address(inner) if mark and ":" in inner else None
        return found if not rest or (rest.startswith(":") and _is_port(rest[1:])) else None
    host, mark, port = text.rpartition(":")
    if mark and ":" not in host:
        return _address(host) if _is_port(port) else None
    return _address(text)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= _MAX_PORT


def _listed(lines: Sequence[str]) -> list[str]:
    return [part for line in lines for part in (piece.strip(" \t") for piece in line.split(",")) if part]


_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR: Final = re.compile(rf'[ \t]*({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*")[ \t]*', re.DOTALL)
_NOBODY: Final = "-"  # an element without `for`: a hop nobody named, which is no address and stops the walk


def _forwarded(lines: Sequence[str]) -> list[str]:
    """The `for` of each element (RFC 7239, 4); a malformed field is ignored whole."""
    found: list[str] = []
    for element in _elements(", ".join(lines)):
        if element is None:
            return []
        if element:
            found.append(element.get("for", _NOBODY))
    return found


def _elements(text: str) -> Iterator[dict[str, str] | None]:
    """One dictionary an element, None at the first fault."""
    at, element = 0, dict[str, str]()
    while at < len(text):
        if text[at] in ",; \t":
            if text[at] == ",":
                yield element
                element = {}
            at += 1
            continue
        pair = _PAIR.match(text, at)
        if pair is None or pair[1].lower() in element or text[pair.end() : pair.end() + 1] not in ("", ",", ";"):
            yield None
            return
        raw = pair[2]
        element[pair[1].lower()] = re.sub(r"\\(.)", r"\1", raw[1:-1], flags=re.DOTALL) if raw[0] == '"' else raw
        at = pair.end()
    yield element
