"""Tokens that are made to cost: megabytes, compressed payloads, key derivation, nesting, floods of headers."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from forge import b64, claims, header, keys, private, signed, verifier, why
from wellstreak_trust.core import RequestFacts, Secret
from wellstreak_trust.identity import (
    ApiKeys,
    Authenticator,
    Dpop,
    InvalidCredential,
    InvalidToken,
    MemoryApiKeyStore,
    MemoryDpopStore,
    MemorySessionStore,
    SessionManager,
    verify_jws,
)
from wellstreak_trust.identity.jws import _header

MEGABYTES = 8 * 2**20
LITTLE = 64 * 2**10  # octets: far below what reading, copying or splitting eight megabytes would take


def taken(call: Callable[[], object]) -> int:
    """The most memory that a refusal held at once."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidCredential):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


SHAPES = {
    "letters": "a" * MEGABYTES,
    "dots": "." * MEGABYTES,
    "padding": "=" * MEGABYTES,
    "foreign": "é" * (MEGABYTES // 2),
    "header": "a" * MEGABYTES + ".a.a",
    "payload": f"{b64(header())}.{'a' * MEGABYTES}.AA",
    "signature": f"{b64(header())}.{b64(claims())}.{'a' * MEGABYTES}",
    "parts": "a." * (MEGABYTES // 2),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_cve_2025_61920_eight_megabytes_are_refused_unread(shape):
    check, token = verifier(), SHAPES[shape]
    why(check, "a.b.c")  # whatever is set up on first use
    assert taken(lambda: check.verify(token)) < LITTLE
    assert taken(lambda: check.verify(Secret(token))) < LITTLE
    assert taken(lambda: verify_jws(token, keys("RS256"), algorithms={"RS256"})) < LITTLE
    assert taken(lambda: Dpop(MemoryDpopStore()).verify(token, method="GET", url="https://a/")) < LITTLE


@pytest.mark.parametrize("junk", [",", ";", " ", "Bearer a,", f"__Host-ws_session={'a' * 43};", "a=b;", "="])
@pytest.mark.parametrize("name", ["Authorization", "Cookie"])
def test_cve_2025_61920_eight_megabytes_of_a_header_are_not_taken_apart(name, junk):
    clerk = Authenticator([SessionManager(MemorySessionStore()), ApiKeys(MemoryApiKeyStore()), verifier()])
    facts = RequestFacts("GET", "https://a.example/", [(name, junk * (MEGABYTES // len(junk)))])
    with pytest.raises(InvalidCredential):
        clerk.authenticate(RequestFacts("GET", "https://a.example/", [(name, junk)]))
    assert taken(lambda: clerk.authenticate(facts)) < LITTLE


@pytest.mark.parametrize("part", [0, 1, 2])
def test_each_part_has_a_limit_of_its_own(part):
    limits = (2_048, 16_384, 1_024)
    parts = ["AAAA", "AAAA", "AAAA"]
    parts[part] = "A" * limits[part]
    assert why(verifier(), ".".join(parts)) == "header"
    parts[part] += "AAAA"
    assert why(verifier(), ".".join(parts)) == "shape"


@pytest.mark.parametrize("zipped", ["DEF", "def", "", None])
def test_cve_2025_62706_compressed_payloads(zipped):
    """Nothing is ever inflated."""
    assert why(verifier(), signed(header(zip=zipped), b"x\x9c" + bytes(100))) == "header"


@pytest.mark.parametrize("alg", ["dir", "RSA-OAEP", "A128KW", "PBES2-HS512+A256KW"])
def test_cve_2024_33664_an_encrypted_token_is_no_token(alg):
    head = b64({"alg": alg, "enc": "A256GCM", "zip": "DEF"})
    assert why(verifier(), f"{head}.AAAA.AAAA.AAAA.AAAA") == "shape"
    assert why(verifier(), f"{head}.AAAA.AAAA") == "header"
    assert why(verifier(), f"{b64({'alg': alg, 'enc': 'A256GCM'})}.AAAA.AAAA") == "alg"


def test_cve_2023_6681_iterations_of_a_strangers_choice():
    """PBES2 counts its rounds in the header; the algorithm is refused before any of them is worked."""
    assert why(verifier(), f"{b64(header('PBES2-HS256+A128KW', p2c=2**31 - 1, p2s='AAAA'))}.AAAA.AAAA") == "alg"


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_ghsa_8wjv_2p76_3863_nesting(opening):
    """Also CVE-2026-102265: a parser that recurses ends in an error of its own, before or after the signature."""
    deep = opening * (12_000 // len(opening))
    assert why(verifier(), signed(body=deep)) == "payload"
    assert why(verifier(), f"{b64(opening * (1_500 // len(opening)))}.AAAA.AAAA") == "header"
    whole = b'{"a":' * 900 + b"1" + b"}" * 900  # well-formed, and near what a parser just bears
    assert why(verifier(), signed(body=whole)) in {"payload", "issuer"}


def test_numbers_that_take_long_to_read():
    for digits in (b"9" * 5_000, b"1e" + b"9" * 5_000, b"-" + b"9" * 5_000, b"0." + b"1" * 5_000):
        assert why(verifier(), signed(body=b'{"exp":' + digits + b"}")) in {"payload", "issuer"}


def test_a_flood_of_headers_is_not_kept():
    """The cache of headers is bounded, holds three short texts for each, and keeps no refusal."""
    _header.cache_clear()
    check = verifier()
    for number in range(600):
        why(check, f"{b64(header(kid=str(number), extra='x' * 900))}.{b64(claims())}.AA")
    for number in range(100):
        why(check, f"{b64(header(number))}.{b64(claims())}.AA")
    found = _header.cache_info()
    assert (found.currsize, found.maxsize) == (512, 512)
    assert check.verify(signed())["sub"] == "admin"


def test_what_a_host_does_to_a_header_reaches_no_later_token():
    token = signed(header(extra=["x"]))
    first = verify_jws(token, keys("RS256"), algorithms={"RS256"}).header
    first["extra"].append("y")
    assert verify_jws(token, keys("RS256"), algorithms={"RS256"}).header["extra"] == ["x"]
    with pytest.raises(TypeError):
        first["alg"] = "none"  # type: ignore[index]  # the point


def test_an_rsa_key_of_the_attackers_is_bounded_too():
    """A proof of DPoP brings its key, and so the price of checking it."""
    import jwt as pyjwt

    numbers = private("RS256").public_key().public_numbers()
    big = b64(((1 << 2047) - 1).to_bytes(256, "big"))
    jwk = {"kty": "RSA", "n": b64(numbers.n.to_bytes(256, "big")), "e": big}
    proof = pyjwt.encode({"jti": "1"}, private("RS256"), "RS256", headers={"typ": "dpop+jwt", "jwk": jwk})
    with pytest.raises(InvalidToken) as caught:
        Dpop(MemoryDpopStore()).verify(proof, method="GET", url="https://a/")
    assert caught.value.reason == "key"
