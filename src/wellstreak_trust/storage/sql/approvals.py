"""Approvals in SQL: one row each. Confirming is one UPDATE and using up one DELETE, which one caller wins."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, LargeBinary, Row, Table, Text, delete, select, update

from ...authz.approval_store import ApprovalRow
from ...core.clock import from_micros, to_micros
from .database import SqlPort
from .schema import metadata

__all__ = ["SqlApprovalStore"]

_APPROVALS: Final = Table(
    "wst_approvals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("permission", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("confirmed_by", Text),
)
_C: Final = _APPROVALS.c


class SqlApprovalStore:
    """`ApprovalStore` over SQLite or PostgreSQL, blocking or asynchronous."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def add(self, row: ApprovalRow, /) -> None:
        """See `ApprovalStore`."""
        added = _APPROVALS.insert().values(
            id=row.id,
            digest=row.digest,
            tenant_id=row.tenant_id,
            permission=row.permission,
            by=row.by,
            subject_id=row.subject_id,
            subject_kind=row.subject_kind,
            actor_id=row.actor_id,
            requested_at=to_micros(row.requested_at),
            expires_at=to_micros(row.expires_at),
            confirmed_by=row.confirmed_by,
        )
        await self._database.run(lambda c: c.execute(added))

    async def read(self, id: str, /) -> ApprovalRow | None:
        """See `ApprovalStore`."""
        wanted = select(_APPROVALS).where(_C.id == id)
        found = await self._database.run(lambda c: c.execute(wanted).one_or_none(), read=True)
        return None if found is None else _row(found)

    async def confirm_if(self, id: str, by: str, now: datetime, /) -> bool:
        """See `ApprovalStore`."""
        standing = (_C.id == id) & _C.confirmed_by.is_(None) & (_C.expires_at > to_micros(now))
        confirmed = update(_APPROVALS).where(standing).values(confirmed_by=by)
        return await self._database.run(lambda c: c.execute(confirmed).rowcount == 1)

    async def consume_if(self, id: str, digest: bytes, now: datetime, /) -> bool:
        """See `ApprovalStore`."""
        standing = (_C.id == id) & _C.confirmed_by.is_not(None) & (_C.expires_at > to_micros(now))
        used = delete(_APPROVALS).where(standing & (_C.digest == digest))
        return await self._database.run(lambda c: c.execute(used).rowcount == 1)

    async def withdraw(self, id: str, /) -> bool:
        """See `ApprovalStore`."""
        gone = delete(_APPROVALS).where(_C.id == id)
        return await self._database.run(lambda c: c.execute(gone).rowcount == 1)

    async def sweep(self, now: datetime, /) -> int:
        """See `ApprovalStore`."""
        gone = delete(_APPROVALS).where(_C.expires_at <= to_micros(now))
        return await self._database.run(lambda c: c.execute(gone).rowcount)


def _row(found: Row[Any]) -> ApprovalRow:
    return ApprovalRow(
        found.id,
        bytes(found.digest),
        found.tenant_id,
        found.permission,
        found.by,
        found.subject_id,
        found.subject_kind,
        found.actor_id,
        from_micros(found.requested_at),
        from_micros(found.expires_at),
        found.confirmed_by,
    )
