"""Workflow runs in SQL: one row each, swapped under its version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, Table, Text, select, update

from ...core.clock import from_micros, to_micros
from ...telemetry.workflow import WorkflowRun
from .database import SqlPort, insert
from .schema import metadata

__all__ = ["SqlRunStore"]

_ROWS: Final = Table(
    "wst_workflow_run",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("every", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("connection", Text),
    Column("step", Text, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Index("ix_wst_workflow_run_due", "state", "due_at"),
    Index("ix_wst_workflow_run_started", "started_at"),
)
_TIMES: Final = ("started_at", "seen_at", "due_at", "ended_at")
_MICROSECOND: Final = timedelta(microseconds=1)


class SqlRunStore:
    """`WorkflowRunStore` over a SQL port."""

    def __init__(self, database: SqlPort) -> None:
        self._database: SqlPort = database
        self.suspends: bool = database.suspends

    async def put_if(self, run: WorkflowRun) -> bool:
        """See `WorkflowRunStore`."""
        values = _values(run)

        def work(connection: Connection) -> bool:
            if run.version == 0:
                fresh = insert(connection, _ROWS).values(values).on_conflict_do_nothing().returning(_ROWS.c.version)
                return connection.execute(fresh).first() is not None
            here = (_ROWS.c.tenant_id == run.tenant_id) & (_ROWS.c.id == run.id) & (_ROWS.c.version == run.version)
            return connection.execute(update(_ROWS).where(here).values(values)).rowcount == 1

        return await self._database.run(work)

    async def get(self, tenant_id: str, run_id: str) -> WorkflowRun | None:
        """See `WorkflowRunStore`."""
        query = select(_ROWS).where(_ROWS.c.tenant_id == tenant_id, _ROWS.c.id == run_id)
        row = await self._database.run(lambda c: c.execute(query).mappings().first(), read=True)
        return None if row is None else _run(row)

    async def overdue(self, now: datetime, limit: int) -> list[WorkflowRun]:
        """See `WorkflowRunStore`."""
        late = (_ROWS.c.state.in_(("running", "waiting"))) & (_ROWS.c.due_at <= to_micros(now))
        return await self._found(select(_ROWS).where(late).order_by(_ROWS.c.due_at).limit(limit))

    async def recent(self, tenant_id: str | None, limit: int) -> list[WorkflowRun]:
        """See `WorkflowRunStore`."""
        query = select(_ROWS).order_by(_ROWS.c.started_at.desc()).limit(limit)
        return await self._found(query if tenant_id is None else query.where(_ROWS.c.tenant_id == tenant_id))

    async def _found(self, query: Any) -> list[WorkflowRun]:
        rows = await self._database.run(lambda c: c.execute(query).mappings().all(), read=True)
        return [_run(row) for row in rows]


def _values(run: WorkflowRun) -> dict[str, Any]:
    found = {name: getattr(run, name) for name in run.__dataclass_fields__}
    for name in _TIMES:
        found[name] = None if found[name] is None else to_micros(found[name])
    return {**found, "every": run.every // _MICROSECOND, "version": run.version + 1}


def _run(row: Mapping[Any, Any]) -> WorkflowRun:
    found: dict[str, Any] = {str(name): value for name, value in row.items()}
    for name in _TIMES:
        found[name] = None if found[name] is None else from_micros(found[name])
    found["every"] = timedelta(microseconds=found["every"])
    return WorkflowRun(**found)
