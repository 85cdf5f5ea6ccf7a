"""Whether an HMAC secret is really somebody's public key.

A verifier that is handed a public key as HMAC secret accepts tokens that anybody can make (CVE-2022-29217,
CVE-2024-33663). The test is whether the octets *parse* as a key, never their first one: good random secrets begin
with ``0x30``, ``{`` and ``-`` too.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
)
from cryptography.x509 import load_der_x509_certificate

__all__ = ["is_key_text"]

_ARMOUR: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]{3,40}-----|---- BEGIN SSH2 ")
_SSH: Final = re.compile(rb"[a-z0-9@.-]{7,60} AAAA[A-Za-z0-9+/]{16}")  # type name, then its length in base64 (RFC 4253)
_BOM: Final = b"\xef\xbb\xbf"


def is_key_text(octets: bytes) -> bool:
    """Whether `octets` is a key or certificate in PEM, DER (also as bare base64), OpenSSH or JWK form."""
    bare = octets.strip().removeprefix(_BOM).strip()
    return (
        _ARMOUR.search(bare) is not None
        or _is_jwk(bare)
        or _SSH.match(bare) is not None
        or _is_der(octets)
        or _is_der(_b64(bare))
    )


def _b64(octets: bytes) -> bytes:
    try:
        return b64decode(b"".join(octets.split()), validate=True)
    except ValueError:
        return b""


def _is_jwk(octets: bytes) -> bool:
    """Whether it is JSON, in any of its encodings, with a `kty` somewhere: a JWK, a JWK Set, or one in a wrapping."""
    try:
        found = json.loads(octets, parse_int=len)  # a number is only skipped, however long it is
    except ValueError:
        return False
    except RecursionError:
        return True  # no generator of secrets nests brackets
    left = [found]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            if "kty" in each:
                return True
            left += each.values()
        elif isinstance(each, list):
            left += each
    return False


def _is_der(octets: bytes) -> bool:
    loaders: tuple[Callable[[bytes], Any], ...] = (load_der_public_key, _load_private, load_der_x509_certificate)
    return any(_parses(load, octets) for load in loaders)


def _load_private(octets: bytes) -> object:
    return load_der_private_key(octets, password=None)


def _parses(load: Callable[[bytes], Any], octets: bytes) -> bool:
    try:
        load(octets)
    except ValueError:
        return False
    except (TypeError, UnsupportedAlgorithm):
        return True  # a key that is encrypted, or of a kind the backend does not know
    return True
