"""The machine against a model of one value: when was the last authenticated success that still counts?"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from wellstreak_trust.connections import (
    ConnectionNotActive,
    Connections,
    Failure,
    MemoryConnectionStore,
    ProbeContext,
    ProbeResult,
    Success,
)
from wellstreak_trust.core import AuditEvent, FixedClock, Secret, UsageError
from wellstreak_trust.core.errors import NotFound

NOW = datetime(2026, 11, 24, tzinfo=UTC)
KEY = ("t1", "telegram")
STEPS = int(os.environ.get("WST_CONNECTION_STEPS", "1500"))


class Secrets:
    suspends = False

    def __init__(self) -> None:
        self.version = 1
        self.broken = ""

    async def adescribe(self, tenant_id: str, name: str) -> Secrets:
        if tenant_id == self.broken:
            raise OSError("no route to the vault")
        return self

    async def aget(self, tenant_id: str, name: str, *, version: int | None = None) -> Secret[str]:
        return Secret(f"token-{version or self.version}")


@dataclass
class Scripted:
    """A probe that answers what it is told, and may meddle while it runs."""

    answer: ProbeResult = field(default_factory=lambda: ProbeResult("ok"))
    name: str = "auth"
    kind: Any = "auth"
    required: bool = True
    timeout: timedelta = timedelta(seconds=1)
    meddle: Any = None
    error: Exception | None = None

    async def run(self, context: ProbeContext) -> ProbeResult:
        if self.meddle is not None:
            self.meddle()
        if self.error is not None:
            raise self.error
        return self.answer


class Trail:
    suspends = False

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    async def aemit(self, event: AuditEvent) -> None:
        self.events.append(event)


class World:
    def __init__(self, probes: Sequence[Scripted] | None = None) -> None:
        self.clock = FixedClock(NOW)
        self.secrets = Secrets()
        self.trail = Trail()
        self.probe = Scripted()
        self.connections = Connections(
            MemoryConnectionStore(),
            self.secrets,
            {"telegram": tuple(probes or (self.probe,))},
            audit=self.trail,
            clock=self.clock,
        )

    def define(self, **config: Any) -> Any:
        return self.connections.define("t1", "telegram", config=config, secret="telegram/bot")

    def test(self, outcome: Any = "ok", code: str = "ok", **fields: Any) -> str:
        self.probe.answer = ProbeResult(outcome, code, **fields)
        return self.connections.test("t1", "telegram").state

    def is_open(self, max_age: timedelta = timedelta(minutes=15)) -> bool:
        try:
            self.connections.require_active("t1", "telegram", max_age=max_age)
        except ConnectionNotActive:
            return False
        return True


def test_nothing_is_open_before_it_is_proved() -> None:
    world = World()
    with pytest.raises(ConnectionNotActive) as caught:
        world.connections.require_active("t1", "telegram")
    assert caught.value.reason == "unknown_connection"
    assert world.define().state == "testing"
    assert not world.is_open()
    assert world.test() == "active"
    assert world.is_open()
    world.clock.advance(timedelta(minutes=16))
    assert not world.is_open()


@pytest.mark.parametrize("code", ["unauthorized", "forbidden", "invalid_grant"])
def test_a_rejection_outranks_a_passing_fault_and_closes_at_once(code: str) -> None:
    slow = Scripted(ProbeResult("fail", "timeout"), name="slow", kind="reachability")
    rejected = Scripted(ProbeResult("ok"))
    world = World([slow, rejected])
    world.define()
    slow.answer = ProbeResult("ok")
    assert world.connections.test("t1", "telegram").state == "active"
    slow.answer, rejected.answer = ProbeResult("fail", "timeout"), ProbeResult("fail", code)
    status = world.connections.test("t1", "telegram")
    assert (status.state, status.reason) == ("failing", code)
    assert not world.is_open()


def test_reachability_alone_proves_nothing() -> None:
    world = World([Scripted(kind="reachability")])
    world.define()
    assert world.connections.test("t1", "telegram").state == "unverified"
    assert not world.is_open()


@pytest.mark.parametrize("outcome", ["skipped", "unknown", "nonsense"])
def test_only_ok_is_ok(outcome: str) -> None:
    world = World()
    world.define()
    assert world.test(outcome) == "failing"


def test_an_exception_is_never_ok_and_its_text_is_not_kept() -> None:
    world = World()
    world.define()
    world.probe.error = RuntimeError("token=xoxb-hidden")
    status = world.connections.test("t1", "telegram")
    assert status.state == "failing"
    assert "hidden" not in repr(status)


def test_two_passing_faults_do_not_close_and_three_do() -> None:
    world = World()
    world.define()
    world.test()
    assert [world.test("fail", "timeout") for _ in range(6)] == ["active", "active", *["degraded"] * 3, "failing"]
    assert not world.is_open()
    assert [world.test(), world.test()] == ["failing", "active"]


def test_fifteen_minutes_of_faults_fail_and_three_days_suspend() -> None:
    world = World()
    world.define()
    world.test()
    world.test("fail", "server_error")
    world.clock.advance(timedelta(minutes=15))
    assert world.test("fail", "server_error") == "failing"
    world.clock.advance(timedelta(hours=72))
    assert world.test("fail", "server_error") == "suspended"
    assert world.test() == "active"


def test_flapping_doubles_the_clean_tests_needed() -> None:
    world = World()
    world.define()
    world.test()
    world.test("fail", "unauthorized")
    assert [world.test(), world.test()] == ["failing", "active"]
    world.test("fail", "unauthorized")
    assert [world.test(), world.test()] == ["failing", "failing"]
    world.test("fail", "unauthorized")
    assert [world.test() for _ in range(4)] == ["failing", "failing", "failing", "active"]


def test_a_rotated_secret_closes_the_gate_at_once() -> None:
    world = World()
    world.define()
    world.test()
    world.secrets.version = 2
    with pytest.raises(ConnectionNotActive) as caught:
        world.connections.require_active("t1", "telegram")
    assert caught.value.reason == "secret_changed"
    assert world.test() == "active"
    assert world.is_open()


def test_what_changes_during_the_run_voids_it() -> None:
    for meddle in ("define", "rotate", "disable"):
        world = World()
        world.define()
        acts = {
            "define": lambda w=world: w.define(chat=2),
            "rotate": lambda w=world: setattr(w.secrets, "version", 9),
            "disable": lambda w=world: w.connections.disable("t1", "telegram", "operator"),
        }
        world.probe.meddle = acts[meddle]
        world.test()
        assert not world.is_open(), meddle


def test_operators_states() -> None:
    world = World()
    world.define()
    world.test()
    assert world.connections.disable("t1", "telegram", "incident").state == "disabled"
    with pytest.raises(ConnectionNotActive):
        world.test()
    assert world.define(chat=3).state == "disabled"
    assert world.connections.suspend("t1", "telegram", "x").state == "disabled"
    assert world.connections.enable("t1", "telegram", "fixed").state == "testing"
    assert world.connections.revoke("t1", "telegram", "left").state == "revoked"
    assert world.define(chat=4).state == "revoked"
    assert world.connections.enable("t1", "telegram", "no").state == "revoked"
    world.secrets.version = 2
    assert world.define(chat=4).state == "testing"


def test_a_probes_clock_in_the_future_buys_nothing() -> None:
    world = World()
    world.define()
    world.test(observed_at=NOW + timedelta(days=1))
    assert world.is_open()
    world.clock.advance(timedelta(minutes=16))
    assert not world.is_open()
    world.test(observed_at=world.clock.now() - timedelta(minutes=20))
    assert not world.is_open()


def test_reports_of_live_traffic() -> None:
    world = World()
    world.define()
    assert world.connections.report("t1", "telegram", Success()).state == "testing"
    world.test()
    world.clock.advance(timedelta(minutes=14))
    world.connections.report("t1", "telegram", Success(generation=1))
    world.clock.advance(timedelta(minutes=14))
    assert world.is_open()
    world.connections.report("t1", "telegram", Failure("unauthorized", generation=7))
    assert world.is_open()
    assert world.connections.report("t1", "telegram", Failure("unauthorized")).state == "failing"
    assert not world.is_open()


def test_every_edge_is_one_event() -> None:
    world = World()
    world.define()
    world.test()
    world.test()
    world.test("fail", "unauthorized")
    edges = [(dict(e.changes[0])["from"], dict(e.changes[0])["to"]) for e in world.trail.events]
    assert edges == [(None, "testing"), ("testing", "active"), ("active", "failing")]


def test_unknown_providers_and_connections() -> None:
    world = World()
    with pytest.raises(UsageError):
        world.connections.define("t1", "fax", config={})
    with pytest.raises(NotFound):
        world.connections.status("t1", "telegram")
    with pytest.raises(NotFound):
        world.connections.test("t1", "telegram")


def test_hung_probes_end_with_the_longest_deadline() -> None:
    @dataclass
    class Hung(Scripted):
        async def run(self, context: ProbeContext) -> ProbeResult:
            await asyncio.Event().wait()
            return ProbeResult("ok")

    short = timedelta(milliseconds=30)
    world = World([Hung(name="a", timeout=short), Hung(name="b", timeout=short)])
    world.define()

    async def main() -> str:
        return (await world.connections.atest("t1", "telegram")).state

    assert asyncio.run(main()) == "failing"
    assert world.connections.status("t1", "telegram").reason == "timeout"


class Machine(RuleBasedStateMachine):
    """Open implies: a counted success no older than max_age, for this generation and credential."""

    @initialize()
    def start(self) -> None:
        self.world = World()
        self.config = 0
        self.proved: datetime | None = None
        self.lost: datetime | None = None
        self.world.define(chat=0)

    def _state(self) -> str:
        return self.world.connections.status("t1", "telegram").state

    @rule()
    def redefine(self) -> None:
        self.config += 1
        self.world.define(chat=self.config)
        self.proved = self.lost = None

    @rule()
    def redefine_and_keep(self) -> None:
        self.config += 1
        world = self.world
        before = world.is_open(timedelta(days=1))
        world.connections.define(
            "t1", "telegram", config={"chat": self.config}, secret="telegram/bot", keep_previous=True
        )
        if self._state() not in ("active", "degraded"):
            self.proved = self.lost = None
        # Kept on purpose, the previous generation also outlives the rotation that its candidate is about.
        self.proved = self.proved or self.lost
        assert world.is_open(timedelta(days=1)) >= before

    @rule()
    def rotate(self) -> None:
        self.world.secrets.version += 1
        self.lost, self.proved = self.proved or self.lost, None

    @rule(minutes=st.integers(0, 20))
    def wait(self, minutes: int) -> None:
        self.world.clock.advance(timedelta(minutes=minutes))

    @precondition(lambda self: self._state() not in ("disabled", "revoked"))
    @rule(
        answer=st.sampled_from([("ok", "ok"), ("fail", "timeout"), ("fail", "unauthorized"), ("unknown", "ok")]),
        offset=st.integers(-30, 30),
    )
    def run_test(self, answer: tuple[str, str], offset: int) -> None:
        now = self.world.clock.now()
        seen = now + timedelta(minutes=offset)
        self.world.test(*answer, observed_at=seen)
        if answer[0] == "ok":
            self.proved = min(seen, now)
        elif answer[1] == "unauthorized":
            self.proved = self.lost = None

    @rule(action=st.sampled_from(["suspend", "disable", "enable"]))
    def operate(self, action: str) -> None:
        getattr(self.world.connections, action)("t1", "telegram", "because")
        if action != "enable":
            self.proved = self.lost = None

    @rule()
    def traffic(self) -> None:
        before = self.world.is_open(timedelta(days=1))
        self.world.connections.report("t1", "telegram", Success())
        if self._state() == "active" and before:
            self.proved = self.world.clock.now()
        assert self.world.is_open(timedelta(days=1)) is before

    @invariant()
    def open_only_with_fresh_proof(self) -> None:
        now = self.world.clock.now()
        for age in (timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=1)):
            if self.world.is_open(age):
                assert self._state() == "active"
                assert self.proved is not None
                assert now - self.proved <= age

    @precondition(lambda self: self._state() not in ("disabled", "revoked"))
    @rule()
    def four_clean_tests_open_it(self) -> None:
        for _ in range(4):
            self.world.test()
        self.proved = self.world.clock.now()
        assert self.world.is_open()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=STEPS // 25, stateful_step_count=25, deadline=None)


def test_switched_off_and_on_during_the_run_voids_it() -> None:
    world = World()
    world.define()

    def meddle() -> None:
        world.connections.disable(*KEY, "maintenance")
        world.connections.enable(*KEY, "over")

    world.probe.meddle = meddle
    assert world.connections.test(*KEY).state == "testing"


def test_reports_leave_a_suspended_connection_to_those_who_suspended_it() -> None:
    world = World()
    world.define()
    world.connections.test(*KEY)
    world.connections.suspend(*KEY, "abuse")
    after = world.connections.report(*KEY, Failure("unauthorized"))
    assert (after.state, after.next_check) == ("suspended", None)


def test_no_credential_is_no_new_one() -> None:
    world = World()
    world.define()
    world.connections.revoke(*KEY, "leaked")
    assert world.connections.define(*KEY, config={}).state == "revoked"
    assert world.connections.define(*KEY, config={}, secret="telegram/bot").state == "revoked"
    world.secrets.version += 1
    assert world.connections.define(*KEY, config={}, secret="telegram/bot").state == "testing"


@pytest.mark.parametrize(
    "answer",
    [
        ProbeResult("ok", observed_at=datetime(2026, 11, 24)),  # naive on purpose
        ProbeResult("ok", latency="fast"),  # type: ignore[arg-type]
        ProbeResult("ok", retry_after=5),  # type: ignore[arg-type]
        ProbeResult("ok", "unauthorized"),
    ],
    ids=["naive", "latency", "retry", "contradiction"],
)
def test_an_answer_of_another_shape_is_never_ok(answer: ProbeResult) -> None:
    world = World()
    world.define()
    world.probe.answer = answer
    assert world.connections.test(*KEY).state == "failing"
    assert asyncio.run(world.connections.atest(*KEY)).state == "failing"


def test_a_provider_may_not_put_off_the_next_check_for_ever() -> None:
    world = World()
    world.define()
    world.probe.answer = ProbeResult("fail", "rate_limited", retry_after=timedelta.max)
    status = world.connections.test(*KEY)
    assert status.next_check is not None
    assert status.next_check - NOW <= timedelta(days=1)
    after = world.connections.report(*KEY, Failure("rate_limited", retry_after=timedelta.max))
    assert after.next_check is not None
    assert after.next_check - NOW <= timedelta(days=1)


def test_a_broken_secret_store_is_a_passing_fault_of_one_connection() -> None:
    world = World()
    world.define()
    world.connections.define("zeta", "telegram", config={}, secret="telegram/bot")
    world.clock.advance(timedelta(minutes=1))
    world.secrets.broken = "t1"
    states = [status.state for status in world.connections.probe_due()]
    assert sorted(states) == ["active", "failing"]


def test_a_configuration_is_kept_as_stores_keep_it() -> None:
    world = World()
    world.define()
    shared = {"scopes": ("a", "b"), "nested": {"channel": "ops"}}
    first = world.connections.define(*KEY, config=shared, secret="telegram/bot")
    world.connections.test(*KEY)
    again = world.connections.define(*KEY, config={**shared, "scopes": ["a", "b"]}, secret="telegram/bot")
    assert (again.state, again.generation) == ("active", first.generation)
    shared["nested"]["channel"] = "other"  # type: ignore[index]
    assert world.connections.require_active(*KEY).config["nested"] == {"channel": "ops"}
    for odd in ({"at": NOW}, {"rate": float("nan")}, {"key": b"octets"}):
        with pytest.raises(UsageError):
            world.connections.define(*KEY, config=odd, secret="telegram/bot")
