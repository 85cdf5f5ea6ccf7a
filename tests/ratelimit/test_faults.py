"""A real server that pauses, dies, comes back, is full, read-only or closed to us."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

import servers
from redis_rig import Rig
from wellstreak_trust.ratelimit import AttemptGuard, LimitRule, RateLimiter, RedisLimitStore, RedisPort, Verdict

MINUTE = timedelta(minutes=1)
KEYS = {"tenant": "t"}
POLICIES = ("local", "open", "closed")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    try:
        rig = Rig(tmp_path)
    except servers.Unavailable as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    rig.start()
    yield rig
    rig.kill()


def limiters(rig: Rig) -> dict[str, RateLimiter]:
    store = RedisLimitStore(RedisPort.from_url(rig.url))
    return {policy: RateLimiter([LimitRule(policy, 3, MINUTE, on_outage=policy)], store) for policy in POLICIES}  # type: ignore[arg-type]  # literals


def admitted(api: RateLimiter, times: int = 8) -> tuple[int, bool]:
    found = [api.check(KEYS) for _ in range(times)]
    return sum(verdict.allowed for verdict in found), all(verdict.degraded for verdict in found)


def recovered(api: RateLimiter) -> Verdict:
    """The first verdict of the store after an outage; at most two seconds."""
    deadline = time.monotonic() + 20  # a busy machine; bench/ratelimit_redis.py measures
    while (verdict := api.check(KEYS, 0)).degraded:
        assert time.monotonic() < deadline, "the circuit did not close"
        time.sleep(0.05)
    return verdict


@contextmanager
def paused(rig: Rig) -> Iterator[None]:
    rig.pause()
    yield
    rig.resume()


@contextmanager
def killed(rig: Rig) -> Iterator[None]:
    rig.kill()
    yield
    rig.start()


@contextmanager
def read_only(rig: Rig) -> Iterator[None]:
    client = redis.Redis.from_url(rig.url, socket_timeout=5)
    client.replicaof("127.0.0.1", "1")
    yield
    client.replicaof("NO", "ONE")


@contextmanager
def full(rig: Rig) -> Iterator[None]:
    client = redis.Redis.from_url(rig.url, socket_timeout=5)
    client.config_set("maxmemory", 1)
    yield
    client.config_set("maxmemory", 0)


@contextmanager
def forbidden(rig: Rig) -> Iterator[None]:
    client = redis.Redis.from_url(rig.url, socket_timeout=5)
    client.execute_command("ACL", "SETUSER", "default", "-@scripting")
    yield
    client.execute_command("ACL", "SETUSER", "default", "+@scripting")


@pytest.mark.parametrize("fault", [paused, killed, read_only, full, forbidden], ids=lambda fault: fault.__name__)
def test_the_declared_policy_decides_and_the_store_comes_back(rig: Rig, fault: Any) -> None:
    apis = limiters(rig)
    guard = AttemptGuard(apis["local"].store.attempts())  # type: ignore[attr-defined]  # a RedisLimitStore
    for api in apis.values():
        assert not api.check(KEYS).degraded
    with fault(rig):
        assert {policy: admitted(api) for policy, api in apis.items()} == {
            "local": (3, True),
            "open": (8, True),
            "closed": (0, True),
        }
        attempts = [guard.begin("ann", "203.0.113.7") for _ in range(8)]
        assert sum(attempt.allowed for attempt in attempts) == 5
    for api in apis.values():
        assert recovered(api).allowed


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # asyncio leaves a cut connect to the collector
def test_a_paused_server_does_not_stall_the_loop(rig: Rig) -> None:
    async def run() -> tuple[float, int]:
        port = RedisPort.from_url(rig.url, asynchronous=True)
        api = RateLimiter([LimitRule("r", 3, MINUTE)], RedisLimitStore(port))
        await api.acheck(KEYS)
        rig.pause()
        longest, stop = 0.0, False

        async def watch() -> None:
            nonlocal longest
            while not stop:
                before = time.monotonic()
                await asyncio.sleep(0.001)
                longest = max(longest, time.monotonic() - before)

        watching = asyncio.create_task(watch())
        found = await asyncio.wait_for(asyncio.gather(*(api.acheck(KEYS) for _ in range(200))), 30)
        stop = True
        await watching
        rig.resume()
        await port.client.aclose()
        return longest, sum(verdict.allowed for verdict in found)

    longest, allowed = asyncio.run(run())
    gc.collect()  # here, where it is expected
    assert allowed == 3
    assert longest < 5  # a blocking call would hold the loop for 200 time-outs of 50 ms
