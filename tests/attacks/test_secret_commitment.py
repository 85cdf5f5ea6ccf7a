"""One ciphertext for two keys ("invisible salamander", Dodis et al. 2018; CVE-2020-8897): GCM takes it, we do not."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wellstreak_trust.core.errors import SecretTampered
from wellstreak_trust.secrets import EnvelopeContext, EnvelopeKey, KeyContext, LocalKeyProvider, envelope

ONE, TWO = EnvelopeKey(bytes(range(64))), EnvelopeKey(bytes(range(1, 65)))
CONTEXT = EnvelopeContext("store", "t1", "slack/bot", 1, "value/text")
NONCE = bytes(12)


def multiply(x: int, y: int) -> int:
    """In GCM's field (NIST SP 800-38D, 6.3)."""
    z = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            z ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return z


def inverse(x: int) -> int:
    found, power = 1 << 127, x
    for _ in range(127):  # x ** (2**128 - 2)
        power = multiply(power, power)
        found = multiply(found, power)
    return found


def block(key: bytes, octets: bytes) -> int:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return int.from_bytes(encryptor.update(octets), "big")


def salamander(one: bytes, two: bytes, aad: bytes, blocks: list[int]) -> bytes:
    """A ciphertext, its last block chosen so that both keys give one tag; then that tag."""
    padded = aad + bytes(-len(aad) % 16)
    lead = [int.from_bytes(padded[at : at + 16], "big") for at in range(0, len(padded), 16)]
    lengths = (len(aad) * 8) << 64 | (len(blocks) + 1) * 128

    def without_last(key: bytes) -> tuple[int, int]:
        h = block(key, bytes(16))
        total = 0
        for part in (*lead, *blocks, 0):
            total = multiply(total ^ part, h)
        return multiply(total ^ lengths, h) ^ block(key, NONCE + b"\0\0\0\1"), multiply(h, h)

    (tag_one, square_one), (tag_two, square_two) = without_last(one), without_last(two)
    last = multiply(tag_one ^ tag_two, inverse(square_one ^ square_two))
    tag = tag_one ^ multiply(last, square_one)
    return b"".join(part.to_bytes(16, "big") for part in (*blocks, last, tag))


def test_bare_gcm_opens_under_two_keys() -> None:
    one, two = bytes(range(32)), bytes(range(32, 64))
    forged = salamander(one, two, b"aad", [7, 8, 9])
    assert AESGCM(one).decrypt(NONCE, forged, b"aad") != AESGCM(two).decrypt(NONCE, forged, b"aad")


def test_an_envelope_opens_under_one() -> None:
    salt = bytes(32)
    one, two = (key.derive(salt, CONTEXT) for key in (ONE, TWO))
    secret_one, claim_one, secret_two, claim_two = one[:32], one[32:], two[:32], two[32:]
    for claim, stranger in ((claim_one, TWO), (claim_two, ONE)):
        fixed = ONE.head + salt + claim
        forged = fixed + salamander(secret_one, secret_two, fixed, [1, 2, 3])
        body = forged[len(fixed) :]
        assert AESGCM(secret_one).decrypt(NONCE, body, fixed) != AESGCM(secret_two).decrypt(NONCE, body, fixed)
        with pytest.raises(SecretTampered, match="integrity") as caught:
            envelope.open(stranger, forged, CONTEXT)
        assert "commitment" in caught.value.detail


def test_a_wrapped_tenant_key_opens_under_one() -> None:
    context = KeyContext("store", "t1", 1)
    here = LocalKeyProvider("k_0011223344556677", ONE.material)
    there = LocalKeyProvider("k_0011223344556677", TWO.material)
    blob = here.wrap(bytes(64), context)
    assert here.unwrap(blob, context) == bytes(64)
    with pytest.raises(SecretTampered):
        there.unwrap(blob, context)


@pytest.mark.parametrize("field", ["store", "tenant_id", "name", "version", "purpose"])
def test_every_part_of_the_context_is_bound(field: str) -> None:
    from dataclasses import replace

    sealed = envelope.seal(ONE, b"xoxb-demo", CONTEXT)
    for other in ("", "STORE", "t1\x00", "slack/bo", "value/bytes") if field != "version" else (0, 2, 2**64 - 1):
        with pytest.raises(SecretTampered):
            envelope.open(ONE, sealed, replace(CONTEXT, **{field: other}))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (("s", "ab", "c"), ("s", "a", "bc")),
        (("s", "", "abc"), ("s", "abc", "")),
        (("s", "t\x00", "n"), ("s", "t", "\x00n")),
        (("s", "té", "n"), ("s", "te\u0301", "n")),
        (("s", "T", "n"), ("s", "t", "n")),
    ],
)
def test_no_byte_moves_from_one_part_to_the_next(one: tuple[str, str, str], two: tuple[str, str, str]) -> None:
    first, second = (EnvelopeContext(*parts, 1, "value/text") for parts in (one, two))
    assert first.encode() != second.encode()
    with pytest.raises(SecretTampered):
        envelope.open(ONE, envelope.seal(ONE, b"v", first), second)


@pytest.mark.asvs("11.2.5")
def test_every_bit_and_every_length_counts() -> None:
    sealed = envelope.seal(ONE, b"xoxb-demo", CONTEXT)
    for at in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises((SecretTampered, envelope.EnvelopeUnsupported)):
            envelope.open(ONE, flipped, CONTEXT)
    for length in (*range(len(sealed)), *range(len(sealed) + 1, len(sealed) + 70)):
        with pytest.raises((SecretTampered, envelope.EnvelopeUnsupported)):
            envelope.open(ONE, sealed[:length].ljust(length, b"\0"), CONTEXT)
