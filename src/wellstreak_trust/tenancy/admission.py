"""The desk where people come in: invitations, service accounts, and support for a while."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

from ..core.entropy import random_hex, random_token
from ..core.errors import InvalidRequest, InvitationInvalid, UsageError
from ..core.principal import Principal
from ..core.sansio import synced
from ..core.tenant import Membership, MembershipKind, SupportAccess, TenantContext
from . import rules
from .invitations import Invitation, digest_of, required_email, verified_email
from .office import Notice, Office, role_names
from .workspace import Invited

__all__ = ["Admission"]

_LONGEST_OPEN: Final = timedelta(days=366)
_LONGEST_SUPPORT: Final = timedelta(days=7)


class Admission(Office):
    """Every way into a workspace but founding it."""

    async def ainvite(
        self, ctx: TenantContext, email: str, roles: Iterable[str], *, expires_in: timedelta = timedelta(days=7)
    ) -> Invitation:
        """Invites an address; an older invitation to it is revoked. Send `token` to that address and nowhere else.

        Raises:
            Denied: the acting member may not, or grants a rank above the own. SeatLimit. InvalidRequest: no address.
        """
        granted = _some(roles, "an invitation")
        if not timedelta() < expires_in <= _LONGEST_OPEN:
            raise UsageError("expires_in is positive and at most a year")
        act, token = self._act(ctx.principal), random_token()
        invited = Invited(
            random_hex(), digest_of(token), required_email(email), granted, act.principal.id, act.now + expires_in
        )
        notice = Notice("member.invited", ctx.principal, (invited.id,), data={"roles": sorted(granted)})
        await self._change(ctx.tenant_id, lambda state: rules.invite(state, act, invited), notice)
        return Invitation(invited.id, token, invited.email, granted, invited.expires_at)

    invite: Final = synced(ainvite)

    async def arevoke_invitation(self, ctx: TenantContext, invitation_id: str) -> None:
        """Withdraws an open invitation. Raises `Denied`, `NotFound`."""
        act = self._act(ctx.principal)
        notice = Notice("member.invitation_revoked", ctx.principal, (str(invitation_id),))
        await self._change(ctx.tenant_id, lambda state: rules.revoke(state, act, invitation_id), notice)

    revoke_invitation: Final = synced(arevoke_invitation)

    async def ainvitations(self, ctx: TenantContext) -> list[Invited]:
        """The invitations that still hold a seat, soonest to expire first."""
        state, now = await self._load(ctx), self._clock.now()
        pending = (invited for invited in state.invitations.values() if invited.pending(now))
        return sorted(pending, key=lambda invited: (invited.expires_at, invited.id))

    invitations: Final = synced(ainvitations)

    async def aaccept(self, token: str, principal: Principal) -> Membership:
        """Joins by an invitation.

        The principal must hold the invited address in ``attributes["email"]`` with ``attributes["email_verified"]``
        True.

        Raises:
            InvitationInvalid: one public answer for every cause; `reason` goes to the audit trail.
            SeatLimit: the seats were lowered meanwhile.
        """
        tenant_id: str | None = None
        notice = Notice("member.joined", principal, (principal.id,), principal.id)
        try:
            if principal.actor is not None:
                raise InvitationInvalid("impersonated")
            digest, email = digest_of(token), verified_email(principal)
            tenant_id = await self._store.tenant_of_invitation(digest)
            if tenant_id is None:
                raise InvitationInvalid("unknown")
            who, now = principal.id, self._clock.now()
            rule = partial(rules.join, bylaws=self._bylaws, digest=digest, principal_id=who, email=email, now=now)
            return (await self._change(tenant_id, rule, notice)).members[who]
        except InvitationInvalid as refusal:
            await self._refused(replace(notice, targets=(), reason=refusal.reason), tenant_id)
            raise

    accept: Final = synced(aaccept)

    async def aadd_service(self, ctx: TenantContext, principal_id: str, roles: Iterable[str]) -> Membership:
        """Gives a service account a membership: no address, no invitation, never an owner.

        Raises:
            Denied: the acting member may not, or grants above the own rights. Conflict: the id is a member already.
            SeatLimit: where service accounts take seats.
        """
        return await self._add(ctx, (principal_id, "service"), _some(roles, "a service account"))

    add_service: Final = synced(aadd_service)

    async def agrant_support(
        self,
        ctx: TenantContext,
        principal_id: str,
        *,
        reason: str,
        ticket: str,
        lasts: timedelta = timedelta(hours=4),
        roles: Iterable[str] | None = None,
    ) -> Membership:
        """Lets somebody from support in, for a while; a manager of the workspace decides, nobody else.

        It ends by itself at the instant, or earlier by `remove`. Support never manages members.

        Args:
            reason, ticket: on record, and shown with the membership; not blank.
            lasts: at most 7 days.
            roles: None for the `support_roles`, which only read.

        Raises:
            InvalidRequest: a blank reason or ticket. UsageError: `lasts` out of range. Denied, Conflict.
        """
        if not _said(reason) or not _said(ticket):
            raise InvalidRequest("support access needs a reason and a ticket")
        if not timedelta() < lasts <= _LONGEST_SUPPORT:
            raise UsageError("support access lasts at most 7 days")
        granted = self._bylaws.support_roles if roles is None else _some(roles, "support access")
        support = SupportAccess(reason, ticket, ctx.principal.id, self._clock.now() + lasts)
        return await self._add(ctx, (principal_id, "support"), granted, support)

    grant_support: Final = synced(agrant_support)

    async def _add(
        self,
        ctx: TenantContext,
        new: tuple[str, MembershipKind],
        roles: frozenset[str],
        support: SupportAccess | None = None,
    ) -> Membership:
        act, principal_id = self._act(ctx.principal), new[0]
        if not isinstance(principal_id, str) or not principal_id:
            raise InvalidRequest("a principal id is a non-empty str")
        if support is None:
            notice = Notice("member.service_added", ctx.principal, (principal_id,), principal_id)
        else:
            said = {"ticket": support.ticket, "until": support.until.isoformat()}
            notice = Notice(
                "support.access_granted", ctx.principal, (principal_id,), principal_id, support.reason, said
            )
        after = await self._change(ctx.tenant_id, lambda state: rules.add(state, act, new, roles, support), notice)
        return after.members[principal_id]


def _some(roles: Iterable[str], what: str) -> frozenset[str]:
    granted = role_names(roles)
    if not granted:
        raise UsageError(f"{what} grants at least one role", hint="roles=('member',)")
    return granted


def _said(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip())
