"""Confusion of algorithms and keys: a public key taken for a secret, a key used with what it is not for, no key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from forge import SECRET, b64, claims, header, keys, pem, private, signed, verifier, why
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.identity import InvalidToken, KeySet, verify_jws


def spellings(alg: str) -> dict[str, bytes]:
    """A public key in every form that a careless host may have at hand."""
    public = private(alg).public_key()
    text = pem(alg)
    return {
        "pem": text,
        "pem-without-newline": text.strip(),
        "pem-crlf": text.replace(b"\n", b"\r\n"),
        "pem-bom": b"\xef\xbb\xbf" + text,
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "openssh": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
    }


def test_the_genuine_token_passes():
    assert verifier().verify(signed())["sub"] == "admin"


@pytest.mark.asvs("9.1.2")
@pytest.mark.parametrize("spelling", ["pem", "pem-without-newline", "pem-crlf", "pem-bom", "der", "openssh"])
def test_cve_2015_9235_a_public_key_as_hmac_secret(spelling):
    """The attacker signs with what everybody can read, and the header says HS256."""
    forged = signed(header("HS256"), alg="HS256", key=spellings("RS256")[spelling])
    assert why(verifier(), forged) == "alg"
    assert why(verifier(algorithms=("HS256",)), forged) == "key"


@pytest.mark.asvs("9.1.2")
def test_cve_2015_9235_a_verifier_of_both_families_is_refused():
    with pytest.raises(ConfigurationError):
        verifier(algorithms=("RS256", "HS256"))
    with pytest.raises(ConfigurationError):
        verify_jws(signed(), keys("RS256"), algorithms={"RS256", "HS256"})


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("spelling", ["pem", "pem-without-newline", "pem-crlf", "pem-bom", "der", "openssh"])
def test_cve_2022_29217_and_cve_2024_33663_key_text_is_no_secret(alg, spelling):
    """CVE-2024-33663 was about OpenSSH ECDSA keys, which a list of prefixes forgot."""
    with pytest.raises(ConfigurationError):
        KeySet.from_secret(spellings(alg)[spelling])


def test_cve_2024_33663_an_openssh_ecdsa_key():
    for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()):
        public = ec.generate_private_key(curve).public_key()
        with pytest.raises(ConfigurationError):
            KeySet.from_secret(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))


@pytest.mark.asvs("9.1.2")
def test_cve_2024_37568_any_algorithm_with_any_key():
    """A library that takes the algorithm from the header verifies an HMAC with the bytes of an EC key."""
    for alg in ("ES256", "EdDSA"):
        forged = signed(header("HS256"), alg="HS256", key=pem(alg))
        assert why(verifier(alg), forged) == "alg"
        assert why(verifier(alg, algorithms=("ES256", "EdDSA")), forged) == "alg"


@pytest.mark.asvs("9.1.2")
@pytest.mark.parametrize(("said", "meant"), [("PS256", "RS256"), ("RS256", "PS256"), ("ES256", "EdDSA")])
def test_ghsa_jq35_7prp_9v3f_the_algorithm_belongs_to_the_key(said, meant):
    """Also CVE-2026-48523: an allowed algorithm in the header, another one behind it."""
    held = KeySet.from_pem(pem("RS256" if meant != "EdDSA" else "EdDSA"), meant, "k1")
    both = verifier("RS256", held, algorithms=(said, meant))
    key = private("RS256") if said != "ES256" else private("ES256")
    assert why(both, signed(header(said), alg=said, key=key)) == "key"
    assert why(both, signed(header(said), alg=meant, key=private("RS256" if meant != "EdDSA" else "EdDSA"))) == "key"


@pytest.mark.asvs("9.1.2")
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", " none", "none ", ""])
def test_cve_2026_28802_none(alg):
    text = f"{b64(header(alg))}.{b64(claims())}"
    for signature in ("AA", b64(bytes(32))):
        assert why(verifier(), f"{text}.{signature}") == "alg"
    assert why(verifier(), f"{text}.") == "shape"
    with pytest.raises(ConfigurationError):
        verifier(algorithms=("none",))


@pytest.mark.asvs("9.1.2")
@pytest.mark.parametrize("alg", ["PBES2-HS256+A128KW", "dir", "RSA-OAEP", "A256GCMKW", "ES256K", "HS1", "hs256", "RS1"])
def test_names_that_nobody_allowed(alg):
    assert why(verifier(), f"{b64(header(alg))}.{b64(claims())}.AA") == "alg"
    with pytest.raises(ConfigurationError):
        verifier(algorithms=(alg,))


@pytest.mark.parametrize("alg", [None, 7, True, ["RS256"], {"RS256": 1}, ...])
def test_an_algorithm_is_text(alg):
    assert why(verifier(), f"{b64(header(alg))}.{b64(claims())}.AA") == "alg"


def test_a_curve_is_not_another():
    assert why(verifier("ES256", algorithms=("ES256", "ES384")), signed(header("ES384"), alg="ES384")) == "key"
    mixed = keys("ES256") | KeySet.from_pem(pem("ES384"), kid="k2")
    both = verifier("ES256", mixed, algorithms=("ES256", "ES384"))
    assert why(both, signed(header("ES256", kid="k2"), alg="ES256")) == "key"
    assert both.verify(signed(header("ES384", kid="k2"), alg="ES384"))["sub"] == "admin"


@pytest.mark.parametrize("kid", ["../../dev/null", "k1'--", "K1", "k1 ", "", "k1\u0000", "http://evil.example/k"])
def test_a_kid_is_a_name_and_nothing_else(kid):
    assert why(verifier(), signed(header(kid=kid))) == "key"


@pytest.mark.asvs("9.2.2")
@pytest.mark.parametrize(
    ("typ", "reason"),
    [("JWT", "typ"), ("logout+jwt", "typ"), ("dpop+jwt", "typ"), (..., "typ"), ("at+jwt ", "typ"), ("", "typ")],
)
def test_one_kind_of_token_is_not_another(typ, reason):
    """RFC 8725, 3.11: an ID token or a logout token of the same issuer opens no API."""
    assert why(verifier(), signed(header(typ=typ))) == reason


def test_a_kelvin_sign_is_no_k():
    strict = verifier(profile="token+jwt")
    assert strict.verify(signed(header(typ="APPLICATION/Token+JWT")))["sub"] == "admin"
    assert why(strict, signed(header(typ="to\u212aen+jwt"))) == "typ"


def test_a_jwk_is_no_secret_however_it_is_wrapped():
    document: Any = {"kty": "oct", "k": b64(SECRET)}
    for found in (document, [document], {"keys": [document]}, {"a": {"b": [document]}}):
        with pytest.raises(ConfigurationError):
            KeySet.from_secret(json.dumps(found).encode() + b" " * 64)


@pytest.mark.asvs("9.1.1")
def test_a_verifier_of_one_key_refuses_a_token_of_the_attackers():
    for alg in ("RS256", "ES256", "EdDSA", "HS256"):
        assert why(verifier(alg), signed(alg=alg, head=header(alg), key=private(alg, 1))) == "signature"
        with pytest.raises(InvalidToken):
            verify_jws(signed(header(alg), alg=alg, key=private(alg, 1)), keys(alg), algorithms={alg})
