"""The connection store in memory, for tests and single-process hosts."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Protocol

from .state import ConnectionRecord

__all__ = ["ConnectionStore", "MemoryConnectionStore"]


class ConnectionStore(Protocol):
    """Where records live. Every verb is atomic."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def load(self, tenant_id: str, provider: str) -> ConnectionRecord | None:
        """The record, or None."""
        ...

    async def swap_if(self, record: ConnectionRecord) -> bool:
        """Stores `record` as version + 1 if the row still stands at `record.version` (0: is missing)."""
        ...

    async def list(self, tenant_id: str) -> list[ConnectionRecord]:
        """All records of a tenant, by provider."""
        ...


class MemoryConnectionStore:
    """A dictionary and a lock."""

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: threading.Lock = threading.Lock()
        self._rows: dict[tuple[str, str], ConnectionRecord] = {}

    async def load(self, tenant_id: str, provider: str) -> ConnectionRecord | None:
        """The record, or None."""
        return self._rows.get((tenant_id, provider))

    async def swap_if(self, record: ConnectionRecord) -> bool:
        """Stores `record` if nobody was faster."""
        key = (record.tenant_id, record.provider)
        with self._lock:
            held = self._rows.get(key)
            if (held.version if held is not None else 0) != record.version:
                return False
            self._rows[key] = replace(record, version=record.version + 1)
            return True

    async def list(self, tenant_id: str) -> list[ConnectionRecord]:
        """All records of a tenant, by provider."""
        return [row for key, row in sorted(self._rows.items()) if key[0] == tenant_id]
