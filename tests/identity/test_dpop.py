"""Dpop, DpopTokens and DpopSigner (RFC 9449): every rule of a proof, and the request it belongs to."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from hashlib import sha256
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.core import ConfigurationError, RequestFacts, Secret
from wellstreak_trust.core.errors import DpopNonceRequired, StoreUnavailable
from wellstreak_trust.identity import (
    Authenticator,
    Dpop,
    DpopNonces,
    DpopSigner,
    DpopTokens,
    InvalidCredential,
    InvalidToken,
    JwtIssuer,
    JwtVerifier,
    MemoryDpopStore,
)
from wellstreak_trust.identity.dpop import same_target

URL, TOKEN = "https://api.example.com/agents", "aaa.bbb.ccc"
ISSUER, AUDIENCE = "https://login.example.com", "https://api.example.com"
KEY = ec.derive_private_key(7, ec.SECP256R1())
POINT = json.loads(pyjwt.get_algorithm_by_name("ES256").to_jwk(KEY.public_key()))
JWK = {name: POINT[name] for name in ("kty", "crv", "x", "y")}


@pytest.fixture
def signer(clock) -> DpopSigner:
    return DpopSigner(KEY, clock=clock)


@pytest.fixture
def dpop(clock) -> Dpop:
    return Dpop(MemoryDpopStore(), clock=clock)


def proof(clock, header: dict[str, Any] | None = None, key: Any = KEY, alg: str = "ES256", **changes: Any) -> str:
    """Made by PyJWT, so that nothing of ours takes part."""
    ath = base64.urlsafe_b64encode(sha256(TOKEN.encode()).digest()).rstrip(b"=").decode()
    claims = {"jti": "j1", "htm": "GET", "htu": URL, "iat": int(clock.now().timestamp()), "ath": ath, **changes}
    head = {"typ": "dpop+jwt", "jwk": JWK, **(header or {})}
    kept = {name: value for name, value in claims.items() if value is not ...}
    return pyjwt.encode(kept, key, alg, headers={k: v for k, v in head.items() if v is not ...})


def why(dpop: Dpop, text: Any, **changes: Any) -> str:
    request = {"method": "GET", "url": URL, "access_token": TOKEN, **changes}
    with pytest.raises(InvalidToken) as caught:
        dpop.verify(text, **request)
    assert caught.value.problem() == InvalidToken().problem()
    return caught.value.reason


# --- a proof -------------------------------------------------------------------------------------------------------


def test_a_proof_counts_once(dpop, signer, clock):
    text = signer.sign("POST", URL + "?page=2#x", access_token=Secret(TOKEN))
    found = dpop.verify(text, method="POST", url=URL + "?page=3", access_token=TOKEN, jkt=signer.jkt)
    assert (found.jkt, found.issued_at, found.claims["htu"]) == (signer.jkt, clock.now(), URL)
    assert why(dpop, text, method="POST") == "replay"
    assert dpop.verify(signer.sign("GET", URL), method="GET", url=URL).jkt == signer.jkt


@pytest.mark.parametrize("made", ["rsa", "p384", "p521", "ed25519", "fresh"])
def test_keys_of_every_kind(dpop, clock, made):
    key: Any = {
        "rsa": lambda: rsa.generate_private_key(65_537, 2_048),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "fresh": lambda: None,
    }[made]()
    signer = DpopSigner(key, clock=clock)
    assert dpop.verify(signer.sign("GET", URL), method="GET", url=URL).jkt == signer.jkt
    assert signer.jwk.keys() <= {"kty", "crv", "x", "y", "n", "e"}


def test_the_thumbprint_is_that_of_rfc_7638_and_rfc_9449(clock):
    """RFC 9449, 6.1 names the key of its section 4.1 so; ours is computed from the key, whatever its spelling."""
    from wellstreak_trust.identity.jwk import public_key_of, thumbprint

    key = {"kty": "EC", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
           "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA", "crv": "P-256"}  # fmt: skip
    assert thumbprint(public_key_of(key)) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"typ": "JWT"}, "typ"),
        ({"typ": ...}, "typ"),
        ({"typ": "at+jwt"}, "typ"),
        ({"jwk": ...}, "key"),
        ({"jwk": None}, "key"),
        ({"jwk": "x"}, "key"),
        ({"jwk": [JWK]}, "key"),
        ({"jwk": {**JWK, "d": "AA"}}, "key"),
        ({"jwk": {"kty": "oct", "k": "AAAA"}}, "key"),
        ({"jwk": {**JWK, "alg": "ES384"}}, "key"),
        ({"jwk": {**JWK, "use": "enc"}}, "key"),
        ({"jwk": {**JWK, "key_ops": ["sign"]}}, "key"),
        ({"jwk": {**JWK, "x": JWK["y"]}}, "key"),
        ({"jku": "https://evil.example/"}, "header"),
        ({"x5c": []}, "header"),
        ({"crit": ["jwk"]}, "header"),
        ({"kid": 7}, "header"),
    ],
    ids=lambda value: json.dumps(value, default=str)[:60] if isinstance(value, dict) else value,
)
def test_headers(dpop, clock, header, reason):
    text = proof(clock, {name: value for name, value in header.items() if name != "kid"})
    if "kid" in header:  # PyJWT does not write it
        text = _resigned(text, {**header})
    assert why(dpop, text) == reason


def _resigned(text: str, more: dict[str, Any]) -> str:
    head, payload, _ = text.split(".")
    members = {**json.loads(base64.urlsafe_b64decode(head + "==")), **more}
    first = base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()
    signed = f"{first}.{payload}"
    mac = pyjwt.get_algorithm_by_name("ES256").sign(signed.encode(), KEY)
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"jti": ...}, "claims"),
        ({"jti": ""}, "claims"),
        ({"jti": 7}, "claims"),
        ({"jti": "a" * 256}, "claims"),
        ({"htm": ...}, "claims"),
        ({"htm": ["GET"]}, "claims"),
        ({"htu": ...}, "claims"),
        ({"htu": URL + "a" * 8_200}, "claims"),
        ({"iat": ...}, "claims"),
        ({"iat": True}, "claims"),
        ({"iat": 0}, "claims"),
        ({"htm": "get"}, "method"),
        ({"htm": "POST"}, "method"),
        ({"htu": URL + "/"}, "target"),
        ({"htu": "https://evil.example/agents"}, "target"),
        ({"htu": "http://api.example.com/agents"}, "target"),
        ({"htu": "https://api.example.com:8443/agents"}, "target"),
        ({"htu": "/agents"}, "target"),
        ({"ath": ...}, "token"),
        ({"ath": None}, "token"),
        ({"ath": "é"}, "token"),
        ({"ath": "x" * 43}, "token"),
    ],
    ids=lambda value: json.dumps(value, default=str)[:60] if isinstance(value, dict) else value,
)
def test_claims(dpop, clock, changes, reason):
    assert why(dpop, proof(clock, **changes)) == reason


def test_what_is_no_proof(dpop, clock):
    for text in (None, "", "a.b", "a..b", "a.b.c.d", b"a.b.c", "=.a.b", proof(clock) + "\n", "a" * 8_000_000):
        assert why(dpop, text) in {"shape", "header"}
    good = proof(clock)
    assert why(dpop, good[:-4] + "AAAA") == "signature"
    assert why(dpop, proof(clock, key="0" * 32, alg="HS256")) == "alg"
    assert dpop.verify(good, method="GET", url=URL, access_token=TOKEN)


@pytest.mark.parametrize(
    ("shift", "counts"),
    [(-60, True), (-61, False), (30, True), (31, False), (-0.5, True), (-(10**9), False), (10**9, False)],
)
def test_when_it_was_signed(dpop, clock, shift, counts):
    at = clock.now().timestamp() + shift
    text = proof(clock, iat=int(at) if isinstance(shift, int) else at)
    if counts:
        assert dpop.verify(text, method="GET", url=URL, access_token=TOKEN)
    else:
        assert why(dpop, text) == "time"


def test_a_used_proof_is_remembered_for_as_long_as_it_counts(dpop, clock):
    text = proof(clock, iat=int(clock.now().timestamp()) + 30)
    dpop.verify(text, method="GET", url=URL, access_token=TOKEN)
    for _ in range(9):
        clock.advance(timedelta(seconds=10))
        assert why(dpop, text) == "replay"
    clock.advance(timedelta(seconds=1))
    assert why(dpop, text) == "time"


def test_the_same_id_under_another_key_is_another_proof(dpop, clock):
    other = ed25519.Ed25519PrivateKey.generate()
    jwk = json.loads(pyjwt.get_algorithm_by_name("EdDSA").to_jwk(other.public_key()))
    public = {name: jwk[name] for name in ("kty", "crv", "x")}
    assert dpop.verify(proof(clock), method="GET", url=URL, access_token=TOKEN)
    stranger = proof(clock, {"jwk": public}, other, "EdDSA")
    assert dpop.verify(stranger, method="GET", url=URL, access_token=TOKEN)


def test_what_fails_elsewhere_uses_no_id_up(dpop, clock):
    text = proof(clock)
    assert why(dpop, text, method="PUT") == "method"
    assert why(dpop, text, url=URL + "x") == "target"
    assert why(dpop, text, access_token="other") == "token"
    assert why(dpop, text, jkt="x") == "bound"
    assert dpop.verify(text, method="GET", url=URL, access_token=TOKEN)


def test_the_key_of_the_token(dpop, clock, signer):
    assert why(dpop, proof(clock), jkt=DpopSigner().jkt) == "bound"
    assert why(dpop, proof(clock), jkt="é") == "bound"
    assert dpop.verify(proof(clock), method="GET", url=URL, access_token=TOKEN, jkt=signer.jkt)


def test_only_the_algorithms_that_are_allowed(clock):
    narrow = Dpop(MemoryDpopStore(), algorithms=("EdDSA",), clock=clock)
    assert why(narrow, proof(clock)) == "alg"


@pytest.mark.parametrize(
    "arguments",
    [
        {"algorithms": ("HS256",)},
        {"algorithms": ()},
        {"algorithms": ("none",)},
        {"max_age": timedelta()},
        {"max_age": timedelta(minutes=6)},
        {"leeway": timedelta(seconds=-1)},
        {"leeway": timedelta(seconds=61)},
    ],
)
def test_what_is_no_configuration(arguments):
    with pytest.raises(ConfigurationError):
        Dpop(MemoryDpopStore(), **arguments)


def test_a_store_that_is_gone_refuses(clock):
    class Gone(MemoryDpopStore):
        async def claim(self, key, /, *, now, until):
            raise StoreUnavailable("gone")

    with pytest.raises(StoreUnavailable):
        Dpop(Gone(), clock=clock).verify(proof(clock), method="GET", url=URL, access_token=TOKEN)


# --- targets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (URL, "HTTPS://API.example.COM:443/agents?x#y", True),
        ("http://a:80/", "http://a", True),
        ("https://a/%7Eada/%c3%a9", "https://a/~ada/%C3%A9", True),
        ("https://a/b/./c/../d", "https://a/b/d", True),
        ("https://a/b/..", "https://a/", True),
        ("https://a/b/.", "https://a/b/", True),
        ("https://a/%2e%2e/b", "https://a/b", True),
        ("https://a/../../b", "https://a/b", True),
        ("https://a?x", "https://a/", True),
        ("https://[::1]:443/x", "https://[::1]/x", True),
        ("https://a/b", "https://a/B", False),
        ("https://a/b", "https://a/b/", False),
        ("https://a//b", "https://a/b", False),
        ("https://a/b%2Fc", "https://a/b/c", False),
        ("https://a/b", "https://a/b%00", False),
        ("https://a", "https://a.", False),
        ("https://a", "https://user@a", False),
        ("https://a@evil", "https://a@evil", False),
        ("https://a:1x/", "https://a:1x/", False),
        ("ftp://a/", "ftp://a/", False),
        ("/b", "/b", False),
        ("", "", False),
        ("https:///b", "https:///b", False),
        ("https://a\\b", "https://a\\b", False),
        ("https://é/", "https://é/", False),
        ("https://a/ \n", "https://a/ \n", False),
    ],
)
def test_which_addresses_are_the_same(one, other, same):
    assert same_target(one, other) is same
    assert same_target(other, one) is same


@settings(max_examples=100)
@given(st.text(max_size=40), st.text(max_size=40))
def test_no_address_breaks_it(one, other):
    assert isinstance(same_target("https://" + one, "https://" + other), bool)


# --- nonces --------------------------------------------------------------------------------------------------------


def test_a_nonce_is_asked_for_and_taken(clock, signer):
    dpop = Dpop(MemoryDpopStore(), nonces=DpopNonces(b"n" * 32), clock=clock)
    for text in (signer.sign("GET", URL), signer.sign("GET", URL, nonce="x"), signer.sign("GET", URL, nonce="é")):
        with pytest.raises(DpopNonceRequired) as caught:
            dpop.verify(text, method="GET", url=URL)
    refusal = caught.value
    assert refusal.problem() == InvalidCredential().problem()
    assert dict(refusal.headers()) == {
        "WWW-Authenticate": 'DPoP error="use_dpop_nonce"',
        "DPoP-Nonce": dpop.nonce(),
    }
    assert dpop.verify(signer.sign("GET", URL, nonce=refusal.nonce), method="GET", url=URL)
    assert Dpop(MemoryDpopStore()).nonce() is None


def test_a_nonce_lives_one_to_two_periods(clock):
    nonces = DpopNonces(Secret(b"n" * 32), period=timedelta(minutes=5))
    first = nonces.current(clock.now())
    assert DpopNonces(b"n" * 32).current(clock.now()) == first  # in every process
    assert DpopNonces(b"m" * 32).current(clock.now()) != first
    assert not nonces.accepts(None, clock.now())
    clock.advance(timedelta(minutes=10, microseconds=-1))
    assert nonces.accepts(first, clock.now())
    assert nonces.current(clock.now()) != first
    clock.advance(timedelta(microseconds=1))
    assert not nonces.accepts(first, clock.now())
    assert not nonces.accepts(nonces.current(clock.now() + timedelta(minutes=5)), clock.now())


@pytest.mark.parametrize(("secret", "period"), [(b"n" * 31, 5), ("n" * 32, 5), (b"n" * 32, 0)])
def test_nonces_need_a_secret(secret, period):
    with pytest.raises(ConfigurationError):
        DpopNonces(secret, period=timedelta(seconds=period))
    assert "nnn" not in repr(DpopNonces(b"n" * 32))


def test_a_signer_is_no_secret():
    for key in (b"s" * 32, "no key", b"short"):
        with pytest.raises(ConfigurationError):
            DpopSigner(key)


# --- in a request --------------------------------------------------------------------------------------------------


@pytest.fixture
def issuer(clock) -> JwtIssuer:
    return JwtIssuer(ed25519.Ed25519PrivateKey.generate(), issuer=ISSUER, clock=clock)


@pytest.fixture
def verifier(issuer, clock) -> JwtVerifier:
    return JwtVerifier(issuer, issuer=ISSUER, audience=AUDIENCE, algorithms=("EdDSA",), clock=clock)


@pytest.fixture
def authenticator(verifier, dpop) -> Authenticator:
    return Authenticator([DpopTokens(verifier, dpop), verifier])


def issued(issuer: JwtIssuer, **more: Any) -> str:
    claims = {"aud": AUDIENCE, "sub": "u1", "scope": "agents:read", **more}
    return issuer.issue(claims, typ="at+jwt", lifetime=timedelta(minutes=5))


def request(*headers: tuple[str, str], method: str = "GET", url: str = URL) -> RequestFacts:
    return RequestFacts(method, url, headers)


@pytest.mark.asvs("4.1.5")
def test_a_bound_token_with_its_proof(authenticator, issuer, signer):
    token = issued(issuer, cnf={"jkt": signer.jkt})
    shown = ("DPoP", signer.sign("GET", URL, access_token=token))
    principal = authenticator.authenticate(request(("Authorization", f"DPoP {token}"), shown))
    assert (principal.id, principal.scopes) == ("u1", {"agents:read"})


@pytest.mark.asvs("10.3.5")
def test_refusals_of_bound_tokens(authenticator, issuer, signer, clock):
    """One answer for all of them, its challenge included."""
    token = issued(issuer, cnf={"jkt": signer.jkt})
    free = issued(issuer)
    auth = ("Authorization", f"DPoP {token}")

    def shown(**changes: Any) -> tuple[str, str]:
        return "DPoP", signer.sign(**{"method": "GET", "url": URL, "access_token": token, **changes})

    stranger = DpopSigner(clock=clock)
    cases = [
        ("bound", (("Authorization", f"Bearer {token}"),)),
        ("bound", (("Authorization", f"Bearer {token}"), shown())),
        ("proof", (auth,)),
        ("proof", (auth, shown(), shown())),
        ("proof", (auth, ("DPoP", f"{shown()[1]}, {shown()[1]}"))),
        ("proof", (auth, ("DPoP", f"{shown()[1]},"))),
        ("shape", (auth, ("DPoP", ""))),
        ("method", (auth, shown(method="POST"))),
        ("target", (auth, shown(url=URL + "/1"))),
        ("token", (auth, shown(access_token=free))),
        ("token", (auth, shown(access_token=None))),
        ("bound", (auth, ("DPoP", stranger.sign("GET", URL, access_token=token)))),
        ("bound", (("Authorization", f"DPoP {free}"), shown(access_token=free))),
        ("scheme", (("Authorization", "DPoP abc"), shown())),
        ("scheme", (("Authorization", f"Basic {token}"), shown())),
        ("many", (auth, auth, shown())),
        ("many", (auth, ("Authorization", f"Bearer {free}"), shown())),
        ("none", (shown(),)),
        ("signature", (("Authorization", f"DPoP {token[:-8]}AAAAAAAA"), shown())),
    ]
    for cnf in ({}, {"jkt": 7}, {"jkt": signer.jkt, "x5t#S256": "x"}, "x", {"x5t#S256": "x"}):
        other = issued(issuer, cnf=cnf)
        cases.append(("bound", (("Authorization", f"DPoP {other}"), shown(access_token=other))))
        cases.append(("bound", (("Authorization", f"Bearer {other}"),)))
    found, answers = [], set()
    for _, headers in cases:
        with pytest.raises(InvalidCredential) as caught:
            authenticator.authenticate(request(*headers))
        found.append(caught.value.reason)
        answers.add((json.dumps(caught.value.problem()), caught.value.headers(), str(caught.value)))
    assert found == [reason for reason, _ in cases]
    assert len(answers) == 1
    assert answers.pop()[1] == (("WWW-Authenticate", 'DPoP algs="ES256 ES384 ES512 EdDSA PS256 RS256", Bearer'),)


def test_a_nonce_is_asked_for_in_the_answer(verifier, issuer, signer, clock):
    dpop = Dpop(MemoryDpopStore(), nonces=DpopNonces(b"n" * 32), clock=clock)
    authenticator = Authenticator([DpopTokens(verifier, dpop)])
    token = issued(issuer, cnf={"jkt": signer.jkt})
    auth = ("Authorization", f"DPoP {token}")
    with pytest.raises(DpopNonceRequired) as caught:
        authenticator.authenticate(request(auth, ("DPoP", signer.sign("GET", URL, access_token=token))))
    nonce = dict(caught.value.headers())["DPoP-Nonce"]
    shown = signer.sign("GET", URL, access_token=token, nonce=nonce)
    assert authenticator.authenticate(request(auth, ("DPoP", shown))).id == "u1"


@pytest.mark.anyio
async def test_the_async_face(authenticator, dpop, issuer, signer):
    token = issued(issuer, cnf={"jkt": signer.jkt})
    shown = ("DPoP", signer.sign("GET", URL, access_token=token))
    assert (await authenticator.aauthenticate(request(("Authorization", f"DPoP {token}"), shown))).id == "u1"
    assert (await dpop.averify(signer.sign("GET", URL), method="GET", url=URL)).jkt == signer.jkt
