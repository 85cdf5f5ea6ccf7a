"""`LimitsStore` over storages of the `limits` package."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from limits.aio.storage import MemoryStorage as AsyncMemoryStorage
from limits.storage import MemoryStorage

from wellstreak_trust.core import ConfigurationError, FixedClock
from wellstreak_trust.ratelimit import LimitRule, LimitsStore, MemoryLimitStore, RateLimiter

KEYS = {"tenant": "t"}
DAY = LimitRule("day", 5, "day", algorithm="calendar")
HOUR = LimitRule("hour", 3, "hour", algorithm="calendar", cost=1)


def test_it_decides_like_memory_where_nobody_else_counts(clock: FixedClock) -> None:
    pair = [RateLimiter([DAY, HOUR], store, clock) for store in (LimitsStore("memory://", clock=clock), None)]
    for cost, wait in ((1, 0), (2, 0), (1, 40), (0, 0), (9, 0), (1, 0), (2, 30), (1, 24 * 60), (3, 0)):
        clock.advance(timedelta(minutes=wait))
        ours, theirs = (api.check(KEYS, cost) for api in pair)
        for name in ("allowed", "violated", "remaining", "reset_after", "retry_after", "degraded"):
            assert getattr(ours, name) == getattr(theirs, name), (name, cost)
    for api in pair:
        api.reset(KEYS)
    assert pair[0].usage(KEYS) == pair[1].usage(KEYS)


def test_more_is_charged_and_what_is_given_back_is_lost(clock: FixedClock) -> None:
    api = RateLimiter([DAY], LimitsStore(MemoryStorage(), clock=clock), clock)
    api.check(KEYS).settle(3)
    assert api.usage(KEYS)["day"].remaining == 2
    api.check(KEYS).refund()
    assert api.usage(KEYS)["day"].remaining == 1


def test_a_crowd_never_gets_more(clock: FixedClock) -> None:
    rule = LimitRule("day", 20, "day", algorithm="calendar")
    api = RateLimiter([rule], LimitsStore(MemoryStorage(), clock=clock), clock)
    with ThreadPoolExecutor(8) as pool:
        admitted = sum(verdict.allowed for verdict in pool.map(lambda _: api.check(KEYS), range(80)))
    assert 0 < admitted <= 20


def test_an_asynchronous_storage(clock: FixedClock) -> None:
    api = RateLimiter([DAY], LimitsStore(AsyncMemoryStorage(), clock=clock), clock)
    with pytest.raises(ConfigurationError, match="asynchronous"):
        api.check(KEYS)

    async def run() -> int:
        return sum([(await api.acheck(KEYS)).allowed for _ in range(9)])

    assert asyncio.run(run()) == 5


def test_a_storage_that_fails_is_an_outage(clock: FixedClock) -> None:
    class Down(MemoryStorage):
        def get(self, key: str) -> int:
            raise ConnectionError(key)

    verdict = RateLimiter([DAY], LimitsStore(Down(), clock=clock), clock).check(KEYS)
    assert (verdict.allowed, verdict.degraded) == (True, True)


def test_only_calendar_rules_fit(clock: FixedClock) -> None:
    api = RateLimiter([LimitRule("r", 1, timedelta(minutes=1))], LimitsStore("memory://"), clock)
    with pytest.raises(ConfigurationError, match="calendar"):
        api.check(KEYS)


@pytest.mark.parametrize("wrong", [None, 5, "nowhere://x", "", MemoryLimitStore], ids=str)
def test_what_is_no_storage(wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        LimitsStore(wrong)
