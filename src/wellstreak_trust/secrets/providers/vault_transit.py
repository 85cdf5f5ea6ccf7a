"""A key-encryption key in the Transit engine of HashiCorp Vault or OpenBao, with associated data.

Transit makes a key of any name that a token with ``update`` encrypts under: create the key first, and give the token no
right to create. Its own versions rotate behind one name; below its minimum decryption version a blob is `KeyDisabled`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any, Final

from ...core.errors import ConfigurationError, TrustError
from ..keyring import KeyContext, KeyStatus
from .faults import Faults
from .local import bound

__all__ = ["VaultTransitProvider"]

_SAYS: Final = Faults("Transit")


class VaultTransitProvider:
    """An AEAD key of Transit (``aes256-gcm96``, ``chacha20-poly1305``); uri ``vault-transit:<mount>/<key>``.

    Args:
        key: name of the key. client: an ``hvac.Client`` that is signed in. mount: where the engine is mounted.

    Raises:
        ConfigurationError: an empty key or mount.
    """

    blocking: bool = True

    def __init__(self, key: str, *, client: Any, mount: str = "transit") -> None:
        if not key or not mount:
            raise ConfigurationError("a Transit key has a name and a mount", reason="kek")
        self._transit: Any = client.secrets.transit
        self._at: dict[str, str] = {"name": key, "mount_point": mount}
        self.uri: str = f"vault-transit:{mount}/{key}"

    def wrap(self, key: bytes, context: KeyContext, /) -> bytes:
        """``encrypt``. Raises `KeyUnavailable`, `KeyDisabled`, `KeyUnknown`."""
        at = {**self._at, "associated_data": _aad(context)}
        answer = _SAYS.told(_wrapping, lambda: self._transit.encrypt_data(**at, plaintext=_text(key))["data"])
        return str(answer["ciphertext"]).encode("ascii")

    def unwrap(self, blob: bytes, context: KeyContext, /) -> bytes:
        """``decrypt``. Raises as `wrap`, and `SecretTampered` for what Transit says is no ciphertext of this key."""
        try:
            text = blob.decode("ascii")
        except UnicodeDecodeError:
            text = ""
        if not text.startswith("vault:v"):  # or Vault would answer with an error that it also has for other causes
            raise _SAYS.tampered()
        at = {**self._at, "associated_data": _aad(context), "ciphertext": text}
        return _SAYS.told(
            _opening, lambda: b64decode(self._transit.decrypt_data(**at)["data"]["plaintext"], validate=True)
        )

    def status(self) -> KeyStatus:
        """Reads the key's description."""
        try:
            found = _SAYS.told(_wrapping, lambda: self._transit.read_key(**self._at)["data"])
        except TrustError as error:
            return KeyStatus.of(self.uri, error)
        return KeyStatus(self.uri, "ready", f"version {found.get('latest_version', '?')}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"


def _opening(error: Exception) -> TrustError | None:
    from hvac.exceptions import InvalidRequest

    return _wrapping(error) or (_SAYS.tampered() if isinstance(error, InvalidRequest) else None)


def _wrapping(error: Exception) -> TrustError | None:
    """Only Vault's texts tell some causes apart; they go no further."""
    from hvac import exceptions as vault

    if isinstance(error, vault.InvalidPath):
        return _SAYS.unknown("the name of the key, and the mount")
    if isinstance(error, vault.Forbidden | vault.Unauthorized):
        return _SAYS.unavailable(type(error).__name__, hint="the token's policy", retryable=False)
    text = str(error).lower() if isinstance(error, vault.InvalidRequest) else ""
    if "key not found" in text:
        return _SAYS.unknown("the name of the key")
    if "too old" in text or "disallowed by policy" in text:
        return _SAYS.disabled("below the minimum decryption version", "lower min_decryption_version")
    return None


def _aad(context: KeyContext) -> str:
    return _text(bound(context).encode())


def _text(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")
