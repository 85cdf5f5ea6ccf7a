"""A key-encryption key in AWS KMS (``Encrypt``, ``Decrypt``).

The context is KMS's own encryption context, which CloudTrail shows: it names store, tenant and key version, and no
secret. The key id goes with every ``Decrypt``, or KMS would take whichever key the ciphertext names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ...core.errors import (
    ConfigurationError,
    KeyDisabled,
    KeyUnavailable,
    KeyUnknown,
    MissingExtra,
    SecretTampered,
    TrustError,
)
from ..keyring import KeyContext, KeyStatus

__all__ = ["AwsKmsProvider"]

_DISABLED: Final = frozenset(("DisabledException", "KMSInvalidStateException"))
_UNKNOWN: Final = frozenset(("NotFoundException",))
_TAMPERED: Final = frozenset(("InvalidCiphertextException", "IncorrectKeyException", "ValidationException"))
_DENIED: Final = "KMS: AccessDeniedException"
_PROBE: Final = bytes(32)
_REFUSED: Final = frozenset(
    """AccessDeniedException UnrecognizedClientException InvalidClientTokenId ExpiredTokenException
    IncompleteSignature InvalidSignatureException MissingAuthenticationToken OptInRequired InvalidKeyUsageException
    InvalidGrantTokenException""".split()
)


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
        with _told(opening=False):
            answer = self._client.encrypt(KeyId=self._key_id, Plaintext=key, EncryptionContext=_bound(context))
            return bytes(answer["CiphertextBlob"])

    def unwrap(self, blob: bytes, context: KeyContext, /) -> bytes:
        """``Decrypt``. Raises as `wrap`, and `SecretTampered` for what KMS says is no ciphertext of this key."""
        try:
            return self._decrypt(blob, context)
        except KeyUnavailable as refusal:
            # KMS calls a blob that names a key it does not have "access denied", as it does a policy that says no.
            if refusal.detail == _DENIED and self._allowed(context):
                raise _tampered() from None
            raise

    def status(self) -> KeyStatus:
        """``DescribeKey``."""
        try:
            with _told(opening=False):
                state = str(self._client.describe_key(KeyId=self._key_id)["KeyMetadata"]["KeyState"])
        except TrustError as error:
            return KeyStatus.of(self.uri, error)
        return KeyStatus(self.uri, "ready" if state == "Enabled" else "disabled", state)

    def _decrypt(self, blob: bytes, context: KeyContext) -> bytes:
        with _told(opening=True):
            answer = self._client.decrypt(KeyId=self._key_id, CiphertextBlob=blob, EncryptionContext=_bound(context))
            return bytes(answer["Plaintext"])

    def _allowed(self, context: KeyContext) -> bool:
        """Whether this key opens what it has just wrapped: then it is not the policy that says no."""
        try:
            return self._decrypt(self.wrap(_PROBE, context), context) == _PROBE
        except TrustError:
            return False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"


@contextmanager
def _told(*, opening: bool) -> Iterator[None]:
    """KMS's errors as ours; their texts hold ARNs and accounts, so only the code goes on."""
    from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError

    try:
        yield
    except ParamValidationError:  # boto3 itself: empty, or longer than any ciphertext of KMS
        fault: TrustError = _tampered() if opening else KeyUnavailable("ParamValidationError", retryable=False)
    except ClientError as error:
        fault = _fault(str(error.response.get("Error", {}).get("Code", "")), opening)
    except NoCredentialsError:
        fault = KeyUnavailable("no credentials for KMS", retryable=False)
    except Exception as error:  # network, TLS, time-outs: whatever it is, there is no key
        fault = KeyUnavailable(f"KMS: {type(error).__name__}")
    else:
        return
    raise fault from None


def _fault(code: str, opening: bool) -> TrustError:
    if code in _DISABLED:
        return KeyDisabled(f"KMS: {code}", hint="enable the key, or cancel its deletion")
    if code in _UNKNOWN:
        return KeyUnknown(f"KMS: {code}", hint="region, account and key id")
    if opening and code in _TAMPERED:
        return _tampered()
    return KeyUnavailable(f"KMS: {code}", retryable=code not in _REFUSED and code not in _TAMPERED)


def _tampered() -> SecretTampered:
    return SecretTampered("KMS: no ciphertext of this key and context", hint="the row was changed or moved")


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
        raise MissingExtra(
            "AWS KMS needs boto3", hint="pip install 'wellstreak-trust[aws]', or give a client", reason="extra"
        ) from None
    return boto3.client("kms")
