"""Secrets in SQL. This module locks, loads and writes; what is written is decided in ``secrets.rules``.

A write takes the head's row lock first and reads the versions in a second statement, because PostgreSQL would join a
freshly locked head with the versions of an older snapshot. The head is updated only where `revision` still is what was
seen; a first insert that loses to another's, or a head that moved, makes the rule decide again.
Values go to the rules as the driver gives them: a row that was edited into another type must be seen as such.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

from sqlalchemy import BigInteger, Connection, Row, Select, Table, bindparam, exists, or_, select, union, update

from ...core.errors import SecretTampered, StoreUnavailable
from ...secrets.rows import Change, Head, Listed, Locked, Rewrite, Rule, SecretRow, Stored, TenantKeyRow, Whole
from .database import insert
from .secret_keys import SqlKeyBackend, locked_keys
from .secret_tables import HEAD, KEY, VERSION

__all__ = ["SqlSecretBackend"]

R = TypeVar("R", SecretRow, TenantKeyRow)

_CLASHES: Final = 32


_C: Final = HEAD.c
_HEADS: Final = slice(0, len(HEAD.c))
_ROWS: Final = slice(_HEADS.stop, _HEADS.stop + len(VERSION.c))
_KEYS: Final = slice(_ROWS.stop, _ROWS.stop + len(KEY.c))
_ASKED: Final = slice(_KEYS.stop, _KEYS.stop + len(VERSION.c))
_ASKED_KEYS: Final = slice(_ASKED.stop, _ASKED.stop + len(KEY.c))


def _reading(*, asked: bool) -> Select[Any]:
    """Head, current version and its key; the asked version and its key as well. In one statement: one snapshot."""
    current, key = VERSION.alias("current_row"), KEY.alias("current_key")
    joined = HEAD.outerjoin(current, _of_head(current, HEAD.c.current))
    # The head's key is the current row's: the rules refuse anything else.
    joined = joined.outerjoin(key, (key.c.tenant_id == HEAD.c.tenant_id) & (key.c.version == HEAD.c.key_version))
    if not asked:
        return select(HEAD, current, key).select_from(joined).where(_C.tenant_id == bindparam("tenant"))
    other, other_key = VERSION.alias("asked_row"), KEY.alias("asked_key")
    joined = joined.outerjoin(other, _of_head(other, bindparam("asked", type_=BigInteger)))
    of_key = (other_key.c.tenant_id == HEAD.c.tenant_id) & (other_key.c.version == other.c.key_version)
    joined = joined.outerjoin(other_key, of_key)
    wanted = select(HEAD, current, key, other, other_key).select_from(joined)
    return wanted.where(_C.tenant_id == bindparam("tenant"))


def _of_head(row: Any, version: Any) -> Any:
    return (row.c.tenant_id == HEAD.c.tenant_id) & (row.c.name == HEAD.c.name) & (row.c.version == version)


_ONE: Final = _C.name == bindparam("called")
_CURRENT: Final = _reading(asked=False).where(_ONE)
_OLDER: Final = _reading(asked=True).where(_ONE)
_PAGE: Final = _reading(asked=False).where(_C.name > bindparam("called")).order_by(_C.name).limit(bindparam("most"))
_LOCK_HEAD: Final = select(HEAD).where(_C.tenant_id == bindparam("tenant"), _ONE).with_for_update()
_LOCKED_ROWS: Final = select(VERSION).where(
    VERSION.c.tenant_id == bindparam("tenant"),
    VERSION.c.name == bindparam("called"),
    or_(VERSION.c.version == bindparam("standing"), VERSION.c.version == bindparam("asked", type_=BigInteger)),
)


_NEXT: Final = (_C.tenant_id == bindparam("tenant")) & (_C.name > bindparam("called"))
_V: Final = VERSION.c
_OUTSIDE: Final = exists().where(_V.tenant_id == _C.tenant_id, _V.name == _C.name, _V.key_version != bindparam("key"))
_LOCK_NEXT: Final = (
    select(HEAD).where(_NEXT, _OUTSIDE).order_by(_C.name).limit(bindparam("most")).with_for_update(of=HEAD)
)
_SPAN: Final = (
    select(VERSION)
    .where(_V.tenant_id == bindparam("tenant"), _V.name > bindparam("called"), _V.name <= bindparam("last"))
    .order_by(_V.name, _V.version)
)
# From a row of constants, so that versions without a head, and a head without versions, are both seen.
_THERE: Final = select(bindparam("called", type_=VERSION.c.name.type).label("name")).subquery()
_WHOLE: Final = (
    select(HEAD, VERSION)
    .select_from(
        _THERE.outerjoin(HEAD, (_C.tenant_id == bindparam("tenant")) & (_C.name == _THERE.c.name)).outerjoin(
            VERSION, (_V.tenant_id == bindparam("tenant")) & (_V.name == _THERE.c.name)
        )
    )
    .order_by(_V.version)
)
_NAMED: Final = union(
    select(_C.name).where(_NEXT),
    select(_V.name).where(_V.tenant_id == bindparam("tenant"), _V.name > bindparam("called")),
)
_NAMES: Final = _NAMED.order_by(_NAMED.selected_columns.name).limit(bindparam("most"))
# A new tenant key changes envelopes, key versions and codes; states, times and labels stay.
_TURN_HEAD: Final = (
    update(HEAD)
    .where(_C.tenant_id == bindparam("tenant"), _C.name == bindparam("called"), _C.revision == bindparam("seen"))
    .values(revision=bindparam("next"), key_version=bindparam("key"), head_mac=bindparam("mac"))
)
_TURN_ROW: Final = (
    update(VERSION)
    .where(_V.tenant_id == bindparam("tenant"), _V.name == bindparam("called"), _V.version == bindparam("at"))
    .values(envelope=bindparam("sealed"), key_version=bindparam("key"), row_mac=bindparam("mac"))
)


class SqlSecretBackend(SqlKeyBackend):
    """`SecretBackend` over SQLite or PostgreSQL, blocking or asynchronous.

    Args:
        database: a `Database`, `AsyncDatabase`, or what their `join(connection)` gives.
    """

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

    async def whole(self, tenant_id: str, name: str, /) -> Whole:
        """See `SecretBackend`."""
        at = {"tenant": tenant_id, "called": name}
        found = await self._database.run(lambda c: c.execute(_WHOLE, at).all(), read=True)
        head = Head._make(found[0][_HEADS])
        rows = [_or_none(SecretRow._make(row[_ROWS])) for row in found]
        return Whole(name, head if head.tenant_id is not None else None, tuple(row for row in rows if row is not None))

    async def names(self, tenant_id: str, after: str, limit: int, /) -> tuple[str, ...]:
        """See `SecretBackend`."""
        at = {"tenant": tenant_id, "called": after, "most": limit}
        return tuple(await self._database.run(lambda c: c.execute(_NAMES, at).scalars().all(), read=True))

    async def rewrite(self, tenant_id: str, key_version: int, after: str, limit: int, rule: Rewrite, /) -> str | None:
        """See `SecretBackend`."""
        at = {"tenant": tenant_id, "called": after, "most": limit, "key": key_version}
        return await self._database.run(lambda c: _rewrite(c, at, rule))


def _change(connection: Connection, at: dict[str, str], version: int | None, rule: Rule) -> Change:
    for _ in range(_CLASHES):
        locked = _lock(connection, at, version)
        change = rule(locked)
        if change.write == "nothing":
            return change
        if _write_head(connection, locked.head, change.head):
            if change.write != "head":
                _write_row(connection, change.row, fresh=change.write == "insert")
            if change.also is not None:
                _write_row(connection, change.also, fresh=False)
            return change
    raise StoreUnavailable("a secret changed too often to be written", hint="retry")


def _lock(connection: Connection, at: dict[str, str], version: int | None) -> Locked:
    keys = locked_keys(connection, at["tenant"])
    found = connection.execute(_LOCK_HEAD, at).one_or_none()
    if found is None:
        return Locked(keys, None, None, None)
    head = Head._make(found)
    standing = {"standing": head.current, "asked": head.current if version is None else version}
    rows = {row.version: row for row in map(SecretRow._make, connection.execute(_LOCKED_ROWS, {**at, **standing}))}
    if not {head.key_version, *(row.key_version for row in rows.values())} <= {key.version for key in keys}:
        keys = locked_keys(connection, at["tenant"])  # one was added while we waited for the head
    return Locked(keys, head, rows.get(head.current), rows.get(standing["asked"]))


def _write_head(connection: Connection, seen: Head | None, head: Head) -> bool:
    if seen is None:
        return _inserted(connection, HEAD, head._asdict())
    here = (_C.tenant_id == head.tenant_id) & (_C.name == head.name) & (_C.revision == seen.revision)
    return connection.execute(update(HEAD).where(here).values(head._asdict())).rowcount == 1


def _write_row(connection: Connection, row: SecretRow, *, fresh: bool) -> None:
    if fresh:
        done = _inserted(connection, VERSION, row._asdict())
    else:
        here = (VERSION.c.tenant_id == row.tenant_id) & (VERSION.c.name == row.name)
        there = update(VERSION).where(here, VERSION.c.version == row.version)
        done = connection.execute(there.values(row._asdict())).rowcount == 1
    if not done:
        raise SecretTampered("a version's row stands where none can be", hint="rows were added by somebody else")


def _inserted(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    # Not rowcount: psycopg's is gone by the time SQLAlchemy hands out the result of an INSERT.
    fresh = insert(connection, table).values(values).on_conflict_do_nothing().returning(table.c.tenant_id)
    return connection.execute(fresh).one_or_none() is not None


def _rewrite(connection: Connection, at: dict[str, Any], rule: Rewrite) -> str | None:
    heads = list(map(Head._make, connection.execute(_LOCK_NEXT, at).all()))
    if not heads:
        return None
    last = heads[-1].name
    rows: dict[str, list[SecretRow]] = {}
    span = {"tenant": at["tenant"], "called": at["called"], "last": last}
    for row in map(SecretRow._make, connection.execute(_SPAN, span).all()):
        rows.setdefault(row.name, []).append(row)
    turned = [(head, rule(Whole(head.name, head, tuple(rows.get(head.name, ()))))) for head in heads]
    new_heads, new_rows = [], []
    for seen, new in turned:
        if new is None:
            continue
        mine = {"tenant": seen.tenant_id, "called": seen.name}
        head = new.head
        new_heads.append(
            {**mine, "seen": seen.revision, "next": head.revision, "key": head.key_version, "mac": head.head_mac}
        )
        for row in new.rows:
            sealed = {"at": row.version, "sealed": row.envelope, "key": row.key_version, "mac": row.row_mac}
            new_rows.append({**mine, **sealed})
    if new_heads:  # under their locks: no head can have moved
        connection.execute(_TURN_HEAD, new_heads)
        connection.execute(_TURN_ROW, new_rows)
    return last


def _current(found: Row[Any]) -> Stored:
    head = Head._make(found[_HEADS])
    row = _or_none(SecretRow._make(found[_ROWS]))
    key = _or_none(TenantKeyRow._make(found[_KEYS]))
    return Stored(head, row, key, row, key)


def _or_none(row: R) -> R | None:
    """None for the empty side of an outer join."""
    return None if row.tenant_id is None else row
