"""The raw body, read once and never further than the cap.

A framework's own reader takes what the client sends into memory before anything is asked. These stop at the cap, also
where the client declares no length, or a wrong one.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Final, Protocol

from ..core.errors import BodyTooLarge

__all__ = ["MAX_BODY", "aread_body", "read_body"]

MAX_BODY: Final = 1 << 20
_PIECE: Final = 1 << 16


class Readable(Protocol):
    """Flask's ``request.stream``, Django's ``request``, a WSGI input, a file."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


def read_body(stream: Readable, declared: int | str | None = None, *, limit: int = MAX_BODY) -> bytes:
    """The whole body.

    Args:
        declared: ``Content-Length``, so that a body that says it is too large is refused unread.
        limit: bytes.

    Raises:
        BodyTooLarge: over the limit.
    """
    _check(declared, limit)
    found = bytearray()
    while piece := stream.read(min(_PIECE, limit + 1 - len(found))):
        found += piece
        if len(found) > limit:
            raise _too_large(limit)
    return bytes(found)


async def aread_body(
    chunks: AsyncIterable[bytes], declared: int | str | None = None, *, limit: int = MAX_BODY
) -> bytes:
    """As `read_body`, over the chunks of an asynchronous server: Starlette's ``request.stream()``."""
    _check(declared, limit)
    found = bytearray()
    async for piece in chunks:
        if len(found) + len(piece) > limit:
            raise _too_large(limit)
        found += piece
    return bytes(found)


def _check(declared: int | str | None, limit: int) -> None:
    text = str(declared) if declared is not None else "0"
    if text.isascii() and text.isdigit() and (len(text) > 18 or int(text) > limit):
        raise _too_large(limit)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"over {limit} bytes", hint="limit=, if the provider really sends more")
