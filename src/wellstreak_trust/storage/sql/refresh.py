"""Refresh tokens in SQL: one row a token and one a family. A family is ended by one UPDATE, whatever it holds.

The first use of a token is an UPDATE that finds it unused, in one transaction with the INSERT of its successor: a crash
leaves both or neither.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    LargeBinary,
    Row,
    Table,
    Text,
    bindparam,
    delete,
    select,
    update,
)

from ...core.clock import from_micros, to_micros
from ...identity.refresh_store import FamilyRow, Rotation, Taken, refused
from .database import SqlPort
from .schema import metadata

__all__ = ["SqlRefreshStore"]

_MICROSECOND: Final = timedelta(microseconds=1)

_FAMILIES: Final = Table(
    "wst_refresh_families",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("binding", Text),
    Column("idle", BigInteger),
    Column("data", Text, nullable=False),
    Column("ended", Boolean, nullable=False),
)
_TOKENS: Final = Table(
    "wst_refresh_tokens",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),
    Column("family_id", Text, nullable=False, index=True),
    Column("issued_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("sealed", LargeBinary),
)
_F: Final = _FAMILIES.c
_T: Final = _TOKENS.c
# The token's lock first, so that callers with one token take turns and each sees what the one before has committed.
_LOCKED: Final = select(_T.key).where(_T.key == bindparam("wanted")).with_for_update()
_BY_KEY: Final = (
    select(_FAMILIES, _T.issued_at, _T.used_at, _T.sealed)
    .join(_TOKENS, _T.family_id == _F.id)
    .where(_T.key == bindparam("wanted"))
)


class SqlRefreshStore:
    """`RefreshStore` over SQLite or PostgreSQL, blocking or asynchronous."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def begin(self, family: FamilyRow, key: bytes, /) -> None:
        """See `RefreshStore`."""
        await self._database.run(lambda c: _begin(c, family, key))

    async def take(self, rotation: Rotation, /) -> tuple[Taken, FamilyRow | None, bytes | None]:
        """See `RefreshStore`."""
        return await self._database.run(lambda c: _take(c, rotation))

    async def end(self, family_id: str, /, *, user_id: str | None) -> FamilyRow | None:
        """See `RefreshStore`: one UPDATE."""
        wanted = update(_FAMILIES).where(_F.id == family_id, _F.ended.is_(False))
        if user_id is not None:
            wanted = wanted.where(_F.user_id == user_id)
        change = wanted.values(ended=True).returning(*_F)
        found = await self._database.run(lambda c: c.execute(change).one_or_none())
        return None if found is None else _family(found)

    async def end_all(self, user_id: str, /) -> int:
        """See `RefreshStore`: one UPDATE."""
        change = update(_FAMILIES).where(_F.user_id == user_id, _F.ended.is_(False)).values(ended=True)
        return await self._database.run(lambda c: c.execute(change).rowcount)

    async def list(self, user_id: str, /) -> tuple[FamilyRow, ...]:
        """See `RefreshStore`."""
        wanted = select(_FAMILIES).where(_F.user_id == user_id, _F.ended.is_(False)).order_by(_F.created_at, _F.id)
        found = await self._database.run(lambda c: c.execute(wanted).all(), read=True)
        return tuple(_family(each) for each in found)

    async def sweep(self, now: datetime, /) -> int:
        """See `RefreshStore`."""
        return await self._database.run(lambda c: _sweep(c, to_micros(now)))


def _begin(connection: Connection, family: FamilyRow, key: bytes) -> None:
    connection.execute(
        _FAMILIES.insert().values(
            id=family.id,
            user_id=family.user_id,
            created_at=to_micros(family.created_at),
            expires_at=to_micros(family.expires_at),
            binding=family.binding,
            idle=None if family.idle is None else family.idle // _MICROSECOND,
            data=json.dumps(dict(family.data), sort_keys=True, separators=(",", ":")),
            ended=False,
        )
    )
    _add(connection, key, family.id, family.created_at)


def _add(connection: Connection, key: bytes, family_id: str, at: datetime) -> None:
    connection.execute(_TOKENS.insert().values(key=key, family_id=family_id, issued_at=to_micros(at)))


def _take(connection: Connection, rotation: Rotation) -> tuple[Taken, FamilyRow | None, bytes | None]:
    connection.execute(_LOCKED, {"wanted": rotation.key})
    found = connection.execute(_BY_KEY, {"wanted": rotation.key}).one_or_none()
    if found is None:
        return Taken.UNKNOWN, None, None
    family = _family(found)
    lies_since = from_micros(found.issued_at) if found.used_at is None else None
    refusal = refused(family, found.ended, lies_since, rotation)
    if refusal is not None:
        return refusal, family, None
    if found.used_at is None:
        used = update(_TOKENS).where(_T.key == rotation.key, _T.used_at.is_(None))
        connection.execute(used.values(used_at=to_micros(rotation.now), sealed=rotation.sealed))
        _add(connection, rotation.successor, family.id, rotation.now)
        return Taken.ROTATED, family, rotation.sealed
    if rotation.now < from_micros(found.used_at) + rotation.grace:
        return Taken.REPEATED, family, bytes(found.sealed)
    ending = update(_FAMILIES).where(_F.id == family.id, _F.ended.is_(False)).values(ended=True)
    return Taken.REUSED if connection.execute(ending).rowcount else Taken.REVOKED, family, None


def _sweep(connection: Connection, now: int) -> int:
    over = select(_F.id).where(_F.expires_at <= now)
    connection.execute(delete(_TOKENS).where(_T.family_id.in_(over)))
    return connection.execute(delete(_FAMILIES).where(_F.expires_at <= now)).rowcount


def _family(found: Row[Any]) -> FamilyRow:
    return FamilyRow(
        found.id,
        found.user_id,
        from_micros(found.created_at),
        from_micros(found.expires_at),
        found.binding,
        None if found.idle is None else timedelta(microseconds=found.idle),
        json.loads(found.data),
    )
