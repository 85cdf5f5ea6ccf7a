"""What an API key is at rest, and what a store of them decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

__all__ = ["ApiKeyInfo", "ApiKeyRow", "ApiKeyStore"]


@dataclass(frozen=True, slots=True)
class ApiKeyInfo:
    """A key as it may be listed; opens nothing.

    Args:
        last_used_at: to the hour, so that use does not mean a write for each request; None if never.
    """

    id: str
    owner_id: str
    tenant_id: str
    scopes: frozenset[str]
    name: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApiKeyRow:
    """One key as stored.

    Args:
        digest: SHA-256 of the whole key.
    """

    info: ApiKeyInfo
    digest: bytes = field(repr=False)


class ApiKeyStore(Protocol):
    """Keeps API keys. Every verb is atomic; `tenant_id` restricts a verb to that tenant's keys unless it is None."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def add(self, row: ApiKeyRow, /) -> None:
        """Adds a key with a fresh id."""
        ...

    async def read(self, key_id: str, /) -> ApiKeyRow | None:
        """The key of this id, expired or not."""
        ...

    async def touch(self, key_id: str, at: datetime, /) -> None:
        """Records a use, if it is later than the one on record."""
        ...

    async def succeed(self, row: ApiKeyRow, key_id: str, ends_at: datetime, /) -> bool:
        """Adds `row` and shortens the key of `key_id` to `ends_at`, if that key is still there; tells whether."""
        ...

    async def revoke(self, key_id: str, /, *, tenant_id: str | None) -> ApiKeyInfo | None:
        """Forgets a key; returns what it was, None if there was none."""
        ...

    async def revoke_owned(self, owner_id: str, /, *, tenant_id: str | None) -> tuple[ApiKeyInfo, ...]:
        """Forgets every key of an owner; returns what they were."""
        ...

    async def list(self, tenant_id: str, /) -> tuple[ApiKeyInfo, ...]:
        """The keys of a tenant, oldest first, expired ones included."""
        ...
