"""Tokens as an attacker writes them, for one verifier; nothing of the package's own takes part in making them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wellstreak_trust.core import FixedClock
from wellstreak_trust.identity import InvalidToken, JwtVerifier, KeySet

ISSUER, AUDIENCE = "https://op.example/realm", "api://wellstreak"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
SECRET = b"0123456789abcdef0123456789abcdef"


@cache
def private(alg: str, which: int = 0) -> Any:
    """A private key for `alg`, or the secret; `which` tells the issuer's (0) from the attacker's."""
    if alg.startswith("HS"):
        return SECRET if which == 0 else SECRET[::-1]
    if alg in ("RS256", "PS256"):
        return rsa.generate_private_key(65_537, 2_048)
    if alg == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}[alg])


def pem(alg: str) -> bytes:
    found: bytes = private(alg).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found


def keys(alg: str) -> KeySet:
    """The issuer's key as the verifier holds it, by the name k1."""
    return KeySet.from_secret(SECRET, alg, "k1") if alg.startswith("HS") else KeySet.from_pem(pem(alg), alg, "k1")


def verifier(alg: str = "RS256", held: KeySet | None = None, **changes: Any) -> JwtVerifier:
    settings = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "algorithms": (alg,),
        "leeway": timedelta(),
        "clock": FixedClock(NOW),
        **changes,
    }
    return JwtVerifier(held or keys(alg), **settings)


def b64(value: bytes | dict[str, Any]) -> str:
    octets = json.dumps(value).encode() if isinstance(value, dict) else value
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def header(alg: str = "RS256", **more: Any) -> dict[str, Any]:
    return _given({"typ": "at+jwt", "kid": "k1", "alg": alg, **more})


def claims(**more: Any) -> dict[str, Any]:
    return _given({"iss": ISSUER, "aud": AUDIENCE, "sub": "admin", "iat": AT - 10, "exp": AT + 600, **more})


def signed(
    head: bytes | dict[str, Any] | None = None,
    body: bytes | dict[str, Any] | None = None,
    *,
    alg: str = "RS256",
    key: Any = None,
) -> str:
    """A token with any header and payload, signed with `alg` under the issuer's key, or under `key`."""
    text = f"{b64(header(alg) if head is None else head)}.{b64(claims() if body is None else body)}"
    mac = pyjwt.get_algorithm_by_name(alg).sign(text.encode(), private(alg) if key is None else key)
    return f"{text}.{b64(mac)}"


def why(of: JwtVerifier, token: Any) -> str:
    """The reason of a refusal; also that its public face tells nothing of it."""
    with pytest.raises(InvalidToken) as caught:
        of.verify(token)
    refusal, blank = caught.value, InvalidToken()
    assert (refusal.problem(), refusal.headers(), str(refusal)) == (blank.problem(), blank.headers(), str(blank))
    if isinstance(token, str) and len(token) > 20:
        shown = f"{refusal!r} {refusal.detail} {refusal.hint} {refusal.__cause__!r} {refusal.__context__!r}"
        assert not any(part in shown for part in token[:200].split(".") if len(part) > 8)
    return refusal.reason


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ...}
