"""Sealing for the holder of a token: AES-256-GCM under a key that only the token gives.

The store keeps a hash of a token, from which the token cannot be found; a key derived from the token itself
(HKDF-SHA-256, RFC 5869) therefore opens what lies beside that hash for nobody but who presents the token.

The nonce is random: of parallel rotations of one token each seals a successor of its own before the store decides which
one stands, and two texts under one key and nonce would give away the key of the tags.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..core.entropy import SYSTEM_ENTROPY
from ..core.errors import SecretTampered

__all__ = ["seal", "unseal"]

_NONCE_OCTETS: Final = 12


def seal(token: str, use: str, text: str) -> bytes:
    """`text` under the key of `token` for `use`: the nonce, then ciphertext and tag."""
    nonce = SYSTEM_ENTROPY.octets(_NONCE_OCTETS)
    return nonce + _cipher(token, use).encrypt(nonce, text.encode("utf-8"), use.encode("ascii"))


def unseal(token: str, use: str, sealed: bytes) -> str:
    """The inverse.

    Raises:
        SecretTampered: what lies in the store was not sealed under this token.
    """
    try:
        nonce, rest = sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:]
        return _cipher(token, use).decrypt(nonce, rest, use.encode("ascii")).decode("utf-8")
    except (InvalidTag, ValueError):  # cut short, too
        raise SecretTampered("a value beside a token was changed in the store") from None


def _cipher(token: str, use: str) -> AESGCM:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"wst " + use.encode("ascii"))
    return AESGCM(derived.derive(token.encode("ascii")))
