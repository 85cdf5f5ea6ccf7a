"""Tenant keys in SQL, wrapped.

Who seals under a key, or adds one, holds a share of the locks of the tenant's key rows; who turns, retires or shreds
holds them alone. So a key turns between writes, and no key comes while a tenant is shredded. PostgreSQL shows who
waited for a lock the changed rows and not those that were added meanwhile: what must see all looks a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, or_, select, union, update

from ...secrets.rows import TenantKeyRow
from .database import SqlPort, insert
from .secret_tables import HEAD, KEY, STORE, VERSION

__all__ = ["SqlKeyBackend", "locked_keys"]

_K: Final = KEY.c
_OF: Final = select(KEY).where(_K.tenant_id == bindparam("tenant")).order_by(_K.version)
_LOCK: Final = _OF.with_for_update(read=True)
_TURN: Final = _OF.with_for_update()
_TENANTS: Final = union(select(_K.tenant_id), select(HEAD.c.tenant_id)).subquery()
_IN_USE: Final = union(
    select(HEAD.c.key_version).where(HEAD.c.tenant_id == bindparam("tenant")),
    select(VERSION.c.key_version).where(VERSION.c.tenant_id == bindparam("tenant")),
)
_REWRAP: Final = (
    update(KEY)
    .where(_K.tenant_id == bindparam("tenant"), _K.version == bindparam("at"))
    .where(_K.kek_uri == bindparam("was"), _K.state != "destroyed")
    .values(kek_uri=bindparam("becomes"), wrapped=bindparam("blob"))
)


def locked_keys(connection: Connection, tenant_id: str) -> tuple[TenantKeyRow, ...]:
    """All keys of a tenant, which stay as they are until the transaction ends."""
    at = {"tenant": tenant_id}
    rows = connection.execute(_LOCK, at).all()
    if rows and not any(row.state == "active" for row in rows):  # turned while we waited: the new one is not among them
        rows = connection.execute(_LOCK, at).all()
    return tuple(map(TenantKeyRow._make, rows))


class SqlKeyBackend:
    """`KeyBackend` over SQLite or PostgreSQL; the base of `SqlSecretBackend`."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def claim_store(self, candidate: str, created_at: int, /) -> str:
        """See `KeyBackend`: read first, so that a replica which takes no writes serves reads."""
        reading = select(STORE.c.id).where(STORE.c.slot == 1)
        found = await self._database.run(lambda c: c.execute(reading).scalar(), read=True)
        if found is not None:
            return str(found)
        values = {"slot": 1, "id": candidate, "created_at": created_at}

        def claim(connection: Connection) -> str:
            connection.execute(insert(connection, STORE).values(values).on_conflict_do_nothing())
            return str(connection.execute(reading).scalar_one())

        return await self._database.run(claim)

    async def claim_key(self, row: TenantKeyRow, /) -> TenantKeyRow:
        """See `KeyBackend`: of two first writers one inserts, both read."""
        here = (_K.tenant_id == row.tenant_id) & (_K.version == row.version)

        def claim(connection: Connection) -> TenantKeyRow:
            standing = locked_keys(connection, row.tenant_id)
            if standing and not any(_lives(each) for each in standing):
                return standing[-1]
            connection.execute(insert(connection, KEY).values(row._asdict()).on_conflict_do_nothing())
            return TenantKeyRow._make(connection.execute(select(KEY).where(here)).one())

        return await self._database.run(claim)

    async def tenants(self, after: str, limit: int, /) -> tuple[str, ...]:
        """See `KeyBackend`."""
        beyond = select(_TENANTS.c.tenant_id).where(_TENANTS.c.tenant_id > after)
        wanted = beyond.order_by(_TENANTS.c.tenant_id).limit(limit)
        return tuple(await self._database.run(lambda c: c.execute(wanted).scalars().all(), read=True))

    async def keys_of(self, tenant_id: str, /) -> tuple[TenantKeyRow, ...]:
        """See `KeyBackend`."""
        found = await self._database.run(lambda c: c.execute(_OF, {"tenant": tenant_id}).all(), read=True)
        return tuple(TenantKeyRow._make(row) for row in found)

    async def keys_in_use(self, tenant_id: str, /) -> frozenset[int]:
        """See `KeyBackend`."""
        at = {"tenant": tenant_id}
        return frozenset(await self._database.run(lambda c: c.execute(_IN_USE, at).scalars().all(), read=True))

    async def retire_keys(self, tenant_id: str, /) -> tuple[int, ...]:
        """See `KeyBackend`."""
        at = {"tenant": tenant_id}
        idle = update(KEY).where(_K.tenant_id == tenant_id, _K.state == "decrypt_only")
        gone = idle.values(wrapped=None, state="destroyed").returning(_K.version)

        def retire(connection: Connection) -> tuple[int, ...]:
            connection.execute(_TURN, at).all()
            used = connection.execute(_IN_USE, at).scalars().all()
            return tuple(sorted(connection.execute(gone.where(_K.version.not_in(used))).scalars()))

        return await self._database.run(retire)

    async def turn_key_if(self, fresh: TenantKeyRow, /) -> bool:
        """See `KeyBackend`: the lock waits for writers under older keys; two who turn go one after the other."""
        older = update(KEY).where(_K.tenant_id == fresh.tenant_id, _K.state == "active")

        def turn(connection: Connection) -> bool:
            standing = connection.execute(_TURN, {"tenant": fresh.tenant_id}).all()
            if not any(map(_lives, standing)) or standing[-1].version != fresh.version - 1:
                return False
            new = insert(connection, KEY).values(fresh._asdict()).on_conflict_do_nothing().returning(_K.version)
            if connection.execute(new).one_or_none() is None:
                return False
            connection.execute(older.where(_K.version < fresh.version).values(state="decrypt_only"))
            return True

        return await self._database.run(turn)

    async def keys_outside(self, kek_uri: str, after: tuple[str, int], limit: int, /) -> tuple[TenantKeyRow, ...]:
        """See `KeyBackend`."""
        tenant, version = after
        beyond = or_(_K.tenant_id > tenant, (_K.tenant_id == tenant) & (_K.version > version))
        wanted = select(KEY).where(_K.kek_uri != kek_uri, _K.state != "destroyed", beyond)
        wanted = wanted.order_by(_K.tenant_id, _K.version).limit(limit)
        found = await self._database.run(lambda c: c.execute(wanted).all(), read=True)
        return tuple(TenantKeyRow._make(row) for row in found)

    async def rewrap_if(self, moves: Sequence[tuple[TenantKeyRow, TenantKeyRow]], /) -> int:
        """See `KeyBackend`: uri and bytes change together, or not at all."""
        steps: list[dict[str, Any]] = [
            {
                **{"tenant": old.tenant_id, "at": old.version, "was": old.kek_uri},
                **{"becomes": new.kek_uri, "blob": new.wrapped},
            }
            for old, new in moves
        ]
        return await self._database.run(lambda c: _rewrap(c, steps))

    async def shred(self, tenant_id: str, /) -> tuple[tuple[int, ...], int]:
        """See `KeyBackend`."""
        gone = update(KEY).where(_K.tenant_id == tenant_id, _K.state != "destroyed")
        gone_now = gone.values(wrapped=None, state="destroyed").returning(_K.version)
        held = select(func.count()).select_from(HEAD).where(HEAD.c.tenant_id == tenant_id)

        def work(connection: Connection) -> tuple[tuple[int, ...], int]:
            connection.execute(_TURN, {"tenant": tenant_id}).all()
            return tuple(sorted(connection.execute(gone_now).scalars())), connection.execute(held).scalar_one()

        return await self._database.run(work)


def _lives(row: Any) -> bool:
    return bool(row.state != "destroyed")


def _rewrap(connection: Connection, steps: list[dict[str, Any]]) -> int:
    if not steps:
        return 0
    if connection.dialect.supports_sane_multi_rowcount:
        return connection.execute(_REWRAP, steps).rowcount
    return sum(connection.execute(_REWRAP, step).rowcount for step in steps)
