"""A request as the primitives see it: values, no framework.

`RequestFacts` is total: whatever bytes a client sends, building one and asking it never raises. What is malformed
reads as absent, and the control that needed it refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .address import ClientAddress
from .errors import UsageError

__all__ = ["ClientAddress", "Headers", "RequestFacts", "Target"]

HeaderSource = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]


_MAX_PORT: Final = 65_535


def _text(value: str | bytes) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):  # bytes(10**9) would allocate it
        raise UsageError(f"a field line is str or bytes, not {type(value).__name__}")
    return value


def _folded(name: str) -> str:
    # Field names are ASCII (RFC 9110, 5.1), and lower() turns the Kelvin sign into k: "coo\u212aie" is no cookie.
    return name.lower() if name.isascii() else name


class Headers:
    """Header field lines in their order, looked up in any case; immutable.

    Bytes are read as latin-1, as WSGI does, so no field line can fail to decode.
    """

    __slots__ = ("_index", "_lines")

    def __init__(self, source: HeaderSource | Headers = ()) -> None:
        pairs: Iterable[tuple[str | bytes, str | bytes]]
        pairs = source.items() if isinstance(source, Mapping | Headers) else source
        self._lines: tuple[tuple[str, str], ...] = tuple([(_text(name), _text(value)) for name, value in pairs])
        index: dict[str, list[str]] = {}
        for name, value in self._lines:
            held = index.get(folded := _folded(name))
            if held is None:
                index[folded] = [value]
            else:
                held.append(value)
        self._index: dict[str, list[str]] = index

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first field line of that name."""
        found = self._index.get(_folded(name))
        return found[0] if found else default

    def get_all(self, name: str) -> tuple[str, ...]:
        """Every field line of that name, in order; controls that authenticate count them."""
        return tuple(self._index.get(_folded(name), ()))

    def items(self) -> tuple[tuple[str, str], ...]:
        """All field lines as sent."""
        return self._lines

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _folded(name) in self._index

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __repr__(self) -> str:
        return f"Headers({', '.join(sorted(self._index))})"  # names only: values carry credentials


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a request URL, lower-cased where that is lossless; empty text where the URL has none.

    `port` is None where the URL names none; -1 for one that is no port.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    query: str

    @classmethod
    def parse(cls, url: str) -> Target:
        """Splits an absolute URL (RFC 3986, 3) or a path. Total: garbage lands in `path`."""
        scheme, mark, rest = url.partition("://")
        if not mark or not scheme or any(char in scheme for char in "/?#"):  # the query may hold a URL of its own
            scheme, mark, rest = "", "", url
        end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
        authority = rest[:end] if mark else ""
        tail = rest[end:] if mark else rest
        path, _, query = tail.partition("#")[0].partition("?")
        host, port = _host_and_port(authority)
        return cls(scheme.lower(), host, port, path or "/", query)


def _host_and_port(authority: str) -> tuple[str, int | None]:
    if "@" in authority:  # user information: its user must never be taken for the host (RFC 9110, 4.2.4)
        return authority.lower(), -1
    host, mark, port = authority.rpartition(":")
    if not mark or port.endswith("]"):
        return authority.lower(), None
    if not port:  # "h:" is "h" (RFC 3986, 3.2.3)
        return host.lower(), None
    if port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= _MAX_PORT:
        return host.lower(), int(port)
    return host.lower(), -1


class RequestFacts:
    """What a request says, frozen.

    Args:
        method: as sent; methods are case-sensitive (RFC 9110, 9.1).
        url: the full URL as the server saw it.
        headers: mapping or (name, value) pairs in order.
        peer: the address text the server gives, ``"unix"`` for a Unix socket, None where it names none.
        body: the raw bytes, where a control needs them.
        route: the matched route's name, never a path.
        scheme_is_trusted: False where TLS ends at a proxy that was not configured, so that ``http`` may be ``https``.
    """

    __slots__ = ("_cookies", "_target", "body", "headers", "method", "peer", "route", "scheme_is_trusted", "url")

    method: str
    url: str
    headers: Headers
    peer: str | None
    body: bytes | None
    route: str | None
    scheme_is_trusted: bool
    _target: Target | None
    _cookies: tuple[tuple[str, str], ...] | None

    def __init__(
        self,
        method: str,
        url: str,
        headers: HeaderSource | Headers = (),
        *,
        peer: str | None = None,
        body: bytes | None = None,
        route: str | None = None,
        scheme_is_trusted: bool = True,
    ) -> None:
        put = object.__setattr__
        put(self, "method", method)
        put(self, "url", url)
        put(self, "headers", headers if isinstance(headers, Headers) else Headers(headers))
        put(self, "peer", peer)
        put(self, "body", body)
        put(self, "route", route)
        put(self, "scheme_is_trusted", scheme_is_trusted)
        put(self, "_target", None)
        put(self, "_cookies", None)

    def routed(self, route: str | None) -> RequestFacts:
        """The same request, once its route is known; what was parsed of it is not parsed again."""
        found, put = object.__new__(RequestFacts), object.__setattr__
        for name in RequestFacts.__slots__:
            put(found, name, getattr(self, name))
        put(found, "route", route)
        return found

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("RequestFacts is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("RequestFacts is immutable")

    def __repr__(self) -> str:
        return f"RequestFacts({self.method} {self.target.path})"  # no query, no headers: both carry credentials

    @property
    def target(self) -> Target:
        """The URL's parts."""
        found = self._target
        if found is None:
            found = Target.parse(self.url)
            object.__setattr__(self, "_target", found)
        return found

    @property
    def cookies(self) -> tuple[tuple[str, str], ...]:
        """All (name, value) pairs of all Cookie field lines, repeated names included (RFC 6265, 4.2)."""
        found = self._cookies
        if found is None:
            pairs = (
                pair.strip(" \t").partition("=") for line in self.headers.get_all("cookie") for pair in line.split(";")
            )
            found = tuple((name, value) for name, mark, value in pairs if mark)
            object.__setattr__(self, "_cookies", found)
        return found

    @property
    def host(self) -> str:
        """The Host field in lower case without port; empty if absent or sent twice (RFC 9112, 3.2)."""
        lines = self.headers.get_all("host")
        # WSGI servers join repeated fields with a comma, ASGI servers keep them apart.
        return _host_and_port(lines[0])[0] if len(lines) == 1 and "," not in lines[0] else ""
