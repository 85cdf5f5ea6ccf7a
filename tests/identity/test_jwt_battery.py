"""Hostile and good access tokens: tests/vectors/identity/jwt_battery.json, every verdict one of our own errors."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from wellstreak_trust.core import ConfigurationError, FixedClock
from wellstreak_trust.identity import InvalidToken, JwtVerifier, KeySet

BATTERY: dict[str, Any] = json.loads(
    Path(__file__).parents[1].joinpath("vectors/identity/jwt_battery.json").read_text(encoding="utf-8")
)
POLICY = BATTERY["policy"]


def token_of(case: dict[str, Any]) -> str:
    text = case["token"]
    return text if isinstance(text, str) else "".join(part * times for part, times in text)


def octets(name: str) -> bytes:
    text = BATTERY["hmac_keys"][name]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def bound_alg(case: dict[str, Any]) -> str | None:
    family = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}
    wanted = family[BATTERY["keys"][case["verify_key"]]["jwk"]["kty"]]
    return next((alg for alg in case["allowed_algs"] if alg.startswith(wanted)), None)


def forms(case: dict[str, Any]) -> Iterator[KeySet]:
    """Each way in which the case offers its key; a form that is refused raises."""
    name, form = case["verify_key"], case["key_form"]
    if name in BATTERY["hmac_keys"]:
        yield KeySet.from_secret(octets(name), alg="HS256", kid="k1")
        return
    key = BATTERY["keys"][name]
    jwk = {**key["jwk"], "kid": "k1", "alg": bound_alg(case), **(case.get("jwk_extra") or {})}
    if form in ("jwk", "jwks"):
        yield KeySet.from_jwks({"keys": [jwk]})
    elif form == "jwks2":
        other = {**BATTERY["keys"]["rsa_attacker"]["jwk"], "kid": "k0", "alg": "RS256"}
        yield KeySet.from_jwks({"keys": [other, jwk]})
    elif form == "default":
        yield KeySet.from_pem(key["pem"], alg=bound_alg(case), kid="k1")
    else:
        yield from disguised(key, form, bound_alg(case))


def disguised(key: dict[str, Any], form: str, alg: str | None) -> Iterator[KeySet]:
    public = load_pem_public_key(key["pem"].encode())
    text = {
        "pem": key["pem"].encode(),
        "pem-stripped": key["pem"].strip().encode(),
        "pem-crlf": key["pem"].replace("\n", "\r\n").encode(),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "pkcs1-pem": key["pem"].encode()
        if form != "pkcs1-pem"
        else public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "ssh": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "jwk-json": json.dumps(key["jwk"]).encode(),
    }[form]
    with pytest.raises(ConfigurationError):
        KeySet.from_secret(text, kid="k1")
    yield KeySet.from_pem(text, alg=alg, kid="k1")


def verdict(case: dict[str, Any], algorithms: list[str]) -> str:
    token = token_of(case)
    try:
        for keys in forms(case):
            JwtVerifier(
                keys,
                issuer=POLICY["issuer"],
                audience=POLICY["audience"],
                algorithms=algorithms,
                leeway=timedelta(seconds=POLICY["leeway_s"]),
                max_lifetime=timedelta(days=1) if case["expect"] == "policy" else None,
                clock=FixedClock(datetime.fromtimestamp(POLICY["now"], UTC)),
            ).verify(token)
    except (InvalidToken, ConfigurationError):
        return "reject"
    return "accept"


@pytest.mark.parametrize("case", BATTERY["cases"], ids=lambda case: case["id"])
def test_battery(case: dict[str, Any]) -> None:
    found = verdict(case, case["allowed_algs"])
    expected = {"policy": {"reject"}, "either": {"accept", "reject"}}.get(case["expect"], {case["expect"]})
    assert found in expected


@pytest.mark.parametrize(
    "case",
    [case for case in BATTERY["cases"] if len(case["allowed_algs"]) > 1],
    ids=lambda case: case["id"],
)
def test_a_refused_verifier_is_not_what_saves_us(case: dict[str, Any]) -> None:
    """Mixed families refuse the verifier; each family alone must refuse the token as well."""
    for alg in case["allowed_algs"]:
        assert verdict(case, [alg]) == "reject"
