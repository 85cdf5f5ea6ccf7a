"""One-time tokens in SQL: one row for each subject and purpose. Using it up is one DELETE, which one caller wins."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, Row, Table, Text, delete, select, update

from ...core.clock import from_micros, to_micros
from ...identity.token_store import OneTimeTokenRow
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlOneTimeTokenStore"]

_TOKENS: Final = Table(
    "wst_one_time_tokens",
    metadata,
    # One open token a subject and purpose: two that are issued at one moment cannot both stand.
    Column("subject", Text, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("key", LargeBinary(32), nullable=False, unique=True),
    Column("issued_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("email", LargeBinary(32)),
    Column("fingerprint", LargeBinary(32)),
    Column("data", Text, nullable=False),
    Column("sealed", LargeBinary),
    Column("tries", Integer, nullable=False, server_default="0"),
)
_C: Final = _TOKENS.c
COLUMNS_OF_4: Final = (_C.sealed, _C.tries)


class SqlOneTimeTokenStore:
    """`OneTimeTokenStore` over SQLite or PostgreSQL, blocking or asynchronous."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def issue(self, row: OneTimeTokenRow, /) -> None:
        """See `OneTimeTokenStore`."""
        await self._database.run(lambda c: _issue(c, row))

    async def read(self, key: bytes, /) -> OneTimeTokenRow | None:
        """See `OneTimeTokenStore`."""
        wanted = select(_TOKENS).where(_C.key == key)
        found = await self._database.run(lambda c: c.execute(wanted).one_or_none(), read=True)
        return None if found is None else _row(found)

    async def consume_if(self, row: OneTimeTokenRow, /) -> bool:
        """See `OneTimeTokenStore`."""
        used = delete(_TOKENS).where(_C.key == row.key)
        return await self._database.run(lambda c: c.execute(used).rowcount == 1)

    async def attempt(self, key: bytes, limit: int, /) -> OneTimeTokenRow | None:
        """See `OneTimeTokenStore`: one UPDATE."""
        tried = update(_TOKENS).where(_C.key == key, _C.tries < limit).values(tries=_C.tries + 1).returning(*_C)
        found = await self._database.run(lambda c: c.execute(tried).one_or_none())
        return None if found is None else _row(found)

    async def revoke(self, purpose: str, subject: str, /) -> None:
        """See `OneTimeTokenStore`."""
        gone = delete(_TOKENS).where(_C.purpose == purpose, _C.subject == subject)
        await self._database.run(lambda c: c.execute(gone))

    async def sweep(self, now: datetime, /) -> int:
        """See `OneTimeTokenStore`."""
        gone = delete(_TOKENS).where(_C.expires_at <= to_micros(now))
        return await self._database.run(lambda c: c.execute(gone).rowcount)


def _issue(connection: Connection, row: OneTimeTokenRow) -> None:
    values = {
        "key": row.key,
        "issued_at": to_micros(row.issued_at),
        "expires_at": to_micros(row.expires_at),
        "email": row.email,
        "fingerprint": row.fingerprint,
        "data": json.dumps(dict(row.data), sort_keys=True, separators=(",", ":")),
        "sealed": row.sealed,
        "tries": row.tries,
    }
    added = insert(connection, _TOKENS).values(subject=row.subject, purpose=row.purpose, **values)
    connection.execute(added.on_conflict_do_update(index_elements=["subject", "purpose"], set_=values))


def _row(found: Row[Any]) -> OneTimeTokenRow:
    return OneTimeTokenRow(
        bytes(found.key),
        found.purpose,
        found.subject,
        from_micros(found.issued_at),
        from_micros(found.expires_at),
        found.email,
        found.fingerprint,
        json.loads(found.data),
        found.sealed,
        found.tries,
    )
