"""`drive` and `synced`: one body, two faces, and what must happen when a port suspends."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import traceback
import warnings
from collections.abc import Callable, Generator
from typing import Any

import pytest

from wellstreak_trust.core import ConfigurationError, drive
from wellstreak_trust.core.sansio import is_awaited, require_blocking, suspends, synced

VAR: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="outside")


class _Pause:
    def __await__(self) -> Generator[None, None, None]:
        yield


class Counter:
    """An operation written once over a port."""

    def __init__(self, *, waits: bool = False, says: bool = False) -> None:
        self.suspends = says
        self.waits = waits
        self.closed = False

    async def atake(self, amount: int, *, fail: BaseException | None = None) -> int:
        """Takes."""
        VAR.set("inside")
        try:
            if self.waits:
                await _Pause()
            if fail is not None:
                raise fail
            return amount + 1
        finally:
            self.closed = True

    take = synced(atake)


def test_result_and_context_variables_are_seen_by_the_caller() -> None:
    def inside() -> tuple[int, str]:
        return Counter().take(1), VAR.get()

    assert contextvars.copy_context().run(inside) == (2, "inside")


def test_the_sync_face_documents_itself() -> None:
    assert Counter.take.__name__ == "take"
    assert Counter.take.__qualname__ == "Counter.take"
    assert Counter.take.__doc__ == "Takes."


def test_exceptions_pass_with_their_real_frames() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        Counter().take(1, fail=ZeroDivisionError())
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[1:] == ["face", "drive", "atake"]  # the sync method itself, one frame of ours, the real ones


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_base_exceptions_pass(error: BaseException) -> None:
    with pytest.raises(type(error)):
        Counter().take(1, fail=error)


def test_stop_iteration_is_never_a_result() -> None:
    with pytest.raises(RuntimeError):
        Counter().take(1, fail=StopIteration(7))


def test_a_suspending_store_is_refused_and_finally_runs() -> None:
    counter = Counter(waits=True)
    with pytest.raises(ConfigurationError) as caught:
        counter.take(1)
    assert caught.value.reason == "store_suspends"
    assert "`a`" in caught.value.hint
    assert counter.closed


def test_a_finally_that_awaits_again_does_not_mask_the_fault() -> None:
    async def stubborn() -> None:
        try:
            await _Pause()
        finally:
            await _Pause()

    with pytest.raises(ConfigurationError) as caught:
        drive(stubborn())
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_finally_that_fails_is_the_cause_and_no_mask() -> None:
    async def clumsy() -> None:
        try:
            await _Pause()
        finally:
            raise OSError("cleaning up failed")

    with pytest.raises(ConfigurationError) as caught:
        drive(clumsy())
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("waits_for", [lambda: asyncio.sleep(0), lambda: asyncio.get_running_loop().create_future()])
def test_what_asyncio_itself_waits_for_is_refused_and_closed(waits_for: Callable[[], Any]) -> None:
    closed = []

    async def operation() -> None:
        try:
            await waits_for()
        finally:
            closed.append(True)

    async def main() -> None:
        with pytest.raises(ConfigurationError):
            drive(operation())

    asyncio.run(main())
    assert closed == [True]


def test_a_declared_async_port_is_refused_before_anything_starts() -> None:
    counter = Counter(says=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a "never awaited" warning would fail here
        with pytest.raises(ConfigurationError):
            counter.take(1)
    assert not counter.closed


async def _in_timeout() -> None:
    async with asyncio.timeout(1):
        raise AssertionError("unreachable")


async def _asks_its_task() -> None:
    asyncio.current_task()


@pytest.mark.parametrize("operation", [_in_timeout, _asks_its_task])
def test_asyncio_primitives_have_no_loop_here(operation: Callable[[], Any]) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        drive(operation())


def test_a_sync_face_works_on_a_running_loop_over_memory() -> None:
    async def main() -> int:
        return Counter().take(1)

    assert asyncio.run(main()) == 2


class Ledger:
    """A port of two atomic verbs; between them a task may be cancelled, inside one never."""

    suspends = True

    def __init__(self) -> None:
        self.whole: list[str] = []
        self.entered = 0

    async def put(self, name: str) -> None:
        self.entered += 1
        await asyncio.sleep(0)
        self.whole += [name, name]  # both halves in one step


def test_cancelling_between_two_verbs_leaves_whole_verbs_and_runs_finally() -> None:
    ledger, closed, halfway = Ledger(), [], asyncio.Event()

    async def operation() -> None:
        try:
            for name in "abcdefgh":
                await ledger.put(name)
                if name == "c":
                    halfway.set()
        finally:
            closed.append(True)

    async def main() -> None:
        task = asyncio.create_task(operation())
        await halfway.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert closed == [True]
    assert len(ledger.whole) % 2 == 0
    assert ledger.entered < 8


def test_an_uncontended_lock_passes_and_a_contended_one_suspends() -> None:
    lock = asyncio.Lock()

    async def locked() -> str:
        async with lock:
            return "held"

    assert drive(locked()) == "held"

    async def contended() -> None:
        async with lock:
            await locked()

    async def main() -> None:
        with pytest.raises(ConfigurationError):
            drive(contended())

    asyncio.run(main())


def test_the_async_face_suspends_and_cancellation_runs_finally() -> None:
    counter = Counter(waits=True)

    async def main() -> int:
        stuck = Counter()

        async def forever() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                stuck.closed = True

        task = asyncio.create_task(forever())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stuck.closed
        return await counter.atake(2)

    assert asyncio.run(main()) == 3


def test_suspends_asks_every_port() -> None:
    assert suspends(Counter(), None, Counter(says=True))
    assert not suspends(Counter(), object(), None)


def test_functions_have_a_sync_face_too() -> None:
    async def arun(owner: Any, value: int) -> int:
        return value

    run = synced(arun)
    assert run.__name__ == "run"
    assert run(object(), 3) == 3


def test_only_what_somebody_awaits_keeps_a_loop_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def told() -> bool:
        return is_awaited()

    async def driven() -> bool:
        return drive(told())

    assert not is_awaited()
    assert not drive(told())
    assert asyncio.run(told())
    assert not asyncio.run(driven())
    monkeypatch.delitem(sys.modules, "asyncio")
    assert not is_awaited()


def test_who_cannot_wait_takes_blocking_ports_only() -> None:
    class Port:
        suspends = False

    require_blocking(Port(), "Flask", "this")
    require_blocking(object(), "Flask", "this")
    port = Port()
    port.suspends = True
    with pytest.raises(ConfigurationError) as refused:
        require_blocking(port, "Flask", "this")
    assert refused.value.reason == "store_suspends"
    assert "Flask cannot await this" in str(refused.value)
