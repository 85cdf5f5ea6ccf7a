"""Sync and async, written once.

An operation that does I/O is a coroutine over a port whose verbs are ``async def``. Over a blocking port the
coroutine never suspends, so one `send(None)` runs it to its end: that is the sync face. Over an asynchronous port it
suspends, and only the ``a``-method can run it.

Rules for operations: no asyncio primitive inside (``timeout``, ``gather``, ``current_task`` need a running loop; an
uncontended ``Lock`` passes and a contended one suspends), and every ``finally`` may run while the coroutine is closed.
Context variables set inside are seen by the caller, as with ``await``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from types import FrameType
from typing import Any, Concatenate, ParamSpec, TypeVar

from .errors import ConfigurationError

__all__ = ["drive", "is_awaited", "require_blocking", "suspends", "synced"]

S = TypeVar("S")
T = TypeVar("T")
P = ParamSpec("P")


def drive(operation: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that never suspends and returns its result.

    Raises:
        ConfigurationError: it waited for something (`reason` is ``store_suspends``); its ``finally`` blocks have run,
            and what one of them raised is the cause.
    """
    try:
        waits_for = operation.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    fault = _suspended(type(waits_for).__name__)
    try:
        operation.close()
    except Exception as error:  # a finally that fails, or awaits again, must not mask the real fault
        raise fault from error
    raise fault


def is_awaited() -> bool:
    """Whether somebody awaits us on an event loop, who would be kept waiting by a call that blocks.

    False without a running loop, and under a sync face even on a loop's thread: what is driven must not suspend. A look
    at the frames, for moments that are rare: before the network or a worker is waited for. Telling it beforehand would
    cost every operation.
    """
    asyncio = sys.modules.get("asyncio")  # not imported here: without it in the process, nobody runs a loop
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not drive.__code__:
        frame = frame.f_back
    return frame is None


def suspends(*ports: object) -> bool:
    """Whether any of these ports says that its verbs suspend; a port that says nothing is taken for a blocking one."""
    return any(getattr(port, "suspends", False) for port in ports)


def require_blocking(port: object, user: str, what: str) -> None:
    """Refuses a port that suspends, when something is built that cannot wait for it.

    Raises:
        ConfigurationError: `reason` is ``store_suspends``.
    """
    if suspends(port):
        raise ConfigurationError(
            f"{user} cannot await {what}", hint="build the stores over Database(engine)", reason="store_suspends"
        )


def synced(operation: Callable[Concatenate[S, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[S, P], T]:
    """The sync face of an ``a``-method: same arguments, same result, same documentation.

    ``get = synced(aget)`` in the class body. An owner whose `suspends` attribute is true is refused before anything
    starts, because abandoning a half-run driver coroutine breaks its connection.
    """

    @wraps(operation)
    def face(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if getattr(self, "suspends", False):
            raise _suspended(type(self).__name__)
        started = operation(self, *args, **kwargs)
        del args, kwargs  # what an error reporter shows of this frame may be a password
        return drive(started)

    name = operation.__name__.removeprefix("a")
    face.__name__ = name
    face.__qualname__ = f"{operation.__qualname__.rpartition('.')[0]}.{name}".lstrip(".")
    return face


def _suspended(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"a sync call met an asynchronous port ({what})",
        hint="await the method of the same name with an `a` in front, or build the object over a blocking store",
        reason="store_suspends",
    )
