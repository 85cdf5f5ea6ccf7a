"""When connections are asked by themselves, by whom, and what people see of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from wellstreak_trust.connections import (
    EDGES,
    ConnectionNotActive,
    Connections,
    Failure,
    MemoryConnectionStore,
    ProbeContext,
    ProbeResult,
    Success,
    WebhookSeen,
)
from wellstreak_trust.connections.state import STATES
from wellstreak_trust.core import FixedClock, Principal, Secret
from wellstreak_trust.storage.sql import Database, SqlConnectionStore

KEY = ("t1", "chat")
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Secrets:
    suspends = False
    version = 1

    async def adescribe(self, tenant_id: str, name: str) -> Secrets:
        return self

    async def aget(self, tenant_id: str, name: str) -> Secret[str]:
        return Secret("token")


@dataclass
class Scripted:
    answer: ProbeResult = field(default_factory=lambda: ProbeResult("ok"))
    name: str = "auth"
    kind: Any = "auth"
    required: bool = True
    timeout: timedelta = timedelta(seconds=1)
    runs: int = 0

    async def run(self, context: ProbeContext) -> ProbeResult:
        self.runs += 1
        return self.answer


class Even:
    """No jitter: the middle of the range."""

    def octets(self, count: int) -> bytes:
        return b"\x7f" * count


class World:
    def __init__(self, *more: Any, store: Any = None, **given: Any) -> None:
        self.clock = FixedClock(datetime(2026, 11, 24, tzinfo=UTC))
        self.probe = Scripted()
        self.store = store or MemoryConnectionStore()
        self.secrets = Secrets()
        self.connections = Connections(
            self.store, self.secrets, {"chat": [self.probe, *more]}, clock=self.clock, entropy=Even(), **given
        )
        self.connections.define(*KEY, config={}, secret="bot")

    def wait_of(self, status: Any) -> timedelta | None:
        if status.next_check is None:
            return None
        wait = status.next_check - self.clock.now()
        return timedelta(seconds=round(wait.total_seconds() / 5) * 5)

    def answer(self, code: str, **fields: Any) -> Any:
        self.probe.answer = ProbeResult("ok" if code == "ok" else "fail", code, **fields)
        return self.connections.test(*KEY)


def test_each_state_has_its_pace() -> None:
    world = World()
    assert world.wait_of(world.connections.status(*KEY)) == 30 * SECOND
    assert world.wait_of(world.answer("ok")) == 5 * MINUTE
    waits = []
    for _ in range(14):
        status = world.answer("timeout")
        waits.append((status.state, world.wait_of(status)))
    assert waits[2] == ("degraded", 30 * SECOND)
    assert waits[5][0] == "failing"
    assert waits[-1] == ("failing", HOUR)
    for verb in ("suspend", "disable"):
        assert getattr(world.connections, verb)(*KEY, "because").next_check is None
    assert world.wait_of(world.connections.enable(*KEY, "again")) == 30 * SECOND


def test_the_provider_may_ask_for_more_time() -> None:
    world = World()
    world.answer("ok")
    assert world.wait_of(world.answer("rate_limited", retry_after=HOUR)) == HOUR
    report = world.connections.report(*KEY, Failure("rate_limited", retry_after=2 * HOUR))
    assert world.wait_of(report) == 2 * HOUR


@given(st.integers(0, 255))
def test_jitter_is_a_tenth_either_way(octet: int) -> None:
    world = World()
    world.connections._ledger._entropy = type("Fixed", (), {"octets": lambda self, count: bytes([octet])})()
    wait = world.wait_of(world.answer("ok"))
    assert wait is not None
    assert 270 * SECOND <= wait <= 330 * SECOND


def test_only_what_is_due_is_asked_and_by_one_worker(sqlite_path: Path) -> None:
    database = Database(create_engine(f"sqlite:///{sqlite_path}"))
    database.create_all()
    world = World(store=SqlConnectionStore(database))
    rival = Connections(world.store, world.secrets, {"chat": [world.probe]}, clock=world.clock, entropy=Even())
    assert world.connections.probe_due() == []
    world.clock.advance(MINUTE)
    assert [status.state for status in world.connections.probe_due()] == ["active"]
    assert rival.probe_due() == []
    world.clock.advance(6 * MINUTE)
    assert [status.state for status in rival.probe_due()] == ["active"]
    assert world.connections.probe_due() == []
    assert world.probe.runs == 2


def test_a_worker_that_died_leaves_its_check_to_others_after_its_lease() -> None:
    world = World()
    world.clock.advance(MINUTE)
    asyncio.run(world.connections._tester.claim(9))  # and dies
    assert world.connections.probe_due() == []
    world.clock.advance(31 * SECOND)
    assert len(world.connections.probe_due()) == 1


def test_live_traffic_saves_the_probe_and_few_writes() -> None:
    world = World()
    world.answer("ok")
    version = asyncio.run(world.store.load(*KEY)).version
    for _ in range(9):
        world.clock.advance(SECOND)
        world.connections.report(*KEY, Success())
    assert asyncio.run(world.store.load(*KEY)).version == version
    for _ in range(20):
        world.clock.advance(MINUTE)
        world.connections.report(*KEY, Success())
        assert world.connections.probe_due() == []
    assert world.connections.require_active(*KEY, max_age=2 * MINUTE)
    assert world.probe.runs == 1


def test_conditions_say_since_when() -> None:
    side = Scripted(name="scope", kind="scope", required=False)
    world = World(side)
    start = world.clock.now()
    world.answer("ok")
    world.clock.advance(MINUTE)
    side.answer = ProbeResult("fail", "insufficient_scope")
    world.answer("ok")
    world.clock.advance(MINUTE)
    side.answer = ProbeResult("unknown")
    status = world.answer("ok")
    found = {c.name: (c.kind, c.status, c.reason, c.since - start) for c in status.conditions}
    assert found == {
        "auth": ("auth", "true", "ok", timedelta()),
        "scope": ("scope", "unknown", "unknown", 2 * MINUTE),
    }
    assert status.state == "active"


@pytest.mark.asvs("14.2.6", "15.3.1")
def test_operators_see_details_and_uptime_and_tenants_do_not() -> None:
    world = World()
    world.answer("ok")
    world.clock.advance(timedelta(days=1))
    world.answer("server_error", detail="Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl and more")
    world.connections.report(*KEY, Failure("timeout"))
    report = world.connections.inspect(*KEY)
    assert [(check.source, check.verdict, check.code) for check in report.checks] == [
        ("traffic", "fault", "timeout"),
        ("test", "fault", "server_error"),
        ("test", "proved", "ok"),
    ]
    detail = report.checks[1].probes[0][4]
    assert "and more" in detail
    assert "eyJ" not in detail
    assert "and more" not in repr(report.status)
    assert [(day.passed, day.total) for day in report.days] == [(1, 1), (0, 2)]
    assert world.connections.overview() == [("t1", world.connections.status(*KEY))]


def test_a_webhook_is_live_after_one_verified_event_of_this_generation() -> None:
    world = World(WebhookSeen())
    status = world.answer("ok")
    assert (status.state, status.reason) == ("failing", "no_inbound")
    assert "event" in status.hint
    world.clock.advance(MINUTE)
    world.connections.saw_inbound(*KEY)
    world.answer("ok")
    assert world.answer("ok").state == "active"
    version = asyncio.run(world.store.load(*KEY)).version
    world.connections.saw_inbound(*KEY)
    assert asyncio.run(world.store.load(*KEY)).version == version
    world.clock.advance(MINUTE)
    world.connections.define(*KEY, config={"new": True}, secret="bot")
    assert world.answer("ok").reason == "no_inbound"


def test_what_mends_itself_is_503_and_what_the_tenant_must_do_is_409() -> None:
    world = World()
    world.answer("ok")
    for _ in range(6):
        world.answer("timeout")
    with pytest.raises(ConnectionNotActive) as passing:
        world.connections.require_active(*KEY)
    assert (passing.value.status, passing.value.reason) == (503, "timeout")
    assert passing.value.retry_after is not None
    world.answer("unauthorized")
    with pytest.raises(ConnectionNotActive) as theirs:
        world.connections.require_active(*KEY)
    assert (theirs.value.status, theirs.value.retry_after) == (409, None)


def test_a_store_that_cannot_be_read_is_closed() -> None:
    class Down(MemoryConnectionStore):
        broken = False

        async def load(self, tenant_id: str, provider: str) -> Any:
            if self.broken:
                raise OSError("10.0.0.7 refused: password=hunter2")
            return await super().load(tenant_id, provider)

    store = Down()
    world = World(store=store)
    world.answer("ok")
    store.broken = True
    with pytest.raises(ConnectionNotActive) as closed:
        world.connections.require_active(*KEY)
    assert (closed.value.status, closed.value.reason) == (503, "store_unavailable")
    assert "hunter2" not in closed.value.detail


def test_a_snapshot_saves_reads_for_as_long_as_it_says() -> None:
    world = World(snapshot=SECOND)
    world.answer("ok")
    assert world.connections.require_active(*KEY)
    rival = Connections(world.store, world.secrets, {"chat": [world.probe]}, clock=world.clock)
    rival.suspend(*KEY, "elsewhere")
    assert world.connections.require_active(*KEY)
    world.clock.advance(SECOND)
    with pytest.raises(ConnectionNotActive):
        world.connections.require_active(*KEY)
    world.answer("ok")
    assert world.connections.require_active(*KEY)
    world.connections.disable(*KEY, "here")
    with pytest.raises(ConnectionNotActive):
        world.connections.require_active(*KEY)


def test_who_did_it_is_in_the_trail() -> None:
    class Trail:
        suspends = False
        events: list[Any] = []

        async def aemit(self, event: Any) -> None:
            self.events.append(event)

    world = World(audit=Trail())
    world.connections.disable(*KEY, "an incident", actor=Principal("ada"))
    event = Trail.events[-1]
    assert (event.actor, event.reason, event.data) == (
        Principal("ada"),
        "an incident",
        {"generation": 1, "secret_version": 1},
    )


def test_the_table_is_closed_and_final_states_are() -> None:
    assert {state for row in EDGES.values() for state in row.values()} <= STATES
    assert dict(EDGES["disabled"]) == {"enable": "testing", "revoke": "revoked"}
    assert dict(EDGES["revoked"]) == {"new_credential": "testing"}
    for state, row in EDGES.items():
        if state not in ("disabled", "revoked"):
            assert (row["suspend"], row["disable"]) == ("suspended", "disabled")
            assert row["changed"] == "testing"
            assert "fault" not in row or row["fault"] == "failing"
    reached, found = {"draft"}, set[str]()
    while reached != found:
        found = set(reached)
        reached |= {to for state in found for to in EDGES[state].values()}  # type: ignore[index]  # states
    assert found == STATES
