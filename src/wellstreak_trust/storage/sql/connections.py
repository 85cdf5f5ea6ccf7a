"""Connections in SQL: one row each, swapped under its version; the newest checks and daily counts beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, Table, Text, and_, delete, or_, select, update

from ...connections.record import Candidate, Check, Condition, ConnectionRecord, Evidence
from ...connections.store import CHECKS_KEPT, DAYS_KEPT
from ...connections.view import Day
from ...core.clock import from_micros, to_micros
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlConnectionStore"]

_ROWS: Final = Table(
    "wst_connection",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("next_check", BigInteger),
    Column("leased_until", BigInteger),
    Column("record", Text, nullable=False),
    Index("ix_wst_connection_next_check", "next_check"),
)
_CHECKS: Final = Table(
    "wst_connection_check",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True),  # of the row it was written with: the order of checks
    Column("body", Text, nullable=False),
)
_DAYS: Final = Table(
    "wst_connection_day",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("day", Integer, primary_key=True),  # date.toordinal()
    Column("passed", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
)
_TIMES: Final = (
    "since", "generation_since", "last_ok", "last_checked", "last_inbound", "first_fault",
)  # fmt: skip


class SqlConnectionStore:
    """`ConnectionStore` over a SQL port."""

    def __init__(self, database: SqlPort) -> None:
        self._database: SqlPort = database
        self.suspends: bool = database.suspends

    async def load(self, tenant_id: str, provider: str) -> ConnectionRecord | None:
        """See `ConnectionStore`."""
        query = select(_ROWS).where(_here(_ROWS, tenant_id, provider))
        row = await self._database.run(lambda c: c.execute(query).mappings().first(), read=True)
        return None if row is None else _record(row)

    async def swap_if(self, record: ConnectionRecord, check: Check | None = None) -> bool:
        """See `ConnectionStore`."""
        values = _values(record)

        def work(connection: Connection) -> bool:
            if record.version == 0:
                fresh = insert(connection, _ROWS).values(values).on_conflict_do_nothing().returning(_ROWS.c.version)
                stored = connection.execute(fresh).first() is not None  # drivers disagree on an INSERT's rowcount
            else:
                stands = _here(_ROWS, record.tenant_id, record.provider) & (_ROWS.c.version == record.version)
                stored = connection.execute(update(_ROWS).where(stands).values(values)).rowcount == 1
            if stored and check is not None:
                _keep(connection, record, check)
            return stored

        return await self._database.run(work)

    async def claim_due(self, now: datetime, until: datetime, limit: int) -> list[ConnectionRecord]:
        """See `ConnectionStore`."""
        moment, end = to_micros(now), to_micros(until)
        free = or_(_ROWS.c.leased_until.is_(None), _ROWS.c.leased_until <= moment)
        due = select(_ROWS).where(_ROWS.c.next_check <= moment, free).order_by(_ROWS.c.next_check).limit(limit)

        def work(connection: Connection) -> list[ConnectionRecord]:
            # Workers that come together take different rows; SQLite writes one at a time and knows no row locks.
            found = connection.execute(due.with_for_update(skip_locked=True)).mappings().all()
            claimed = []
            for row in found:
                here = _here(_ROWS, row["tenant_id"], row["provider"]) & (_ROWS.c.version == row["version"])
                leased = {"leased_until": end, "version": row["version"] + 1}
                if connection.execute(update(_ROWS).where(here).values(leased)).rowcount == 1:
                    claimed.append(_record({**row, **leased}))
            return claimed

        return await self._database.run(work)

    async def checks(self, tenant_id: str, provider: str) -> list[Check]:
        """See `ConnectionStore`."""
        query = select(_CHECKS.c.body).where(_here(_CHECKS, tenant_id, provider)).order_by(_CHECKS.c.version.desc())
        bodies = await self._database.run(lambda c: c.execute(query.limit(CHECKS_KEPT)).scalars().all(), read=True)
        return [_check(json.loads(body)) for body in bodies]

    async def days(self, tenant_id: str, provider: str) -> list[Day]:
        """See `ConnectionStore`."""
        query = select(_DAYS).where(_here(_DAYS, tenant_id, provider)).order_by(_DAYS.c.day)
        rows = await self._database.run(lambda c: c.execute(query).mappings().all(), read=True)
        return [Day(date.fromordinal(row["day"]), row["passed"], row["total"]) for row in rows]

    async def list(self, tenant_id: str | None) -> list[ConnectionRecord]:
        """See `ConnectionStore`."""
        query = select(_ROWS).order_by(_ROWS.c.tenant_id, _ROWS.c.provider)
        if tenant_id is not None:
            query = query.where(_ROWS.c.tenant_id == tenant_id)
        rows = await self._database.run(lambda c: c.execute(query).mappings().all(), read=True)
        return [_record(row) for row in rows]


def _here(table: Table, tenant_id: str, provider: str) -> Any:
    return and_(table.c.tenant_id == tenant_id, table.c.provider == provider)


def _keep(connection: Connection, record: ConnectionRecord, check: Check) -> None:
    place = {"tenant_id": record.tenant_id, "provider": record.provider}
    body = json.dumps({**asdict(check), "at": to_micros(check.at)})
    connection.execute(_CHECKS.insert().values(**place, version=record.version + 1, body=body))
    kept = select(_CHECKS.c.version).where(_here(_CHECKS, **place)).order_by(_CHECKS.c.version.desc())
    oldest = kept.offset(CHECKS_KEPT - 1).limit(1).scalar_subquery()
    connection.execute(delete(_CHECKS).where(_here(_CHECKS, **place), _CHECKS.c.version < oldest))
    day = check.at.date()
    counted = insert(connection, _DAYS).values(**place, day=day.toordinal(), passed=int(check.passed), total=1)
    more = {"passed": _DAYS.c.passed + counted.excluded.passed, "total": _DAYS.c.total + 1}
    connection.execute(counted.on_conflict_do_update(index_elements=["tenant_id", "provider", "day"], set_=more))
    last = (day - timedelta(days=DAYS_KEPT)).toordinal()
    connection.execute(delete(_DAYS).where(_here(_DAYS, **place), _DAYS.c.day <= last))


def _values(record: ConnectionRecord) -> dict[str, Any]:
    held = {
        "generation": record.generation,
        "config": dict(record.config),
        "secret": record.secret,
        "secret_version": record.secret_version,
        "reason": record.reason,
        "faults": record.faults,
        "clean": record.clean,
        "edges": [to_micros(at) for at in record.edges],
        "conditions": [{**asdict(found), "since": to_micros(found.since)} for found in record.conditions],
        "evidence": _spelled(record.evidence, "observed_at"),
        "candidate": _spelled(record.candidate, "since"),
        **{name: _micros(getattr(record, name)) for name in _TIMES},
    }
    return {
        "tenant_id": record.tenant_id,
        "provider": record.provider,
        "version": record.version + 1,
        "state": record.state,
        "next_check": _micros(record.next_check),
        "leased_until": _micros(record.leased_until),
        "record": json.dumps(held, sort_keys=True),
    }


def _spelled(part: Evidence | Candidate | None, moment: str) -> dict[str, Any] | None:
    if part is None:
        return None
    found = {name: getattr(part, name) for name in part.__dataclass_fields__}
    if isinstance(part, Candidate):
        found["config"] = dict(part.config)
    return {**found, moment: to_micros(found[moment])}


def _record(row: Mapping[Any, Any]) -> ConnectionRecord:
    held = json.loads(row["record"])
    times: dict[str, Any] = {name: _moment(held.pop(name)) for name in _TIMES}
    evidence, candidate = held.pop("evidence"), held.pop("candidate")
    return ConnectionRecord(
        tenant_id=row["tenant_id"],
        provider=row["provider"],
        state=row["state"],
        version=row["version"],
        next_check=_moment(row["next_check"]),
        leased_until=_moment(row["leased_until"]),
        config=MappingProxyType(held.pop("config")),
        edges=tuple(from_micros(at) for at in held.pop("edges")),
        conditions=tuple(
            Condition(**{**found, "since": from_micros(found["since"])}) for found in held.pop("conditions")
        ),
        evidence=Evidence(**{**evidence, "observed_at": from_micros(evidence["observed_at"])}) if evidence else None,
        candidate=_candidate(candidate) if candidate else None,
        **times,
        **held,
    )


def _candidate(held: dict[str, Any]) -> Candidate:
    return Candidate(**{**held, "since": from_micros(held["since"]), "config": MappingProxyType(held["config"])})


def _check(held: dict[str, Any]) -> Check:
    return Check(**{**held, "at": from_micros(held["at"]), "probes": tuple(tuple(probe) for probe in held["probes"])})


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
