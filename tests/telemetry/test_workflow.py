"""Workflow runs on every store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust import Principal
from wellstreak_trust.core import FixedClock, UsageError
from wellstreak_trust.core.errors import Conflict, NotFound
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlRunStore
from wellstreak_trust.telemetry import Counters, MemoryRunStore, WorkflowRuns

ADA = Principal("ada")
MINUTE = timedelta(minutes=1)


class Trail:
    suspends = False

    def __init__(self) -> None:
        self.events: list[Any] = []

    async def aemit(self, event: Any) -> None:
        self.events.append(event)

    @property
    def told(self) -> list[str]:
        return [event.action for event in self.events]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 24, tzinfo=UTC))


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryRunStore()
        return
    if request.param == "sqlite":
        url = f"sqlite:///{request.getfixturevalue('sqlite_path')}"
    else:
        url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    database = Database(engine)
    database.create_all()
    yield SqlRunStore(database)
    engine.dispose()


@pytest.fixture
def trail() -> Trail:
    return Trail()


@pytest.fixture
def runs(store: Any, trail: Trail, clock: FixedClock) -> WorkflowRuns:
    return WorkflowRuns(store, audit=trail, counters=Counters(), clock=clock)


def test_a_run_from_its_start_to_its_end(runs: WorkflowRuns, trail: Trail, clock: FixedClock) -> None:
    run = runs.start("acme", "sync", actor=ADA, connection="slack")
    clock.advance(MINUTE)
    run = runs.step(run, "fetch", cost=3)
    run = runs.pause(run, "approval")
    assert (run.state, run.code, run.steps, run.cost) == ("waiting", "approval", 1, 3)
    run = runs.step(run, "write", cost=4)
    run = runs.done(run, cost=1)
    assert (run.state, run.steps, run.cost, run.ended_at, run.code) == ("done", 2, 8, clock.now(), "")
    assert trail.told == ["workflow.started", "workflow.done"]
    event = trail.events[-1]
    assert event.targets == ({"type": "workflow_run", "id": run.id},)
    assert event.data == {"workflow": "sync", "steps": 2, "cost": 8, "connection": "slack"}
    assert runs.recent("acme") == [run]
    assert runs.recent("evil") == []
    assert runs.recent(None) == [run]
    for late in (lambda: runs.step(run, "again"), lambda: runs.fail(run, "late"), lambda: runs.heartbeat(run)):
        with pytest.raises(Conflict):
            late()


def test_silence_is_found_once_and_a_late_heartbeat_revives(
    runs: WorkflowRuns, trail: Trail, clock: FixedClock
) -> None:
    quiet = runs.start("acme", "sync", actor=ADA, every=MINUTE)
    patient = runs.start("acme", "import", actor=ADA, every=timedelta(hours=1))
    clock.advance(MINUTE)
    assert [run.id for run in runs.stalled()] == [quiet.id]
    assert runs.stalled() == []
    assert trail.told[-1] == "workflow.stalled"
    assert runs.heartbeat(quiet).state == "running"
    clock.advance(MINUTE)
    assert [run.state for run in runs.stalled()] == ["stalled"]
    assert runs.done(patient).state == "done"
    paused = runs.pause(runs.start("acme", "sync", actor=ADA), "person", until=clock.now() + timedelta(days=1))
    clock.advance(timedelta(hours=23))
    assert runs.stalled() == []
    clock.advance(timedelta(hours=1))
    assert [run.id for run in runs.stalled()] == [paused.id]


def test_a_block_ends_its_run_with_what_it_raised(runs: WorkflowRuns, trail: Trail) -> None:
    with runs.run("acme", "sync", actor=ADA) as run:
        run.step("fetch", cost=2)
        run.heartbeat()
    assert (run.now.state, run.now.cost) == ("done", 2)
    with pytest.raises(ZeroDivisionError), runs.run("acme", "sync", actor=ADA) as broken:
        raise ZeroDivisionError("token=abc")
    assert (broken.now.state, broken.now.code) == ("failed", "ZeroDivisionError")
    assert trail.events[-1].outcome == "failure"
    assert "abc" not in repr(trail.events)


def test_bad_input_is_refused(runs: WorkflowRuns) -> None:
    run = runs.start("acme", "sync", actor=ADA, run_id="job-1")
    with pytest.raises(Conflict):
        runs.start("acme", "sync", actor=ADA, run_id="job-1")
    assert runs.start("other", "sync", actor=ADA, run_id="job-1").tenant_id == "other"
    for wrong in ({"workflow": ""}, {"workflow": "é"}, {"workflow": "x", "every": timedelta()}):
        with pytest.raises(UsageError):
            runs.start("acme", actor=ADA, **wrong)
    for cost in (-1, 1.5, True):
        with pytest.raises(UsageError):
            runs.step(run, "x", cost=cost)
    with pytest.raises(NotFound):
        runs.step(replace(run, tenant_id="nobody"), "x")


def test_what_is_counted(store: Any, clock: FixedClock) -> None:
    counters = Counters()
    runs = WorkflowRuns(store, counters=counters, clock=clock)
    with runs.run("acme", "sync", actor=ADA) as run:
        run.step("a")
        run.step("b")
    found = counters.snapshot()
    assert found["wst.workflow.steps", (("workflow", "sync"),)] == 2
    assert found["wst.workflow.runs", (("state", "running"), ("workflow", "sync"))] == 1
    assert found["wst.workflow.runs", (("state", "done"), ("workflow", "sync"))] == 1
    assert all("acme" not in repr(key) for key in found)


def test_awaited(sqlite_path: Any, clock: FixedClock) -> None:
    async def main() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{sqlite_path}")
        database = AsyncDatabase(engine)
        await database.acreate_all()
        runs = WorkflowRuns(SqlRunStore(database), clock=clock)
        async with runs.arun("acme", "sync", actor=ADA) as run:
            await run.astep("fetch")
            await run.aheartbeat()
        assert run.now.state == "done"
        with pytest.raises(ValueError, match="x"):
            async with runs.arun("acme", "sync", actor=ADA) as broken:
                raise ValueError("x")
        assert broken.now.state == "failed"
        assert len(await runs.arecent("acme")) == 2
        await engine.dispose()

    asyncio.run(main())


def test_a_heartbeat_leaves_a_waiting_run_its_time(runs: WorkflowRuns, clock: FixedClock) -> None:
    run = runs.start("acme", "sync", actor=ADA, every=MINUTE)
    runs.pause(run, "approval", until=clock.now() + 60 * MINUTE)
    clock.advance(5 * MINUTE)
    assert runs.heartbeat(run).state == "waiting"
    clock.advance(50 * MINUTE)
    assert runs.stalled() == []
    clock.advance(6 * MINUTE)
    assert [each.id for each in runs.stalled()] == [run.id]


def test_what_a_block_raised_is_not_masked_by_a_run_that_had_ended(runs: WorkflowRuns) -> None:
    with pytest.raises(ZeroDivisionError), runs.run("acme", "sync", actor=ADA) as run:
        runs.done(run.now)
        raise ZeroDivisionError
