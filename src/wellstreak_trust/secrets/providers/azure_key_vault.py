"""A key-encryption key in Azure Key Vault or Managed HSM (``wrapKey``, ``unwrapKey``).

Azure's key wrap has no associated data. So Azure wraps a key made for this one blob, and a local envelope under that
key, which is bound to the context, holds the tenant's key::

    blob = LP(wrapped one-time key, envelope)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from ...core.canonical import length_prefixed
from ...core.entropy import SYSTEM_ENTROPY
from ...core.errors import (
    ConfigurationError,
    KeyDisabled,
    KeyUnavailable,
    KeyUnknown,
    SecretTampered,
    TrustError,
)
from ..envelope import KEY_BYTES, open, seal
from ..keyring import KeyContext, KeyStatus
from .local import bound

__all__ = ["AzureKeyVaultProvider"]


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
        with _told(opening=False):
            wrapped = bytes(self._client.wrap_key(self._named(), once).encrypted_key)
        return length_prefixed(wrapped, seal(once, key, bound(context)))

    def unwrap(self, blob: bytes, context: KeyContext, /) -> bytes:
        """``unwrapKey``. Raises as `wrap`, and `SecretTampered` or `EnvelopeUnsupported`."""
        wrapped, envelope = _parts(blob)
        with _told(opening=True):
            once = bytes(self._client.unwrap_key(self._named(), wrapped).key)
        if len(once) != KEY_BYTES:
            raise SecretTampered("Key Vault answered with something that is no key of ours")
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
        raise SecretTampered("a blob of Key Vault has another shape", hint="the row was changed")
    return wrapped, envelope


@contextmanager
def _told(*, opening: bool) -> Iterator[None]:
    """Azure's errors as ours; their texts hold vaults and tenants, so only the kind goes on."""
    from azure.core import exceptions as azure

    try:
        yield
    except azure.ResourceNotFoundError:
        fault: TrustError = KeyUnknown("Key Vault: no such key", hint="vault, name and version")
    except azure.HttpResponseError as error:
        fault = _refused(error.status_code or 0, str(error).lower(), opening)
    except ValueError:  # the client's own check of a key that it has read: not yet valid, expired, wrong operation
        fault = _tampered() if opening else KeyDisabled("Key Vault: the key is not valid for this", hint="its dates")
    except Exception as error:  # network, TLS, time-outs: whatever it is, there is no key
        fault = KeyUnavailable(f"Key Vault: {type(error).__name__}")
    else:
        return
    raise fault from None


def _refused(status: int, text: str, opening: bool) -> TrustError:
    if status == 403 and any(word in text for word in ("disabled", "expired", "not yet valid", "not permitted")):
        return KeyDisabled("Key Vault: the key is disabled or out of its dates", hint="enable the key version")
    if status == 400 and opening:
        return _tampered()
    return KeyUnavailable(f"Key Vault: {status}", retryable=status in (0, 408, 429) or status >= 500)


def _tampered() -> SecretTampered:
    return SecretTampered("Key Vault: nothing that this key has wrapped", hint="the row was changed or moved")
