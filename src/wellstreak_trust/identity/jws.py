"""Signed tokens in compact form (RFC 7515), parsed strictly and bound to one key before any octet is trusted.

The order of the steps is the rule: shape and size, header, key, signature; the payload is looked at last.

* One spelling for each token: no padding, no spare bits, no foreign alphabet, no second serialisation (RFC 7515, 7.1).
* JSON as UTF-8 objects without repeated members, NaN or Infinity, because parsers disagree on all of them
  (RFC 7493; RFC 8725, 2.4).
* Header members that bring a key, a location or a changed meaning are refused, not ignored: `jwk`, `jku`, `x5u`,
  `x5c` (CVE-2018-0114), `crit` and `b64` (CVE-2025-59420), `zip` (CVE-2024-33664), `cty`.
* The algorithm belongs to the key. A header can only agree with it (RFC 8725, 3.1; CVE-2015-9235).
"""

from __future__ import annotations

import json
import math
import re
from binascii import a2b_base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from ..core.errors import ConfigurationError, InvalidToken
from .keys import ALGORITHMS, KeyFinder
from .presented import Presented, text_of

__all__ = [
    "Header",
    "Jws",
    "admitted_algorithms",
    "header_of",
    "json_object",
    "open_jws",
    "verify_jws",
]

_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]{1,2048})\.([A-Za-z0-9_-]{0,16384})\.([A-Za-z0-9_-]{1,1024})")
_LONGEST: Final = 2_048 + 16_384 + 1_024 + 2
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
# Where the last group has 2 or 3 characters, its last one carries 4 or 2 bits; the spare ones are zero (RFC 4648, 3.5).
_LAST: Final = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}
_REFUSED: Final = frozenset(("crit", "b64", "zip", "cty", "jwk", "jku", "x5u", "x5c"))
_TEXTS: Final = ("kid", "typ", "x5t", "x5t#S256")


@dataclass(frozen=True, slots=True)
class Header:
    """What a verifier reads of a protected header; `members` holds all of it."""

    alg: str
    kid: str | None
    typ: str | None
    members: Mapping[str, Any] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Jws:
    """A verified signature: the header's members and the payload, of which nothing but its origin is known."""

    header: Mapping[str, Any]
    payload: bytes = field(repr=False)


def verify_jws(token: Presented, keys: KeyFinder, *, algorithms: Collection[str]) -> Jws:
    """Verifies a signature and nothing else: no claims, no times. For access tokens use `JwtVerifier`.

    Raises:
        InvalidToken: with the first rule that failed in `reason`.
        ConfigurationError: an algorithm that is ``none`` or unknown.
    """
    header, payload = open_jws(token, keys, admitted_algorithms(algorithms))
    return Jws(header.members, payload)


def admitted_algorithms(names: Collection[str]) -> frozenset[str]:
    """The allow-list of a verifier.

    Raises:
        ConfigurationError: empty; an unknown name or ``none``; HMAC beside public keys, where a public key would one
            day be taken for a secret.
    """
    if isinstance(names, str) or not names:
        raise ConfigurationError("algorithms is a non-empty collection", hint='algorithms=("ES256",)', reason="alg")
    unknown = sorted(str(name) for name in names if name not in ALGORITHMS)
    if unknown:
        raise ConfigurationError(
            f"algorithms that no verifier here takes: {', '.join(unknown)[:200]}",
            hint=f"choose from {', '.join(ALGORITHMS)}",
            reason="alg",
        )
    if len({name.startswith("HS") for name in names}) > 1:
        raise ConfigurationError(
            "HMAC and public-key algorithms in one verifier", hint="build one verifier for each family", reason="alg"
        )
    return frozenset(names)


def open_jws(token: Presented, keys: KeyFinder, algorithms: frozenset[str], typ: Any = None) -> tuple[Header, bytes]:
    """The verified header and payload.

    Args:
        typ: called with the header's `typ` before any key is looked up; false refuses.

    Raises:
        InvalidToken
    """
    text = token if type(token) is str else text_of(token)
    parts = _COMPACT.fullmatch(text) if len(text) <= _LONGEST else None
    if parts is None:
        raise InvalidToken("not a compact JWS within the size limits", reason="shape")
    header = _header(parts[1])
    if header.alg not in algorithms:
        raise InvalidToken("an algorithm outside the allow-list", reason="alg")
    if typ is not None and not typ(header.typ):
        raise InvalidToken("a token of another type", reason="typ")
    key = keys.find(header.alg, header.kid)
    if key is None:
        raise InvalidToken("no key of this algorithm and kid", reason="key")
    if not key.verify(text[: parts.end(2)].encode("ascii"), _octets(parts[3])):
        raise InvalidToken("the signature does not verify", reason="signature")
    return header, _octets(parts[2])


def header_of(token: Presented) -> Header | None:
    """What a token says of itself, None if nothing well-formed. Not verified: to fetch keys by, not to trust."""
    parts = _COMPACT.fullmatch(found) if len(found := text_of(token)) <= _LONGEST else None
    try:
        return _header(parts[1]) if parts is not None else None
    except InvalidToken:
        return None


def json_object(octets: bytes, reason: str) -> dict[str, Any]:
    """A JSON object, read strictly.

    Raises:
        InvalidToken: with `reason`, for anything two parsers could read differently.
    """
    try:
        # Decoded here, because json.loads(bytes) would guess UTF-16 and UTF-32.
        text = octets.decode("utf-8")
        found = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode("utf-8")  # a lone surrogate would fail later, in the host
    except (ValueError, RecursionError):
        raise InvalidToken("not a strict JSON object in UTF-8", reason=reason) from None
    if type(found) is not dict:
        raise InvalidToken("not a JSON object", reason=reason)
    return found


@lru_cache(maxsize=512)
def _header(segment: str) -> Header:
    """Cached by the exact text: an issuer writes the same few headers all day."""
    found = json_object(_octets(segment, "header"), "header")
    refused = _REFUSED.intersection(found)
    if refused:
        raise InvalidToken(f"header members that are not taken: {', '.join(sorted(refused))}", reason="header")
    if type(found.get("alg")) is not str:
        raise InvalidToken("no algorithm", reason="alg")
    if not all(type(found[name]) is str for name in _TEXTS if name in found):
        raise InvalidToken("a header member that is not text", reason="header")
    return Header(found["alg"], found.get("kid"), found.get("typ"), MappingProxyType(found))


def _octets(segment: str, reason: str = "shape") -> bytes:
    """Base64url of the one spelling; the alphabet was checked with the shape."""
    rest = len(segment) % 4
    if rest == 1 or (rest and segment[-1] not in _LAST[rest]):
        raise InvalidToken("base64url with spare bits", reason=reason)
    return a2b_base64(segment.encode("ascii").translate(_STANDARD) + b"==")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number beyond all bounds")
    return number


def _no_constant(name: str) -> None:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_distinct, parse_float=_finite, parse_constant=_no_constant)
