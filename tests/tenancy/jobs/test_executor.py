"""`TenantExecutor`: the submitter's tenant, a clean context, nothing for the next job."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tenant_scopes import T1, T2, name
from wellstreak_trust.tenancy import NoTenant, require_tenant, tenant_scope, testing_context
from wellstreak_trust.tenancy.jobs import TenantExecutor

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("test_executor_variable", default="unset")


def test_a_job_runs_in_the_tenant_that_submitted_it() -> None:
    with TenantExecutor(2) as pool:
        futures = []
        for tenant_id in [f"t{number % 3}" for number in range(30)]:
            with tenant_scope(testing_context(tenant_id)):
                futures.append((tenant_id, pool.submit(name)))
        assert all(future.result() == tenant_id for tenant_id, future in futures)


def test_without_a_tenant_nothing_is_queued() -> None:
    ran: list[int] = []
    with TenantExecutor(1) as pool:
        with pytest.raises(NoTenant):
            pool.submit(ran.append, 1)
        with pytest.raises(NoTenant):
            pool.map(ran.append, [1])
        with pytest.raises(NoTenant):
            pool.map(ran.append, [])
    assert ran == []


def test_a_job_that_forgets_everything_taints_nothing() -> None:
    """Through both faces, on the one thread of the pool."""

    def careless() -> str:
        tenant_scope(testing_context("t1", id="careless")).__enter__()
        VARIABLE.set("left behind")
        return require_tenant().principal.id

    def look() -> tuple[str, str]:
        return require_tenant().principal.id, VARIABLE.get()

    with TenantExecutor(1) as pool, tenant_scope(T1):
        VARIABLE.set("the submitter's")
        assert pool.submit(careless).result() == "careless"
        assert pool.submit(look).result() == ("u1", "unset")
        assert ThreadPoolExecutor.submit(pool, name).result() is None
        assert require_tenant() is T1


def test_map_goes_through_it_in_order_with_time_out() -> None:
    gate = threading.Event()
    with TenantExecutor(2) as pool:
        with tenant_scope(T1):
            results = pool.map(lambda number: (number, name()), range(5))
            late = pool.map(lambda _: gate.wait(5), [0], timeout=0.01)
        with tenant_scope(T2):
            assert list(results) == [(number, "t1") for number in range(5)]
        with pytest.raises(TimeoutError):
            next(late)
        gate.set()


def test_run_in_executor_goes_through_it() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        with TenantExecutor(1) as pool:
            with pytest.raises(NoTenant):
                loop.run_in_executor(pool, name)
            async with tenant_scope(T1):
                first = loop.run_in_executor(pool, name)
            async with tenant_scope(T2):
                assert (await first, await loop.run_in_executor(pool, name)) == ("t1", "t2")

    asyncio.run(run())


def test_a_job_may_submit_further_jobs_and_errors_come_back() -> None:
    with TenantExecutor(2) as pool, tenant_scope(T1):
        assert pool.submit(lambda: pool.submit(name).result()).result() == "t1"
        with pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 // 0).result()
