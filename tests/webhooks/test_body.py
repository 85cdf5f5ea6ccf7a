"""The raw body, read with a cap."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from wellstreak_trust.core import drive
from wellstreak_trust.webhooks import BodyTooLarge, aread_body, read_body


class Dripping(io.BytesIO):
    """One byte at a time, as a slow client's socket gives them."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(min(size or 0, 1))
        self.taken += len(found)
        return found


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def test_the_whole_body_is_read() -> None:
    for body in (b"", b"x", b"x" * 200_000):
        assert read_body(io.BytesIO(body)) == body
        assert drive(aread_body(chunks(body[:7], b"", body[7:]))) == body
    assert read_body(Dripping(b"abc")) == b"abc"


def test_exactly_the_limit_fits() -> None:
    assert read_body(io.BytesIO(b"x" * 10), limit=10) == b"x" * 10
    assert drive(aread_body(chunks(b"x" * 5, b"x" * 5), limit=10)) == b"x" * 10
    with pytest.raises(BodyTooLarge) as refused:
        read_body(io.BytesIO(b"x" * 11), limit=10)
    assert (refused.value.status, refused.value.step) == (413, "size")
    with pytest.raises(BodyTooLarge):
        drive(aread_body(chunks(b"x" * 5, b"x" * 6), limit=10))


def test_reading_stops_at_the_limit() -> None:
    endless = Dripping(b"x" * 1_000)
    with pytest.raises(BodyTooLarge):
        read_body(endless, limit=10)
    assert endless.taken == 11


@pytest.mark.parametrize("declared", [11, "11", "9" * 5_000])
def test_what_says_that_it_is_too_large_is_refused_unread(declared: Any) -> None:
    source = Dripping(b"x")
    with pytest.raises(BodyTooLarge):
        read_body(source, declared, limit=10)
    with pytest.raises(BodyTooLarge):
        drive(aread_body(chunks(b"x"), declared, limit=10))
    assert source.taken == 0


@pytest.mark.parametrize("declared", [None, 3, "3", "", "-1", "x", "\u0663", "1"])
def test_other_declarations_decide_nothing(declared: Any) -> None:
    assert read_body(io.BytesIO(b"abc"), declared) == b"abc"
