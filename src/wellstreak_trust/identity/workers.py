"""A fixed number of long-lived worker threads with a bounded wait: the one place of this room that meets threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from threading import Lock
from typing import TypeVar

from ..core.errors import Busy
from ..core.sansio import is_awaited

__all__ = ["Workers"]

T = TypeVar("T")


class Workers:
    """Runs jobs in at most `permits` threads.

    A permit is a thread: a caller that gives up takes its job out of the queue, but never frees a thread that is at
    work, so no storm of cancelled requests can run more jobs than permits.
    """

    def __init__(self, permits: int, wait: float) -> None:
        self._permits: int = permits
        self._wait: float = wait
        self._lock: Lock = Lock()
        self._owner: int = 0
        self._threads: ThreadPoolExecutor | None = None

    def run(self, job: Callable[[], T]) -> T:
        """Waits in this thread.

        Raises:
            Busy: no thread was free for `wait` seconds.
        """
        queued = self._submit(job)
        try:
            return queued.result(self._wait)
        except StillWaiting:
            self._give_up(queued)
            return queued.result()

    async def arun(self, job: Callable[[], T]) -> T:
        """Waits on the running event loop. Under a sync face it waits in the thread, so that an operation over blocking
        stores is one coroutine with two faces.

        Raises:
            Busy: as `run`.
        """
        if not is_awaited():
            return self.run(job)
        import asyncio  # costs more than the rest of the room, and who gets here has loaded it

        queued = self._submit(job)
        waiting = asyncio.wrap_future(queued)
        try:
            done, _ = await asyncio.wait({waiting}, timeout=self._wait)
            if not done:
                self._give_up(queued)
            return await asyncio.shield(waiting)
        finally:
            queued.cancel()  # a caller that goes away leaves the queue; a job at work is not touched

    def _give_up(self, queued: Future[T]) -> None:
        if queued.cancel():
            raise Busy("every password worker is taken", hint="raise permits, or limit attempts before this point")

    def _submit(self, job: Callable[[], T]) -> Future[T]:
        with self._lock:
            if self._threads is None or self._owner != os.getpid():
                # Threads do not survive a fork: a child that kept the pool would wait for workers that never come.
                self._threads = ThreadPoolExecutor(self._permits, thread_name_prefix="wst-argon2")
                self._owner = os.getpid()
            return self._threads.submit(job)
