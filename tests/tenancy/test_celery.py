"""Celery, with a real worker: in memory, and over a real Redis (cases CX11, CX13)."""

from __future__ import annotations

import contextvars
import datetime as dt
import gc
import logging
import uuid
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery, Task, chain, chord, group
from celery.contrib.testing.worker import start_worker
from celery.signals import before_task_publish
from kombu.utils.json import dumps, loads

from wellstreak_trust.core import ConfigurationError, Membership, Principal
from wellstreak_trust.core.errors import StoreUnavailable
from wellstreak_trust.tenancy import (
    Memberships,
    MemoryMembershipStore,
    TenantContext,
    TenantNotFound,
    current_tenant,
    require_tenant,
    tenant_scope,
    testing_context,
)
from wellstreak_trust.tenancy.celery import HEADER, TenantTasks, assert_all_tasks_guarded
from wellstreak_trust.tenancy.jobs import EnvelopeInvalid, JobEnvelopes

PATIENCE = 20
pytestmark = [
    pytest.mark.filterwarnings("ignore:Call to deprecated:DeprecationWarning"),  # Celery's use of redis-py
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # it leaves its sockets to the garbage collector
]


class Outage:
    """Memberships whose store can be down for a number of questions."""

    suspends = False

    def __init__(self, inner: Memberships) -> None:
        self.inner, self.down = inner, 0

    async def aprove(self, principal: Principal, tenant_id: str) -> Membership | None:
        if self.down:
            self.down -= 1
            raise StoreUnavailable("down")
        return await self.inner.aprove(principal, tenant_id)


def where(*_: Any) -> str:
    found = current_tenant()
    return f"{found.tenant_id}/{found.principal.id}" if found is not None else "-"


class Rig:
    """An app with tasks that say where they ran, and the members of two workspaces."""

    def __init__(self, broker: str, backend: str) -> None:
        self.memberships = Memberships(MemoryMembershipStore())
        for who, tenant_id in (("u1", "acme"), ("u2", "globex")):
            self.memberships.create_workspace(Principal(who), tenant_id=tenant_id)
        self.prover = Outage(self.memberships)
        self.app = Celery("rig", broker=broker, backend=backend, set_as_current=False)
        self.app.conf.update(
            task_default_queue=f"wst-{uuid.uuid4().hex}", result_expires=60, broker_connection_retry_on_startup=False,
            worker_hijack_root_logger=False, task_always_eager=False, result_chord_retry_interval=0.05,
            broker_transport_options={"polling_interval": 0.02},
        )  # fmt: skip
        self.tasks = TenantTasks(self.app, JobEnvelopes(bytes(range(32)), self.prover))
        self.tasks.install()
        self.ran: list[str] = []
        self.define()

    def define(self) -> None:
        app = self.app
        app.loader.import_task_module("celery.contrib.testing.tasks")

        @app.task(name="say", shared=False)
        def say(*args: Any, **kwargs: Any) -> str:
            self.ran.append(where())
            return where()

        @app.task(name="strict", shared=False)
        def strict() -> str:
            return require_tenant().tenant_id

        @app.task(name="gather", shared=False)
        def gather(results: list[str]) -> list[str]:
            return [*results, where()]

        @app.task(name="append", shared=False)
        def append(results: Any) -> list[str]:
            return [*(results if isinstance(results, list) else [results]), where()]

        @app.task(name="again", shared=False, bind=True, max_retries=3)
        def again(self: Any, seen: list[str]) -> list[str]:
            seen = [*seen, where()]
            if self.request.retries < 2:
                raise self.retry(args=(seen,), countdown=0)
            return seen

        @app.task(name="forgets", shared=False)
        def forgets() -> None:
            tenant_scope(require_tenant()).__enter__()

        @app.task(name="fails", shared=False)
        def fails() -> None:
            raise ZeroDivisionError

        @app.task(name="noted", shared=False)
        def noted(*_: Any) -> None:
            self.ran.append(where())

        for task in (say, strict, gather, append, again, forgets, fails, noted):
            setattr(self, task.name, task)

    def context(self, tenant_id: str = "acme") -> TenantContext:
        who = Principal("u1" if tenant_id == "acme" else "u2")
        return TenantContext(tenant_id, who.in_tenant(tenant_id), self.memberships.prove(who, tenant_id))

    def scope(self, tenant_id: str = "acme") -> tenant_scope:
        return tenant_scope(self.context(tenant_id))


@pytest.fixture(scope="module", params=["memory", "redis"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    if request.param == "redis":
        if tuple(map(int, redis.__version__.split(".")[:2])) < (6, 1):
            pytest.skip("Celery's Redis transport wants redis-py 6.1")
        url = request.getfixturevalue("redis_url")
        rig = Rig(url, url)
    else:
        rig = Rig("memory://", "cache+memory://")
    try:
        with start_worker(rig.app, perform_ping_check=False, loglevel=logging.CRITICAL, shutdown_timeout=PATIENCE):
            yield rig
    finally:
        rig.tasks.uninstall()
        rig.app.close()
    del rig
    with warnings.catch_warnings():  # here, and not in the middle of somebody else's test
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    if "rig" in request.fixturenames:
        request.getfixturevalue("rig").ran.clear()


def result(found: Any) -> Any:
    return found.get(timeout=PATIENCE, interval=0.01)


def test_a_task_runs_as_the_member_who_published_it(rig: Rig) -> None:
    with rig.scope():
        first = rig.say.delay(1, when=dt.datetime(2026, 11, 24, tzinfo=dt.UTC), who=uuid.uuid4(), many=(1, [2.5, None]))
        by_name = rig.app.send_task("say", ({"a": [1]},))
    with rig.scope("globex"):
        second = rig.say.delay()
    assert [result(found) for found in (first, by_name, second)] == ["acme/u1", "acme/u1", "globex/u2"]


def test_a_task_without_header_has_no_tenant_whatever_ran_before(rig: Rig) -> None:
    """CX11: also after a task that forgot to leave a scope."""
    with rig.scope():
        result(rig.forgets.delay())
        assert result(rig.strict.delay()) == "acme"
    with pytest.raises(Exception, match="no tenant scope is open"):
        result(rig.strict.delay())
    assert result(rig.say.delay()) == "-"
    with rig.scope():
        failing = rig.fails.delay()
    with pytest.raises(ZeroDivisionError):
        result(failing)
    assert result(rig.say.delay()) == "-"


def test_retries_chains_groups_and_chords_keep_it(rig: Rig) -> None:
    with rig.scope():
        jobs = {
            "retry": rig.again.delay([]),
            "chain": chain(rig.say.s(), rig.append.s(), rig.append.s()).delay(),
            "group": group(rig.say.s(number) for number in range(3)).delay(),
            "chord": chord([rig.say.s(1), rig.say.s(2)])(rig.gather.s()),
            "deep": chain(rig.say.si(), group(rig.say.si(), rig.say.si()), rig.gather.s(), rig.append.s()).delay(),
            "mapped": rig.say.starmap([(1, 2), (3, 4)]).delay(),
        }
    found = {name: result(job) for name, job in jobs.items()}
    assert found == {
        "retry": ["acme/u1"] * 3,
        "chain": ["acme/u1"] * 3,
        "group": ["acme/u1"] * 3,
        "chord": ["acme/u1"] * 3,
        "deep": ["acme/u1"] * 4,
        "mapped": ["acme/u1"] * 2,
    }


def test_callbacks_keep_it_and_so_do_those_of_failures(rig: Rig) -> None:
    with rig.scope():
        result(rig.say.apply_async(link=rig.noted.s()))
        failed = rig.fails.apply_async(link_error=rig.noted.s())
    with pytest.raises(ZeroDivisionError):
        result(failed)
    result(rig.say.delay())
    assert sorted(rig.ran) == ["-", "acme/u1", "acme/u1", "acme/u1"]


def test_without_a_tenant_neither_do_those_that_follow(rig: Rig) -> None:
    assert result(chain(rig.say.s(), rig.append.s()).delay()) == ["-", "-"]
    assert result(chord([rig.say.s(1), rig.say.s(2)])(rig.gather.s())) == ["-", "-", "-"]
    assert result(rig.again.delay([])) == ["-", "-", "-"]


# --- what others write to the broker ---------------------------------------------------------------------------------


class Tampering:
    """Changes each message after it was signed, as somebody with the broker's password would."""

    def __init__(self, change: Any) -> None:
        self.change = change

    def __enter__(self) -> None:
        before_task_publish.connect(self.receive, weak=False)

    def __exit__(self, *_: Any) -> None:
        before_task_publish.disconnect(self.receive)

    def receive(self, sender: str, body: Any, headers: dict[str, Any], **_: Any) -> None:
        self.change(body, headers)


def refused(rig: Rig, change: Any, task: str = "say", **options: Any) -> str:
    """Publishes one changed message; the name of the error it ends in."""
    with rig.scope(), Tampering(change):
        job = getattr(rig, task).apply_async((1, "a"), **options)
    with pytest.raises(Exception) as caught:
        result(job)
    return type(caught.value).__name__


def test_a_changed_job_is_refused_and_never_runs(rig: Rig) -> None:
    """CX13"""
    victim = JobEnvelopes(bytes(range(32)), rig.memberships).sign(rig.context("globex"), "say", b"")
    forged = JobEnvelopes(bytes(32), rig.memberships).sign(rig.context("globex"), "say", b"")
    changes = [
        lambda body, headers: headers.update({HEADER: victim}),
        lambda body, headers: headers.update({HEADER: forged}),
        lambda body, headers: headers.update({HEADER: headers[HEADER][:-1]}),
        lambda body, headers: headers.update({HEADER: ""}),
        lambda body, headers: headers.update({HEADER: ["x"]}),
        lambda body, headers: headers.update({"task": "noted"}),
        lambda body, headers: body[1].update({"more": 1}),
        lambda body, headers: body[2].update({"callbacks": [rig.noted.si()]}),
        lambda body, headers: body[2].update({"chain": [rig.noted.si()]}),
        lambda body, headers: body[2].update({"errbacks": [rig.noted.si()]}),
    ]
    assert {refused(rig, change) for change in changes} == {"EnvelopeInvalid"}
    result(rig.say.delay())
    assert set(rig.ran) <= {"-"}  # an errback that somebody hung on runs, if at all, without tenant


def test_a_header_on_a_job_published_outside_is_dropped(rig: Rig) -> None:
    stolen: list[str] = []
    with rig.scope(), Tampering(lambda body, headers: stolen.append(headers[HEADER])):
        result(rig.say.delay())
    assert result(rig.say.apply_async(headers={HEADER: stolen[0]})) == "-"


def test_a_repeated_job_is_a_legal_retry_while_its_author_is_a_member(rig: Rig) -> None:
    kept: list[tuple[Any, str]] = []
    who = Principal("u3", attributes={"email": "three@example.com", "email_verified": True})
    owner = rig.context()
    rig.memberships.accept(rig.memberships.invite(owner, "three@example.com", ["member"]).token, who)
    member = TenantContext("acme", who.in_tenant("acme"), rig.memberships.prove(who, "acme"))
    with tenant_scope(member), Tampering(lambda body, headers: kept.append(headers[HEADER])):
        assert result(rig.say.delay()) == "acme/u3"
    replay = Tampering(lambda body, headers: headers.update({HEADER: kept[0]}))
    with replay:
        assert result(rig.say.delay()) == "acme/u3"
    rig.memberships.remove(owner, "u3")
    with replay:
        job = rig.say.delay()
    with pytest.raises(TenantNotFound):
        result(job)


def test_a_job_that_cannot_be_signed_is_refused_not_run_without_tenant(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), tenant_scope(TenantContext("acme", Principal("u1"), None)):
        unproved = rig.say.delay()
    with rig.scope():
        odd = rig.say.delay({1: "a key that is no text"})
    for job in (unproved, odd):
        with pytest.raises(EnvelopeInvalid):
            result(job)
    assert rig.ran == []
    assert "UsageError" in caplog.text


def test_while_the_store_is_down_the_task_is_retried(rig: Rig) -> None:
    rig.prover.down = 2
    rig.say.default_retry_delay, before = 0, rig.say.default_retry_delay
    try:
        with rig.scope():
            job = rig.say.delay(1)
        assert result(job) == "acme/u1"
    finally:
        rig.say.default_retry_delay = before
    assert rig.prover.down == 0


# --- eager, beat, and what cannot be guarded -------------------------------------------------------------------------


def test_eager_tasks_run_in_the_callers_scope(rig: Rig) -> None:
    with rig.scope():
        assert rig.say.apply().get() == "acme/u1"
        assert chain(rig.say.s(), rig.append.s()).apply().get() == ["acme/u1"] * 2
        assert where() == "acme/u1"
    assert rig.say.apply().get() == "-"


def test_beat_publishes_without_tenant(rig: Rig) -> None:
    from celery.beat import Scheduler

    scheduler = Scheduler(rig.app, lazy=True)
    entry = scheduler.Entry(name="nightly", task="say", schedule=dt.timedelta(seconds=1), app=rig.app)
    assert result(contextvars.Context().run(scheduler.apply_async, entry, advance=False)) == "-"
    scheduler.close()


def test_one_installation_a_process_and_blocking_stores_only(rig: Rig) -> None:
    with pytest.raises(ConfigurationError):
        TenantTasks(rig.app, JobEnvelopes(bytes(32), rig.memberships)).install()

    class Later(Outage):
        suspends = True

    with pytest.raises(ConfigurationError):
        TenantTasks(rig.app, JobEnvelopes(bytes(32), Later(rig.memberships)))


def test_tasks_built_on_another_class_are_named(rig: Rig) -> None:
    assert_all_tasks_guarded(rig.app)

    @rig.app.task(name="bare", shared=False, base=Task)
    def bare() -> None:
        raise AssertionError

    try:
        with pytest.raises(ConfigurationError, match="bare"):
            assert_all_tasks_guarded(rig.app)
    finally:
        del rig.app.tasks["bare"]


def test_a_custom_base_class_of_the_app_is_kept(rig: Rig) -> None:
    class Mine(Task):
        mine = True

    rig.tasks.uninstall()
    other = Celery("other", task_cls=Mine, set_as_current=False)
    hooks = TenantTasks(other, JobEnvelopes(bytes(32), rig.memberships))
    hooks.install()
    try:

        @other.task(name="say", shared=False)
        def say() -> str:
            return where()

        assert say.mine
        assert_all_tasks_guarded(other)
        with tenant_scope(testing_context("acme")):
            assert say.apply().get() == "acme/u1"
    finally:
        hooks.uninstall()
        rig.tasks = TenantTasks(rig.app, JobEnvelopes(bytes(range(32)), rig.prover))
        rig.tasks.install()


def test_celerys_json_gives_back_what_is_signed() -> None:
    """A change of kombu's encoding would refuse every job: watch it."""
    from wellstreak_trust.tenancy.jobs import argument_bytes

    values = [dt.datetime(2026, 11, 24, tzinfo=dt.UTC), dt.date(2026, 11, 24), uuid.UUID(int=7), 1.5, (1, 2), {"b": 1}]
    assert argument_bytes(loads(dumps(values))) == argument_bytes(values)
