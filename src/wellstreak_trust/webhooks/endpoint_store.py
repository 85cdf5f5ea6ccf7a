"""What the endpoint registry asks of a store.

A row is found by the hash of its token alone, so a stolen table opens no endpoint. It is changed under its version;
what was last delivered is written beside it, because it changes often and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

__all__ = ["EndpointKey", "EndpointRow", "EndpointStatus", "EndpointStore"]

EndpointStatus = Literal["pending", "active", "disabled"]


@dataclass(frozen=True, slots=True)
class EndpointKey:
    """One entry of the key ring: a version in the secret store, accepted until then (None: until it is replaced)."""

    version: int
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """One endpoint.

    Args:
        id: public; names it in logs and in replay keys.
        token_hash: SHA-256 of the token, in hex.
        url: as configured at the provider, with ``{token}`` where the token stands; empty for none.
        keys: newest first.
        version: 0 for a row that is not stored yet.
        last_at, last_outcome: the last delivery, ``accepted`` or the step that refused it.
    """

    id: str
    tenant_id: str
    provider: str
    token_hash: str
    url: str
    status: EndpointStatus
    keys: tuple[EndpointKey, ...]
    created_at: datetime
    version: int = 0
    last_at: datetime | None = None
    last_outcome: str = ""


class EndpointStore(Protocol):
    """Every verb is one atomic decision by the store."""

    async def by_token(self, token_hash: str) -> EndpointRow | None:
        """The endpoint with that token."""
        ...

    async def by_id(self, tenant_id: str, id: str) -> EndpointRow | None:
        """The tenant's endpoint of that id."""
        ...

    async def swap_if(self, row: EndpointRow) -> bool:
        """Stores the row if it still stands at its version (a new one: if neither id nor token is taken)."""
        ...

    async def note(self, id: str, at: datetime, outcome: str) -> None:
        """Remembers the last delivery, unless a later one is remembered; an unknown id is no error."""
        ...

    async def list(self, tenant_id: str) -> tuple[EndpointRow, ...]:
        """The tenant's endpoints, oldest first."""
        ...
