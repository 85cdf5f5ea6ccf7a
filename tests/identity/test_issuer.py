"""JwtIssuer: what it writes is what strict verifiers read, ours and other people's; keys come and go by the clock."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jwt as jwcrypto_jwt

from wellstreak_trust.core import ConfigurationError, Secret, UsageError
from wellstreak_trust.core.clock import FixedClock
from wellstreak_trust.identity import InvalidToken, JwtIssuer, JwtVerifier, KeySet, SigningKey

ISSUER, AUDIENCE = "https://login.example.com", "https://api.example.com"
SECRET = b"0123456789abcdef" * 4
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def private() -> dict[str, Any]:
    made = {
        "RS256": rsa.generate_private_key(65_537, 2_048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "ES512": ec.generate_private_key(ec.SECP521R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    return {**made, "PS256": made["RS256"], "RS512": made["RS256"]}


def claims(**more: Any) -> dict[str, Any]:
    return {"aud": AUDIENCE, "sub": "u1", **more}


def issuer(key: Any, clock: Any, **more: Any) -> JwtIssuer:
    return JwtIssuer(key, issuer=ISSUER, clock=clock, **more)


def verifier(keys: Any, clock: Any, alg: str, **more: Any) -> JwtVerifier:
    return JwtVerifier(keys, issuer=ISSUER, audience=AUDIENCE, algorithms=(alg,), clock=clock, **more)


def issued(of: JwtIssuer, **more: Any) -> str:
    return of.issue(claims(**more), typ="at+jwt", lifetime=5 * MINUTE)


@pytest.mark.parametrize("alg", ["RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"])
def test_other_libraries_read_it(private, alg):
    """With the published set and nothing else, at the real time: PyJWT, joserfc, authlib and jwcrypto, and ours."""
    clock = FixedClock(datetime.now(UTC))
    own = issuer(private[alg], clock, alg=alg)
    token, published = issued(own, name="Ada 🙂", scope="a b"), json.loads(json.dumps(own.jwks()))
    expected = dict(verifier(KeySet.from_jwks(published), clock, alg).verify(token))
    assert (expected["iss"], expected["sub"], expected["name"]) == (ISSUER, "u1", "Ada 🙂")

    theirs = pyjwt.PyJWKSet.from_dict(published)[pyjwt.get_unverified_header(token)["kid"]]
    assert pyjwt.decode(token, theirs, [alg], audience=AUDIENCE, issuer=ISSUER) == expected
    keys = joserfc_jwk.KeySet.import_key_set(published)
    with pytest.warns() if alg == "EdDSA" else _Quiet():
        assert joserfc_jwt.decode(token, keys, algorithms=[alg]).claims == expected
    from authlib.deprecate import AuthlibDeprecationWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuthlibDeprecationWarning)  # it refers to joserfc, which is asked above
        from authlib.jose import JsonWebKey, JsonWebToken

        found = JsonWebToken([alg]).decode(token, JsonWebKey.import_key_set(published))
        found.validate()
    assert dict(found) == expected
    one = jwcrypto_jwk.JWK(**published["keys"][0])
    assert json.loads(jwcrypto_jwt.JWT(jwt=token, key=one, algs=[alg]).claims) == expected


class _Quiet:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_hmac_is_issued_and_never_published(clock, alg):
    own = issuer(Secret(SECRET), clock, alg=alg)
    token = issued(own)
    assert own.jwks() == {"keys": []}
    assert verifier(KeySet.from_secret(SECRET, alg), clock, alg).verify(token)["sub"] == "u1"
    assert verifier(own, clock, alg).verify(token)["sub"] == "u1"
    assert pyjwt.get_unverified_header(token) == {"typ": "at+jwt", "alg": alg}


@pytest.mark.parametrize("form", ["object", "pkcs8", "text", "sec1", "secret"])
def test_keys_are_taken_in_every_form(private, clock, form):
    key = private["ES256"]
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    old = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    taken = {"object": key, "pkcs8": pem, "text": pem.decode(), "sec1": old, "secret": Secret(pem)}[form]
    own = issuer(taken, clock, kid="k1")
    assert own.jwks()["keys"][0]["kid"] == "k1"
    assert verifier(own, clock, "ES256").verify(issued(own))["sub"] == "u1"


def test_what_is_no_signing_key(private, clock):
    key = private["RS256"]
    refused: list[Any] = [
        None,
        "no key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        b"short",
        key.public_key(),
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw")),
        rsa.generate_private_key(65_537, 1_024),
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.SECP256K1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ]
    for each in refused:
        with pytest.raises(ConfigurationError):
            issuer(each, clock)
    for more in ({"alg": "ES256"}, {"alg": "none"}, {"kid": ""}, {"kid": 7}, {"max_lifetime": timedelta()}):
        with pytest.raises(ConfigurationError):
            issuer(key, clock, **more)
    with pytest.raises(ConfigurationError):
        JwtIssuer(key, issuer="")


def test_a_key_prints_nothing_of_itself(clock):
    assert "0123456789" not in repr(SigningKey(SECRET, kid="k1"))


def test_the_issuer_says_when_and_who(private, clock):
    own = issuer(private["EdDSA"], clock)
    at = int(clock.now().timestamp())
    found = pyjwt.decode(issued(own), options={"verify_signature": False})
    assert (found["iss"], found["iat"], found["exp"]) == (ISSUER, at, at + 300)
    assert len(found["jti"]) == 32
    assert pyjwt.decode(issued(own, jti="mine"), options={"verify_signature": False})["jti"] == "mine"
    assert issued(own) != issued(own)


@pytest.mark.asvs("9.2.4")
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": ISSUER},
        {"iat": 1},
        {"exp": 2},
        {"aud": None},
        {"aud": []},
        {"aud": [""]},
        {"aud": 7},
        {"sub": ""},
        {"sub": "é"},
        {"sub": "a\n"},
        {"sub": "a" * 256},
        {"sub": 7},
        {"jti": 7},
        {"jti": ""},
        {"nbf": "soon"},
        {"x": float("nan")},
        {"x": object()},
        {"x": "\ud800"},
        {"x": {1: "a", "1": "b"}},
        {7: "x"},
        {"x": "a" * 13_000},
    ],
    ids=lambda changes: "-".join(map(str, changes)),
)
def test_what_is_not_issued(private, clock, changes):
    own = issuer(private["EdDSA"], clock)
    with pytest.raises(UsageError) as caught:
        own.issue({**claims(), **changes}, typ="at+jwt", lifetime=MINUTE)
    assert "aaa" not in str(caught.value)


def test_types_and_lifetimes(private, clock):
    own = issuer(private["EdDSA"], clock, max_lifetime=timedelta(hours=1))
    for typ in ("", None, "a\n"):
        with pytest.raises(UsageError):
            own.issue(claims(), typ=typ, lifetime=MINUTE)  # type: ignore[arg-type]  # the point
    for lifetime in (timedelta(), timedelta(milliseconds=999), timedelta(hours=1, microseconds=1), -MINUTE):
        with pytest.raises(UsageError):
            own.issue(claims(), typ="at+jwt", lifetime=lifetime)
    body = own.issue(claims(), typ="at+jwt", lifetime=timedelta(seconds=1.9))
    found = pyjwt.decode(body, options={"verify_signature": False})
    assert found["exp"] - found["iat"] == 1


@pytest.mark.asvs("9.2.2")
def test_what_is_issued_for_one_purpose_serves_no_other(private, clock):
    own = issuer(private["EdDSA"], clock)
    token = own.issue(claims(), typ="invoice+jwt", lifetime=MINUTE)
    assert verifier(own, clock, "EdDSA", profile="invoice+jwt").verify(token)["sub"] == "u1"
    with pytest.raises(InvalidToken) as caught:
        verifier(own, clock, "EdDSA").verify(token)
    assert caught.value.reason == "typ"


# --- rotation ------------------------------------------------------------------------------------------------------


def kids(of: JwtIssuer) -> list[str]:
    return sorted(each["kid"] for each in of.jwks()["keys"])


@pytest.mark.asvs("11.2.2")
def test_a_rotation_is_announced_overlaps_and_ends(private, clock):
    first = issuer(private["RS256"], clock, kid="old")
    second = first.rotated(private["EdDSA"], kid="new", announce=10 * MINUTE, overlap=timedelta(days=1))
    check = JwtVerifier(second, issuer=ISSUER, audience=AUDIENCE, clock=clock)

    def kid(token: str) -> str:
        return str(pyjwt.get_unverified_header(token)["kid"])

    assert kids(second) == ["new", "old"]
    assert kid(issued(second)) == "old"  # those who hold the old set must be able to verify it
    clock.advance(10 * MINUTE - timedelta(microseconds=1))
    last = second.issue(claims(), typ="at+jwt", lifetime=timedelta(days=1))
    assert kid(last) == "old"
    clock.advance(timedelta(microseconds=1))
    assert kid(issued(second)) == "new"
    assert kids(second) == ["new", "old"]

    clock.advance(timedelta(days=1, microseconds=-1))
    assert kids(second) == ["new", "old"]
    assert check.verify(last)["sub"] == "u1"  # by its leeway: no token of the old key ends before its time
    clock.advance(timedelta(microseconds=1))
    assert kids(second) == ["new"]
    with pytest.raises(InvalidToken) as caught:
        check.verify(last)
    assert caught.value.reason == "key"


def test_rotations_pile_up_only_until_they_end(private, clock):
    own = issuer(private["RS256"], clock, kid="a")
    for number in range(5):
        own = own.rotated(ed25519.Ed25519PrivateKey.generate(), kid=str(number))
        clock.advance(timedelta(days=3))
    assert [each.kid for each in own.keys] == ["4", "3"]
    assert kids(own) == ["4"]


def test_processes_that_are_given_the_same_schedule_agree(private, clock):
    keys = [SigningKey(private["ES256"], kid="a", until=clock.now() + timedelta(days=2)),
            SigningKey(private["EdDSA"], kid="b", signs_from=clock.now() + MINUTE)]  # fmt: skip
    one = issuer(keys[0], clock, others=keys[1:])
    other = issuer(keys[1], clock, others=keys[:1])
    for step in (timedelta(), MINUTE, timedelta(days=2)):
        clock.advance(step)
        assert kids(one) == kids(other)
        assert pyjwt.get_unverified_header(issued(one))["kid"] == pyjwt.get_unverified_header(issued(other))["kid"]


def test_what_no_schedule_may_be(private, clock):
    own = issuer(private["EdDSA"], clock)
    for more in ({"overlap": timedelta(hours=23)}, {"announce": -MINUTE}):
        with pytest.raises(ConfigurationError):
            own.rotated(private["ES256"], **more)
    with pytest.raises(ConfigurationError):
        own.rotated(private["EdDSA"])  # the same key has the same name
    with pytest.raises(ConfigurationError):
        issuer(SECRET, clock).rotated(SECRET[::-1])  # HMAC keys have no name, and a token could mean either
    with pytest.raises(UsageError):
        SigningKey(private["EdDSA"], until=datetime(2026, 1, 1))
    ending = issuer(SigningKey(private["EdDSA"], until=clock.now() + 5 * MINUTE), clock)
    with pytest.raises(ConfigurationError):
        issued(ending)  # a token that its key would not outlive
    assert ending.issue(claims(), typ="at+jwt", lifetime=4 * MINUTE)
    later = issuer(SigningKey(private["EdDSA"], signs_from=clock.now() + MINUTE), clock)
    with pytest.raises(ConfigurationError):
        issued(later)


@pytest.mark.anyio
async def test_ones_own_tokens_are_verified_without_a_fetch(private, clock):
    own = issuer(private["EdDSA"], clock)
    check = verifier(own, clock, "EdDSA")
    assert not check.suspends
    assert (await check.averify(issued(own)))["sub"] == "u1"
