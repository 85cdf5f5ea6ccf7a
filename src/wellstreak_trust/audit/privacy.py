"""Erasure of a person from a trail that never changes, and the legal hold that forbids it.

Each is recorded as an attempt before it happens and with its outcome after it. Nothing that is recorded names the
person: events hold the opaque id, and so does the receipt, which a host may keep as long as it must.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ..core.errors import UsageError
from ..core.event import AuditEvent
from ..core.sansio import synced
from .action import AuditAction
from .recording import Actor, Recording, require_tenant
from .store import EVERYBODY, SubjectStore

__all__ = ["ErasureReceipt", "Privacy"]


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """What `AuditLog.erase` answers, safe to keep: it does not name the person.

    Args:
        subject: the opaque id of the person in the tenant's trail.
        fields_erased: values whose disclosures were deleted together with the person's key.
        seq: the event that records it.
    """

    subject: str
    fields_erased: int
    seq: int | None


class Privacy(Recording):
    """The part of `AuditLog` that deals with persons."""

    async def aerase(self, subject: str, *, tenant_id: str, reason: str, actor: Actor) -> ErasureReceipt:
        """Deletes the key of a person and all values recorded about them; leaves, roots and proofs stay as they are.

        Where nothing is recorded about the person, that is recorded too, with a count of 0. Copies of the database
        keep what they hold: see the guide to erasure for files, logs and backups.

        Args:
            subject: as in ``Personal(value, subject=...)``.

        Raises:
            LegalHold: the person or the tenant is held; the attempt is recorded.
            AuditEventRejected: no reason is given.
            AuditUnavailable: the attempt could not be recorded, and nothing was erased; or it was erased and the
                outcome could not be recorded: erase again.
        """
        index = await self._index(tenant_id, subject)
        async with self._acting("audit.subject_erased", index, tenant_id, _nameless(reason, subject), actor) as act:
            count = await _subjects(self.store).forget(tenant_id, index)
            act.data["count"] = count
        return ErasureReceipt(index, count, act.receipt.seq if act.receipt is not None else None)

    erase: Final = synced(aerase)

    async def ahold(self, subject: str | None = None, *, tenant_id: str, reason: str, actor: Actor) -> bool:
        """Forbids to erase a person, or anybody of the tenant, and to prune the tenant's trail; False if it stood.

        Raises:
            AuditEventRejected: no reason is given.
            AuditUnavailable: it could not be recorded. A hold may stand all the same, which errs on the safe side.
        """
        return await self._held("audit.hold_placed", subject, tenant_id, reason, actor)

    hold: Final = synced(ahold)

    async def arelease(self, subject: str | None = None, *, tenant_id: str, reason: str, actor: Actor) -> bool:
        """Ends a hold of exactly this kind; False if there was none. Raises as `ahold`."""
        return await self._held("audit.hold_released", subject, tenant_id, reason, actor)

    release: Final = synced(arelease)

    async def _held(self, action: str, subject: str | None, tenant_id: str, reason: str, actor: Actor) -> bool:
        index = EVERYBODY if subject is None else await self._index(tenant_id, subject)
        async with self._acting(action, index, tenant_id, _nameless(reason, subject), actor) as act:
            changed = await _subjects(self.store).hold(tenant_id, index, held=action == "audit.hold_placed")
            act.data["changed"] = changed
        return changed

    def _acting(self, action: str, index: str, tenant_id: str, reason: str, actor: Actor) -> AuditAction:
        attempted = AuditEvent(
            *(action, "attempted", tenant_id, actor),
            targets=({"type": "subject", "id": index},) if index else (),
            reason=reason,
            data={"subject": index} if index else {"scope": "tenant"},
            occurred_at=self.clock.now(),
        )
        return AuditAction(self, attempted)

    async def _index(self, tenant_id: str, subject: str) -> str:
        require_tenant(tenant_id)
        _subjects(self.store)
        return await self.people.index(tenant_id, subject)


def _subjects(store: Any) -> SubjectStore:
    if not hasattr(store, "forget"):
        raise UsageError("this audit store keeps no persons", hint="implement SubjectStore next to AuditStore")
    found: SubjectStore = store
    return found


def _nameless(reason: str, subject: str | None) -> str:
    """A reason is typed by someone who may name the person; what stays for ever must not."""
    return reason.replace(subject, "(subject)") if subject and isinstance(reason, str) else reason
