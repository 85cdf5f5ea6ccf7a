"""Holders of key-encryption keys; each speaks to one kind of key service.

Those of key services load the service's own client when they are constructed, and not before.
"""

from .aws_kms import AwsKmsProvider
from .azure_key_vault import AzureKeyVaultProvider
from .env import EnvKeyProvider
from .gcp_kms import GcpKmsProvider
from .local import LocalKeyProvider
from .passphrase import PassphraseKeyProvider
from .pkcs11 import Pkcs11Provider
from .sealed import SealedKeyProvider
from .vault_transit import VaultTransitProvider

__all__ = [
    "AwsKmsProvider",
    "AzureKeyVaultProvider",
    "EnvKeyProvider",
    "GcpKmsProvider",
    "LocalKeyProvider",
    "PassphraseKeyProvider",
    "Pkcs11Provider",
    "SealedKeyProvider",
    "VaultTransitProvider",
]
