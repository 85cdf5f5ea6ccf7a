"""`ConcurrencyLimiter` and `LoadShedder`."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from timed_redis import PATIENT
from wellstreak_trust.core import ConfigurationError, FixedClock, UsageError
from wellstreak_trust.core.errors import RateLimited, StoreUnavailable
from wellstreak_trust.ratelimit import (
    ConcurrencyLimiter,
    LoadShedder,
    MemoryLimitStore,
    RedisLimitStore,
    RedisPort,
)
from wellstreak_trust.telemetry import Counters

SECOND = timedelta(seconds=1)


def test_two_may_run_and_the_third_is_told(any_store: Any, clock: FixedClock) -> None:
    tests = ConcurrencyLimiter(any_store, 2, name="connection-tests", clock=clock)
    first, second = tests.acquire("t1"), tests.acquire("t1")
    assert (bool(first), bool(second), second.in_use) == (True, True, 2)
    assert tests.acquire("t2")
    clock.advance(10 * SECOND)
    third = tests.acquire("t1")
    assert (third.allowed, third.violated, third.retry_after) == (False, ("connection-tests",), 20 * SECOND)
    assert third.headers() == {
        "RateLimit-Policy": '"connection-tests";q=2;qu="concurrent-requests"',
        "RateLimit": '"connection-tests";r=0',
        "Retry-After": "20",
    }
    assert third.problem()["violated-policies"] == ["connection-tests"]
    third.release()
    for _ in range(2):
        first.release()
    assert tests.acquire("t1")
    assert not tests.acquire("t1")


def test_a_block_holds_a_place_and_raises_where_none_is_free(any_store: Any, clock: FixedClock) -> None:
    limiter = ConcurrencyLimiter(any_store, 1, clock=clock)
    with pytest.raises(ZeroDivisionError), limiter.acquire("k"):
        with pytest.raises(RateLimited), limiter.acquire("k"):
            pytest.fail("there was no place")
        raise ZeroDivisionError
    with limiter.acquire("k") as lease:
        assert lease.in_use == 1


def test_a_crashed_holder_gives_its_place_back_and_a_slow_one_keeps_it(any_store: Any, clock: FixedClock) -> None:
    limiter = ConcurrencyLimiter(any_store, 2, timedelta(seconds=30), clock=clock)
    slow, _crashed = limiter.acquire("k"), limiter.acquire("k")
    clock.advance(29 * SECOND)
    assert slow.renew()
    clock.advance(SECOND)
    assert limiter.acquire("k")
    assert not limiter.acquire("k")
    clock.advance(29 * SECOND)
    assert not slow.renew()


def test_threads_and_tasks_never_share_a_place(redis_url: str) -> None:
    limiter = ConcurrencyLimiter(MemoryLimitStore(), 7)
    with ThreadPoolExecutor(16) as pool:
        assert sum(lease.allowed for lease in pool.map(lambda _: limiter.acquire("k"), range(64))) == 7

    async def run() -> None:
        port = RedisPort.from_url(redis_url, asynchronous=True, **PATIENT)
        shared = ConcurrencyLimiter(RedisLimitStore(port, prefix="leases"), 7)
        found = await asyncio.gather(*(shared.aacquire("k") for _ in range(64)))
        assert sum(lease.allowed for lease in found) == 7
        async with await shared.aacquire("other") as lease:
            assert await lease.arenew()
        await port.client.aclose()

    asyncio.run(run())


class Dead:
    suspends = False

    async def take_place(self, *_: Any) -> Any:
        raise StoreUnavailable("down")

    extend = leave = take_place


def test_without_the_store_the_declared_policy_decides(clock: FixedClock) -> None:
    local = ConcurrencyLimiter(Dead(), 4, replicas=2, clock=clock)
    found = [local.acquire("k") for _ in range(3)]
    assert [(lease.allowed, lease.degraded) for lease in found] == [(True, True), (True, True), (False, True)]
    found[0].release()
    assert local.acquire("k")
    assert all(ConcurrencyLimiter(Dead(), 1, on_outage="open", clock=clock).acquire("k") for _ in range(9))
    closed = ConcurrencyLimiter(Dead(), 1, on_outage="closed", clock=clock).acquire("k")
    assert (closed.allowed, RateLimited(closed).status) == (False, 503)


def test_a_lost_release_raises_nothing(clock: FixedClock) -> None:
    leases = MemoryLimitStore().leases()
    leases.leave = Dead().leave  # type: ignore[method-assign]  # the store goes down in between
    with ConcurrencyLimiter(leases, 1, clock=clock).acquire("k") as lease:
        assert lease


@pytest.mark.parametrize(
    "wrong",
    [{"limit": 0}, {"limit": True}, {"ttl": timedelta()}, {"replicas": 0}, {"name": "é"}, {"on_outage": "shadow"}],
    ids=str,
)
def test_bad_numbers_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ConcurrencyLimiter(MemoryLimitStore(), **{"limit": 1, **wrong})


def test_a_key_is_text() -> None:
    with pytest.raises(UsageError):
        ConcurrencyLimiter(MemoryLimitStore(), 1).acquire("")


# --- shedding --------------------------------------------------------------------------------------------------------


def fill(shedder: LoadShedder, importance: Any) -> int:
    return sum(shedder.admit(importance).allowed for _ in range(200))


@pytest.mark.asvs("15.2.2")
def test_the_least_important_goes_first() -> None:
    counters = Counters()
    shedder = LoadShedder(100, reserve=0.2, metrics=counters)
    assert [fill(shedder, importance) for importance in ("bulk", "normal", "critical")] == [60, 20, 20]
    assert shedder.under_way == 100
    assert counters.snapshot()["wst.ratelimit.shed", (("importance", "bulk"),)] == 140


def test_room_comes_back_once() -> None:
    shedder = LoadShedder(10)
    with shedder.admit("normal") as ticket:
        assert shedder.under_way == 1
        ticket.release()
    assert shedder.under_way == 0


def test_a_refusal_is_ours_and_not_the_callers() -> None:
    shedder = LoadShedder(5)
    fill(shedder, "critical")
    ticket = shedder.admit()
    assert not ticket
    with pytest.raises(RateLimited) as refused, ticket:
        pytest.fail("there was no room")
    assert refused.value.status == 503
    problem = ticket.problem()
    assert problem["type"] == "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
    assert problem["violated-policies"] == ["load"]
    assert {int(shedder.admit().headers()["Retry-After"]) for _ in range(200)} == {1, 2, 3, 4, 5}


def test_pressure_shrinks_the_room_of_all_but_the_critical() -> None:
    pressed = [0.5]
    shedder = LoadShedder(100, pressure=lambda: pressed[0])
    assert fill(shedder, "bulk") == 30
    pressed[0] = 7.0
    assert fill(shedder, "normal") == 0
    assert fill(shedder, "critical") == 70

    def broken() -> float:
        raise OSError

    assert fill(LoadShedder(10, pressure=broken), "normal") == 8
    assert fill(LoadShedder(10, pressure=lambda: float("nan")), "normal") == 8


@pytest.mark.parametrize(("capacity", "reserve"), [(0, 0.2), (True, 0.0), (1, 0.2), (10, 0.5), (10, -0.1)])
def test_a_shedder_has_room_for_all(capacity: Any, reserve: float) -> None:
    with pytest.raises(ConfigurationError):
        LoadShedder(capacity, reserve)


def test_an_importance_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="importance"):
        LoadShedder(10).admit("vip")  # type: ignore[arg-type]  # on purpose
