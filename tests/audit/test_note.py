"""c2sp.org/signed-note: what other implementations sign opens here, and only in its one spelling."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from wellstreak_trust.audit import Ed25519Signer, NoteInvalid, VerifierKey
from wellstreak_trust.audit import note as signed_note
from wellstreak_trust.core import UsageError

Read = Callable[[str], Any]
SIGNER = Ed25519Signer.from_seed(bytes(32))
OTHER = Ed25519Signer.from_seed(bytes([1] * 32))
TEXT = "wellstreak.test/log\n3\nhello\n"
NOTE = signed_note.sign(TEXT, "wellstreak.test/log", SIGNER)
KEY = str(SIGNER.key("wellstreak.test/log"))


def reason(note: str | bytes, *keys: str) -> str:
    with pytest.raises(NoteInvalid) as refused:
        signed_note.open(note, keys or (KEY,))
    return refused.value.reason


def test_published_notes_open_and_sign_again(published_vectors: Read) -> None:
    facts = published_vectors("audit/merkle_vectors.json")["signed_note"]
    keys = {key["name"]: key for key in facts["keys"]}
    for fact in facts["notes"]:
        key = keys[fact["vkey_of"]]
        whole = fact["text"] + "\n" + fact["sig_line"]
        assert signed_note.open(whole, [key["vkey"]]).text == fact["text"]
        if "skey" in key:
            signer = Ed25519Signer.from_seed(b64decode(key["skey"].split("+", 4)[4])[1:])
            assert signed_note.sign(fact["text"], key["name"], signer) == whole
            assert str(signer.key(key["name"])) == key["vkey"]


def test_published_bad_verifier_keys_are_refused(published_vectors: Read) -> None:
    facts = published_vectors("audit/merkle_vectors.json")["signed_note"]
    good = facts["keys"][0]["vkey"]
    bad = [vkey for vkey in facts["bad_vkeys"] if "+" in vkey and " " not in vkey]
    bad += [
        good[start:stop]
        for start in range(len(good))
        for stop in range(start, len(good) + 1)
        if good != good[start:stop]
    ]
    bad += [good[:at] + chr(ord(good[at]) + 1) + good[at + 1 :] for at in range(len(good))]
    accepted = []
    for vkey in bad:
        try:
            accepted.append(VerifierKey.parse(vkey))
        except UsageError:
            continue
    assert accepted == []
    assert str(VerifierKey.parse(good)) == good


def test_a_signed_note_opens() -> None:
    assert signed_note.open(NOTE, [KEY]) == signed_note.Note(TEXT, ("wellstreak.test/log",))
    assert signed_note.open(NOTE.encode(), [SIGNER.key("wellstreak.test/log")]).text == TEXT


def test_several_signatures_and_unknown_keys() -> None:
    line = signed_note.sign(TEXT, "witness.test/w1", OTHER).split("\n\n")[1]
    both = NOTE + line
    assert signed_note.open(both, [KEY]).signed_by == ("wellstreak.test/log",)
    assert signed_note.open(both, [KEY, OTHER.key("witness.test/w1")]).signed_by == (
        "wellstreak.test/log",
        "witness.test/w1",
    )
    assert reason(both, str(OTHER.key("wellstreak.test/log"))) == "unknown_key"
    assert reason(NOTE, str(OTHER.key("elsewhere"))) == "unknown_key"
    assert signed_note.open(NOTE + line * 20, [KEY]).text == TEXT  # the specification: at least 16 lines


def test_a_known_key_with_a_bad_signature_refuses_the_whole_note() -> None:
    good = signed_note.sign(TEXT, "witness.test/w1", OTHER)
    forged = "— wellstreak.test/log " + signed_note.sign("other\n", "wellstreak.test/log", SIGNER).split(" ")[-1]
    assert reason(good + forged, KEY, str(OTHER.key("witness.test/w1"))) == "bad_signature"
    assert reason(NOTE.replace("hello", "jello")) == "bad_signature"


MALFORMED = {
    "no blank line": "text\n— a AAAAAAAA\n",
    "no signature": "text\n\n",
    "no final newline": NOTE[:-1],
    "control character": NOTE.replace("hello", "hel\x00lo"),
    "carriage return": NOTE.replace("hello\n", "hello\r\n"),
    "not UTF-8": NOTE.encode() + b"\xff\n",
    "lone surrogate": NOTE.replace("hello", "\ud800"),
    "space in name": NOTE.replace("— wellstreak.test/log", "— wellstreak test/log"),
    "plus in name": NOTE.replace("— wellstreak.test/log", "— wellstreak+test/log"),
    "no-break space in name": NOTE.replace("— wellstreak.test/log", "— wellstreak\u00a0test/log"),
    "hyphen for a dash": NOTE.replace("— ", "- "),
    "text after signatures": NOTE + "more\n",
    "key id alone": "text\n\n— a AAAAAA==\n",
    "lax base64": NOTE[:-2] + "==\n",
    "over 100 lines": NOTE + NOTE.split("\n\n")[1] * 100,
    "empty": "",
    "newlines": "\n\n\n",
}


@pytest.mark.parametrize("note", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(note: str | bytes) -> None:
    assert reason(note) == "malformed"


def test_base64_has_one_spelling() -> None:
    """68 bytes leave 4 unused bits in the last character; a lax decoder would let them change."""
    last = NOTE[-3]
    others = [
        NOTE[:-3] + c + NOTE[-2:]
        for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        if c != last
    ]
    assert {reason(other) for other in others} <= {"malformed", "bad_signature"}
    assert [reason(NOTE.replace("\n\n", "\n\n\n", 1))] == ["bad_signature"]


def test_texts_and_names_no_note_can_hold() -> None:
    for text in ("no newline", "control\x01\n", "surrogate\ud800\n"):
        with pytest.raises(UsageError):
            signed_note.sign(text, "name", SIGNER)
    for name in ("", "a b", "a+b", "a\nb", None):
        with pytest.raises(UsageError):
            SIGNER.key(name)  # type: ignore[arg-type]  # what a host may hand over
    with pytest.raises(UsageError):
        VerifierKey("name", b"short")


def test_keys_from_seed_and_pem() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert Ed25519Signer.from_pem(pem).public_key == Ed25519Signer.from_pem(pem.decode()).public_key
    assert Ed25519Signer.generate().public_key != Ed25519Signer.generate().public_key
    assert Ed25519Signer.from_seed(bytes(32)).sign(b"m") == SIGNER.sign(b"m")
    foreign = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for bad in (b"", "not a key", "é", foreign, pem[:40]):
        with pytest.raises(UsageError) as refused:
            Ed25519Signer.from_pem(bad)
        assert "not a key" not in repr(refused.value.detail)
    with pytest.raises(UsageError):
        Ed25519Signer.from_seed(b"short")
    assert SIGNER.public_key.hex() in repr(SIGNER)
    assert bytes(32).hex() not in repr(SIGNER)


@pytest.mark.parametrize("vkey", ["", "a+b", "a+00000000+", "é+00000000+AAAA", "a+0+0+0", None, 7])
def test_verifier_keys_that_are_none(vkey: Any) -> None:
    with pytest.raises(UsageError):
        VerifierKey.parse(vkey)
