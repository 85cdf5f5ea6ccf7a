"""The audit trees in SQL.

One append is one transaction that locks the tenant's head row first, so that two writers cannot take the same place.
Duplicates are found by the unique key: only an append that hits it goes a second, careful way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Select, bindparam, delete, func, literal_column, select, update
from sqlalchemy.exc import IntegrityError

from ...audit.event import Draft
from ...audit.query import Query, Span
from ...audit.store import SPINE, Batch, Head, Leaf, Signed, by_tenant, prunable, require_free, sequence, split_known
from ...audit.tiles import TILE_WIDTH
from ...audit.tree import HASH_OCTETS
from ...core.errors import AuditForkDetected
from ...core.sansio import suspends
from .audit_search import conditions
from .audit_subjects import SqlSubjects, holds_of
from .audit_tables import DISCLOSURE, HEAD, LEAF, SIGNED, TILE
from .database import JoinedAsyncDatabase, JoinedDatabase, SqlPort, insert
from .outbox import SqlOutbox
from .prepared import Prepared, PreparedInsert
from .typed import of_types

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["SqlAuditStore"]

_COLUMNS: Final = tuple(LEAF.c[name] for name in Leaf._fields)
_LEAF_TYPES: Final = (str, int, str, str, str, str, int, bytes, bytes, bytes)
_MILLISECOND: Final = timedelta(milliseconds=1)
_BRIEF: Final = timedelta(seconds=1)  # for what can be done the next time
_STEP: Final = timedelta(milliseconds=50)  # ports are kept by how long they wait, so not for every microsecond
_FORK: Final = "run verify on this log"
_IDS: Final = 500  # in one IN (...); databases bound the number of parameters

_STATE: Final = (HEAD.c.size, HEAD.c.root, HEAD.c.edge, HEAD.c.recorded_at, HEAD.c.first_seq)
_HEAD_OF: Final = select(*_STATE).where(HEAD.c.tenant_id == bindparam("tenant"))
_READ_HEAD: Final = Prepared(_HEAD_OF)
_LOCK_HEAD: Final = Prepared(_HEAD_OF.with_for_update())
_THIS_TILE: Final = (
    TILE.c.tenant_id == bindparam("tenant"),
    TILE.c.level == bindparam("at_level"),
    TILE.c.idx == bindparam("at"),
)
_READ_TILE: Final = Prepared(select(TILE.c.hashes).where(*_THIS_TILE))
_GROW_TILE: Final = Prepared(update(TILE).where(*_THIS_TILE).values(hashes=bindparam("new_hashes")))
_ADD_TILE: Final = PreparedInsert(TILE.insert())
_READ_HASHES: Final = Prepared(
    select(LEAF.c.leaf_hash)
    .where(LEAF.c.tenant_id == bindparam("tenant"), LEAF.c.seq >= bindparam("start"), LEAF.c.seq < bindparam("stop"))
    .order_by(LEAF.c.seq)
)
_LAST_SEQ: Final = Prepared(select(func.max(LEAF.c.seq)).where(LEAF.c.tenant_id == bindparam("tenant")))
_ADD_LEAVES: Final = PreparedInsert(LEAF.insert())
_ADD_SEALED: Final = PreparedInsert(DISCLOSURE.insert())
_MOVE_HEAD: Final = Prepared(
    update(HEAD)
    .where(HEAD.c.tenant_id == bindparam("tenant"))
    .values(
        size=bindparam("new_size"),
        root=bindparam("new_root"),
        edge=bindparam("new_edge"),
        recorded_at=bindparam("new_recorded_at"),
        grown=literal_column("1"),  # whatever the row says: it may be of a tree that was cut
    )
)


class SqlAuditStore(SqlSubjects):
    """`AuditStore` and `SubjectStore` over a `Database`, `AsyncDatabase` or ``Database.threaded()``."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = suspends(database)
        self._database: SqlPort = database
        self._patient: dict[int, SqlPort] = {}
        self._brief: SqlPort = self._waiting_for(_BRIEF)

    async def append_batch(
        self, drafts: Sequence[Draft], *, now: Callable[[], datetime], deadline: timedelta
    ) -> list[Leaf]:
        """As `AuditStore.append_batch`."""
        groups = by_tenant(drafts)
        patience = max(1, deadline // _STEP) * _STEP
        database = self._waiting_for(patience)

        def work(connection: Connection, careful: bool = False) -> list[Leaf]:
            _bound_waiting(connection, patience)
            grown = [_append(connection, *group, now, careful=careful) for group in groups]
            if len(grown) == 1 and len(grown[0]) == len(drafts) and not careful:
                return grown[0]
            found = {(leaf.tenant_id, leaf.id): leaf for leaves in grown for leaf in leaves}
            return [found[draft.tenant_id, draft.id] for draft in drafts]

        try:
            return await database.run(work)
        except IntegrityError:  # an id stands already, or the tree has leaves that its head does not know
            pass
        try:
            return await database.run(lambda connection: work(connection, True))
        except IntegrityError:
            raise AuditForkDetected("a leaf stands where the tree ends", hint=_FORK) from None

    def _waiting_for(self, patience: timedelta) -> SqlPort:
        steps = patience // _STEP
        found = self._patient.get(steps)
        if found is None:
            make = getattr(self._database, "patient", None)
            found = self._patient[steps] = self._database if make is None else make(patience)
        return found

    # --- reading -----------------------------------------------------------------------------------------------------

    async def head(self, tenant_id: str) -> Head:
        """As `AuditStore.head`."""
        return await self._database.run(
            lambda connection: _head(connection, _READ_HEAD, tenant_id) or Head(), read=True
        )

    async def heads(self, after: str, limit: int, *, unnoted: bool = False) -> list[tuple[str, Head]]:
        """As `AuditStore.heads`."""
        wanted = select(HEAD.c.tenant_id, *_STATE).where(HEAD.c.tenant_id > after, HEAD.c.tenant_id != SPINE)
        if unnoted:
            wanted = wanted.where(HEAD.c.grown == 1)
        ordered = wanted.order_by(HEAD.c.tenant_id).limit(limit)

        def work(connection: Connection) -> list[tuple[str, Head]]:
            return [(tenant_id, _as_head(state)) for tenant_id, *state in connection.execute(ordered)]

        return await self._database.run(work, read=True)

    async def noted(self, sizes: Mapping[str, int]) -> None:
        """As `AuditStore.noted`."""

        def work(connection: Connection) -> None:
            for tenant_id, size in sorted(sizes.items()):
                same = (HEAD.c.tenant_id == tenant_id, HEAD.c.size == size)
                connection.execute(update(HEAD).where(*same).values(grown=0))

        if sizes:
            await self._brief.run(work)

    async def leaves(self, tenant_id: str, start: int, stop: int) -> list[Leaf]:
        """As `AuditStore.leaves`."""
        wanted = (
            select(*_COLUMNS)
            .where(LEAF.c.tenant_id == tenant_id, LEAF.c.seq >= start, LEAF.c.seq < stop)
            .order_by(LEAF.c.seq)
        )
        return await self._database.run(lambda connection: _leaves(connection, wanted), read=True)

    async def find(self, tenant_id: str, query: Query, start: int, stop: int, limit: int) -> list[Leaf]:
        """As `audit.query.Searchable.find`."""

        def work(connection: Connection) -> list[Leaf]:
            narrowed = (
                select(*_COLUMNS)
                .where(LEAF.c.tenant_id == tenant_id, LEAF.c.seq >= start, LEAF.c.seq < stop)
                .where(*conditions(query, LEAF, connection.dialect.name))
                .order_by(LEAF.c.seq.desc())
                .limit(limit)
            )
            return _leaves(connection, narrowed)

        return await self._database.run(work, read=True)

    async def reach(self, tenant_id: str, times: Span, most: int) -> tuple[int, int] | None:
        """As `audit.query.Searchable.reach`."""
        ends = []
        if times.low is not None:
            ends.append(LEAF.c.occurred_at >= times.low)
        if times.high is not None:
            ends.append(LEAF.c.occurred_at < times.high)
        inside = select(LEAF.c.seq).where(LEAF.c.tenant_id == tenant_id, *ends).limit(most + 1).subquery()
        wanted = select(func.count(), func.min(inside.c.seq), func.max(inside.c.seq)).select_from(inside)

        def work(connection: Connection) -> tuple[int, int] | None:
            count, low, high = connection.execute(wanted).one()
            if count > most:
                return None
            return (low, high + 1) if count else (0, 0)

        return await self._database.run(work, read=True)

    async def latest(self, tenant_id: str, actor: str) -> Leaf | None:
        """As `AuditStore.latest`."""
        wanted = (
            select(*_COLUMNS)
            .where(LEAF.c.tenant_id == tenant_id, LEAF.c.actor == actor)
            .order_by(LEAF.c.seq.desc())
            .limit(1)
        )
        found = await self._database.run(lambda connection: _leaves(connection, wanted), read=True)
        return found[0] if found else None

    async def tile(self, tenant_id: str, level: int, index: int) -> bytes:
        """As `AuditStore.tile`."""
        return await self._database.run(lambda connection: _tile(connection, tenant_id, level, index), read=True)

    # --- what was signed ---------------------------------------------------------------------------------------------

    async def signed(self, origin: str) -> Signed | None:
        """As `AuditStore.signed`."""
        wanted = select(SIGNED.c.size, SIGNED.c.root, SIGNED.c.note).where(SIGNED.c.origin == origin)

        def work(connection: Connection) -> Signed | None:
            row = connection.execute(wanted).one_or_none()
            return None if row is None else Signed(*of_types(row, int, bytes, str))

        return await self._database.run(work, read=True)

    async def swap_signed_if(self, origin: str, old: Signed | None, new: Signed) -> bool:
        """As `AuditStore.swap_signed_if`."""
        values = {"size": new.size, "root": new.root, "note": new.note}

        def work(connection: Connection) -> bool:
            if old is None:
                first = insert(connection, SIGNED).values(origin=origin, **values).on_conflict_do_nothing()
                return connection.scalar(first.returning(SIGNED.c.size)) is not None
            same = (SIGNED.c.origin == origin, SIGNED.c.size == old.size, SIGNED.c.note == old.note)
            return connection.execute(update(SIGNED).where(*same).values(**values)).rowcount == 1

        return await self._brief.run(work)

    # --- retention and subjects --------------------------------------------------------------------------------------

    async def prune(self, tenant_id: str, below: int) -> int:
        """As `AuditStore.prune`."""

        def work(connection: Connection) -> int:
            head = _head(connection, _LOCK_HEAD, tenant_id) or Head()
            require_free(holds_of(connection, tenant_id))
            first = prunable(head, below)
            if first > head.first:
                for table in (DISCLOSURE, LEAF):
                    connection.execute(delete(table).where(table.c.tenant_id == tenant_id, table.c.seq < first))
                connection.execute(update(HEAD).where(HEAD.c.tenant_id == tenant_id).values(first_seq=first))
            return first

        return await self._database.run(work)

    def outbox(self, connection: Connection | AsyncConnection | None = None) -> SqlOutbox:
        """The outbox of this database; with a connection, inside the transaction that the host has open on it."""
        if connection is None:
            return SqlOutbox(self._database)
        joined = JoinedDatabase(connection) if isinstance(connection, Connection) else JoinedAsyncDatabase(connection)
        return SqlOutbox(joined)


def _bound_waiting(connection: Connection, deadline: timedelta) -> None:
    """PostgreSQL waits for ever on a row lock unless told otherwise; SQLite has its busy timeout."""
    if connection.dialect.name == "postgresql":
        bound = f"{deadline // _MILLISECOND}ms"
        names = ("lock_timeout", "statement_timeout")
        connection.execute(select(*(func.set_config(name, bound, True) for name in names)))


def _append(
    connection: Connection, tenant_id: str, group: list[Draft], now: Callable[[], datetime], *, careful: bool
) -> list[Leaf]:
    head = _locked_head(connection, tenant_id)
    standing: list[Leaf] = []
    if careful:
        group, standing = split_known(group, _known(connection, tenant_id, group))
    if not group:
        return standing
    batch = sequence(head.size, head.edge, group, now())
    _ADD_LEAVES.run(connection, batch.leaves)
    _ADD_SEALED.run(connection, _sealed(group, batch.leaves))
    _keep_tiles(connection, tenant_id, batch)
    moved = batch.head(head)
    _MOVE_HEAD.run(
        connection,
        {
            "tenant": tenant_id,
            "new_size": moved.size,
            "new_root": moved.root,
            "new_edge": b"".join(moved.edge),
            "new_recorded_at": moved.recorded_at,
        },
    )
    return standing + batch.leaves


def _known(connection: Connection, tenant_id: str, group: list[Draft]) -> dict[str, Leaf]:
    known: dict[str, Leaf] = {}
    for at in range(0, len(group), _IDS):
        ids = [draft.id for draft in group[at : at + _IDS]]
        wanted = select(*_COLUMNS).where(LEAF.c.tenant_id == tenant_id, LEAF.c.id.in_(ids))
        known.update((leaf.id, leaf) for leaf in _leaves(connection, wanted))
    return known


def _sealed(group: list[Draft], leaves: list[Leaf]) -> list[tuple[object, ...]]:
    return [
        (leaf.tenant_id, leaf.seq, place, sealed.subject, sealed.octets)
        for draft, leaf in zip(group, leaves, strict=True)
        for place, sealed in enumerate(draft.sealed)
    ]


def _locked_head(connection: Connection, tenant_id: str) -> Head:
    """The head under its write lock, checked against the leaves: a tree that lost its tail is not continued."""
    head = _head(connection, _LOCK_HEAD, tenant_id)
    if head is None:
        first = insert(connection, HEAD).values(tenant_id=tenant_id, size=0, root=Head().root, edge=b"")
        connection.execute(first.on_conflict_do_nothing())
        head = _head(connection, _LOCK_HEAD, tenant_id) or Head()
    last = (_LAST_SEQ.first(connection, {"tenant": tenant_id}) or (None,))[0]
    if (last if last is not None else -1) != head.size - 1 or len(head.edge) != head.size.bit_count():
        raise AuditForkDetected("the leaves do not end where the head says", hint=_FORK)
    return head


def _head(connection: Connection, question: Prepared, tenant_id: str) -> Head | None:
    row = question.first(connection, {"tenant": tenant_id})
    return None if row is None else _as_head(row)


def _as_head(state: Sequence[Any]) -> Head:
    size, root, edge, recorded_at, first = of_types(state, int, bytes, bytes, int, int)
    cut = tuple([edge[at : at + HASH_OCTETS] for at in range(0, len(edge), HASH_OCTETS)])
    return Head(size, root, cut, recorded_at, first)


def _leaves(connection: Connection, wanted: Select[Any]) -> list[Leaf]:
    return [of_types(Leaf(*row), *_LEAF_TYPES) for row in connection.execute(wanted)]


def _keep_tiles(connection: Connection, tenant_id: str, batch: Batch) -> None:
    """Full tiles of level 0 as one row each, so that a proof reads a few rows; upper levels grow in place."""
    first = batch.leaves[0].seq // TILE_WIDTH
    for index in range(first, batch.frontier.size // TILE_WIDTH):
        _ADD_TILE.run(connection, [(tenant_id, 0, index, _leaf_hashes(connection, tenant_id, index))])
    for level, place, node in batch.tiles:
        index = place // TILE_WIDTH
        standing = _stored_tile(connection, tenant_id, level, index)
        if standing is None:
            _ADD_TILE.run(connection, [(tenant_id, level, index, node)])
        else:
            grown = {"tenant": tenant_id, "at_level": level, "at": index, "new_hashes": standing + node}
            _GROW_TILE.run(connection, grown)


def _tile(connection: Connection, tenant_id: str, level: int, index: int) -> bytes:
    stored = _stored_tile(connection, tenant_id, level, index)
    if stored is None and level == 0:
        return _leaf_hashes(connection, tenant_id, index)
    return stored or b""


def _stored_tile(connection: Connection, tenant_id: str, level: int, index: int) -> bytes | None:
    row = _READ_TILE.first(connection, {"tenant": tenant_id, "at_level": level, "at": index})
    return None if row is None else of_types(row, bytes)[0]


def _leaf_hashes(connection: Connection, tenant_id: str, index: int) -> bytes:
    start = index * TILE_WIDTH
    rows = _READ_HASHES.all(connection, {"tenant": tenant_id, "start": start, "stop": start + TILE_WIDTH})
    return b"".join([of_types(row, bytes)[0] for row in rows])
