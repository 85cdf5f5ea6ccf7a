"""Tenant keys while something fails: who waits, who is told, what is forgotten, what an error may carry."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core import FixedClock, drive
from wellstreak_trust.core.errors import KeyDisabled, KeyUnavailable, KeyUnknown, TrustError
from wellstreak_trust.secrets import KeyChain, KeyContext, LocalKeyProvider, MemorySecretBackend, SecretStore
from wellstreak_trust.secrets.marks import Marks
from wellstreak_trust.secrets.rules import Address
from wellstreak_trust.storage.sql import AsyncDatabase, SqlSecretBackend

MATERIAL = bytes(range(64))
KEK_ID, OTHER_ID = "k_0011223344556677", "k_7766554433221100"


class Service(LocalKeyProvider):
    """A key service: raises what stands in `error`."""

    def __init__(self, key_id: str = KEK_ID) -> None:
        super().__init__(key_id, MATERIAL)
        self.blocking = True
        self.error: Exception | None = None
        self.calls = 0

    def wrap(self, key: bytes, context: KeyContext, /) -> bytes:
        self._answers()
        return super().wrap(key, context)

    def unwrap(self, blob: bytes, context: KeyContext, /) -> bytes:
        self._answers()
        return super().unwrap(blob, context)

    def _answers(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
async def remote(sqlite_path: Path) -> AsyncIterator[SqlSecretBackend]:
    """Asynchronous, with a secret whose key is in nobody's cache."""
    database = AsyncDatabase(create_async_engine(f"sqlite+aiosqlite:///{sqlite_path}"))
    await database.acreate_all()
    backend = SqlSecretBackend(database)
    await SecretStore(backend, KeyChain([Service()])).aput("t1", "a", "value")
    yield backend
    await database.engine.dispose()


@pytest.mark.anyio
async def test_a_caller_that_gives_up_in_the_queue_leaves_the_fetch_to_the_others(remote: SqlSecretBackend) -> None:
    pool, held = ThreadPoolExecutor(1), threading.Event()
    asyncio.get_running_loop().set_default_executor(pool)
    pool.submit(held.wait, 10)  # every thread is busy: the fetch waits in the queue
    cold = SecretStore(remote, KeyChain([Service()]))
    first = asyncio.create_task(cold.aget("t1", "a"))
    await asyncio.sleep(0.1)
    first.cancel()
    held.set()
    async with asyncio.timeout(5):
        assert (await cold.aget("t1", "a")).reveal() == "value"
    pool.shutdown()


@pytest.mark.anyio
async def test_where_no_thread_can_be_had_nobody_waits_for_ever(remote: SqlSecretBackend) -> None:
    cold, pool = SecretStore(remote, KeyChain([Service()])), ThreadPoolExecutor(1)
    pool.shutdown()
    asyncio.get_running_loop().set_default_executor(pool)
    async with asyncio.timeout(5):
        for _ in range(2):
            with pytest.raises(KeyUnavailable):
                await cold.aget("t1", "a")


def test_each_waiter_gets_an_error_of_its_own() -> None:
    """One object raised in many threads would collect the frames, and so the locals, of all their requests."""
    backend, service = MemorySecretBackend(), Service()
    SecretStore(backend, KeyChain([service])).put("t1", "a", "value")
    cold, held, asked = SecretStore(backend, KeyChain([service])), threading.Event(), threading.Event()
    service.error = KeyUnavailable("down")
    real = service._answers

    def answers() -> None:
        asked.set()
        held.wait(10)
        real()

    service._answers = answers  # type: ignore[method-assign]  # a service that is slow to fail
    found: list[TrustError] = []

    def ask() -> None:
        try:
            cold.get("t1", "a")
        except KeyUnavailable as error:
            found.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    asked.wait(10)
    (flight,) = cold._vault.ring._cache._flights.values()
    while len(flight._condition._waiters) < 7:  # type: ignore[attr-defined]  # nothing public tells who waits
        threading.Event().wait(0.01)
    held.set()
    for thread in threads:
        thread.join(10)
    assert len(found) == len({id(error) for error in found}) == 8
    assert {error.detail for error in found} == {"down"}


@pytest.mark.parametrize("verb", ["read", "rewrap", "create"])
def test_a_key_that_is_disabled_empties_all_that_it_has_wrapped(clock: FixedClock, verb: str) -> None:
    """Whoever hears it first: a reader, a re-wrap, or a new tenant's first write."""
    backend, service = MemorySecretBackend(), Service()
    store = SecretStore(backend, KeyChain([service]), clock=clock)
    for tenant in ("t1", "t2"):
        store.put(tenant, "a", "value")
    clock.advance(timedelta(seconds=295))
    assert store.get("t1", "a").reveal() == "value"
    service.error = KeyDisabled("off")
    later = SecretStore(backend, KeyChain([Service(OTHER_ID), service]), clock=clock)
    later._vault.ring._cache = store._vault.ring._cache
    with pytest.raises(KeyDisabled):
        if verb == "read":
            store.get("t2", "a")
        elif verb == "rewrap":
            later.rewrap()
        else:
            store.put("t3", "a", "value")
    with pytest.raises(KeyDisabled):
        store.get("t1", "a")


def test_a_tenant_that_stays_away_leaves_no_key_behind(clock: FixedClock) -> None:
    backend = MemorySecretBackend()
    writer = SecretStore(backend, KeyChain([Service()]), clock=clock)
    for tenant in ("gone", "here"):
        writer.put(tenant, "a", "value")
    store = SecretStore(backend, KeyChain([Service()]), clock=clock)
    for tenant in ("gone", "here"):
        store.get(tenant, "a")
    clock.advance(timedelta(seconds=301))
    store.get("here", "a")
    assert [address.tenant_id for address in store._vault.ring._cache._entries] == ["here"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_in_the_middle_of_a_read_can_read() -> None:
    marks, place = Marks(), Address("s", "t1", "a")
    marks.passed(place, 3, 0)
    with marks._lock:  # as a thread of the parent might hold it at that moment
        child = os.fork()
        if child == 0:
            threading.Timer(5, os._exit, (2,)).start()
            marks.passed(place, 4, 0)
            os._exit(0 if marks.of(place) == 4 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("step", ["wrap", "unwrap"])
def test_an_error_of_a_provider_leaves_alone(step: str) -> None:
    """Frames and contexts behind it hold what the key service was asked: the tenant's key in the clear."""

    class Chained(Service):
        def _answers(self) -> None:
            try:
                raise ValueError(MATERIAL.hex())
            except ValueError as error:
                raise KeyUnavailable("down") from error

    backend = MemorySecretBackend()
    SecretStore(backend, KeyChain([Service()])).put("t1", "a", "value")
    chain: Any = [Chained(OTHER_ID), Service()] if step == "wrap" else [Chained()]
    store = SecretStore(backend, KeyChain(chain))
    with pytest.raises(KeyUnavailable) as caught:
        store.rewrap() if step == "wrap" else store.get("t1", "a")
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    assert not [entry for entry in caught.traceback if entry.name in ("_answers", "wrap", "unwrap")]


def test_a_key_service_that_refuses_in_the_middle_keeps_what_it_has_granted() -> None:
    """Or a service that grants fewer calls than a batch needs would never see the end."""
    backend, old, new = MemorySecretBackend(), Service(), Service(OTHER_ID)
    tenants = [f"t{number}" for number in range(5)]
    for tenant in tenants:
        SecretStore(backend, KeyChain([old])).put(tenant, "a", "value")
    store, real = SecretStore(backend, KeyChain([new, old])), new._answers

    def throttled() -> None:
        real()
        if new.calls % 3 == 0:
            raise KeyUnavailable("throttled")

    new._answers = throttled  # type: ignore[method-assign]  # every third call
    for _ in range(2):
        with pytest.raises(KeyUnavailable):
            store.rewrap()
    assert store.rewrap().rewrapped == 1
    assert {row.kek_uri for tenant in tenants for row in drive(backend.keys_of(tenant))} == {new.uri}


def test_a_tenant_whose_kek_is_lost_does_not_stop_the_others() -> None:
    backend = MemorySecretBackend()
    for tenant, key_id in (("a", "k_0000000000000000"), ("b", KEK_ID)):
        SecretStore(backend, KeyChain([Service(key_id)])).put(tenant, "a", "value")
    report = SecretStore(backend, KeyChain([Service(OTHER_ID), Service()])).rewrap()
    assert (report.rewrapped, report.failed) == (1, (("a", 1),))


def test_an_active_kek_that_does_not_exist_stops_a_rewrap_at_once() -> None:
    backend, new = MemorySecretBackend(), Service(OTHER_ID)
    for tenant in ("a", "b"):
        SecretStore(backend, KeyChain([Service()])).put(tenant, "a", "value")
    new.error = KeyUnknown("gone")
    with pytest.raises(KeyUnknown):
        SecretStore(backend, KeyChain([new, Service()])).rewrap()
    assert new.calls == 1
