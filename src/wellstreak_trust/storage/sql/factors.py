"""Second factors in SQL. Each decision is one statement that finds what it expects, or changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    Row,
    Table,
    Text,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    update,
)

from ...core.clock import from_micros, to_micros
from ...identity.factor_store import PasskeyRow, TotpRow
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlPasskeyStore", "SqlRecoveryCodeStore", "SqlTotpStore"]

_MICROSECOND: Final = timedelta(microseconds=1)

_TOTP: Final = Table(
    "wst_totp",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("pending", Boolean, primary_key=True),
    Column("seed", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("tries_since", BigInteger, nullable=False),
)
_SALTS: Final = Table(
    "wst_recovery_salts",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("salt", LargeBinary(16), nullable=False),
)
_CODES: Final = Table(
    "wst_recovery_codes",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("digest", LargeBinary(32), primary_key=True),
)
_PASSKEYS: Final = Table(
    "wst_passkeys",
    metadata,
    Column("id", LargeBinary(1_023), primary_key=True),
    Column("user_id", Text, nullable=False, index=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("label", Text),
    Column("transports", Text, nullable=False),
    Column("backed_up", Boolean, nullable=False),
    Column("last_used_at", BigInteger),
)
_T: Final = _TOTP.c
_P: Final = _PASSKEYS.c


class SqlTotpStore:
    """`TotpStore` over SQLite or PostgreSQL, blocking or asynchronous."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def enrol(self, row: TotpRow, /) -> str | None:
        """See `TotpStore`."""
        return await self._database.run(lambda c: _enrol(c, row))

    async def attempt(
        self, user_id: str, /, *, pending: bool, now: datetime, limit: int, window: timedelta
    ) -> TotpRow | None:
        """See `TotpStore`: one UPDATE."""
        at, since = to_micros(now), to_micros(now) - window // _MICROSECOND
        over = _T.tries_since <= since
        tried = (
            update(_TOTP)
            .where(_T.user_id == user_id, _T.pending.is_(pending), or_(over, _T.tries < limit))
            .values(tries=case((over, 1), else_=_T.tries + 1), tries_since=case((over, at), else_=_T.tries_since))
        )
        found = await self._database.run(lambda c: c.execute(tried.returning(*_T)).one_or_none())
        return None if found is None else _totp(found)

    async def confirm_if(self, seed: str, step: int, /) -> tuple[bool, str | None]:
        """See `TotpStore`."""
        return await self._database.run(lambda c: _confirm(c, seed, step))

    async def advance_if(self, seed: str, step: int, /) -> bool:
        """See `TotpStore`: one UPDATE."""
        change = (
            update(_TOTP)
            .where(_T.seed == seed, _T.pending.is_(False), _T.last_step < step)
            .values(last_step=step, tries=0, tries_since=0)
        )
        return await self._database.run(lambda c: c.execute(change).rowcount == 1)

    async def remove(self, user_id: str, /) -> tuple[str, ...]:
        """See `TotpStore`."""
        gone = delete(_TOTP).where(_T.user_id == user_id).returning(_T.seed)
        found = await self._database.run(lambda c: c.execute(gone).scalars().all())
        return tuple(sorted(found))

    async def confirmed(self, user_id: str, /) -> bool:
        """See `TotpStore`."""
        wanted = select(_T.seed).where(_T.user_id == user_id, _T.pending.is_(False))
        return await self._database.run(lambda c: c.execute(wanted).first() is not None, read=True)


class SqlRecoveryCodeStore:
    """`RecoveryCodeStore` over SQLite or PostgreSQL, blocking or asynchronous."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def replace(self, user_id: str, salt: bytes, digests: Iterable[bytes], /) -> None:
        """See `RecoveryCodeStore`."""
        codes = [{"user_id": user_id, "digest": digest} for digest in digests]
        await self._database.run(lambda c: _replace_codes(c, user_id, salt, codes))

    async def salt_of(self, user_id: str, /) -> bytes | None:
        """See `RecoveryCodeStore`."""
        left = select(_CODES.c.digest).where(_CODES.c.user_id == user_id).exists()
        wanted = select(_SALTS.c.salt).where(_SALTS.c.user_id == user_id, left)
        found = await self._database.run(lambda c: c.scalar(wanted), read=True)
        return None if found is None else bytes(found)

    async def consume_if(self, user_id: str, digest: bytes, /) -> int | None:
        """See `RecoveryCodeStore`."""
        return await self._database.run(lambda c: _consume_code(c, user_id, digest))

    async def count(self, user_id: str, /) -> int:
        """See `RecoveryCodeStore`."""
        return await self._database.run(lambda c: _count_codes(c, user_id), read=True)


class SqlPasskeyStore:
    """`PasskeyStore` over SQLite or PostgreSQL, blocking or asynchronous."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def add(self, row: PasskeyRow, /) -> bool:
        """See `PasskeyStore`: one INSERT."""
        return await self._database.run(lambda c: _add_passkey(c, row))

    async def read(self, id: bytes, /) -> PasskeyRow | None:
        """See `PasskeyStore`: one SELECT."""
        wanted = select(_PASSKEYS).where(_P.id == id)
        found = await self._database.run(lambda c: c.execute(wanted).one_or_none(), read=True)
        return None if found is None else _passkey(found)

    async def advance_if(self, id: bytes, sign_count: int, at: datetime, backed_up: bool, /) -> bool:
        """See `PasskeyStore`: one UPDATE."""
        grows = _P.sign_count == 0 if sign_count == 0 else _P.sign_count < sign_count
        change = update(_PASSKEYS).where(_P.id == id, grows)
        values = {"sign_count": sign_count, "last_used_at": to_micros(at), "backed_up": backed_up}
        return await self._database.run(lambda c: c.execute(change.values(**values)).rowcount == 1)

    async def list(self, user_id: str, /) -> tuple[PasskeyRow, ...]:
        """See `PasskeyStore`."""
        wanted = select(_PASSKEYS).where(_P.user_id == user_id).order_by(_P.created_at, _P.id)
        found = await self._database.run(lambda c: c.execute(wanted).all(), read=True)
        return tuple(_passkey(each) for each in found)

    async def remove(self, id: bytes, /, *, user_id: str) -> bool:
        """See `PasskeyStore`: one DELETE."""
        gone = delete(_PASSKEYS).where(_P.id == id, _P.user_id == user_id)
        return await self._database.run(lambda c: c.execute(gone).rowcount == 1)


def _enrol(connection: Connection, row: TotpRow) -> str | None:
    same = and_(_T.user_id == row.user_id, _T.pending.is_(True))
    before = connection.scalar(select(_T.seed).where(same).with_for_update())
    values = {"seed": row.seed, "created_at": to_micros(row.created_at), "last_step": row.last_step}
    values |= {"tries": 0, "tries_since": 0}
    added = insert(connection, _TOTP).values(user_id=row.user_id, pending=True, **values)
    connection.execute(added.on_conflict_do_update(index_elements=["user_id", "pending"], set_=values))
    return None if before is None else str(before)


def _confirm(connection: Connection, seed: str, step: int) -> tuple[bool, str | None]:
    found = connection.execute(select(_TOTP).where(_T.seed == seed, _T.pending.is_(True)).with_for_update()).first()
    if found is None:
        return False, None
    gone = delete(_TOTP).where(_T.user_id == found.user_id, _T.pending.is_(False)).returning(_T.seed)
    before = connection.execute(gone).scalars().first()
    change = update(_TOTP).where(_T.seed == seed, _T.pending.is_(True))
    connection.execute(change.values(pending=False, last_step=step, tries=0, tries_since=0))
    return True, before


def _totp(found: Row[Any]) -> TotpRow:
    since = from_micros(found.tries_since) if found.tries_since else None
    return TotpRow(found.user_id, found.seed, from_micros(found.created_at), found.last_step, found.tries, since)


def _replace_codes(connection: Connection, user_id: str, salt: bytes, codes: list[dict[str, Any]]) -> None:
    # The row of the salt first: its lock makes two new sets of one user take turns.
    added = insert(connection, _SALTS).values(user_id=user_id, salt=salt)
    connection.execute(added.on_conflict_do_update(index_elements=["user_id"], set_={"salt": salt}))
    connection.execute(delete(_CODES).where(_CODES.c.user_id == user_id))
    if codes:
        connection.execute(_CODES.insert(), codes)


def _consume_code(connection: Connection, user_id: str, digest: bytes) -> int | None:
    gone = delete(_CODES).where(_CODES.c.user_id == user_id, _CODES.c.digest == digest)
    return _count_codes(connection, user_id) if connection.execute(gone).rowcount else None


def _count_codes(connection: Connection, user_id: str) -> int:
    return connection.scalar(select(func.count()).where(_CODES.c.user_id == user_id)) or 0


def _add_passkey(connection: Connection, row: PasskeyRow) -> bool:
    added = insert(connection, _PASSKEYS).values(
        id=row.id,
        user_id=row.user_id,
        public_key=row.public_key,
        sign_count=row.sign_count,
        created_at=to_micros(row.created_at),
        label=row.label,
        transports=json.dumps(row.transports),
        backed_up=row.backed_up,
        last_used_at=None if row.last_used_at is None else to_micros(row.last_used_at),
    )
    return connection.scalar(added.on_conflict_do_nothing(index_elements=["id"]).returning(_P.id)) is not None


def _passkey(found: Row[Any]) -> PasskeyRow:
    return PasskeyRow(
        bytes(found.id),
        found.user_id,
        bytes(found.public_key),
        found.sign_count,
        from_micros(found.created_at),
        found.label,
        tuple(json.loads(found.transports)),
        found.backed_up,
        None if found.last_used_at is None else from_micros(found.last_used_at),
    )
