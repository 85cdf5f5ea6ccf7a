"""`Approvals`: a second pair of eyes for what is too much for one subject, above all for an agent.

A permission with ``approval = {by = "..."}`` is never allowed by `check` alone: the decision is `approval_required`
and carries the obligation. The way on has three steps::

    request   the subject wants one operation; the policy grants all of it but the approval
    confirm   a person who holds `by`, and is not the requester, sees the operation and agrees
    consume   the same subject does the same operation, once, before it expires; the policy is asked again

What binds them is a digest over everything that makes the operation this one: subject, who stands behind it, tenant,
permission, resource and arguments. Another amount or another recipient is another operation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final, Protocol

from ..core.canonical import canonical_json, length_prefixed
from ..core.clock import Clock, SystemClock
from ..core.entropy import random_hex
from ..core.errors import AccessDenied, ApprovalInvalid, UsageError
from ..core.event import AuditEvent, EventSink
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from ..core.tenant import TenantContext
from .approval_store import ApprovalRow, ApprovalStore
from .breakglass import BreakGlass
from .decision import Approval, Decision
from .judge import Actor, actor_of, read

__all__ = ["APPROVAL", "Approvals"]

APPROVAL: Final = "authz.approval_confirmed"

_PLATFORM: Final = "system"
_CLOCK: Final = SystemClock()
_LIFETIME: Final = timedelta(minutes=15)
_LONGEST: Final = timedelta(days=7)
_ID: Final = re.compile(r"[0-9a-f]{32}")
_DOMAIN: Final = "wellstreak_trust/approval/1"


class _Policy(Protocol):
    def check(self, subject: object, permission: str, resource: object = None, context: object = None) -> Decision: ...


class Approvals:
    """Requests, confirmations and their single use.

    Args:
        store: `MemoryApprovalStore` or `storage.sql.SqlApprovalStore`.
        policy: a `Policy` or `PolicyHolder`; asked at every step, so that what was revoked meanwhile stays revoked.
        clock: the clock of that policy.
        lifetime: from request to use, at most 7 days.
        audit: the trail that learns who confirms what, before it counts; one that cannot take it means no.

    Raises:
        UsageError: a lifetime out of range.
    """

    def __init__(
        self,
        store: ApprovalStore,
        policy: _Policy,
        *,
        clock: Clock = _CLOCK,
        lifetime: timedelta = _LIFETIME,
        audit: EventSink | None = None,
    ) -> None:
        if not isinstance(lifetime, timedelta) or not timedelta() < lifetime <= _LONGEST:
            raise UsageError("an approval lives more than nothing and at most 7 days")
        self.suspends: bool = suspends(store, audit)
        self._audit: EventSink | None = audit
        self._store: ApprovalStore = store
        self._policy: _Policy = policy
        self._clock: Clock = clock
        self._lifetime: timedelta = lifetime

    async def arequest(
        self,
        subject: Principal | TenantContext | BreakGlass,
        permission: str,
        resource: object = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        context: object = None,
    ) -> ApprovalRow:
        """Asks for one operation; show it to an approver under the `id` of the answer.

        Args:
            resource: as for `check`; bound by its `type` and `id`.
            arguments: what else makes this operation this one (amount, recipient), in canonical JSON values.

        Raises:
            AccessDenied: the policy would not allow it with an approval either.
            UsageError: it needs no approval, or the arguments have no canonical form.
        """
        decision = self._policy.check(subject, permission, resource, context)
        wanted = _approval_in(decision)
        if wanted is None:
            if not decision.allowed:
                raise AccessDenied(decision)
            raise UsageError(f"{decision.permission} needs no approval", hint="check said allowed; go on")
        who, now = _acting(subject), self._clock.now()
        row = ApprovalRow(
            id=random_hex(),
            digest=b"",
            tenant_id=who.tenant_id or "",
            permission=wanted.permission,
            by=wanted.by,
            subject_id=who.id,
            subject_kind=who.kind,
            actor_id=who.actor.id if who.actor is not None else "",
            requested_at=now,
            expires_at=now + self._lifetime,
        )
        row = replace(row, digest=_digest(row, resource, arguments))
        await self._store.add(row)
        return row

    request: Final = synced(arequest)

    async def aconfirm(
        self,
        approver: Principal | TenantContext,
        id: str,
        resource: object = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        context: object = None,
    ) -> ApprovalRow:
        """A person agrees to the operation as it was shown, which is why resource and arguments are given again.

        The person an agent acts for may be the one; whoever an impersonation involves may not.

        Args:
            context: of the approver's request, for the conditions on `by`.

        Raises:
            ApprovalInvalid: none of this id stands open, it is for something else, or this is nobody who may confirm
                it; `reason` tells which.
            AccessDenied: the approver does not hold `by`, here and now.
            AuditUnavailable: the trail cannot take it.
        """
        row = await self._open(id)
        who = actor_of(approver)
        if who is None or who.kind != "user" or who.actor is not None:
            raise ApprovalInvalid("not_a_person", hint="approvers are people who act as themselves")
        if who.id == row.subject_id or (who.id == row.actor_id and row.subject_kind != "agent"):
            raise ApprovalInvalid("own_request")
        if (who.tenant_id or "") != row.tenant_id:
            raise ApprovalInvalid("another_tenant")
        if not compare_digest(row.digest, _digest(row, resource, arguments)):
            raise ApprovalInvalid("another_operation")
        decision = self._policy.check(approver, row.by, resource, context)
        if not decision.allowed:
            raise AccessDenied(decision)
        await self._arecord(row, who, decision)
        if not await self._store.confirm_if(row.id, who.id, self._clock.now()):
            raise ApprovalInvalid("not_open")
        return replace(row, confirmed_by=who.id)

    confirm: Final = synced(aconfirm)

    async def aconsume(
        self,
        id: str,
        subject: Principal | TenantContext | BreakGlass,
        permission: str,
        resource: object = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        context: object = None,
    ) -> Decision:
        """The decision with the approval spent: allowed once, and only for what was confirmed.

        Everything else is the policy's own answer: `approval_required` where the approval does not fit, is not
        confirmed, has expired or was used, and any other answer that stands by now. A store that fails raises.
        """
        decision = self._policy.check(subject, permission, resource, context)
        if _approval_in(decision) is None:
            return decision
        row, who = await self._read(id), _acting(subject)
        if row is None or not _is_by(row, who) or row.permission != decision.permission:
            return decision
        if not await self._store.consume_if(row.id, _digest(row, resource, arguments), self._clock.now()):
            return decision
        return replace(decision, allowed=True, code="allowed", obligations=(), approval=row.id)

    consume: Final = synced(aconsume)

    async def awithdraw(self, person: Principal | TenantContext, id: str) -> bool:
        """The requester gives up, or one who could confirm says no; tells whether it stood.

        Raises:
            ApprovalInvalid: none of this id stands, or this is neither of them.
        """
        row, who = await self._read(id), actor_of(person)
        if row is None or who is None or (who.tenant_id or "") != row.tenant_id:
            raise ApprovalInvalid("not_open")
        if who.id not in (row.subject_id, row.actor_id) and not self._policy.check(person, row.by).allowed:
            raise ApprovalInvalid("not_involved")
        return await self._store.withdraw(row.id)

    withdraw: Final = synced(awithdraw)

    async def _arecord(self, row: ApprovalRow, who: Actor, decision: Decision) -> None:
        if self._audit is None:
            return
        event = AuditEvent(
            APPROVAL,
            "attempted",  # written before the confirmation counts
            row.tenant_id or _PLATFORM,
            who.principal,
            targets=({"type": "approval", "id": row.id},),
            decision=decision.audit(),
            data={"permission": row.permission, "subject_id": row.subject_id, "actor_id": row.actor_id},
            occurred_at=self._clock.now(),
        )
        await self._audit.aemit(event)

    async def _read(self, id: str) -> ApprovalRow | None:
        return await self._store.read(id) if type(id) is str and _ID.fullmatch(id) else None

    async def _open(self, id: str) -> ApprovalRow:
        row = await self._read(id)
        if row is None or row.confirmed_by is not None or row.expires_at <= self._clock.now():
            raise ApprovalInvalid("not_open")
        return row


def _approval_in(decision: Decision) -> Approval | None:
    """The approval that is all that is missing."""
    if decision.code != "approval_required":
        return None
    return next((wanted for wanted in decision.obligations if isinstance(wanted, Approval)), None)


def _acting(subject: object) -> Actor:
    found = actor_of(subject.context() if isinstance(subject, BreakGlass) else subject)
    if found is None:
        raise UsageError("an approval is for a Principal, TenantContext or BreakGlass")
    return found


def _is_by(row: ApprovalRow, who: Actor) -> bool:
    behind = who.actor.id if who.actor is not None else ""
    asked = (row.subject_id, row.subject_kind, row.actor_id, row.tenant_id)
    return asked == (who.id, who.kind, behind, who.tenant_id or "")


def _digest(row: ApprovalRow, resource: object, arguments: Mapping[str, Any] | None) -> bytes:
    """SHA-256 of the operation; injective, because every part is canonical and has its length before it."""
    if arguments is not None and not isinstance(arguments, Mapping):
        raise UsageError("arguments is a mapping of plain values", hint='{"amount": "12.50"}')
    asked = [row.subject_id, row.subject_kind, row.actor_id, row.tenant_id, row.permission]
    parts = (canonical_json([*asked, *_target(resource)]), canonical_json(dict(arguments or {}), any_key=True))
    return sha256(length_prefixed(_DOMAIN, *parts)).digest()


def _target(resource: object) -> tuple[str, ...]:
    """What tells this resource from every other; nothing for the tenant as a whole."""
    if resource is None:
        return ()
    try:
        found = (read(resource, "type"), read(resource, "id"))
    except Exception as error:  # the resource's own code
        raise UsageError(f"the resource cannot be read: {type(error).__name__}") from None
    if type(found[0]) is not str or type(found[1]) is not str or not found[1]:
        raise UsageError("an approval binds a resource by its type and id", hint="give the resource both, as text")
    return found[0], found[1]
