"""Backends and keys of this room; one PostgreSQL database for the session, emptied for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from wellstreak_trust.core import AuditEvent, FixedClock
from wellstreak_trust.core.errors import AuditUnavailable
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretBackend, SecretStore
from wellstreak_trust.storage.sql import Database, SqlSecretBackend

TABLES = "wst_secret_store, wst_tenant_key, wst_secret, wst_secret_version"


class Sink:
    """Keeps events; refuses those whose action is in `down`."""

    suspends = False

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.down: set[str] = set()

    async def aemit(self, event: AuditEvent, /) -> None:
        if event.action in self.down:
            raise AuditUnavailable("down")
        self.events.append(event)

    def seen(self) -> list[tuple[str, str]]:
        return [(event.action, event.outcome) for event in self.events]


@pytest.fixture(scope="session")
def secrets_url(postgres_server: str) -> Iterator[str]:
    """``postgresql://...`` of a database with our tables."""
    import psycopg

    name = f"wt_secrets_{os.getpid()}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield postgres_server.rpartition("/")[0] + f"/{name}"
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def _postgres(secrets_url: str) -> Iterator[Engine]:
    engine = create_engine(secrets_url.replace("postgresql://", "postgresql+psycopg://"), pool_size=10)
    Database(engine).create_all()
    yield engine
    engine.dispose()


@pytest.fixture
def postgres(_postgres: Engine) -> Engine:
    """A PostgreSQL engine with our tables, empty."""
    with _postgres.begin() as connection:
        connection.execute(text(f"TRUNCATE {TABLES}"))
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
def backend(request: pytest.FixtureRequest) -> SecretBackend:
    """Every backend, empty."""
    if request.param == "memory":
        return MemorySecretBackend()
    return SqlSecretBackend(Database(request.getfixturevalue(request.param)))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 24, 12, tzinfo=UTC))


@pytest.fixture
def kek(tmp_path: Path) -> LocalKeyProvider:
    return LocalKeyProvider.generate(tmp_path / "kek.json")


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def store(backend: SecretBackend, kek: LocalKeyProvider, sink: Sink, clock: FixedClock) -> SecretStore:
    """A store over every backend."""
    return SecretStore(backend, KeyChain([kek]), audit=sink, clock=clock)
