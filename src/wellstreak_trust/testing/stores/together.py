"""Several calls of a store at one moment, for checks of what only one of them may win.

Over a blocking store each call runs in a thread of its own; over an asynchronous one all run on the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, Final, TypeVar

from ...core.sansio import drive

__all__ = ["CALLERS", "together"]

T = TypeVar("T")

CALLERS: Final = 8
_PATIENCE: Final = 20.0


async def together(store: Any, calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    """The results, in the order of the calls; an error of any call passes."""
    if store.suspends:
        return list(await asyncio.gather(*(call() for call in calls)))
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        barrier.wait(_PATIENCE)
        return drive(call())

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
