"""What a witness cosigned last, in SQL: one row for each log, replaced by one conditional statement."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Connection, LargeBinary, Table, Text, select

from ...audit.witness_store import Witnessed
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlWitnessStore"]

_ROWS: Final = Table(
    "wst_witness",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
)
_C: Final = _ROWS.c


class SqlWitnessStore:
    """`WitnessStore` over a SQL port."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def latest(self, origin: str) -> Witnessed | None:
        """See `WitnessStore`."""
        wanted = select(_C.size, _C.root, _C.note).where(_C.origin == origin)

        def work(connection: Connection) -> Witnessed | None:
            row = connection.execute(wanted).one_or_none()
            return None if row is None else Witnessed(row.size, row.root, row.note)

        return await self._database.run(work, read=True)

    async def swap_if(self, origin: str, old: Witnessed | None, new: Witnessed) -> bool:
        """See `WitnessStore`."""
        values = {"size": new.size, "root": new.root, "note": new.note}

        def work(connection: Connection) -> bool:
            if old is None:
                first = insert(connection, _ROWS).values(origin=origin, **values).on_conflict_do_nothing()
                return connection.scalar(first.returning(_C.size)) is not None
            stands = (_C.origin == origin, _C.size == old.size, _C.root == old.root, _C.note == old.note)
            return connection.execute(_ROWS.update().where(*stands).values(**values)).rowcount == 1

        return await self._database.run(work)
