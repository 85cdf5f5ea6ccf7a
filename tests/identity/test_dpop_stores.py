"""The contract of stores of proof ids over memory, SQLite, PostgreSQL and Redis, blocking and asynchronous."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core import drive
from wellstreak_trust.core.entropy import random_hex
from wellstreak_trust.core.errors import StoreUnavailable
from wellstreak_trust.identity import DpopStore, MemoryDpopStore
from wellstreak_trust.storage.redis import RedisDpopStore, RedisPort
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlDpopStore
from wellstreak_trust.testing.stores.dpop import CHECKS

Check = Callable[[DpopStore, bytes], Any]


def url(request: pytest.FixtureRequest, engine: str, drivers: tuple[str, str]) -> str:
    if engine == "sqlite":
        return f"sqlite+{drivers[0]}:///{request.getfixturevalue('sqlite_path')}"
    found: str = request.getfixturevalue("postgres_url")
    return found.replace("postgresql://", f"postgresql+{drivers[1]}://")


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis"])
def store(request: pytest.FixtureRequest):
    if request.param == "memory":
        yield MemoryDpopStore()
    elif request.param == "redis":
        address = request.getfixturevalue("redis_url")
        client = Redis.from_url(address, socket_timeout=5)
        yield RedisDpopStore(RedisPort(client), prefix=f"wst:dpop:{random_hex(8)}:")
        client.close()
    else:
        engine = create_engine(url(request, request.param, ("pysqlite", "psycopg")))
        database = Database(engine)
        database.create_all()
        yield SqlDpopStore(database)
        engine.dispose()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_blocking(store: Any, check: Check) -> None:
    assert not store.suspends
    assert drive(check(store, os.urandom(32))) is None


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["sqlite", "postgres", "redis"])
async def test_asynchronous(request: pytest.FixtureRequest, kind: str) -> None:
    if kind == "redis":
        port = RedisPort.from_url(request.getfixturevalue("redis_url"), asynchronous=True, socket_timeout=5)
        store: Any = RedisDpopStore(port, prefix=f"wst:dpop:{random_hex(8)}:")
    else:
        engine = create_async_engine(url(request, kind, ("aiosqlite", "asyncpg")))
        database = AsyncDatabase(engine)
        await database.acreate_all()
        store = SqlDpopStore(database)
    assert store.suspends
    for check in CHECKS:
        await check(store, os.urandom(32))
    if kind == "redis":
        await port.client.aclose()
    else:
        await engine.dispose()


def test_of_many_at_once_one_wins(store: Any, clock: Any) -> None:
    key, now = os.urandom(32), clock.now()
    with ThreadPoolExecutor(8) as pool:
        claims = pool.map(lambda _: drive(store.claim(key, now=now, until=now + timedelta(minutes=1))), range(24))
        assert sorted(claims) == [False] * 23 + [True]


def test_memory_keeps_what_still_counts_and_nothing_else(clock: Any) -> None:
    store = MemoryDpopStore()
    for number in range(100):
        now = clock.now()
        assert drive(store.claim(os.urandom(32), now=now, until=now + timedelta(seconds=90)))
        clock.advance(timedelta(seconds=10))
        assert len(store._until) <= min(number + 1, 10)
    assert store.volatile
    assert not MemoryDpopStore(allow_memory=True).volatile


def test_a_redis_that_is_gone_takes_nothing(clock: Any) -> None:
    nobody = RedisDpopStore(RedisPort.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=1))
    with pytest.raises(StoreUnavailable):
        drive(nobody.claim(bytes(32), now=clock.now(), until=clock.now()))
