"""The audit trail: one Merkle tree a tenant, appended to through a declared failure policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from os import PathLike
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.errors import (
    AuditConflict,
    AuditEventRejected,
    AuditEventTooLarge,
    AuditForkDetected,
    AuditUnavailable,
    ConfigurationError,
    TrustError,
    UsageError,
)
from ..core.event import AuditEvent
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .action import AuditAction
from .checkpoint import Checkpoint, InclusionProof, tree_origin
from .event import Draft, draft, reduced
from .export import export_tree
from .note import Ed25519Signer, check_name
from .people import People, without_values
from .personal import is_marked
from .privacy import Privacy
from .reading import Reading
from .recording import Receipt
from .registry import ActionRegistry, ActionSpec
from .signing import Notary
from .spill import Gap, Spill
from .store import AuditStore, Leaf
from .tiles import TileStore, hash_spans
from .tree import inclusion_spans, leaf_hash, verify_inclusion

__all__ = ["AuditLog", "Receipt"]

_DEADLINE: Final = timedelta(seconds=2)
_NO_DATA: Final[Mapping[str, Any]] = {}
_PLATFORM: Final = "system"
_HINT: Final = "check that the database runs, has space and answers within the deadline"


@dataclass(frozen=True, slots=True)
class _Admitted:
    """An event with its declaration; no draft where even its reduced form cannot be recorded."""

    event: AuditEvent
    spec: ActionSpec
    draft: Draft | None

    def receipt(self, leaf: Leaf | None) -> Receipt:
        if leaf is None:
            return Receipt(self.event.id, self.event.tenant_id, None, None, durable=False)
        return Receipt(leaf.id, leaf.tenant_id, leaf.seq, leaf.leaf_hash, durable=True)


class AuditLog(Reading, Privacy):
    """Records events, signs the state of each tenant's tree, proves and exports it. Satisfies `core.EventSink`.

    Args:
        store: `MemoryAuditStore`, `storage.sql.SqlAuditStore`, or the host's own `AuditStore`.
        signer: the Ed25519 key of checkpoints; without one there is no checkpoint, proof or export.
        origin: names this log towards witnesses and auditors, as ``example.com/audit``; it must never change.
        registry: the declared actions; without one, undeclared actions count as `standard`.
        deadline: how long an append waits for a lock.
        spill: protective events kept in memory while the store is down.
        personal_key: a key kept outside the database, without which personal values in it cannot be read; it can
            never be changed.

    Raises:
        ConfigurationError: an origin that no signature line can hold.
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
        self._notary: Notary = Notary(store, signer, origin)
        self.people: People = People(store, b"" if personal_key is None else personal_key.reveal())
        self._deadline: timedelta = deadline
        self._spill: Spill = Spill(spill)

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
        return (await self.aemit_many((event,)))[0]

    emit: Final = synced(aemit)

    async def aemit_many(self, events: Iterable[AuditEvent]) -> list[Receipt]:
        """Records events in one commit, all or nothing; the strictest criticality among them decides for all."""
        admitted = [await self._admit(event) for event in events]
        leaves: list[Leaf] = []
        drafts = [one.draft for one in admitted if one.draft is not None]
        if drafts:
            try:
                leaves = await self._append(drafts)
            except TrustError as refusal:
                if any(one.spec.must_stand for one in admitted):
                    raise
                self._owe(admitted, refusal)
            else:
                await self.aflush()
        placed = iter(leaves)
        return [one.receipt(next(placed, None) if one.draft else None) for one in admitted]

    emit_many: Final = synced(aemit_many)

    async def aflush(self) -> int:
        """Records what protective events are owed; `emit` does so after every success. Returns how many remain."""
        if len(self._spill):
            kept, gaps = self._spill.take()
            try:
                await self._append([*kept, *(gap.draft(tenant_id) for tenant_id, gap in gaps.items())])
            except AuditConflict:  # one kept event holds back all: it is the one that goes
                self._spill.bring_back(await self._without_conflicts(kept), gaps)
            except TrustError:
                self._spill.bring_back(kept, gaps)
        return len(self._spill)

    flush: Final = synced(aflush)

    async def arecord_failure(self, event: AuditEvent) -> None:
        """Records how an action failed, as if it were protective: the caller is busy with the failure itself."""
        try:
            await self.aemit(event)
        except AuditUnavailable:
            self._spill.keep([without_values(event)], self.clock.now())
        except TrustError:
            self._lose(event.tenant_id)

    @property
    def dropped(self) -> int:
        """Events lost for good since the start, told in ``audit.gap`` events of their tenants."""
        return self._spill.dropped

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
        found = await self.store.leaves(tenant_id, seq, seq + 1)
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

    async def acheckpoint(self, tenant_id: str) -> str:
        """A signed note of the tree's size and root (c2sp.org/tlog-checkpoint): what anyone may pin.

        Raises:
            CheckpointRegression: the stored tree does not extend the one signed before; nothing was signed.
            AuditForkDetected: the stored hashes do not give the stored root.
            ConfigurationError: there is no signer.
        """
        return await self._notary.checkpoint(tenant_id)

    checkpoint: Final = synced(acheckpoint)

    async def aprove(self, tenant_id: str, seq: int) -> str:
        """A file that shows offline that an event is part of the signed tree (c2sp.org/tlog-proof).

        Raises:
            UsageError: no such event.
        """
        note = await self.acheckpoint(tenant_id)
        tree = Checkpoint.unverified(note)
        spans = inclusion_spans(seq, tree.size)
        hashes = await hash_spans(spans, lambda level, index: self.store.tile(tenant_id, level, index))
        if not verify_inclusion(seq, tree.size, tree.root, leaf_hash(await self.aentry(tenant_id, seq)), hashes):
            raise AuditForkDetected("the stored leaf is not in the signed tree", hint="run verify on this log")
        return InclusionProof(seq, tuple(hashes), note).text()

    prove: Final = synced(aprove)

    async def aexport(
        self,
        tenant_id: str,
        directory: str | PathLike[str] | TileStore,
        *,
        actor: Principal | Mapping[str, Any] | None = None,
    ) -> str:
        """Writes the tree as static files (c2sp.org/tlog-tiles) and returns the checkpoint, which is worth keeping.

        Args:
            actor: who exports; recorded as ``audit.exported`` first, so that the export holds its own event.

        Raises:
            UsageError: the directory holds another tree, or a newer state of this one.
        """
        if actor is not None:
            await self.aemit(AuditEvent("audit.exported", "success", tenant_id, actor, occurred_at=self.clock.now()))
        note = await self.acheckpoint(tenant_id)
        await export_tree(
            self.store, tenant_id, note, directory if isinstance(directory, TileStore) else TileStore(directory)
        )
        return note

    export: Final = synced(aexport)

    # --- failure policy ----------------------------------------------------------------------------------------------

    async def _admit(self, event: AuditEvent) -> _Admitted:
        spec = self.registry.spec(getattr(event, "action", ""))
        try:
            if spec.needs_reason and not event.reason:
                raise AuditEventRejected(f"{spec.name} needs a reason")
            return _Admitted(event, spec, await self._draft(event, spec))
        except (AuditEventRejected, AuditEventTooLarge) as refusal:
            if spec.must_stand:
                raise
            return _Admitted(event, spec, self._reduced(event, refusal))

    async def _draft(self, event: AuditEvent, spec: ActionSpec) -> Draft:
        """Plain events, which are nearly all, are not searched for personal values: the encoder stumbles over them."""
        try:
            return draft(event)
        except AuditEventRejected:
            if not isinstance(event, AuditEvent) or not is_marked(event):
                raise
        try:
            return await self.people.draft(event)
        except (AuditEventRejected, AuditEventTooLarge):
            raise
        except Exception as error:  # the keys are out of reach
            if spec.must_stand:
                raise _refused(error) from None
            return without_values(event)

    def _reduced(self, event: AuditEvent, refusal: TrustError) -> Draft | None:
        try:
            return draft(reduced(event, refusal))
        except TrustError:
            self._lose(_PLATFORM)  # not even a tenant to tell it to
            return None

    async def _append(self, drafts: Sequence[Draft]) -> list[Leaf]:
        try:
            return await self.store.append_batch(drafts, now=self.clock.now, deadline=self._deadline)
        except (AuditConflict, AuditForkDetected):
            raise
        except Exception as error:  # whatever a driver throws, the answer is the policy's
            raise _refused(error) from None

    def _owe(self, admitted: Iterable[_Admitted], refusal: TrustError) -> None:
        for one in admitted:
            if one.draft is None:
                continue
            if one.spec.criticality == "sampled" or isinstance(refusal, AuditConflict):
                self._lose(one.draft.tenant_id)
            else:
                self._spill.keep([one.draft], self.clock.now())

    async def _without_conflicts(self, kept: list[Draft]) -> list[Draft]:
        left = []
        for one in kept:
            try:
                await self._append([one])
            except AuditConflict:
                self._lose(one.tenant_id)
            except TrustError:
                left.append(one)
        return left

    def _lose(self, tenant_id: str) -> None:
        moment = self.clock.now()
        self._spill.lose(tenant_id, Gap(1, moment, moment))


def _refused(error: Exception) -> AuditUnavailable:
    what = error.code if isinstance(error, TrustError) else type(error).__name__
    return AuditUnavailable(f"the audit store did not take the event ({what})", hint=_HINT)
