"""Metered use and subscriptions in SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Table, Text, bindparam, select

from ...core.clock import from_micros, to_micros
from ...core.event import AuditEvent
from ...core.sansio import synced
from ...tenancy.entitlements import Hold
from ...tenancy.subscription import EntitlementSnapshot, Feature
from .database import SqlPort, insert
from .outbox import SqlOutbox, append
from .schema import metadata

__all__ = ["SqlEntitlements", "SqlUsageStore"]

_USAGE: Final = Table(
    "wst_usage",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("feature", Text, primary_key=True),
    Column("period", BigInteger, primary_key=True),
    Column("used", BigInteger, nullable=False),
)
_HOLDS: Final = Table(
    "wst_usage_hold",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("feature", Text, nullable=False),
    Column("period", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
)
_SUBSCRIPTIONS: Final = Table(
    "wst_subscription",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("plan", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("period_start", BigInteger),
    Column("period_end", BigInteger),
    Column("features", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("as_of", BigInteger),
    Column("past_due_since", BigInteger),
    Column("reference", Text),
)
COLUMNS_OF_2: Final = (_SUBSCRIPTIONS.c.past_due_since, _SUBSCRIPTIONS.c.reference)

_COUNTER: Final[dict[str, Any]] = {
    "tenant_id": bindparam("tenant"),
    "feature": bindparam("what"),
    "period": bindparam("when"),
}
_HOLDING: Final = _HOLDS.insert().values(id=bindparam("hold"), amount=bindparam("amount"), **_COUNTER)
_CLOSING: Final = _HOLDS.delete().where(_HOLDS.c.id == bindparam("hold")).returning(_HOLDS)


@cache
def _taking(dialect: str) -> Any:
    """Built once: to build the statement costs more than to run it."""
    raised = _USAGE.c.used + bindparam("amount")
    return (
        insert(dialect, _USAGE)
        .values(**_COUNTER, used=bindparam("amount"))
        .on_conflict_do_update(
            index_elements=list(_COUNTER), set_={"used": raised}, where=raised <= bindparam("most", type_=BigInteger)
        )
        .returning(_USAGE.c.used)
    )


class SqlUsageStore:
    """Counters of metered features; open holds are rows, and deleting the row is what commits or releases, once."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self._database: SqlPort = database

    async def take_if(self, hold: Hold, limit: int) -> int | None:
        """Adds the amount if the sum stays within `limit`: one conditional upsert decides."""
        if hold.amount > limit:
            return None  # the insert below has no earlier row to compare with
        row = {"tenant": hold.tenant_id, "what": hold.feature, "when": hold.period, "amount": hold.amount}

        def work(connection: Connection) -> int | None:
            total: int | None = connection.scalar(_taking(connection.dialect.name), {**row, "most": limit})
            if total is not None:
                connection.execute(_HOLDING, {**row, "hold": hold.id})
            return total

        return await self._database.run(work)

    async def commit(self, hold_id: str, used: int | None = None, /) -> bool:
        """Makes an open hold final, giving back what it holds beyond `used`."""
        return await self._database.run(lambda connection: _close(connection, hold_id, used))

    async def release(self, hold_id: str, /) -> bool:
        """Gives an open hold back, once."""
        return await self._database.run(lambda connection: _close(connection, hold_id, 0))

    async def used(self, tenant_id: str, feature: str, period: int) -> int:
        """What is taken, holds included."""
        query = select(_USAGE.c.used).where(
            _USAGE.c.tenant_id == tenant_id, _USAGE.c.feature == feature, _USAGE.c.period == period
        )
        return await self._database.run(lambda connection: connection.scalar(query), read=True) or 0


class SqlEntitlements:
    """Subscriptions in SQL, as billing events reported them; a source for `Entitlements`."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self.outbox: SqlOutbox = SqlOutbox(database)
        self._database: SqlPort = database

    async def snapshot(self, tenant_id: str) -> EntitlementSnapshot | None:
        """The subscription as applied last."""
        query = select(_SUBSCRIPTIONS).where(_SUBSCRIPTIONS.c.tenant_id == tenant_id)
        row = await self._database.run(lambda connection: connection.execute(query).one_or_none(), read=True)
        return _snapshot(row) if row is not None else None

    async def aapply(self, tenant_id: str, snapshot: EntitlementSnapshot, events: Iterable[AuditEvent] = (), /) -> bool:
        """Takes a billing event; False for a version at or below the one held: late events change nothing."""
        row = _subscription_row(snapshot)
        newer = _SUBSCRIPTIONS.c.version < snapshot.version
        if snapshot.parting:
            mine = _SUBSCRIPTIONS.c.reference.is_(None) | (_SUBSCRIPTIONS.c.reference == snapshot.reference)
            newer = newer & mine

        def work(connection: Connection) -> bool:
            stored = connection.execute(
                insert(connection, _SUBSCRIPTIONS)
                .values(tenant_id=tenant_id, **row)
                .on_conflict_do_update(index_elements=["tenant_id"], set_=row, where=newer)
                .returning(_SUBSCRIPTIONS.c.version)
            ).first()
            if stored is not None:
                append(connection, events)
            return stored is not None

        return await self._database.run(work)

    apply: Final = synced(aapply)


def _close(connection: Connection, hold_id: str, used: int | None) -> bool:
    """Closes an open hold, for whoever deletes its row; False for everybody after. Gives back all but `used`."""
    hold = connection.execute(_CLOSING, {"hold": hold_id}).one_or_none()
    if hold is not None and used is not None and used < hold.amount:
        here = (_USAGE.c.tenant_id == hold.tenant_id, _USAGE.c.feature == hold.feature, _USAGE.c.period == hold.period)
        connection.execute(_USAGE.update().where(*here).values(used=_USAGE.c.used - (hold.amount - used)))
    return hold is not None


def _subscription_row(snapshot: EntitlementSnapshot) -> dict[str, Any]:
    features = {name: asdict(feature) for name, feature in snapshot.features.items()}
    return {
        "plan": snapshot.plan,
        "status": snapshot.status,
        "period_start": _micros(snapshot.period_start),
        "period_end": _micros(snapshot.period_end),
        "features": json.dumps(features, sort_keys=True),
        "version": snapshot.version,
        "as_of": _micros(snapshot.as_of),
        "past_due_since": _micros(snapshot.past_due_since),
        "reference": snapshot.reference,
    }


def _snapshot(row: Any) -> EntitlementSnapshot:
    return EntitlementSnapshot(
        row.plan,
        row.status,
        _moment(row.period_end),
        {name: Feature(**values) for name, values in json.loads(row.features).items()},
        version=row.version,
        as_of=_moment(row.as_of),
        period_start=_moment(row.period_start),
        past_due_since=_moment(row.past_due_since),
        reference=row.reference,
    )


def _micros(moment: Any) -> int | None:
    return to_micros(moment) if moment is not None else None


def _moment(micros: int | None) -> Any:
    return from_micros(micros) if micros is not None else None
