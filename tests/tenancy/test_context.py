"""Scopes: who sees which tenant, and what is left after everything that can go wrong (cases CX*)."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest

from tenant_scopes import T1, T2, name
from wellstreak_trust.core import ConfigurationError, Principal, UsageError
from wellstreak_trust.tenancy import (
    NoTenant,
    TenantConflict,
    TenantContext,
    current_tenant,
    require_tenant,
    scope_leaks,
    tenant_scope,
    testing_context,
)


def test_a_scope_gives_the_tenant_and_takes_it_back() -> None:
    with pytest.raises(NoTenant):
        require_tenant()
    with tenant_scope(T1) as context:
        assert context is T1
        assert require_tenant() is T1
        with tenant_scope(testing_context("t1", id="u2")):
            assert require_tenant().principal.id == "u2"
        assert require_tenant() is T1
    assert current_tenant() is None


@pytest.mark.parametrize("wrong", [None, "t1", Principal("u1"), TenantContext("", Principal("u1"), None)])
def test_only_contexts_enter(wrong: Any) -> None:
    with pytest.raises(UsageError), tenant_scope(wrong):
        pytest.fail("entered")
    assert current_tenant() is None


def test_another_tenant_is_refused_and_the_outer_scope_survives() -> None:
    """CX16"""
    with tenant_scope(T1):
        with pytest.raises(TenantConflict), tenant_scope(T2):
            pytest.fail("entered")
        assert require_tenant() is T1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, asyncio.CancelledError])
def test_any_exception_restores_the_tenant_before(error: type[BaseException]) -> None:
    """CX15"""
    with tenant_scope(T1):
        with pytest.raises(error), tenant_scope(T1):
            raise error
        assert require_tenant() is T1
    assert current_tenant() is None


def test_one_scope_serves_one_block_at_a_time() -> None:
    scope = tenant_scope(T1)
    with scope:
        with pytest.raises(UsageError):
            scope.__enter__()
        assert require_tenant() is T1
    assert current_tenant() is None
    with scope:
        assert name() == "t1"


def test_leaving_twice_is_harmless() -> None:
    """CX08: teardown twice."""
    outer, inner = tenant_scope(T1), tenant_scope(testing_context("t1", id="u2"))
    with outer:
        inner.__enter__()
        inner.__exit__(None, None, None)
        inner.__exit__(None, None, None)
        assert require_tenant() is T1


def test_leaving_in_another_context_never_raises_and_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """CX05: the host's own error must not be masked by a ValueError."""
    before, scope = scope_leaks(), tenant_scope(T1)
    scope.__enter__()
    with caplog.at_level(logging.WARNING, "wellstreak_trust.tenancy"):
        contextvars.copy_context().run(scope.__exit__, None, None, None)
    assert scope_leaks() == before + 1
    assert "scope_leak" in caplog.text
    assert "test_context.py:" in caplog.text
    assert current_tenant() is None
    with tenant_scope(T2):
        assert name() == "t2"
    assert current_tenant() is None


def test_scopes_left_out_of_order_leave_no_stale_tenant() -> None:
    """CX06"""
    outermost, first, second = (tenant_scope(testing_context("t1", id=who)) for who in ("u0", "u1", "u2"))
    before = scope_leaks()
    with outermost:
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert require_tenant().principal.id == "u2"
        second.__exit__(None, None, None)
        assert require_tenant().principal.id == "u0"
    assert current_tenant() is None
    assert scope_leaks() == before + 1


# --- generators ------------------------------------------------------------------------------------------------------


def plain() -> Iterator[str | None]:
    with tenant_scope(T1):
        yield name()


def stacked() -> Iterator[str | None]:
    with ExitStack() as stack:
        stack.enter_context(tenant_scope(T1))
        yield name()


@contextmanager
def managed() -> Iterator[str | None]:
    with tenant_scope(T1):
        yield name()


def disguised() -> Iterator[str | None]:
    with managed() as found:
        yield found


@pytest.mark.parametrize("generator", [plain, stacked, disguised])
def test_generators_that_would_leak_are_refused(generator: Callable[[], Iterator[str | None]]) -> None:
    """CX06"""
    with pytest.raises(ConfigurationError) as refused:
        next(generator())
    assert refused.value.reason == "scope_in_generator"
    assert current_tenant() is None


def test_context_managers_made_of_generators_stay_legal() -> None:
    @contextmanager
    def outer() -> Iterator[str | None]:
        with ExitStack() as stack:
            yield stack.enter_context(managed())

    with managed() as found:
        assert found == name() == "t1"
    with outer() as found:
        assert found == name() == "t1"
    assert current_tenant() is None


def test_async_generators_are_refused_and_async_context_managers_are_not() -> None:
    async def leaking() -> AsyncIterator[str | None]:
        async with tenant_scope(T1):
            yield name()

    async def leaking_too() -> AsyncIterator[str | None]:
        with tenant_scope(T1):
            yield name()

    @asynccontextmanager
    async def legal() -> AsyncIterator[str | None]:
        async with tenant_scope(T1):
            yield name()

    async def run() -> None:
        for generator in (leaking(), leaking_too()):
            with pytest.raises(ConfigurationError):
                await anext(generator)
        async with legal() as found:
            assert found == name() == "t1"
        assert name() is None

    asyncio.run(run())


# --- threads and tasks -----------------------------------------------------------------------------------------------


def test_threads_start_without_a_tenant() -> None:
    """CX01"""
    found: list[str | None] = []
    with tenant_scope(T1):
        thread = threading.Thread(target=lambda: found.append(name()))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool, pytest.raises(NoTenant):
            pool.submit(require_tenant).result()
    assert found == [None]


def test_tasks_keep_the_tenant_of_their_creation() -> None:
    """CX03; a scope of its own inside the task does not cost it the inherited tenant."""

    async def later(gate: asyncio.Event) -> list[str | None]:
        await gate.wait()
        with tenant_scope(testing_context("t1", id="u2")):
            inside = name()
        return [inside, name()]

    async def run() -> None:
        gate = asyncio.Event()
        async with tenant_scope(T1):
            task = asyncio.create_task(later(gate))
            assert await asyncio.to_thread(name) == "t1"
        async with tenant_scope(T2):
            gate.set()
            assert await task == ["t1", "t1"]
            assert name() == "t2"

    asyncio.run(run())


def test_sync_to_async_does_not_bring_a_scope_back() -> None:
    """CX10"""
    from asgiref.sync import sync_to_async

    def work() -> str | None:
        with tenant_scope(T1):
            return name()

    async def run() -> None:
        assert await sync_to_async(work)() == "t1"
        assert name() is None
        async with tenant_scope(T1):
            assert await sync_to_async(name)() == "t1"

    asyncio.run(run())


def test_two_tenants_interleaved_see_their_own() -> None:
    async def worker(tenant_id: str) -> set[str | None]:
        seen = set()
        async with tenant_scope(testing_context(tenant_id)):
            for _ in range(20):
                await asyncio.sleep(0)
                seen.add(name())
        return seen

    async def run() -> None:
        ids = [f"t{number}" for number in range(8)]
        assert await asyncio.gather(*map(worker, ids)) == [{tenant_id} for tenant_id in ids]

    asyncio.run(run())


def test_testing_context_takes_roles_and_principal_fields() -> None:
    context = testing_context("t1", roles=("admin", "member"), id="u9", kind="service", aal=2)
    assert context.roles == {"admin", "member"}
    assert (context.principal.id, context.principal.tenant_id, context.principal.aal) == ("u9", "t1", 2)
    with pytest.raises(UsageError):
        testing_context("t1", roles="admin")
