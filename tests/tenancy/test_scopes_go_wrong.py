"""Scopes that are abandoned, left elsewhere or left out of order: never an error or a stale tenant (CX03 to CX06)."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenant_scopes import T1, T2, name
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.tenancy import (
    NoTenant,
    TenantConflict,
    current_tenant,
    require_tenant,
    scope_leaks,
    tenant_scope,
    testing_context,
)


@given(
    st.lists(
        st.tuples(st.sampled_from(["enter", "leave", "leave elsewhere", "look elsewhere"]), st.integers(0, 4)),
        max_size=30,
    )
)
def test_in_any_order_the_tenant_is_that_of_a_scope_that_is_open(script: list[tuple[str, int]]) -> None:
    """The law: what is current was entered and not left; when all are left, nothing is current."""

    def play() -> None:
        scopes = [tenant_scope(testing_context("t1", id=f"u{number}")) for number in range(5)]
        inside: list[int] = []
        for step, number in script:
            if step == "enter" and number not in inside:
                scopes[number] = tenant_scope(testing_context("t1", id=f"u{number}"))
                scopes[number].__enter__()
                inside.append(number)
            elif step == "leave":
                scopes[number].__exit__(None, None, None)
                inside = [other for other in inside if other != number]
            elif step == "leave elsewhere" and number in inside:
                contextvars.copy_context().run(scopes[number].__exit__, None, None, None)
                inside = [other for other in inside if other != number]
            elif step == "look elsewhere":
                assert contextvars.copy_context().run(current_tenant) is current_tenant()
            found = current_tenant()
            assert found is None or int(found.principal.id[1:]) in inside
        for number in reversed(inside):
            scopes[number].__exit__(None, None, None)
        assert current_tenant() is None
        with tenant_scope(T2):
            assert require_tenant() is T2
        assert current_tenant() is None

    contextvars.Context().run(play)


def test_groups_of_errors_restore_the_tenant_before() -> None:
    """CX15"""
    with tenant_scope(T1):
        with pytest.raises(BaseExceptionGroup), tenant_scope(testing_context("t1", id="u2")):
            raise BaseExceptionGroup("all", [KeyboardInterrupt(), asyncio.CancelledError()])
        assert require_tenant() is T1


def test_a_conflict_names_no_tenant_and_leaves_the_scope_usable() -> None:
    """CX16"""
    inner = tenant_scope(T2)
    with tenant_scope(T1), pytest.raises(TenantConflict) as refused:
        inner.__enter__()
    assert "t1" not in str(refused.value)
    assert "t2" not in str(refused.value)
    with inner:
        assert name() == "t2"
    assert current_tenant() is None


def test_a_timer_finds_no_tenant() -> None:
    """CX01"""
    found: list[object] = []

    def work() -> None:
        try:
            require_tenant()
        except NoTenant as error:
            found.append(error.code)

    with tenant_scope(T1):
        timer = threading.Timer(0, work)
        timer.start()
        timer.join()
    assert found == ["internal_error"]


def test_callbacks_of_the_loop_see_the_tenant_of_their_making() -> None:
    """CX03"""

    async def run() -> list[str | None]:
        loop, seen = asyncio.get_running_loop(), list[str | None]()
        async with tenant_scope(T1):
            loop.call_soon(lambda: seen.append(name()))
            loop.call_later(0.001, lambda: seen.append(name()))
            future = loop.create_future()
            future.add_done_callback(lambda _: seen.append(name()))
        async with tenant_scope(T2):
            future.set_result(None)
            await asyncio.sleep(0.01)
        return seen

    assert asyncio.run(run()) == ["t1"] * 3


def test_task_groups_and_timeouts_restore_the_tenant() -> None:
    async def work(tenant_id: str) -> str | None:
        async with tenant_scope(testing_context(tenant_id)):
            await asyncio.sleep(0)
            if tenant_id == "t3":
                raise KeyError(tenant_id)
            await asyncio.sleep(60)
        return name()

    async def run() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as tasks:
                for tenant_id in ("t1", "t2", "t3"):
                    tasks.create_task(work(tenant_id))
        assert caught.group_contains(KeyError)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001), tenant_scope(T1):
                await asyncio.sleep(60)
        assert name() is None

    asyncio.run(run())


# --- context managers made of generators ------------------------------------------------------------------------------


@contextmanager
def managed() -> Iterator[str | None]:
    with tenant_scope(T1):
        yield name()


def test_an_abandoned_context_manager_leaves_no_tenant_for_the_next_one() -> None:
    """CX06: entered by hand, forgotten, collected."""

    def play() -> None:
        forgotten = managed()
        assert forgotten.__enter__() == "t1"
        del forgotten
        gc.collect()
        assert name() is None

    contextvars.Context().run(play)


def test_an_abandoned_one_that_is_collected_elsewhere_is_reported_and_goes_blank() -> None:
    before = scope_leaks()
    here, there = contextvars.Context(), contextvars.Context()
    held = [managed()]
    assert here.run(held[0].__enter__) == "t1"
    there.run(held.clear)
    gc.collect()
    assert scope_leaks() == before + 1
    assert here.run(name) is None
    assert there.run(name) is None


def test_an_async_context_manager_closed_from_another_task_masks_nothing() -> None:
    """CX05: what frameworks do with ``yield`` dependencies."""

    @asynccontextmanager
    async def dependency() -> AsyncIterator[str | None]:
        async with tenant_scope(T1):
            yield name()

    async def run() -> None:
        before = scope_leaks()
        stack = AsyncExitStack()
        assert await stack.enter_async_context(dependency()) == "t1"

        async def close() -> None:
            async with stack:
                raise KeyError("the host's own")

        with pytest.raises(KeyError):
            await asyncio.create_task(close())
        assert scope_leaks() == before + 1
        assert name() is None
        await stack.aclose()

    asyncio.run(run())


def test_interleaved_context_managers_leave_nothing() -> None:
    """CX06"""

    def play() -> None:
        first, second = managed(), managed()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert name() == "t1"
        second.__exit__(None, None, None)
        assert name() is None

    contextvars.Context().run(play)


def test_class_based_helpers_may_enter_for_their_caller_and_not_for_a_generator() -> None:
    class Helper:
        def __enter__(self) -> None:
            self.scope = tenant_scope(T1)
            self.scope.__enter__()

        def __exit__(self, *_: object) -> None:
            self.scope.__exit__(None, None, None)

    with Helper():
        assert name() == "t1"
    assert name() is None
    with pytest.raises(ConfigurationError):
        list(tenant for tenant in _direct())


def _direct() -> Iterator[str | None]:
    scope = tenant_scope(T1)
    scope.__enter__()
    yield name()
