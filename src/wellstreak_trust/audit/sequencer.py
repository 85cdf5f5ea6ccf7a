"""Group commit by leader and followers: many callers, one commit, no thread of its own.

A commit costs the same for one event and for a hundred, most of it the disk. So callers commit for each other:

* Who comes and finds nobody leading, **leads**: takes all that wait, appends their events and its own in one
  transaction, tells each its leaves, and passes the lead to the first who has come meanwhile.
* Who comes and finds a leader **waits** on a lock of its own, at most to the deadline, and wakes up with an answer or
  with the lead. (One lock for all would wake everybody for each commit.)
* Where one caller's events are at fault (a conflict, a tree changed from outside), each caller is committed alone, so
  that nobody pays for another.
* A leader that is interrupted puts the others back in front. Their events may stand already; ids make that harmless.

Nothing runs between calls, so there is nothing a `fork()` could lose. What it copies (a queue of threads that are not
there, a lock that nobody will release) is left behind: each process has a queue of its own.

Over a store that suspends the callers are tasks, perhaps of several event loops, and wait on futures.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from threading import Lock
from typing import Final

from ..core.clock import Clock
from ..core.errors import AuditUnavailable, StoreUnavailable, TrustError
from ..core.processes import PerProcess
from .event import Draft
from .store import AuditStore, Leaf

__all__ = ["Sequencer"]

_Sleep = Callable[[float], Awaitable[None]]

_SECOND: Final = timedelta(seconds=1)
_MOST_DRAFTS: Final = 1_000  # in one commit of several callers
_MOST_WAITING: Final = 10_000
_LEAST_PATIENCE: Final = timedelta(milliseconds=10)
_BUSY: Final = "the log is written faster than its store commits, or the store hangs"


class _Caller:
    """One call and how far it has come: waits, is taken by a leader, leads, has its answer, or has left without."""

    __slots__ = ("begun", "drafts", "error", "leads", "leaves", "left", "patience", "taken", "wake")

    def __init__(self, drafts: Sequence[Draft], begun: int, patience: timedelta) -> None:
        self.drafts: Sequence[Draft] = drafts
        self.begun: int = begun
        self.patience: timedelta = patience
        self.taken: bool = False
        self.leads: bool = False
        self.left: bool = False
        self.leaves: list[Leaf] | None = None
        self.error: Exception | None = None
        self.wake: Callable[[], object] | None = None

    @property
    def answered(self) -> bool:
        """Whether a leader has told how it went."""
        return self.leaves is not None or self.error is not None

    def answer(self) -> list[Leaf] | None:
        """The leaves, or None where there is no answer yet; raises the error that is the answer."""
        if self.error is not None:
            raise self.error
        return self.leaves


class _Queue:
    """The callers of one process."""

    __slots__ = ("led", "lock", "waiting")

    def __init__(self) -> None:
        self.lock: Lock = Lock()
        self.led: bool = False
        self.waiting: deque[_Caller] = deque()


class Sequencer:
    """Appends drafts to a store, together with those of whoever calls at the same time."""

    __slots__ = ("_clock", "_queues", "_store")

    def __init__(self, store: AuditStore, clock: Clock) -> None:
        self._store: AuditStore = store
        self._clock: Clock = clock
        self._queues: PerProcess[_Queue] = PerProcess(_Queue)

    async def append(self, drafts: Sequence[Draft], patience: timedelta) -> list[Leaf]:
        """As `AuditStore.append_batch`, all or nothing for each caller.

        Args:
            patience: how long to wait for others and for locks. Commits themselves take what they take.

        Raises:
            AuditUnavailable: too long in the queue; the events may stand all the same.
            Exception: what the store raised.
        """
        queue, caller = self._queues.here, None
        with queue.lock:
            if queue.led:
                caller = _Caller(drafts, self._clock.monotonic_ns(), patience)
                sleep = self._queued(queue, caller)
            else:
                queue.led = True
        if caller is None:  # nobody led, so nobody waits
            try:
                return await self._store.append_batch(drafts, now=self._clock.now, deadline=patience)
            finally:
                self._pass_on(queue, ())
        await self._wait(queue, caller, sleep(patience / _SECOND))
        if (leaves := caller.answer()) is not None:
            return leaves
        return await self._lead(queue, caller)

    def _queued(self, queue: _Queue, caller: _Caller) -> _Sleep:
        if len(queue.waiting) >= _MOST_WAITING:
            raise AuditUnavailable("too many callers wait for the audit store", hint=_BUSY)
        sleep = _by_future(caller) if self._store.suspends else _by_lock(caller)
        queue.waiting.append(caller)
        return sleep

    async def _wait(self, queue: _Queue, caller: _Caller, slept: Awaitable[None]) -> None:
        try:
            await slept
        except BaseException:  # this caller is cancelled; the others must not wait for it
            if not self._leave(queue, caller) and caller.leads:
                self._pass_on(queue, ())
            raise
        if self._leave(queue, caller):
            raise AuditUnavailable("the audit store did not take the event in time (queue)", hint=_BUSY)

    def _leave(self, queue: _Queue, caller: _Caller) -> bool:
        """Withdraws a caller that waits no longer; False where it has been answered or given the lead."""
        with queue.lock:
            if caller.leads or caller.answered:
                return False
            caller.left = True
            if not caller.taken:
                queue.waiting.remove(caller)
            return True

    async def _lead(self, queue: _Queue, caller: _Caller) -> list[Leaf]:
        callers = [caller]
        with queue.lock:  # who gives up early takes nobody who would not
            room = _MOST_DRAFTS - len(caller.drafts)
            while queue.waiting and queue.waiting[0].patience <= caller.patience:
                room -= len(queue.waiting[0].drafts)
                if room < 0:
                    break
                callers.append(queue.waiting.popleft())
                callers[-1].taken = True
        try:
            await self._commit(callers)
            return caller.answer() or []
        finally:
            self._pass_on(queue, callers[1:])

    def _pass_on(self, queue: _Queue, taken: Sequence[_Caller]) -> None:
        with queue.lock:
            for one in reversed(taken):
                if not one.answered and not one.left:  # the leader was interrupted; who left would never pass on a lead
                    one.taken = False
                    queue.waiting.appendleft(one)
            heir = queue.waiting.popleft() if queue.waiting else None
            queue.led = heir is not None
            if heir is not None:
                heir.leads = True
        for one in taken:
            if one.wake is not None and one.taken:
                one.wake()
        if heir is not None and heir.wake is not None:
            heir.wake()

    async def _commit(self, callers: list[_Caller]) -> None:
        drafts = callers[0].drafts if len(callers) == 1 else [draft for one in callers for draft in one.drafts]
        try:
            leaves = await self._store.append_batch(drafts, now=self._clock.now, deadline=self._left(callers[0]))
        except Exception as error:
            if len(callers) > 1 and isinstance(error, TrustError) and not isinstance(error, StoreUnavailable):
                for one in callers:
                    await self._commit([one])
                return
            for one in callers:
                one.error = error
            return
        if len(callers) == 1:
            callers[0].leaves = leaves
            return
        at = 0
        for one in callers:
            one.leaves = leaves[at : at + len(one.drafts)]
            at += len(one.drafts)

    def _left(self, caller: _Caller) -> timedelta:
        gone = timedelta(microseconds=(self._clock.monotonic_ns() - caller.begun) // 1_000)
        return max(caller.patience - gone, _LEAST_PATIENCE)


# --- waiting ---------------------------------------------------------------------------------------------------------


def _by_lock(caller: _Caller) -> _Sleep:
    """Sleeps on a lock that only this caller has; never suspends, so that a driven operation may wait."""
    lock = Lock()
    lock.acquire()
    caller.wake = lock.release

    async def sleep(seconds: float) -> None:
        lock.acquire(timeout=seconds)

    return sleep


def _by_future(caller: _Caller) -> _Sleep:
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def resolve() -> None:
        if not future.done():
            future.set_result(None)

    def wake() -> None:
        with suppress(RuntimeError):  # the loop of a caller that is gone
            loop.call_soon_threadsafe(resolve)

    async def sleep(seconds: float) -> None:
        await asyncio.wait((future,), timeout=seconds)

    caller.wake = wake
    return sleep
