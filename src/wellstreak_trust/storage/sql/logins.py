"""Open sign-ins in SQL: one row each, used up by one DELETE that one caller wins; and what may be used once."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Connection, LargeBinary, Row, Table, Text, delete, select

from ...core.clock import from_micros, to_micros
from ...identity.login_store import LoginRow
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlLoginStore"]

_LOGINS: Final = Table(
    "wst_logins",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),
    Column("browser", LargeBinary(32), nullable=False),
    Column("nonce", LargeBinary(32), nullable=False),
    Column("verifier", LargeBinary, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("return_to", Text, nullable=False),
    Column("names_issuer", Boolean, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
_CLAIMS: Final = Table(
    "wst_login_claims",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),
    Column("until", BigInteger, nullable=False, index=True),
)


class SqlLoginStore:
    """`LoginStore` over SQLite or PostgreSQL, blocking or asynchronous."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def open(self, row: LoginRow, /) -> None:
        """See `LoginStore`."""
        values = {column.name: getattr(row, column.name) for column in _LOGINS.columns}
        added = _LOGINS.insert().values({**values, "expires_at": to_micros(row.expires_at)})
        await self._database.run(lambda c: c.execute(added))

    async def read(self, key: bytes, /) -> LoginRow | None:
        """See `LoginStore`."""
        wanted = select(_LOGINS).where(_LOGINS.c.key == key)
        found = await self._database.run(lambda c: c.execute(wanted).one_or_none(), read=True)
        return None if found is None else _row(found)

    async def consume_if(self, row: LoginRow, /) -> bool:
        """See `LoginStore`. Rows are never changed, so the key and the secret's hash say it all."""
        used = delete(_LOGINS).where(_LOGINS.c.key == row.key, _LOGINS.c.browser == row.browser)
        return await self._database.run(lambda c: c.execute(used).rowcount == 1)

    async def claim(self, key: bytes, /, *, now: datetime, until: datetime) -> bool:
        """See `LoginStore`."""
        return await self._database.run(lambda c: _claim(c, key, to_micros(now), to_micros(until)))

    async def release(self, key: bytes, /) -> None:
        """See `LoginStore`."""
        gone = delete(_CLAIMS).where(_CLAIMS.c.key == key)
        await self._database.run(lambda c: c.execute(gone))

    async def sweep(self, now: datetime, /) -> int:
        """See `LoginStore`."""
        logins = delete(_LOGINS).where(_LOGINS.c.expires_at <= to_micros(now))
        claims = delete(_CLAIMS).where(_CLAIMS.c.until <= to_micros(now))
        return await self._database.run(lambda c: c.execute(logins).rowcount + c.execute(claims).rowcount)


def _claim(connection: Connection, key: bytes, now: int, until: int) -> bool:
    """One statement: an upsert that touches only a claim that has run out."""
    added = insert(connection, _CLAIMS).values(key=key, until=until)
    taken = added.on_conflict_do_update(index_elements=["key"], set_={"until": until}, where=_CLAIMS.c.until <= now)
    return connection.execute(taken.returning(_CLAIMS.c.key)).first() is not None


def _row(found: Row[Any]) -> LoginRow:
    return LoginRow(
        bytes(found.key),
        bytes(found.browser),
        bytes(found.nonce),
        bytes(found.verifier),
        found.issuer,
        found.client_id,
        found.redirect_uri,
        found.return_to,
        found.names_issuer,
        from_micros(found.expires_at),
    )
