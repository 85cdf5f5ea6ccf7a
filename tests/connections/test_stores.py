"""One contract, every store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from wellstreak_trust.connections import ConnectionStore, MemoryConnectionStore
from wellstreak_trust.core import drive
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlConnectionStore
from wellstreak_trust.testing.stores.connections import CHECKS

Check = Callable[[ConnectionStore], Coroutine[Any, Any, None]]


@pytest.mark.parametrize("check", CHECKS)
def test_contract_in_memory(check: Check) -> None:
    assert drive(check(MemoryConnectionStore())) is None


@pytest.mark.parametrize("check", CHECKS)
def test_contract_on_sqlite(check: Check, sqlite_path: Path) -> None:
    database = Database(create_engine(f"sqlite:///{sqlite_path}", poolclass=NullPool))
    database.create_all()
    assert drive(check(SqlConnectionStore(database))) is None


@pytest.mark.parametrize("check", CHECKS)
def test_contract_on_postgresql(check: Check, postgres_url: str) -> None:
    database = Database(create_engine(postgres_url.replace("://", "+psycopg://"), poolclass=NullPool))
    database.create_all()
    assert drive(check(SqlConnectionStore(database))) is None


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_contract_awaited(check: Check, driver: str, postgres_url: str) -> None:
    async def main() -> None:
        engine = create_async_engine(postgres_url.replace("://", f"+{driver}://"), poolclass=NullPool)
        database = AsyncDatabase(engine)
        await database.acreate_all()
        assert await check(SqlConnectionStore(database)) is None
        await engine.dispose()

    asyncio.run(main())
