"""`RedisLimitStore` and `RedisPort` on a real server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
import redis
import redis.asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timed_redis import PATIENT, TimedPort
from wellstreak_trust.core import ConfigurationError, FixedClock
from wellstreak_trust.core.errors import StoreMisconfigured, StoreUnavailable
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter, RedisLimitStore, RedisPort
from wellstreak_trust.ratelimit.algorithms import Calendar
from wellstreak_trust.storage.redis.port import translated

KEYS = {"tenant": "t"}
MINUTE = timedelta(minutes=1)
_PREFIXES = (f"t{number}" for number in count())


@pytest.fixture
def port(redis_url: str) -> Iterator[RedisPort]:
    port = RedisPort.from_url(redis_url, **PATIENT)
    yield port
    port.client.close()


@pytest.fixture
def store(port: RedisPort) -> RedisLimitStore:
    return RedisLimitStore(port, prefix=next(_PREFIXES))


STEPS = st.lists(
    st.tuples(st.integers(0, 4_000), st.integers(0, 4), st.none() | st.integers(0, 20), st.integers(0, 5)),
    min_size=1,
    max_size=30,
)
RULES = st.lists(
    st.sampled_from(
        [
            LimitRule("gcra", 5, timedelta(seconds=10)),
            LimitRule("tight", 4, timedelta(seconds=10), burst=2, cost=2),
            LimitRule("exact", 4, timedelta(seconds=10), algorithm="exact"),
            LimitRule("minute", 20, "minute", algorithm="calendar"),
            LimitRule("month", 30, "month", algorithm="calendar", anchor_day=24),
            LimitRule("dark", 2, timedelta(seconds=10), mode="shadow"),
        ]
    ),
    min_size=1,
    max_size=4,
    unique=True,
)


@given(RULES, STEPS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_it_decides_exactly_like_memory(port: RedisPort, rules: list[LimitRule], steps: list[Any]) -> None:
    clock = FixedClock(datetime(2026, 11, 23, 23, 59, 30, tzinfo=UTC))
    there = RedisLimitStore(TimedPort(port, clock), prefix=next(_PREFIXES))  # type: ignore[arg-type]  # a port by shape
    pair = RateLimiter(rules, MemoryLimitStore(), clock), RateLimiter(rules, there, clock)
    kept: list[Any] = []
    for wait, cost, back, actual in steps:
        clock.advance(timedelta(milliseconds=wait))
        if back is not None and back < len(kept):
            for verdict in kept.pop(back):
                verdict.settle(actual)
        ours, theirs = (limiter.check(KEYS, cost) for limiter in pair)
        for name in ("allowed", "violated", "shadow_denied", "remaining", "reset_after", "retry_after", "degraded"):
            assert getattr(ours, name) == getattr(theirs, name), name
        assert pair[0].usage(KEYS) == pair[1].usage(KEYS)
        kept.append((ours, theirs))
    for limiter in pair:
        limiter.reset(KEYS)
    assert pair[0].usage(KEYS) == pair[1].usage(KEYS)


@pytest.mark.parametrize("period", ["minute", "hour", "day", "week", "month"])
def test_the_calendar_of_the_server_is_the_calendar(port: RedisPort, period: str) -> None:
    meter = Calendar(1, period, 15 if period == "month" else 1)  # type: ignore[arg-type]  # a parameter
    rule = LimitRule("r", 1, period, algorithm="calendar", anchor_day=meter.anchor_day)  # type: ignore[arg-type]  # a parameter
    for year in (1999, 2000, 2024, 2026, 2100):
        for month, day in ((1, 1), (2, 28), (3, 1), (6, 15), (12, 31)):
            clock = FixedClock(datetime(year, month, day, 23, 59, 59, 999_999, tzinfo=UTC))
            there = RedisLimitStore(TimedPort(port, clock), prefix=next(_PREFIXES))  # type: ignore[arg-type]  # a port by shape
            now = meter.now(clock)
            reset = RateLimiter([rule], there, clock).check(KEYS).reset_after
            assert reset // timedelta(microseconds=1) * 1_000 == meter.window(now)[1] - now


def test_five_rules_are_one_trip_and_every_key_expires(store: RedisLimitStore, port: RedisPort) -> None:
    rules = [LimitRule(f"r{n}", 10, timedelta(minutes=n + 1)) for n in range(3)]
    rules += [LimitRule("x", 10, MINUTE, algorithm="exact"), LimitRule("c", 10, "day", algorithm="calendar")]
    api = RateLimiter(rules, store)
    api.check(KEYS)
    before = port.client.info("commandstats")["cmdstat_evalsha"]["calls"]
    verdict = api.check(KEYS, 3)
    assert port.client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1
    assert verdict.remaining == 6
    keys = list(port.client.scan_iter(f"{store._prefix}*"))
    assert len(keys) == 5
    assert all(0 < port.client.pttl(key) <= 86_400_001 for key in keys)
    assert not any(b"tenant" in key for key in keys)
    api.reset(KEYS)
    assert list(port.client.scan_iter(f"{store._prefix}*")) == []


def test_threads_and_async_admit_exactly_the_limit(store: RedisLimitStore, redis_url: str) -> None:
    rule = LimitRule("r", 20, timedelta(hours=1))
    api = RateLimiter([rule], store)
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda _: api.check(KEYS), range(60)))
    assert (sum(v.allowed for v in verdicts), any(v.degraded for v in verdicts)) == (20, False)

    async def run() -> None:
        port = RedisPort.from_url(redis_url, asynchronous=True, **PATIENT)
        later = RateLimiter([rule], RedisLimitStore(port, prefix=next(_PREFIXES)))
        with pytest.raises(ConfigurationError, match="asynchronous"):
            later.check(KEYS)
        found = await asyncio.gather(*(later.acheck(KEYS) for _ in range(50)))
        assert (sum(v.allowed for v in found), any(v.degraded for v in found)) == (20, False)
        await next(v for v in found if v.allowed).arefund()
        assert (await later.acheck(KEYS)).allowed
        await port.client.aclose()

    asyncio.run(run())


def test_a_server_that_lost_its_scripts_answers_all_the_same(store: RedisLimitStore, port: RedisPort) -> None:
    api = RateLimiter([LimitRule("r", 3, MINUTE)], store)
    api.check(KEYS)
    port.client.script_flush()
    verdict = api.check(KEYS)
    assert (verdict.degraded, verdict.remaining) == (False, 1)


def test_a_foreign_value_under_our_key_is_a_misconfiguration(store: RedisLimitStore, port: RedisPort) -> None:
    rule = LimitRule("r", 3, MINUTE, on_outage="closed")
    api = RateLimiter([rule], store)
    api.check(KEYS)
    key = next(iter(port.client.scan_iter(f"{store._prefix}*")))
    port.client.delete(key)
    port.client.lpush(key, "x")
    verdict = api.check(KEYS)
    assert (verdict.allowed, verdict.degraded, verdict.outage) == (False, True, True)


def test_a_full_and_a_read_only_server_are_outages(store: RedisLimitStore, port: RedisPort) -> None:
    client = port.client

    async def take() -> None:
        await port.script("return redis.call('SET', KEYS[1], 'x')", ["k"], [])

    for enter, leave in (
        (lambda: client.config_set("maxmemory", 1), lambda: client.config_set("maxmemory", 0)),
        (lambda: client.replicaof("127.0.0.1", 1), lambda: client.replicaof("NO", "ONE")),
    ):
        enter()
        try:
            with pytest.raises(StoreUnavailable):
                asyncio.run(take())
            closed = RateLimiter([LimitRule("r", 3, MINUTE, on_outage="closed")], store)
            assert [closed.check(KEYS).allowed for _ in range(10)] == [False] * 10
        finally:
            leave()


def test_nobody_there(store: RedisLimitStore) -> None:
    api = RateLimiter([LimitRule("r", 3, MINUTE)], RedisLimitStore(RedisPort.from_url("redis://127.0.0.1:1/0")))
    verdicts = [api.check(KEYS) for _ in range(6)]
    assert [v.allowed for v in verdicts] == [True] * 3 + [False] * 3
    assert all(v.degraded for v in verdicts)


SHAPES = [None, [], [1], "1", True, 1.0, [1, 0, 1, 1, 0, 0, 0], [1.0] * 8, [True] * 8, ["1"] * 8, (1,) * 8, {1: 2}]


@pytest.mark.parametrize("answer", SHAPES, ids=repr)
def test_an_answer_of_another_shape_is_no_answer(answer: object) -> None:
    class Odd:
        suspends = False

        async def script(self, script: str, keys: Any, args: Any) -> object:
            return answer

    api = RateLimiter([LimitRule("r", 3, MINUTE, on_outage="closed")], RedisLimitStore(Odd()))  # type: ignore[arg-type]  # a port by shape
    verdict = api.check(KEYS)
    assert (verdict.allowed, verdict.degraded) == (False, True)


@pytest.mark.asvs("1.4.2")
def test_huge_costs_and_odd_keys_are_answered(store: RedisLimitStore) -> None:
    api = RateLimiter([LimitRule("r", 3, MINUTE)], store)
    verdict = api.check(KEYS, 10**400)
    assert (verdict.allowed, verdict.retry_after, verdict.degraded) == (False, None, False)
    assert not api.check({"tenant": "\ud800\x00{}"}).degraded
    assert api.select([]).check({}).allowed
    api.check(KEYS).settle(10**400)
    assert not api.check(KEYS)


@pytest.mark.asvs("13.2.6")
def test_a_client_without_a_time_out_is_refused(redis_url: str) -> None:
    for client in (redis.Redis.from_url(redis_url, socket_timeout=None), redis.asyncio.Redis(socket_timeout=None)):
        with pytest.raises(ConfigurationError, match="socket_timeout") as refused:
            RedisPort(client)
        assert refused.value.reason == "redis_timeout"
    for no_client in (None, object(), "redis://x"):
        with pytest.raises(ConfigurationError, match="client"):
            RedisPort(no_client)
    assert RedisPort(redis.Redis(socket_timeout=1)).suspends is False
    assert RedisPort(redis.asyncio.Redis(socket_timeout=1)).suspends is True
    by_default = redis.Redis.from_url(redis_url)
    if redis.Connection().socket_timeout is None:  # redis-py before 8
        with pytest.raises(ConfigurationError):
            RedisPort(by_default)
    else:
        assert RedisPort(by_default).suspends is False

    class Cluster:
        connection_kwargs = {"socket_timeout": 1}

        async def execute_command(self) -> None:
            """Never called here."""

    assert RedisPort(Cluster()).suspends is True
    for url in ("", "http://x", "redis://x:port", 7):
        with pytest.raises(ConfigurationError):
            RedisPort.from_url(url)  # type: ignore[arg-type]  # 7 is one of the wrong ones
    for prefix in ("", "a{b}", "é"):
        with pytest.raises(ConfigurationError):
            RedisLimitStore(RedisPort.from_url(redis_url), prefix=prefix)


LASTING = set(
    """AuthenticationError AuthorizationError NoPermissionError ResponseError NoScriptError ModuleError ExecAbortError
    AuthenticationWrongNumberOfArgsError ClusterCrossSlotError ExternalAuthProviderError NoSuchFieldsetError""".split()
)


def test_every_error_of_the_driver_is_one_of_ours() -> None:
    kinds = [k for k in vars(redis.exceptions).values() if isinstance(k, type) and issubclass(k, Exception)]
    for kind in kinds:
        error = kind.__new__(kind)
        found = translated(error)
        if kind.__name__ not in LASTING:
            assert type(found) is StoreUnavailable, kind
    for text in (
        "READONLY You can't write",
        "ERR Error running script: -OOM command not allowed",
        "BUSY Redis is busy",
    ):
        assert type(translated(redis.exceptions.ResponseError(text))) is StoreUnavailable
    for text in (
        "WRONGTYPE Operation against a key",
        "NOPERM",
        "ERR Error compiling script (new function): user_script:1",
    ):
        error = translated(redis.exceptions.ResponseError(text + " k:secret-tenant"))
        assert type(error) is StoreMisconfigured
        assert "secret-tenant" not in error.detail
    assert type(translated(redis.exceptions.AuthenticationError("x"))) is StoreMisconfigured
    assert re.fullmatch(r"redis: \w+", translated(OSError("10.0.0.1")).detail)
