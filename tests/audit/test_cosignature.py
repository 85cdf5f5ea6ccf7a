"""Cosignatures: one line more below a checkpoint, and a time that somebody else vouches for."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest

from wellstreak_trust.audit import Checkpoint, Ed25519Signer, NoteInvalid, WitnessKey, cosignatures, note
from wellstreak_trust.audit.cosignature import cosign, key_of, with_lines
from wellstreak_trust.audit.note import VerifierKey
from wellstreak_trust.core import UsageError

LOG = Ed25519Signer.from_seed(bytes(32))
EYE = Ed25519Signer.from_seed(bytes([1]) * 32)
KEY = WitnessKey("witness.test/w1", EYE.public_key)
AT = datetime(2026, 11, 24, 12, 0, 5, 999_999, tzinfo=UTC)
TEXT = Checkpoint("log.test", 3, bytes(32)).text()
NOTE = note.sign(TEXT, "log.test", LOG)


def cosigned(*lines: str) -> str:
    return with_lines(NOTE, lines)


def test_a_line_says_who_and_when() -> None:
    line = cosign(TEXT, KEY.name, EYE, AT)
    (seen,) = cosignatures(cosigned(line), [KEY])
    assert (seen.witness, seen.at) == ("witness.test/w1", AT.replace(microsecond=0))
    packed = b64decode(line.split(" ")[2])
    assert (packed[:4], len(packed)) == (KEY.id, 76)
    assert int.from_bytes(packed[4:12], "big") == int(AT.timestamp())
    assert KEY.public_key == EYE.public_key
    assert EYE.key("x").verifies(packed[12:], f"cosignature/v1\ntime {int(AT.timestamp())}\n{TEXT}".encode())


def test_the_log_is_checked_as_before() -> None:
    """A line of a type that note.open does not know is one of an unknown key."""
    whole = cosigned(cosign(TEXT, KEY.name, EYE, AT))
    assert Checkpoint.open(whole, [LOG.key("log.test")]).size == 3
    assert cosignatures(NOTE, [KEY]) == ()
    stranger = WitnessKey("witness.test/w1", LOG.public_key)
    assert cosignatures(whole, [stranger]) == ()


def test_every_bit_of_a_line_counts() -> None:
    """A changed name or key id makes the line that of nobody, everything else refuses the note; never is it counted."""
    line = cosign(TEXT, KEY.name, EYE, AT)
    packed = b64decode(line.split(" ")[2])
    refused, counted = [], []
    for at in range(len(packed) * 8):
        flipped = bytearray(packed)
        flipped[at // 8] ^= 1 << at % 8
        try:
            counted += cosignatures(cosigned(f"— {KEY.name} {b64encode(flipped).decode()}\n"), [KEY])
        except NoteInvalid as refusal:
            refused.append((at, refusal.reason))
    assert counted == []
    assert refused == [(at, "bad_signature") for at in range(32, len(packed) * 8)]


@pytest.mark.parametrize(
    "octets", [b"", bytes(71), bytes(73), bytes([255]) * 72], ids=["none", "short", "long", "huge"]
)
def test_lines_of_another_shape(octets: bytes) -> None:
    line = f"— {KEY.name} {b64encode(KEY.id + (octets or b'x')).decode()}\n"
    with pytest.raises(NoteInvalid):
        cosignatures(cosigned(line), [KEY])


def test_the_latest_of_several_counts_once() -> None:
    early = cosign(TEXT, KEY.name, EYE, AT.replace(year=2025))
    late = cosign(TEXT, KEY.name, EYE, AT)
    for lines in ((early, late), (late, early)):
        (seen,) = cosignatures(cosigned(*lines), [KEY, KEY])
        assert seen.at.year == 2026


def test_a_cosignature_is_of_one_state() -> None:
    other = Checkpoint("log.test", 4, bytes(32)).text()
    with pytest.raises(NoteInvalid):
        cosignatures(cosigned(cosign(other, KEY.name, EYE, AT)), [KEY])


def test_keys_tell_their_kind() -> None:
    log = LOG.key("log.test")
    assert key_of(str(KEY)) == key_of(KEY) == KEY
    assert key_of(str(log)) == log
    assert isinstance(key_of(str(log)), VerifierKey)
    assert WitnessKey.parse(str(KEY)) == KEY
    for wrong in ("", "x", "a+b", str(KEY)[:-1], str(KEY).replace("w1", "w2"), str(KEY) + "=", 7):
        with pytest.raises(UsageError):
            key_of(wrong)  # type: ignore[arg-type]  # what a caller may hand over
    for text in (str(log), "x+00000000+BA=="):
        with pytest.raises(UsageError):
            WitnessKey.parse(text)
    for name, octets in (("a b", bytes(32)), ("a+b", bytes(32)), ("a", bytes(31))):
        with pytest.raises(UsageError):
            WitnessKey(name, octets)
