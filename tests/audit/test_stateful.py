"""A list and the checkpoints that somebody pinned, against each store: whatever is done, in whatever order."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import create_engine

from wellstreak_trust.audit import (
    AuditConflict,
    AuditEvent,
    AuditLog,
    Checkpoint,
    DirectoryAuditStore,
    Ed25519Signer,
    InclusionProof,
    MemoryAuditStore,
    tree,
    verify,
)
from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import Database, SqlAuditStore

SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TENANTS = st.sampled_from(("a", "b"))


class Trail(RuleBasedStateMachine):
    """The model: per tenant the ids and leaves as they were acknowledged, and every checkpoint ever given out."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="wt-stateful-"))
        self.clock = FixedClock(NOW)
        self.store = self.make()
        self.log = self.opened()
        self.leaves: dict[str, list[bytes]] = {"a": [], "b": []}
        self.ids: dict[str, list[str]] = {"a": [], "b": []}
        self.pins: list[tuple[str, str]] = []
        self.first = {"a": 0, "b": 0}
        self.counter = 0

    def make(self) -> Any:
        return MemoryAuditStore()

    def opened(self) -> AuditLog:
        return AuditLog(self.store, SIGNER, "stateful.test/audit", clock=self.clock)

    def event(self, tenant: str) -> AuditEvent:
        self.counter += 1
        return AuditEvent("a.b", "success", tenant, {"id": "u"}, occurred_at=NOW, id=f"e{self.counter}")

    def acknowledged(self, receipt: Any) -> None:
        assert receipt.seq == len(self.leaves[receipt.tenant_id])
        entry = self.log.entry(receipt.tenant_id, receipt.seq)
        assert tree.leaf_hash(entry) == receipt.leaf_hash
        self.leaves[receipt.tenant_id].append(entry)
        self.ids[receipt.tenant_id].append(receipt.id)

    @rule(tenants=st.lists(TENANTS, min_size=1, max_size=5))
    def emit(self, tenants: list[str]) -> None:
        for receipt in self.log.emit_many([self.event(tenant) for tenant in tenants]):
            self.acknowledged(receipt)

    @rule(tenant=TENANTS, count=st.integers(100, 300))
    def fill(self, tenant: str, count: int) -> None:
        for receipt in self.log.emit_many([self.event(tenant) for _ in range(count)]):
            self.leaves[tenant].append(self.log.entry(tenant, receipt.seq) if receipt.seq % 50 == 0 else b"")
            self.ids[tenant].append(receipt.id)
        fresh = drive(self.store.leaves(tenant, len(self.leaves[tenant]) - count, len(self.leaves[tenant])))
        self.leaves[tenant][-count:] = [leaf.leaf for leaf in fresh]

    @rule(tenant=TENANTS, which=st.integers(0, 10_000))
    def retry(self, tenant: str, which: int) -> None:
        kept = self.ids[tenant][self.first[tenant] :]
        if kept:
            place = which % len(kept)
            again = AuditEvent("a.b", "success", tenant, {"id": "u"}, occurred_at=NOW, id=kept[place])
            assert self.log.emit(again).seq == self.first[tenant] + place
            other = AuditEvent("a.b", "failure", tenant, {"id": "u"}, occurred_at=NOW, id=kept[place])
            with pytest.raises(AuditConflict):
                self.log.emit_many([self.event("a"), other])

    @rule(tenant=TENANTS)
    def pin(self, tenant: str) -> None:
        self.pins.append((tenant, self.log.checkpoint(tenant)))

    @rule()
    def spine(self) -> None:
        self.log.checkpoint()

    @rule(minutes=st.integers(-2, 3))
    def time_passes(self, minutes: int) -> None:
        self.clock.advance(timedelta(minutes=minutes))
        self.log.tick()

    @rule(tenant=TENANTS, below=st.integers(0, 700))
    def prune(self, tenant: str, below: int) -> None:
        self.first[tenant] = drive(self.store.prune(tenant, below))
        assert self.first[tenant] % 256 == 0

    @rule()
    def restart(self) -> None:
        self.store = self.again()
        self.log = self.opened()

    def again(self) -> Any:
        return self.store

    @rule(tenant=TENANTS, which=st.integers(0, 10_000))
    def prove(self, tenant: str, which: int) -> None:
        leaves = self.leaves[tenant]
        if leaves:
            seq = self.first[tenant] + which % (len(leaves) - self.first[tenant])
            proof = InclusionProof.parse(self.log.prove(tenant, seq))
            assert proof.verify(leaves[seq], [self.log.vkey(tenant)])

    @invariant()
    def the_store_is_the_list(self) -> None:
        for tenant, leaves in self.leaves.items():
            head = drive(self.store.head(tenant))
            hashes = [tree.leaf_hash(leaf) for leaf in leaves]
            assert (head.size, head.first) == (len(leaves), self.first[tenant])
            assert head.root == tree.root(hashes)
            stored = drive(self.store.leaves(tenant, 0, len(leaves) + 9))
            assert [leaf.leaf for leaf in stored] == leaves[head.first :]

    @invariant()
    def every_pin_is_a_former_state(self) -> None:
        for tenant, note in self.pins[-3:]:
            old = Checkpoint.open(note, [self.log.vkey(tenant)])
            assert old.root == tree.root([tree.leaf_hash(leaf) for leaf in self.leaves[tenant][: old.size]])

    def teardown(self) -> None:
        for tenant in self.leaves:
            if not self.first[tenant]:
                assert verify(self.store, tenant_id=tenant).integrity == "verified"
        shutil.rmtree(self.folder)


class SqlTrail(Trail):
    def make(self) -> Any:
        self.engine = create_engine(f"sqlite:///{self.folder / 'trail.db'}")
        Database(self.engine).create_all()
        return SqlAuditStore(Database(self.engine))

    def again(self) -> Any:
        self.engine.dispose()
        return SqlAuditStore(Database(self.engine))

    def teardown(self) -> None:
        super().teardown()
        self.engine.dispose()


class DirectoryTrail(Trail):
    def make(self) -> Any:
        return DirectoryAuditStore(self.folder / "trail")

    def again(self) -> Any:
        return DirectoryAuditStore(self.folder / "trail")


QUICK = settings(max_examples=8, stateful_step_count=14)
TestMemory = Trail.TestCase
TestSqlite = SqlTrail.TestCase
TestDirectory = DirectoryTrail.TestCase
TestMemory.settings = TestSqlite.settings = TestDirectory.settings = QUICK
