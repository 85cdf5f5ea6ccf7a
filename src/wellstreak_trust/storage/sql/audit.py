"""The audit trees in SQL.

One append is one transaction that locks the tenant's head row first, so that two writers cannot take the same place.
Duplicates are found by the unique key: only an append that hits it goes a second, careful way. No foreign key leads to
tenants: deleting a tenant must not delete what happened to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    LargeBinary,
    Select,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.exc import IntegrityError

from ...audit.event import Draft
from ...audit.query import Query
from ...audit.store import Batch, Head, Leaf, Signed, by_tenant, sequence, split_known
from ...audit.tiles import TILE_WIDTH
from ...audit.tree import HASH_OCTETS
from ...core.errors import AuditForkDetected
from ...core.sansio import suspends
from .audit_search import conditions
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlAuditStore"]

_LEAF: Final = Table(
    "wst_audit_leaf",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("content_digest", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    UniqueConstraint("tenant_id", "id", name="wst_audit_leaf_id"),
    Index("wst_audit_leaf_occurred", "tenant_id", "occurred_at"),
)
_HEAD: Final = Table(
    "wst_audit_head",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("edge", LargeBinary, nullable=False),
)
_TILE: Final = Table(
    "wst_audit_tile",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("level", BigInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)
_SIGNED: Final = Table(
    "wst_audit_signed",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
)
_COLUMNS: Final = tuple(_LEAF.c[name] for name in Leaf._fields)
_PLACE: Final = ("tenant_id", "level", "idx")
_MILLISECOND: Final = timedelta(milliseconds=1)


class SqlAuditStore:
    """`AuditStore` over a `Database`, `AsyncDatabase` or ``Database.threaded()``."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = suspends(database)
        self._database: SqlPort = database

    async def append_batch(
        self, drafts: Sequence[Draft], *, now: Callable[[], datetime], deadline: timedelta
    ) -> list[Leaf]:
        """As `AuditStore.append_batch`."""
        groups = by_tenant(drafts)

        def work(connection: Connection, careful: bool = False) -> list[Leaf]:
            _bound_waiting(connection, deadline)
            found: dict[tuple[str, str], Leaf] = {}
            for tenant_id, group in groups:
                for leaf in _append(connection, tenant_id, group, now, careful=careful):
                    found[tenant_id, leaf.id] = leaf
            return [found[draft.tenant_id, draft.id] for draft in drafts]

        try:
            return await self._database.run(work)
        except IntegrityError:  # an id stands already, or the tree has leaves that its head does not know
            return await self._careful(work)

    async def _careful(self, work: Callable[[Connection, bool], list[Leaf]]) -> list[Leaf]:
        try:
            return await self._database.run(lambda connection: work(connection, True))
        except IntegrityError:
            raise AuditForkDetected("a leaf stands where the tree ends", hint="run verify on this log") from None

    async def head(self, tenant_id: str) -> Head:
        """As `AuditStore.head`."""
        return await self._database.run(lambda connection: _head(connection, tenant_id) or Head(), read=True)

    async def leaves(self, tenant_id: str, start: int, stop: int) -> list[Leaf]:
        """As `AuditStore.leaves`."""
        wanted = (
            select(*_COLUMNS)
            .where(_LEAF.c.tenant_id == tenant_id, _LEAF.c.seq >= start, _LEAF.c.seq < stop)
            .order_by(_LEAF.c.seq)
        )
        return await self._database.run(lambda connection: _leaves(connection, wanted), read=True)

    async def find(self, tenant_id: str, query: Query, start: int, stop: int, limit: int) -> list[Leaf]:
        """As `audit.query.Searchable.find`."""

        def work(connection: Connection) -> list[Leaf]:
            narrowed = (
                select(*_COLUMNS)
                .where(_LEAF.c.tenant_id == tenant_id, _LEAF.c.seq >= start, _LEAF.c.seq < stop)
                .where(*conditions(query, _LEAF, connection.dialect.name))
                .order_by(_LEAF.c.seq.desc())
                .limit(limit)
            )
            return _leaves(connection, narrowed)

        return await self._database.run(work, read=True)

    async def tile(self, tenant_id: str, level: int, index: int) -> bytes:
        """As `AuditStore.tile`."""
        return await self._database.run(lambda connection: _tile(connection, tenant_id, level, index), read=True)

    async def signed(self, origin: str) -> Signed | None:
        """As `AuditStore.signed`."""
        wanted = select(_SIGNED.c.size, _SIGNED.c.root, _SIGNED.c.note).where(_SIGNED.c.origin == origin)

        def work(connection: Connection) -> Signed | None:
            row = connection.execute(wanted).one_or_none()
            return None if row is None else Signed(row.size, row.root, row.note)

        return await self._database.run(work, read=True)

    async def swap_signed_if(self, origin: str, old: Signed | None, new: Signed) -> bool:
        """As `AuditStore.swap_signed_if`."""
        values = {"size": new.size, "root": new.root, "note": new.note}

        def work(connection: Connection) -> bool:
            if old is None:
                first = insert(connection, _SIGNED).values(origin=origin, **values).on_conflict_do_nothing()
                return connection.scalar(first.returning(_SIGNED.c.size)) is not None
            same = (_SIGNED.c.origin == origin, _SIGNED.c.size == old.size, _SIGNED.c.note == old.note)
            return connection.execute(_SIGNED.update().where(*same).values(**values)).rowcount == 1

        return await self._database.run(work)


def _bound_waiting(connection: Connection, deadline: timedelta) -> None:
    """PostgreSQL waits for ever on a row lock unless told otherwise; SQLite has its busy timeout."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.set_config("lock_timeout", f"{deadline // _MILLISECOND}ms", True)))


def _append(
    connection: Connection, tenant_id: str, group: list[Draft], now: Callable[[], datetime], *, careful: bool
) -> list[Leaf]:
    head = _locked_head(connection, tenant_id)
    standing: list[Leaf] = []
    if careful:
        known = _leaves(
            connection,
            select(*_COLUMNS).where(_LEAF.c.tenant_id == tenant_id, _LEAF.c.id.in_([draft.id for draft in group])),
        )
        group, standing = split_known(group, {leaf.id: leaf for leaf in known})
    if not group:
        return standing
    batch = sequence(head, group, now())
    connection.execute(_LEAF.insert(), [leaf._asdict() for leaf in batch.leaves])
    _keep_tiles(connection, tenant_id, batch)
    connection.execute(
        _HEAD.update()
        .where(_HEAD.c.tenant_id == tenant_id)
        .values(size=batch.head.size, root=batch.head.root, edge=b"".join(batch.head.edge))
    )
    return standing + batch.leaves


def _locked_head(connection: Connection, tenant_id: str) -> Head:
    """The head under its write lock, checked against the leaves: a tree that lost its tail is not continued."""
    head = _head(connection, tenant_id, lock=True)
    if head is None:
        first = insert(connection, _HEAD).values(tenant_id=tenant_id, size=0, root=Head().root, edge=b"")
        connection.execute(first.on_conflict_do_nothing())
        head = _head(connection, tenant_id, lock=True) or Head()
    last = connection.scalar(select(func.max(_LEAF.c.seq)).where(_LEAF.c.tenant_id == tenant_id))
    if (last if last is not None else -1) != head.size - 1 or len(head.edge) != head.size.bit_count():
        raise AuditForkDetected("the leaves do not end where the head says", hint="run verify on this log")
    return head


def _head(connection: Connection, tenant_id: str, *, lock: bool = False) -> Head | None:
    wanted = select(_HEAD.c.size, _HEAD.c.root, _HEAD.c.edge).where(_HEAD.c.tenant_id == tenant_id)
    row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    if row is None:
        return None
    edge = tuple(row.edge[at : at + HASH_OCTETS] for at in range(0, len(row.edge), HASH_OCTETS))
    return Head(row.size, row.root, edge)


def _leaves(connection: Connection, wanted: Select[Any]) -> list[Leaf]:
    return [Leaf(*row) for row in connection.execute(wanted)]


def _keep_tiles(connection: Connection, tenant_id: str, batch: Batch) -> None:
    """Full tiles of level 0 as one row each, so that a proof reads a few rows; upper levels grow in place."""
    first = batch.leaves[0].seq // TILE_WIDTH
    for index in range(first, batch.head.size // TILE_WIDTH):
        hashes = _leaf_hashes(connection, tenant_id, index)
        connection.execute(_TILE.insert().values(tenant_id=tenant_id, level=0, idx=index, hashes=hashes))
    for level, place, node in batch.tiles:
        index = place // TILE_WIDTH
        hashes = (_stored_tile(connection, tenant_id, level, index) or b"") + node
        grown = insert(connection, _TILE).values(tenant_id=tenant_id, level=level, idx=index, hashes=hashes)
        connection.execute(grown.on_conflict_do_update(index_elements=_PLACE, set_={"hashes": hashes}))


def _tile(connection: Connection, tenant_id: str, level: int, index: int) -> bytes:
    stored = _stored_tile(connection, tenant_id, level, index)
    if stored is None and level == 0:
        return _leaf_hashes(connection, tenant_id, index)
    return stored or b""


def _stored_tile(connection: Connection, tenant_id: str, level: int, index: int) -> bytes | None:
    here = (_TILE.c.tenant_id == tenant_id, _TILE.c.level == level, _TILE.c.idx == index)
    found: bytes | None = connection.scalar(select(_TILE.c.hashes).where(*here))
    return found


def _leaf_hashes(connection: Connection, tenant_id: str, index: int) -> bytes:
    start = index * TILE_WIDTH
    here = (_LEAF.c.tenant_id == tenant_id, _LEAF.c.seq >= start, _LEAF.c.seq < start + TILE_WIDTH)
    return b"".join(connection.scalars(select(_LEAF.c.leaf_hash).where(*here).order_by(_LEAF.c.seq)))
