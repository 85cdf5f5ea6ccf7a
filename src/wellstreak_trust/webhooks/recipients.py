"""What is known of those that we send webhooks to, and what the sender asks of a store for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Protocol

__all__ = ["MemoryRecipientStore", "RecipientHealth", "RecipientStore"]


@dataclass(frozen=True, slots=True)
class RecipientHealth:
    """How deliveries to one recipient go.

    Args:
        failures: in a row, since the last success.
        failing_since, failed_at: the first and the last of them.
        disabled: why nothing is sent any more; empty while deliveries go out.
    """

    failures: int = 0
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    disabled: str = ""


class RecipientStore(Protocol):
    """Every verb is one atomic decision by the store; an id that was never seen is healthy."""

    async def load(self, id: str) -> RecipientHealth:
        """What is known."""
        ...

    async def failed(self, id: str, at: datetime) -> RecipientHealth:
        """One more failure in a row; returns what is known now."""
        ...

    async def succeeded(self, id: str) -> None:
        """Failures are forgotten; a disabled recipient stays disabled."""
        ...

    async def disable(self, id: str, reason: str) -> bool:
        """Nothing is sent any more; False if that was so before."""
        ...

    async def enable(self, id: str) -> None:
        """Deliveries go out again, and failures are forgotten."""
        ...


class MemoryRecipientStore:
    """`RecipientStore` in this process: for tests, demos and hosts of one process."""

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._rows: dict[str, RecipientHealth] = {}

    async def load(self, id: str) -> RecipientHealth:
        """See `RecipientStore`."""
        with self._lock:
            return self._rows.get(id, RecipientHealth())

    async def failed(self, id: str, at: datetime) -> RecipientHealth:
        """See `RecipientStore`."""
        with self._lock:
            row = self._rows.get(id, RecipientHealth())
            since = row.failing_since or at
            self._rows[id] = replace(row, failures=row.failures + 1, failing_since=since, failed_at=at)
            return self._rows[id]

    async def succeeded(self, id: str) -> None:
        """See `RecipientStore`."""
        with self._lock:
            self._rows[id] = RecipientHealth(disabled=self._rows.get(id, RecipientHealth()).disabled)

    async def disable(self, id: str, reason: str) -> bool:
        """See `RecipientStore`."""
        with self._lock:
            row = self._rows.get(id, RecipientHealth())
            if not row.disabled:
                self._rows[id] = replace(row, disabled=reason)
            return not row.disabled

    async def enable(self, id: str) -> None:
        """See `RecipientStore`."""
        with self._lock:
            self._rows.pop(id, None)
