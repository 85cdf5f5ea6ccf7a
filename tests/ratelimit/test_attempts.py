"""`AttemptGuard` on memory and Redis, under a clock that stands."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timed_redis import PATIENT, TimedPort
from wellstreak_trust.core import ConfigurationError, FixedClock, UsageError
from wellstreak_trust.core.errors import RateLimited, StoreUnavailable
from wellstreak_trust.ratelimit import (
    AttemptGuard,
    CircuitPolicy,
    ConcurrencyLimiter,
    LoadShedder,
    MemoryLimitStore,
    PlanSource,
    RedisLimitStore,
    RedisPort,
)
from wellstreak_trust.telemetry import Counters

SECOND = timedelta(seconds=1)
HERE = "203.0.113.7"


@pytest.fixture
def guard(any_store: Any, clock: FixedClock) -> AttemptGuard:
    return AttemptGuard(any_store, clock=clock)


def exhaust(guard: AttemptGuard, account: str = "ann", address: str = HERE, times: int = 5) -> None:
    for _ in range(times):
        attempt = guard.begin(account, address)
        assert attempt
        attempt.fail()


def test_five_are_free_and_each_wait_is_twice_the_one_before(guard: AttemptGuard, clock: FixedClock) -> None:
    exhaust(guard)
    waits = []
    for number in range(13):
        refused = guard.begin("ann", HERE)
        assert (bool(refused), refused.failures) == (False, 5 + number)
        assert refused.retry_after is not None
        waits.append(refused.retry_after // SECOND)
        clock.advance(refused.retry_after - timedelta(microseconds=1))
        assert not guard.begin("ann", HERE)
        clock.advance(timedelta(microseconds=1))
        assert guard.begin("ann", HERE)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


def test_asking_during_the_wait_neither_counts_nor_lengthens_it(guard: AttemptGuard, clock: FixedClock) -> None:
    exhaust(guard)
    for _ in range(100):
        assert not guard.begin("ann", HERE)
    clock.advance(SECOND)
    assert guard.begin("ann", HERE).failures == 6


def test_a_stranger_elsewhere_delays_nobody(guard: AttemptGuard, clock: FixedClock) -> None:
    for _ in range(80):
        guard.begin("ann", "198.51.100.9")
        clock.advance(timedelta(minutes=15))
    owner = guard.begin("ann", HERE)
    assert (owner.allowed, owner.failures, owner.step_up) == (True, 1, True)


def test_a_known_device_has_counters_of_its_own(guard: AttemptGuard) -> None:
    exhaust(guard)
    known = guard.begin("ann", HERE, "device-1")
    assert (known.allowed, known.failures, known.step_up) == (True, 1, False)
    for _ in range(4):
        guard.begin("ann", HERE, "device-1")
    assert not guard.begin("ann", HERE, "device-1")
    assert guard.begin("ann", HERE, "device-2")
    assert guard.begin("bob", "198.51.100.1", "device-1")


def test_success_takes_the_failures_from_here_back_and_only_once(guard: AttemptGuard) -> None:
    exhaust(guard, times=4)
    attempt = guard.begin("ann", HERE)
    attempt.succeed()
    exhaust(guard)
    attempt.succeed()
    attempt.fail()
    assert not guard.begin("ann", HERE)


def test_success_in_one_account_hides_no_guessing_in_others(guard: AttemptGuard) -> None:
    for number in range(60):
        guard.begin(f"victim-{number}", HERE).fail()
        guard.begin("mallory", HERE).succeed()
    assert guard.begin("victim-60", HERE).step_up
    assert not guard.begin("victim-60", "198.51.100.1").step_up


@pytest.mark.asvs("8.2.4")
def test_attempts_everywhere_ask_everybody_for_more_for_two_minutes(any_store: Any, clock: FixedClock) -> None:
    guard = AttemptGuard(any_store, clock=clock, site_step_up=30)
    for number in range(30):
        guard.begin(f"victim-{number}", f"198.51.100.{number}")
    assert guard.begin("ann", HERE).step_up
    assert not guard.begin("ann", HERE, "device").step_up
    clock.advance(timedelta(minutes=1))
    assert guard.begin("ann", HERE).step_up
    clock.advance(timedelta(minutes=2))
    assert not guard.begin("bob", HERE).step_up


def test_an_attempt_that_nobody_finished_stays_counted(guard: AttemptGuard) -> None:
    for _ in range(5):
        guard.begin("ann", HERE)
    assert not guard.begin("ann", HERE)


def test_a_refused_attempt_cannot_be_finished(guard: AttemptGuard) -> None:
    exhaust(guard)
    refused = guard.begin("ann", HERE)
    for verb in (refused.succeed, refused.fail):
        with pytest.raises(UsageError, match="refused attempt"):
            verb()
    assert not guard.begin("ann", HERE)


def test_the_refusal_is_a_problem_that_says_how_long_and_no_more(guard: AttemptGuard) -> None:
    exhaust(guard)
    refused = guard.begin("ann", HERE)
    error = RateLimited(refused)
    assert error.status == 429
    assert dict(error.headers()) == {"Retry-After": "1"}
    assert refused.problem() == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Too many requests",
        "status": 429,
        "code": "rate_limited",
        "violated-policies": ["attempts"],
    }
    assert "ann" not in repr(refused)
    allowed = guard.begin("bob", HERE)
    assert (allowed.headers(), allowed.retry_after, allowed.outage, allowed.degraded) == ({}, None, False, False)


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("unix", "unix", True),
    ],
)
def test_an_address_is_a_line_and_not_a_spelling(guard: AttemptGuard, first: str, second: str, shared: bool) -> None:
    exhaust(guard, address=first)
    assert bool(guard.begin("ann", second)) is not shared


def test_names_keep_login_and_reset_apart_and_parts_cannot_be_moved(any_store: Any, clock: FixedClock) -> None:
    login, reset = (AttemptGuard(any_store, clock=clock, name=name) for name in ("login", "reset"))
    exhaust(login)
    assert reset.begin("ann", HERE)
    exhaust(login, "a:1", "b")
    assert login.begin("a", "1:b")
    assert login.begin("a:", "1b")


@pytest.mark.parametrize("wrong", ["", None, 5, b"ann"])
def test_what_is_missing_falls_into_no_shared_bucket(guard: AttemptGuard, wrong: Any) -> None:
    for arguments in ((wrong, HERE), ("ann", wrong), *([("ann", HERE, wrong)] if wrong is not None else [])):
        with pytest.raises(UsageError):
            guard.begin(*arguments)


@pytest.mark.parametrize(
    "wrong",
    [
        {"free": 0},
        {"free": True},
        {"base": timedelta()},
        {"base": timedelta(hours=1)},
        {"cap": timedelta(days=2)},
        {"share": -1},
        {"on_outage": "open"},
        {"on_outage": "shadow"},
    ],
    ids=str,
)
def test_bad_numbers_and_an_open_guard_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        AttemptGuard(MemoryLimitStore(), **wrong)


def test_sixty_four_at_once_are_five() -> None:
    guard = AttemptGuard(MemoryLimitStore())
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(64) as pool:
            found = list(pool.map(lambda _: guard.begin("ann", HERE).allowed, range(64)))
    finally:
        sys.setswitchinterval(interval)
    assert sum(found) == 5


def test_sixty_four_tasks_over_one_server_are_five(redis_url: str) -> None:
    async def run() -> int:
        port = RedisPort.from_url(redis_url, asynchronous=True, **PATIENT)
        guard = AttemptGuard(RedisLimitStore(port, prefix="tasks"))
        with pytest.raises(ConfigurationError, match="asynchronous"):
            guard.begin("ann", HERE)
        found = await asyncio.gather(*(guard.abegin("ann", HERE) for _ in range(64)))
        await next(attempt for attempt in found if attempt).asucceed()
        assert (await guard.abegin("ann", HERE)).failures == 1
        await port.client.aclose()
        return sum(attempt.allowed for attempt in found)

    assert asyncio.run(run()) == 5


class Dead:
    """A store that is down."""

    suspends = False

    def __init__(self) -> None:
        self.asked = 0

    async def reserve(self, *_: Any) -> Any:
        self.asked += 1
        raise StoreUnavailable("down")

    clear = record = reserve


def test_without_the_store_it_counts_here_or_refuses(clock: FixedClock) -> None:
    counters, dead = Counters(), Dead()
    local = AttemptGuard(dead, clock=clock, metrics=counters)
    found = [local.begin("ann", HERE) for _ in range(8)]
    assert [attempt.allowed for attempt in found] == [True] * 5 + [False] * 3
    assert all(attempt.degraded for attempt in found)
    assert dead.asked == 5  # then the circuit is open
    found[0].succeed()
    assert local.begin("ann", HERE)
    assert counters.snapshot()["wst.ratelimit.attempts", (("guard", "login"), ("outcome", "allowed"))] == 6

    closed = AttemptGuard(Dead(), clock=clock, on_outage="closed")
    refused = [closed.begin("ann", HERE) for _ in range(8)]
    assert not any(refused)
    error = RateLimited(refused[0])
    assert (error.status, refused[0].problem()["status"]) == (503, 503)
    assert refused[0].retry_after is not None


def test_success_that_cannot_be_told_leaves_the_count(clock: FixedClock) -> None:
    store = MemoryLimitStore()
    alive, dead = store.attempts(), Dead()
    alive.clear = dead.clear  # type: ignore[method-assign]  # lost between reserve and success
    guard = AttemptGuard(alive, clock=clock)
    for _ in range(5):
        guard.begin("ann", HERE).succeed()
    assert not guard.begin("ann", HERE)


STEP = st.tuples(
    st.integers(0, 5_000),
    st.sampled_from(["ann", "bob"]),
    st.sampled_from([HERE, "198.51.100.1", "198.51.100.2"]),
    st.sampled_from([None, None, "device"]),
    st.sampled_from(["succeed", "fail", "leave"]),
    st.integers(0, 3),
)


@given(st.lists(STEP, min_size=1, max_size=40))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_redis_counts_exactly_like_memory(timed: Callable[[], AttemptGuard], steps: list[Any]) -> None:
    theirs = timed()
    numbers = {name: getattr(theirs.policy, name) for name in ("free", "account_limit", "share", "account_step_up")}
    ours = AttemptGuard(MemoryLimitStore(), clock=theirs.clock, address_step_up=6, site_step_up=9, **numbers)
    open_attempts: list[tuple[Any, Any]] = []
    for wait, account, address, device, end, late in steps:
        theirs.clock.advance(timedelta(milliseconds=wait))  # type: ignore[attr-defined]  # a FixedClock
        pair = ours.begin(account, address, device), theirs.begin(account, address, device)
        for name in ("allowed", "retry_after", "failures", "step_up", "degraded"):
            assert getattr(pair[0], name) == getattr(pair[1], name), name
        if pair[0]:
            open_attempts.append(pair)
        if end != "leave" and late < len(open_attempts):
            for attempt in open_attempts.pop(late):
                getattr(attempt, end)()


@pytest.fixture
def timed(redis_url: str, clock: FixedClock) -> Any:
    port = RedisPort.from_url(redis_url, **PATIENT)
    made = iter(range(1_000_000))

    def new() -> AttemptGuard:
        store = RedisLimitStore(TimedPort(port, clock), prefix=f"pair{next(made)}")  # type: ignore[arg-type]  # by shape
        return AttemptGuard(
            store, clock=clock, free=2, account_limit=5, share=3, account_step_up=3, address_step_up=6, site_step_up=9
        )

    yield new
    port.client.close()


def test_attempts_count_from_the_first_moment_of_a_clock() -> None:
    class Fresh(FixedClock):
        def monotonic_ns(self) -> int:
            return super().monotonic_ns() - 1_000_000_000

    guard = AttemptGuard(MemoryLimitStore(), clock=Fresh(datetime(2026, 11, 24, tzinfo=UTC)))
    assert [bool(guard.begin("ann", HERE)) for _ in range(7)] == [True] * 5 + [False] * 2


def test_those_who_come_and_go_fill_no_memory(clock: FixedClock) -> None:
    table = MemoryLimitStore()
    guard, places = AttemptGuard(table, clock=clock), ConcurrencyLimiter(table, 2, clock=clock)
    for _ in range(500):
        guard.begin("ann", HERE).succeed()
        places.acquire("ann").release()
    assert sum(len(keys) for _, keys in table._queues.values()) < 10
    assert guard.begin("ann", HERE).failures == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: AttemptGuard(MemoryLimitStore(), base=1),  # type: ignore[arg-type]
        lambda: AttemptGuard(object()),
        lambda: AttemptGuard(MemoryLimitStore(), name=""),
        lambda: ConcurrencyLimiter(MemoryLimitStore(), 2, name=5),  # type: ignore[arg-type]
        lambda: PlanSource(dict, fresh=30),  # type: ignore[arg-type]
        lambda: PlanSource(dict, by=5),  # type: ignore[arg-type]
        lambda: ConcurrencyLimiter(MemoryLimitStore(), 2, 30),  # type: ignore[arg-type]
        lambda: ConcurrencyLimiter(object(), 2),
        lambda: CircuitPolicy(probe_every=1),  # type: ignore[arg-type]
        lambda: LoadShedder("9"),  # type: ignore[arg-type]
        lambda: LoadShedder(9, None),  # type: ignore[arg-type]
    ],
    ids=[
        "base",
        "attempt store",
        "guard",
        "policy",
        "fresh",
        "by",
        "ttl",
        "lease store",
        "probe",
        "capacity",
        "reserve",
    ],
)
def test_what_does_not_fit_is_told_when_constructed(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_long_accounts_fill_no_memory_and_are_told_apart(clock: FixedClock) -> None:
    table = MemoryLimitStore()
    guard = AttemptGuard(table, clock=clock)
    for last in "ab":
        assert guard.begin("x" * 1_000_000 + last, HERE).failures == 1
    assert guard.begin("x" * 1_000_000 + "a", HERE).failures == 2
    assert max(map(len, table.states)) < 1_000
