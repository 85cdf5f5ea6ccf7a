"""A key-encryption key in Azure Key Vault or Managed HSM (``wrapKey``, ``unwrapKey``).

Azure's key wrap has no associated data. So Azure wraps a key made for this one blob, and a local envelope under that
key, which is bound to the context, holds the tenant's key::

    blob = LP(wrapped one-time key, envelope)
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from ...core.canonical import length_prefixed
from ...core.entropy import SYSTEM_ENTROPY
from ...core.errors import ConfigurationError, TrustError
from ..envelope import KEY_BYTES, open, seal
from ..keyring import KeyContext, KeyStatus
from .faults import Faults
from .local import bound

__all__ = ["AzureKeyVaultProvider"]

_SAYS: Final = Faults("Key Vault")


class AzureKeyVaultProvider:
    """An RSA key of Key Vault, or an AES key of Managed HSM; uri ``azure-key-vault:<key id>``.

    Args:
        key_id: with its version (``https://<vault>/keys/<name>/<version>``): Azure unwraps with the version that
            wrapped and no other, so another version is another key of the chain.
        client: a ``CryptographyClient`` for that key.
        algorithm: ``RSA-OAEP-256``, or ``A256KW`` for Managed HSM.

    Raises:
        ConfigurationError: a key id without a version.
    """

    blocking: bool = True

    def __init__(self, key_id: str, *, client: Any, algorithm: str = "RSA-OAEP-256") -> None:
        parts = urlsplit(key_id).path.strip("/").split("/")
        if len(parts) != 3 or parts[0] != "keys":
            raise ConfigurationError(
                "a Key Vault key is named with its version", hint="https://<vault>/keys/<name>/<version>", reason="kek"
            )
        self._client: Any = client
        self._algorithm: str = algorithm
        self.uri: str = f"azure-key-vault:{key_id}"

    def wrap(self, key: bytes, context: KeyContext, /) -> bytes:
        """``wrapKey`` of a one-time key. Raises `KeyUnavailable`, `KeyDisabled`, `KeyUnknown`."""
        once = SYSTEM_ENTROPY.octets(KEY_BYTES)
        wrapped = _SAYS.told(_wrapping, lambda: bytes(self._client.wrap_key(self._named(), once).encrypted_key))
        return length_prefixed(wrapped, seal(once, key, bound(context)))

    def unwrap(self, blob: bytes, context: KeyContext, /) -> bytes:
        """``unwrapKey``. Raises as `wrap`, and `SecretTampered` or `EnvelopeUnsupported`."""
        wrapped, envelope = _parts(blob)
        once = _SAYS.told(_opening, lambda: bytes(self._client.unwrap_key(self._named(), wrapped).key))
        if len(once) != KEY_BYTES:
            raise _SAYS.tampered()
        return open(once, envelope, bound(context))

    def status(self) -> KeyStatus:
        """Wraps and unwraps a throw-away key: the crypto client has no call that only asks."""
        try:
            context = KeyContext("", "", 0, "status")
            self.unwrap(self.wrap(bytes(KEY_BYTES), context), context)
        except TrustError as error:
            return KeyStatus.of(self.uri, error)
        return KeyStatus(self.uri, "ready")

    def _named(self) -> Any:
        from azure.keyvault.keys.crypto import KeyWrapAlgorithm

        return KeyWrapAlgorithm(self._algorithm)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"


def _parts(blob: bytes) -> tuple[bytes, bytes]:
    """The two parts of a blob, in its one spelling."""
    size = int.from_bytes(blob[4:8], "big")
    wrapped, envelope = blob[8 : 8 + size], blob[12 + size :]
    if length_prefixed(wrapped, envelope) != blob:
        raise _SAYS.tampered()
    return wrapped, envelope


def _opening(error: Exception) -> TrustError | None:
    # ValueError is the client's own check, of a blob that is longer or shorter than the key.
    junk = isinstance(error, ValueError) or getattr(error, "status_code", None) == 400
    return _SAYS.tampered() if junk else _wrapping(error)


def _wrapping(error: Exception) -> TrustError | None:
    from azure.core import exceptions as azure

    if isinstance(error, azure.ResourceNotFoundError):
        return _SAYS.unknown("vault, name and version")
    if isinstance(error, ValueError):  # the client's own check of a key that it has read
        return _SAYS.disabled("the key is not valid for this", "its dates and operations")
    status = getattr(error, "status_code", None) if isinstance(error, azure.HttpResponseError) else None
    if not isinstance(status, int):
        return None
    text = str(error).lower() if status == 403 else ""
    if any(word in text for word in ("disabled", "expired", "not yet valid", "not permitted")):
        return _SAYS.disabled("the key is disabled or out of its dates", "enable the key version")
    return _SAYS.unavailable(str(status), retryable=status in (408, 429) or status >= 500)
