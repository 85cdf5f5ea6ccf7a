"""Group commit: many callers, one commit; nobody pays for another; nobody waits for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from wellstreak_trust.audit import AuditConflict, AuditEvent, AuditLog, AuditUnavailable, MemoryAuditStore, verify
from wellstreak_trust.audit.event import Draft, draft
from wellstreak_trust.audit.sequencer import Sequencer
from wellstreak_trust.audit.store import Leaf
from wellstreak_trust.core import SystemClock
from wellstreak_trust.core.errors import StoreUnavailable
from wellstreak_trust.core.sansio import drive

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LONG = timedelta(seconds=10)


def one(id: str, tenant_id: str = "t1", **data: Any) -> Draft:
    return draft(AuditEvent("a.b", "success", tenant_id, {"id": "u"}, id=id, data=data, occurred_at=NOW))


class Slow(MemoryAuditStore):
    """Counts commits, and makes each wait until it is let go."""

    def __init__(self, pause: float = 0.01) -> None:
        super().__init__()
        self.pause = pause
        self.commits: list[int] = []
        self.down: Exception | None = None
        self.gate = Event()
        self.gate.set()
        self.inside = Event()

    async def append_batch(
        self, drafts: Sequence[Draft], *, now: Callable[[], datetime], deadline: timedelta
    ) -> list[Leaf]:
        self.inside.set()
        self.gate.wait(10)
        time.sleep(self.pause)  # noqa: ASYNC251  a blocking store blocks
        if self.down is not None:
            raise self.down
        self.commits.append(len(drafts))
        return await super().append_batch(drafts, now=now, deadline=deadline)


class Suspending(MemoryAuditStore):
    """As an asynchronous database is."""

    suspends = True  # type: ignore[misc]  # a class variable of another value

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[int] = []
        self.pause = 0.005

    async def append_batch(
        self, drafts: Sequence[Draft], *, now: Callable[[], datetime], deadline: timedelta
    ) -> list[Leaf]:
        await asyncio.sleep(self.pause)
        self.commits.append(len(drafts))
        return await super().append_batch(drafts, now=now, deadline=deadline)


def test_threads_share_commits_and_each_gets_its_own_leaves() -> None:
    store = Slow()
    sequencer = Sequencer(store, SystemClock())
    ready = Barrier(16)

    def write(worker: int) -> list[str]:
        ready.wait(10)
        found = []
        for number in range(6):
            leaves = drive(sequencer.append([one(f"{worker}-{number}-{k}") for k in range(2)], LONG))
            found += [leaf.id for leaf in leaves]
        return found

    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(write, range(16)))
    assert ids == [[f"{worker}-{number}-{k}" for number in range(6) for k in range(2)] for worker in range(16)]
    assert sum(store.commits) == 192
    assert len(store.commits) < 60
    assert verify(store, tenant_id="t1").integrity == "verified"


def test_a_conflict_is_the_fault_of_one() -> None:
    store = Slow(0)
    sequencer = Sequencer(store, SystemClock())
    drive(sequencer.append([one("taken")], LONG))
    store.inside.clear()
    store.gate.clear()
    outcomes: dict[str, object] = {}

    def write(name: str, *drafts: Draft) -> None:
        try:
            outcomes[name] = [leaf.seq for leaf in drive(sequencer.append(drafts, LONG))]
        except AuditConflict as error:
            outcomes[name] = type(error).__name__

    threads = [Thread(target=write, args=("first", one("x")))]
    threads[0].start()
    assert store.inside.wait(10)
    threads += [
        Thread(target=write, args=("guilty", one("y"), one("taken", n=1))),
        Thread(target=write, args=("innocent", one("z", "t2"))),
    ]
    for thread in threads[1:]:
        thread.start()
    while len(sequencer._queues.here.waiting) < 2:
        time.sleep(0.001)
    store.gate.set()
    for thread in threads:
        thread.join(10)
    assert outcomes == {"first": [1], "guilty": "AuditConflict", "innocent": [0]}
    assert len(drive(store.leaves("t1", 0, 9))) == 2


def test_an_outage_is_told_to_everybody_and_the_next_call_leads_again() -> None:
    store = Slow()
    sequencer = Sequencer(store, SystemClock())
    store.down = StoreUnavailable("down")

    def write(number: int) -> str:
        try:
            drive(sequencer.append([one(f"x{number}")], LONG))
        except StoreUnavailable as error:
            return error.code
        return "stored"

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, range(8))) == ["unavailable"] * 8
    store.down = None
    assert write(9) == "stored"


def test_who_waits_too_long_leaves_and_holds_up_nobody() -> None:
    store = Slow(0)
    sequencer = Sequencer(store, SystemClock())
    store.gate.clear()
    leader = Thread(target=lambda: drive(sequencer.append([one("slow")], LONG)))
    leader.start()
    assert store.inside.wait(10)
    begun = time.monotonic()
    with pytest.raises(AuditUnavailable, match="unavailable"):
        drive(sequencer.append([one("late")], timedelta(milliseconds=50)))
    assert 0.04 < time.monotonic() - begun < 2
    store.gate.set()
    leader.join(10)
    drive(sequencer.append([one("next")], LONG))
    assert [leaf.id for leaf in drive(store.leaves("t1", 0, 9))] == ["slow", "next"]


def test_who_gives_up_early_takes_nobody_with_it() -> None:
    """A denial waits a moment while the store hangs; a critical event in the same queue waits to its deadline."""
    store = Slow(0)
    sequencer = Sequencer(store, SystemClock())
    deadlines: dict[str, timedelta] = {}
    real = store.append_batch

    async def noting(drafts: Any, *, now: Any, deadline: timedelta) -> list[Leaf]:
        deadlines.update({one.id: deadline for one in drafts})
        return await real(drafts, now=now, deadline=deadline)

    store.append_batch = noting  # type: ignore[method-assign]  # to see what it is given
    store.gate.clear()
    patience = {"first": LONG, "short": LONG / 5, "long": LONG, "short too": LONG / 5}
    threads = [
        Thread(target=lambda id=id, wait=wait: drive(sequencer.append([one(id)], wait)))  # type: ignore[misc]  # bound
        for id, wait in patience.items()
    ]
    for number, thread in enumerate(threads):
        thread.start()
        assert store.inside.wait(10)
        while len(sequencer._queues.here.waiting) < number:
            time.sleep(0.001)
    store.gate.set()
    for thread in threads:
        thread.join(10)
    assert deadlines["short"] <= LONG / 5 < deadlines["long"] == deadlines["short too"]
    assert store.commits == [1, 1, 2]


@pytest.mark.asvs("15.4.3")
def test_an_interrupted_leader_passes_the_lead() -> None:
    """KeyboardInterrupt, or a worker that is told to stop: the others are committed all the same."""
    store = Slow(0)
    sequencer = Sequencer(store, SystemClock())
    store.gate.clear()
    raised: list[str] = []
    real = store.append_batch

    async def interrupted(drafts: Any, **options: Any) -> list[Leaf]:
        store.append_batch = real  # type: ignore[method-assign]  # only the first commit is interrupted
        await real(drafts, **options)
        raise KeyboardInterrupt

    store.append_batch = interrupted  # type: ignore[method-assign]  # as above

    def lead() -> None:
        try:
            drive(sequencer.append([one("first")], LONG))
        except KeyboardInterrupt:
            raised.append("interrupted")

    first = Thread(target=lead)
    first.start()
    assert store.inside.wait(10)
    others = [Thread(target=lambda n=n: drive(sequencer.append([one(f"o{n}")], LONG))) for n in range(3)]  # type: ignore[misc]  # the default binds n
    for thread in others:
        thread.start()
    while len(sequencer._queues.here.waiting) < 3:
        time.sleep(0.001)
    store.gate.set()
    for thread in [first, *others]:
        thread.join(10)
    assert raised == ["interrupted"]
    assert sorted(leaf.id for leaf in drive(store.leaves("t1", 0, 9))) == ["first", "o0", "o1", "o2"]


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wellstreak_trust.audit.sequencer._MOST_WAITING", 0)
    sequencer = Sequencer(MemoryAuditStore(), SystemClock())
    sequencer._queues.here.led = True
    with pytest.raises(AuditUnavailable):
        drive(sequencer.append([one("x")], LONG))


@pytest.mark.anyio
async def test_tasks_share_commits() -> None:
    store = Suspending()
    log = AuditLog(store)
    events = [AuditEvent("a.b", "success", "t1", {"id": "u"}) for _ in range(40)]
    receipts = await asyncio.gather(*(log.aemit(event) for event in events))
    assert sorted(receipt.seq or 0 for receipt in receipts) == list(range(40))
    assert [receipt.id for receipt in receipts] == [event.id for event in events]
    assert len(store.commits) == 2  # the leader alone, then all who came meanwhile


@pytest.mark.anyio
async def test_cancelled_tasks_hold_up_nobody() -> None:
    """In every role: leading, waiting, and taken by a leader."""
    store = Suspending()
    log = AuditLog(store)

    def task(id: str) -> asyncio.Task[Any]:
        return asyncio.create_task(log.aemit(AuditEvent("a.b", "success", "t1", {"id": "u"}, id=id)))

    leading, waiting, staying = task("leading"), task("waiting"), task("staying")
    await asyncio.sleep(0.001)
    waiting.cancel()
    leading.cancel()
    assert (await staying).durable
    taken_by, taken = task("taken-by"), task("taken")
    last = task("last")
    await asyncio.sleep(0.007)  # the second commit has taken both
    taken.cancel()
    assert (await taken_by).durable
    assert (await last).durable
    results = await asyncio.gather(leading, waiting, taken, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert (await log.aemit(AuditEvent("a.b", "success", "t1", {"id": "u"}))).durable


@pytest.mark.anyio
async def test_a_caller_that_left_is_never_given_the_lead() -> None:
    """Its leader hangs longer than it waits, and is cancelled then: the lead must go to somebody who is there."""
    store = Suspending()
    sequencer = Sequencer(store, SystemClock())
    brief = timedelta(milliseconds=100)
    first = asyncio.create_task(sequencer.append([one("first")], brief))
    await asyncio.sleep(0.001)
    store.pause = 60
    hanging = asyncio.create_task(sequencer.append([one("hanging")], brief))
    await asyncio.sleep(0)
    leaving = asyncio.create_task(sequencer.append([one("leaving")], brief))
    assert len(await first) == 1
    with pytest.raises(AuditUnavailable):
        await leaving
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    store.pause = 0
    assert [leaf.id for leaf in await sequencer.append([one("later")], brief)] == ["later"]
