"""Connections in SQL: one row each, swapped under its version."""

from __future__ import annotations

import json
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Integer, RowMapping, Table, Text, select, update

from ...connections.state import ConnectionRecord, Evidence
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
    Column("generation", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("config", Text, nullable=False),
    Column("secret", Text),
    Column("secret_version", BigInteger),
    Column("evidence", Text),
    Column("last_ok", BigInteger),
    Column("last_checked", BigInteger),
    Column("faults", Integer, nullable=False),
    Column("first_fault", BigInteger),
    Column("clean", Integer, nullable=False),
    Column("edges", Text, nullable=False),
    Column("history", Text, nullable=False),
)


class SqlConnectionStore:
    """`ConnectionStore` over a SQL port."""

    def __init__(self, database: SqlPort) -> None:
        self._database: SqlPort = database
        self.suspends: bool = database.suspends

    async def load(self, tenant_id: str, provider: str) -> ConnectionRecord | None:
        """The record, or None."""
        query = select(_ROWS).where(_ROWS.c.tenant_id == tenant_id, _ROWS.c.provider == provider)
        row = await self._database.run(lambda c: c.execute(query).mappings().first(), read=True)
        return None if row is None else _record(row)

    async def swap_if(self, record: ConnectionRecord) -> bool:
        """Stores `record` if the row still stands at its version; a missing row is version 0."""
        values = _values(record)

        def work(connection: Connection) -> bool:
            if record.version == 0:
                fresh = insert(connection, _ROWS).values(values).on_conflict_do_nothing().returning(_ROWS.c.version)
                return connection.execute(fresh).first() is not None  # drivers disagree on the rowcount of an INSERT
            here = (_ROWS.c.tenant_id == record.tenant_id) & (_ROWS.c.provider == record.provider)
            stands = here & (_ROWS.c.version == record.version)
            return connection.execute(update(_ROWS).where(stands).values(values)).rowcount == 1

        return await self._database.run(work)

    async def list(self, tenant_id: str) -> list[ConnectionRecord]:
        """All records of a tenant, by provider."""
        query = select(_ROWS).where(_ROWS.c.tenant_id == tenant_id).order_by(_ROWS.c.provider)
        rows = await self._database.run(lambda c: c.execute(query).mappings().all(), read=True)
        return [_record(row) for row in rows]


def _values(record: ConnectionRecord) -> dict[str, Any]:
    held = record.evidence
    return {
        "tenant_id": record.tenant_id,
        "provider": record.provider,
        "version": record.version + 1,
        "generation": record.generation,
        "state": record.state,
        "since": to_micros(record.since),
        "reason": record.reason,
        "config": json.dumps(dict(record.config), sort_keys=True),
        "secret": record.secret,
        "secret_version": record.secret_version,
        "evidence": json.dumps([held.generation, held.secret_version, to_micros(held.observed_at)]) if held else None,
        "last_ok": _micros(record.last_ok),
        "last_checked": _micros(record.last_checked),
        "faults": record.faults,
        "first_fault": _micros(record.first_fault),
        "clean": record.clean,
        "edges": json.dumps([to_micros(at) for at in record.edges]),
        "history": json.dumps([[to_micros(at), verdict, code] for at, verdict, code in record.history]),
    }


def _record(row: RowMapping) -> ConnectionRecord:
    evidence = json.loads(row["evidence"]) if row["evidence"] else None
    return ConnectionRecord(
        row["tenant_id"],
        row["provider"],
        row["state"],
        from_micros(row["since"]),
        row["generation"],
        MappingProxyType(json.loads(row["config"])),
        row["secret"],
        row["secret_version"],
        row["version"],
        row["reason"],
        Evidence(evidence[0], evidence[1], from_micros(evidence[2])) if evidence else None,
        _moment(row["last_ok"]),
        _moment(row["last_checked"]),
        row["faults"],
        _moment(row["first_fault"]),
        row["clean"],
        tuple(from_micros(at) for at in json.loads(row["edges"])),
        tuple((from_micros(at), verdict, code) for at, verdict, code in json.loads(row["history"])),
    )


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
