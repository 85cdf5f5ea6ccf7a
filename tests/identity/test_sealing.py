"""Sealing under a token: what one key and nonce for two texts would give away, and what does not open."""

from __future__ import annotations

import pytest

from wellstreak_trust.core.errors import SecretTampered
from wellstreak_trust.identity.sealing import seal, unseal

TOKEN, USE = "wsr_" + "A" * 43, "refresh successor"


def difference(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=False))


@pytest.mark.asvs("11.3.4")
def test_two_texts_under_one_token_share_no_key_stream() -> None:
    texts = "wsr_" + "B" * 43, "wsr_" + "C" * 43
    one, other = (seal(TOKEN, USE, text) for text in texts)
    shared = difference(texts[0].encode(), texts[1].encode())
    assert all(shared not in difference(one[at:], other[at:]) for at in (0, 12))
    assert [unseal(TOKEN, USE, sealed) for sealed in (one, other)] == [*texts]


@pytest.mark.parametrize("length", [0, 1, 7, 8, 11, 12, 13, 27, -1])
def test_what_was_cut_does_not_open(length: int) -> None:
    with pytest.raises(SecretTampered):
        unseal(TOKEN, USE, seal(TOKEN, USE, "")[:length])


@pytest.mark.parametrize(("token", "use"), [("wsr_" + "E" * 43, USE), (TOKEN, "one-time token")])
def test_another_token_or_use_does_not_open(token: str, use: str) -> None:
    with pytest.raises(SecretTampered):
        unseal(token, use, seal(TOKEN, USE, "text"))
