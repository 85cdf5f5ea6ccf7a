"""One effect for each event: the store contract on every engine, and the guard over it, sync and async."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Column, Engine, MetaData, Table, Text, create_engine, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core import FixedClock, UsageError, drive
from wellstreak_trust.core.entropy import random_hex
from wellstreak_trust.core.errors import ConfigurationError, StoreUnavailable
from wellstreak_trust.storage.redis import RedisPort, RedisReplayStore
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlReplayStore
from wellstreak_trust.testing import signer
from wellstreak_trust.testing.stores.replay import CHECKS
from wellstreak_trust.webhooks import (
    Claim,
    Held,
    InFlight,
    MemoryReplayStore,
    Replayed,
    ReplayGuard,
    ReplayStore,
    VerifiedWebhook,
    WebhookStoreUnavailable,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOST = MetaData()
ORDERS = Table("orders", HOST, Column("id", Text))


def event(id: str = "evt_1") -> VerifiedWebhook:
    stripe = signer("stripe", "k" * 32)
    delivery = stripe.sign(b'{"id":"%s"}' % id.encode(), at=NOW)
    return stripe.verifier().verify(delivery.headers, delivery.body, now=NOW)


def url_of(request: pytest.FixtureRequest, engine: str, drivers: tuple[str, str]) -> str:
    if engine == "sqlite":
        path: Path = request.getfixturevalue("sqlite_path")
        return f"sqlite+{drivers[0]}:///{path}"
    url: str = request.getfixturevalue("postgres_url")
    return url.replace("postgresql://", f"postgresql+{drivers[1]}://")


# One database of each kind for all tests here: making one costs more than a test.


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    yield from _made(f"sqlite:///{tmp_path_factory.mktemp('replay') / 'test.db'}")


@pytest.fixture(scope="module")
def postgres(postgres_server: str) -> Iterator[Engine]:
    import psycopg

    name = f"wt_replay_{os.getpid()}"
    address = postgres_server.rpartition("/")[0].replace("postgresql://", "postgresql+psycopg://")
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        yield from _made(f"{address}/{name}")
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return _emptied(request.getfixturevalue(request.param))


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis"])
def store(request: pytest.FixtureRequest) -> ReplayStore:
    if request.param == "memory":
        return MemoryReplayStore()
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        return RedisReplayStore(
            RedisPort.from_url(url, socket_timeout=5, socket_connect_timeout=5), prefix=f"wst:replay:{random_hex(8)}:"
        )
    return SqlReplayStore(Database(_emptied(request.getfixturevalue(request.param))))


def _made(url: str) -> Iterator[Engine]:
    found = create_engine(url, pool_size=8)
    Database(found).create_all()
    HOST.create_all(found)
    yield found
    found.dispose()


def _emptied(engine: Engine) -> Engine:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM wst_replay"))
        connection.execute(ORDERS.delete())
    return engine


# --- the contract ----------------------------------------------------------------------------------------------------


def test_contract(store: ReplayStore) -> None:
    for check in CHECKS:
        assert drive(check(store, check.__name__)) is None


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["sqlite", "postgres"])
async def test_contract_asynchronous(request: pytest.FixtureRequest, name: str) -> None:
    connected = create_async_engine(url_of(request, name, ("aiosqlite", "asyncpg")))
    database = AsyncDatabase(connected)
    await database.acreate_all()
    found = SqlReplayStore(database)
    for check in CHECKS:
        await check(found, check.__name__)
    guard = ReplayGuard(found, clock=FixedClock(NOW))
    outcomes = await asyncio.gather(*(_deliver(guard) for _ in range(20)))
    assert outcomes.count("done") == 1
    with pytest.raises(ConfigurationError):
        guard.once(event()).__enter__()
    await connected.dispose()


def test_contract_asynchronous_redis(redis_url: str) -> None:
    asyncio.run(_on_asynchronous_redis(redis_url))


async def _on_asynchronous_redis(redis_url: str) -> None:
    port = RedisPort.from_url(redis_url, asynchronous=True, socket_timeout=5, socket_connect_timeout=5)
    found = RedisReplayStore(port, prefix=f"wst:replay:{random_hex(8)}:")
    for check in CHECKS:
        await check(found, check.__name__)
    guard = ReplayGuard(found, clock=FixedClock(NOW))
    outcomes = await asyncio.gather(*(_deliver(guard) for _ in range(100)))
    assert outcomes.count("done") == 1
    await port.client.connection_pool.disconnect()
    await asyncio.sleep(0.05)  # transports close in the next turn of the loop


async def _deliver(guard: ReplayGuard) -> str:
    try:
        async with guard.aonce(event()):
            await asyncio.sleep(0)
            return "done"
    except (Replayed, InFlight) as refused:
        return refused.code


def test_three_states_have_no_truth_value() -> None:
    with pytest.raises(UsageError):
        bool(Held.MINE)


# --- the guard -------------------------------------------------------------------------------------------------------


def test_a_delivery_is_processed_once(store: ReplayStore) -> None:
    guard, done = ReplayGuard(store, clock=FixedClock(NOW)), []
    with guard.once(event()) as claim:
        done.append(claim)
        with pytest.raises(InFlight) as busy, guard.once(event()):
            done.append(claim)
    with pytest.raises(Replayed) as again, guard.once(event()):
        done.append(claim)
    with guard.once(event("evt_2")) as claim:
        done.append(claim)
    assert len(done) == 2
    assert (busy.value.status, again.value.status) == (409, 200)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_a_failing_handler_gives_the_event_up(store: ReplayStore, error: type[BaseException]) -> None:
    guard = ReplayGuard(store, clock=FixedClock(NOW))
    with pytest.raises(error), guard.once(event()):
        raise error
    with guard.once(event()) as claim:
        assert isinstance(claim, Claim)


def test_a_killed_worker_loses_its_claim_with_the_lease(store: ReplayStore) -> None:
    clock = FixedClock(NOW)
    guard = ReplayGuard(store, clock=clock)
    dead = guard.claim(event())
    clock.advance(timedelta(seconds=59))
    with pytest.raises(InFlight):
        guard.claim(event())
    clock.advance(timedelta(seconds=1))
    living = guard.claim(event())
    assert dead.owner != living.owner
    assert not guard.commit(dead)
    assert not guard.release(dead)
    with pytest.raises(InFlight):
        guard.claim(event())
    assert guard.commit(living)
    assert not guard.release(living)


def test_a_handler_slower_than_its_lease_is_told(store: ReplayStore) -> None:
    clock = FixedClock(NOW)
    guard = ReplayGuard(store, clock=clock)
    with pytest.raises(InFlight), guard.once(event()):
        clock.advance(timedelta(seconds=61))


def test_memory_of_an_event_lasts_as_long_as_its_signature(store: ReplayStore) -> None:
    clock = FixedClock(NOW)
    guard = ReplayGuard(store, ttl=timedelta(minutes=2), clock=clock)
    guard.commit(guard.claim(event()))
    clock.advance(timedelta(seconds=719))  # the window is 300 + 60 seconds, doubled
    with pytest.raises(Replayed):
        guard.claim(event())
    clock.advance(timedelta(seconds=1))
    assert not guard.claim(event()).degraded


def test_a_hundred_deliveries_at_once_have_one_effect(store: ReplayStore) -> None:
    guard, effects, same = ReplayGuard(store, clock=FixedClock(NOW)), [], event()

    def deliver(_: int) -> str:
        try:
            with guard.once(same):
                effects.append(1)
                return "done"
        except (Replayed, InFlight) as refused:
            return refused.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(deliver, range(100)))
    assert len(effects) == outcomes.count("done") == 1
    assert set(outcomes) <= {"done", "replayed", "in_flight"}


DYING = """
import os, sys
from datetime import timedelta
from wellstreak_trust.webhooks import ReplayGuard
{store}
class Event:
    replay_key = {key!r}
    window = timedelta()
guard = ReplayGuard(store, lease=timedelta(seconds=1))
with guard.once(Event()):
    print("held", flush=True)
    os.kill(os.getpid(), 9)
"""
STORES = {
    "sqlite": "from sqlalchemy import create_engine\n"
    "from wellstreak_trust.storage.sql import Database, SqlReplayStore\n"
    "store = SqlReplayStore(Database(create_engine({url!r})))",
    "redis": "from wellstreak_trust.storage.redis import RedisPort, RedisReplayStore\n"
    "store = RedisReplayStore(RedisPort.from_url({url!r}, socket_timeout=5, socket_connect_timeout=5))",
}


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "redis"])
def test_a_worker_killed_in_its_handler_blocks_nobody_for_longer_than_its_lease(
    request: pytest.FixtureRequest, kind: str
) -> None:
    """The process dies by SIGKILL; one of the next deliveries acts, once, after the lease."""
    found: ReplayStore
    if kind == "redis":
        url = request.getfixturevalue("redis_url")
        found = RedisReplayStore(RedisPort.from_url(url, socket_timeout=5, socket_connect_timeout=5))
    else:
        engine = _emptied(request.getfixturevalue(kind))
        url, found = engine.url.render_as_string(hide_password=False), SqlReplayStore(Database(engine))
    key = f"killed-{random_hex(8)}"
    code = DYING.format(store=STORES["redis" if kind == "redis" else "sqlite"].format(url=url), key=key)
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert (died.returncode, died.stdout) == (-9, b"held\n"), died.stderr
    guard, effects = ReplayGuard(found, lease=timedelta(seconds=30)), []
    again = SimpleNamespace(replay_key=key, window=timedelta())
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not effects:
        with suppress(InFlight), guard.once(again):
            effects.append(1)
        time.sleep(0.05)
    with pytest.raises(Replayed), guard.once(again):
        effects.append(1)
    assert effects == [1]


@pytest.mark.asvs("2.3.3")
def test_with_the_hosts_transaction_it_is_exactly_once(engine: Engine) -> None:
    database, clock = Database(engine), FixedClock(NOW)

    def deliver(*, fail: bool) -> None:
        with engine.begin() as connection:
            guard = ReplayGuard(SqlReplayStore(database.join(connection)), clock=clock)
            with guard.once(event()):
                connection.execute(insert(ORDERS).values(id="evt_1"))
                if fail:
                    raise ValueError("the process dies here")

    with pytest.raises(ValueError, match="dies"):
        deliver(fail=True)
    deliver(fail=False)
    with pytest.raises(Replayed):
        deliver(fail=False)
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(ORDERS)) == 1


def test_an_aborted_transaction_of_the_host_shows_its_own_error(engine: Engine) -> None:
    """PostgreSQL refuses every further statement in it, the release too: the rollback gives the event up."""
    database, clock = Database(engine), FixedClock(NOW)

    def deliver() -> None:
        with engine.begin() as connection:
            guard = ReplayGuard(SqlReplayStore(database.join(connection)), clock=clock)
            with guard.once(event()):
                connection.execute(text("INSERT INTO no_such_table VALUES (1)"))

    with pytest.raises(DBAPIError, match="no_such_table"):
        deliver()
    assert ReplayGuard(SqlReplayStore(database), clock=clock).claim(event()).owner


def test_many_transactions_of_the_host_at_once_have_one_effect(engine: Engine) -> None:
    database, clock, same = Database(engine), FixedClock(NOW), event()

    def deliver(_: int) -> str:
        try:
            with engine.begin() as connection:
                guard = ReplayGuard(SqlReplayStore(database.join(connection)), clock=clock)
                with guard.once(same):
                    connection.execute(insert(ORDERS).values(id=f"evt_{random_hex(8)}"))
            return "done"
        except (Replayed, InFlight, WebhookStoreUnavailable) as refused:
            return refused.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(deliver, range(40)))
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(ORDERS)) == outcomes.count("done") == 1


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_stricter_isolation_of_the_host_is_a_refusal_that_is_retried(postgres: Engine, level: str) -> None:
    engine = _emptied(postgres)
    database, clock, same = Database(engine), FixedClock(NOW), event()
    with engine.connect().execution_options(isolation_level=level) as connection, connection.begin():
        connection.execute(select(func.count()).select_from(ORDERS))  # the snapshot stands
        with ReplayGuard(SqlReplayStore(database), clock=clock).once(same):
            pass
        with pytest.raises((Replayed, WebhookStoreUnavailable)):
            ReplayGuard(SqlReplayStore(database.join(connection)), clock=clock).claim(same)


# --- outages and bounds ----------------------------------------------------------------------------------------------


class Outage(MemoryReplayStore):
    """Memory that can be switched off."""

    down = False

    def __getattribute__(self, name: str) -> Any:
        if name in ("claim", "commit", "release") and type(self).down:
            raise StoreUnavailable("gone")
        return super().__getattribute__(name)


@pytest.fixture
def outage() -> Iterator[Callable[[bool], None]]:
    yield lambda down: setattr(Outage, "down", down)
    Outage.down = False


def test_a_store_that_is_down_refuses(outage: Callable[[bool], None]) -> None:
    guard = ReplayGuard(Outage(), clock=FixedClock(NOW))
    held = guard.claim(event())
    outage(True)
    for call in (lambda: guard.claim(event()), lambda: guard.commit(held), lambda: guard.release(held)):
        with pytest.raises(WebhookStoreUnavailable) as caught:
            call()
        assert caught.value.status == 503


def test_a_redis_that_is_down_or_lost_its_rights_refuses(redis_url: str) -> None:
    nobody = RedisReplayStore(RedisPort.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=1))
    port = RedisPort.from_url(redis_url, socket_timeout=5, socket_connect_timeout=5)
    prefix = f"wst:replay:{random_hex(8)}:"
    port.client.lpush(prefix + event().replay_key, "another kind of key")
    for store in (nobody, RedisReplayStore(port, prefix=prefix)):
        with pytest.raises(WebhookStoreUnavailable) as refused:
            ReplayGuard(store, clock=FixedClock(NOW)).claim(event())
        assert refused.value.status == 503
    port.client.close()


def test_a_failed_release_does_not_hide_the_handlers_error(outage: Callable[[bool], None]) -> None:
    guard = ReplayGuard(Outage(), clock=FixedClock(NOW))
    with pytest.raises(ValueError, match="mine") as caught, guard.once(event()):
        outage(True)
        raise ValueError("mine")
    assert "lapses" in caught.value.__notes__[0]


def test_accepting_without_a_store_is_a_declared_choice(outage: Callable[[bool], None]) -> None:
    guard = ReplayGuard(Outage(), clock=FixedClock(NOW), on_store_error="accept")
    outage(True)
    with guard.once(event()) as claim:
        assert claim.degraded
    with pytest.raises(ValueError, match="mine"), guard.once(event()):
        raise ValueError("mine")
    outage(False)
    with guard.once(event()) as claim:
        outage(True)
    assert not claim.degraded


def test_memory_is_bounded_and_forgets_nothing_living() -> None:
    clock = FixedClock(NOW)
    guard = ReplayGuard(MemoryReplayStore(max_entries=2), clock=clock)
    guard.commit(guard.claim(event("evt_1")))
    guard.claim(event("evt_2"))
    with pytest.raises(WebhookStoreUnavailable):
        guard.claim(event("evt_3"))
    clock.advance(timedelta(seconds=60))
    assert guard.claim(event("evt_3"))
    with pytest.raises(Replayed):
        guard.claim(event("evt_1"))


def test_memory_stores_say_that_they_forget() -> None:
    assert MemoryReplayStore().volatile
    assert not MemoryReplayStore(allow_memory=True).volatile


@pytest.mark.parametrize(
    "options",
    [
        {"ttl": timedelta(seconds=1)},
        {"lease": timedelta(0)},
        {"lease": timedelta(seconds=-1)},
        {"on_store_error": "ignore"},
    ],
)
def test_guards_that_would_not_guard_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ReplayGuard(MemoryReplayStore(), **options)
