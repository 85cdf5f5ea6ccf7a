"""Candidates: a new generation proves itself while the previous one carries traffic."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wellstreak_trust.connections import (
    ConnectionNotActive,
    Connections,
    Failure,
    MemoryConnectionStore,
    ProbeContext,
    ProbeResult,
    Success,
)
from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.errors import SecretShredded
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretStore

KEY = ("acme", "chat")
MINUTE = timedelta(minutes=1)


@dataclass
class Provider:
    """Accepts some tokens for some channels, and remembers what it was asked."""

    good: set[str] = field(default_factory=lambda: {"one"})
    channels: set[str] = field(default_factory=lambda: {"ops"})
    asked: list[tuple[int, str, str]] = field(default_factory=list)
    down: bool = False
    name: str = "whoami"
    kind: Any = "auth"
    required: bool = True
    timeout: timedelta = timedelta(seconds=1)

    async def run(self, context: ProbeContext) -> ProbeResult:
        token = str(context.secret.reveal()) if context.secret is not None else ""
        channel = context.config["channel"]
        self.asked.append((context.generation, token, channel))
        if self.down:
            return ProbeResult("fail", "timeout")
        if token not in self.good:
            return ProbeResult("fail", "unauthorized")
        return ProbeResult("ok") if channel in self.channels else ProbeResult("fail", "bad_response")


class World:
    def __init__(self, key_path: Any) -> None:
        self.clock = FixedClock(datetime(2026, 11, 24, tzinfo=UTC))
        self.secrets = SecretStore(
            MemorySecretBackend(), KeyChain([LocalKeyProvider.generate(key_path)]), clock=self.clock
        )
        self.secrets.put("acme", "bot", "one")
        self.provider = Provider()
        self.connections = Connections(
            MemoryConnectionStore(), self.secrets, {"chat": [self.provider]}, clock=self.clock
        )
        self.define("ops", keep=False)
        assert self.connections.test(*KEY).state == "active"

    def define(self, channel: str, *, keep: bool = True) -> Any:
        return self.connections.define(*KEY, config={"channel": channel}, secret="bot", keep_previous=keep)

    def gate(self, max_age: timedelta = timedelta(minutes=15)) -> Any:
        return self.connections.require_active(*KEY, max_age=max_age)


@pytest.fixture
def world(tmp_path: Any) -> World:
    return World(tmp_path / "kek.json")


def test_the_previous_generation_carries_traffic_until_the_new_one_is_proved(world: World) -> None:
    status = world.define("alerts")
    assert (status.state, status.generation, status.candidate) == ("active", 1, (2, "not_tested"))
    assert world.gate().config["channel"] == "ops"
    status = world.connections.test(*KEY)
    assert (status.state, status.generation, status.candidate) == ("active", 1, (2, "bad_response"))
    assert world.gate().config["channel"] == "ops"
    world.provider.channels.add("alerts")
    status = world.connections.test(*KEY)
    assert (status.state, status.generation, status.candidate) == ("active", 2, None)
    assert (world.gate().generation, world.gate().config["channel"]) == (2, "alerts")


def test_while_a_candidate_fails_the_generation_in_use_is_kept_fresh(world: World) -> None:
    world.define("nowhere")
    for _ in range(5):
        world.clock.advance(10 * MINUTE)
        world.connections.test(*KEY)
        assert world.gate().generation == 1
    assert {generation for generation, _, _ in world.provider.asked} == {1, 2}


def test_a_rejected_candidate_closes_nothing_and_a_rejected_generation_in_use_does(world: World) -> None:
    world.secrets.put("acme", "other", "wrong")
    world.connections.define(*KEY, config={"channel": "ops"}, secret="other", keep_previous=True)
    assert world.connections.test(*KEY).candidate == (2, "unauthorized")
    assert world.gate().generation == 1
    world.provider.good.clear()
    assert world.connections.test(*KEY).state == "failing"
    with pytest.raises(ConnectionNotActive):
        world.gate()


def test_a_rotation_that_is_kept_is_read_at_the_version_the_gate_names(world: World) -> None:
    ref = world.secrets.rotate("acme", "bot", "two", overlap=timedelta(hours=1))
    with pytest.raises(ConnectionNotActive) as closed:
        world.gate()
    assert closed.value.reason == "secret_changed"
    world.define("ops")
    active = world.gate()
    assert (active.generation, active.secret_version) == (1, ref.version - 1)
    assert world.secrets.get("acme", "bot", version=active.secret_version).reveal() == "one"
    assert world.connections.test(*KEY).candidate == (2, "unauthorized")
    assert world.provider.asked[-2:] == [(2, "two", "ops"), (1, "one", "ops")]
    world.provider.good.add("two")
    world.connections.test(*KEY)
    assert (world.gate().generation, world.gate().secret_version) == (2, ref.version)


def test_a_second_rotation_behind_the_candidate_closes(world: World) -> None:
    world.secrets.rotate("acme", "bot", "two", overlap=timedelta(hours=1))
    world.define("ops")
    world.secrets.rotate("acme", "bot", "three", overlap=timedelta(hours=1))
    with pytest.raises(ConnectionNotActive) as closed:
        world.gate()
    assert closed.value.reason == "secret_changed"


def test_going_back_drops_the_candidate_and_another_change_replaces_it(world: World) -> None:
    world.define("alerts")
    assert world.define("other").candidate == (3, "not_tested")
    assert world.define("other").candidate == (3, "not_tested")
    assert world.define("ops").candidate is None
    world.define("alerts")
    changed = world.define("other", keep=False)
    assert (changed.state, changed.generation, changed.candidate) == ("testing", 3, None)


def test_operators_drop_the_candidate_and_only_what_is_proved_can_wait(world: World) -> None:
    world.define("alerts")
    assert world.connections.suspend(*KEY, "an incident").candidate is None
    status = world.define("alerts")
    assert (status.state, status.candidate) == ("testing", None)


def test_reports_of_the_previous_generation_still_count_for_it(world: World) -> None:
    world.define("alerts")
    world.clock.advance(14 * MINUTE)
    world.connections.report(*KEY, Success(generation=1))
    world.clock.advance(14 * MINUTE)
    assert world.gate().generation == 1
    world.connections.report(*KEY, Failure("unauthorized", generation=2))
    assert world.gate().generation == 1
    assert world.connections.report(*KEY, Failure("unauthorized", generation=1)).state == "failing"


def test_a_candidate_that_was_changed_during_its_test_is_not_promoted(world: World) -> None:
    world.define("alerts")
    world.provider.channels.add("alerts")
    ask = world.provider.run

    async def meddling(context: ProbeContext) -> ProbeResult:
        if context.generation == 2:
            world.define("other")
        return await ask(context)

    world.provider.run = meddling  # type: ignore[method-assign]  # the test's own probe
    status = world.connections.test(*KEY)
    assert (status.generation, status.candidate) == (1, (3, "not_tested"))


def test_a_test_whose_credential_is_gone_is_refused_and_a_due_one_is_a_fault(world: World) -> None:
    world.secrets.destroy("acme", "bot", version=1)
    with pytest.raises(SecretShredded):
        world.connections.test(*KEY)
    world.clock.advance(10 * MINUTE)
    (status,) = world.connections.probe_due()
    assert status.state in ("active", "degraded", "failing")
    check = world.connections.inspect(*KEY).checks[0]
    assert (check.verdict, check.code, check.probes[0][0]) == ("fault", "error", "credential")


def test_a_run_proves_no_candidate_that_took_the_number_of_the_one_it_asked(world: World) -> None:
    class Meddling(Provider):
        async def run(self, context: ProbeContext) -> ProbeResult:
            if context.config["channel"] == "alerts":
                world.define("ops", keep=True)  # the candidate is dropped ...
                assert world.define("nowhere").candidate == (2, "not_tested")  # ... and another one has its number
            return await super().run(context)

    probe = Meddling(channels={"ops", "alerts"})
    world.connections._tester._probes["chat"] = (probe,)  # type: ignore[index]  # the only way to meddle with a run
    world.define("alerts")
    world.connections.test(*KEY)
    assert world.gate().config["channel"] == "ops"
    assert world.connections.status(*KEY).candidate == (2, "not_tested")
