"""`WorkflowRuns`: what background work is doing, who started it, and which of it has gone quiet.

::

    running ⇄ waiting ► done
       │         │
       └────► failed ◄──── stalled (nothing heard for as long as the run promised)

A run says how often it will be heard of. Whoever looks for stalled ones marks each once, which is one event; a run that
is heard of afterwards goes on. Ended runs stay as they ended: a late message of a worker that was given up changes
nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final, Literal, Protocol

from ..core.clock import Clock, SystemClock
from ..core.entropy import random_hex
from ..core.errors import Busy, Conflict, NotFound, TrustError, UsageError
from ..core.event import AuditEvent, EventSink, Outcome
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from .counters import Counters

__all__ = ["MemoryRunStore", "Run", "State", "WorkflowRun", "WorkflowRunStore", "WorkflowRuns"]

State = Literal["running", "waiting", "stalled", "failed", "done"]

_EVERY: Final = timedelta(minutes=5)
_ENDED: Final = frozenset(("failed", "done"))
_SWAPS: Final = 8


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """One run.

    Args:
        workflow: its name in code, such as ``sync-calendar``: a label of counters, never made of input.
        actor_id: who started it.
        connection: the integration it works through.
        step: what it does now; a code, not text of a provider.
        cost: units so far, as the host counts them.
        due_at: when it is to be heard of again.
        code: why it failed or waits.
    """

    id: str
    tenant_id: str
    workflow: str
    actor_id: str
    state: State
    started_at: datetime
    seen_at: datetime
    due_at: datetime
    every: timedelta
    connection: str | None = None
    step: str = ""
    steps: int = 0
    cost: int = 0
    code: str = ""
    ended_at: datetime | None = None
    version: int = 0


class WorkflowRunStore(Protocol):
    """Where runs live; every verb is atomic."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def put_if(self, run: WorkflowRun) -> bool:
        """Stores the run as version + 1 if it still stands at its version (0: is missing)."""
        ...

    async def get(self, tenant_id: str, run_id: str) -> WorkflowRun | None:
        """A run of this tenant, or None."""
        ...

    async def overdue(self, now: datetime, limit: int) -> list[WorkflowRun]:
        """Runs that run or wait and were to be heard of before `now`, the longest overdue first."""
        ...

    async def recent(self, tenant_id: str | None, limit: int) -> list[WorkflowRun]:
        """The last started runs of a tenant, or of all, the newest first."""
        ...


class MemoryRunStore:
    """Runs of this process."""

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._rows: dict[tuple[str, str], WorkflowRun] = {}

    async def put_if(self, run: WorkflowRun) -> bool:
        """See `WorkflowRunStore`."""
        key = (run.tenant_id, run.id)
        with self._lock:
            held = self._rows.get(key)
            if (held.version if held is not None else 0) != run.version:
                return False
            self._rows[key] = replace(run, version=run.version + 1)
            return True

    async def get(self, tenant_id: str, run_id: str) -> WorkflowRun | None:
        """See `WorkflowRunStore`."""
        return self._rows.get((tenant_id, run_id))

    async def overdue(self, now: datetime, limit: int) -> list[WorkflowRun]:
        """See `WorkflowRunStore`."""
        late = [run for run in list(self._rows.values()) if run.state in ("running", "waiting") and run.due_at <= now]
        return sorted(late, key=lambda run: run.due_at)[:limit]

    async def recent(self, tenant_id: str | None, limit: int) -> list[WorkflowRun]:
        """See `WorkflowRunStore`."""
        found = [run for run in list(self._rows.values()) if tenant_id in (None, run.tenant_id)]
        return sorted(found, key=lambda run: run.started_at, reverse=True)[:limit]


class WorkflowRuns:
    """Follows runs.

    Args:
        store: `MemoryRunStore` or ``storage.sql.SqlRunStore``.
        audit: takes ``workflow.started``, ``workflow.stalled``, ``workflow.failed`` and ``workflow.done``.
        counters: counts changes of state and steps, by workflow.
    """

    def __init__(
        self,
        store: WorkflowRunStore,
        *,
        audit: EventSink | None = None,
        counters: Counters | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._store: WorkflowRunStore = store
        self._audit: EventSink | None = audit
        self._counters: Counters | None = counters
        self._clock: Clock = clock or SystemClock()
        self.suspends: bool = suspends(store, audit)

    async def astart(
        self,
        tenant_id: str,
        workflow: str,
        *,
        actor: Principal,
        connection: str | None = None,
        every: timedelta = _EVERY,
        run_id: str | None = None,
    ) -> WorkflowRun:
        """Begins a run.

        Args:
            every: how long it may be silent.
            run_id: that of the host's queue; a random one unless given.

        Raises:
            UsageError: no name, or no time to be silent. Conflict: a run of this id stands already.
        """
        if not workflow or not workflow.isascii() or not workflow.isprintable() or every <= timedelta():
            raise UsageError("a run has a workflow's name and a time to be silent", hint='start(tenant, "sync", ...)')
        now = self._clock.now()
        run = WorkflowRun(
            run_id or random_hex(), tenant_id, workflow, actor.id, "running", now, now, now + every, every, connection
        )
        if not await self._store.put_if(run):
            raise Conflict("a run of this id stands already", hint="leave run_id out, or take another one")
        await self._told(run, "workflow.started", "success", actor)
        return replace(run, version=1)

    start: Final = synced(astart)

    async def astep(self, run: WorkflowRun, step: str, *, cost: int = 0) -> WorkflowRun:
        """Says what the run does now, and what it used up; it is heard of. Raises `Conflict` once it has ended."""
        if type(cost) is not int or cost < 0:
            raise UsageError("a cost is a whole number of at least 0", hint="count in smaller units")
        after = await self._move(
            run,
            lambda held, now: replace(
                held, state="running", step=step[:200], steps=held.steps + 1, cost=held.cost + cost, code=""
            ),
        )
        self._count("wst.workflow.steps", workflow=run.workflow)
        return after

    step: Final = synced(astep)

    async def aheartbeat(self, run: WorkflowRun) -> WorkflowRun:
        """It is heard of; a stalled one goes on."""
        return await self._move(
            run, lambda held, now: replace(held, state="running") if held.state == "stalled" else held
        )

    heartbeat: Final = synced(aheartbeat)

    async def apause(self, run: WorkflowRun, code: str, *, until: datetime | None = None) -> WorkflowRun:
        """It waits for somebody else, at most until then; as long as it may be silent unless told."""
        return await self._move(run, lambda held, now: replace(held, state="waiting", code=code[:200]), until=until)

    pause: Final = synced(apause)

    async def afail(self, run: WorkflowRun, code: str) -> WorkflowRun:
        """It ends without result; `code` is one of yours, never a provider's text."""
        after = await self._move(run, lambda held, now: replace(held, state="failed", code=code[:200], ended_at=now))
        await self._told(after, "workflow.failed", "failure")
        return after

    fail: Final = synced(afail)

    async def adone(self, run: WorkflowRun, *, cost: int = 0) -> WorkflowRun:
        """It ends well."""
        after = await self._move(
            run, lambda held, now: replace(held, state="done", cost=held.cost + cost, code="", ended_at=now)
        )
        await self._told(after, "workflow.done", "success")
        return after

    done: Final = synced(adone)

    async def astalled(self, limit: int = 100) -> list[WorkflowRun]:
        """Marks the runs that were not heard of in time, each once, and returns them."""
        now = self._clock.now()
        found = []
        for run in await self._store.overdue(now, limit):
            marked = replace(run, state="stalled", code="silent")
            if await self._store.put_if(marked):  # else it was heard of meanwhile, or somebody else marked it
                await self._told(marked, "workflow.stalled", "failure")
                found.append(replace(marked, version=run.version + 1))
        return found

    stalled: Final = synced(astalled)

    async def arecent(self, tenant_id: str | None, limit: int = 50) -> list[WorkflowRun]:
        """The last started runs of a tenant; of all tenants for None, which is for operators."""
        return await self._store.recent(tenant_id, limit)

    recent: Final = synced(arecent)

    @contextmanager
    def run(self, tenant_id: str, workflow: str, **given: Any) -> Iterator[Run]:
        """A run as a block: done at its end, failed with the exception's type when it raises."""
        run = Run(self, self.start(tenant_id, workflow, **given))
        try:
            yield run
        except BaseException as error:
            with suppress(TrustError):  # what the block raised is what its caller must see
                run.now = self.fail(run.now, type(error).__name__)
            raise
        run.now = self.done(run.now)

    @asynccontextmanager
    async def arun(self, tenant_id: str, workflow: str, **given: Any) -> AsyncIterator[Run]:
        """As `run`, over asynchronous stores."""
        run = Run(self, await self.astart(tenant_id, workflow, **given))
        try:
            yield run
        except BaseException as error:
            with suppress(TrustError):  # what the block raised is what its caller must see
                run.now = await self.afail(run.now, type(error).__name__)
            raise
        run.now = await self.adone(run.now)

    async def _move(
        self, run: WorkflowRun, change: Callable[[WorkflowRun, datetime], WorkflowRun], until: datetime | None = None
    ) -> WorkflowRun:
        for _ in range(_SWAPS):
            held = await self._store.get(run.tenant_id, run.id)
            if held is None:
                raise NotFound("unknown run")
            if held.state in _ENDED:
                raise Conflict(f"the run is {held.state}", hint="start another one")
            now = self._clock.now()
            after = change(held, now)
            due = until or now + held.every
            if after is held and held.state == "waiting":
                due = max(due, held.due_at)  # a sign of life takes nothing from the time it may wait
            wanted = replace(after, seen_at=now, due_at=due)
            if await self._store.put_if(wanted):
                if wanted.state != held.state:
                    self._count("wst.workflow.runs", workflow=run.workflow, state=wanted.state)
                return replace(wanted, version=held.version + 1)
        raise Busy("a run changed under every attempt", hint="retry")

    async def _told(self, run: WorkflowRun, action: str, outcome: Outcome, actor: Principal | None = None) -> None:
        if action in ("workflow.started", "workflow.stalled"):
            self._count("wst.workflow.runs", workflow=run.workflow, state=run.state)
        if self._audit is None:
            return
        data: dict[str, Any] = {"workflow": run.workflow, "steps": run.steps, "cost": run.cost}
        data |= {name: value for name, value in (("connection", run.connection), ("code", run.code)) if value}
        who = actor or {"id": run.actor_id, "kind": "system"}
        target = {"type": "workflow_run", "id": run.id}
        at = self._clock.now()
        event = AuditEvent(action, outcome, run.tenant_id, who, targets=(target,), data=data, occurred_at=at)
        await self._audit.aemit(event)

    def _count(self, name: str, **labels: str) -> None:
        if self._counters is not None:
            self._counters.add(name, **labels)


class Run:
    """The run of a ``with runs.run(...)`` block; `now` is its last state."""

    def __init__(self, runs: WorkflowRuns, run: WorkflowRun) -> None:
        self._runs: WorkflowRuns = runs
        self.suspends: bool = runs.suspends
        self.now: WorkflowRun = run

    async def astep(self, step: str, *, cost: int = 0) -> None:
        """As `WorkflowRuns.step`."""
        self.now = await self._runs.astep(self.now, step, cost=cost)

    step: Final = synced(astep)

    async def aheartbeat(self) -> None:
        """As `WorkflowRuns.heartbeat`."""
        self.now = await self._runs.aheartbeat(self.now)

    heartbeat: Final = synced(aheartbeat)
