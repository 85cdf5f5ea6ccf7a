"""Forged access tokens, by the CVE that made each famous."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wellstreak_trust.core import ConfigurationError, FixedClock
from wellstreak_trust.identity import InvalidToken, JwtVerifier, KeySet

ISSUER, AUDIENCE = "https://op.example", "api"
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(65_537, 2_048)


@pytest.fixture(scope="module")
def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def verifier(pem):
    return make(KeySet.from_pem(pem, kid="k1"))


def make(keys: KeySet, **changes: Any) -> JwtVerifier:
    return JwtVerifier(keys, **{"issuer": ISSUER, "audience": AUDIENCE, "clock": FixedClock(NOW), **changes})


def b64(value: bytes | dict[str, Any]) -> str:
    octets = json.dumps(value).encode() if isinstance(value, dict) else value
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], **claims: Any) -> str:
    at = int(NOW.timestamp())
    body = {"iss": ISSUER, "aud": AUDIENCE, "sub": "admin", "iat": at, "exp": at + 60, **claims}
    return f"{b64({'typ': 'at+jwt', 'kid': 'k1', **header})}.{b64(body)}"


def rs256(key: rsa.RSAPrivateKey, text: str) -> str:
    return f"{text}.{b64(key.sign(text.encode(), PKCS1v15(), SHA256()))}"


def why(verifier: JwtVerifier, token: str) -> str:
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(token)
    return caught.value.reason


def test_the_genuine_token_passes(verifier, key):
    assert verifier.verify(rs256(key, unsigned({"alg": "RS256"})))["sub"] == "admin"


def test_cve_2015_9235_public_key_as_hmac_secret(verifier, pem):
    text = unsigned({"alg": "HS256"})
    forged = f"{text}.{b64(hmac.digest(pem, text.encode(), hashlib.sha256))}"
    assert why(verifier, forged) == "alg"
    with pytest.raises(ConfigurationError):
        make(KeySet.from_pem(pem, kid="k1"), algorithms=("RS256", "HS256"))
    assert why(make(KeySet.from_pem(pem, kid="k1"), algorithms=("HS256",)), forged) == "key"


def test_cve_2022_29217_and_2024_33663_key_text_as_secret(pem, key):
    ssh = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    ecdsa = ec.generate_private_key(ec.SECP256R1()).public_key()
    for text in (pem, ssh, ecdsa.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)):
        with pytest.raises(ConfigurationError):
            KeySet.from_secret(text)


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
def test_cve_2018_0114_and_2026_27962_a_key_out_of_the_header(verifier, name):
    attacker = rsa.generate_private_key(65_537, 2_048)
    assert why(verifier, rs256(attacker, unsigned({"alg": "RS256", name: "https://evil.example/"}))) == "header"


def test_cve_2022_21449_psychic_signatures():
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    verifier = make(KeySet.from_pem(public, kid="k1"))
    assert why(verifier, f"{unsigned({'alg': 'ES256'})}.{b64(bytes(64))}") == "signature"


@pytest.mark.parametrize("part", ["https://op.exampl", "op.example", "https://op.example.evil"])
def test_cve_2024_53861_part_of_the_issuer(verifier, key, part):
    assert why(verifier, rs256(key, unsigned({"alg": "RS256"}, iss=part))) == "issuer"


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"b64": False, "crit": ["b64"]}])
def test_cve_2025_59420_and_2026_32597_crit(verifier, key, header):
    assert why(verifier, rs256(key, unsigned({"alg": "RS256", **header}))) == "header"


def test_cve_2025_62706_compressed_bombs(verifier, key):
    assert why(verifier, rs256(key, unsigned({"alg": "RS256", "zip": "DEF"}))) == "header"


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "", "PBES2-HS256+A128KW", "dir"])
def test_cve_2026_28802_and_2023_6681_algorithms_nobody_allowed(verifier, alg):
    assert why(verifier, f"{unsigned({'alg': alg})}.AA") == "alg"


def test_ghsa_8wjv_deep_json(verifier, key):
    deep = f"{b64({'alg': 'RS256', 'typ': 'at+jwt', 'kid': 'k1'})}.{b64(b'[' * 12_000)}"
    assert why(verifier, rs256(key, deep)) == "payload"
    assert why(verifier, f"{b64(b'[' * 1_500)}.e30.AA") == "header"


def test_a_token_for_somebody_else_or_from_somebody_else(verifier, key):
    assert why(verifier, rs256(key, unsigned({"alg": "RS256"}, aud="other"))) == "audience"
    assert why(verifier, rs256(key, unsigned({"alg": "RS256", "typ": "logout+jwt"}))) == "typ"
    assert why(verifier, rs256(key, unsigned({"alg": "RS256", "kid": "../../dev/null"}))) == "key"
