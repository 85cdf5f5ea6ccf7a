"""Every store of this room passes its contract: memory, SQLite, PostgreSQL and Redis, blocking and asynchronous."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core import ConfigurationError, drive
from wellstreak_trust.storage import memory, redis, sql
from wellstreak_trust.testing.stores import apikeys, factors, refresh, sessions, tokens

Check = Callable[[Any], Coroutine[Any, Any, None]]

SUITES: dict[str, tuple[Check, ...]] = {
    "SessionStore": sessions.CHECKS,
    "OneTimeTokenStore": tokens.CHECKS,
    "ApiKeyStore": apikeys.CHECKS,
    "RefreshStore": refresh.CHECKS,
    "TotpStore": factors.TOTP_CHECKS,
    "RecoveryCodeStore": factors.RECOVERY_CODE_CHECKS,
    "PasskeyStore": factors.PASSKEY_CHECKS,
}
IN_REDIS = ("SessionStore", "OneTimeTokenStore", "ApiKeyStore", "RefreshStore")
PATIENT = {"socket_timeout": 10, "socket_connect_timeout": 10}
PREFIXES = (f"c{number}" for number in count())


def url_of(request: pytest.FixtureRequest, engine: str, drivers: tuple[str, str]) -> str:
    if engine == "sqlite":
        return f"sqlite+{drivers[0]}:///{request.getfixturevalue('sqlite_path')}"
    url: str = request.getfixturevalue("postgres_url")
    return url.replace("postgresql://", f"postgresql+{drivers[1]}://")


@contextmanager
def blocking_sql(request: pytest.FixtureRequest, engine: str) -> Iterator[sql.Database]:
    connected = create_engine(url_of(request, engine, ("pysqlite", "psycopg")), pool_size=12)
    database = sql.Database(connected)
    database.create_all()
    yield database
    connected.dispose()


@asynccontextmanager
async def asynchronous_sql(request: pytest.FixtureRequest, engine: str) -> AsyncIterator[sql.AsyncDatabase]:
    connected = create_async_engine(url_of(request, engine, ("aiosqlite", "asyncpg")), pool_size=12)
    database = sql.AsyncDatabase(connected)
    await database.acreate_all()
    yield database
    await connected.dispose()


@pytest.mark.parametrize("suite", SUITES)
def test_memory(suite: str) -> None:
    for check in SUITES[suite]:
        assert drive(check(getattr(memory, f"Memory{suite}")())) is None


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_blocking_sql(request: pytest.FixtureRequest, engine: str) -> None:
    """All suites over one database: a fresh one for each costs more than they do."""
    with blocking_sql(request, engine) as database:
        for suite, checks in SUITES.items():
            store = getattr(sql, f"Sql{suite}")(database)
            assert not store.suspends
            for check in checks:
                drive(check(store))


@pytest.mark.anyio
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_asynchronous_sql(request: pytest.FixtureRequest, engine: str) -> None:
    async with asynchronous_sql(request, engine) as database:
        for suite, checks in SUITES.items():
            store = getattr(sql, f"Sql{suite}")(database)
            assert store.suspends
            for check in checks:
                await check(store)


@pytest.mark.parametrize("suite", IN_REDIS)
@pytest.mark.parametrize("options", [{}, {"decode_responses": True}], ids=["octets", "text"])
def test_redis(redis_url: str, suite: str, options: dict[str, Any]) -> None:
    port = redis.RedisPort.from_url(redis_url, **PATIENT, **options)
    store = getattr(redis, f"Redis{suite}")(port, prefix=next(PREFIXES))
    assert not store.suspends
    for check in SUITES[suite]:
        drive(check(store))
    port.client.close()


@pytest.mark.anyio
@pytest.mark.parametrize("suite", IN_REDIS)
async def test_asynchronous_redis(redis_url: str, suite: str) -> None:
    port = redis.RedisPort.from_url(redis_url, asynchronous=True, **PATIENT)
    store = getattr(redis, f"Redis{suite}")(port, prefix=next(PREFIXES))
    assert store.suspends
    for check in SUITES[suite]:
        await check(store)
    await port.client.aclose()


@pytest.mark.parametrize("suite", IN_REDIS)
@pytest.mark.parametrize("prefix", ["", "{x}", "é", "a\n"])
def test_a_prefix_cannot_move_the_hash_tag(redis_url: str, suite: str, prefix: str) -> None:
    with pytest.raises(ConfigurationError):
        getattr(redis, f"Redis{suite}")(redis.RedisPort.from_url(redis_url), prefix=prefix)


@pytest.mark.parametrize("suite", SUITES)
def test_memory_is_marked_volatile(suite: str) -> None:
    made = getattr(memory, f"Memory{suite}")
    assert made().volatile
    assert not made(allow_memory=True).volatile
