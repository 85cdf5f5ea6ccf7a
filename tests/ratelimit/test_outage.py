"""A store that fails: every rule's declared policy, the circuit, and nothing of the driver's that escapes."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wellstreak_trust.core import ConfigurationError, FixedClock
from wellstreak_trust.core.errors import StoreMisconfigured, StoreUnavailable
from wellstreak_trust.ratelimit import CircuitPolicy, Level, LimitRule, MemoryLimitStore, RateLimited, RateLimiter
from wellstreak_trust.telemetry.counters import Counters

KEYS = {"tenant": "t1"}
MINUTE = timedelta(minutes=1)


class Failing:
    """A real store behind a line that can be cut; `answer` replaces what it says."""

    suspends = False

    def __init__(self, fault: BaseException | None = None, answer: Any = None) -> None:
        self.fault = fault
        self.answer = answer
        self.calls = 0
        self.inner = MemoryLimitStore()

    async def take_if(self, charges, clock, *, commit=True):
        self._fail()
        return await self.inner.take_if(charges, clock, commit=commit) if self.answer is None else self.answer

    async def settle(self, settlements, clock):
        self._fail()
        await self.inner.settle(settlements, clock)

    async def clear(self, charges):
        self._fail()
        await self.inner.clear(charges)

    def _fail(self) -> None:
        self.calls += 1
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 24, 12, tzinfo=UTC))


def rule(on_outage: str = "local", name: str = "r", limit: int = 6, **given) -> LimitRule:
    return LimitRule(name, limit, MINUTE, on_outage=on_outage, **given)  # type: ignore[arg-type]  # a parameter


FAULTS = [
    StoreUnavailable("down"), StoreMisconfigured("no rights"), ConnectionRefusedError(), ConnectionResetError(),
    TimeoutError(), OSError(), RuntimeError("threads can only be started once"),
    ValueError(), TypeError(), KeyError("x"), IndexError(),
    AttributeError(), UnicodeDecodeError("utf-8", b"", 0, 1, ""), RecursionError(), MemoryError(), AssertionError(),
    ZeroDivisionError(), EOFError(), StopAsyncIteration(), Exception(),
]  # fmt: skip
ANSWERS = [(), (True,), (True, None), (True, []), (1, []), "yes", 7, 1.0, True, (None, [1]), (True, [(0, 1, 1, None)]),
           (True, [Level(0, 1, 1, None)] * 2), ("true", [Level(0, 1, 1, None)])]  # fmt: skip


@pytest.mark.parametrize(
    "store",
    [*map(Failing, FAULTS), *(Failing(answer=answer) for answer in ANSWERS)],
    ids=lambda store: f"{type(store.fault).__name__}-{store.answer!r}"[:60],
)
def test_each_policy_under_every_fault(store: Failing, clock: FixedClock) -> None:
    for on_outage, admitted in (("closed", 0), ("local", 6), ("open", 20)):
        api = RateLimiter([rule(on_outage)], store, clock)  # type: ignore[arg-type]  # a store by shape
        verdicts = [api.check(KEYS) for _ in range(20)]
        assert sum(v.allowed for v in verdicts) == admitted
        assert all(v.degraded for v in verdicts)
        assert [v.outage for v in verdicts] == [on_outage == "closed"] * 20


@pytest.mark.asvs("16.5.2")
def test_only_five_callers_pay_for_a_dead_store_and_one_probe_a_second(clock: FixedClock) -> None:
    store = Failing(TimeoutError())
    counters = Counters()
    api = RateLimiter([rule("open")], store, clock, metrics=counters)  # type: ignore[arg-type]  # a store by shape
    for _ in range(50):
        api.check(KEYS)
    assert store.calls == 5
    for _ in range(3):
        clock.advance(timedelta(seconds=1.2))
        for _ in range(10):
            assert api.check(KEYS).degraded
    assert store.calls == 8
    store.fault = None
    clock.advance(timedelta(seconds=1.2))
    assert not api.check(KEYS).degraded
    assert not api.check(KEYS).degraded
    seen = {labels[0][1]: value for (name, labels), value in counters.snapshot().items() if name.endswith("circuit")}
    assert seen == {"open": 1, "closed": 1}


def test_failures_that_are_not_consecutive_open_nothing(clock: FixedClock) -> None:
    store = Failing()
    api = RateLimiter([rule("open")], store, clock)  # type: ignore[arg-type]  # a store by shape
    for _ in range(10):
        store.fault = TimeoutError()
        for _ in range(4):
            assert api.check(KEYS).degraded
        store.fault = None
        assert not api.check(KEYS, 0).degraded
    assert store.calls == 50


def test_a_misconfigured_store_is_told_once(clock: FixedClock, caplog: pytest.LogCaptureFixture) -> None:
    store = Failing(StoreMisconfigured("NOPERM"))
    api = RateLimiter([rule()], store, clock)  # type: ignore[arg-type]  # a store by shape
    with caplog.at_level(logging.ERROR):
        for _ in range(20):
            api.check(KEYS)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_one_closed_rule_denies_and_says_when_the_next_probe_is(clock: FixedClock) -> None:
    store = Failing(TimeoutError())
    rules = [rule("open", "a"), rule("closed", "b"), rule("local", "c"), rule("closed", "dark", mode="shadow")]
    api = RateLimiter(rules, store, clock, circuit=CircuitPolicy(failures=1))  # type: ignore[arg-type]  # a store by shape
    verdict = api.check(KEYS)
    assert (verdict.allowed, verdict.violated, verdict.shadow_denied) == (False, ("b",), ())
    assert timedelta(seconds=1) <= verdict.retry_after <= timedelta(seconds=1.1)
    problem = verdict.problem()
    assert (problem["status"], problem["code"]) == (503, "unavailable")
    assert problem["type"].endswith("#temporary-reduced-capacity")
    assert RateLimited(verdict).status == 503
    assert int(verdict.headers()["Retry-After"]) in (1, 2)
    assert api.usage(KEYS)["b"].remaining == 0
    assert api.check(KEYS, 0).allowed


def test_local_counters_are_divided_by_the_replicas(clock: FixedClock) -> None:
    for replicas, admitted in ((1, 12), (4, 3), (100, 1)):
        for given in ({}, {"algorithm": "exact"}, {"burst": 12}):
            api = RateLimiter([rule(limit=12, **given)], Failing(TimeoutError()), clock, replicas=replicas)  # type: ignore[arg-type]  # a store by shape
            assert sum(api.check(KEYS).allowed for _ in range(20)) == admitted
    tight = RateLimiter([rule(limit=12, burst=1)], Failing(TimeoutError()), clock, replicas=4)  # type: ignore[arg-type]  # a store by shape
    assert [tight.check(KEYS).allowed, tight.check(KEYS).allowed] == [True, False]


def test_local_charges_are_given_back_locally_and_others_are_lost_in_peace(clock: FixedClock) -> None:
    store = Failing()
    api = RateLimiter([rule()], store, clock)  # type: ignore[arg-type]  # a store by shape
    before = api.check(KEYS, 4)
    store.fault = TimeoutError()
    before.refund()
    api.check(KEYS, 5).refund()
    with api.hold(KEYS, 6) as verdict:
        assert (verdict.degraded, verdict.remaining) == (True, 0)
    store.fault = None
    assert api.check(KEYS, 0).remaining == 2
    for _ in range(5):
        store.fault = TimeoutError()
        api.check(KEYS)
    calls = store.calls
    before = api.check(KEYS)
    before.settle(3)
    assert store.calls == calls


def test_a_reset_that_did_not_happen_says_so(clock: FixedClock) -> None:
    api = RateLimiter([rule()], Failing(TimeoutError()), clock)  # type: ignore[arg-type]  # a store by shape
    with pytest.raises(StoreUnavailable):
        api.reset(KEYS)


def test_a_bug_of_the_host_is_no_outage(clock: FixedClock) -> None:
    api = RateLimiter([rule("open")], Failing(ConfigurationError("use acheck")), clock)  # type: ignore[arg-type]  # a store by shape
    for call in (api.check, api.reset):
        with pytest.raises(ConfigurationError):
            call(KEYS)
    store = Failing()
    verdict = RateLimiter([rule("open")], store, clock).check(KEYS)  # type: ignore[arg-type]  # a store by shape
    store.fault = ConfigurationError("closed by the host")
    with pytest.raises(ConfigurationError):
        verdict.refund()


class Suspending(Failing):
    suspends = True

    async def take_if(self, charges, clock, *, commit=True):
        await asyncio.sleep(0)
        return await super().take_if(charges, clock, commit=commit)


def test_a_store_that_suspends_is_awaited(clock: FixedClock) -> None:
    api = RateLimiter([rule("closed")], Suspending(), clock)  # type: ignore[arg-type]  # a store by shape
    for call in (api.check, api.peek, api.usage, api.reset):
        with pytest.raises(ConfigurationError, match="asynchronous") as refused:
            call(KEYS)
        assert "`a` in front" in refused.value.hint
    with pytest.raises(ConfigurationError), api.hold(KEYS):
        pytest.fail("the body must not run")

    async def run() -> None:
        verdict = await api.acheck(KEYS, 2)
        assert (verdict.remaining, verdict.suspends) == (4, True)
        with pytest.raises(ConfigurationError):
            verdict.refund()
        await verdict.arefund()
        assert (await api.apeek(KEYS)).remaining == 6

    asyncio.run(run())


def test_a_cancelled_check_is_no_outage(clock: FixedClock) -> None:
    class Hanging(Suspending):
        async def take_if(self, charges, clock, *, commit=True):
            await asyncio.sleep(60)

    api = RateLimiter([rule("open")], Hanging(), clock)  # type: ignore[arg-type]  # a store by shape

    async def run() -> None:
        task = asyncio.create_task(api.acheck(KEYS))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert api._circuit._failures == 0

    asyncio.run(run())


@pytest.mark.parametrize("wrong", [{"failures": 0}, {"failures": True}, {"probe_every": timedelta(0)}])
def test_a_circuit_needs_positive_numbers(wrong: dict) -> None:
    with pytest.raises(ConfigurationError):
        CircuitPolicy(**wrong)


def test_a_limiter_says_when_it_does_without_its_store(clock: FixedClock) -> None:
    api = RateLimiter([rule()], MemoryLimitStore(), clock)
    assert not api.degraded
    for _ in range(5):
        api._circuit.failed(OSError())
    assert api.degraded
    assert api.select(lambda _: True).degraded
    api._circuit.worked()
    assert not api.degraded


def test_verdicts_are_counted_by_rule_and_never_by_key(clock: FixedClock) -> None:
    counters = Counters()
    api = RateLimiter(
        [rule(limit=1), rule(limit=1, name="dark", mode="shadow")], MemoryLimitStore(), clock, metrics=counters
    )
    api.check(KEYS)
    api.check(KEYS)
    assert {labels: value for (_, labels), value in counters.snapshot().items()} == {
        (("degraded", "false"), ("outcome", "allowed"), ("rule", "all")): 1,
        (("degraded", "false"), ("outcome", "denied"), ("rule", "r")): 1,
        (("degraded", "false"), ("outcome", "shadow_denied"), ("rule", "dark")): 1,
    }
