"""Signatures that are none: zeros, wrong lengths, other encodings, malleable twins."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from forge import b64, claims, header, signed, verifier, why

pytestmark = pytest.mark.asvs("6.8.2", "9.1.1")

ORDERS = {
    "ES256": (32, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
    "ES384": (48, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973),
}


def octets(token: str) -> bytes:
    text = token.rpartition(".")[2]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def unsigned(alg: str) -> str:
    return f"{b64(header(alg))}.{b64(claims())}"


@pytest.mark.parametrize("alg", ["ES256", "ES384"])
def test_cve_2022_21449_psychic_signatures(alg):
    """r and s of 0, or of the group's order, verify anything where nobody looks."""
    size, n = ORDERS[alg]
    good = octets(signed(header(alg), alg=alg))
    r, s = good[:size], good[size:]
    zero, order = bytes(size), n.to_bytes(size, "big")
    one = (1).to_bytes(size, "big")
    for forged in (zero + zero, order + order, zero + s, r + zero, order + s, r + order, one + zero, zero + one):
        assert why(verifier(alg), f"{unsigned(alg)}.{b64(forged)}") == "signature"


@pytest.mark.parametrize("alg", ["ES256", "ES384"])
def test_one_signature_has_one_length_and_one_encoding(alg):
    size, _ = ORDERS[alg]
    token = signed(header(alg), alg=alg)
    good = octets(token)
    head = token.rpartition(".")[0]
    r, s = (int.from_bytes(part, "big") for part in (good[:size], good[size:]))
    wrong = [
        good[:-1],
        good + b"\x00",
        b"\x00" + good,
        good[:size] + b"\x00" + good[size:],
        encode_dss_signature(r, s),
        good[size:] + good[:size],
        good * 2,
    ]
    assert {why(verifier(alg), f"{head}.{b64(each)}") for each in wrong} == {"signature"}


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA", "HS256"])
def test_no_octet_of_a_signature_is_idle(alg):
    token = signed(header(alg), alg=alg)
    head, good = token.rpartition(".")[0], octets(token)
    assert verifier(alg).verify(token)
    for place in range(0, len(good), max(1, len(good) // 32)):
        changed = bytes(each ^ (1 if at == place else 0) for at, each in enumerate(good))
        assert why(verifier(alg), f"{head}.{b64(changed)}") == "signature"
    for cut in (good[:-1], good[1:], good + b"\x00", b"\x00", bytes(len(good))):
        assert why(verifier(alg), f"{head}.{b64(cut)}") == "signature"


def test_an_ed25519_signature_beyond_the_order():
    """RFC 8032, 5.1.7: s is below the order, or a second signature is made out of the first."""
    token = signed(header("EdDSA"), alg="EdDSA")
    head, good = token.rpartition(".")[0], octets(token)
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(good[32:], "little") + order
    assert why(verifier("EdDSA"), f"{head}.{b64(good[:32] + s.to_bytes(32, 'little'))}") == "signature"


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA", "HS256"])
def test_the_signature_of_another_token(alg):
    other = signed(header(alg), claims(sub="somebody"), alg=alg)
    assert why(verifier(alg), f"{unsigned(alg)}.{other.rpartition('.')[2]}") == "signature"
