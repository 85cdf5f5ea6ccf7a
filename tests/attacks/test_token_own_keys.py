"""Keys that the attacker brings along: in the header, by an address, or in a key set that breaks its reader."""

from __future__ import annotations

import json
from typing import Any

import jwt as pyjwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge import b64, claims, header, keys, pem, private, signed, verifier, why
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.identity import InvalidToken, KeySet, verify_jws

JWK = json.loads(pyjwt.get_algorithm_by_name("RS256").to_jwk(private("RS256", 1).public_key()))


@pytest.mark.asvs("9.1.3")
@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_cve_2018_0114_a_key_in_the_header(alg):
    attacker = private(alg, 1)
    jwk = json.loads(pyjwt.get_algorithm_by_name(alg).to_jwk(attacker.public_key()))
    for kid in ("k1", ..., "attacker"):
        assert why(verifier(alg), signed(header(alg, jwk=jwk, kid=kid), alg=alg, key=attacker)) == "header"


@pytest.mark.asvs("9.1.3")
@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA", "HS256"])
def test_cve_2026_27962_no_key_is_no_reason_to_take_the_headers(alg):
    """Where the verifier has no key for the token, the one in the header was used."""
    attacker = private(alg, 1)
    jwk = JWK if alg == "HS256" else json.loads(pyjwt.get_algorithm_by_name(alg).to_jwk(attacker.public_key()))
    forged = signed(header(alg, jwk=jwk, kid="unknown"), alg=alg, key=attacker)
    assert why(verifier(alg), forged) == "header"
    with pytest.raises(InvalidToken):
        verify_jws(forged, keys(alg), algorithms={alg})
    for nothing in (None, {}, (), ""):
        with pytest.raises(ConfigurationError):
            verifier(alg, held=nothing or _Nothing())  # type: ignore[arg-type]  # the point
    with pytest.raises(ConfigurationError):
        KeySet(())


class _Nothing:
    """Looks like no key source."""


@pytest.mark.asvs("9.1.3")
@pytest.mark.parametrize("member", ["jku", "x5u"])
@pytest.mark.parametrize(
    "address", ["https://evil.example/jwks", "file:///etc/passwd", "http://169.254.169.254/", "", 7]
)
def test_ghsa_993g_an_address_of_keys(member, address):
    """No address in a token is ever fetched, whatever its scheme."""
    forged = signed(header(**{member: address}), key=private("RS256", 1))
    assert why(verifier(), forged) == "header"


def test_a_certificate_in_the_header():
    assert why(verifier(), signed(header(x5c=["MII"]), key=private("RS256", 1))) == "header"
    # Thumbprints only name a key, and are no keys.
    assert verifier().verify(signed(header(**{"x5t#S256": "abc"})))["sub"] == "admin"


BAD_MEMBERS: list[Any] = [
    None,
    7,
    "key",
    [],
    {},
    {"kty": None},
    {"kty": ["RSA"]},
    {"kty": "RSA"},
    {"kty": "RSA", "n": None, "e": None},
    {"kty": "RSA", "n": 7, "e": "AQAB"},
    {"kty": "RSA", "n": "", "e": ""},
    {"kty": "RSA", "n": "AA", "e": "AQAB"},
    {"kty": "RSA", "n": "____", "e": "____"},
    {"kty": "RSA", "n": "%%%%", "e": "AQAB"},
    {"kty": "EC", "crv": "P-256"},
    {"kty": "EC", "crv": "P-256", "x": {}, "y": []},
    {"kty": "EC", "crv": "P-256", "x": b64(bytes(32)), "y": b64(bytes(32))},
    {"kty": "EC", "crv": None, "x": "AA", "y": "AA"},
    {"kty": "OKP", "crv": "Ed25519", "x": None},
    {"kty": "OKP", "crv": "Ed448", "x": b64(bytes(57))},
    {"kty": "oct", "k": "AAAA"},
    {**JWK, "e": b64(b"\xff" * 200)},
    {**JWK, "e": "AQ"},
    {**JWK, "kid": []},
    {**JWK, "use": []},
    {**JWK, "key_ops": 7},
    {**JWK, "alg": {}},
]


@pytest.mark.parametrize("member", range(len(BAD_MEMBERS)))
def test_ghsa_w6j9_cwv2_h6wq_a_bad_member_of_a_key_set(member):
    """Also CVE-2026-102274: nothing but our own error, so that a fetched set can leave it out."""
    with pytest.raises(ConfigurationError):
        KeySet.from_jwks({"keys": [BAD_MEMBERS[member]]})


@settings(max_examples=150)
@given(
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "kid", "d"]),
        st.recursive(
            st.sampled_from([None, True, 7, 1.5, "RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "sig", "é", JWK["n"]]),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
            max_leaves=3,
        ),
    )
)
def test_ghsa_w6j9_cwv2_h6wq_no_member_breaks_the_reader(member):
    try:
        told = repr(KeySet.from_jwks({"keys": [member]}))
    except ConfigurationError as refused:
        told = f"{refused} {refused.detail} {refused.hint} {refused.__cause__} {refused.__context__}"
    assert JWK["n"] not in told


def test_the_attackers_key_beside_ours_is_only_itself():
    """A set of two issuers' keys: each token names its key, and none is tried for another."""
    held = keys("RS256") | KeySet.from_jwks({"keys": [{**JWK, "kid": "k2", "alg": "RS256"}]})
    two = verifier("RS256", held)
    assert why(two, signed(header(kid="k1"), key=private("RS256", 1))) == "signature"
    assert why(two, signed(header(kid=...))) == "key"
    assert pem("RS256") != b""
    assert two.verify(signed(header(), claims()))["sub"] == "admin"
