"""What only the servers themselves can tell, asked of real ones."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from redis import Redis
from sqlalchemy import create_engine

from doctor_bench import Bench
from wellstreak_trust.doctor import Finding
from wellstreak_trust.identity import SessionManager
from wellstreak_trust.storage.redis import RedisLimitStore, RedisPort, RedisSessionStore
from wellstreak_trust.storage.sql import Database


def codes(found: list[Finding]) -> set[str]:
    assert all(each.why and each.hint for each in found)
    return {each.code for each in found}


@pytest.fixture
def role(postgres_url: str) -> Iterator[str]:
    """The URL of a role of the application, over tables that are there."""
    engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    Database(engine).create_all()
    engine.dispose()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE wt_doctor LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO wt_doctor")
        yield postgres_url.replace("postgres@", "wt_doctor@")
        connection.execute("DROP OWNED BY wt_doctor; DROP ROLE wt_doctor")


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_a_role_above_row_level_security(bench: Bench, role: str, driver: str) -> None:
    application = role.replace("postgresql:", f"postgresql+{driver}:")
    superuser = application.replace("wt_doctor@", "postgres@")
    assert codes(bench.run(bench.settings(database_url=superuser), reach=True)) == {"database_superuser"}
    assert bench.run(bench.settings(database_url=application), reach=True) == []


def test_a_postgres_without_tables_and_one_that_is_not_there(bench: Bench, postgres_url: str) -> None:
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    found = bench.run(bench.settings(database_url=url), reach=True)
    assert codes(found) == {"tables_missing", "database_superuser"}
    found = bench.run(bench.settings(database_url="postgresql+psycopg://app:s3cret-word@127.0.0.1:1/none"), reach=True)
    assert codes(found) == {"database_unreachable"}
    assert "s3cret-word" not in repr(found)


@pytest.fixture
def server(redis_url: str) -> Iterator[Redis]:
    client = Redis.from_url(redis_url)
    before = {name: client.config_get(name)[name] for name in ("maxmemory-policy", "appendonly", "save")}
    client.config_set("maxmemory-policy", "noeviction")
    yield client
    for name, value in before.items():
        client.config_set(name, value)
    client.close()


def test_a_redis_that_evicts(bench: Bench, redis_url: str, server: Redis) -> None:
    told = bench.settings(redis_url=redis_url)
    server.config_set("maxmemory-policy", "allkeys-lru")
    found = bench.run(told, reach=True)
    assert codes(found) == {"redis_evicts"}
    assert found[0].came_from == "environment: WELLSTREAK_TRUST_REDIS_URL"
    server.config_set("maxmemory-policy", "noeviction")
    assert bench.run(told, reach=True) == []
    assert bench.run(told, reach=False) == []


def test_a_redis_that_forgets_sessions(bench: Bench, redis_url: str, server: Redis) -> None:
    port = RedisPort.from_url(redis_url)
    server.config_set("save", "")
    server.config_set("appendonly", "no")
    sessions = SessionManager(RedisSessionStore(port), audit=bench.audit)
    assert codes(bench.with_member(sessions, reach=True)) == {"redis_not_persistent"}
    limits_alone = bench.limiter(store=RedisLimitStore(port))
    assert bench.examine(limiter=limits_alone, reach=True) == []
    server.config_set("appendonly", "yes")
    assert bench.with_member(sessions, reach=True) == []


def test_a_redis_that_is_not_there(bench: Bench) -> None:
    told = bench.settings(redis_url="redis://:s3cret-word@127.0.0.1:1")
    found = bench.run(told, reach=True)
    assert codes(found) == {"redis_unreachable"}
    assert "s3cret-word" not in repr(found)
