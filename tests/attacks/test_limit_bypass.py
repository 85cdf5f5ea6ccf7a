"""Ways around a limit that worked elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wellstreak_trust import RequestFacts
from wellstreak_trust.core import FixedClock, UsageError
from wellstreak_trust.origin import ClientAddress
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 24, 12, 0, 59, tzinfo=UTC))


def test_no_doubling_around_a_window_boundary(clock: FixedClock) -> None:
    """Fixed windows admit twice the limit within a second."""
    for rule in (LimitRule("r", 10, MINUTE, burst=1), LimitRule("r", 10, MINUTE, algorithm="exact")):
        api = RateLimiter([rule], MemoryLimitStore(), clock)
        passed = 0
        for _ in range(200):
            passed += api.check({"tenant": "t"}).allowed
            clock.advance(timedelta(milliseconds=10))
        assert passed <= 10


def test_a_negative_cost_reopens_no_bucket(clock: FixedClock) -> None:
    api = RateLimiter([LimitRule("r", 1, MINUTE)], MemoryLimitStore(), clock)
    taken = api.check({"tenant": "t"})
    for attempt in (lambda: api.check({"tenant": "t"}, -5), lambda: taken.settle(-5)):
        with pytest.raises(UsageError):
            attempt()
    assert not api.check({"tenant": "t"})


def test_no_tenant_spends_or_escapes_anothers_budget(clock: FixedClock) -> None:
    """flask-limiter #208, and joins with a separator: ("a:b", "c") was ("a", "b:c")."""
    api = RateLimiter([LimitRule("r", 1, MINUTE, by=("tenant", "user"))], MemoryLimitStore(), clock)
    for tenant, user in (("a:b", "c"), ("a", "b:c"), ("a|b", "c"), ("1:a", "c"), ("a", "1:ac")):
        assert api.check({"tenant": tenant, "user": user}).allowed


def test_knocking_on_a_closed_door_does_not_keep_it_closed(clock: FixedClock) -> None:
    api = RateLimiter([LimitRule("r", 1, MINUTE)], MemoryLimitStore(), clock)
    api.check({"tenant": "t"})
    for _ in range(59):
        clock.advance(timedelta(seconds=1))
        assert not api.check({"tenant": "t"})
    clock.advance(timedelta(seconds=1))
    assert api.check({"tenant": "t"})


def test_rotating_addresses_is_one_customer(clock: FixedClock) -> None:
    """express-rate-limit CVE-2026-30827 and #502: mapped spellings, and one of 2^64 addresses a request."""
    address = ClientAddress()
    api = RateLimiter([LimitRule("client", 3, MINUTE, by=("client",))], MemoryLimitStore(), clock)

    def passed(*peers: str) -> int:
        keys = ({"client": address.key(RequestFacts("GET", "https://x/", peer=peer))} for peer in peers)
        return sum(api.check(key).allowed for key in keys)

    assert passed(*(f"2001:db8:0:1::{host:x}" for host in range(1, 50))) == 3
    assert passed("1.2.3.4", "::ffff:1.2.3.4", "::ffff:102:304", "1.2.3.4") == 3


def test_refund_and_retry_is_no_pump(clock: FixedClock) -> None:
    api = RateLimiter([LimitRule("r", 3, MINUTE)], MemoryLimitStore(), clock)
    old = [api.check({"tenant": "t"}) for _ in range(3)]
    passed = 0
    for verdict in old:
        clock.advance(MINUTE)
        verdict.refund()
        verdict.refund()
        burst = [api.check({"tenant": "t"}) for _ in range(10)]
        passed += sum(v.allowed for v in burst)
    assert passed == 9


def test_a_cost_above_the_limit_is_refused_for_good(clock: FixedClock) -> None:
    """limits #151: a cost that no window can ever hold was admitted."""
    for rule in (
        LimitRule("r", 3, MINUTE),
        LimitRule("r", 3, MINUTE, algorithm="exact"),
        LimitRule("r", 3, "minute", algorithm="calendar"),
    ):
        api = RateLimiter([rule], MemoryLimitStore(), clock)
        verdict = api.check({"tenant": "t"}, 4)
        assert (verdict.allowed, verdict.retry_after, verdict.headers().get("Retry-After")) == (False, None, None)
        assert api.check({"tenant": "t"}, 3)


def test_a_store_that_fails_answers_no_500(clock: FixedClock) -> None:
    """flask-limiter #319: an unreachable store took the whole site down."""

    class Down:
        suspends = False

        async def take_if(self, *_: object, **__: object) -> object:
            raise RuntimeError("threads can only be started once")

    api = RateLimiter([LimitRule("r", 1, MINUTE)], Down(), clock)  # type: ignore[arg-type]  # down in all verbs
    assert [api.check({"tenant": "t"}).allowed for _ in range(3)] == [True, False, False]
