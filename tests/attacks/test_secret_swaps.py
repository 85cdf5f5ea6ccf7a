"""An envelope opens at its own address, whole, and nowhere else."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from wellstreak_trust.core.errors import EnvelopeUnsupported, IntegrityError, SecretTampered
from wellstreak_trust.secrets import EnvelopeContext, EnvelopeKey, envelope

KEY = EnvelopeKey(bytes(range(64)), 3)
HERE = EnvelopeContext("store-1", "t1", "slack/bot", 7, "value/text")
SEALED = envelope.seal(KEY, b"xoxb-demo", HERE)
OTHERS: dict[str, tuple[Any, ...]] = {
    "store": ("store-2", "", "STORE-1", "store-1\x00"),
    "tenant_id": ("t2", "", "T1", "t1\x00", " t1"),
    "name": ("slack/bot2", "", "slack/bo", "Slack/bot"),
    "version": (0, 6, 8, 7 + 2**32, 2**64 - 1),
    "purpose": ("value/bytes", "tenant-key", ""),
}


@pytest.mark.parametrize("field", OTHERS)
def test_no_other_address_opens_it(field: str) -> None:
    for value in OTHERS[field]:
        with pytest.raises(SecretTampered):
            envelope.open(KEY, SEALED, replace(HERE, **{field: value}))
    assert envelope.open(KEY, SEALED, replace(HERE)) == b"xoxb-demo"


@pytest.mark.parametrize("pair", list(permutations(OTHERS, 2)), ids="-".join)
def test_two_wrong_fields_do_not_make_up_for_each_other(pair: tuple[str, str]) -> None:
    one, two = pair
    with pytest.raises(SecretTampered):
        envelope.open(KEY, SEALED, replace(HERE, **{one: OTHERS[one][0], two: OTHERS[two][1]}))


def test_no_byte_moves_between_fields() -> None:
    """``ab``,``c`` is not ``a``,``bc``: every way to cut one text into three fields is another address."""
    text = "a\x00bcd"
    cuts = [(text[:i], text[i:j], text[j:]) for i in range(6) for j in range(i, 6)]
    sealed = [(cut, envelope.seal(KEY, b"x", EnvelopeContext(*cut, 1, "value/text"))) for cut in cuts]
    for cut, octets in sealed:
        opens = []
        for other in cuts:
            try:
                envelope.open(KEY, octets, EnvelopeContext(*other, 1, "value/text"))
                opens.append(other)
            except SecretTampered:
                continue
        assert opens == [cut]


def test_text_is_compared_as_it_is_written() -> None:
    spellings = [unicodedata.normalize(form, "é\u212b") for form in ("NFC", "NFD")] + ["é\u212b", "e\u212b", "É\u212b"]
    for one in set(spellings):
        octets = envelope.seal(KEY, b"x", replace(HERE, tenant_id=one))
        for two in set(spellings) - {one}:
            with pytest.raises(SecretTampered):
                envelope.open(KEY, octets, replace(HERE, tenant_id=two))


@pytest.mark.asvs("11.3.3")
def test_every_flipped_bit_is_seen() -> None:
    for at in range(len(SEALED) * 8):
        spoilt = bytearray(SEALED)
        spoilt[at // 8] ^= 1 << at % 8
        expected = EnvelopeUnsupported if at < 40 else SecretTampered
        for opener in (envelope.open, envelope.open_into):
            with pytest.raises(expected):
                opener(KEY, bytes(spoilt), HERE)


def test_every_other_length_is_seen() -> None:
    for size in range(len(SEALED)):
        with pytest.raises(EnvelopeUnsupported):
            envelope.open(KEY, SEALED[:size], HERE)
    for more in (b"\x00", b"\x80", bytes(31), bytes(32), SEALED, SEALED[-16:]):
        with pytest.raises(IntegrityError):
            envelope.open(KEY, SEALED + more, HERE)
    longer = envelope.seal(KEY, bytes(100), HERE)
    for cut in (32, 64, 96):
        with pytest.raises(SecretTampered):
            envelope.open(KEY, longer[:-cut], HERE)


@pytest.mark.parametrize("version", [1, 2, 4, 2**32 - 1])
def test_a_key_of_another_version_or_material_does_not_open_it(version: int) -> None:
    for key in (EnvelopeKey(KEY.material, version), EnvelopeKey(bytes(64), 3)):
        with pytest.raises(SecretTampered):
            envelope.open(key, SEALED, HERE)


@pytest.mark.asvs("11.3.1", "11.3.2")
def test_there_is_no_nonce_suite_or_tag_length_to_choose() -> None:
    """CVE-2023-4680, CVE-2020-8911, CVE-2020-8912: what the caller or the ciphertext cannot say cannot be misused."""
    import inspect

    assert list(inspect.signature(envelope.seal).parameters) == ["key", "plaintext", "context", "entropy"]
    assert list(inspect.signature(envelope.open).parameters) == ["key", "envelope", "context"]
    for suite in set(range(256)) - {1}:
        with pytest.raises(EnvelopeUnsupported):
            envelope.open(KEY, SEALED[:3] + bytes([suite]) + SEALED[4:], HERE)


@pytest.mark.parametrize("opener", [envelope.open, envelope.open_into], ids=["open", "open_into"])
def test_immutable_input_is_never_written_to(opener: Any) -> None:
    """CVE-2023-23931: a library wrote plaintext into the caller's immutable bytes."""
    octets = envelope.seal(KEY, b"xoxb-demo", HERE)
    before = octets[:] + b""
    opener(KEY, octets, HERE)
    opener(KEY, memoryview(octets), HERE)
    assert octets == before
