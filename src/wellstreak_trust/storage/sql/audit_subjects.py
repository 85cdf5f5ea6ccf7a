"""Persons of the audit trail in SQL: keys, sealed values, legal holds, and how far each sink has come.

Whatever places a hold and whatever would delete under it lock the tenant's head row first, so that they cannot pass
each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.exc import OperationalError

from ...audit.store import EVERYBODY, SealedValue, require_free
from .audit_tables import CURSOR, DISCLOSURE, HEAD, HOLD, SUBJECT
from .database import SqlPort, insert
from .typed import of_types

__all__ = ["SqlSubjects", "holds_of"]


class SqlSubjects:
    """`audit.SubjectStore` and `audit.CursorStore`, as `SqlAuditStore` has them."""

    _database: SqlPort

    async def subject_key(self, tenant_id: str, subject: str, fresh: bytes) -> bytes:
        """As `SubjectStore.subject_key`."""
        wanted = select(SUBJECT.c.key).where(SUBJECT.c.tenant_id == tenant_id, SUBJECT.c.subject == subject)
        row = {"tenant_id": tenant_id, "subject": subject, "key": fresh}

        def look(connection: Connection) -> list[Row[Any]]:
            return [*connection.execute(wanted)]

        def work(connection: Connection) -> list[Row[Any]]:
            connection.execute(insert(connection, SUBJECT).values(row).on_conflict_do_nothing())
            return look(connection)

        found = await self._database.run(look, read=True) or await self._database.run(work)
        key: bytes = of_types(found[0], bytes)[0]
        return key

    async def disclosures(self, tenant_id: str, subject: str) -> list[tuple[int, bytes]]:
        """As `SubjectStore.disclosures`."""
        wanted = (
            select(DISCLOSURE.c.seq, DISCLOSURE.c.sealed)
            .where(DISCLOSURE.c.tenant_id == tenant_id, DISCLOSURE.c.subject == subject)
            .order_by(DISCLOSURE.c.seq, DISCLOSURE.c.place)
        )
        return await self._database.run(
            lambda connection: [(*of_types(row, int, bytes),) for row in connection.execute(wanted)], read=True
        )

    async def sealed(self, tenant_id: str, start: int, stop: int) -> list[SealedValue]:
        """As `SubjectStore.sealed`."""
        same = (SUBJECT.c.tenant_id == DISCLOSURE.c.tenant_id) & (SUBJECT.c.subject == DISCLOSURE.c.subject)
        wanted = (
            select(DISCLOSURE.c.seq, DISCLOSURE.c.subject, DISCLOSURE.c.sealed, SUBJECT.c.key)
            .join(SUBJECT, same)
            .where(DISCLOSURE.c.tenant_id == tenant_id, DISCLOSURE.c.seq >= start, DISCLOSURE.c.seq < stop)
            .order_by(DISCLOSURE.c.seq, DISCLOSURE.c.place)
        )
        return await self._database.run(
            lambda connection: [
                SealedValue(*of_types(row, int, str, bytes, bytes)) for row in connection.execute(wanted)
            ],
            read=True,
        )

    async def forget(self, tenant_id: str, subject: str) -> int:
        """As `SubjectStore.forget`."""

        def work(connection: Connection) -> int:
            _lock(connection, tenant_id)
            require_free(holds_of(connection, tenant_id, (subject, EVERYBODY)))
            gone = [
                connection.execute(delete(table).where(table.c.tenant_id == tenant_id, table.c.subject == subject))
                for table in (SUBJECT, DISCLOSURE)
            ]
            return gone[-1].rowcount

        count = await self._database.run(work)
        await self._database.run(_cut_wal, read=True)
        return count

    async def hold(self, tenant_id: str, subject: str, *, held: bool) -> bool:
        """As `SubjectStore.hold`."""
        row = {"tenant_id": tenant_id, "subject": subject}

        def work(connection: Connection) -> bool:
            _lock(connection, tenant_id)
            if held:
                placed = insert(connection, HOLD).values(row).on_conflict_do_nothing().returning(HOLD.c.subject)
                return connection.scalar(placed) is not None
            here = (HOLD.c.tenant_id == tenant_id, HOLD.c.subject == subject)
            return connection.execute(delete(HOLD).where(*here)).rowcount == 1

        return await self._database.run(work)

    async def holds(self, tenant_id: str) -> frozenset[str]:
        """As `SubjectStore.holds`."""
        return await self._database.run(lambda connection: holds_of(connection, tenant_id), read=True)

    async def cursor(self, sink: str, tenant_id: str) -> int:
        """As `CursorStore.cursor`."""
        wanted = select(CURSOR.c.seq).where(CURSOR.c.sink == sink, CURSOR.c.tenant_id == tenant_id)
        return await self._database.run(lambda connection: connection.scalar(wanted) or 0, read=True)

    async def move_cursor_if(self, sink: str, tenant_id: str, old: int, new: int) -> bool:
        """As `CursorStore.move_cursor_if`."""
        row = {"sink": sink, "tenant_id": tenant_id, "seq": new}

        def work(connection: Connection) -> bool:
            if old == 0:
                first = insert(connection, CURSOR).values(row).on_conflict_do_nothing().returning(CURSOR.c.seq)
                if connection.scalar(first) is not None:
                    return True
            here = (CURSOR.c.sink == sink, CURSOR.c.tenant_id == tenant_id, CURSOR.c.seq == old)
            return connection.execute(update(CURSOR).where(*here).values(seq=new)).rowcount == 1

        return await self._database.run(work)


def holds_of(connection: Connection, tenant_id: str, subjects: Sequence[str] = ()) -> frozenset[str]:
    """The holds of a tenant, or those among `subjects`."""
    wanted = select(HOLD.c.subject).where(HOLD.c.tenant_id == tenant_id)
    return frozenset(connection.scalars(wanted.where(HOLD.c.subject.in_(subjects)) if subjects else wanted))


def _cut_wal(connection: Connection) -> None:
    """SQLite's log still holds the pages as they were; the file itself is overwritten under ``secure_delete``.

    Somebody who reads at this moment keeps the log as it is; the next checkpoint of the database cuts it then.
    """
    if connection.dialect.name == "sqlite" and not connection.in_nested_transaction():
        with suppress(OperationalError):
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()


def _lock(connection: Connection, tenant_id: str) -> None:
    connection.execute(select(HEAD.c.size).where(HEAD.c.tenant_id == tenant_id).with_for_update())
