"""Secrets: integration tokens in envelopes, under tenant keys, under a key-encryption key."""

from ..core.errors import (
    EnvelopeUnsupported,
    KeyDisabled,
    KeyUnavailable,
    KeyUnknown,
    LeaseHeld,
    SecretConflict,
    SecretDisabled,
    SecretExpired,
    SecretNotFound,
    SecretRollbackDetected,
    SecretShredded,
    SecretTampered,
    SecretTooLarge,
)
from ..core.secret import Secret
from . import envelope
from .borrow import Borrowed
from .cache import CachePolicy
from .doctor import DoctorReport, Finding
from .envelope import EnvelopeContext, EnvelopeKey
from .handle import TenantSecrets
from .keyring import KeyChain, KeyContext, KeyProvider, KeyStatus
from .memory import MemorySecretBackend
from .model import SecretInfo, SecretRef
from .providers import (
    AwsKmsProvider,
    AzureKeyVaultProvider,
    EnvKeyProvider,
    GcpKmsProvider,
    LocalKeyProvider,
    PassphraseKeyProvider,
    Pkcs11Provider,
    SealedKeyProvider,
    VaultTransitProvider,
)
from .refresh import Refreshed
from .reports import Fault, ImportReport, ReencryptReport, RewrapReport, ShredReceipt, VerifyReport
from .rows import SecretBackend
from .store import SecretStore

__all__ = [
    "AwsKmsProvider",
    "AzureKeyVaultProvider",
    "Borrowed",
    "CachePolicy",
    "DoctorReport",
    "EnvKeyProvider",
    "EnvelopeContext",
    "EnvelopeKey",
    "EnvelopeUnsupported",
    "Fault",
    "Finding",
    "GcpKmsProvider",
    "ImportReport",
    "KeyChain",
    "KeyContext",
    "KeyDisabled",
    "KeyProvider",
    "KeyStatus",
    "KeyUnavailable",
    "KeyUnknown",
    "LeaseHeld",
    "LocalKeyProvider",
    "MemorySecretBackend",
    "PassphraseKeyProvider",
    "Pkcs11Provider",
    "ReencryptReport",
    "Refreshed",
    "RewrapReport",
    "SealedKeyProvider",
    "Secret",
    "SecretBackend",
    "SecretConflict",
    "SecretDisabled",
    "SecretExpired",
    "SecretInfo",
    "SecretNotFound",
    "SecretRef",
    "SecretRollbackDetected",
    "SecretShredded",
    "SecretStore",
    "SecretTampered",
    "SecretTooLarge",
    "ShredReceipt",
    "TenantSecrets",
    "VaultTransitProvider",
    "VerifyReport",
    "envelope",
]
