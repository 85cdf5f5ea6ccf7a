"""What hosts hand over as a token, and the two bytes-level rules that every opaque token here shares."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from ..core.entropy import random_token
from ..core.errors import InvalidCredential
from ..core.secret import Secret

__all__ = ["Presented", "TokenFormat", "text_of"]

Presented = str | Secret[str]
"""A token as it came in: plain text from a request, or wrapped by the host."""


def text_of(token: object) -> str:
    """The token's text; empty for anything that is no text, so that every caller refuses it as malformed."""
    found = token.reveal() if isinstance(token, Secret) else token
    return found if type(found) is str else ""


class TokenFormat:
    """An opaque token: a prefix that scanners and logs can find, and 256 random bits (RFC 4648, 5).

    Stores see the SHA-256 of it and nothing else: with 256 bits of entropy a plain hash cannot be searched, and who
    reads the table cannot sign in with what stands there.
    """

    __slots__ = ("_match", "prefix")

    def __init__(self, prefix: str) -> None:
        self.prefix: Final = prefix
        # The 43rd character carries 4 bits: with other spare bits one token would have four spellings.
        self._match: Final = re.compile(rf"{prefix}[A-Za-z0-9_-]{{42}}[AEIMQUYcgkosw048]").fullmatch

    def new(self) -> str:
        """A fresh token."""
        return self.prefix + random_token()

    def key(self, token: object) -> bytes:
        """The row key of a presented token.

        Raises:
            InvalidCredential: not of this form; nothing was hashed or read.
        """
        text = token if type(token) is str else text_of(token)
        if self._match(text) is None:
            raise InvalidCredential("malformed token", reason="shape")
        return sha256(text.encode("ascii")).digest()

    def key_of(self, token: str) -> bytes:
        """The row key of a token made by `new`."""
        return sha256(token.encode("ascii")).digest()
