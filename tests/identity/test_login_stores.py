"""The contract of open sign-ins over memory, SQLite, PostgreSQL and Redis, blocking and asynchronous."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis.asyncio import Redis as AsyncRedis
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core import drive
from wellstreak_trust.core.errors import StoreMisconfigured
from wellstreak_trust.identity import LoginStore, MemoryLoginStore
from wellstreak_trust.storage.redis import RedisLoginStore, RedisPort
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlLoginStore
from wellstreak_trust.testing.stores.logins import CHECKS, _row

Check = Callable[[LoginStore, str], Any]
PATIENT = {"socket_timeout": 5, "socket_connect_timeout": 5}


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis"])
def store(request: pytest.FixtureRequest):
    if request.param == "memory":
        yield MemoryLoginStore()
    elif request.param == "redis":
        port = RedisPort.from_url(request.getfixturevalue("redis_url"), **PATIENT)
        yield RedisLoginStore(port, prefix=f"{request.node.nodeid}:")
        port.client.close()
    else:
        url = f"sqlite:///{request.getfixturevalue('sqlite_path')}"
        if request.param == "postgres":
            url = request.getfixturevalue("postgres_url").replace("postgresql:", "postgresql+psycopg:")
        engine = create_engine(url)
        Database(engine).create_all()
        yield SqlLoginStore(Database(engine))
        engine.dispose()


def test_the_contract(store: LoginStore) -> None:
    assert not store.suspends
    for check in CHECKS:
        assert drive(check(store, check.__name__)) is None


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["sqlite", "postgres", "redis"])
async def test_the_contract_asynchronous(request: pytest.FixtureRequest, kind: str) -> None:
    if kind == "redis":
        client = AsyncRedis.from_url(request.getfixturevalue("redis_url"), **PATIENT)
        store: Any = RedisLoginStore(RedisPort(client), prefix=f"{request.node.nodeid}:")
        close = client.aclose
    else:
        url = f"sqlite+aiosqlite:///{request.getfixturevalue('sqlite_path')}"
        if kind == "postgres":
            url = request.getfixturevalue("postgres_url").replace("postgresql:", "postgresql+asyncpg:")
        engine = create_async_engine(url)
        await AsyncDatabase(engine).acreate_all()
        store, close = SqlLoginStore(AsyncDatabase(engine)), engine.dispose
    assert store.suspends
    for check in CHECKS:
        await check(store, check.__name__)
    await close()


@pytest.mark.asvs("10.1.2", "10.2.1")
def test_of_many_callers_one_uses_a_sign_in(store: LoginStore) -> None:
    row = _row("race")
    drive(store.open(row))
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda _: drive(store.consume_if(row)), range(16)))
    assert won.count(True) == 1


def test_of_many_claims_one_is_had(store: LoginStore) -> None:
    row = _row("claims")
    at = row.expires_at
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda _: drive(store.claim(row.key, now=at, until=at.replace(year=2030))), range(16)))
    assert won.count(True) == 1


def test_what_redis_holds_and_is_not_ours_is_refused(redis_url: str) -> None:
    port = RedisPort.from_url(redis_url, **PATIENT)
    store, row = RedisLoginStore(port, prefix="strange:"), _row("strange")
    port.client.set("strange:" + row.key.hex(), b'["junk"]')
    with pytest.raises(StoreMisconfigured):
        drive(store.read(row.key))
    port.client.close()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can begin a sign-in."""
    monkeypatch.setattr("wellstreak_trust.identity.login_memory._MOST", 3)
    store = MemoryLoginStore()
    rows = [_row(f"bound{number}") for number in range(5)]
    for row in rows:
        drive(store.open(row))
        assert drive(store.claim(row.key, now=row.expires_at, until=row.expires_at.replace(year=2030)))
    assert [drive(store.read(row.key)) is not None for row in rows] == [False, False, True, True, True]
    assert drive(store.claim(rows[0].key, now=rows[0].expires_at, until=rows[0].expires_at.replace(year=2030)))
