"""The failure policy, the receipts and the reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from wellstreak_trust.audit import (
    ActionRegistry,
    ActionSpec,
    AuditConflict,
    AuditEvent,
    AuditEventRejected,
    AuditForkDetected,
    AuditLog,
    AuditUnavailable,
    EventSink,
    MemoryAuditStore,
    Receipt,
    tree,
    verify,
)
from wellstreak_trust.core import FixedClock, UsageError
from wellstreak_trust.core.errors import ConfigurationError, StoreMisconfigured, StoreUnavailable

Make = Callable[..., AuditEvent]
DOWN = StoreUnavailable("down")


def actions(log: AuditLog, tenant_id: str = "t1") -> list[str]:
    return [event["action"] for event in reversed(log.events(tenant_id))]


def test_a_receipt_tells_the_place(log: AuditLog, make: Make) -> None:
    first, second = log.emit(make()), log.emit(make())
    assert (first.seq, second.seq, first.durable) == (0, 1, True)
    assert first.leaf_hash == tree.leaf_hash(log.entry("t1", 0))
    sink: EventSink = log
    assert sink.suspends is False


def test_many_events_are_one_commit(log: AuditLog, make: Make) -> None:
    receipts = log.emit_many([make(tenant_id="b"), make(tenant_id="a"), make(tenant_id="b")])
    assert [(receipt.tenant_id, receipt.seq) for receipt in receipts] == [("b", 0), ("a", 0), ("b", 1)]
    assert log.emit_many([]) == []
    with pytest.raises(AuditEventRejected):
        log.emit_many([make(), make(data={"n": 1.5})])
    assert log.events("t1") == []


def test_a_retry_is_safe_and_a_conflict_is_told(log: AuditLog, make: Make) -> None:
    event = make(id="event-1")
    assert log.emit(event) == log.emit(event) == log.emit(make(id="event-1"))
    with pytest.raises(AuditConflict):
        log.emit(make(id="event-1", reason="another"))
    assert len(log.events("t1")) == 1
    assert log.emit(make(id="event-1", tenant_id="t2")).seq == 0


def test_a_lost_answer_is_ambiguous_and_the_id_makes_the_retry_safe(log: AuditLog, outage: Any, make: Make) -> None:
    event, outage.answers = make(), False
    with pytest.raises(AuditUnavailable):
        log.emit(event)
    outage.answers = True
    assert log.emit(event).seq == 0
    assert len(log.events("t1")) == 1


@pytest.mark.parametrize("down", [DOWN, StoreMisconfigured("x"), OSError("disk secret"), RuntimeError("secret")])
def test_critical_and_standard_refuse_whatever_the_driver_throws(
    down: Exception, log: AuditLog, outage: Any, make: Make
) -> None:
    outage.down = down
    for action in ("secret.read", "billing.plan_changed"):
        with pytest.raises(AuditUnavailable) as refused:
            log.emit(make(action))
        assert refused.value.__cause__ is None
        assert "secret" not in refused.value.detail
    assert log.dropped == 0


def test_protective_events_are_kept_and_recorded_on_recovery(log: AuditLog, outage: Any, make: Make) -> None:
    """Blocking a safety stop because it cannot be logged would help whoever filled the disk."""
    outage.down = DOWN
    denied = make("session.revoked")
    assert log.emit(denied) == Receipt(denied.id, "t1", None, None, durable=False)
    assert log.flush() == 1
    outage.down = None
    log.emit(make())
    assert actions(log) == ["billing.plan_changed", "session.revoked"]
    assert log.emit(denied).seq == 1
    assert (log.flush(), log.dropped) == (0, 0)


def test_what_finds_no_room_becomes_one_gap_a_tenant(log: AuditLog, outage: Any, make: Make, clock: FixedClock) -> None:
    outage.down = DOWN
    for number in range(6):
        log.emit(make("access.denied", tenant_id="t1" if number < 5 else "t2"))
        clock.advance(timedelta(seconds=1))
    log.emit(make("webhook.verified", tenant_id="t2"))
    assert log.dropped == 4
    assert log.flush() == log.flush() == 5
    outage.down = None
    assert log.flush() == 0
    gap, *kept = log.events("t1")
    assert [event["action"] for event in kept] == ["access.denied"] * 3
    assert gap["action"] == "audit.gap"
    assert gap["data"] == {"count": 2, "first": "2026-11-24T12:00:03.000000Z", "last": "2026-11-24T12:00:04.000000Z"}
    assert [event["data"]["count"] for event in log.events("t2")] == [2]
    assert log.dropped == 4


def test_sampled_events_are_dropped_and_counted(log: AuditLog, outage: Any, make: Make) -> None:
    assert log.emit(make("webhook.verified")).durable
    outage.down = DOWN
    assert not log.emit(make("webhook.verified")).durable
    assert log.dropped == 1


def test_the_strictest_of_a_batch_decides(log: AuditLog, outage: Any, make: Make) -> None:
    outage.down = DOWN
    with pytest.raises(AuditUnavailable):
        log.emit_many([make("access.denied"), make("secret.read")])
    assert not any(receipt.durable for receipt in log.emit_many([make("access.denied"), make("webhook.verified")]))
    assert log.dropped == 1


def test_a_kept_event_that_conflicts_does_not_hold_back_the_others(log: AuditLog, outage: Any, make: Make) -> None:
    outage.down = DOWN
    log.emit_many([make("access.denied", id="x", reason="one"), make("access.denied", id="y")])
    outage.down = None
    log.emit(make(id="x"))  # takes the id that a kept event has
    assert log.flush() == 0
    assert sorted(actions(log)) == ["access.denied", "audit.gap", "billing.plan_changed"]


def test_a_protective_event_is_reduced_rather_than_lost(log: AuditLog, make: Make) -> None:
    """Else whoever sends a header that no leaf can hold makes the denial vanish, and a 403 a 500."""
    for detail in ({"agent": "\ud800"}, {"agent": "a" * 70_000}, {"n": 1.5}):
        assert log.emit(make("access.denied", source=detail, outcome="denied")).durable
    found = log.events("t1")
    assert [event["data"]["cut"] for event in found] == ["internal_error", "too_large", "internal_error"]
    assert all("source" not in event for event in found)
    hopeless = log.emit(make("access.denied", tenant_id="t\x00"))
    assert (hopeless.durable, log.dropped) == (False, 1)
    with pytest.raises(AuditEventRejected):
        log.emit(make(source={"agent": "\ud800"}))


def test_protective_goes_on_when_the_tree_was_changed_from_outside(log: AuditLog, outage: Any, make: Make) -> None:
    outage.down = AuditForkDetected("fork")
    assert not log.emit(make("access.denied")).durable
    with pytest.raises(AuditForkDetected):
        log.emit(make())


def test_strict_registries_and_reasons(make: Make) -> None:
    registry = ActionRegistry([ActionSpec("plan.changed", needs_reason=True), ActionSpec("plan.seen", "sampled")])
    log = AuditLog(MemoryAuditStore(), registry=registry)
    with pytest.raises(AuditEventRejected):
        log.emit(make("plan.unknown"))
    with pytest.raises(AuditEventRejected):
        log.emit(make("plan.changed"))
    assert log.emit(make("plan.changed", reason="asked")).durable
    for nonsense in (None, "text", 7):
        with pytest.raises(AuditEventRejected):
            log.emit(nonsense)  # type: ignore[arg-type]  # what a host may hand over


def test_a_clock_that_goes_back_is_recorded_as_it_was(log: AuditLog, make: Make, clock: FixedClock) -> None:
    """Toy 13: the order of a trail is its sequence; sorting by time would let a clock rearrange it."""
    log.emit(make(id="first"))
    clock.advance(timedelta(hours=-1))
    log.emit(make(id="second", occurred_at=clock.now()))
    clock.advance(timedelta(hours=2))
    log.emit(make(id="third"))
    events = log.events("t1")
    assert [event["id"] for event in events] == ["third", "second", "first"]
    assert events[1]["recorded_at"] < events[2]["recorded_at"]
    report = verify(log.store, tenant_id="t1")
    assert (report.integrity, report.time_order) == ("verified", "failed")


def test_a_failed_commit_leaves_no_edge_in_memory(log: AuditLog, outage: Any, make: Make) -> None:
    """Toy 16: the next append would fork the tree."""
    log.emit(make())
    outage.down = DOWN
    for _ in range(3):
        with pytest.raises(AuditUnavailable):
            log.emit(make())
    outage.down = None
    assert [log.emit(make()).seq for _ in range(2)] == [1, 2]
    assert verify(outage, tenant_id="t1").integrity == "verified"


def test_after_a_wait_in_vain_denials_wait_a_moment(outage: Any, make: Make, clock: FixedClock) -> None:
    """Who holds the store's lock must not hold every denial for the whole deadline."""
    waited: list[timedelta] = []

    class Hangs(type(outage)):  # type: ignore[misc]  # the fixture's class
        async def append_batch(self, drafts: Any, *, now: Any, deadline: timedelta) -> Any:
            waited.append(deadline)
            if self.down is not None:
                clock.advance(deadline)
            return await super().append_batch(drafts, now=now, deadline=deadline)

    store = Hangs()
    log = AuditLog(store, clock=clock)
    store.down = DOWN
    for action in ("access.denied", "access.denied"):
        assert not log.emit(make(action)).durable
    with pytest.raises(AuditUnavailable):
        log.emit(make("secret.read"))
    store.down = None
    assert log.emit(make("access.denied")).durable
    log.emit(make("access.denied"))
    full, short = timedelta(seconds=2), timedelta(milliseconds=50)
    assert waited == [full, short, full, short, full, full]


def test_what_a_forked_tree_owes_does_not_slow_the_others(
    outage: Any, make: Make, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    real = type(outage).append_batch

    async def forked(self: Any, drafts: Any, **options: Any) -> Any:
        tried.extend(draft.tenant_id for draft in drafts)
        if any(draft.tenant_id == "t1" for draft in drafts):
            raise AuditForkDetected("fork")
        return await real(self, drafts, **options)

    monkeypatch.setattr(type(outage), "append_batch", forked)
    log = AuditLog(outage, clock=clock)
    for _ in range(3):
        assert not log.emit(make("access.denied")).durable
    for _ in range(5):
        assert log.emit(make(tenant_id="t2")).durable
    assert tried.count("t1") == 3 + 3 + 3  # each emit, all at once, and each alone; then not for a second
    clock.advance(timedelta(seconds=1))
    log.emit(make(tenant_id="t2"))
    assert tried.count("t1") == 15


def test_the_reader_pages_backwards(log: AuditLog, make: Make) -> None:
    log.emit_many([make(data={"n": n}) for n in range(5)])
    page = log.events("t1", limit=2)
    assert [event["seq"] for event in page] == [4, 3]
    assert [event["seq"] for event in log.events("t1", limit=9, before=3)] == [2, 1, 0]
    assert page[0] == json.loads(log.entry("t1", 4))
    assert log.events("t1", before=0) == log.events("unknown") == []
    with pytest.raises(UsageError):
        log.entry("t1", 5)


def test_without_a_signer_there_is_no_checkpoint(make: Make) -> None:
    log = AuditLog(MemoryAuditStore())
    log.emit(make())
    for ask in (lambda: log.checkpoint("t1"), lambda: log.vkey("t1"), lambda: log.prove("t1", 0)):
        with pytest.raises(ConfigurationError, match="signer"):
            ask()


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\nb"])
def test_an_origin_must_fit_a_signature_line(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="origin"):
        AuditLog(MemoryAuditStore(), origin=origin)
