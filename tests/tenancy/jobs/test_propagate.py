"""`propagate`: every step in the captured tenant, nothing left with the consumer (cases CX01 to CX06, CX15)."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenant_scopes import T1, T2, name
from wellstreak_trust.core import ConfigurationError, FixedClock, Principal
from wellstreak_trust.tenancy import (
    NoTenant,
    TenantConflict,
    current_tenant,
    elevate,
    require_tenant,
    scope_leaks,
    tenant_scope,
    testing_context,
)
from wellstreak_trust.tenancy.jobs import propagate

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("test_variable", default="unset")


def in_t1(fn: Callable[..., Any]) -> Any:
    with tenant_scope(T1):
        return propagate(fn)


def test_outside_a_scope_it_raises() -> None:
    with pytest.raises(NoTenant):
        propagate(name)


def test_a_thread_and_a_timer_run_in_the_captured_tenant() -> None:
    """CX01"""
    seen: list[str | None] = []
    work = in_t1(lambda: seen.append(name()))
    for thread in (threading.Thread(target=work), threading.Timer(0, work)):
        thread.start()
        thread.join()
    assert seen == ["t1", "t1"]
    assert current_tenant() is None


def test_the_caller_keeps_its_own_tenant_and_variables() -> None:
    def work(value: int, *, more: str) -> tuple[int, str, str | None]:
        VARIABLE.set("inside")
        return value, more, name()

    bound = in_t1(work)
    with tenant_scope(T2):
        VARIABLE.set("outside")
        assert bound(1, more="x") == (1, "x", "t1")
        assert (name(), VARIABLE.get()) == ("t2", "outside")
    assert bound.__name__ == "work"
    VARIABLE.set("unset")


def test_the_callers_variables_are_seen_inside() -> None:
    token = VARIABLE.set("request 7")
    try:
        assert in_t1(VARIABLE.get)() == "request 7"
    finally:
        VARIABLE.reset(token)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_errors_pass_and_nothing_is_left(error: type[BaseException]) -> None:
    """CX15"""

    def fails() -> None:
        tenant_scope(testing_context("t1", id="u2")).__enter__()
        raise error

    bound = in_t1(fails)
    with tenant_scope(T2):
        with pytest.raises(error):
            bound()
        assert require_tenant() is T2


def test_groups_of_errors_pass() -> None:
    def fails() -> None:
        raise BaseExceptionGroup("all", [KeyboardInterrupt(), ValueError()])

    with pytest.raises(BaseExceptionGroup) as caught:
        in_t1(fails)()
    assert len(caught.value.exceptions) == 2
    assert current_tenant() is None


# --- kinds -----------------------------------------------------------------------------------------------------------


def steps(first: Any) -> Generator[Any, Any, str]:
    """Answers what it is sent, survives one ValueError, says where it is closed."""
    got = yield (first, name())
    while got != "stop":
        try:
            got = yield (got, name())
        except ValueError as error:
            got = yield (repr(error), name())
    return f"done in {name()}"


async def asteps(first: Any) -> AsyncGenerator[Any, Any]:
    await asyncio.sleep(0)
    got = yield (first, name())
    while got != "stop":
        await asyncio.sleep(0)
        try:
            got = yield (got, name())
        except ValueError as error:
            got = yield (repr(error), name())


async def coroutine() -> list[str | None]:
    seen = [name()]
    for _ in range(3):
        await asyncio.sleep(0)
        seen.append(name())
    return seen


def test_kinds_are_kept() -> None:
    class Called:
        async def __call__(self) -> str | None:
            return name()

    assert inspect.iscoroutinefunction(in_t1(coroutine))
    assert inspect.isgeneratorfunction(in_t1(steps))
    assert inspect.isgeneratorfunction(in_t1(partial(steps, 1)))
    assert inspect.isasyncgenfunction(in_t1(asteps))
    assert asyncio.run(in_t1(Called())()) == "t1"
    assert asyncio.run(in_t1(lambda: coroutine())()) == ["t1"] * 4
    assert next(in_t1(lambda: steps(1))()) == (1, "t1")


def test_a_generator_takes_send_throw_and_close() -> None:
    generator = in_t1(steps)("a")
    with tenant_scope(T2):
        assert next(generator) == ("a", "t1")
        assert name() == "t2"
        assert generator.send("b") == ("b", "t1")
    assert generator.throw(ValueError("x")) == ("ValueError('x')", "t1")
    with pytest.raises(StopIteration) as done:
        generator.send("stop")
    assert done.value.value == "done in t1"
    with pytest.raises(StopIteration):
        next(generator)
    assert current_tenant() is None


def test_a_generator_is_closed_inside_also_when_it_is_abandoned() -> None:
    seen: list[Any] = []

    def work() -> Generator[int, None, None]:
        try:
            yield 1
        finally:
            seen.append(name())

    for finish in (lambda generator: generator.close(), lambda generator: None):
        generator = in_t1(work)()
        assert next(generator) == 1
        finish(generator)
        del generator
        gc.collect()
    assert seen == ["t1", "t1"]

    def stubborn() -> Generator[int, None, None]:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    generator = in_t1(stubborn)()
    next(generator)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        generator.close()
    with pytest.raises(TypeError):
        next(in_t1(work)(1))


def test_a_scope_in_the_body_is_refused_as_ever() -> None:
    def leaking() -> Generator[str | None, None, None]:
        with tenant_scope(T1):
            yield name()

    with pytest.raises(ConfigurationError):
        next(in_t1(leaking)())


def test_a_coroutine_may_hold_a_scope_across_its_steps() -> None:
    async def nested() -> list[str | None]:
        seen = []
        async with tenant_scope(testing_context("t1", id="u2")):
            await asyncio.sleep(0)
            seen.append(require_tenant().principal.id)
        await asyncio.sleep(0)
        return [*seen, require_tenant().principal.id]

    before = scope_leaks()
    assert asyncio.run(in_t1(nested)()) == ["u2", "u1"]
    assert scope_leaks() == before


def test_a_coroutine_leaves_nothing_with_whoever_steps_it() -> None:
    @in_t1
    async def work() -> str:
        got = await Pause()
        return f"{got} in {name()}"

    running = work()
    assert running.send(None) == "paused in t1"
    assert current_tenant() is None
    with tenant_scope(T2), pytest.raises(StopIteration) as done:
        running.send("b")
    assert done.value.value == "b in t1"
    thrown = work()
    thrown.send(None)
    with pytest.raises(KeyError):
        thrown.throw(KeyError("x"))


class Pause:
    def __await__(self) -> Generator[str, str, str]:
        return (yield f"paused in {name()}")


def test_coroutines_as_tasks_and_their_tasks() -> None:
    """CX03"""

    async def parent() -> list[str | None]:
        loop, later = asyncio.get_running_loop(), asyncio.Event()
        seen: list[str | None] = []
        loop.call_soon(lambda: (seen.append(name()), later.set()))
        await later.wait()
        return [*seen, await asyncio.create_task(asyncio.sleep(0, name())), await asyncio.to_thread(name)]

    async def run() -> None:
        bound, other = in_t1(parent), in_t1(coroutine)
        async with tenant_scope(T2):
            assert await asyncio.create_task(bound()) == ["t1"] * 3
            assert await asyncio.gather(bound(), other()) == [["t1"] * 3, ["t1"] * 4]
            async with asyncio.timeout(5):
                assert await bound() == ["t1"] * 3
            assert name() == "t2"

    asyncio.run(run())


def test_anyio_finds_its_loop_and_its_cancel_scopes_inside() -> None:
    import anyio

    async def work() -> list[str | None]:
        seen = [name()]
        with anyio.move_on_after(0.001):
            await anyio.sleep(60)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: anyio.lowlevel.checkpoint())
        return [*seen, await anyio.to_thread.run_sync(name)]

    assert anyio.run(in_t1(work)) == ["t1", "t1"]


def test_cancelling_runs_the_cleanup_inside() -> None:
    """CX15"""
    seen: list[str | None] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            seen.append(name())

    async def run() -> None:
        task = asyncio.create_task(in_t1(work)())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await in_t1(work)()
        assert name() is None

    asyncio.run(run())
    assert seen == ["t1", "t1"]


def test_an_async_generator_takes_asend_athrow_and_aclose() -> None:
    async def run() -> None:
        generator = in_t1(asteps)("a")
        async with tenant_scope(T2):
            assert await anext(generator) == ("a", "t1")
            assert name() == "t2"
            assert await generator.asend("b") == ("b", "t1")
        assert await generator.athrow(ValueError("x")) == ("ValueError('x')", "t1")
        await generator.aclose()
        assert [item async for item in generator] == []
        assert [item async for item in in_t1(lambda: short())()] == ["t1"]
        assert name() is None

    async def short() -> AsyncGenerator[str | None, None]:
        yield name()

    asyncio.run(run())


def test_an_async_generator_is_closed_inside_from_another_task_and_at_the_end_of_the_loop() -> None:
    """CX05"""
    seen: list[Any] = []
    faults: list[Any] = []

    async def work(label: str) -> AsyncGenerator[str, None]:
        try:
            yield label
        finally:
            await asyncio.sleep(0)
            seen.append((label, name()))

    async def run(kept: list[Any]) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, fault: faults.append(fault))
        closed, abandoned, forgotten = (in_t1(work)(label) for label in ("closed", "abandoned", "forgotten"))
        for generator in (closed, abandoned, forgotten):
            await anext(generator)
        await asyncio.create_task(closed.aclose())
        del abandoned, generator
        kept.append(forgotten)
        await asyncio.sleep(0.01)
        assert name() is None

    kept: list[Any] = []
    asyncio.run(run(kept))
    assert sorted(seen) == [("abandoned", "t1"), ("closed", "t1"), ("forgotten", "t1")]
    assert faults == []


@given(order=st.lists(st.integers(0, 2), max_size=24))
def test_however_generators_are_interleaved_each_sees_its_own(order: list[int]) -> None:
    """CX06"""

    def work() -> Generator[str | None, None, None]:
        while True:
            yield name()

    generators = []
    for tenant_id in ("t0", "t1", "t2"):
        with tenant_scope(testing_context(tenant_id)):
            generators.append(propagate(work)())
    with tenant_scope(T2):
        for index in order:
            assert next(generators[index]) == f"t{index}"
            assert require_tenant() is T2
    for generator in generators:
        generator.close()
    assert current_tenant() is None


def test_a_generator_may_be_stepped_by_several_threads_in_turn() -> None:
    generator = in_t1(steps)("a")
    seen: list[Any] = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: seen.append(next(generator)))
        thread.start()
        thread.join()
    assert [found[1] for found in seen] == ["t1"] * 3
    generator.close()


def test_an_elevation_is_not_carried_and_ends_what_rests_on_it() -> None:
    clock = FixedClock(datetime(2026, 11, 24, tzinfo=UTC))
    with elevate(
        "outage", "OPS-1", 10, audit=list[object]().append, principal=Principal("ops"), clock=clock
    ) as elevation:

        def crosses() -> None:
            with tenant_scope(T2):
                pytest.fail("entered another tenant")

        with tenant_scope(elevation.context("t1")):
            with pytest.raises(TenantConflict):
                propagate(crosses)()
            generator = propagate(steps)("a")
        assert next(generator) == ("a", "t1")
        with tenant_scope(T1), tenant_scope(T2):
            assert name() == "t2"  # the block itself is still elevated
        clock.advance(timedelta(minutes=10))
        with pytest.raises(TenantConflict):
            next(generator)


def test_sync_to_async_in_and_out() -> None:
    """CX10: even a scope that the function forgets to leave does not come back to the async caller."""
    from asgiref.sync import async_to_sync, sync_to_async

    def forgets() -> str | None:
        tenant_scope(T1).__enter__()
        return name()

    async def run() -> Awaitable[Any]:
        return await sync_to_async(in_t1(forgets))(), name()

    assert asyncio.run(run()) == ("t1", None)
    assert async_to_sync(in_t1(coroutine))() == ["t1"] * 4
    assert current_tenant() is None
