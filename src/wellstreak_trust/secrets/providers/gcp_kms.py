"""A key-encryption key in Google Cloud KMS (``Encrypt``, ``Decrypt`` with additional authenticated data).

CRC-32C goes both ways: Google answers with what it received, and what it sends is checked here. A sum that is wrong is
an outage and no tampering, because that is what it is there to tell apart.
"""

from __future__ import annotations

from typing import Any, Final

from ...core.errors import ConfigurationError, TrustError
from ..keyring import KeyContext, KeyStatus
from .faults import Faults
from .local import bound

__all__ = ["GcpKmsProvider", "crc32c"]

_SAYS: Final = Faults("Cloud KMS")
_CASTAGNOLI: Final = 0x82F63B78  # RFC 3720, B.4, reflected


def _table() -> tuple[int, ...]:
    found = []
    for octet in range(256):
        for _ in range(8):
            octet = octet >> 1 ^ (_CASTAGNOLI if octet & 1 else 0)
        found.append(octet)
    return tuple(found)


_TABLE: Final = _table()


def crc32c(octets: bytes) -> int:
    """CRC-32C (RFC 3720, B.4)."""
    crc = 0xFFFFFFFF
    for octet in octets:
        crc = crc >> 8 ^ _TABLE[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF


class GcpKmsProvider:
    """A symmetric key of Cloud KMS; uri ``gcp-kms:<key name>``.

    Args:
        key_name: ``projects/*/locations/*/keyRings/*/cryptoKeys/*``, without a version: the service rotates those.
        client: a ``KeyManagementServiceClient``; one from Google's own configuration where none is given.
        timeout: seconds for one call; there are no retries inside, because the caller is told `retryable`.

    Raises:
        ConfigurationError: an empty name. MissingExtra: no client, and google-cloud-kms is not installed.
    """

    blocking: bool = True

    def __init__(self, key_name: str, *, client: Any = None, timeout: float = 10.0) -> None:
        if not key_name:
            raise ConfigurationError("a Cloud KMS key has a name", hint="projects/.../cryptoKeys/...", reason="kek")
        self._name: str = key_name
        self._client: Any = _client() if client is None else client
        self._how: dict[str, Any] = {"timeout": timeout, "retry": None}
        self.uri: str = f"gcp-kms:{key_name}"

    def wrap(self, key: bytes, context: KeyContext, /) -> bytes:
        """``Encrypt``. Raises `KeyUnavailable`, `KeyDisabled`, `KeyUnknown`."""
        aad = bound(context).encode()
        request = {
            **{"name": self._name, "plaintext": key, "additional_authenticated_data": aad},
            **{"plaintext_crc32c": crc32c(key), "additional_authenticated_data_crc32c": crc32c(aad)},
        }
        answer = _SAYS.told(_wrapping, lambda: self._client.encrypt(request=request, **self._how))
        received = answer.verified_plaintext_crc32c and answer.verified_additional_authenticated_data_crc32c
        _sound(received and answer.name.startswith(f"{self._name}/"), answer.ciphertext, answer.ciphertext_crc32c)
        return bytes(answer.ciphertext)

    def unwrap(self, blob: bytes, context: KeyContext, /) -> bytes:
        """``Decrypt``. Raises as `wrap`, and `SecretTampered` for what Google says is no ciphertext of this key."""
        aad = bound(context).encode()
        request = {
            **{"name": self._name, "ciphertext": blob, "additional_authenticated_data": aad},
            **{"ciphertext_crc32c": crc32c(blob), "additional_authenticated_data_crc32c": crc32c(aad)},
        }
        answer = _SAYS.told(_opening, lambda: self._client.decrypt(request=request, **self._how))
        _sound(True, answer.plaintext, answer.plaintext_crc32c)
        return bytes(answer.plaintext)

    def status(self) -> KeyStatus:
        """``GetCryptoKey``: the state of its primary version."""
        try:
            found = _SAYS.told(
                _wrapping, lambda: self._client.get_crypto_key(request={"name": self._name}, **self._how)
            )
        except TrustError as error:
            return KeyStatus.of(self.uri, error)
        state = found.primary.state.name
        return KeyStatus(self.uri, "ready" if state == "ENABLED" else "disabled", state)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"


def _sound(received: bool, octets: bytes, crc: int) -> None:
    if not received or crc32c(octets) != crc:
        raise _SAYS.unavailable("bytes were damaged on the way", hint="retry")


def _opening(error: Exception) -> TrustError | None:
    from google.api_core.exceptions import InvalidArgument

    return _SAYS.tampered() if isinstance(error, InvalidArgument) else _wrapping(error)


def _wrapping(error: Exception) -> TrustError | None:
    from google.api_core import exceptions as google

    kind = type(error).__name__
    if isinstance(error, google.NotFound):
        return _SAYS.unknown("project, location, ring and key")
    if isinstance(error, google.FailedPrecondition):
        return _SAYS.disabled(kind, "enable the key version, or restore it")
    if isinstance(error, google.Forbidden | google.Unauthorized | google.InvalidArgument):
        return _SAYS.unavailable(kind, retryable=False)
    return None


def _client() -> Any:
    try:
        from google.cloud import kms
    except ImportError:
        raise _SAYS.missing("google-cloud-kms", "gcp") from None
    return kms.KeyManagementServiceClient()
