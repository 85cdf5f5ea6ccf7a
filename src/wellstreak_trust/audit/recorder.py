"""From events to leaves under the declared failure policy: what is refused, what is owed, what is lost and told.

======================  =============================================  ================================================
the store               critical, standard                             protective, sampled
======================  =============================================  ================================================
does not take it        `AuditUnavailable`: the action must not run    a receipt that is not durable
has the id otherwise    `AuditConflict`                                lost, told in ``audit.gap``
has another tree        `AuditForkDetected`                            as if it were down
======================  =============================================  ================================================

Protective events are kept in memory, up to a bound, and recorded on recovery; sampled ones are not kept. What is lost
for good is counted, and one ``audit.gap`` a tenant tells how many, from when to when.

A wait is bounded by the deadline. After one that was in vain the next protective events wait a fraction of it, until
the store has answered again: an attacker who holds the lock must not hold every denial for two seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from ..core.clock import Clock
from ..core.errors import (
    AuditConflict,
    AuditEventRejected,
    AuditEventTooLarge,
    AuditForkDetected,
    AuditUnavailable,
    TrustError,
)
from ..core.event import AuditEvent
from ..core.processes import PerProcess
from .event import Draft, draft, reduced
from .people import People, without_values
from .personal import is_marked
from .registry import ActionRegistry, ActionSpec
from .sequencer import Sequencer
from .spill import Gap, Spill
from .store import AuditStore, Leaf

__all__ = ["Receipt", "Recorder"]

_PLATFORM: Final = "system"
_HINT: Final = "check that the database runs, has space and answers within the deadline"
_AGAIN_NS: Final = 1_000_000_000  # what a forked tree owes must not be tried at every emit of another
_SHORT: Final = timedelta(milliseconds=50)


class Receipt(NamedTuple):
    """What `emit` answers.

    Args:
        seq: 0-based leaf index in the tenant's tree; None while the event is only kept or was dropped.
        leaf_hash: 32 bytes, SHA-256(0x00 || leaf); None likewise.
        durable: whether the store has acknowledged the event.
    """

    id: str
    tenant_id: str
    seq: int | None
    leaf_hash: bytes | None
    durable: bool


class _Admitted(NamedTuple):
    """An event with its declaration; no draft where even its reduced form cannot be recorded."""

    event: AuditEvent
    spec: ActionSpec
    draft: Draft | None


class Recorder:
    """The writing half of a log.

    Args:
        people: seals personal values.
        deadline: how long an event waits for other callers and for locks.
        spill: protective events kept while the store is down.
    """

    def __init__(
        self,
        store: AuditStore,
        registry: ActionRegistry,
        clock: Clock,
        *,
        people: People,
        deadline: timedelta,
        spill: int,
    ) -> None:
        self.registry: ActionRegistry = registry
        self._clock: Clock = clock
        self._people: People = people
        self._deadline: timedelta = deadline
        self._sequencer: Sequencer = Sequencer(store, clock)
        self._spills: PerProcess[Spill] = PerProcess(lambda: Spill(spill))
        self._hangs: bool = False
        self._settles: int = 0

    @property
    def _spill(self) -> Spill:
        return self._spills.here

    @property
    def dropped(self) -> int:
        """Events lost for good."""
        return self._spill.dropped

    @property
    def owed(self) -> int:
        """Events and gaps that wait for the store."""
        return len(self._spill)

    async def record(self, events: Sequence[AuditEvent]) -> list[Receipt]:
        """As `AuditLog.aemit_many`."""
        admitted = [self._admit(event) or await self._admit_marked(event) for event in events]
        drafts = [one[2] for one in admitted if one[2] is not None]
        leaves: list[Leaf] = []
        if drafts:
            try:
                leaves = await self._append(drafts, self._patience(admitted) if self._hangs else self._deadline)
            except TrustError as refusal:
                if any([one.spec.must_stand for one in admitted]):
                    raise
                self._owe(admitted, refusal)
            else:
                if len(self._spills.here) and self._clock.monotonic_ns() >= self._settles:
                    await self.settle()
        if len(leaves) == len(admitted):
            return [Receipt(leaf[2], leaf[0], leaf[1], leaf[9], True) for leaf in leaves]
        return _receipts(admitted, leaves)

    async def record_failure(self, event: AuditEvent) -> None:
        """Records how an action failed, as if it were protective: the caller is busy with the failure itself."""
        try:
            await self.record((event,))
        except AuditConflict:
            self._lose(event.tenant_id)  # an attempt of this tenant stands, so the tenant is one
        except TrustError as refusal:
            kept = self._valueless(event, self.registry.spec(event.action)).draft
            if kept is not None:
                self._spill.keep([kept], self._clock.now())
                if not isinstance(refusal, AuditUnavailable):
                    await self.settle()

    async def settle(self) -> int:
        """Records what is owed; returns how much remains."""
        if len(self._spill):
            kept, gaps = self._spill.take()
            owed = [*kept, *(gap.draft(tenant_id) for tenant_id, gap in gaps.items())]
            try:
                await self._append(owed, self._deadline)
            except (AuditConflict, AuditForkDetected):  # of one tenant or event, which must not hold back the others
                self._spill.bring_back(*await self._one_by_one(kept, gaps))
                self._settles = self._clock.monotonic_ns() + _AGAIN_NS
            except TrustError:
                self._spill.bring_back(kept, gaps)
        return len(self._spill)

    # --- policy ------------------------------------------------------------------------------------------------------

    def _admit(self, event: AuditEvent) -> _Admitted | None:
        """None for an event with personal values or secrets; plain ones, nearly all, are not even searched for them."""
        spec = self.registry.spec(getattr(event, "action", ""))
        try:
            made = draft(event)
            if spec.checks:
                spec.check(event)
            return _Admitted(event, spec, made)
        except (AuditEventRejected, AuditEventTooLarge) as refusal:
            return None if is_marked(event) else self._cut(event, spec, refusal)

    async def _admit_marked(self, event: AuditEvent) -> _Admitted:
        spec = self.registry.spec(event.action)
        try:
            spec.check(event)
            return _Admitted(event, spec, await self._people.draft(event))
        except (AuditEventRejected, AuditEventTooLarge) as refusal:
            return self._cut(event, spec, refusal)
        except Exception as error:  # the keys are out of reach
            if spec.must_stand:
                raise _refused(error) from None
            return self._valueless(event, spec)

    def _valueless(self, event: AuditEvent, spec: ActionSpec) -> _Admitted:
        """Nobody waits for this event to be refused: what cannot be sealed is left out, what cannot be recorded cut."""
        try:
            return _Admitted(event, spec, without_values(event))
        except TrustError as refusal:
            return _Admitted(event, spec, self._reduced(event, refusal))

    def _cut(self, event: AuditEvent, spec: ActionSpec, refusal: TrustError) -> _Admitted:
        if spec.must_stand:
            raise refusal
        return _Admitted(event, spec, self._reduced(event, refusal))

    def _reduced(self, event: AuditEvent, refusal: TrustError) -> Draft | None:
        try:
            return draft(reduced(event, refusal))
        except TrustError:
            self._lose(_PLATFORM)  # not even a tenant to tell it to
            return None

    def _patience(self, admitted: Iterable[_Admitted]) -> timedelta:
        if any(one.spec.must_stand for one in admitted):
            return self._deadline
        return min(_SHORT, self._deadline)

    async def _append(self, drafts: Sequence[Draft], patience: timedelta) -> list[Leaf]:
        begun = self._clock.monotonic_ns()
        try:
            leaves = await self._sequencer.append(drafts, patience)
        except (AuditConflict, AuditForkDetected):
            raise
        except Exception as error:  # whatever a driver throws, the answer is the policy's
            waited = timedelta(microseconds=(self._clock.monotonic_ns() - begun) // 1_000)
            self._hangs = self._hangs or waited >= self._deadline / 2
            raise _refused(error) from None
        self._hangs = False
        return leaves

    def _owe(self, admitted: Iterable[_Admitted], refusal: TrustError) -> None:
        for one in admitted:
            if one.draft is None:
                continue
            if one.spec.criticality == "sampled" or isinstance(refusal, AuditConflict):
                self._lose(one.draft.tenant_id)
            else:
                self._spill.keep([one.draft], self._clock.now())

    async def _one_by_one(self, kept: list[Draft], gaps: dict[str, Gap]) -> tuple[list[Draft], dict[str, Gap]]:
        """What remains when each is tried alone; an event whose id is taken is lost."""
        left, untold = [], {}
        for one in kept:
            try:
                await self._append([one], self._deadline)
            except AuditConflict:
                self._lose(one.tenant_id)
            except TrustError:
                left.append(one)
        for tenant_id, gap in gaps.items():
            try:
                await self._append([gap.draft(tenant_id)], self._deadline)
            except TrustError:
                untold[tenant_id] = gap
        return left, untold

    def _lose(self, tenant_id: str) -> None:
        moment = self._clock.now()
        self._spill.lose(tenant_id, Gap(1, moment, moment))


def _refused(error: Exception) -> AuditUnavailable:
    what = error.code if isinstance(error, TrustError) else type(error).__name__
    return AuditUnavailable(f"the audit store did not take the event ({what})", hint=_HINT)


def _receipts(admitted: list[_Admitted], leaves: list[Leaf]) -> list[Receipt]:
    placed = iter(leaves)
    found = []
    for one in admitted:
        leaf = next(placed, None) if one.draft is not None else None
        if leaf is None:
            found.append(Receipt(one.event.id, one.event.tenant_id, None, None, durable=False))
        else:
            found.append(Receipt(leaf.id, leaf.tenant_id, leaf.seq, leaf.leaf_hash, durable=True))
    return found
