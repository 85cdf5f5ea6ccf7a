"""The session contract over memory, SQLite and PostgreSQL, blocking and asynchronous."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core import drive
from wellstreak_trust.identity import MemorySessionStore, SessionStore
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlSessionStore
from wellstreak_trust.testing.stores.sessions import CHECKS

Check = Callable[[SessionStore], Any]


def urls(request: pytest.FixtureRequest, engine: str, drivers: tuple[str, str]) -> str:
    if engine == "sqlite":
        path: Path = request.getfixturevalue("sqlite_path")
        return f"sqlite+{drivers[0]}:///{path}"
    url: str = request.getfixturevalue("postgres_url")
    return url.replace("postgresql://", f"postgresql+{drivers[1]}://")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_memory(check: Check) -> None:
    assert drive(check(MemorySessionStore())) is None


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_blocking_sql(request: pytest.FixtureRequest, engine: str) -> None:
    connected = create_engine(urls(request, engine, ("pysqlite", "psycopg")))
    Database(connected).create_all()
    store = SqlSessionStore(Database(connected))
    assert not store.suspends
    for check in CHECKS:
        drive(check(store))
    connected.dispose()


@pytest.mark.anyio
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_asynchronous_sql(request: pytest.FixtureRequest, engine: str) -> None:
    connected = create_async_engine(urls(request, engine, ("aiosqlite", "asyncpg")))
    database = AsyncDatabase(connected)
    await database.acreate_all()
    store = SqlSessionStore(database)
    assert store.suspends
    for check in CHECKS:
        await check(store)
    await connected.dispose()
