"""API keys in SQL: one row a key, found by its id in one SELECT."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Table,
    Text,
    bindparam,
    delete,
    or_,
    select,
    update,
)

from ...core.clock import from_micros, to_micros
from ...identity.apikey_store import ApiKeyInfo, ApiKeyRow
from .database import SqlPort
from .schema import metadata

__all__ = ["SqlApiKeyStore"]

_KEYS: Final = Table(
    "wst_api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("owner_id", Text, nullable=False, index=True),
    Column("tenant_id", Text, nullable=False, index=True),
    Column("scopes", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
)
_C: Final = _KEYS.c
_BY_ID: Final = select(_KEYS).where(_C.id == bindparam("wanted"))


class SqlApiKeyStore:
    """`ApiKeyStore` over SQLite or PostgreSQL, blocking or asynchronous."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def add(self, row: ApiKeyRow, /) -> None:
        """See `ApiKeyStore`."""
        await self._database.run(lambda c: c.execute(_KEYS.insert().values(**_values(row))))

    async def read(self, key_id: str, /) -> ApiKeyRow | None:
        """See `ApiKeyStore`: one SELECT."""
        found = await self._database.run(lambda c: c.execute(_BY_ID, {"wanted": key_id}).one_or_none(), read=True)
        return None if found is None else ApiKeyRow(_info(found), bytes(found.digest))

    async def touch(self, key_id: str, at: datetime, /) -> None:
        """See `ApiKeyStore`."""
        later = or_(_C.last_used_at.is_(None), _C.last_used_at < to_micros(at))
        change = update(_KEYS).where(_C.id == key_id, later).values(last_used_at=to_micros(at))
        await self._database.run(lambda c: c.execute(change))

    async def succeed(self, row: ApiKeyRow, key_id: str, ends_at: datetime, /) -> bool:
        """See `ApiKeyStore`."""
        return await self._database.run(lambda c: _succeed(c, row, key_id, to_micros(ends_at)))

    async def revoke(self, key_id: str, /, *, tenant_id: str | None) -> ApiKeyInfo | None:
        """See `ApiKeyStore`: one DELETE."""
        gone = await self._forget(_C.id == key_id, tenant_id)
        return gone[0] if gone else None

    async def revoke_owned(self, owner_id: str, /, *, tenant_id: str | None) -> tuple[ApiKeyInfo, ...]:
        """See `ApiKeyStore`: one DELETE."""
        gone = await self._forget(_C.owner_id == owner_id, tenant_id)
        return tuple(sorted(gone, key=lambda info: (info.created_at, info.id)))

    async def _forget(self, which: ColumnElement[bool], tenant_id: str | None) -> Sequence[ApiKeyInfo]:
        gone = delete(_KEYS).where(which)
        if tenant_id is not None:
            gone = gone.where(_C.tenant_id == tenant_id)
        found = await self._database.run(lambda c: c.execute(gone.returning(*_C)).all())
        return [_info(each) for each in found]

    async def list(self, tenant_id: str, /) -> tuple[ApiKeyInfo, ...]:
        """See `ApiKeyStore`."""
        wanted = select(_KEYS).where(_C.tenant_id == tenant_id).order_by(_C.created_at, _C.id)
        found = await self._database.run(lambda c: c.execute(wanted).all(), read=True)
        return tuple(_info(each) for each in found)


def _succeed(connection: Connection, row: ApiKeyRow, key_id: str, ends_at: int) -> bool:
    shorter = update(_KEYS).where(_C.id == key_id, _C.expires_at > ends_at).values(expires_at=ends_at)
    if connection.execute(shorter).rowcount == 0 and connection.execute(_BY_ID, {"wanted": key_id}).first() is None:
        return False
    connection.execute(_KEYS.insert().values(**_values(row)))
    return True


def _values(row: ApiKeyRow) -> dict[str, Any]:
    info = row.info
    return {
        "id": info.id,
        "digest": row.digest,
        "owner_id": info.owner_id,
        "tenant_id": info.tenant_id,
        "scopes": json.dumps(sorted(info.scopes)),
        "name": info.name,
        "created_at": to_micros(info.created_at),
        "expires_at": to_micros(info.expires_at),
        "last_used_at": None if info.last_used_at is None else to_micros(info.last_used_at),
    }


def _info(found: Row[Any]) -> ApiKeyInfo:
    return ApiKeyInfo(
        found.id,
        found.owner_id,
        found.tenant_id,
        frozenset(json.loads(found.scopes)),
        found.name,
        from_micros(found.created_at),
        from_micros(found.expires_at),
        None if found.last_used_at is None else from_micros(found.last_used_at),
    )
