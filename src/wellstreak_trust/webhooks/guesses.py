"""What may have become of a delivery on its way: the changes that `explain` tries, each a plain function of values.

They are tried in an operator's hands and nowhere else: nothing here ever makes a delivery acceptable.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import product
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlencode, urlsplit

from ..core.errors import MalformedBody
from ..core.http import Headers
from ..core.secret import Secret
from .codecs import SecretText
from .event import load_json
from .keys import SigningSecret

__all__ = ["addresses", "line_ends", "renamed", "spellings", "texts"]

_LINES: Final = ((b"\r\n", b"\n"), (b"\n", b"\r\n"))
_LAYOUTS: Final[tuple[dict[str, Any], ...]] = (
    {"separators": (",", ":")},
    {},
    {"indent": 2},
    {"indent": 4},
)
_GO: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})  # how Go writes them
_BOM: Final = b"\xef\xbb\xbf"
_LARGEST: Final = 1 << 20  # of an unpacked body
# Where proxies put the path that they took away.
_ORIGINAL: Final = ("x-original-url", "x-original-uri", "x-forwarded-uri", "x-rewrite-url", "x-envoy-original-path")
_FORWARDED: Final = re.compile(r'(?i)\bhost="?([^";,\s]+)')


def line_ends(body: bytes) -> Iterator[bytes]:
    """Lost and added line feeds, and the two kinds of them."""
    bare = body.rstrip(b"\r\n")
    yield from (bare, body.strip(), body + b"\n", body + b"\r\n", bare + b"\n", bare + b"\r\n")
    yield from (body.replace(*pair) for pair in _LINES)


def spellings(body: bytes) -> Iterator[bytes]:
    """What the provider may have sent, if this is what became of it."""
    yield from (body.removeprefix(_BOM), _BOM + body)
    for wrong in ("latin-1", "cp1252"):  # read as one of these, and written as UTF-8; or the other way round
        with suppress(UnicodeError):
            yield body.decode("utf-8").encode(wrong)
        with suppress(UnicodeError):
            yield body.decode(wrong).encode("utf-8")
    for wrong in ("utf-16", "utf-16-le", "utf-16-be"):
        with suppress(UnicodeError):
            yield body.decode(wrong).encode("utf-8")
    yield from _unpacked(body)
    yield from _forms(body)
    with suppress(MalformedBody, RecursionError):
        document = load_json(body.removeprefix(_BOM))
        if isinstance(document, str):  # the body's text, written as a JSON text
            yield document.encode("utf-8", "surrogatepass")
        for layout, ascii_only, ordered in product(_LAYOUTS, (False, True), (False, True)):
            text = json.dumps(document, ensure_ascii=ascii_only, sort_keys=ordered, **layout)
            for spelled in (text, text.replace("/", "\\/"), text.translate(_GO)):
                octets = spelled.encode("utf-8", "surrogatepass")
                yield from (octets, octets + b"\n")


def _unpacked(body: bytes) -> Iterator[bytes]:
    """A body that is still compressed: gzip, zlib, raw deflate."""
    for bits in (31, 15, -15):
        unpack = zlib.decompressobj(bits)
        with suppress(zlib.error):
            found = unpack.decompress(body, _LARGEST)
            if unpack.eof:
                yield found


def _forms(body: bytes) -> Iterator[bytes]:
    """A form that was parsed and written again: the escapes are a matter of taste."""
    if b"=" not in body or body[:1] in (b"{", b"["):
        return
    with suppress(UnicodeError, ValueError):
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        ways = product((pairs, sorted(pairs)), (quote, quote_plus), ("", "*", "*~", "!*'()~", ":/"))
        for ordered, escape, safe in ways:
            text = urlencode(ordered, safe=safe, quote_via=escape)
            yield from (text.encode(), re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text).encode())


def addresses(url: str, headers: Headers) -> Iterator[str]:
    """The usual slips: scheme, port, slash, query, and the names that proxies hide (tried here, never trusted)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return
    named = _FORWARDED.search(headers.get("forwarded") or "")
    hosts = [host, headers.get("x-forwarded-host"), headers.get("x-original-host"), headers.get("host")]
    hosts += [named[1] if named else None, host.removeprefix("www."), f"www.{host}"]
    forwarded = headers.get("x-forwarded-port") or ""
    ports = ["", f":{port}" if port else "", ":443", ":80", f":{forwarded}" if forwarded else ""]
    prefix = (headers.get("x-forwarded-prefix") or "").rstrip("/")
    original = [urlsplit(headers.get(name) or "") for name in _ORIGINAL]
    path = parts.path
    paths = [path, path.rstrip("/"), path + "/", prefix + path, unquote(path), quote(unquote(path)), path.lower()]
    paths += [each.path for each in original if each.path]
    queries = ["", f"?{parts.query}" if parts.query else "", f"?{unquote(parts.query)}" if parts.query else ""]
    queries += [f"?{each.query}" for each in original if each.query]
    for scheme, name, suffix, way, query in product(
        ("https", "http"), _distinct(hosts), _distinct(ports), _distinct(paths), _distinct(queries)
    ):
        yield f"{scheme}://{name}{suffix}{way}{query}"


def texts(secret: SecretText | SigningSecret) -> Iterator[tuple[str, str]]:
    """The secret as it may have been meant, and what to do about it."""
    bare = secret.secret if isinstance(secret, SigningSecret) else secret
    value = bare.reveal() if isinstance(bare, Secret) else bare
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    plain = text.strip().strip("\ufeff\u200b\u00a0")
    yield text, ""
    yield plain, " without the whitespace around it"
    yield plain.strip("\"'`").removeprefix("\\n").removesuffix("\\n").strip(), " without the quotes around it"
    yield plain.partition("=")[2].strip("\"'"), " without the name in front of it"
    yield plain.removeprefix("whsec_"), " without its prefix"
    yield f"whsec_{plain}", " with the prefix whsec_"
    yield unquote(plain), " without percent escapes"
    yield plain.replace("-", "+").replace("_", "/"), " in the other base64 alphabet"
    yield plain.lower(), " in lower case"


def renamed(name: str, headers: Iterable[str]) -> str:
    """The header that this one looks like after a gateway, a framework's environment or a proxy renamed it."""
    plain = name.lower().replace("_", "-")
    for prefix in ("http-", "x-forwarded-", "x-original-", "x-"):
        plain = plain.removeprefix(prefix)
    for header in headers:
        if name.lower() != header.lower() and plain == header.lower().removeprefix("x-"):
            return header
    return ""


def _distinct(values: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value is not None))
