"""A key-encryption key in AWS KMS (``Encrypt``, ``Decrypt``).

The context is KMS's own encryption context, which CloudTrail shows: it names store, tenant and key version, and no
secret. The key id goes with every ``Decrypt``, or KMS would take whichever key the ciphertext names.
"""

from __future__ import annotations

from typing import Any, Final

from ...core.errors import ConfigurationError, KeyUnavailable, TrustError
from ..keyring import KeyContext, KeyStatus
from .faults import Faults

__all__ = ["AwsKmsProvider"]

_SAYS: Final = Faults("KMS")
_DISABLED: Final = frozenset(("DisabledException", "KMSInvalidStateException"))
_TAMPERED: Final = frozenset(("InvalidCiphertextException", "IncorrectKeyException", "ValidationException"))
_REFUSED: Final = frozenset(
    """AccessDeniedException UnrecognizedClientException InvalidClientTokenId ExpiredTokenException
    IncompleteSignature InvalidSignatureException MissingAuthenticationToken InvalidArnException OptInRequired
    InvalidKeyUsageException InvalidGrantTokenException ValidationException NoCredentialsError
    ParamValidationError""".split()
)
_DENIED: Final = "KMS: AccessDeniedException"
_PROBE: Final = bytes(32)


class AwsKmsProvider:
    """A symmetric KMS key; uri ``aws-kms:<key id>``.

    Args:
        key_id: an ARN, best with the key's id in it; what an alias points to may change under the stored rows.
        client: a boto3 ``kms`` client; one from boto3's own configuration where none is given.

    Raises:
        ConfigurationError: an empty key id. MissingExtra: no client, and boto3 is not installed.
    """

    blocking: bool = True

    def __init__(self, key_id: str, *, client: Any = None) -> None:
        if not key_id:
            raise ConfigurationError("a KMS key has an id", hint="its ARN", reason="kek")
        self._key_id: str = key_id
        self._client: Any = _client() if client is None else client
        self.uri: str = f"aws-kms:{key_id}"

    def wrap(self, key: bytes, context: KeyContext, /) -> bytes:
        """``Encrypt``. Raises `KeyUnavailable`, `KeyDisabled`, `KeyUnknown`."""
        at = {"KeyId": self._key_id, "EncryptionContext": _bound(context)}
        return _SAYS.told(_wrapping, lambda: bytes(self._client.encrypt(**at, Plaintext=key)["CiphertextBlob"]))

    def unwrap(self, blob: bytes, context: KeyContext, /) -> bytes:
        """``Decrypt``. Raises as `wrap`, and `SecretTampered` for what KMS says is no ciphertext of this key."""
        try:
            return self._decrypt(blob, context)
        except KeyUnavailable as refusal:
            # KMS calls a blob that names a key it does not have "access denied", as it does a policy that says no.
            if refusal.detail == _DENIED and self._allowed(context):
                raise _SAYS.tampered() from None
            raise

    def status(self) -> KeyStatus:
        """``DescribeKey``."""
        try:
            found = _SAYS.told(_wrapping, lambda: self._client.describe_key(KeyId=self._key_id)["KeyMetadata"])
        except TrustError as error:
            return KeyStatus.of(self.uri, error)
        state = str(found.get("KeyState"))
        return KeyStatus(self.uri, "ready" if state == "Enabled" else "disabled", state)

    def _decrypt(self, blob: bytes, context: KeyContext) -> bytes:
        at = {"KeyId": self._key_id, "EncryptionContext": _bound(context)}
        return _SAYS.told(_opening, lambda: bytes(self._client.decrypt(**at, CiphertextBlob=blob)["Plaintext"]))

    def _allowed(self, context: KeyContext) -> bool:
        """Whether this key opens what it has just wrapped: then it is not the policy that says no."""
        try:
            return self._decrypt(self.wrap(_PROBE, context), context) == _PROBE
        except TrustError:
            return False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"


def _opening(error: Exception) -> TrustError | None:
    kind = _kind(error)
    # boto3 itself refuses what is empty, or longer than any ciphertext of KMS.
    return _SAYS.tampered() if kind in _TAMPERED or kind == "ParamValidationError" else _wrapping(error)


def _wrapping(error: Exception) -> TrustError | None:
    kind = _kind(error)
    if kind in _DISABLED:
        return _SAYS.disabled(kind, "enable the key, or cancel its deletion")
    if kind == "NotFoundException":
        return _SAYS.unknown("region, account and key id")
    return _SAYS.unavailable(kind, retryable=kind not in _REFUSED)


def _kind(error: Exception) -> str:
    """The service's own code, or the class of an error of boto3."""
    answer: Any = getattr(error, "response", {})
    return str(answer.get("Error", {}).get("Code", "")) or type(error).__name__


def _bound(context: KeyContext) -> dict[str, str]:
    return {
        "wst:store": context.store,
        "wst:tenant": context.tenant_id,
        "wst:key-version": str(context.key_version),
        "wst:purpose": context.purpose,
    }


def _client() -> Any:
    try:
        import boto3
    except ImportError:
        raise _SAYS.missing("boto3", "aws") from None
    return boto3.client("kms")
