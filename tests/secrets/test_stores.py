"""The backend contract over memory, SQLite and PostgreSQL, blocking and asynchronous."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core import drive
from wellstreak_trust.secrets import MemorySecretBackend, SecretBackend
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlSecretBackend
from wellstreak_trust.testing.stores.secrets import CHECKS

Check = Callable[[SecretBackend], Any]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_memory(check: Check) -> None:
    assert drive(check(MemorySecretBackend())) is None


def test_blocking_sql(engine: Engine) -> None:
    backend = SqlSecretBackend(Database(engine))
    assert not backend.suspends
    for check in CHECKS:
        drive(check(backend))


@pytest.mark.anyio
@pytest.mark.parametrize("driver", ["aiosqlite", "asyncpg"])
async def test_asynchronous_sql(request: pytest.FixtureRequest, driver: str) -> None:
    if driver == "aiosqlite":
        path: Path = request.getfixturevalue("sqlite_path")
        url = f"sqlite+aiosqlite:///{path}"
    else:
        url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+asyncpg://")
    connected = create_async_engine(url)
    database = AsyncDatabase(connected)
    await database.acreate_all()
    backend = SqlSecretBackend(database)
    assert backend.suspends
    for check in CHECKS:
        await check(backend)
    await connected.dispose()
