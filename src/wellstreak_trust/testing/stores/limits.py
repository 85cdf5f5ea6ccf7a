"""What every store of limits, attempts and leases must do; run it against your own.

Each check is a coroutine over a store, a `FixedClock` that the store obeys, and a key that nobody else uses. Limit
stores run `LIMIT_CHECKS`, attempt stores `ATTEMPT_CHECKS`, lease stores `LEASE_CHECKS`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from ...core.clock import FixedClock
from ...ratelimit.attempt_store import AttemptKeys, AttemptPolicy, AttemptStore
from ...ratelimit.lease_store import LeaseStore
from ...ratelimit.rules import LimitRule
from ...ratelimit.store import Charge, LimitStore, Settlement

__all__ = ["ATTEMPT_CHECKS", "LEASE_CHECKS", "LIMIT_CHECKS"]

_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)
_POLICY: Final = AttemptPolicy(free=2, account_step_up=3, account_limit=6, share=3, address_step_up=4, site_step_up=50)

# --- limits ----------------------------------------------------------------------------------------------------------


async def several_rules_are_one_decision(store: LimitStore, clock: FixedClock, key: str) -> None:
    """What one rule refuses is charged to none."""
    wide, narrow = LimitRule("wide", 10, _MINUTE), LimitRule("narrow", 1, _MINUTE, algorithm="exact")
    charges = [Charge(rule, str(rule.key({"tenant": key})), 1) for rule in (wide, narrow)]
    assert (await store.take_if(charges, clock))[0]
    refused, levels = await store.take_if(charges, clock)
    assert not refused
    assert [level.remaining for level in levels] == [9, 0]
    assert all(level.mark is None for level in levels)


async def looking_takes_nothing(store: LimitStore, clock: FixedClock, key: str) -> None:
    """Without `commit` only the answer is given."""
    rule = LimitRule("r", 1, _MINUTE)
    charge = Charge(rule, str(rule.key({"tenant": key})), 1)
    for commit in (False, False, True):
        assert (await store.take_if([charge], clock, commit=commit))[0]
    assert not (await store.take_if([charge], clock))[0]


async def what_is_given_back_comes_once_and_no_more(store: LimitStore, clock: FixedClock, key: str) -> None:
    """A refund fills no bucket beyond what it took, and clearing fills it."""
    rule = LimitRule("r", 2, _MINUTE, algorithm="exact")
    charge = Charge(rule, str(rule.key({"tenant": key})), 2)
    _, (level,) = await store.take_if([charge], clock)
    assert level.mark is not None
    await store.settle([Settlement(*charge, 0, level.mark)], clock)
    assert (await store.take_if([charge], clock))[0]
    await store.clear([charge])
    assert (await store.take_if([charge], clock))[0]
    assert not (await store.take_if([charge], clock))[0]


# --- attempts --------------------------------------------------------------------------------------------------------


def _keys(key: str, place: str = "p") -> AttemptKeys:
    return AttemptKeys(f"{key}own{place}", f"{key}account", f"{key}address{place}", f"{key}site")


async def an_attempt_counts_before_it_is_judged(store: AttemptStore, clock: FixedClock, key: str) -> None:
    """The free ones pass at once; then each wait is twice the one before, and asking during it changes nothing."""
    keys = _keys(key)
    for failures in (1, 2):
        found = await store.reserve(keys, _POLICY, clock)
        assert (found.wait, found.failures) == (0, failures)
    for doubling in range(4):
        for _ in range(2):
            assert (await store.reserve(keys, _POLICY, clock)).wait == 2**doubling * 1_000_000_000
        clock.advance(2**doubling * _SECOND)
        assert (await store.reserve(keys, _POLICY, clock)).wait == 0


async def success_forgets_what_came_from_here(store: AttemptStore, clock: FixedClock, key: str) -> None:
    """And nothing of other places; a failure that was reserved before counts again."""
    here, there = _keys(key, "here"), _keys(key, "there")
    earlier = await store.reserve(here, _POLICY, clock)
    await store.reserve(there, _POLICY, clock)
    await store.reserve(here, _POLICY, clock)
    await store.clear(here, _POLICY, clock)
    assert (await store.reserve(there, _POLICY, clock)).failures == 2
    await store.record(here, _POLICY, earlier.epoch, clock)
    found = await store.reserve(here, _POLICY, clock)
    assert found.failures == 2
    await store.record(here, _POLICY, found.epoch, clock)
    clock.advance(_SECOND)
    assert (await store.reserve(here, _POLICY, clock)).failures == 3


async def success_gives_the_free_ones_back(store: AttemptStore, clock: FixedClock, key: str) -> None:
    """Whoever signed in is no longer somebody who failed."""
    keys = _keys(key)
    for _ in range(2):
        await store.reserve(keys, _POLICY, clock)
    assert (await store.reserve(keys, _POLICY, clock)).wait > 0
    await store.clear(keys, _POLICY, clock)
    found = await store.reserve(keys, _POLICY, clock)
    assert (found.wait, found.failures) == (0, 1)


async def one_place_cannot_close_an_account(store: AttemptStore, clock: FixedClock, key: str) -> None:
    """It adds `share` at most; from `account_limit` on everybody without a trusted device waits."""
    for _ in range(6):
        await store.reserve(_keys(key, "a"), _POLICY, clock)
        clock.advance(_MINUTE)
    found = await store.reserve(_keys(key, "b"), _POLICY, clock)
    assert (found.wait, found.step_up) == (0, True)
    await store.reserve(_keys(key, "b"), _POLICY, clock)
    await store.reserve(_keys(key, "c"), _POLICY, clock)
    assert (await store.reserve(_keys(key, "d"), _POLICY, clock)).wait == 1_000_000_000
    device = _keys(key, "device")._replace(account=None)
    assert (await store.reserve(device, _POLICY, clock))[:3] == (0, 1, False)


async def one_place_over_many_accounts_is_noticed(store: AttemptStore, clock: FixedClock, key: str) -> None:
    """One password on many accounts; success takes back one and no more."""
    for number in range(5):
        keys = AttemptKeys(f"{key}{number}o", f"{key}{number}a", f"{key}address", f"{key}site")
        assert (await store.reserve(keys, _POLICY, clock)).step_up is (number == 4)
    await store.clear(keys, _POLICY, clock)
    assert (await store.reserve(keys, _POLICY, clock)).step_up


async def all_is_forgotten_in_time(store: AttemptStore, clock: FixedClock, key: str) -> None:
    """After `forget_after` without an attempt."""
    keys = _keys(key)
    for _ in range(2):
        await store.reserve(keys, _POLICY, clock)
    clock.advance(_POLICY.forget_after)
    found = await store.reserve(keys, _POLICY, clock)
    assert (found.failures, found.step_up) == (1, False)


# --- leases ----------------------------------------------------------------------------------------------------------


async def places_are_bounded(store: LeaseStore, clock: FixedClock, key: str) -> None:
    """Leaving frees one, and leaving twice frees no other."""
    assert (await store.take_place(key, "a", 2, _MINUTE, clock))[:2] == (True, 1)
    clock.advance(_SECOND)
    assert (await store.take_place(key, "b", 2, _MINUTE, clock))[:2] == (True, 2)
    assert await store.take_place(key, "c", 2, _MINUTE, clock) == (False, 2, 59_000_000_000)
    for _ in range(2):
        await store.leave(key, "a", clock)
    assert (await store.take_place(key, "c", 2, _MINUTE, clock)).taken
    assert not (await store.take_place(key, "d", 2, _MINUTE, clock)).taken


async def a_crashed_holder_leaves_in_time(store: LeaseStore, clock: FixedClock, key: str) -> None:
    """A lease ends at its end, unless it was renewed; one that has ended cannot be."""
    await store.take_place(key, "a", 2, _MINUTE, clock)
    await store.take_place(key, "b", 2, _MINUTE, clock)
    clock.advance(_MINUTE - _SECOND)
    assert await store.extend(key, "b", _MINUTE, clock)
    clock.advance(_SECOND)
    assert not await store.extend(key, "a", _MINUTE, clock)
    assert (await store.take_place(key, "c", 2, _MINUTE, clock))[:2] == (True, 2)
    assert not await store.extend(key, "nobody", _MINUTE, clock)


LIMIT_CHECKS: Final = (
    several_rules_are_one_decision,
    looking_takes_nothing,
    what_is_given_back_comes_once_and_no_more,
)
ATTEMPT_CHECKS: Final = (
    an_attempt_counts_before_it_is_judged,
    success_forgets_what_came_from_here,
    success_gives_the_free_ones_back,
    one_place_cannot_close_an_account,
    one_place_over_many_accounts_is_noticed,
    all_is_forgotten_in_time,
)
LEASE_CHECKS: Final = (places_are_bounded, a_crashed_holder_leaves_in_time)
