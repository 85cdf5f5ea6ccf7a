"""Replay keys in SQL: one upsert decides who processes a delivery.

Over ``database.join(connection)`` the key and the host's own writes are one transaction: both stand or neither does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Index,
    Table,
    Text,
    and_,
    delete,
    select,
    update,
)

from ...core.clock import to_micros
from ...webhooks.replay_store import Held
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlReplayStore"]

_ROWS: Final = Table(
    "wst_replay",
    metadata,
    Column("key", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("until", BigInteger, nullable=False),
    Index("wst_replay_until", "until"),
)
_C: Final = _ROWS.c


class SqlReplayStore:
    """`ReplayStore` over a SQL port."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def claim(self, key: str, owner: str, *, now: datetime, until: datetime) -> Held:
        """As `ReplayStore.claim`; one that meets an open transaction on the key waits for its end."""
        row = {"owner": owner, "done": False, "until": to_micros(until)}

        def work(connection: Connection) -> Held:
            taken = connection.scalar(
                insert(connection, _ROWS)
                .values(key=key, **row)
                .on_conflict_do_update(index_elements=["key"], set_=row, where=_C.until <= to_micros(now))
                .returning(_C.key)
            )
            if taken is not None:
                return Held.MINE
            done = connection.scalar(select(_C.done).where(_C.key == key))
            return Held.DONE if done else Held.ANOTHER

        return await self._database.run(work)

    async def commit(self, key: str, owner: str, *, now: datetime, until: datetime) -> bool:
        """As `ReplayStore.commit`."""
        done = update(_ROWS).where(_held(key, owner, now)).values(done=True, until=to_micros(until))
        return await self._database.run(lambda connection: connection.execute(done).rowcount == 1)

    async def release(self, key: str, owner: str, *, now: datetime) -> bool:
        """As `ReplayStore.release`."""
        gone = delete(_ROWS).where(_held(key, owner, now))
        return await self._database.run(lambda connection: connection.execute(gone).rowcount == 1)

    async def sweep(self, now: datetime) -> int:
        """As `ReplayStore.sweep`; run it daily."""
        old = delete(_ROWS).where(_C.until <= to_micros(now))
        return await self._database.run(lambda connection: connection.execute(old).rowcount)


def _held(key: str, owner: str, now: datetime) -> ColumnElement[bool]:
    return and_(_C.key == key, _C.owner == owner, _C.done.is_(False), _C.until > to_micros(now))
