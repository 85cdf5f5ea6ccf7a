"""A second spelling of a good token: whoever revoked or cached the first has never seen the second."""

from __future__ import annotations

import string

import pytest

from forge import claims, header, signed, verifier, why

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
ALGORITHMS = ["HS256", "RS256", "ES256", "ES512", "EdDSA"]


@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.parametrize("part", [0, 1, 2])
def test_ghsa_hxm8_2xgr_2p9m_spare_bits(alg, part):
    """Also CVE-2026-102269: the last character of a segment may carry bits that no octet takes."""
    for filler in ("", "x", "xx"):  # so that each segment has each length modulo 4 once
        token = signed(header(alg, note=filler), claims(note=filler), alg=alg)
        assert verifier(alg).verify(token)
        parts = token.split(".")
        last = parts[part][-1]
        for other in ALPHABET.replace(last, ""):
            changed = [*parts]
            changed[part] = parts[part][:-1] + other
            assert why(verifier(alg), ".".join(changed)) != ""


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("junk", ["=", "==", "\n", " ", "\t", "\r\n", "!", "\u200b", "%3D", "+", "/", ".", "\x00", "é"])
def test_ghsa_hxm8_2xgr_2p9m_what_does_not_belong(part, junk):
    token = signed()
    for place in (0, 4, -4, None):
        parts = token.split(".")
        whole = parts[part]
        at = len(whole) if place is None else place % len(whole)
        parts[part] = whole[:at] + junk + whole[at:]
        assert why(verifier(), ".".join(parts)) in {"shape", "header", "signature", "payload"}


def test_the_other_alphabet():
    """RFC 4648, 4: plus and slash are what other decoders take as well."""
    token = next(t for t in (signed(body=claims(jti=str(n)), alg="RS256") for n in range(50)) if "-" in t and "_" in t)
    assert verifier().verify(token)
    assert why(verifier(), token.replace("-", "+")) == "shape"
    assert why(verifier(), token.replace("_", "/")) == "shape"


@pytest.mark.parametrize("around", ["{} ", " {}", "{}\n", "\n{}", "{}.", ".{}", "{}.AA", "Bearer {}", '"{}"', "{}\x00"])
def test_around_a_token(around):
    assert why(verifier(), around.format(signed())) == "shape"


def test_a_token_is_text_of_one_type():
    token = signed()

    class Text(str):
        __slots__ = ()

    for other in (token.encode(), bytearray(token.encode()), Text(token), [token], {"token": token}, None, 7, object()):
        assert why(verifier(), other) == "shape"


def test_other_serialisations():
    """RFC 7515, 7.2: the JSON serialisation, flattened or general, and the detached form."""
    head, payload, mac = signed().split(".")
    flat = f'{{"protected":"{head}","payload":"{payload}","signature":"{mac}"}}'
    general = f'{{"payload":"{payload}","signatures":[{{"protected":"{head}","signature":"{mac}"}}]}}'
    for text in (flat, general, f"{head}..{mac}", f"{head}.{payload}", f"{head}.{payload}."):
        assert why(verifier(), text) == "shape"
