"""Recipients of our webhooks in SQL: one row each, counted up by one upsert."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Integer, Table, Text, delete, func, select, update

from ...core.clock import from_micros, to_micros
from ...webhooks.recipients import RecipientHealth
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlRecipientStore"]

_ROWS: Final = Table(
    "wst_webhook_recipient",
    metadata,
    Column("id", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("failing_since", BigInteger),
    Column("failed_at", BigInteger),
    Column("disabled", Text, nullable=False),
)
_C: Final = _ROWS.c
_HEALTHY: Final = {"failures": 0, "failing_since": None, "failed_at": None}


class SqlRecipientStore:
    """`RecipientStore` over a SQL port."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def load(self, id: str) -> RecipientHealth:
        """See `RecipientStore`."""
        found = await self._database.run(
            lambda c: c.execute(select(_ROWS).where(_C.id == id)).mappings().first(), read=True
        )
        return RecipientHealth() if found is None else _health(found)

    async def failed(self, id: str, at: datetime) -> RecipientHealth:
        """See `RecipientStore`."""
        now = to_micros(at)

        def work(connection: Connection) -> RecipientHealth:
            first = {"id": id, "failures": 1, "failing_since": now, "failed_at": now, "disabled": ""}
            more = {
                "failures": _C.failures + 1,
                "failing_since": func.coalesce(_C.failing_since, now),
                "failed_at": now,
            }
            counted = insert(connection, _ROWS).values(first)
            counted = counted.on_conflict_do_update(index_elements=["id"], set_=more).returning(*_C)
            return _health(connection.execute(counted).mappings().one())

        return await self._database.run(work)

    async def succeeded(self, id: str) -> None:
        """See `RecipientStore`."""
        healed = update(_ROWS).where(_C.id == id, _C.failures > 0).values(_HEALTHY)
        await self._database.run(lambda connection: connection.execute(healed))

    async def disable(self, id: str, reason: str) -> bool:
        """See `RecipientStore`."""

        def work(connection: Connection) -> bool:
            row = insert(connection, _ROWS).values({"id": id, "disabled": reason, **_HEALTHY})
            standing = row.on_conflict_do_update(
                index_elements=["id"], set_={"disabled": reason}, where=_C.disabled == ""
            )
            return connection.execute(standing.returning(_C.id)).first() is not None

        return await self._database.run(work)

    async def enable(self, id: str) -> None:
        """See `RecipientStore`."""
        gone = delete(_ROWS).where(_C.id == id)
        await self._database.run(lambda connection: connection.execute(gone))


def _health(row: Any) -> RecipientHealth:
    return RecipientHealth(row["failures"], _moment(row["failing_since"]), _moment(row["failed_at"]), row["disabled"])


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
