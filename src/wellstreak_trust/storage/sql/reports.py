"""Vulnerability reports in SQL: the digest of the id, the state, and no word of what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Integer, Table, Text, select, update

from ...core.clock import from_micros, to_micros
from ...disclosure.store import ReportRow
from ...disclosure.ticket import ReportState
from .database import SqlPort
from .schema import metadata

__all__ = ["SqlReportStore"]

_ROWS: Final = Table(
    "wst_disclosure",
    metadata,
    Column("key", Text, primary_key=True),
    Column("state", Text, nullable=False, index=True),
    Column("received_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("impact", Text, nullable=False),
    Column("severity", Text),
    Column("weakness", Text),
    Column("embargo_until", BigInteger, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("content", Text),
    Column("notes", Text, nullable=False),
)
_TIMES: Final = ("received_at", "updated_at", "embargo_until")


class SqlReportStore:
    """`ReportStore` over a SQL port."""

    def __init__(self, database: SqlPort) -> None:
        self._database: SqlPort = database
        self.suspends: bool = database.suspends

    async def add(self, row: ReportRow) -> None:
        """See `ReportStore`."""
        found = {name: getattr(row, name) for name in row.__dataclass_fields__}
        found |= {name: to_micros(found[name]) for name in _TIMES}
        found["notes"] = json.dumps(list(row.notes))
        await self._database.run(lambda c: c.execute(_ROWS.insert().values(found)))

    async def swap_if(self, key: str, from_state: ReportState, to_state: ReportState, at: datetime) -> bool:
        """See `ReportStore`."""
        here = (_ROWS.c.key == key) & (_ROWS.c.state == from_state)
        change = update(_ROWS).where(here).values(state=to_state, updated_at=to_micros(at))
        return await self._database.run(lambda c: c.execute(change).rowcount == 1)

    async def get(self, key: str) -> ReportRow | None:
        """See `ReportStore`."""
        query = select(_ROWS).where(_ROWS.c.key == key)
        row = await self._database.run(lambda c: c.execute(query).mappings().first(), read=True)
        return None if row is None else _row(row)

    async def note(self, key: str, text: str, at: datetime) -> bool:
        """See `ReportStore`."""

        def work(connection: Connection) -> bool:
            query = select(_ROWS.c.notes).where(_ROWS.c.key == key).with_for_update()
            held = connection.execute(query).scalar()
            if held is None:
                return False
            notes = json.dumps([*json.loads(held), text])
            change = update(_ROWS).where(_ROWS.c.key == key).values(notes=notes, updated_at=to_micros(at))
            return connection.execute(change).rowcount == 1

        return await self._database.run(work)

    async def list(self, state: ReportState | None, limit: int) -> list[ReportRow]:
        """See `ReportStore`."""
        query = select(_ROWS).order_by(_ROWS.c.received_at).limit(limit)
        query = query if state is None else query.where(_ROWS.c.state == state)
        rows = await self._database.run(lambda c: c.execute(query).mappings().all(), read=True)
        return [_row(row) for row in rows]


def _row(row: Mapping[Any, Any]) -> ReportRow:
    found: dict[str, Any] = {str(name): value for name, value in row.items()}
    found |= {name: from_micros(found[name]) for name in _TIMES}
    found["notes"] = tuple(json.loads(found["notes"]))
    return ReportRow(**found)
