"""`Memberships`: who belongs to a workspace, and every way in and out of it.

Each method is one transaction of the store, under the workspace's lock, around one pure rule of `workspace`. Audit
events are emitted after the commit: an `AuditUnavailable` here means that the change stands without its record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final, Protocol

from ..core.clock import Clock, SystemClock
from ..core.entropy import random_hex, random_token
from ..core.errors import Conflict, Denied, InvalidRequest, InvitationInvalid, TenantNotFound, UsageError
from ..core.event import AuditEvent, EventSink, Outcome
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from ..core.tenant import Membership, TenantContext
from . import workspace
from .ids import RESERVED, is_tenant_id
from .invitations import Invitation, digest_of, required_email, verified_email
from .workspace import RANKS, Invited, Ranks, Rule, WorkspaceState

__all__ = ["MembershipStore", "Memberships"]

_ROLE_LONGEST: Final = 64
_LONGEST_OPEN: Final = timedelta(days=366)
_PLATFORM: Final = "system"  # the trail of events that belong to no workspace
_Members = list[Membership]  # inside the class the name `list` is a method
_Pending = list[Invited]
Listener = Callable[[str, str, int], None]


class MembershipStore(Protocol):
    """Workspaces with their members and invitations. Every verb is one transaction.

    `transact` takes the workspace's row lock first (``SELECT ... FOR UPDATE``, ``BEGIN IMMEDIATE``): a rule that
    counts owners without it leaves none in a race.
    """

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def claim(self, state: WorkspaceState, /) -> bool:
        """Stores a new workspace; False if the tenant id is taken."""
        ...

    async def transact(self, tenant_id: str, rule: Rule, /) -> tuple[WorkspaceState, WorkspaceState]:
        """Locks, loads, applies `rule`, stores the difference; returns the states before and after.

        What the rule raises undoes everything. Raises `TenantNotFound` for an unknown workspace.
        """
        ...

    async def load(self, tenant_id: str, /) -> WorkspaceState | None:
        """A consistent state, without lock."""
        ...

    async def find(self, tenant_id: str, principal_id: str, /) -> Membership | None:
        """One membership."""
        ...

    async def memberships_of(self, principal_id: str, /) -> list[Membership]:
        """Every membership of a principal, by tenant id."""
        ...

    async def tenant_of_invitation(self, digest: str, /) -> str | None:
        """The workspace that an invitation's digest belongs to."""
        ...


class Memberships:
    """Workspaces, members, invitations, seats and ownership.

    Args:
        store: `MemoryMembershipStore`, `storage.sql.SqlMembershipStore`, or your own.
        clock: tells when invitations expire.
        audit: takes the events; refused invitations are recorded with their exact reason.
        ranks: role to rank; see `workspace.RANKS`. Roles without rank are the owners' to give.
    """

    def __init__(
        self,
        store: MembershipStore,
        *,
        clock: Clock | None = None,
        audit: EventSink | None = None,
        ranks: Mapping[str, int] = RANKS,
    ) -> None:
        self.suspends: bool = suspends(store, audit)
        self._store: MembershipStore = store
        self._clock: Clock = clock or SystemClock()
        self._audit: EventSink | None = audit
        self._ranks: Ranks = Ranks(ranks)
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Calls ``listener(tenant_id, principal_id, version)`` after each change of a membership in this process."""
        self._listeners.append(listener)

    # --- workspaces --------------------------------------------------------------------------------------------------

    async def acreate_workspace(
        self, principal: Principal, *, tenant_id: str | None = None, name: str = "", seats: int | None = None
    ) -> Membership:
        """Creates a workspace owned by `principal` and returns the owner's membership.

        Args:
            tenant_id: letters, digits, ``.``, ``_`` and ``-``, at most 64; None for a random one.
            seats: members and open invitations allowed; None without limit.

        Raises:
            InvalidRequest: a malformed id. Conflict: an id that is taken or reserved.
        """
        chosen = random_hex() if tenant_id is None else tenant_id
        if not is_tenant_id(chosen):
            raise InvalidRequest("not a tenant id", hint="letters, digits, '.', '_' and '-', at most 64")
        if not isinstance(name, str) or len(name) > 200 or not name.isprintable():
            raise InvalidRequest("a workspace name is at most 200 printable characters")
        founded = WorkspaceState.founded(chosen, _in_person(principal), name=name, seats=_seats(seats))
        if chosen in RESERVED or not await self._store.claim(founded):
            raise Conflict("the tenant id is taken")
        await self._record("workspace.created", chosen, principal)
        return founded.members[principal.id]

    create_workspace: Final = synced(acreate_workspace)

    async def aset_seats(self, tenant_id: str, seats: int | None) -> None:
        """Changes the seats, as billing says; nobody is removed. Raises `TenantNotFound`."""
        await self._store.transact(tenant_id, partial(workspace.resize, seats=_seats(seats)))

    set_seats: Final = synced(aset_seats)

    # --- invitations -------------------------------------------------------------------------------------------------

    async def ainvite(
        self, ctx: TenantContext, email: str, roles: Iterable[str], *, expires_in: timedelta = timedelta(days=7)
    ) -> Invitation:
        """Invites an address; an older invitation to it is revoked. Send `token` to that address and nowhere else.

        Raises:
            Denied: the acting member may not, or grants a rank above the own. SeatLimit. InvalidRequest: no address.
        """
        granted = _roles(roles)
        if not granted:
            raise UsageError("an invitation grants at least one role", hint="roles=('member',)")
        if not timedelta() < expires_in <= _LONGEST_OPEN:
            raise UsageError("expires_in is positive and at most a year")
        now, token = self._clock.now(), random_token()
        invited = Invited(
            random_hex(), digest_of(token), required_email(email), granted, _in_person(ctx.principal), now + expires_in
        )
        await self._transact(ctx.tenant_id, lambda state: workspace.invite(state, self._ranks, invited, now))
        await self._record("member.invited", ctx.tenant_id, ctx.principal, targets=(invited.id,), roles=granted)
        return Invitation(invited.id, token, invited.email, granted, invited.expires_at)

    invite: Final = synced(ainvite)

    async def arevoke_invitation(self, ctx: TenantContext, invitation_id: str) -> None:
        """Withdraws an open invitation. Raises `Denied`, `NotFound`."""
        actor = _in_person(ctx.principal)
        await self._transact(ctx.tenant_id, lambda state: workspace.revoke(state, self._ranks, actor, invitation_id))
        await self._record("member.invitation_revoked", ctx.tenant_id, ctx.principal, targets=(invitation_id,))

    revoke_invitation: Final = synced(arevoke_invitation)

    async def ainvitations(self, ctx: TenantContext) -> _Pending:
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
        try:
            digest = digest_of(token)
            tenant_id = await self._store.tenant_of_invitation(digest)
            if tenant_id is None:
                raise InvitationInvalid("unknown")
            after = await self._join(tenant_id, digest, principal)
        except InvitationInvalid as refusal:
            await self._record("member.joined", tenant_id, principal, outcome="denied", reason=refusal.reason)
            raise
        joined = after.members[principal.id]
        await self._record("member.joined", tenant_id, principal, targets=(principal.id,), roles=joined.roles)
        return joined

    accept: Final = synced(aaccept)

    async def _join(self, tenant_id: str, digest: str, principal: Principal) -> WorkspaceState:
        if principal.actor is not None:
            raise InvitationInvalid("impersonated")
        email, now = verified_email(principal), self._clock.now()
        rule = partial(
            workspace.join, ranks=self._ranks, digest=digest, principal_id=principal.id, email=email, now=now
        )
        return (await self._transact(tenant_id, rule))[1]

    # --- members -----------------------------------------------------------------------------------------------------

    async def achange_roles(self, ctx: TenantContext, principal_id: str, roles: Iterable[str]) -> Membership:
        """Gives a member exactly these roles. Raises `Denied`, `NotFound`, `LastOwner`."""
        actor, granted = _in_person(ctx.principal), _roles(roles)
        before, after = await self._transact(
            ctx.tenant_id, lambda state: workspace.set_roles(state, self._ranks, actor, principal_id, granted)
        )
        was, now = before.members[principal_id], after.members[principal_id]
        await self._record("member.roles_changed", ctx.tenant_id, ctx.principal, (principal_id,), _moved(was, now))
        return now

    change_roles: Final = synced(achange_roles)

    async def aremove(self, ctx: TenantContext, principal_id: str) -> None:
        """Ends a membership, the own one included. Raises `Denied`, `NotFound`, `LastOwner`."""
        actor = _in_person(ctx.principal)
        await self._transact(ctx.tenant_id, lambda state: workspace.remove(state, self._ranks, actor, principal_id))
        await self._record("member.removed", ctx.tenant_id, ctx.principal, (principal_id,))

    remove: Final = synced(aremove)

    async def atransfer_ownership(self, ctx: TenantContext, to: str) -> Membership:
        """Makes the member `to` an owner and the acting owner an admin; returns the new owner's membership.

        Raises:
            Denied: the acting member is no owner. NotFound: `to` is no member. Conflict: it is the same person.
        """
        actor = _in_person(ctx.principal)
        before, after = await self._transact(ctx.tenant_id, lambda state: workspace.transfer(state, actor, to))
        moved = _moved(before.members[to], after.members[to])
        await self._record("workspace.ownership_transferred", ctx.tenant_id, ctx.principal, (to,), moved)
        return after.members[to]

    transfer_ownership: Final = synced(atransfer_ownership)

    async def aclose_account(self, principal_id: str, actor: Principal) -> None:
        """Ends every membership of an account that is deleted or suspended; repeat it after a refusal.

        Raises:
            LastOwner: a workspace would be left without an owner; memberships after it stand.
        """
        for membership in await self._store.memberships_of(principal_id):
            tenant_id = membership.tenant_id
            await self._transact(tenant_id, lambda state: workspace.leave(state, principal_id))
            await self._record("member.removed", tenant_id, actor, (principal_id,), reason="account_closed")

    close_account: Final = synced(aclose_account)

    async def aprove(self, principal: Principal, tenant_id: str) -> Membership | None:
        """The principal's membership in that tenant, or None: unknown tenant and not a member alike."""
        if not is_tenant_id(tenant_id):
            return None
        return await self._store.find(tenant_id, principal.id)

    prove: Final = synced(aprove)

    async def aworkspaces(self, principal: Principal) -> _Members:
        """Every membership of the principal, by tenant id: what a sign-in page offers."""
        return await self._store.memberships_of(principal.id)

    workspaces: Final = synced(aworkspaces)

    async def alist(self, ctx: TenantContext) -> _Members:
        """The workspace's members, by principal id."""
        members = (await self._load(ctx)).members
        return [members[key] for key in sorted(members)]

    list: Final = synced(alist)

    # --- one way to the store, one way to the trail ------------------------------------------------------------------

    async def _load(self, ctx: TenantContext) -> WorkspaceState:
        state = await self._store.load(ctx.tenant_id)
        if state is None:
            raise TenantNotFound("no such workspace")
        return state

    async def _transact(self, tenant_id: str, rule: Rule) -> tuple[WorkspaceState, WorkspaceState]:
        before, after = await self._store.transact(tenant_id, rule)
        found = workspace.changes(before, after)
        for principal_id in (*(member.principal_id for member in found.members), *found.gone):
            for listener in self._listeners:
                listener(tenant_id, principal_id, after.version)
        return before, after

    async def _record(
        self,
        action: str,
        tenant_id: str | None,
        actor: Principal,
        targets: tuple[str, ...] = (),
        changes: tuple[Mapping[str, Any], ...] = (),
        *,
        outcome: Outcome = "success",
        reason: str | None = None,
        roles: Iterable[str] = (),
    ) -> None:
        if self._audit is None:
            return
        named = {"roles": sorted(roles)} if roles else {}
        event = AuditEvent(action, outcome, tenant_id or _PLATFORM, actor, targets, changes=changes, data=named)
        await self._audit.aemit(replace(event, reason=reason, occurred_at=self._clock.now()))


def _in_person(principal: Principal) -> str:
    """The id of who acts; somebody in another's name never changes who belongs to a workspace."""
    if principal.actor is not None:
        raise Denied("an impersonated principal does not manage workspaces")
    return principal.id


def _roles(roles: Iterable[str]) -> frozenset[str]:
    if isinstance(roles, str | bytes | Mapping):
        raise UsageError("roles is a collection of names", hint="roles=('member',)")
    try:
        found = frozenset(roles)
    except TypeError:
        raise UsageError("roles is a collection of names", hint="roles=('member',)") from None
    if not all(isinstance(role, str) and role.isascii() and 0 < len(role) <= _ROLE_LONGEST for role in found):
        raise UsageError("a role is a short ASCII name")
    return found


def _seats(seats: int | None) -> int | None:
    if seats is not None and (type(seats) is not int or seats < 1):
        raise UsageError("seats is a positive int or None")
    return seats


def _moved(before: Membership, after: Membership) -> tuple[Mapping[str, Any], ...]:
    return ({"field": "roles", "from": sorted(before.roles), "to": sorted(after.roles)},)
