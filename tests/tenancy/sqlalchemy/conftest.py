"""The databases of the isolation cases: a SQLite file, and PostgreSQL with and without row level security."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

sys.path.append(str(Path(__file__).parent))  # the helpers are plain modules

import isolation_house as house

ROLE = "wt_isolation_app"
SECURITY = tuple(
    statement
    for table in ("project", "task", "tag")
    for statement in (
        f"alter table {table} enable row level security",
        f"alter table {table} force row level security",
        f"create policy tenant on {table} using (tenant_id = (select nullif(current_setting('wst.tenant', true), '')))"
        f" with check (tenant_id = (select nullif(current_setting('wst.tenant', true), '')))",
    )
)


@pytest.fixture(scope="session")
def isolation_server(postgres_server: str) -> str:
    """A server with the application's role, which owns nothing."""
    import psycopg

    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"drop role if exists {ROLE}")
        connection.execute(f"create role {ROLE} login")
    return postgres_server


def _database(server: str, name: str, *statements: str) -> tuple[str, str]:
    """Addresses of a new database for its owner and for the application."""
    import psycopg

    name = f"wt_{name}_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')
        connection.execute(f'create database "{name}"')
    owner = server.rpartition("/")[0].replace("postgresql://", "postgresql+psycopg://") + f"/{name}"
    user, _, rest = owner.rpartition("@")
    engine = create_engine(owner)
    house.Base.metadata.create_all(engine)
    grants = ("grant select, insert, update, delete on all tables in schema public to " + ROLE,)
    sequences = ("grant usage on all sequences in schema public to " + ROLE,)
    with engine.begin() as connection:
        for statement in (*grants, *sequences, *statements):
            connection.exec_driver_sql(statement)
    engine.dispose()
    return owner, f"{user.partition('://')[0]}://{ROLE}@{rest}"


def _house(owner: str, app: str, **options: Any) -> Iterator[house.House]:
    engines = create_engine(app), create_engine(owner)
    yield house.House(*engines, pg=True, **options)
    for engine in engines:
        engine.dispose()


@pytest.fixture(scope="session")
def plain_urls(isolation_server: str) -> tuple[str, str]:
    return _database(isolation_server, "plain", f"alter role {ROLE} nobypassrls")


@pytest.fixture(scope="session")
def secured_urls(isolation_server: str) -> tuple[str, str]:
    return _database(isolation_server, "rls", *SECURITY)


@pytest.fixture(scope="session")
def postgres_plain(plain_urls: tuple[str, str]) -> Iterator[house.House]:
    yield from _house(*plain_urls)


@pytest.fixture(scope="session")
def postgres_rls(secured_urls: tuple[str, str]) -> Iterator[house.House]:
    yield from _house(*secured_urls)


@pytest.fixture(scope="session")
def sqlite_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[house.House]:
    found = house.lite(tmp_path_factory.mktemp("isolation") / "house.db")
    yield found
    found.engine.dispose()
    found.owner.dispose()


@pytest.fixture
def db(request: pytest.FixtureRequest) -> house.House:
    """The database that the test names: sqlite, postgres or rls."""
    fixture = {"sqlite": "sqlite_house", "postgres": "postgres_plain", "rls": "postgres_rls"}[request.param]
    found: house.House = request.getfixturevalue(fixture)
    found.refill()
    return found


@pytest.fixture(scope="session")
def physical_urls(isolation_server: str) -> dict[str, str]:
    """Two databases of the owner: the guard alone stands between him and the other tenant."""
    return {name: _database(isolation_server, name)[0] for name in ("mixed", "single")}
