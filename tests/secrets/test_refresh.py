"""Refreshing: who calls, who waits, what stays when it goes wrong."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core import FixedClock, Secret
from wellstreak_trust.core.errors import (
    AuditUnavailable,
    KeyUnavailable,
    LeaseHeld,
    SecretDisabled,
    SecretNotFound,
    SecretShredded,
    StoreUnavailable,
    UsageError,
)
from wellstreak_trust.secrets import (
    KeyChain,
    LocalKeyProvider,
    MemorySecretBackend,
    Refreshed,
    SecretBackend,
    SecretStore,
)
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlSecretBackend

NAME = "slack/oauth"
HOUR = timedelta(hours=1)
LEASE = timedelta(seconds=30)


def never(current: Secret[Any]) -> str:
    raise AssertionError("a fresh value is not refreshed")


def test_a_fresh_value_is_served_as_it_is(store: SecretStore, clock: FixedClock, sink: Any) -> None:
    store.put("t1", NAME, "one")
    assert store.refresh("t1", NAME, never).reveal() == "one"
    store.put("t1", NAME, b"two", not_after=clock.now() + HOUR, rotate_after=clock.now() + HOUR)
    sink.events.clear()
    assert store.refresh("t1", NAME, never).reveal() == b"two"
    assert sink.seen() == [("secret.read", "success")]


@pytest.mark.asvs("13.3.4")
@pytest.mark.parametrize("due", ["not_after", "rotate_after"])
def test_what_is_due_is_refreshed_once(store: SecretStore, clock: FixedClock, sink: Any, due: str) -> None:
    store.put("t1", NAME, "one", labels={"team": "billing"}, **{due: clock.now()})  # type: ignore[arg-type]  # times
    sink.events.clear()
    calls = []

    def fn(current: Secret[Any]) -> Refreshed:
        calls.append(current.reveal())
        return Refreshed("two", not_after=clock.now() + HOUR, rotate_after=clock.now() + HOUR / 2)

    assert store.refresh("t1", NAME, fn).reveal() == "two"
    assert store.refresh("t1", NAME, never).reveal() == "two"
    assert calls == ["one"]
    assert sink.seen()[:2] == [("secret.refreshed", "attempted"), ("secret.refreshed", "success")]
    found = store.describe("t1", NAME)
    assert (found.version, found.revision, found.not_after) == (2, 2, clock.now() + HOUR)
    assert dict(found.labels) == {"team": "billing"}
    clock.advance(HOUR)
    assert store.refresh("t1", NAME, lambda _: Secret("three")).reveal() == "three"
    assert store.refresh("t1", NAME, never).reveal() == "three", "without times it is never due"


def test_an_error_keeps_the_value_and_gives_the_lease_back(store: SecretStore, clock: FixedClock, sink: Any) -> None:
    class InvalidGrant(Exception):
        pass

    def fails(current: Secret[Any]) -> str:
        raise InvalidGrant

    store.put("t1", NAME, "one", rotate_after=clock.now())
    before = store.describe("t1", NAME)
    sink.events.clear()
    for _ in range(2):
        with pytest.raises(InvalidGrant):
            store.refresh("t1", NAME, fails)
    assert sink.seen() == [("secret.refreshed", outcome) for outcome in ("attempted", "error")] * 2
    assert store.describe("t1", NAME) == before
    assert store.get("t1", NAME).reveal() == "one"
    answers: tuple[Any, ...] = (7, None, Refreshed("x", labels={"a": 1}))  # type: ignore[dict-item]  # wrong on purpose
    for answer in answers:
        with pytest.raises(UsageError):
            store.refresh("t1", NAME, lambda _, answer=answer: answer)
    assert store.refresh("t1", NAME, lambda _: "two").reveal() == "two"


def test_a_dead_trail_stops_a_refresh_before_it_is_tried(store: SecretStore, clock: FixedClock, sink: Any) -> None:
    store.put("t1", NAME, "one", rotate_after=clock.now())
    sink.down.add("secret.refreshed")
    with pytest.raises(AuditUnavailable):
        store.refresh("t1", NAME, never)
    sink.down.clear()
    assert store.refresh("t1", NAME, lambda _: "two").reveal() == "two"


def test_a_lease_that_runs_out_loses_its_result(
    backend: SecretBackend, store: SecretStore, kek: LocalKeyProvider, clock: FixedClock
) -> None:
    """A slow holder gets what its successor fetched, and its own answer is dropped."""
    other = SecretStore(backend, KeyChain([kek]), clock=clock)
    store.put("t1", NAME, "one", rotate_after=clock.now())

    def slow(current: Secret[Any]) -> str:
        clock.advance(LEASE + timedelta(seconds=1))
        later = Refreshed("successor", rotate_after=clock.now() + HOUR)
        assert other.refresh("t1", NAME, lambda _: later, lease=LEASE).reveal() == "successor"
        return "too late"

    assert store.refresh("t1", NAME, slow, lease=LEASE).reveal() == "successor"
    assert store.describe("t1", NAME).version == 2


def test_a_lease_taken_over_loses_its_result_even_before_the_successor_wrote(
    backend: SecretBackend, store: SecretStore, kek: LocalKeyProvider, clock: FixedClock
) -> None:
    other = SecretStore(backend, KeyChain([kek]), clock=clock)
    store.put("t1", NAME, "one", rotate_after=clock.now())

    def slow(current: Secret[Any]) -> str:
        clock.advance(LEASE + timedelta(seconds=1))

        def successor(seen: Secret[Any]) -> Refreshed:
            with pytest.raises(LeaseHeld):  # the first holder tries to write under the second one's lease
                SecretStore(backend, KeyChain([kek]), clock=clock).refresh(
                    "t1", NAME, never, lease=timedelta(milliseconds=20)
                )
            return Refreshed("successor", rotate_after=clock.now() + HOUR)

        assert other.refresh("t1", NAME, successor, lease=LEASE).reveal() == "successor"
        return "too late"

    assert store.refresh("t1", NAME, slow, lease=LEASE).reveal() == "successor"


def test_who_always_loses_is_told(
    backend: SecretBackend, store: SecretStore, kek: LocalKeyProvider, clock: FixedClock
) -> None:
    store.put("t1", NAME, "one", rotate_after=clock.now())

    def overtaken(current: Secret[Any]) -> str:
        SecretStore(backend, KeyChain([kek]), clock=clock).put("t1", NAME, "other", rotate_after=clock.now())
        return "never stored"

    with pytest.raises(LeaseHeld) as caught:
        store.refresh("t1", NAME, overtaken)
    assert (caught.value.retryable, caught.value.status) == (True, 409)
    assert store.get("t1", NAME).reveal() == "other"


def test_a_dead_holder_costs_one_lease(backend: SecretBackend, store: SecretStore, clock: FixedClock) -> None:
    store.put("t1", NAME, "one", rotate_after=clock.now())

    class Killed(BaseException):
        pass

    def dies(current: Secret[Any]) -> str:
        real = backend.change
        backend.change = lost  # type: ignore[method-assign]  # the process is gone: nothing more reaches the store
        try:
            raise Killed
        finally:
            restore.append(real)

    async def lost(*arguments: Any) -> Any:
        raise StoreUnavailable("gone")

    restore: list[Any] = []
    with pytest.raises(Killed):
        store.refresh("t1", NAME, dies, lease=LEASE)
    backend.change = restore[0]  # type: ignore[method-assign]  # as above
    with pytest.raises(LeaseHeld):
        store.refresh("t1", NAME, never, lease=timedelta(milliseconds=30))
    clock.advance(LEASE + timedelta(microseconds=1))
    assert store.refresh("t1", NAME, lambda _: "two").reveal() == "two"


def test_there_must_be_something_to_refresh(store: SecretStore, clock: FixedClock) -> None:
    with pytest.raises(SecretNotFound):
        store.refresh("t1", NAME, never)
    store.put("t1", NAME, "one", rotate_after=clock.now())
    for lease in (timedelta(), timedelta(seconds=-1), timedelta(hours=2), 30):
        with pytest.raises(UsageError):
            store.refresh("t1", NAME, never, lease=lease)  # type: ignore[arg-type]  # wrong on purpose
    store.disable("t1", NAME)
    with pytest.raises(SecretDisabled):
        store.refresh("t1", NAME, never)
    store.destroy("t1", NAME)
    with pytest.raises(SecretShredded):
        store.refresh("t1", NAME, never)


def test_threads_share_one_call(engine: Engine, kek: LocalKeyProvider) -> None:
    stores = [SecretStore(SqlSecretBackend(Database(engine)), KeyChain([kek])) for _ in range(6)]
    stores[0].put("t1", NAME, "one", rotate_after=datetime.now(UTC))
    calls: list[object] = []
    found: list[object] = []

    def fn(current: Secret[Any]) -> Refreshed:
        calls.append(current.reveal())
        threading.Event().wait(0.1)
        return Refreshed("two", rotate_after=datetime.now(UTC) + HOUR)

    threads = [threading.Thread(target=lambda s=s: found.append(s.refresh("t1", NAME, fn).reveal())) for s in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (calls, found) == (["one"], ["two"] * 6)


@pytest.mark.anyio
@pytest.mark.parametrize("where", ["memory", "sqlite"])
async def test_tasks_share_one_call(sqlite_path: Path, kek: LocalKeyProvider, where: str) -> None:
    database = AsyncDatabase(create_async_engine(f"sqlite+aiosqlite:///{sqlite_path}"))
    await database.acreate_all()
    backend: SecretBackend = MemorySecretBackend() if where == "memory" else SqlSecretBackend(database)
    store = SecretStore(backend, KeyChain([kek]))
    await store.aput("t1", NAME, "one", rotate_after=datetime.now(UTC))
    calls, found = [], []

    async def fn(current: Secret[Any]) -> Refreshed:
        calls.append(current.reveal())
        await anyio.sleep(0.1)
        return Refreshed("two", rotate_after=datetime.now(UTC) + HOUR)

    async def one() -> None:
        found.append((await store.arefresh("t1", NAME, fn)).reveal())

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(one)
    assert (calls, found) == (["one"], ["two"] * 4)
    await database.engine.dispose()


@pytest.mark.anyio
async def test_a_cancelled_refresh_gives_the_lease_back(kek: LocalKeyProvider) -> None:
    store = SecretStore(MemorySecretBackend(), KeyChain([kek]))
    await store.aput("t1", NAME, "one", rotate_after=datetime.now(UTC))

    async def hangs(current: Secret[Any]) -> str:
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.move_on_after(0.05):
        await store.arefresh("t1", NAME, hangs)
    assert (await store.arefresh("t1", NAME, lambda _: "two")).reveal() == "two"


def test_what_fn_raised_comes_through_whatever_stands_in_the_way(store: SecretStore, clock: FixedClock) -> None:
    """The lease cannot be given back, because the tenant is gone: that must not hide why the refresh failed."""

    class InvalidGrant(Exception):
        pass

    def shreds(current: Secret[Any]) -> str:
        store.shred("t1", confirm="t1")
        raise InvalidGrant

    store.put("t1", NAME, "one", rotate_after=clock.now())
    with pytest.raises(InvalidGrant):
        store.refresh("t1", NAME, shreds)


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), KeyUnavailable("busy")])
def test_a_new_token_outlives_a_store_that_is_down_for_a_moment(
    backend: SecretBackend, store: SecretStore, clock: FixedClock, error: Exception
) -> None:
    """The token that brought it is spent: giving up at the first error would lose the grant."""
    store.put("t1", NAME, "one", rotate_after=clock.now())
    real, failures = backend.change, [error] * 3

    async def flaky(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return await real(*arguments)

    def fn(current: Secret[Any]) -> str:
        backend.change = flaky  # type: ignore[method-assign]  # the fault begins while the provider answers
        return "two"

    assert store.refresh("t1", NAME, fn).reveal() == "two"
    assert not failures
    assert store.get("t1", NAME).reveal() == "two"


def test_a_store_that_stays_down_is_told(backend: SecretBackend, store: SecretStore, clock: FixedClock) -> None:
    async def down(*arguments: Any) -> Any:
        raise error

    def fn(current: Secret[Any]) -> str:
        backend.change = down  # type: ignore[method-assign]  # as above
        return "two"

    store.put("t1", NAME, "one", rotate_after=clock.now())
    real = backend.change
    for error in (StoreUnavailable("gone"), KeyUnavailable("refused", retryable=False)):
        with pytest.raises(type(error)):
            store.refresh("t1", NAME, fn, lease=timedelta(milliseconds=50))
        backend.change = real  # type: ignore[method-assign]  # as above
        clock.advance(HOUR)
    assert store.get("t1", NAME).reveal() == "one"


def test_a_lease_of_a_wrong_clock_does_not_last_for_ever(
    backend: SecretBackend, store: SecretStore, kek: LocalKeyProvider, clock: FixedClock
) -> None:
    """Its holder's clock was a year ahead when it died."""
    ahead = FixedClock(clock.now() + timedelta(days=365))
    store.put("t1", NAME, "one", rotate_after=clock.now())

    class Killed(BaseException):
        pass

    def dies(current: Secret[Any]) -> str:
        wrong._vault.change = None  # type: ignore[assignment, method-assign]  # nothing more reaches the store
        raise Killed

    wrong = SecretStore(backend, KeyChain([kek]), clock=ahead)
    with pytest.raises((Killed, TypeError)):
        wrong.refresh("t1", NAME, dies, lease=LEASE)
    assert store.refresh("t1", NAME, lambda _: "two").reveal() == "two"


def test_a_value_that_was_put_while_the_lease_was_claimed_is_not_spent(
    backend: SecretBackend, store: SecretStore, kek: LocalKeyProvider, clock: FixedClock
) -> None:
    other, real = SecretStore(backend, KeyChain([kek]), clock=clock), backend.read
    store.put("t1", NAME, "one", rotate_after=clock.now())
    reads = []

    async def overtaken(*at: Any) -> Any:
        reads.append(at)
        if len(reads) == 2:  # between the claim and the look at what it holds
            backend.read = real  # type: ignore[method-assign]  # once
            await other.aput("t1", NAME, "reconnected", rotate_after=clock.now() + HOUR)
        return await real(*at)

    backend.read = overtaken  # type: ignore[method-assign]  # as above
    assert store.refresh("t1", NAME, never).reveal() == "reconnected"
    clock.advance(HOUR)
    assert other.refresh("t1", NAME, lambda _: "two").reveal() == "two", "and the lease was given back"


@pytest.mark.anyio
@pytest.mark.parametrize("moment", ["fn", "write"])
async def test_a_cancelled_caller_loses_no_token_and_keeps_no_lease(
    postgres_url: str, kek: LocalKeyProvider, moment: str
) -> None:
    """The client hangs up: a new token is stored, and who comes next need not wait for a lease to run out."""
    database = AsyncDatabase(create_async_engine(postgres_url.replace("postgresql://", "postgresql+asyncpg://")))
    await database.acreate_all()
    store = SecretStore(SqlSecretBackend(database), KeyChain([kek]))
    await store.aput("t1", NAME, "one", rotate_after=datetime.now(UTC))
    real = store._vault.change

    async def slow(*arguments: Any) -> Any:
        await anyio.sleep(0.1)
        return await real(*arguments)

    with anyio.CancelScope() as scope:

        async def fn(current: Secret[Any]) -> Refreshed:
            if moment == "fn":
                scope.cancel()
                await anyio.sleep_forever()
            store._vault.change = slow  # type: ignore[method-assign]  # so that the write can be interrupted
            asyncio.get_running_loop().call_later(0.05, scope.cancel)
            return Refreshed("two", rotate_after=datetime.now(UTC) + HOUR)

        await store.arefresh("t1", NAME, fn)
    assert scope.cancelled_caught
    store._vault.change = real  # type: ignore[method-assign]  # as above
    if moment == "fn":
        with anyio.fail_after(5):
            await store.arefresh("t1", NAME, lambda _: "two")
    assert (await store.aget("t1", NAME)).reveal() == "two"
    await database.engine.dispose()
