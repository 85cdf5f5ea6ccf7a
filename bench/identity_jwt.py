"""Verification of access tokens, beside PyJWT, beside joserfc, and beside the bare signature check.

Every side verifies the same 64 tokens: signature, issuer, audience, times and required claims, with keys loaded
beforehand. The callables take turns in short rounds; shown are the medians of the rounds' ratios, in process time,
because absolute times on a shared machine mean little. Run: ``python bench/identity_jwt.py``.
"""

from __future__ import annotations

import base64
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import joserfc.jwk
import jwt
import report
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwt import JWTClaimsRegistry
from joserfc.jwt import decode as joserfc_decode

from wellstreak_trust.identity import JwtVerifier, KeySet

ISSUER, AUDIENCE, TOKENS, ROUNDS = "https://op.example", "api", 64, report.rounds(41)
REQUIRED: Any = {"require": ["iss", "sub", "aud", "exp", "iat"]}
SECRET = b"0123456789abcdef0123456789abcdef"
# At least so many times faster than PyJWT, than joserfc; at most so many times the bare check.
TARGETS = {"HS256": (4.5, 3.0, 6.0), "RS256": (2.3, 1.8, 2.0), "ES256": (1.3, 1.4, 0.0), "EdDSA": (1.3, 1.3, 0.0)}
Call = Callable[[Any], object]


def interleaved(items: list[Any], bare: list[Any], *calls: Call) -> list[list[float]]:
    """Microseconds of process time for each call and round; the last call gets the items of the bare check."""
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for index, call in enumerate(calls):
            work = bare if index == len(calls) - 1 else items
            begun = time.process_time_ns()
            for item in work:
                call(item)
            found[index].append((time.process_time_ns() - begun) / len(work) / 1e3)
    return found


def ratio(one: list[float], other: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def measured(alg: str, key: Any) -> None:
    at = int(datetime.now(UTC).timestamp())
    bodies = [
        {"iss": ISSUER, "aud": AUDIENCE, "sub": f"u{n}", "iat": at, "exp": at + 600, "jti": str(n)}
        for n in range(TOKENS)
    ]
    tokens = [jwt.encode(body, key, alg, headers={"typ": "at+jwt", "kid": "k1"}) for body in bodies]
    if alg == "HS256":
        public, held, theirs = key, KeySet.from_secret(key, kid="k1"), joserfc.jwk.OctKey.import_key(key)
    else:
        public = key.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        held, theirs = KeySet.from_pem(pem, kid="k1"), joserfc.jwk.import_key(pem, KINDS[alg])
    verifier = JwtVerifier(held, issuer=ISSUER, audience=AUDIENCE, algorithms=(alg,))
    claims = JWTClaimsRegistry(
        leeway=30,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )

    def pyjwt(token: str) -> object:
        return jwt.decode(token, public, [alg], audience=AUDIENCE, issuer=ISSUER, options=REQUIRED)

    def joserfc_(token: str) -> object:
        return claims.validate(joserfc_decode(token, theirs, algorithms=[alg]).claims)

    split = [token.rpartition(".") for token in tokens]
    parts = [(head.encode(), base64.urlsafe_b64decode(last + "==")) for head, _, last in split]
    check = held.keys[0].verify
    ours, one, other, bare = interleaved(tokens, parts, verifier.verify, pyjwt, joserfc_, lambda p: check(*p))
    peers = (("PyJWT", one, TARGETS[alg][0]), ("joserfc", other, TARGETS[alg][1]))
    for peer, times, target in peers:
        what, quicker = f"access token, {alg}", ratio(times, ours)
        report.against("identity", what, quicker, peer, peer=True, better="higher", target=target)
    most = TARGETS[alg][2] or None
    report.against("identity", f"access token, {alg}", ratio(ours, bare), "the signature check alone", target=most)


KINDS: Any = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}

if __name__ == "__main__":
    measured("HS256", SECRET)
    measured("RS256", rsa.generate_private_key(65_537, 2_048))
    measured("ES256", ec.generate_private_key(ec.SECP256R1()))
    measured("EdDSA", ed25519.Ed25519PrivateKey.generate())
