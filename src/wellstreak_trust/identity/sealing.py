"""Sealing for the holder of a token: AES-256-GCM under a key that only the token gives.

The store keeps a hash of a token, from which the token cannot be found; a key derived from the token itself
(HKDF-SHA-256, RFC 5869) therefore opens what lies beside that hash for nobody but who presents the token. Each key
seals once, because each token is used for one text, so the nonce may be fixed.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..core.errors import SecretTampered

__all__ = ["seal", "unseal"]

_NONCE: Final = bytes(12)


def seal(token: str, use: str, text: str) -> bytes:
    """`text` under the key of `token` for `use`; call it once for a token and use."""
    return _cipher(token, use).encrypt(_NONCE, text.encode("utf-8"), use.encode("ascii"))


def unseal(token: str, use: str, sealed: bytes) -> str:
    """The inverse.

    Raises:
        SecretTampered: what lies in the store was not sealed under this token.
    """
    try:
        return _cipher(token, use).decrypt(_NONCE, sealed, use.encode("ascii")).decode("utf-8")
    except InvalidTag:
        raise SecretTampered("a value beside a token was changed in the store") from None


def _cipher(token: str, use: str) -> AESGCM:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"wst " + use.encode("ascii"))
    return AESGCM(derived.derive(token.encode("ascii")))
