"""What a connection store must do atomically."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from .record import Check, ConnectionRecord
from .view import Day

__all__ = ["CHECKS_KEPT", "DAYS_KEPT", "ConnectionStore"]

CHECKS_KEPT: Final = 50
DAYS_KEPT: Final = 90


class ConnectionStore(Protocol):
    """Where connections live. Every verb is one atomic step; one that cannot serve raises."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def load(self, tenant_id: str, provider: str) -> ConnectionRecord | None:
        """The record, or None."""
        ...

    async def swap_if(self, record: ConnectionRecord, check: Check | None = None) -> bool:
        """Stores `record` as version + 1 if the row still stands at `record.version` (0: is missing).

        With it goes `check`: the newest 50 of a connection are kept, and 90 days of daily counts.
        """
        ...

    async def claim_due(self, now: datetime, until: datetime, limit: int) -> list[ConnectionRecord]:
        """Leases up to `limit` records whose check is due and which nobody else has leased, the longest due first."""
        ...

    async def checks(self, tenant_id: str, provider: str) -> list[Check]:
        """What is kept of checks, the newest first."""
        ...

    async def days(self, tenant_id: str, provider: str) -> list[Day]:
        """The daily counts, the oldest first."""
        ...

    async def list(self, tenant_id: str | None) -> list[ConnectionRecord]:
        """All records of a tenant by provider, or of all tenants by tenant and provider."""
        ...
