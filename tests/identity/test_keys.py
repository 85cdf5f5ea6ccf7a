"""Keys at their limits: how many, how long, of which algorithm, and what is said of one that is refused."""

from __future__ import annotations

import json
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from forge import SECRET, b64, pem, private
from wellstreak_trust.core import ConfigurationError, Secret, drive
from wellstreak_trust.identity import KeySet
from wellstreak_trust.identity.jwk import encoded, public_jwk, public_key_of, thumbprint
from wellstreak_trust.identity.keys import ALGORITHMS, VerifyKey, verify_key

DIGESTS = {"HS256": 32, "HS384": 48, "HS512": 64}
RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


def public(n: int, e: int = 65_537) -> Any:
    return rsa.RSAPublicNumbers(e, n).public_key()


def modulus(bits: int) -> int:
    """An odd number of so many bits that no flawed chip made."""
    return (1 << bits) - 1 - (1 << (bits // 2))


def why(call: Any, *arguments: Any, **named: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        call(*arguments, **named)
    assert caught.value.reason == "key"
    assert caught.value.detail.startswith("a key was refused: ")
    return caught.value


def test_the_algorithms():
    assert (*DIGESTS, *RSA, "ES256", "ES384", "ES512", "EdDSA") == ALGORITHMS


def test_a_set_holds_one_to_64_keys():
    keys = [VerifyKey("HS256", str(number), SECRET) for number in range(65)]
    assert len(KeySet(keys[:64])) == 64
    assert len(KeySet(keys[:1])) == 1
    for wrong in (keys, []):
        assert "1 to 64" in why(KeySet, wrong).detail
    jwk = json.loads(pyjwt.get_algorithm_by_name("ES256").to_jwk(private("ES256").public_key()))
    jwks = [{**jwk, "kid": str(number)} for number in range(65)]
    assert len(KeySet.from_jwks({"keys": jwks[:64]})) == 64
    assert "at most 64" in why(KeySet.from_jwks, {"keys": jwks}).detail


@pytest.mark.asvs("11.6.1")
@pytest.mark.parametrize(("bits", "taken"), [(2_047, False), (2_048, True), (6_144, True), (6_145, False)])
def test_how_long_an_rsa_key_is(bits, taken):
    if taken:
        assert verify_key(public(modulus(bits))).alg == "RS256"
    else:
        assert "2048 to 6144 bits" in why(verify_key, public(modulus(bits))).detail


@pytest.mark.asvs("11.6.1")
@pytest.mark.parametrize(("exponent", "taken"), [(3, True), ((1 << 64) - 1, True), ((1 << 64) + 1, False)])
def test_how_long_an_exponent_is(exponent, taken):
    if taken:
        assert verify_key(public(modulus(2_048), exponent))
    else:
        assert why(verify_key, public(modulus(2_048), exponent)).hint == "65537 is what everybody takes"


@pytest.mark.asvs("11.6.1")
def test_keys_of_a_flawed_chip():
    """CVE-2017-15361: powers of 65537 modulo every small prime. One prime that does not fit is enough to pass."""
    product = 1
    for prime in (p for p in range(3, 168) if all(p % q for q in range(2, p))):
        product *= prime
    flawed = pow(65_537, 1_234, product) + product * ((1 << (2_047 - product.bit_length() + 1)) | 1)
    flawed += product * (flawed % 2 == 0)
    assert flawed % 2 == 1
    assert "ROCA" in why(verify_key, public(flawed | 1 << 2_047 if flawed.bit_length() < 2_048 else flawed)).detail
    assert verify_key(public(modulus(2_048)))


@pytest.mark.parametrize("alg", DIGESTS)
def test_how_long_a_secret_is(alg):
    size = DIGESTS[alg]
    good = bytes(range(1, size + 1))
    assert KeySet.from_secret(good, alg).keys[0].alg == alg
    assert KeySet.from_secret(Secret(good), alg, "k").keys[0].kid == "k"
    assert f"{size} octets or more" in why(KeySet.from_secret, good[1:], alg).detail
    message = b"signed"
    mac = pyjwt.get_algorithm_by_name(alg).sign(message, good)
    key = KeySet.from_secret(good, alg).keys[0]
    assert key.verify(message, mac) is True
    assert key.verify(message, mac) is True  # the key that is held is not used up
    for wrong in (mac[:-1], mac[::-1], b"", b"\x00" * size):
        assert key.verify(message, wrong) is False


def test_what_is_no_secret():
    assert why(KeySet.from_secret, "text" * 8).hint == "base64-decode it, or encode it yourself"
    assert "HS256, HS384, HS512" in why(KeySet.from_secret, SECRET, "RS256").hint
    assert "another kind" in why(KeySet.from_secret, pem("ES256")).detail


@pytest.mark.parametrize("alg", RSA)
def test_every_algorithm_of_rsa(alg):
    key = KeySet.from_pem(pem("RS256"), alg).keys[0]
    mac = pyjwt.get_algorithm_by_name(alg).sign(b"signed", private("RS256"))
    assert (key.alg, key.verify(b"signed", mac), key.verify(b"other", mac)) == (alg, True, False)
    assert [other for other in RSA if KeySet.from_pem(pem("RS256"), other).keys[0].verify(b"signed", mac)] == [alg]


@pytest.mark.parametrize(("alg", "size"), [("ES256", 64), ("ES384", 96), ("ES512", 132), ("EdDSA", 64)])
def test_every_curve(alg, size):
    key = KeySet.from_pem(pem(alg)).keys[0]
    mac = pyjwt.get_algorithm_by_name(alg).sign(b"signed", private(alg))
    assert (key.alg, len(mac), key.verify(b"signed", mac)) == (alg, size, True)
    for wrong in (mac[:-1], mac + b"\x00", b"", bytes(size)):
        assert key.verify(b"signed", wrong) is False
    for other in ALGORITHMS:
        if other != alg:
            assert "alg does not fit" in why(KeySet.from_pem, pem(alg), other).detail


def test_names():
    assert why(KeySet.from_pem, pem("ES256"), kid="").detail.endswith("a kid is a non-empty str")
    assert why(KeySet.from_pem, pem("ES256"), kid=b"k").detail.endswith("a kid is a non-empty str")
    two = KeySet.from_secret(SECRET, kid="k")
    assert "a kid twice" in why(lambda: two | KeySet.from_secret(SECRET[::-1], kid="k")).detail
    unnamed = KeySet.from_secret(SECRET) | KeySet.from_secret(SECRET[::-1])
    assert unnamed.find("HS256", None) is None  # either could be meant
    assert unnamed.find("HS256", "k") is None
    assert two.find("HS256", None) is two.keys[0]
    assert two.find("HS384", "k") is None
    assert two.find("HS384", None) is None
    assert repr(two | KeySet.from_pem(pem("EdDSA"))) == "KeySet(HS256:k, EdDSA:None)"


def test_a_key_shows_its_algorithm_and_name_alone():
    assert repr(KeySet.from_secret(SECRET, kid="k").keys[0]) == "VerifyKey(alg='HS256', kid='k')"


def test_a_set_may_be_awaited():
    held = KeySet.from_secret(SECRET, kid="k")
    assert drive(held.afind("HS256", "k")) is held.keys[0]
    assert drive(held.afind("HS256", "x")) is None
    assert held.suspends is False


def test_other_curves_of_edwards():
    for curve in ("X25519", "Ed448", None, 7):
        assert "its curve is not taken" in why(public_key_of, {"kty": "OKP", "crv": curve, "x": b64(bytes(32))}).detail


def test_what_is_no_public_key():
    for text in ("é", b"", b"-----BEGIN PUBLIC KEY-----", None):
        assert "never a private one" in why(KeySet.from_pem, text).hint
    for curve in (ec.SECP256K1(), ec.SECP224R1()):
        assert "P-256" in why(verify_key, ec.generate_private_key(curve).public_key()).hint
    for nothing in (None, {}, {"keys": None}, {"keys": {}}, []):
        assert "JWK Set" in why(KeySet.from_jwks, nothing).detail
    assert "key set holds 1 to 64" in why(KeySet.from_jwks, {"keys": []}).detail


def test_a_key_and_its_jwk():
    """RFC 7638, 3.1 prints this thumbprint for this key; its members in one spelling, whatever others stand beside."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhM"
        "stn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5h"
        "ajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    key = public_key_of({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29", "use": "sig"})
    assert public_jwk(key) == {"e": "AQAB", "kty": "RSA", "n": n}
    assert list(public_jwk(key)) == ["e", "kty", "n"]
    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    for alg in ("ES256", "ES384", "ES512", "EdDSA", "RS256"):
        held = private(alg).public_key()
        theirs = json.loads(pyjwt.get_algorithm_by_name(alg).to_jwk(held))
        ours = public_jwk(held)
        assert ours == {name: theirs[name] for name in ours}
        assert list(ours) == sorted(ours)
        assert thumbprint(public_key_of(ours)) == thumbprint(held)


def test_coordinates_keep_their_leading_zeros():
    for number in range(1, 600):
        point = ec.derive_private_key(number, ec.SECP256R1()).public_key()
        numbers = point.public_numbers()
        if min(numbers.x, numbers.y).bit_length() <= 248:
            assert {len(public_jwk(point)[name]) for name in "xy"} == {43}
            assert thumbprint(public_key_of(public_jwk(point))) == thumbprint(point)
            return
    pytest.fail("no such point among the first")


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"d": "AA"}, "private or secret"),
        ({"k": "AA"}, "private or secret"),
        ({"oth": []}, "private or secret"),
        ({"use": "enc"}, "its use is not sig"),
        ({"use": None}, "its use is not sig"),
        ({"key_ops": ["sign"]}, "its key_ops do not hold verify"),
        ({"key_ops": "verify"}, "its key_ops do not hold verify"),
        ({"kty": "oct"}, "its kty is not taken"),
        ({"kty": None}, "not a public key"),
        ({"crv": "secp256k1"}, "its curve is not taken"),
        ({"crv": "P-384"}, "not a public key"),
        ({"x": "A"}, "not a public key"),
        ({"x": ""}, "not a public key"),
        ({"x": b64(bytes(31))}, "not a public key"),
        ({"x": b64(bytes(33))}, "not a public key"),
        ({"x": "_" * 43}, "not a public key"),
        ({"y": None}, "not a public key"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_a_jwk_may_not_say(changes, detail):
    good = {**public_jwk(private("ES256").public_key()), "use": "sig", "key_ops": ["sign", "verify"]}
    assert thumbprint(public_key_of(good)) == thumbprint(private("ES256").public_key())
    if changes == {"kty": None}:
        detail = "its kty is not taken"
    assert detail in why(public_key_of, {**good, **changes}).detail
    assert "JSON object" in why(public_key_of, [good]).detail


def test_base64url():
    assert [encoded(octets) for octets in (b"", b"\xff", b"\xfb\xff", b"\xff\xfe\xfd")] == ["", "_w", "-_8", "__79"]
