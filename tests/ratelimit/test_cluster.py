"""`RedisLimitStore` on a real cluster: one node that owns every slot refuses scripts across slots like any other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import redis.asyncio

from redis_rig import Rig
from timed_redis import PATIENT
from wellstreak_trust.core.errors import ConfigurationError, StoreUnavailable
from wellstreak_trust.ratelimit import (
    AttemptGuard,
    ConcurrencyLimiter,
    LimitRule,
    RateLimiter,
    RedisLimitStore,
    RedisPort,
)
from wellstreak_trust.storage.redis.limit_scripts import SETTLE
from wellstreak_trust.storage.redis.limits import _leading

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def cluster_port(redis_cluster_url: str) -> int:
    plain = redis.Redis.from_url(redis_cluster_url, **PATIENT)
    plain.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
    deadline = time.monotonic() + 10
    while b"cluster_state:ok" not in plain.execute_command("CLUSTER", "INFO", NEVER_DECODE=True):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    port = int(plain.connection_pool.connection_kwargs["port"])
    plain.close()
    return port


@pytest.fixture
def store(cluster_port: int) -> Iterator[RedisLimitStore]:
    client = redis.RedisCluster("127.0.0.1", cluster_port, **PATIENT)
    client.flushall()
    yield RedisLimitStore(RedisPort(client))
    client.close()


RULES = [
    LimitRule("client", 5, HOUR, by=("client",)),
    LimitRule("user", 4, HOUR, by=("user",)),
    LimitRule("tenant", 3, HOUR),
    LimitRule("tenant-user", 9, HOUR, by=("user", "tenant")),
]
KEYS = {"client": "192.0.2.1", "user": "u", "tenant": "t"}


def test_a_denial_in_the_last_slot_gives_back_what_the_others_took(store: RedisLimitStore) -> None:
    api = RateLimiter(RULES, store)
    verdicts = [api.check(KEYS) for _ in range(5)]
    assert [(verdict.allowed, verdict.degraded) for verdict in verdicts] == [(True, False)] * 3 + [(False, False)] * 2
    assert verdicts[-1].violated == ("tenant",)
    assert {name: usage.remaining for name, usage in api.usage(KEYS).items()} == {
        "client": 2,
        "user": 1,
        "tenant": 0,
        "tenant-user": 6,
    }
    verdicts[0].refund()
    assert api.usage(KEYS)["client"].remaining == 3
    assert api.check(KEYS)
    api.reset(KEYS)
    assert api.usage(KEYS)["tenant"].remaining == 3


def test_a_denial_stands_whose_charges_cannot_be_given_back(cluster_port: int) -> None:
    class Half(RedisPort):
        async def script(self, script: str, keys: Any, args: Any) -> Any:
            if script == SETTLE:
                raise StoreUnavailable("the node is gone")
            return await super().script(script, keys, args)

    client = redis.RedisCluster("127.0.0.1", cluster_port, **PATIENT)
    client.flushall()
    api = RateLimiter(RULES, RedisLimitStore(Half(client)))
    found = [api.check(KEYS) for _ in range(4)]
    client.close()
    assert [(verdict.allowed, verdict.degraded) for verdict in found] == [(True, False)] * 3 + [(False, False)]
    assert found[-1].violated == ("tenant",)


def test_an_early_denial_takes_nothing_later(store: RedisLimitStore) -> None:
    api = RateLimiter(RULES, store)
    for number in range(5):
        assert api.check({**KEYS, "tenant": f"t{number}", "user": f"u{number}"})
    denied = api.check(KEYS)
    assert denied.violated == ("client",)
    assert [usage.remaining for usage in api.usage(KEYS).values()] == [0, 4, 3, 9]


def test_keys_of_a_tenant_share_a_slot_and_tenants_are_spread(store: RedisLimitStore) -> None:
    rules = [LimitRule("tenant", 3, HOUR), LimitRule("both", 9, HOUR, by=("user", "tenant"))]
    api = RateLimiter(rules, store)
    for number in range(40):
        assert api.check({"user": "u", "tenant": f"t{number}"})
    client: Any = store._port.client
    tags = {key.split(b"{")[1].split(b"}")[0] for key in client.scan_iter("wst:*")}
    assert len(tags) == 40
    assert len({client.keyslot(b"{" + tag + b"}") for tag in tags}) > 35


def test_attempts_and_leases_live_there_too(store: RedisLimitStore) -> None:
    guard = AttemptGuard(store)
    assert [guard.begin("ann", "192.0.2.1").allowed for _ in range(7)] == [True] * 5 + [False] * 2
    limiter = ConcurrencyLimiter(store, 1)
    with limiter.acquire("k"):
        assert not limiter.acquire("k")


def test_the_awaited_client(cluster_port: int) -> None:
    async def run() -> None:
        client = redis.asyncio.RedisCluster("127.0.0.1", cluster_port, **PATIENT)
        await client.flushall()
        api = RateLimiter(RULES, RedisLimitStore(RedisPort(client)))
        found = await asyncio.gather(*(api.acheck(KEYS) for _ in range(12)))
        assert sum(verdict.allowed for verdict in found) <= 3
        assert not any(verdict.degraded for verdict in found)
        await client.aclose()

    asyncio.run(run())


def test_digests_need_the_secret(store: RedisLimitStore) -> None:
    plain, keyed, other = store, *(RedisLimitStore(store._port, secret=bytes([n]) * 32) for n in (1, 2))
    key = str(RULES[0].key(KEYS))
    assert len({each._digest(key) for each in (plain, keyed, other)}) == 3


@pytest.mark.parametrize("tenant", ["a", "1:a", "|", "日本:3", "9"])
def test_a_bucket_is_placed_by_its_tenant_wherever_that_stands(tenant: str) -> None:
    keys = {"client": "c:1|", "tenant": tenant}
    for by in (("tenant",), ("client", "tenant"), ("tenant?", "client")):
        assert _leading(str(LimitRule("a|b:c", 1, HOUR, by=by).key(keys))) == tenant
    assert _leading(str(LimitRule("r", 1, HOUR, by=("client",)).key(keys))) == "c:1|"


def test_an_address_is_enough(cluster_port: int) -> None:
    address = f"redis+cluster://127.0.0.1:{cluster_port}"
    port = RedisPort.from_url(address, **PATIENT)
    assert (port.clustered, port.suspends) == (True, False)
    assert RateLimiter(RULES, RedisLimitStore(port, prefix="address")).check(KEYS).allowed
    port.client.close()
    assert RedisPort.from_url(address, asynchronous=True).clustered
    with pytest.raises(StoreUnavailable):
        RedisPort.from_url("redis+cluster://127.0.0.1:1")
    for wrong in ("redis+cluster://", "redis+cluster://host", "memcached+cluster://h:1", "redis+sentinel://h:1"):
        with pytest.raises(ConfigurationError):
            RedisPort.from_url(wrong)


def test_sentinels_name_the_master(redis_url: str, tmp_path: Path) -> None:
    master = urlsplit(redis_url)
    rig = Rig(tmp_path, mode="sentinel", config=f"sentinel monitor main {master.hostname} {master.port} 1\n")
    rig.start()
    try:
        port = RedisPort.from_url(f"redis+sentinel://127.0.0.1:{rig.port}/main", **PATIENT)
        verdict = RateLimiter([LimitRule("r", 1, HOUR)], RedisLimitStore(port, prefix="sentinel")).check(KEYS)
        assert (verdict.allowed, verdict.degraded, port.clustered) == (True, False, False)
        port.client.close()
    finally:
        rig.kill()
