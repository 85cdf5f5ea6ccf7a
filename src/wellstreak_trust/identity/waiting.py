"""Two ways to wait for the network: in the caller's thread, or off the loop of an awaiting caller.

An operation that asks a provider is written once, as a coroutine whose first argument is the way to wait. Its sync
face waits in the thread (`BLOCKING`), its ``a`` twin on the loop (`LOOP`): no request ever runs on a loop's own thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from ..core.sansio import synced

__all__ = ["BLOCKING", "LOOP", "Waiter", "awaited", "blocking"]

S = TypeVar("S")
T = TypeVar("T")
P = ParamSpec("P")
Operation = Callable[Concatenate[S, "Waiter", P], Coroutine[Any, Any, T]]


class Waiter(Protocol):
    """How an operation waits."""

    async def run(self, job: Callable[[], T], /) -> T:
        """The result of a job that blocks."""
        ...

    async def landed(self, flight: Future[T], seconds: float, /) -> T | None:
        """The result of work that another thread does, or None after so many seconds; the work goes on."""
        ...


class _Blocking:
    async def run(self, job: Callable[[], T], /) -> T:
        return job()

    async def landed(self, flight: Future[T], seconds: float, /) -> T | None:
        try:
            return flight.result(seconds)
        except TimeoutError:
            return None


class _Loop:
    async def run(self, job: Callable[[], T], /) -> T:
        return await asyncio.to_thread(job)

    async def landed(self, flight: Future[T], seconds: float, /) -> T | None:
        landing = asyncio.wrap_future(flight)
        # Not `wait_for`: a caller that is cancelled must not cancel what others wait for too.
        done, _ = await asyncio.wait((landing,), timeout=seconds)
        return landing.result() if done else None


BLOCKING: Final[Waiter] = _Blocking()
LOOP: Final[Waiter] = _Loop()


def blocking(operation: Operation[S, P, T]) -> Callable[Concatenate[S, P], T]:
    """The sync face of ``async def _name(self, wait, ...)``: same arguments but for `wait`, same documentation.

    An owner over a store that suspends is refused with `ConfigurationError`, as by `core.sansio.synced`.
    """

    @wraps(operation)
    def started(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        return operation(self, BLOCKING, *args, **kwargs)

    return _named(synced(started), operation, "")


def awaited(operation: Operation[S, P, T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """The ``a`` twin of the same operation."""

    @wraps(operation)
    async def face(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await operation(self, LOOP, *args, **kwargs)

    return _named(face, operation, "a")


F = TypeVar("F", bound=Callable[..., Any])


def _named(face: F, operation: Callable[..., Any], prefix: str) -> F:
    face.__name__ = prefix + operation.__name__.removeprefix("_")
    face.__qualname__ = f"{operation.__qualname__.rpartition('.')[0]}.{face.__name__}"
    return face
