"""The outbox and its relay: nothing lost, nothing out of order, nothing blocks for ever."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from wellstreak_trust.core import AuditEvent, ConfigurationError, Principal, UsageError
from wellstreak_trust.core.errors import (
    AuditConflict,
    AuditEventRejected,
    AuditEventTooLarge,
    AuditUnavailable,
    StoreUnavailable,
)
from wellstreak_trust.core.outbox import MemoryOutbox, Outbox, OutboxRelay, Relayed, event_from, event_text, relay_to
from wellstreak_trust.core.sansio import drive

NOW = datetime(2026, 11, 24, 12, 0, 0, 5, tzinfo=UTC)


def event(name: str, **more: Any) -> AuditEvent:
    return AuditEvent("member.joined", "success", "t1", Principal("u1"), occurred_at=NOW, id=name, **more)


class Sink:
    """Takes events in a list; `refuses` maps an id to what is raised for it."""

    suspends = False

    def __init__(self, **refuses: Exception) -> None:
        self.refuses = refuses
        self.ids: list[str] = []

    async def aemit(self, event: AuditEvent) -> None:
        if event.id in self.refuses:
            raise self.refuses[event.id]
        self.ids.append(event.id)


def filled(*names: str) -> MemoryOutbox:
    outbox = MemoryOutbox()
    outbox.append([event(name) for name in names])
    return outbox


def waiting(outbox: MemoryOutbox) -> list[str]:
    return [found.id for found in drive(outbox.waiting(100))]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"targets": ("u2", {"type": "agent", "id": "a"}), "changes": ({"field": "roles", "from": [], "to": ["x"]},)},
        {
            "source": {"address": "::1"},
            "reason": "why",
            "request": {"id": "r"},
            "decision": {"ok": 1},
            "data": {"n": 1},
        },
        {"actor": {"kind": "system", "id": "billing"}, "occurred_at": NOW.astimezone(timezone(timedelta(hours=5)))},
        {"actor": Principal("u1", kind="api_key", credential_id="k", reason="r", actor=Principal("s"))},
    ],
    ids=["plain", "objects", "facts", "mapping", "impersonated"],
)
def test_an_event_comes_back_as_it_was(more: dict[str, Any]) -> None:
    told = replace(event("e1"), **more)
    assert event_from(event_text(told)) == told
    assert event_text(event_from(event_text(told))) == event_text(told)


def test_a_trail_records_no_secrets_of_a_principal() -> None:
    told = replace(
        event("e1"), actor=Principal("u1", attributes={"email": "a@b.c"}, session_id="s", roles=frozenset({"x"}))
    )
    assert b"a@b.c" not in event_text(told)
    assert event_from(event_text(told)).actor == Principal("u1")


@pytest.mark.parametrize("wrong", [{"data": {"x": 1.5}}, {"data": {"x": object()}}, {"reason": "\ud800"}])
def test_what_cannot_be_written_is_refused_before_the_commit(wrong: dict[str, Any]) -> None:
    outbox = MemoryOutbox()
    with pytest.raises(UsageError):
        outbox.append([event("e1"), event("e2", **wrong)])
    assert waiting(outbox) == []
    with pytest.raises(UsageError):
        event_text(replace(event("e1"), occurred_at=datetime(2026, 1, 1)))


def test_a_row_of_a_newer_release_stops_the_relay() -> None:
    with pytest.raises(ConfigurationError) as refused:
        event_from(event_text(event("e1")).replace(b'"v":1', b'"v":2'))
    assert refused.value.reason == "outbox_newer"


def test_events_are_forwarded_in_order_and_forgotten() -> None:
    outbox, sink = filled("e1", "e2", "e3"), Sink()
    assert isinstance(outbox, Outbox)
    assert OutboxRelay(outbox, sink).forward(2) == Relayed(2)
    assert (sink.ids, waiting(outbox)) == (["e1", "e2"], ["e3"])
    assert OutboxRelay(outbox, sink).forward() == Relayed(1)
    assert OutboxRelay(outbox, sink).forward() == Relayed()
    assert sink.ids == ["e1", "e2", "e3"]


def test_an_id_that_waits_is_kept_as_it_is() -> None:
    outbox = filled("e1")
    drive(outbox.aemit(event("e1", reason="another")))
    assert [found.reason for found in drive(outbox.waiting(9))] == [None]


@pytest.mark.parametrize("fault", [AuditUnavailable("down"), OSError("a driver's own"), RuntimeError()])
def test_a_sink_that_is_down_keeps_everything_waiting(fault: Exception) -> None:
    outbox, sink = filled("e1", "e2", "e3"), Sink(e2=fault)
    relay = OutboxRelay(outbox, sink)
    assert relay.forward() == Relayed(1, stopped=True)
    assert (sink.ids, waiting(outbox)) == (["e1"], ["e2", "e3"])
    sink.refuses.clear()
    assert relay.forward() == Relayed(2)
    assert sink.ids == ["e1", "e2", "e3"]


@pytest.mark.parametrize("refusal", [AuditEventRejected("x"), AuditEventTooLarge("x"), AuditConflict("x")])
def test_what_can_never_be_taken_is_set_aside(refusal: Exception) -> None:
    outbox, sink = filled("e1", "e2", "e3"), Sink(e2=refusal)
    assert OutboxRelay(outbox, sink).forward() == Relayed(2, parked=1)
    assert (sink.ids, waiting(outbox)) == (["e1", "e3"], [])


def test_a_crash_between_sink_and_outbox_repeats_and_loses_nothing() -> None:
    class Crashing(MemoryOutbox):
        async def settle(self, ids: Any, /) -> None:
            raise KeyboardInterrupt

    outbox, sink = Crashing(), Sink()
    outbox.append([event("e1"), event("e2")])
    with pytest.raises(KeyboardInterrupt):
        OutboxRelay(outbox, sink).forward()
    assert waiting(outbox) == ["e1", "e2"]
    with pytest.raises(KeyboardInterrupt):  # and the turn was given back
        OutboxRelay(outbox, sink).forward()
    assert sink.ids == ["e1", "e2", "e1", "e2"]


@pytest.mark.parametrize("verb", ["waiting", "settle"])
def test_an_outbox_out_of_reach_is_not_the_callers_error(verb: str) -> None:
    outbox, sink = filled("e1"), Sink()

    async def down(*args: object) -> None:
        raise StoreUnavailable("down")

    setattr(outbox, verb, down)
    relay = OutboxRelay(outbox, sink)
    assert relay.forward() == Relayed(stopped=True)
    delattr(outbox, verb)
    assert relay.forward() == Relayed(1)


def test_whoever_has_the_turn_forwards_what_others_ask_for() -> None:
    outbox = filled("e1")

    class Busy(Sink):
        async def aemit(self, event: AuditEvent) -> None:
            await super().aemit(event)
            if event.id == "e1":
                outbox.append([told("e2")])
                assert relay.forward() == Relayed()  # the turn is taken; it will be looked at again

    told, sink = event, Busy()
    relay = OutboxRelay(outbox, sink)
    assert relay.forward() == Relayed(2)
    assert (sink.ids, waiting(outbox)) == (["e1", "e2"], [])


def test_threads_lose_and_repeat_nothing() -> None:
    outbox, sink = MemoryOutbox(), Sink()
    relay = OutboxRelay(outbox, sink)

    def work(number: int) -> None:
        for step in range(50):
            outbox.append([event(f"{number}-{step}")])
            relay.forward()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waiting(outbox) == []
    assert sorted(sink.ids) == sorted(f"{number}-{step}" for number in range(4) for step in range(50))
    for number in range(4):
        mine = [name for name in sink.ids if name.startswith(f"{number}-")]
        assert mine == [f"{number}-{step}" for step in range(50)]


def test_the_async_face() -> None:
    class Later(Sink):
        suspends = True

        async def aemit(self, event: AuditEvent) -> None:
            await asyncio.sleep(0)
            await super().aemit(event)

    outbox, sink = filled("e1", "e2"), Later()
    relay = OutboxRelay(outbox, sink)
    with pytest.raises(ConfigurationError):
        relay.forward()
    assert asyncio.run(relay.aforward()) == Relayed(2)


def test_who_relays_what() -> None:
    outbox, sink = filled("e1"), Sink()
    assert relay_to(outbox, None) is None
    assert relay_to(outbox, MemoryOutbox()) is None
    found = relay_to(outbox, sink)
    assert found is not None
    assert found.forward() == Relayed(1)
    joined = filled("e2")
    joined.joined = True  # type: ignore[attr-defined]  # as the outbox of a host's own transaction says
    assert relay_to(joined, sink) is None
