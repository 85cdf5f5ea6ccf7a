"""arq on a real Redis; it holds redis back, so it runs where `tools/test-floor` runs (cases CX11, CX13)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import arq
import pytest

from tenant_scopes import ENVELOPES, scope
from wellstreak_trust.core import UsageError
from wellstreak_trust.tenancy import (
    current_tenant,
    require_tenant,
    tenant_scope,
)
from wellstreak_trust.tenancy.jobs import EnvelopeInvalid


async def where(ctx: dict[str, Any], *_: Any, **__: Any) -> str:
    await asyncio.sleep(0)
    found = current_tenant()
    return found.tenant_id if found is not None else "-"


async def strict(ctx: dict[str, Any]) -> str:
    return require_tenant().tenant_id


async def forgets(ctx: dict[str, Any]) -> None:
    tenant_scope(require_tenant()).__enter__()


async def again(ctx: dict[str, Any]) -> str:
    if ctx["job_try"] < 2:
        raise arq.Retry(defer=0)
    return await where(ctx)


def play(redis_url: str, script: Callable[[Any, Any], Awaitable[list[Any]]]) -> list[Any]:
    """Enqueues, lets a worker run dry, and returns each job's result or error."""
    from arq import create_pool
    from arq.connections import RedisSettings
    from arq.worker import Worker

    from wellstreak_trust.tenancy.arq import ArqJobs

    jobs = ArqJobs(ENVELOPES)

    async def spawns(ctx: dict[str, Any]) -> str:
        inner = await jobs.enqueue(ctx["redis"], "where", _job_id="inner-" + ctx["job_id"])
        return str(inner.job_id)

    async def run() -> list[Any]:
        queue = f"wst-{uuid.uuid4().hex}"
        pool = await create_pool(RedisSettings.from_dsn(redis_url), default_queue_name=queue)
        try:
            found = [job.job_id for job in await script(jobs, pool)]
            worker = Worker(
                [jobs.function(fn) for fn in (where, strict, forgets, again)] + [jobs.function(spawns, name="spawns")],
                redis_pool=pool, queue_name=queue, burst=True, poll_delay=0.02, handle_signals=False, max_jobs=4,
            )  # fmt: skip
            await worker.async_run()
            results = []
            for job_id in found:
                info = await arq.jobs.Job(job_id, pool, _queue_name=queue).result_info()
                results.append(info.result)
                if job_id.startswith("spawns"):
                    inner = await arq.jobs.Job(info.result, pool, _queue_name=queue).result_info()
                    results[-1] = inner.result
            return results
        finally:
            await pool.aclose()

    return asyncio.run(run())


def test_a_job_runs_as_the_member_who_enqueued_it(redis_url: str) -> None:
    async def script(jobs: Any, pool: Any) -> list[Any]:
        with scope():
            found = [
                await jobs.enqueue(pool, "where", 1, more=[2.5, None]),
                await jobs.enqueue(pool, "again", _defer_by=0.001),
                await jobs.enqueue(pool, "spawns", _job_id="spawns" + uuid.uuid4().hex),
            ]
        with scope("globex"):
            found.append(await jobs.enqueue(pool, "where", {"a": (1, 2)}))
        found.append(await jobs.enqueue(pool, "where"))
        return found

    assert play(redis_url, script) == ["acme", "acme", "acme", "globex", "-"]
    assert current_tenant() is None


def test_a_job_without_envelope_has_no_tenant_whatever_ran_before(redis_url: str) -> None:
    """CX11"""

    async def script(jobs: Any, pool: Any) -> list[Any]:
        with scope():
            first = await jobs.enqueue(pool, "forgets")
        return [first, await pool.enqueue_job("strict", _defer_by=0.2)]

    forgot, bare = play(redis_url, script)
    assert forgot is None
    assert type(bare).__name__ == "NoTenant"


def test_a_changed_job_is_refused(redis_url: str) -> None:
    """CX13"""
    from wellstreak_trust.tenancy.arq import KEYWORD

    async def script(jobs: Any, pool: Any) -> list[Any]:
        signed: list[dict[str, Any]] = []

        class Tap:
            async def enqueue_job(self, function: str, *args: Any, **kwargs: Any) -> None:
                signed.append({"function": function, "args": args, **kwargs})

        with scope():
            await jobs.enqueue(Tap(), "where", 1, more=2)
        (genuine,) = signed
        envelope, job_id = genuine[KEYWORD], genuine["_job_id"]

        async def put(function: str, *args: Any, **kwargs: Any) -> Any:
            fresh = {"_job_id": uuid.uuid4().hex, "more": 2, KEYWORD: envelope}
            return await pool.enqueue_job(function, *args, **{**fresh, **kwargs})

        return [
            await put("where", 1, _job_id=job_id),  # delivered as it was signed
            await put("where", 1),
            await put("where", 2),
            await put("where", 1, more=3),
            await put("where", "1"),
            await put("strict"),
            await put("where", 1, **{KEYWORD: envelope[:-1]}),
            await put("where", 1, **{KEYWORD: 7}),
            await put("where", 1, more=object),
        ]

    first, *others = play(redis_url, script)
    assert first == "acme"
    assert [type(other) for other in others] == [EnvelopeInvalid] * 8


def test_what_does_not_travel_is_refused_when_it_is_enqueued() -> None:
    from wellstreak_trust.tenancy.arq import KEYWORD, ArqJobs

    jobs = ArqJobs(ENVELOPES)
    for arguments, keywords in ((({1: 2},), {}), ((), {KEYWORD: "x"})):
        with scope(), pytest.raises(UsageError):
            asyncio.run(jobs.enqueue(None, "where", *arguments, **keywords))
