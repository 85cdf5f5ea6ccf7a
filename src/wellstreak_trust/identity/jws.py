"""Signed tokens in compact form (RFC 7515), parsed strictly and bound to one key before any octet is trusted.

The order of the steps is the rule, and the first one that fails decides: shape and size, header, type, key, signature;
the payload is looked at last.

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
from binascii import a2b_base64
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from ..core.errors import ConfigurationError, InvalidToken
from .keys import ALGORITHMS, KeyFinder, VerifyKey
from .presented import Presented, text_of

__all__ = [
    "Compact",
    "Header",
    "Jws",
    "admit",
    "admitted_algorithms",
    "header_members",
    "header_of",
    "json_object",
    "media_type",
    "open_jws",
    "opened",
    "segments",
    "verify_jws",
]

_HEADER, _PAYLOAD, _SIGNATURE = 2_048, 16_384, 1_024  # characters
_LONGEST: Final = _HEADER + _PAYLOAD + _SIGNATURE + 2
# To the alphabet that binascii reads; what is of that one alone, and padding, becomes what it refuses.
_STANDARD: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# How a segment may end, by its length modulo 4: the last character of a short group carries spare bits, which are zero
# (RFC 4648, 3.5), and one character alone carries no octet.
_ENDS: Final = tuple(map(frozenset, (_ALPHABET, b"", _ALPHABET[::16], _ALPHABET[::4])))
_PADDING: Final = (b"", b"", b"==", b"=")
_REFUSED: Final = frozenset(("crit", "b64", "zip", "cty", "jwk", "jku", "x5u", "x5c"))
_TEXTS: Final = ("kid", "typ", "x5t", "x5t#S256")
_SHOWN: Final = 40  # characters of a name that is repeated to the operator
_BLANK: Final = " \t\r\n"  # what JSON calls white space (RFC 8259, 2)

Compact = tuple[bytes, bytes, bytes, bytes]
"""A token by its shape: the header's segment, which `header_members` reads, what was signed, the payload's octets and
the signature's. Nothing in them is trusted yet."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a verifier reads of a protected header; `typ` as a media type in lower case without ``application/``."""

    alg: str
    kid: str | None
    typ: str | None


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
    allowed = admitted_algorithms(algorithms)
    parts = segments(token, may_be_empty=True)
    header = admit(parts, allowed)
    payload = opened(parts, keys.find(header.alg, header.kid))
    # Read again: what a host does to it must not reach the header that later tokens share.
    return Jws(MappingProxyType(header_members(parts[0])), payload)


def open_jws(token: Presented, keys: KeyFinder, algorithms: Set[str]) -> tuple[Header, bytes]:
    """The verified header and payload, for those in this room who read claims that are no `JwtVerifier`'s.

    Raises:
        InvalidToken: with the first rule that failed in `reason`.
    """
    parts = segments(token)
    header = admit(parts, algorithms)
    return header, opened(parts, keys.find(header.alg, header.kid))


def header_of(token: Presented) -> Header | None:
    """What a token says of itself, None if nothing well-formed. Not verified: to route by, never to trust."""
    try:
        return _header(segments(token)[0])
    except InvalidToken:
        return None


def admitted_algorithms(names: Iterable[str] | None) -> frozenset[str]:
    """The allow-list of a verifier.

    Raises:
        ConfigurationError: empty; an unknown name or ``none``; HMAC beside public keys, where a public key would one
            day be taken for a secret.
    """
    found = () if isinstance(names, str | bytes) or not isinstance(names, Iterable) else tuple(names)
    if not found:
        raise ConfigurationError("algorithms is a non-empty collection", hint='algorithms=("ES256",)', reason="alg")
    unknown = sorted(_shown(name) for name in found if name not in ALGORITHMS)
    if unknown:
        raise ConfigurationError(
            f"algorithms that no verifier here takes: {', '.join(unknown)[:200]}",
            hint=f"choose from {', '.join(ALGORITHMS)}",
            reason="alg",
        )
    if len({name.startswith("HS") for name in found}) > 1:
        raise ConfigurationError(
            "HMAC and public-key algorithms in one verifier", hint="build one verifier for each family", reason="alg"
        )
    return frozenset(found)


def _shown(name: object) -> str:
    text = name if isinstance(name, str) else type(name).__name__
    return text if text.isascii() and text.isprintable() and len(text) <= _SHOWN else "..."


def segments(token: Presented, *, may_be_empty: bool = False) -> Compact:
    """The three segments, by shape alone; that of the header is looked at when it is read, which is next.

    What is too long is refused by its length, before anything touches it.

    Args:
        may_be_empty: whether there may be nothing between the dots, as RFC 7515 allows and RFC 7519 does not.

    Raises:
        InvalidToken: with the reason ``shape``.
    """
    text = token if type(token) is str else text_of(token)
    try:
        octets = text.encode("ascii") if len(text) <= _LONGEST else b""
        header, payload, signature = octets.translate(_STANDARD).split(b".", 3)
        signed = octets[: -1 - len(signature)]
        body = b"" if may_be_empty and not payload else _decoded(payload, _PAYLOAD)
        return header, signed, body, _decoded(signature, _SIGNATURE)
    except ValueError:  # characters or parts that do not belong, all of one kind to us
        pass  # raised below: an error that is being handled would carry the whole text along
    raise InvalidToken("not a compact JWS within the size limits", reason="shape")


def admit(parts: Compact, algorithms: Set[str], typs: Set[str | None] | None = None) -> Header:
    """The header, if it may go on to a key: an algorithm of the allow-list, and a `typ` of `typs` unless that is None.

    Raises:
        InvalidToken: with the reason ``header``, ``alg`` or ``typ``.
    """
    header = _header(parts[0])
    if header.alg not in algorithms:
        raise InvalidToken("an algorithm outside the allow-list", reason="alg")
    if typs is not None and header.typ not in typs:
        raise InvalidToken("a token of another type", reason="typ")
    return header


def opened(parts: Compact, key: VerifyKey | None) -> bytes:
    """The payload's octets, once `key` has verified the signature over them.

    Raises:
        InvalidToken: with the reason ``key`` (None) or ``signature``.
    """
    if key is None:
        raise InvalidToken("no key of this algorithm and kid", reason="key")
    _, signed, payload, signature = parts
    if not key.verify(signed, signature):
        raise InvalidToken("the signature does not verify", reason="signature")
    return payload


def json_object(octets: bytes, reason: str) -> dict[str, Any]:
    """A JSON object, read strictly.

    Raises:
        InvalidToken: with `reason`, for anything two parsers could read differently.
    """
    try:
        # Decoded here, because json.loads(bytes) would guess UTF-16 and UTF-32.
        text = octets.decode("utf-8").strip(_BLANK)
        found, end = _DECODER.raw_decode(text)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode("utf-8")  # a lone surrogate would fail later, in the host
    except (ValueError, RecursionError):
        found = None  # raised below: an error that is being handled would carry the whole text along
    if type(found) is not dict or end != len(text):
        raise InvalidToken("not a strict JSON object in UTF-8", reason=reason)
    return found


def header_members(segment: bytes, *, takes: Set[str] = frozenset()) -> dict[str, Any]:
    """The members of a protected header that keeps every rule.

    Args:
        takes: members that are refused elsewhere and read by this caller, such as the `jwk` of a DPoP proof.

    Raises:
        InvalidToken: with the reason ``header``, or ``alg`` where none is named, or ``shape``.
    """
    try:
        octets = _decoded(segment, _HEADER)
    except ValueError:
        raise InvalidToken("a header that is not base64url", reason="shape") from None
    found = json_object(octets, "header")
    refused = _REFUSED.intersection(found) - takes
    if refused:
        raise InvalidToken(f"header members that are not taken: {', '.join(sorted(refused))}", reason="header")
    if type(found.get("alg")) is not str:
        raise InvalidToken("no algorithm", reason="alg")
    if not all(type(found[name]) is str for name in _TEXTS if name in found):
        raise InvalidToken("a header member that is not text", reason="header")
    return found


def media_type(typ: str | None) -> str | None:
    """A `typ` as it is compared: case and ``application/`` say nothing (RFC 7515, 4.1.9).

    Only ASCII is folded: the Kelvin sign must not become a k.
    """
    return typ.lower().removeprefix("application/") if typ is not None and typ.isascii() else typ


@lru_cache(maxsize=512)
def _header(segment: bytes) -> Header:
    """Cached by the exact text: an issuer writes the same few headers all day."""
    found = header_members(segment)
    return Header(found["alg"], found.get("kid"), media_type(found.get("typ")))


def _decoded(segment: bytes, most: int) -> bytes:
    """The octets of a segment that `_STANDARD` has translated; `ValueError` unless this is their one spelling."""
    group = len(segment) & 3
    if not 0 < len(segment) <= most or segment[-1] not in _ENDS[group]:
        raise ValueError
    return a2b_base64(segment + _PADDING[group], strict_mode=True)


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
