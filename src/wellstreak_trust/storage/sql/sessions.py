"""Sessions in SQL.

`wst_subjects` holds one number a user, the epoch; a session carries the epoch it was opened in and is read only while
both agree. So ending all sessions of a user is one UPDATE however many there are, and a sign-in that runs at the same
moment cannot slip past it. An impersonation carries the epoch of its actor as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    LargeBinary,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)

from ...core.clock import from_micros, to_micros
from ...identity.session_store import SessionRow
from ..principals import principal_from, principal_text
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlSessionStore"]

_MICROSECOND: Final = timedelta(microseconds=1)

_SUBJECTS: Final = Table(
    "wst_subjects",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
)
_SESSIONS: Final = Table(
    "wst_sessions",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("user_id", Text, nullable=False, index=True),
    Column("epoch", BigInteger, nullable=False),
    Column("actor_id", Text),
    Column("actor_epoch", BigInteger, nullable=False),
    Column("parent_id", Text, index=True),
    Column("principal", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("idle", BigInteger, nullable=False),
    Column("idle_until", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("device", Text),
    Column("persistent", Boolean, nullable=False),
    Column("issuer", Text),
    Column("subject", Text),
    Column("sid", Text),
    Index("ix_wst_sessions_idle_until", "idle_until"),
)
COLUMNS_OF_4: Final = (_SESSIONS.c.issuer, _SESSIONS.c.subject, _SESSIONS.c.sid)
INDEXES_OF_4: Final = (
    Index("ix_wst_sessions_federated_subject", _SESSIONS.c.issuer, _SESSIONS.c.subject),
    Index("ix_wst_sessions_federated_sid", _SESSIONS.c.issuer, _SESSIONS.c.sid),
)
_C: Final = _SESSIONS.c
_READ: Final = (
    *(_C.key, _C.id, _C.principal, _C.created_at, _C.last_seen_at, _C.idle, _C.expires_at),
    *(_C.device, _C.persistent, _C.parent_id, _C.sid, _C.epoch),
)
_USER: Final = _SUBJECTS.alias("of_user")
_ACTOR: Final = _SUBJECTS.alias("of_actor")


def _standing() -> Select[Any]:
    """Sessions whose epochs are today's; a user who never ended everything has no row and stands at 0."""
    joined = _SESSIONS.outerjoin(_USER, _USER.c.user_id == _C.user_id).outerjoin(
        _ACTOR, _ACTOR.c.user_id == _C.actor_id
    )
    return (
        select(*_READ)
        .select_from(joined)
        .where(_C.epoch == func.coalesce(_USER.c.epoch, 0), _C.actor_epoch == func.coalesce(_ACTOR.c.epoch, 0))
    )


_BY_KEY: Final = _standing().where(_C.key == bindparam("wanted"))
_BY_USER: Final = _standing().where(_C.user_id == bindparam("wanted")).order_by(_C.created_at, _C.id)


def _locked(wanted: Select[Any]) -> Select[Any]:
    """Takes the rows' locks first, so that the next statement sees what a concurrent `spawn` has committed."""
    return wanted.with_for_update(of=_SESSIONS)


class SqlSessionStore:
    """`SessionStore` over SQLite or PostgreSQL, blocking or asynchronous.

    Args:
        database: a `Database`, `AsyncDatabase`, or what their `join(connection)` gives.
    """

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def read(self, key: bytes, /) -> SessionRow | None:
        """See `SessionStore`: one SELECT."""
        found = await self._database.run(lambda c: c.execute(_BY_KEY, {"wanted": key}).one_or_none(), read=True)
        return None if found is None else _row(found)

    async def admit(self, row: SessionRow, /, *, limit: int, replaces: bytes | None) -> tuple[SessionRow, ...]:
        """See `SessionStore`."""
        return await self._database.run(lambda c: _admit(c, row, limit, replaces))

    async def spawn(self, row: SessionRow, parent_key: bytes, /) -> bool:
        """See `SessionStore`."""
        return await self._database.run(lambda c: _spawn(c, row, parent_key))

    async def swap(self, key: bytes, row: SessionRow, /) -> bool:
        """See `SessionStore`: the epoch is left alone, so that a session ended meanwhile stays ended."""
        change = update(_SESSIONS).where(_C.key == key).values(**_values(row))
        return await self._database.run(lambda c: c.execute(change).rowcount == 1)

    async def end(self, session_id: str, /, *, user_id: str | None) -> SessionRow | None:
        """See `SessionStore`."""
        return await self._database.run(lambda c: _end(c, session_id, user_id))

    async def end_all(self, user_id: str, /, *, except_id: str | None) -> None:
        """See `SessionStore`: one upsert, and one UPDATE for the session that stays."""
        await self._database.run(lambda c: _end_all(c, user_id, except_id))

    async def end_federated(self, issuer: str, /, *, subject: str | None, sid: str | None) -> tuple[SessionRow, ...]:
        """See `SessionStore`."""
        return await self._database.run(lambda c: _end_federated(c, issuer, subject, sid))

    async def end_everything(self) -> None:
        """See `SessionStore`: one DELETE."""
        await self._database.run(lambda c: c.execute(delete(_SESSIONS)))

    async def live(self, user_id: str, /) -> tuple[SessionRow, ...]:
        """See `SessionStore`."""
        found = await self._database.run(lambda c: c.execute(_BY_USER, {"wanted": user_id}).all(), read=True)
        return tuple(_row(each) for each in found)

    async def sweep(self, now: datetime, /) -> int:
        """See `SessionStore`."""
        gone = delete(_SESSIONS).where(_over(now))
        return await self._database.run(lambda c: c.execute(gone).rowcount)


def _over(now: datetime) -> Any:
    return or_(_C.expires_at <= to_micros(now), _C.idle_until <= to_micros(now))


def _epoch(connection: Connection, user_id: str, raise_by: int = 0) -> int:
    """Today's epoch of a user, raised or not; the row lock makes sign-ins and revocations of one user take turns."""
    change = insert(connection, _SUBJECTS).values(user_id=user_id, epoch=raise_by)
    change = change.on_conflict_do_update(index_elements=["user_id"], set_={"epoch": _SUBJECTS.c.epoch + raise_by})
    return int(connection.execute(change.returning(_SUBJECTS.c.epoch)).scalar_one())


def _admit(connection: Connection, row: SessionRow, limit: int, replaces: bytes | None) -> tuple[SessionRow, ...]:
    epoch = _epoch(connection, row.user_id)
    ended: list[SessionRow] = []
    if replaces is not None:
        before = connection.execute(_locked(_BY_KEY), {"wanted": replaces}).one_or_none()
        ended += [_row(before)] if before is not None else []
    _drop(connection, [old.id for old in ended])
    stale = or_(_over(row.created_at), _C.epoch != epoch)
    connection.execute(delete(_SESSIONS).where(_C.user_id == row.user_id, stale))
    found = map(_row, connection.execute(_locked(_BY_USER), {"wanted": row.user_id}))
    living = [each for each in found if each.parent_id is None]
    evicted = living[: max(0, len(living) + 1 - limit)]
    _drop(connection, [old.id for old in evicted])
    connection.execute(_SESSIONS.insert().values(epoch=epoch, actor_epoch=0, **_values(row)))
    return tuple(old for old in (*ended, *evicted) if old.ended_by(row.created_at) is None)


def _spawn(connection: Connection, row: SessionRow, parent_key: bytes) -> bool:
    parent = connection.execute(_locked(_BY_KEY), {"wanted": parent_key}).one_or_none()
    if parent is None:
        return False
    # The epoch of the parent, not today's: an actor who is signed out at this moment must not keep the child.
    values = {"epoch": _epoch(connection, row.user_id), "actor_epoch": parent.epoch, **_values(row)}
    connection.execute(_SESSIONS.insert().values(**values))
    return True


def _end(connection: Connection, session_id: str, user_id: str | None) -> SessionRow | None:
    wanted = _standing().where(_C.id == session_id)
    if user_id is not None:
        wanted = wanted.where(_C.user_id == user_id)
    found = connection.execute(_locked(wanted)).one_or_none()
    if found is None:
        return None
    _drop(connection, [session_id])
    return _row(found)


def _end_all(connection: Connection, user_id: str, except_id: str | None) -> None:
    epoch = _epoch(connection, user_id, raise_by=1)
    if except_id is not None:
        # Only a session that still stood: one ended by an earlier epoch must not rise again.
        stays = update(_SESSIONS).where(_C.id == except_id, _C.user_id == user_id, _C.epoch == epoch - 1)
        connection.execute(stays.values(epoch=epoch))


def _end_federated(connection: Connection, issuer: str, subject: str | None, sid: str | None) -> tuple[SessionRow, ...]:
    wanted = _standing().where(_C.issuer == issuer)
    if subject is not None:
        wanted = wanted.where(_C.subject == subject)
    if sid is not None:
        wanted = wanted.where(_C.sid == sid)
    rows = [_row(each) for each in connection.execute(_locked(wanted))]
    _drop(connection, [row.id for row in rows])
    return tuple(rows)


def _drop(connection: Connection, ids: Sequence[str]) -> None:
    if ids:
        connection.execute(delete(_SESSIONS).where(or_(_C.id.in_(ids), _C.parent_id.in_(ids))))


def _values(row: SessionRow) -> dict[str, Any]:
    return {
        "key": row.key,
        "id": row.id,
        "user_id": row.user_id,
        "actor_id": row.actor_id,
        "parent_id": row.parent_id,
        "principal": principal_text(row.principal),
        "created_at": to_micros(row.created_at),
        "last_seen_at": to_micros(row.last_seen_at),
        "idle": row.idle // _MICROSECOND,
        "idle_until": to_micros(row.idle_until),
        "expires_at": to_micros(row.expires_at),
        "device": row.device,
        "persistent": row.persistent,
        "issuer": row.principal.issuer,
        "subject": row.principal.subject,
        "sid": row.sid,
    }


def _row(found: Sequence[Any]) -> SessionRow:
    key, name, principal, created_at, last_seen_at, idle, expires_at, device, persistent, parent_id, sid, _ = found
    return SessionRow(
        bytes(key),
        name,
        principal_from(principal),
        from_micros(created_at),
        from_micros(last_seen_at),
        timedelta(microseconds=idle),
        from_micros(expires_at),
        device,
        persistent=persistent,
        parent_id=parent_id,
        sid=sid,
    )
