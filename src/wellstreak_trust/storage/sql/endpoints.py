"""Webhook endpoints in SQL: one row each, swapped under its version; the last delivery stands in columns of its own."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Index, RowMapping, Table, Text, or_, select, update

from ...core.clock import from_micros, to_micros
from ...webhooks.endpoint_store import EndpointKey, EndpointRow
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlEndpointStore"]

_ROWS: Final = Table(
    "wst_webhook_endpoint",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("keys", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("last_at", BigInteger),
    Column("last_outcome", Text, nullable=False),
    Index("wst_webhook_endpoint_tenant", "tenant_id", "created_at"),
)
_C: Final = _ROWS.c


class SqlEndpointStore:
    """`EndpointStore` over a SQL port."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def by_token(self, token_hash: str) -> EndpointRow | None:
        """See `EndpointStore`."""
        return await self._one(select(_ROWS).where(_C.token_hash == token_hash))

    async def by_id(self, tenant_id: str, id: str) -> EndpointRow | None:
        """See `EndpointStore`."""
        return await self._one(select(_ROWS).where(_C.tenant_id == tenant_id, _C.id == id))

    async def swap_if(self, row: EndpointRow) -> bool:
        """See `EndpointStore`."""
        values = _values(row)

        def work(connection: Connection) -> bool:
            if row.version == 0:
                fresh = values | {"id": row.id, "last_at": None, "last_outcome": ""}
                added = insert(connection, _ROWS).values(fresh).on_conflict_do_nothing().returning(_C.version)
                return connection.execute(added).first() is not None  # drivers disagree on the rowcount of an INSERT
            stands = (_C.id == row.id) & (_C.version == row.version)
            return connection.execute(update(_ROWS).where(stands).values(values)).rowcount == 1

        return await self._database.run(work)

    async def note(self, id: str, at: datetime, outcome: str) -> None:
        """See `EndpointStore`."""
        later = or_(_C.last_at.is_(None), _C.last_at <= to_micros(at))
        noted = update(_ROWS).where(_C.id == id, later).values(last_at=to_micros(at), last_outcome=outcome)
        await self._database.run(lambda connection: connection.execute(noted))

    async def list(self, tenant_id: str) -> tuple[EndpointRow, ...]:
        """See `EndpointStore`."""
        query = select(_ROWS).where(_C.tenant_id == tenant_id).order_by(_C.created_at, _C.id)
        rows = await self._database.run(lambda c: c.execute(query).mappings().all(), read=True)
        return tuple(map(_row, rows))

    async def _one(self, query: Any) -> EndpointRow | None:
        found = await self._database.run(lambda c: c.execute(query).mappings().first(), read=True)
        return None if found is None else _row(found)


def _values(row: EndpointRow) -> dict[str, Any]:
    return {
        "tenant_id": row.tenant_id,
        "provider": row.provider,
        "token_hash": row.token_hash,
        "url": row.url,
        "status": row.status,
        "keys": json.dumps([[key.version, key.until and to_micros(key.until)] for key in row.keys]),
        "created_at": to_micros(row.created_at),
        "version": row.version + 1,
    }


def _row(found: RowMapping) -> EndpointRow:
    keys = [EndpointKey(version, from_micros(until) if until else None) for version, until in json.loads(found["keys"])]
    return EndpointRow(
        found["id"],
        found["tenant_id"],
        found["provider"],
        found["token_hash"],
        found["url"],
        found["status"],
        tuple(keys),
        from_micros(found["created_at"]),
        found["version"],
        from_micros(found["last_at"]) if found["last_at"] is not None else None,
        found["last_outcome"],
    )
