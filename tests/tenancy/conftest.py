"""The databases this room is tested on: one PostgreSQL database for the session, emptied for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from wellstreak_trust.storage.sql import Database, SqlMembershipStore
from wellstreak_trust.storage.sql.schema import metadata
from wellstreak_trust.tenancy import MemoryMembershipStore

# arq holds redis back, so it is only in the environment that tools/test-floor makes.
collect_ignore = [] if find_spec("arq") else ["test_arq.py"]


@pytest.fixture(scope="session")
def tenancy_url(postgres_server: str) -> Iterator[str]:
    """``postgresql+psycopg://...`` of a database with our tables."""
    import psycopg

    name = f"wt_tenancy_{os.getpid()}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield (postgres_server.rpartition("/")[0] + f"/{name}").replace("postgresql://", "postgresql+psycopg://")
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def _postgres(tenancy_url: str) -> Iterator[Engine]:
    engine = create_engine(tenancy_url, pool_size=10)
    Database(engine).create_all()
    yield engine
    engine.dispose()


@pytest.fixture
def postgres(_postgres: Engine) -> Engine:
    """A PostgreSQL engine with our tables, empty."""
    with _postgres.begin() as connection:
        for name in ("invitation", "membership", "workspace", "usage", "usage_hold", "subscription", "outbox"):
            connection.execute(metadata.tables[f"wst_{name}"].delete())  # for a few rows faster than TRUNCATE
    return _postgres


@pytest.fixture
def sqlite(sqlite_path: Path) -> Iterator[Engine]:
    """A SQLite file with our tables."""
    engine = create_engine(f"sqlite:///{sqlite_path}")
    Database(engine).create_all()
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Both engines, one after the other."""
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def membership_store(request: pytest.FixtureRequest) -> Any:
    """An empty store of each kind, one after the other."""
    if request.param == "memory":
        return MemoryMembershipStore()
    return SqlMembershipStore(Database(request.getfixturevalue(request.param)))
