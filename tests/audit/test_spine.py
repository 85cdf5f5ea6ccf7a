"""The spine: what grew is noted, silence is noted, and no second history is signed under it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from wellstreak_trust.audit import (
    AuditEvent,
    AuditForkDetected,
    AuditLog,
    AuditUnavailable,
    Checkpoint,
    CheckpointRegression,
    MemoryAuditStore,
    Tick,
    tree_origin,
    verify,
)
from wellstreak_trust.audit.spine import HEARTBEAT, TREE_HEAD, NotedHead, noted_head, tree_id
from wellstreak_trust.audit.store import SPINE, Head
from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.errors import ConfigurationError, StoreUnavailable
from wellstreak_trust.core.sansio import drive

from .conftest import SIGNER

Make = Callable[..., AuditEvent]
ORIGIN = "wellstreak.test/audit"
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def spine(log: AuditLog) -> list[dict[str, Any]]:
    return [json.loads(leaf.leaf) for leaf in drive(log.store.leaves(SPINE, 0, 10_000))]


def noted(log: AuditLog) -> list[tuple[str, int]]:
    names = {tree_id(ORIGIN, name): name for name in ("t1", "t2", "t3")}
    heads = (noted_head(fields) for fields in spine(log))
    return [(names[head.tree], head.size) for head in heads if head is not None]


class Sink:
    """A place elsewhere."""

    suspends = False

    def __init__(self, *notes: str) -> None:
        self.notes = list(notes)
        self.down: Exception | None = None

    async def apublish(self, origin: str, note: str, /) -> None:
        if self.down is not None:
            raise self.down
        assert Checkpoint.unverified(note).origin == origin
        self.notes.append(note)

    async def alatest(self, origin: str, /) -> str | None:
        if self.down is not None:
            raise self.down
        return next((note for note in reversed(self.notes) if Checkpoint.unverified(note).origin == origin), None)


def test_the_format(log: AuditLog, make: Make) -> None:
    log.emit_many([make(), make()])
    note = log.checkpoint()
    head = drive(log.store.head("t1"))
    (fields,) = spine(log)
    tree = tree_origin(ORIGIN, "t1").rpartition("/")[2]
    assert sorted(fields) == sorted("v id seq recorded_at occurred_at tenant_id action outcome actor data".split())
    assert (fields["action"], fields["tenant_id"], fields["id"]) == (TREE_HEAD, "", f"{tree}.2")
    assert fields["actor"] == {"id": tree, "kind": "system"}
    assert noted_head(fields) == NotedHead(tree, 2, head.root)
    assert fields["occurred_at"] == log.events("t1")[0]["recorded_at"]
    signed = Checkpoint.open(note, [log.vkey()])
    assert (signed.origin, signed.size) == (ORIGIN, 1)
    assert "t1" not in json.dumps(fields)
    assert verify(log.store, tenant_id=SPINE, keys=[log.vkey()]).signature == "verified"


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"tree": 1, "size": 1, "root": "AA=="},
        {"tree": "x", "size": -1, "root": "AA=="},
        {"tree": "x", "size": True},
    ],
    ids=["none", "empty", "tree", "negative", "bool"],
)
def test_leaves_that_note_nothing(data: Any) -> None:
    assert noted_head({"action": TREE_HEAD, "data": data}) is None
    assert noted_head({"action": "other", "data": {"tree": "x", "size": 1, "root": "A" * 43 + "="}}) is None


def test_emits_note_what_grew_once_a_second(log: AuditLog, make: Make, clock: FixedClock) -> None:
    log.emit(make())
    assert spine(log) == []
    clock.advance(SECOND)
    log.emit_many([make(), make(tenant_id="t2")])
    assert noted(log) == [("t1", 2), ("t2", 1)]
    log.emit(make())
    assert noted(log) == [("t1", 2), ("t2", 1)]
    clock.advance(SECOND)
    log.emit(make(tenant_id="t2"))
    assert noted(log)[2:] == [("t1", 3), ("t2", 2)]
    assert Checkpoint.open(drive(log.store.signed(ORIGIN)).note, [log.vkey()]).size == 4  # type: ignore[union-attr]  # it is there


def test_a_thousand_events_do_not_wait_for_a_second(log: AuditLog, make: Make) -> None:
    log.emit_many([make() for _ in range(999)])
    assert spine(log) == []
    log.emit(make())
    assert noted(log) == [("t1", 1_000)]


def test_an_emit_looks_after_a_hundred_trees_and_the_next_one_after_more(
    log: AuditLog, make: Make, clock: FixedClock
) -> None:
    log.emit_many([make(tenant_id=f"x{n}") for n in range(250)])
    clock.advance(SECOND)
    sizes = []
    for _ in range(4):
        log.emit(make(tenant_id="x0"))
        sizes.append(len(spine(log)))
    assert sizes == [100, 200, 252, 252]  # x0 grew each time
    assert log.tick().noted == 1


def test_ticks_note_at_once_and_beat_after_a_minute_of_silence(log: AuditLog, make: Make, clock: FixedClock) -> None:
    assert log.tick() == Tick(1, 0, 0)
    log.emit(make())
    assert log.tick().noted == 1
    assert log.tick().noted == 0
    clock.advance(MINUTE - SECOND)
    assert log.tick().noted == 0
    clock.advance(SECOND)
    assert log.tick().noted == 1
    assert [fields["action"] for fields in spine(log)] == [HEARTBEAT, TREE_HEAD, HEARTBEAT]
    assert spine(log)[2]["occurred_at"] == "2026-11-24T12:01:00.000000Z"


def test_two_processes_write_one_spine(log: AuditLog, outage: MemoryAuditStore, make: Make, clock: FixedClock) -> None:
    other = AuditLog(outage, SIGNER, ORIGIN, clock=clock)
    log.emit(make())
    assert log.checkpoint() == other.checkpoint()
    clock.advance(MINUTE)
    assert (log.tick().noted, other.tick().noted) == (1, 0)


def test_the_spine_needs_a_signer(outage: MemoryAuditStore, make: Make) -> None:
    log = AuditLog(outage)
    log.emit_many([make() for _ in range(2_000)])
    assert log.tick() == Tick(0, 0, 0)
    assert spine(log) == []
    with pytest.raises(ConfigurationError, match="signer"):
        log.checkpoint()
    assert spine(log) == []


# --- second histories ------------------------------------------------------------------------------------------------


def regrown(store: Any, tenant_id: str, size: int, make: Make) -> None:
    """Puts another tree in the place of one, as a restore of that tenant alone would."""
    store._trees.pop(tenant_id, None)
    if size:
        AuditLog(store).emit_many([make(tenant_id=tenant_id, data={"n": n}) for n in range(size)])


@pytest.mark.parametrize("size", [1, 3, 5], ids=["shorter", "as long", "longer"])
def test_a_tree_that_contradicts_the_spine_is_not_noted_and_the_others_are(
    size: int, log: AuditLog, outage: Any, make: Make, clock: FixedClock
) -> None:
    log.emit_many([make() for _ in range(3)])
    log.checkpoint()
    regrown(outage, "t1", size, make)
    log.emit(make(tenant_id="t2"))
    with pytest.raises((CheckpointRegression, AuditForkDetected)):
        log.checkpoint()
    assert noted(log) == [("t1", 3), ("t2", 1)]
    with pytest.raises((CheckpointRegression, AuditForkDetected)):
        log.tick()
    with pytest.raises((CheckpointRegression, AuditForkDetected)):
        log.checkpoint("t1")
    assert isinstance(log.fault, CheckpointRegression | AuditForkDetected)
    clock.advance(SECOND)
    assert log.emit(make(tenant_id="t2")).durable  # an emit of another tenant does not pay for it
    assert noted(log) == [("t1", 3), ("t2", 1), ("t2", 2)]


def test_a_deleted_tenant_is_told_by_its_checkpoint(log: AuditLog, outage: Any, make: Make) -> None:
    log.emit(make())
    log.checkpoint()
    regrown(outage, "t1", 0, make)
    with pytest.raises(CheckpointRegression):
        log.checkpoint("t1")


def test_a_restore_under_the_feet_of_a_process(log: AuditLog, outage: Any, make: Make) -> None:
    """The signed state went back with the rest; this process still knows what it signed."""
    log.emit(make())
    log.checkpoint()
    log.emit(make())
    log.checkpoint()
    outage.__init__()
    log.emit_many([make(data={"n": n}) for n in range(9)])
    with pytest.raises(CheckpointRegression):
        log.checkpoint()


def test_a_restore_before_the_process_began_is_told_by_a_sink(log: AuditLog, make: Make, clock: FixedClock) -> None:
    log.emit(make())
    sink = Sink(log.checkpoint(), log.checkpoint("t1"))
    store = MemoryAuditStore()
    restored = AuditLog(store, SIGNER, ORIGIN, clock=clock, sinks=[sink])
    restored.emit(make(data={"n": 1}))
    clock.advance(SECOND)
    restored.emit(make(tenant_id="t2"))  # nothing is signed before the sinks were asked
    assert drive(store.signed(ORIGIN)) is None
    for ask in (restored.checkpoint, restored.tick, lambda: restored.checkpoint("t1")):
        with pytest.raises(CheckpointRegression):
            ask()
    assert drive(store.signed(ORIGIN)) is None


# --- sinks -----------------------------------------------------------------------------------------------------------


def test_what_is_signed_is_published_after_it_is_stored(outage: Any, make: Make, clock: FixedClock) -> None:
    sink = Sink()
    log = AuditLog(outage, SIGNER, ORIGIN, clock=clock, sinks=[sink])
    log.emit(make())
    log.tick()
    log.tick()
    assert len(sink.notes) == 1
    mine = log.checkpoint("t1")
    assert sink.notes[1] == mine
    clock.advance(SECOND)
    log.emit(make())
    assert len(sink.notes) == 2  # never while somebody waits for an emit
    log.tick()
    assert sink.notes[2] == drive(outage.signed(ORIGIN)).note


def test_a_sink_that_is_down(outage: Any, make: Make, clock: FixedClock) -> None:
    bad, good = Sink(), Sink()
    log = AuditLog(outage, SIGNER, ORIGIN, clock=clock, sinks=[bad, good])
    bad.down = OSError("https://user:secret@elsewhere")
    with pytest.raises(AuditUnavailable) as refused:
        log.checkpoint()  # nobody can say that nothing else was signed
    assert "secret" not in refused.value.detail
    bad.down = None
    log.emit(make())
    log.checkpoint()
    log.emit(make())
    bad.down = StoreUnavailable("down")
    with pytest.raises(AuditUnavailable, match="unavailable"):
        log.tick()
    assert (len(bad.notes), len(good.notes)) == (1, 2)
    assert log.checkpoint()  # signed and stored; the next tick publishes
    bad.down = None
    log.tick()
    assert bad.notes[-1] == good.notes[-1]
    bad.down = CheckpointRegression("seen another")
    log.emit(make())
    with pytest.raises(CheckpointRegression):
        log.tick()


def test_a_sink_must_block_where_the_store_does(outage: Any) -> None:
    sink = Sink()
    sink.suspends = True
    with pytest.raises(ConfigurationError, match="sink"):
        AuditLog(outage, SIGNER, ORIGIN, sinks=[sink])


def test_a_look_that_fails_is_remembered_and_not_thrown_at_an_emit(
    log: AuditLog, outage: Any, make: Make, clock: FixedClock
) -> None:
    async def fails(*args: Any, **options: Any) -> list[tuple[str, Head]]:
        raise OSError("secret")

    heads, outage.heads = outage.heads, fails
    clock.advance(SECOND)
    assert log.emit(make()).durable
    assert isinstance(log.fault, AuditUnavailable)
    outage.heads = heads
    log.tick()
    assert log.fault is None


class Interleaved(MemoryAuditStore):
    """Lets another process in at one moment of the spine's upkeep."""

    def __init__(self, moment: str) -> None:
        super().__init__()
        self.moment = moment
        self.other: Callable[[], object] | None = None

    def _comes(self, moment: str) -> None:
        other, self.other = (self.other, None) if moment == self.moment else (None, self.other)
        if other is not None:
            other()

    async def heads(self, after: str, limit: int, *, unnoted: bool = False) -> list[tuple[str, Head]]:
        found = await super().heads(after, limit, unnoted=unnoted)
        self._comes("heads are read")
        return found

    async def append_batch(self, drafts: Any, *, now: Any, deadline: timedelta) -> Any:
        if drafts[0].tenant_id == SPINE:
            self._comes("heads are noted")
        return await super().append_batch(drafts, now=now, deadline=deadline)


@pytest.mark.parametrize("moment", ["heads are read", "heads are noted"])
def test_processes_that_note_one_tree_at_once_are_no_tampering(moment: str, clock: FixedClock, make: Make) -> None:
    """Whoever saw less may come last; neither ticking nor verifying may cry wolf, for a spine cannot be mended."""
    store = Interleaved(moment)
    one, two = (AuditLog(store, SIGNER, ORIGIN, clock=clock) for _ in range(2))
    one.emit(make())
    one.checkpoint()
    one.emit(make())

    def newer() -> None:
        two.emit(make())
        two.checkpoint()

    store.other = newer
    one.tick()
    assert store.other is None
    assert noted(one)[1] == ("t1", 3)
    report = verify(store, keys=[one.vkey()], pinned=one.checkpoint())
    assert (report.failed, report.level, report.covers) == ((), "anchored", 3)
    one.emit(make())
    assert one.tick().noted == 1
