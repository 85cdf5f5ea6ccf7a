"""The outbox in SQL: events appended by the transaction that they tell of.

A store calls `append(connection, events)` inside its own work; a host that changes tables of its own in the same
transaction takes ``SqlOutbox(database.join(connection))``. Places come from the database's counter: writers that hold
their tenant's lock while they append are read in the order of their commits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, Table, Text, select

from ...core.event import AuditEvent
from ...core.outbox import event_from, event_text
from ...core.sansio import synced
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlOutbox", "append"]

_OUTBOX: Final = Table(
    "wst_outbox",
    metadata,
    Column("place", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("tenant_id", Text, nullable=False),
    Column("event", LargeBinary, nullable=False),
    Column("parked", Text),
)


def append(connection: Connection, events: Iterable[AuditEvent]) -> None:
    """Appends events inside the transaction of `connection`, in their order; an id that waits already stays as it is.

    Raises:
        UsageError: an event that cannot be written.
    """
    for event in events:
        row = {"id": event.id, "tenant_id": event.tenant_id, "event": event_text(event)}
        connection.execute(insert(connection, _OUTBOX).values(row).on_conflict_do_nothing(index_elements=["id"]))


class SqlOutbox:
    """`Outbox` over SQLite or PostgreSQL, blocking or asynchronous.

    Args:
        database: of the store whose changes are told; a joined one appends to the host's own transaction.
    """

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self.joined: bool = getattr(database, "joined", False)
        self._database: SqlPort = database

    async def aemit(self, event: AuditEvent, /) -> None:
        """See `Outbox`."""
        await self._database.run(lambda connection: append(connection, (event,)))

    emit: Final = synced(aemit)

    async def waiting(self, limit: int, /) -> list[AuditEvent]:
        """See `Outbox`."""
        query = select(_OUTBOX.c.event).where(_OUTBOX.c.parked.is_(None)).order_by(_OUTBOX.c.place).limit(limit)
        texts = await self._database.run(lambda connection: connection.scalars(query).all(), read=True)
        return [event_from(text) for text in texts]

    async def settle(self, ids: Iterable[str], /) -> None:
        """See `Outbox`."""
        gone = _OUTBOX.delete().where(_OUTBOX.c.id.in_(list(ids)))
        await self._database.run(lambda connection: connection.execute(gone))

    async def park(self, id: str, code: str, /) -> None:
        """See `Outbox`."""
        aside = _OUTBOX.update().where(_OUTBOX.c.id == id).values(parked=code)
        await self._database.run(lambda connection: connection.execute(aside))

    async def aparked(self) -> list[tuple[str, str]]:
        """Id and refusal code of what was set aside, oldest first, for an operator."""
        query = select(_OUTBOX.c.id, _OUTBOX.c.parked).where(_OUTBOX.c.parked.is_not(None)).order_by(_OUTBOX.c.place)
        rows = await self._database.run(lambda connection: connection.execute(query).all(), read=True)
        return [(row.id, row.parked) for row in rows]

    parked: Final = synced(aparked)
