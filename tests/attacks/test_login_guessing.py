"""Guesses that passed a counter elsewhere: raced, spread over accounts, or used to lock the owner out."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from wellstreak_trust.core import FixedClock
from wellstreak_trust.ratelimit import AttemptGuard, LimitRule, MemoryLimitStore, RateLimiter

HOUR = timedelta(hours=1)
HERE, THERE = "203.0.113.7", "198.51.100.9"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 24, 12, 0, tzinfo=UTC))


@pytest.mark.asvs("15.4.2")
def test_django_axes_592_concurrent_guesses_pass_no_check_before_the_first_is_counted() -> None:
    """The usual order (look, verify, count) beside ours, with the same crowd: it looks at the secret far too often."""
    looked = {"look first": 0, "reserve first": 0}
    lock, start = threading.Lock(), threading.Barrier(16)
    limiter = RateLimiter([LimitRule("login", 5, HOUR, by=("account",))], MemoryLimitStore())
    guard = AttemptGuard(MemoryLimitStore())

    def verify(way: str) -> None:
        with lock:
            looked[way] += 1
        time.sleep(0.05)

    def guess(_: int) -> None:
        start.wait()
        if limiter.peek({"account": "ann"}, 1):
            verify("look first")
            limiter.check({"account": "ann"})
        start.wait()
        if guard.begin("ann", HERE):
            verify("reserve first")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(guess, range(16)))
    assert looked["reserve first"] == 5
    assert looked["look first"] > 5


def test_a_stranger_cannot_lock_the_owner_out(clock: FixedClock) -> None:
    """The lockout as a weapon: 1,000 guesses of somebody else, and the owner signs in at once."""
    guard = AttemptGuard(MemoryLimitStore(), clock=clock)
    for _ in range(1_000):
        guard.begin("ann", THERE)
        clock.advance(timedelta(seconds=10))
    assert guard.begin("ann", HERE).allowed


def test_knocking_during_the_wait_does_not_lengthen_it(clock: FixedClock) -> None:
    guard = AttemptGuard(MemoryLimitStore(), clock=clock)
    for _ in range(200):
        guard.begin("ann", HERE)
    clock.advance(timedelta(seconds=1))
    assert guard.begin("ann", HERE).allowed


def test_a_known_and_an_unknown_account_are_counted_alike(clock: FixedClock) -> None:
    guard = AttemptGuard(MemoryLimitStore(), clock=clock)
    seen = {}
    for account in ("ann", "nobody-of-that-name"):
        found = [guard.begin(account, HERE) for _ in range(9)]
        seen[account] = [(a.allowed, a.retry_after, a.failures, a.step_up) for a in found]
    assert seen["ann"] == seen["nobody-of-that-name"]


def test_signing_in_to_an_own_account_hides_no_spraying(clock: FixedClock) -> None:
    guard = AttemptGuard(MemoryLimitStore(), clock=clock, address_step_up=20)
    for number in range(21):
        guard.begin(f"victim-{number}", HERE).fail()
        guard.begin("mallory", HERE).succeed()
    assert guard.begin("victim-21", HERE).step_up


def test_many_addresses_of_one_line_are_one_place(clock: FixedClock) -> None:
    guard = AttemptGuard(MemoryLimitStore(), clock=clock)
    assert sum(guard.begin("ann", f"2001:db8:0:1::{host:x}").allowed for host in range(1, 50)) == 5


def test_the_table_cannot_be_flushed_by_inventing_accounts(clock: FixedClock) -> None:
    """A bounded table that evicts what was used least recently forgets the wait of whoever is being guessed."""
    guard = AttemptGuard(MemoryLimitStore(max_keys=1_000), clock=clock)
    for _ in range(5):
        guard.begin("ann", HERE)
    for number in range(3_000):
        guard.begin(f"invented-{number}", f"10.{number % 250}.{number // 250}.1")
    assert not guard.begin("ann", HERE)
