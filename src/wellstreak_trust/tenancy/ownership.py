"""The desk where an ownership changes hands.

::

    offered ──cool-off──► ready ──accepted by the new owner──► transferred
       └──cancelled, expired, or a party is gone──► void

Without a `TransferPolicy` a transfer is one step.
"""

from __future__ import annotations

from typing import Final

from ..core.errors import UsageError
from ..core.sansio import synced
from ..core.tenant import Membership, TenantContext
from . import rules
from .bylaws import TransferPolicy
from .office import Notice, Office
from .workspace import Transfer

__all__ = ["Ownership"]


class Ownership(Office):
    """Transfers of ownership."""

    async def atransfer_ownership(self, ctx: TenantContext, to: str) -> Membership:
        """Makes the member `to` an owner and the acting owner an admin; returns the membership of `to`.

        Under a `TransferPolicy` with acceptance it only makes the offer: `to` calls `accept_ownership`.

        Raises:
            Denied: the acting member is no owner, or `to` is no person. NotFound: `to` is no member.
            Conflict: it is the same person, or a suspended one. ReauthRequired: the policy wants a step-up.
        """
        act, policy = self._act(ctx.principal), self._bylaws.transfer
        act.require_step_up(policy)
        target = (str(to),)
        if policy is not None and policy.acceptance:
            ready = act.now + policy.cool_off
            times = (ready, ready + policy.expires_in)
            notice = Notice("workspace.transfer_offered", ctx.principal, target, data={"ready_at": ready.isoformat()})
            after = await self._change(ctx.tenant_id, lambda state: rules.offer(state, act, to, times), notice)
        else:
            notice = Notice("workspace.ownership_transferred", ctx.principal, target, to)
            after = await self._change(ctx.tenant_id, lambda state: rules.transfer(state, act, to), notice)
        return after.members[to]

    transfer_ownership: Final = synced(atransfer_ownership)

    async def aaccept_ownership(self, ctx: TenantContext) -> Membership:
        """Accepts the ownership that was offered to the acting member, who becomes the owner.

        Raises:
            NotFound: nothing is on offer to this member, or no longer. Conflict: it is cooling off.
            Denied: who offered is no owner any more. ReauthRequired: the policy wants a step-up.
        """
        act, me = self._act(ctx.principal), ctx.principal.id
        act.require_step_up(self._two_steps())
        notice = Notice("workspace.ownership_transferred", ctx.principal, (me,), me)
        after = await self._change(ctx.tenant_id, lambda state: rules.accept_transfer(state, act), notice)
        return after.members[me]

    accept_ownership: Final = synced(aaccept_ownership)

    async def acancel_transfer(self, ctx: TenantContext) -> None:
        """Withdraws the offer (any owner) or declines it (who it was made to). Raises `Denied`, `NotFound`."""
        act = self._act(ctx.principal)
        notice = Notice("workspace.transfer_cancelled", ctx.principal)
        await self._change(ctx.tenant_id, lambda state: rules.cancel_transfer(state, act), notice)

    cancel_transfer: Final = synced(acancel_transfer)

    async def apending_transfer(self, ctx: TenantContext) -> Transfer | None:
        """The offer that stands, or None."""
        found = (await self._load(ctx)).transfer
        return found if found is not None and self._clock.now() < found.expires_at else None

    pending_transfer: Final = synced(apending_transfer)

    def _two_steps(self) -> TransferPolicy:
        policy = self._bylaws.transfer
        if policy is None or not policy.acceptance:
            raise UsageError("transfers take one step here", hint="Memberships(store, transfer=TransferPolicy())")
        return policy
