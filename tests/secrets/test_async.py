"""The asynchronous face over asynchronous engines, with a key service that blocks."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core import Secret
from wellstreak_trust.core.errors import LeaseHeld, SecretConflict, SecretDisabled, SecretShredded
from wellstreak_trust.secrets import KeyChain, KeyContext, LocalKeyProvider, MemorySecretBackend, SecretStore
from wellstreak_trust.storage.sql import AsyncDatabase, SqlSecretBackend


class Remote(LocalKeyProvider):
    """A local key that claims to be far away, and notes where it is called."""

    def __init__(self, key_id: str, material: bytes) -> None:
        super().__init__(key_id, material)
        self.blocking = True
        self.threads: list[str] = []

    def unwrap(self, blob: bytes, context: Any, /) -> bytes:
        self.threads.append(threading.current_thread().name)
        return super().unwrap(blob, context)


@pytest.mark.anyio
@pytest.mark.parametrize("driver", ["aiosqlite", "asyncpg"])
async def test_both_faces_do_the_same(request: pytest.FixtureRequest, driver: str) -> None:
    if driver == "aiosqlite":
        path: Path = request.getfixturevalue("sqlite_path")
        url = f"sqlite+aiosqlite:///{path}"
    else:
        url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url)
    try:
        await everything(AsyncDatabase(engine))
    finally:
        await engine.dispose()


async def everything(database: AsyncDatabase) -> None:
    await database.acreate_all()
    remote = Remote("k_0011223344556677", bytes(range(64)))
    await SecretStore(SqlSecretBackend(database), KeyChain([remote])).aput("t1", "a", "first")
    remote.threads.clear()
    store = SecretStore(SqlSecretBackend(database), KeyChain([remote]))
    assert store.suspends
    found = await asyncio.gather(*(store.aget("t1", "a") for _ in range(8)))
    assert {secret.reveal() for secret in found} == {"first"}
    assert len(remote.threads) == 1
    assert remote.threads[0] != threading.current_thread().name, "a key service was called on the loop"
    results = await asyncio.gather(
        *(store.aput("t1", "a", f"v{number}", expected_version=1) for number in range(4)), return_exceptions=True
    )
    assert sum(isinstance(result, SecretConflict) for result in results) == 3
    assert (await store.arotate("t1", "a", b"third")).version == 3
    async with store.ause("t1", "a") as octets:
        assert bytes(octets) == b"third"
    assert not any(octets)
    await store.adisable("t1", "a")
    with pytest.raises(SecretDisabled):
        await store.aget("t1", "a")
    await store.aenable("t1", "a")
    await store.adestroy("t1", "a", version=1)
    assert [found.version for found in await store.alist("t1")] == [3]
    assert (await store.adescribe("t1", "a", version=1)).state == "destroyed"
    assert (await store.arewrap()).rewrapped == 0
    await store.ashred("t1", confirm="t1")
    with pytest.raises(SecretShredded):
        await store.aget("t1", "a")


class Slow(Remote):
    """A key service that takes its time."""

    def unwrap(self, blob: bytes, context: KeyContext, /) -> bytes:
        time.sleep(0.05)
        return super().unwrap(blob, context)


@pytest.mark.anyio
async def test_two_hundred_tasks_on_a_cold_tenant_make_one_call_and_take_one_thread(sqlite_path: Path) -> None:
    database = AsyncDatabase(create_async_engine(f"sqlite+aiosqlite:///{sqlite_path}", pool_size=20))
    await database.acreate_all()
    backend = SqlSecretBackend(database)
    await SecretStore(backend, KeyChain([Slow("k_0011223344556677", bytes(64))])).aput("t1", "a", "value")
    slow = Slow("k_0011223344556677", bytes(64))
    cold = SecretStore(backend, KeyChain([slow]))
    found: list[object] = []

    async def ask() -> None:
        found.append((await cold.aget("t1", "a")).reveal())

    async with anyio.create_task_group() as tasks:
        for _ in range(200):
            tasks.start_soon(ask)
        await anyio.sleep(0.01)
        tasks.start_soon(_cancelled_soon, cold)
    assert found == ["value"] * 200
    assert len(slow.threads) == 1
    await database.engine.dispose()


async def _cancelled_soon(cold: SecretStore) -> None:
    """A waiter that gives up takes nobody along."""
    with anyio.move_on_after(0.005):
        await cold.aget("t1", "a")


def test_ten_thousand_reads_of_a_hundred_tenants_make_a_hundred_calls() -> None:
    backend = MemorySecretBackend()
    tenants = [f"t{number}" for number in range(100)]
    writer = SecretStore(backend, KeyChain([Remote("k_0011223344556677", bytes(64))]))
    for tenant in tenants:
        writer.put(tenant, "a", tenant)
    remote = Remote("k_0011223344556677", bytes(64))
    reader = SecretStore(backend, KeyChain([remote]))
    for _ in range(100):
        for tenant in tenants:
            assert reader.get(tenant, "a").reveal() == tenant
    assert len(remote.threads) == 100


@pytest.mark.anyio
async def test_a_key_service_is_not_called_on_the_loop_whatever_the_backend() -> None:
    """Memory never suspends; the key service blocks all the same."""
    backend = MemorySecretBackend()
    remote = Remote("k_0011223344556677", bytes(range(64)))
    await SecretStore(backend, KeyChain([remote])).aput("t1", "a", "value")
    assert (await SecretStore(backend, KeyChain([remote])).aget("t1", "a")).reveal() == "value"
    assert threading.current_thread().name not in remote.threads
    remote.threads.clear()
    cold = SecretStore(backend, KeyChain([Slow("k_0011223344556677", bytes(range(64)))]))
    found = await asyncio.gather(*(cold.aget("t1", "a") for _ in range(20)))
    assert {secret.reveal() for secret in found} == {"value"}


@pytest.mark.anyio
async def test_the_sync_face_on_a_loops_thread_blocks_and_works() -> None:
    """As in a notebook: nobody awaits, so nothing may be left to the loop."""
    backend = MemorySecretBackend()
    remote = Remote("k_0011223344556677", bytes(range(64)))
    store = SecretStore(backend, KeyChain([remote]))
    store.put("t1", "a", "value", rotate_after=datetime.now(UTC))
    assert SecretStore(backend, KeyChain([remote])).get("t1", "a").reveal() == "value"

    def fn(current: Secret[Any]) -> str:
        with pytest.raises(LeaseHeld):
            SecretStore(backend, KeyChain([remote])).refresh("t1", "a", str, lease=timedelta(milliseconds=30))
        return "new"

    assert store.refresh("t1", "a", fn).reveal() == "new"
