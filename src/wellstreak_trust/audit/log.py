"""The audit trail: one Merkle tree a tenant, appended to through a declared failure policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from ..core.clock import Clock, SystemClock
from ..core.errors import AuditForkDetected, AuditUnavailable, ConfigurationError, UsageError
from ..core.event import AuditEvent
from ..core.outbox import OutboxRelay, Relayed
from ..core.principal import Principal
from ..core.processes import PerProcess
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .action import AuditAction
from .checkpoint import Checkpoint, CheckpointSink, InclusionProof, tree_origin
from .exporting import Exporting
from .keeper import Keeper
from .note import Ed25519Signer, check_name
from .outbox import AuditOutbox, require_outbox
from .people import People
from .privacy import Privacy
from .reading import Reading
from .recorder import Receipt, Recorder
from .registry import ActionRegistry
from .signing import Notary
from .store import SPINE, AuditStore
from .tiles import hash_spans
from .tree import inclusion_spans, leaf_hash, verify_inclusion

__all__ = ["AuditLog", "Receipt", "Tick"]

_DEADLINE: Final = timedelta(seconds=2)
_NO_DATA: Final[Mapping[str, Any]] = {}


class Tick(NamedTuple):
    """What one `AuditLog.tick` did.

    Args:
        noted: leaves that the spine has more; 0 without a signer.
        relayed: events moved from the outbox into the tree.
        owed: protective events and gaps that still wait for the store.
    """

    noted: int
    relayed: int
    owed: int


class AuditLog(Reading, Privacy, Exporting):
    """Records events, signs the state of each tenant's tree, proves and exports it. Satisfies `core.EventSink`.

    Args:
        store: `MemoryAuditStore`, `storage.sql.SqlAuditStore`, or the host's own `AuditStore`.
        signer: the Ed25519 key of checkpoints; without one there is no checkpoint, proof or export.
        origin: names this log towards witnesses and auditors, as ``example.com/audit``; it must never change.
        registry: the declared actions; without one, undeclared actions count as `standard`.
        deadline: how long an append waits for a lock.
        spill: protective events kept in memory while the store is down.
        sinks: where signed checkpoints are published, out of reach of who can write the store.
        personal_key: a key kept outside the database, without which personal values in it cannot be read; it can
            never be changed.

    Raises:
        ConfigurationError: an origin that no signature line can hold; a sink that suspends over a store that blocks;
            a personal key below 32 bytes.
    """

    def __init__(
        self,
        store: AuditStore,
        signer: Ed25519Signer | None = None,
        origin: str = "example.com/audit",
        registry: ActionRegistry | None = None,
        *,
        clock: Clock | None = None,
        deadline: timedelta = _DEADLINE,
        spill: int = 1_000,
        sinks: Sequence[CheckpointSink] = (),
        personal_key: Secret[bytes] | None = None,
    ) -> None:
        try:
            check_name(origin)
        except UsageError as error:
            raise ConfigurationError(f"origin: {error.detail}", hint="origin='example.com/audit'") from None
        self.store: AuditStore = store
        self.origin: str = origin
        self.registry: ActionRegistry = ActionRegistry(strict=False) if registry is None else registry
        self.clock: Clock = SystemClock() if clock is None else clock
        self.suspends: bool = suspends(store)
        if suspends(*sinks) and not self.suspends:
            raise ConfigurationError(
                "a sink suspends and the store does not", hint="a blocking sink, or a store over AsyncDatabase"
            )
        self.people: People = People(store, personal_key)
        self._notary: Notary = Notary(store, signer, origin, sinks)
        self._keeper: Keeper = Keeper(store, self._notary, origin, self.clock, deadline)
        self._recorder: Recorder = Recorder(
            store, self.registry, self.clock, people=self.people, deadline=deadline, spill=spill
        )
        self._relays: PerProcess[OutboxRelay | None] = PerProcess(self._relay)

    def _relay(self) -> OutboxRelay | None:
        return OutboxRelay(require_outbox(self.store), self) if hasattr(self.store, "outbox") else None

    @property
    def signs(self) -> bool:
        """Whether there is a key that signs checkpoints."""
        return self._notary.signs

    # --- recording ---------------------------------------------------------------------------------------------------

    async def aemit(self, event: AuditEvent, /) -> Receipt:
        """Records one event; what happens when that is impossible is the action's criticality (see `registry`).

        Raises:
            AuditUnavailable: a critical or standard event that the store did not take: do not act. The event may
                stand all the same (the answer was lost); emit it again with the same id.
            AuditConflict: the id stands with other content.
            AuditForkDetected: the stored tree was changed from outside; nothing is appended to it.
            AuditEventRejected, AuditEventTooLarge: the event itself cannot be recorded.
        """
        receipt = (await self._recorder.record((event,)))[0]
        if receipt.durable and self._notary.signs:
            await self._keeper.recorded(1)
        return receipt

    emit: Final = synced(aemit)

    async def aemit_many(self, events: Iterable[AuditEvent]) -> list[Receipt]:
        """Records events in one commit, all or nothing; the strictest criticality among them decides for all."""
        receipts = await self._recorder.record(tuple(events))
        if self._notary.signs and any(receipt.durable for receipt in receipts):
            await self._keeper.recorded(len(receipts))
        return receipts

    emit_many: Final = synced(aemit_many)

    async def aflush(self) -> int:
        """Records what protective events are owed, and moves the outbox; `emit` does the first after every success.

        Returns:
            How many events and gaps still wait for the store.
        """
        owed = await self._recorder.settle()
        await self.arelay()
        return owed

    flush: Final = synced(aflush)

    async def arecord_failure(self, event: AuditEvent) -> None:
        """Records how an action failed, as if it were protective: the caller is busy with the failure itself."""
        await self._recorder.record_failure(event)

    @property
    def dropped(self) -> int:
        """Events that this process lost for good, told in ``audit.gap`` events of their tenants."""
        return self._recorder.dropped

    def outbox(self, connection: Any) -> AuditOutbox:
        """Takes events inside the host's own transaction: ``log.outbox(connection).emit(event)``, then commit.

        Args:
            connection: a SQLAlchemy connection (``session.connection()``) to the database of this log's store.

        Raises:
            ConfigurationError: the store has no outbox.
        """
        return AuditOutbox(require_outbox(self.store, connection), self.registry)

    async def arelay(self, limit: int = 1_000) -> Relayed:
        """Moves events from the outbox into the tree, oldest first; each stands once, however often it is moved."""
        relay = self._relays.here
        return Relayed() if relay is None else await relay.aforward(limit)

    relay: Final = synced(arelay)

    def action(
        self,
        name: str,
        /,
        *,
        tenant_id: str,
        actor: Principal | Mapping[str, Any],
        targets: tuple[str | Mapping[str, Any], ...] = (),
        source: Mapping[str, Any] | None = None,
        changes: tuple[Mapping[str, Any], ...] = (),
        reason: str | None = None,
        request: Mapping[str, Any] | None = None,
        decision: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] = _NO_DATA,
    ) -> AuditAction:
        """``with`` or ``async with``: writes ``attempted`` before the body and its outcome after it.

        The outcome is ``success``; ``failure`` after `fail()` or a `RequestError`; ``denied`` after a `Denied`;
        ``error`` after any other exception, of which only the type is recorded.
        """
        return AuditAction(
            self,
            AuditEvent(
                name,
                "attempted",
                tenant_id,
                actor,
                targets=targets,
                source=source,
                changes=changes,
                reason=reason,
                request=request,
                decision=decision,
                data=data,
                occurred_at=self.clock.now(),
            ),
        )

    # --- reading and proving -----------------------------------------------------------------------------------------

    async def aentry(self, tenant_id: str, seq: int) -> bytes:
        """The bytes of one leaf as stored: what a proof is about. Raises `UsageError` where there is none."""
        self._origin_of(tenant_id)  # refuses what names no tree
        size = (await self.store.head(tenant_id)).size
        found = await self.store.leaves(tenant_id, seq, seq + 1) if type(seq) is int and 0 <= seq < size else ()
        if not found:
            raise UsageError("no event with this seq")
        return found[0].leaf

    entry: Final = synced(aentry)

    def vkey(self, tenant_id: str | None = None) -> str:
        """The verifier key of a tenant's tree, or of the log's own name: hand it out over another way than the data.

        Raises:
            ConfigurationError: there is no signer.
        """
        name = self.origin if tenant_id is None else tree_origin(self.origin, tenant_id)
        return str(self._notary.signer.key(name))

    async def acheckpoint(self, tenant_id: str | None = None) -> str:
        """A signed note of a tree's size and root (c2sp.org/tlog-checkpoint): what anyone may pin.

        Without a tenant it is the spine's: first the heads of all trees that grew are noted in it.

        Raises:
            CheckpointRegression: the stored tree does not extend what was signed, published or noted of it before.
                Nothing was signed; for the spine: the trees that are sound were noted and signed.
            AuditForkDetected: the stored hashes do not give the stored root.
            AuditUnavailable: the store does not answer, or a sink cannot tell what it holds.
            ConfigurationError: there is no signer.
        """
        if tenant_id is None:
            _, text, fault = await self._keeper.advance(heartbeat=False)
            await self._notary.publish(SPINE, text)
            if fault is not None:
                raise fault
            return text
        text = await self._notary.checkpoint(tenant_id)
        await self._notary.publish(tenant_id, text)
        return text

    checkpoint: Final = synced(acheckpoint)

    async def atick(self) -> Tick:
        """What should happen once a second although nobody emits; for the host's scheduler, in one process or in all.

        Records what is owed, moves the outbox, notes in the spine which trees grew or, after a minute of silence, that
        the log is there, signs the spine and publishes it to the sinks. Without a signer there is no spine.

        Raises:
            CheckpointRegression, AuditForkDetected: a tree was changed from outside. All else was done.
            AuditUnavailable: the store does not answer, or a sink did not take the checkpoint.
        """
        owed = await self._recorder.settle()
        relayed = (await self.arelay()).sent
        if not self._notary.signs:
            return Tick(0, relayed, owed)
        noted, text, fault = await self._keeper.advance(heartbeat=True)
        failed = await self._notary.publish(SPINE, text)
        if fault is not None:
            raise fault
        if failed:
            raise AuditUnavailable(
                f"{len(failed)} sinks did not take the checkpoint ({', '.join(failed)})",
                hint="the next tick tries again",
            )
        return Tick(noted, relayed, owed)

    tick: Final = synced(atick)

    @property
    def fault(self) -> Exception | None:
        """What the last look at the spine found wrong, also where an `emit` made it; for health checks."""
        return self._keeper.fault

    async def aprove(self, tenant_id: str, seq: int) -> str:
        """A file that shows offline that an event is part of the signed tree (c2sp.org/tlog-proof).

        Raises:
            UsageError: no such event.
        """
        note = await self._notary.checkpoint(tenant_id)
        tree = Checkpoint.unverified(note)
        spans = inclusion_spans(seq, tree.size)
        hashes = await hash_spans(spans, lambda level, index: self.store.tile(tenant_id, level, index))
        if not verify_inclusion(seq, tree.size, tree.root, leaf_hash(await self.aentry(tenant_id, seq)), hashes):
            raise AuditForkDetected("the stored leaf is not in the signed tree", hint="run verify on this log")
        return InclusionProof(seq, tuple(hashes), note).text()

    prove: Final = synced(aprove)

    def _origin_of(self, tenant_id: str) -> str:
        return tree_origin(self.origin, tenant_id)
