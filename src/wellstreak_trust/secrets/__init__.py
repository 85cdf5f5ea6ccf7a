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
from .envelope import EnvelopeContext, EnvelopeKey
from .handle import TenantSecrets
from .keyring import KeyChain, KeyContext, KeyProvider, KeyStatus
from .memory import MemorySecretBackend
from .model import RewrapReport, SecretInfo, SecretRef, ShredReceipt
from .providers import EnvKeyProvider, LocalKeyProvider
from .rows import SecretBackend
from .store import SecretStore

__all__ = [
    "Borrowed",
    "CachePolicy",
    "EnvKeyProvider",
    "EnvelopeContext",
    "EnvelopeKey",
    "EnvelopeUnsupported",
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
    "RewrapReport",
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
    "envelope",
]
