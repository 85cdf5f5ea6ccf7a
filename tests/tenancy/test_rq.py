"""RQ on a real Redis (cases CX11, CX13)."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from rq import Callback, Queue, Retry, SimpleWorker, Worker
from rq.job import JobStatus
from rq.serializers import JSONSerializer

from tenant_scopes import ENVELOPES, MEMBERSHIPS, scope
from wellstreak_trust.core import ConfigurationError, Membership, Principal, UsageError
from wellstreak_trust.tenancy import (
    TenantContext,
    current_tenant,
    require_tenant,
    tenant_scope,
)
from wellstreak_trust.tenancy.jobs import JobEnvelopes
from wellstreak_trust.tenancy.rq import META, TenantJob

RAN: list[str] = []
TRIES: list[int] = []


class AppJob(TenantJob):
    envelopes = ENVELOPES


# What the worker imports.


def where(*_: Any, **__: Any) -> str:
    found = current_tenant()
    RAN.append(found.tenant_id if found is not None else "-")
    return RAN[-1]


async def later() -> str:
    return where()


def strict() -> str:
    return require_tenant().tenant_id


def forgets() -> str:
    tenant_scope(require_tenant()).__enter__()
    return where()


def fails_once() -> str:
    TRIES.append(1)
    if len(TRIES) < 2:
        raise ZeroDivisionError
    return where()


def noted(job: Any, connection: Any, *_: Any) -> None:
    RAN.append(f"noted in {where()}")


@pytest.fixture
def connection(redis_url: str) -> Iterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    client.close()


@pytest.fixture(params=["pickle", "json"])
def queue(connection: Redis, request: pytest.FixtureRequest) -> Queue:
    RAN.clear()
    TRIES.clear()
    serializer = JSONSerializer if request.param == "json" else None
    return Queue(f"wst-{uuid.uuid4().hex}", connection=connection, job_class=AppJob, serializer=serializer)


def work(queue: Queue, kind: type[Worker] = SimpleWorker) -> None:
    worker = kind([queue], connection=queue.connection, job_class=AppJob, serializer=queue.serializer)
    worker.work(burst=True, logging_level=logging.CRITICAL)


def failure(queue: Queue, job: Any) -> str:
    job.refresh()
    assert job.get_status() is JobStatus.FAILED
    return str(job.latest_result().exc_string)


def test_a_job_runs_as_the_member_who_enqueued_it(queue: Queue) -> None:
    with scope():
        first, coroutine = queue.enqueue(where, 1, more="x"), queue.enqueue(later)
    with scope("globex"):
        second = queue.enqueue(where, {"a": [1]})
    work(queue)
    assert [job.return_value() for job in (first, coroutine, second)] == ["acme", "acme", "globex"]
    assert current_tenant() is None


def test_a_job_without_envelope_has_no_tenant_whatever_ran_before(queue: Queue) -> None:
    """CX11"""
    with scope():
        queue.enqueue(forgets)
    bare = queue.enqueue(strict)
    work(queue)
    assert RAN == ["acme"]
    assert "NoTenant" in failure(queue, bare)


def test_the_forked_worker_and_the_sync_queue_too(queue: Queue, connection: Redis) -> None:
    with scope():
        job = queue.enqueue(where)
    work(queue, Worker)
    assert job.return_value() == "acme"
    at_once = Queue("sync", is_async=False, connection=connection, job_class=AppJob, serializer=queue.serializer)
    with scope():
        assert at_once.enqueue(where).return_value() == "acme"
    assert at_once.enqueue(where).return_value() == "-"


def test_retries_dependents_and_callbacks_keep_it(queue: Queue) -> None:
    with scope():
        again = queue.enqueue(fails_once, retry=Retry(max=1))
        after = queue.enqueue(where, depends_on=again, on_success=Callback(noted))
    failing_ones = queue.enqueue(strict, on_failure=Callback(noted))
    work(queue)
    work(queue)
    assert (again.return_value(), after.return_value()) == ("acme", "acme")
    assert "NoTenant" in failure(queue, failing_ones)
    assert RAN.count("noted in acme") == 1
    assert RAN.count("noted in -") == 1


def test_a_changed_job_is_refused_and_nothing_of_it_runs(queue: Queue) -> None:
    """CX13"""
    with scope("globex"):
        victim = queue.create_job(where)
    jobs = []
    for change in range(6):
        with scope():
            job = queue.create_job(where, args=(1,), on_failure=Callback(noted))
        if change == 0:
            job.meta[META] = victim.meta[META]
        elif change == 1:
            job.meta[META] = job.meta[META][:-1]
        elif change == 2:
            job.args = (2,)
        elif change == 3:
            job.func_name = f"{__name__}.strict"
        elif change == 4:
            job.meta[META] = 7
        else:
            other = queue.create_job(where, args=(1,), on_failure=Callback(noted))
            other.meta[META] = job.meta[META]  # the same job under another id
            job = other
        jobs.append(queue.enqueue_job(job))
    work(queue)
    assert all("EnvelopeInvalid" in failure(queue, job) for job in jobs)
    assert RAN == []


def test_a_removed_member_is_refused(queue: Queue) -> None:
    who = Principal("u3", attributes={"email": "three@example.com", "email_verified": True})
    owner = Principal("u1")
    ctx = TenantContext("acme", owner, MEMBERSHIPS.prove(owner, "acme"))
    MEMBERSHIPS.accept(MEMBERSHIPS.invite(ctx, "three@example.com", ["member"]).token, who)
    with tenant_scope(TenantContext("acme", who, MEMBERSHIPS.prove(who, "acme"))):
        job = queue.enqueue(where)
    MEMBERSHIPS.remove(ctx, "u3")
    work(queue)
    assert "TenantNotFound" in failure(queue, job)
    assert RAN == []


def test_meta_of_the_host_stays_and_an_envelope_handed_over_is_dropped(queue: Queue) -> None:
    with scope():
        signed = queue.create_job(where, meta={"mine": 1})
    bare = queue.create_job(where, meta={"mine": 2, META: signed.meta[META]})
    assert (signed.meta["mine"], bare.meta) == (1, {"mine": 2})


def test_what_does_not_travel_is_refused_when_it_is_enqueued(queue: Queue) -> None:
    with tenant_scope(TenantContext("acme", Principal("u1"), None)), pytest.raises(UsageError):
        queue.enqueue(where)

    class Later:
        suspends = True

        async def aprove(self, principal: Principal, tenant_id: str) -> Membership | None:
            raise AssertionError

    with pytest.raises(ConfigurationError):
        type("Bad", (TenantJob,), {"envelopes": JobEnvelopes(bytes(32), Later())})
