"""Ids of DPoP proofs in SQL: one upsert takes an id, and one caller wins it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Column, Connection, LargeBinary, Table, delete

from ...core.clock import to_micros
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlDpopStore"]

_TAKEN: Final = Table(
    "wst_dpop",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),
    Column("until", BigInteger, nullable=False, index=True),
)
_C: Final = _TAKEN.c


class SqlDpopStore:
    """`DpopStore` over SQLite or PostgreSQL, blocking or asynchronous. Sweep it now and then."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def claim(self, key: bytes, /, *, now: datetime, until: datetime) -> bool:
        """See `DpopStore`."""
        row = {"until": to_micros(until)}

        def work(connection: Connection) -> bool:
            taken = insert(connection, _TAKEN).values(key=key, **row)
            ended = taken.on_conflict_do_update(index_elements=["key"], set_=row, where=_C.until <= to_micros(now))
            return connection.execute(ended.returning(_C.key)).first() is not None

        return await self._database.run(work)

    async def sweep(self, now: datetime, /) -> int:
        """See `DpopStore`."""
        gone = delete(_TAKEN).where(_C.until <= to_micros(now))
        return await self._database.run(lambda connection: connection.execute(gone).rowcount)
