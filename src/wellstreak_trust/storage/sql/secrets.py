"""Secrets in SQL. This module locks, loads and writes; what is written is decided in ``secrets.rules``.

A write takes the head's row lock first and reads the versions in a second statement, because PostgreSQL would join a
freshly locked head with the versions of an older snapshot. The head is updated only where `revision` still is what was
seen; a first insert that loses to another's, or a head that moved, makes the rule decide again.
Values go to the rules as the driver gives them: a row that was edited into another type must be seen as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Dialect,
    Integer,
    LargeBinary,
    Row,
    Select,
    Table,
    Text,
    bindparam,
    func,
    or_,
    select,
    update,
)

from ...core.errors import SecretTampered, StoreUnavailable
from ...secrets.rows import Change, Head, Listed, Locked, Rule, SecretRow, Stored, TenantKeyRow
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlSecretBackend"]

R = TypeVar("R", SecretRow, TenantKeyRow)

_CLASHES: Final = 32


class _Octets(LargeBinary):
    """Bytes as the driver gives them; the usual conversion would make ``bytes(5_000_000_000)`` of an edited number."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """None."""
        return


# Names page in the same order everywhere: PostgreSQL's language collations skip punctuation.
_BY_CODE_POINT: Final = Text().with_variant(Text(collation="C"), "postgresql")

_STORE: Final = Table(
    "wst_secret_store",
    metadata,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
_KEY: Final = Table(
    "wst_tenant_key",
    metadata,
    Column("tenant_id", _BY_CODE_POINT, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("kek_uri", Text, nullable=False),
    Column("wrapped", _Octets),
    Column("check_value", _Octets, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
_HEAD: Final = Table(
    "wst_secret",
    metadata,
    Column("tenant_id", _BY_CODE_POINT, primary_key=True),
    Column("name", _BY_CODE_POINT, primary_key=True),
    Column("current", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("key_version", BigInteger, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", BigInteger),
    Column("head_mac", _Octets, nullable=False),
)
_VERSION: Final = Table(
    "wst_secret_version",
    metadata,
    Column("tenant_id", _BY_CODE_POINT, primary_key=True),
    Column("name", _BY_CODE_POINT, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("envelope", _Octets),
    Column("kind", Text, nullable=False),
    Column("key_version", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("not_after", BigInteger),
    Column("rotate_after", BigInteger),
    Column("labels", Text, nullable=False),
    Column("row_mac", _Octets, nullable=False),
)
_C: Final = _HEAD.c
_HEADS: Final = slice(0, len(_HEAD.c))
_ROWS: Final = slice(_HEADS.stop, _HEADS.stop + len(_VERSION.c))
_KEYS: Final = slice(_ROWS.stop, _ROWS.stop + len(_KEY.c))
_ASKED: Final = slice(_KEYS.stop, _KEYS.stop + len(_VERSION.c))
_ASKED_KEYS: Final = slice(_ASKED.stop, _ASKED.stop + len(_KEY.c))


def _reading(*, asked: bool) -> Select[Any]:
    """Head, current version and its key; the asked version and its key as well. In one statement: one snapshot."""
    current, key = _VERSION.alias("current_row"), _KEY.alias("current_key")
    joined = _HEAD.outerjoin(current, _of_head(current, _HEAD.c.current))
    # The head's key is the current row's: the rules refuse anything else.
    joined = joined.outerjoin(key, (key.c.tenant_id == _HEAD.c.tenant_id) & (key.c.version == _HEAD.c.key_version))
    if not asked:
        return select(_HEAD, current, key).select_from(joined).where(_C.tenant_id == bindparam("tenant"))
    other, other_key = _VERSION.alias("asked_row"), _KEY.alias("asked_key")
    joined = joined.outerjoin(other, _of_head(other, bindparam("asked", type_=BigInteger)))
    of_key = (other_key.c.tenant_id == _HEAD.c.tenant_id) & (other_key.c.version == other.c.key_version)
    joined = joined.outerjoin(other_key, of_key)
    wanted = select(_HEAD, current, key, other, other_key).select_from(joined)
    return wanted.where(_C.tenant_id == bindparam("tenant"))


def _of_head(row: Any, version: Any) -> Any:
    return (row.c.tenant_id == _HEAD.c.tenant_id) & (row.c.name == _HEAD.c.name) & (row.c.version == version)


_ONE: Final = _C.name == bindparam("called")
_CURRENT: Final = _reading(asked=False).where(_ONE)
_OLDER: Final = _reading(asked=True).where(_ONE)
_PAGE: Final = _reading(asked=False).where(_C.name > bindparam("called")).order_by(_C.name).limit(bindparam("most"))
_LOCK_KEYS: Final = (
    select(_KEY).where(_KEY.c.tenant_id == bindparam("tenant")).order_by(_KEY.c.version).with_for_update(read=True)
)
_LOCK_HEAD: Final = select(_HEAD).where(_C.tenant_id == bindparam("tenant"), _ONE).with_for_update()
_LOCKED_ROWS: Final = select(_VERSION).where(
    _VERSION.c.tenant_id == bindparam("tenant"),
    _VERSION.c.name == bindparam("called"),
    or_(_VERSION.c.version == bindparam("standing"), _VERSION.c.version == bindparam("asked", type_=BigInteger)),
)


class SqlSecretBackend:
    """`SecretBackend` over SQLite or PostgreSQL, blocking or asynchronous.

    Args:
        database: a `Database`, `AsyncDatabase`, or what their `join(connection)` gives.
    """

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def claim_store(self, candidate: str, created_at: int, /) -> str:
        """See `SecretBackend`: read first, so that a replica which takes no writes serves reads."""
        reading = select(_STORE.c.id).where(_STORE.c.slot == 1)
        found = await self._database.run(lambda c: c.execute(reading).scalar(), read=True)
        if found is not None:
            return str(found)
        values = {"slot": 1, "id": candidate, "created_at": created_at}

        def claim(connection: Connection) -> str:
            connection.execute(insert(connection, _STORE).values(values).on_conflict_do_nothing())
            return str(connection.execute(reading).scalar_one())

        return await self._database.run(claim)

    async def claim_key(self, row: TenantKeyRow, /) -> TenantKeyRow:
        """See `SecretBackend`: of two first writers one inserts, both read."""
        here = (_KEY.c.tenant_id == row.tenant_id) & (_KEY.c.version == row.version)

        def claim(connection: Connection) -> TenantKeyRow:
            connection.execute(insert(connection, _KEY).values(row._asdict()).on_conflict_do_nothing())
            return TenantKeyRow._make(connection.execute(select(_KEY).where(here)).one())

        return await self._database.run(claim)

    async def read(self, tenant_id: str, name: str, version: int | None, /) -> Stored | None:
        """See `SecretBackend`."""
        at: dict[str, Any] = {"tenant": tenant_id, "called": name}
        if version is None:
            found = await self._database.run(lambda c: c.execute(_CURRENT, at).one_or_none(), read=True)
            return None if found is None else _current(found)
        at["asked"] = version
        found = await self._database.run(lambda c: c.execute(_OLDER, at).one_or_none(), read=True)
        if found is None:
            return None
        asked, key = SecretRow._make(found[_ASKED]), TenantKeyRow._make(found[_ASKED_KEYS])
        return _current(found)._replace(wanted=_or_none(asked), wanted_key=_or_none(key))

    async def list(self, tenant_id: str, after: str, limit: int, /) -> Listed:
        """See `SecretBackend`."""
        at = {"tenant": tenant_id, "called": after, "most": limit}
        found = await self._database.run(lambda c: c.execute(_PAGE, at).all(), read=True)
        return tuple(_current(row) for row in found)

    async def change(self, tenant_id: str, name: str, version: int | None, rule: Rule, /) -> Change:
        """See `SecretBackend`."""
        at = {"tenant": tenant_id, "called": name}
        return await self._database.run(lambda c: _change(c, at, version, rule))

    async def keys_outside(self, kek_uri: str, after: tuple[str, int], limit: int, /) -> tuple[TenantKeyRow, ...]:
        """See `SecretBackend`."""
        tenant, version = after
        beyond = or_(_KEY.c.tenant_id > tenant, (_KEY.c.tenant_id == tenant) & (_KEY.c.version > version))
        wanted = select(_KEY).where(_KEY.c.kek_uri != kek_uri, _KEY.c.state != "destroyed", beyond)
        wanted = wanted.order_by(_KEY.c.tenant_id, _KEY.c.version).limit(limit)
        found = await self._database.run(lambda c: c.execute(wanted).all(), read=True)
        return tuple(TenantKeyRow._make(row) for row in found)

    async def rewrap_if(self, moves: Sequence[tuple[TenantKeyRow, TenantKeyRow]], /) -> int:
        """See `SecretBackend`: uri and bytes change together, or not at all."""
        return await self._database.run(lambda c: sum(_rewrap(c, old, new) for old, new in moves))

    async def shred(self, tenant_id: str, /) -> tuple[tuple[int, ...], int]:
        """See `SecretBackend`."""
        gone = update(_KEY).where(_KEY.c.tenant_id == tenant_id, _KEY.c.state != "destroyed")
        gone_now = gone.values(wrapped=None, state="destroyed").returning(_KEY.c.version)
        held = select(func.count()).select_from(_HEAD).where(_C.tenant_id == tenant_id)

        def work(connection: Connection) -> tuple[tuple[int, ...], int]:
            return tuple(sorted(connection.execute(gone_now).scalars())), connection.execute(held).scalar_one()

        return await self._database.run(work)


def _change(connection: Connection, at: dict[str, str], version: int | None, rule: Rule) -> Change:
    for _ in range(_CLASHES):
        locked = _lock(connection, at, version)
        change = rule(locked)
        if change.write == "nothing":
            return change
        if _write_head(connection, locked.head, change.head):
            _write_row(connection, change.row, fresh=change.write == "insert")
            return change
    raise StoreUnavailable("a secret changed too often to be written", hint="retry")


def _lock(connection: Connection, at: dict[str, str], version: int | None) -> Locked:
    keys = tuple(TenantKeyRow._make(row) for row in connection.execute(_LOCK_KEYS, {"tenant": at["tenant"]}))
    found = connection.execute(_LOCK_HEAD, at).one_or_none()
    if found is None:
        return Locked(keys, None, None, None)
    head = Head._make(found)
    standing = {"standing": head.current, "asked": head.current if version is None else version}
    rows = {row.version: row for row in map(SecretRow._make, connection.execute(_LOCKED_ROWS, {**at, **standing}))}
    return Locked(keys, head, rows.get(head.current), rows.get(standing["asked"]))


def _write_head(connection: Connection, seen: Head | None, head: Head) -> bool:
    if seen is None:
        return _inserted(connection, _HEAD, head._asdict())
    here = (_C.tenant_id == head.tenant_id) & (_C.name == head.name) & (_C.revision == seen.revision)
    return connection.execute(update(_HEAD).where(here).values(head._asdict())).rowcount == 1


def _write_row(connection: Connection, row: SecretRow, *, fresh: bool) -> None:
    if fresh:
        done = _inserted(connection, _VERSION, row._asdict())
    else:
        here = (_VERSION.c.tenant_id == row.tenant_id) & (_VERSION.c.name == row.name)
        there = update(_VERSION).where(here, _VERSION.c.version == row.version)
        done = connection.execute(there.values(row._asdict())).rowcount == 1
    if not done:
        raise SecretTampered("a version's row stands where none can be", hint="rows were added by somebody else")


def _inserted(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    # Not rowcount: psycopg's is gone by the time SQLAlchemy hands out the result of an INSERT.
    fresh = insert(connection, table).values(values).on_conflict_do_nothing().returning(table.c.tenant_id)
    return connection.execute(fresh).one_or_none() is not None


def _rewrap(connection: Connection, old: TenantKeyRow, new: TenantKeyRow) -> int:
    here = (_KEY.c.tenant_id == old.tenant_id) & (_KEY.c.version == old.version)
    still = update(_KEY).where(here, _KEY.c.kek_uri == old.kek_uri, _KEY.c.state != "destroyed")
    return connection.execute(still.values(kek_uri=new.kek_uri, wrapped=new.wrapped)).rowcount


def _current(found: Row[Any]) -> Stored:
    head = Head._make(found[_HEADS])
    row = _or_none(SecretRow._make(found[_ROWS]))
    key = _or_none(TenantKeyRow._make(found[_KEYS]))
    return Stored(head, row, key, row, key)


def _or_none(row: R) -> R | None:
    """None for the empty side of an outer join."""
    return None if row.tenant_id is None else row
