"""Holders of key-encryption keys; each speaks to one kind of key service."""

from .env import EnvKeyProvider
from .local import LocalKeyProvider

__all__ = ["EnvKeyProvider", "LocalKeyProvider"]
