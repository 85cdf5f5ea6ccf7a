"""The format: every vector byte for byte, an independent implementation, and the text form."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.core.canonical import length_prefixed, u32, u64
from wellstreak_trust.core.errors import EnvelopeUnsupported, SecretTampered, UsageError
from wellstreak_trust.secrets import EnvelopeContext, EnvelopeKey, envelope

Vectors = Callable[[str], Any]
KEY = EnvelopeKey(bytes(range(64)))
CONTEXT = EnvelopeContext("store-1", "t1", "slack/bot", 1, "value/text")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


class Salt:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def octets(self, count: int) -> bytes:
        return self._octets


def by_the_book(key: bytes, version: int, sealed: bytes, context: EnvelopeContext) -> bytes:
    """The published decoder, from other parts: HKDFExpand and a streaming GCM instead of `hmac` and AESGCM."""
    head, salt, commitment, body, tag = sealed[:9], sealed[9:41], sealed[41:73], sealed[73:-16], sealed[-16:]
    assert head == b"WS\x01\x01\x00" + version.to_bytes(4, "big")
    parts = (context.store, context.tenant_id, context.name)
    ctx = length_prefixed("wellstreak-trust/secret-context/v1", *parts, u64(context.version), context.purpose)
    info = length_prefixed("wellstreak-trust/envelope/v1", head, salt, ctx)
    okm = HKDFExpand(SHA512(), 64, info).derive(key)
    assert hmac.compare_digest(okm[32:], commitment)
    decryptor = Cipher(algorithms.AES(okm[:32]), modes.GCM(bytes(12), tag)).decryptor()
    decryptor.authenticate_additional_data(head + salt + commitment)
    padded = decryptor.update(body) + decryptor.finalize()
    return padded.rstrip(b"\0")[:-1]


def test_every_vector_seals_and_opens(vectors: Vectors) -> None:
    facts = vectors("secrets/envelope.json")["seal"]
    assert len(facts) == 31, "the worked example and thirty more"
    for fact in facts:
        key, context = EnvelopeKey(bytes.fromhex(fact["key"]), fact["key_version"]), EnvelopeContext(**fact["context"])
        plaintext, sealed = bytes.fromhex(fact["plaintext"]), bytes.fromhex(fact["envelope"])
        assert context.encode().hex() == fact["context_hex"], fact["id"]
        assert envelope.seal(key, plaintext, context, entropy=Salt(bytes.fromhex(fact["salt"]))) == sealed, fact["id"]
        assert envelope.open(key, sealed, context) == plaintext, fact["id"]
        buffer, size = envelope.open_into(key, memoryview(sealed), context)
        assert buffer[:size] == plaintext, fact["id"]


@pytest.mark.asvs("11.2.5")
def test_every_refused_vector_is_refused(vectors: Vectors) -> None:
    facts = vectors("secrets/envelope.json")["refuse"]
    assert len(facts) == 28
    for fact in facts:
        key, context = EnvelopeKey(bytes.fromhex(fact["key"]), fact["key_version"]), EnvelopeContext(**fact["context"])
        for opener in (envelope.open, envelope.open_into):
            with pytest.raises((SecretTampered, EnvelopeUnsupported)) as caught:
                opener(key, bytes.fromhex(fact["envelope"]), context)
            assert type(caught.value).__name__ == fact["error"], fact["id"]


@pytest.mark.asvs("11.3.2")
@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), TEXTS, TEXTS, TEXTS, st.integers(0, 2**64 - 1), TEXTS, st.integers(0, 2**32 - 1))
def test_an_independent_decoder_agrees(
    plaintext: bytes, store: str, tenant: str, name: str, version: int, purpose: str, key_version: int
) -> None:
    context = EnvelopeContext(store, tenant, name, version, purpose)
    domain = "wellstreak-trust/secret-context/v1"
    assert context.encode() == length_prefixed(domain, store, tenant, name, u64(version), purpose)
    sealed = envelope.seal(EnvelopeKey(KEY.material, key_version), plaintext, context)
    assert by_the_book(KEY.material, key_version, sealed, context) == plaintext
    assert len(sealed) == 89 + (len(plaintext) // 32 + 1) * 32


def test_raw_keys_are_version_one() -> None:
    sealed = envelope.seal(KEY.material, b"xoxb-demo", CONTEXT)
    assert envelope.open(KEY, sealed, CONTEXT) == b"xoxb-demo"
    assert envelope.open(KEY.material, bytearray(sealed), CONTEXT) == b"xoxb-demo"
    assert envelope.seal(KEY, b"xoxb-demo", CONTEXT) != sealed, "two salts were the same"


@pytest.mark.parametrize("key", [b"", bytes(32), bytes(63), bytes(65), "k" * 64, None, bytearray(64)])
def test_other_keys_are_refused(key: Any) -> None:
    with pytest.raises(UsageError):
        envelope.seal(key, b"", CONTEXT)
    with pytest.raises(UsageError):
        envelope.open(key, bytes(121), CONTEXT)


@pytest.mark.parametrize("version", [-1, 2**32, "1", None])
def test_key_versions_have_32_bits(version: Any) -> None:
    with pytest.raises(UsageError):
        EnvelopeKey(bytes(64), version)


@pytest.mark.parametrize(
    "context",
    [
        EnvelopeContext("s", "t", "n", -1, "p"),
        EnvelopeContext("s", "t", "n", 2**64, "p"),
        EnvelopeContext("s", "t", "n", 1.5, "p"),  # type: ignore[arg-type]  # wrong on purpose
        EnvelopeContext("s", "\ud800", "n", 1, "p"),
        EnvelopeContext("s", None, "n", 1, "p"),  # type: ignore[arg-type]  # wrong on purpose
        ("s", "t", "n", 1, "p"),
        None,
    ],
)
def test_other_contexts_are_refused(context: Any) -> None:
    with pytest.raises(UsageError):
        envelope.seal(KEY, b"", context)


def test_plaintext_is_bytes_and_ciphertext_too() -> None:
    with pytest.raises(UsageError):
        envelope.seal(KEY, "text", CONTEXT)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(EnvelopeUnsupported):
        envelope.open(KEY, None, CONTEXT)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(UsageError):
        envelope.seal(KEY, b"", CONTEXT, entropy=Salt(b"short"))


def test_keys_do_not_show_or_travel() -> None:
    assert "000102" not in repr(KEY)
    assert KEY.material.hex() not in repr(KEY)
    assert repr(KEY.material) not in repr(KEY)
    with pytest.raises(UsageError):
        pickle.dumps(KEY)
    assert KEY.mac(b"x") == hmac.digest(KEY.material, b"x", hashlib.sha512)


def test_the_text_form_has_one_spelling() -> None:
    """CVE-2020-8929: a key id that was compared as decoded text had a second spelling that opened too."""
    sealed = envelope.seal(KEY, b"xoxb-demo", CONTEXT)
    text = envelope.to_text(sealed)
    assert text.startswith("wst1.V1MBAQ")
    assert envelope.from_text(text) == sealed
    last = chr(ord(text[-1]) + 1)
    for other in (
        text + "=",
        text.removeprefix("wst1."),
        " " + text,
        text + "\n",
        text[:-1] + last,
        "wst1.é",
        "",
        None,
        7,
    ):
        with pytest.raises(EnvelopeUnsupported):
            envelope.from_text(other)  # type: ignore[arg-type]  # wrong on purpose


def test_vectors_are_ours_to_publish(vectors: Vectors) -> None:
    worked = vectors("secrets/envelope.json")["seal"][0]
    assert json.dumps(worked["context"]["name"]) == '"slack/bot"'
    assert by_the_book(bytes(range(64)), 1, bytes.fromhex(worked["envelope"]), CONTEXT) == b"xoxb-demo"


def test_a_key_computes_what_hmac_and_hkdf_compute() -> None:
    """Ours hashes the pads and the beginning once; the standard library and cryptography say what must come out."""
    for version in (1, 7, 2**32 - 1):
        material = os.urandom(64)
        key, context = EnvelopeKey(material, version), EnvelopeContext("s", "t" * version.bit_length(), "n", 1, "x")
        for size in (0, 1, 127, 128, 129, 300):
            message = os.urandom(size)
            assert key.mac(message) == hmac.digest(material, message, "sha512")
            assert key.expand(message) == HKDFExpand(SHA512(), 64, message).derive(material)
        salt = os.urandom(32)
        head = b"WS\x01\x01\x00" + u32(version)
        info = length_prefixed("wellstreak-trust/envelope/v1", head, salt, context.encode())
        assert key.derive(salt, context) == HKDFExpand(SHA512(), 64, info).derive(material)
        assert key.derive(salt, context) == key.expand(info), "the second time from what was kept"


def test_views_of_wider_items_are_sealed_by_their_bytes() -> None:
    key, context = EnvelopeKey(bytes(64)), EnvelopeContext("s", "t", "n", 1, "value/bytes")
    wide = memoryview(bytes(range(40))).cast("I")
    assert envelope.open(key, memoryview(envelope.seal(key, wide, context)), context) == bytes(range(40))
    assert envelope.open(key, bytearray(envelope.seal(key, bytearray(b"x"), context)), context) == b"x"
