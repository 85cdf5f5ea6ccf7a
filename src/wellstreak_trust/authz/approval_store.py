"""What `Approvals` keeps, and the port it keeps it behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Protocol

__all__ = ["ApprovalRow", "ApprovalStore", "MemoryApprovalStore"]


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """A wish to do one thing once.

    Args:
        id: 128 random bits, hex.
        digest: SHA-256 of the operation: who, through whom, what, on what, with which arguments.
        tenant_id: where; empty for the platform.
        permission, by: what is wanted, and what its approver must hold.
        subject_id, subject_kind, actor_id: who asked, as what, and who stands behind (empty for nobody).
        confirmed_by: the approver's id; None while nobody has confirmed.
    """

    id: str
    digest: bytes
    tenant_id: str
    permission: str
    by: str
    subject_id: str
    subject_kind: str
    actor_id: str
    requested_at: datetime
    expires_at: datetime
    confirmed_by: str | None = None


class ApprovalStore(Protocol):
    """Keeps approvals. Every verb is atomic."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def add(self, row: ApprovalRow, /) -> None:
        """Keeps a new one."""
        ...

    async def read(self, id: str, /) -> ApprovalRow | None:
        """The one of this id, used up ones not."""
        ...

    async def confirm_if(self, id: str, by: str, now: datetime, /) -> bool:
        """Notes the approver if it stands unconfirmed and unexpired; tells whether. One of many callers wins."""
        ...

    async def consume_if(self, id: str, digest: bytes, now: datetime, /) -> bool:
        """Uses it up if it stands confirmed, unexpired and for this operation; tells whether. One caller wins."""
        ...

    async def withdraw(self, id: str, /) -> bool:
        """Forgets it; tells whether it was there."""
        ...

    async def sweep(self, now: datetime, /) -> int:
        """Forgets what expired by `now`; returns how many."""
        ...


class MemoryApprovalStore:
    """Approvals in a dictionary.

    Args:
        allow_memory: says that losing every open approval with the process is acceptable in production.
    """

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._rows: dict[str, ApprovalRow] = {}

    async def add(self, row: ApprovalRow, /) -> None:
        """See `ApprovalStore`."""
        with self._lock:
            self._rows[row.id] = row

    async def read(self, id: str, /) -> ApprovalRow | None:
        """See `ApprovalStore`."""
        return self._rows.get(id)

    async def confirm_if(self, id: str, by: str, now: datetime, /) -> bool:
        """See `ApprovalStore`."""
        with self._lock:
            row = self._rows.get(id)
            if row is None or row.confirmed_by is not None or row.expires_at <= now:
                return False
            self._rows[id] = replace(row, confirmed_by=by)
            return True

    async def consume_if(self, id: str, digest: bytes, now: datetime, /) -> bool:
        """See `ApprovalStore`."""
        with self._lock:
            row = self._rows.get(id)
            if row is None or row.confirmed_by is None or row.expires_at <= now or row.digest != digest:
                return False
            del self._rows[id]
            return True

    async def withdraw(self, id: str, /) -> bool:
        """See `ApprovalStore`."""
        with self._lock:
            return self._rows.pop(id, None) is not None

    async def sweep(self, now: datetime, /) -> int:
        """See `ApprovalStore`."""
        with self._lock:
            over = [id for id, row in self._rows.items() if row.expires_at <= now]
            for id in over:
                del self._rows[id]
            return len(over)
