"""`Memberships`: who belongs to a workspace, and every way in and out of it.

Each method is one transaction of the store, under the workspace's lock, around one pure rule of `rules`; its audit
event is part of that transaction (see `office`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.entropy import random_hex
from ..core.errors import Conflict, InvalidRequest, UsageError
from ..core.event import EventSink
from ..core.principal import Principal
from ..core.sansio import synced
from ..core.tenant import Membership, MembershipKind, SuspendedBy, TenantContext
from . import rules
from .admission import Admission
from .bylaws import Assignments, Bylaws, Ranks, TransferPolicy
from .ids import RESERVED, is_tenant_id
from .office import MembershipStore, Notice, role_names
from .ownership import Ownership
from .workspace import RANKS, SEATED, VIEWER, WorkspaceState

__all__ = ["MembershipStore", "Memberships"]

_Members = list[Membership]  # inside the class the name `list` is a method
_BILLING: Final = {"kind": "system", "id": "billing"}


class Memberships(Admission, Ownership):
    """Workspaces, members, invitations, seats and ownership.

    Args:
        store: `MemoryMembershipStore`, `storage.sql.SqlMembershipStore`, or your own.
        clock: tells when invitations expire.
        audit: takes the events; refused invitations are recorded with their exact reason. An `Outbox` here leaves the
            events in the store's outbox for a relay of yours.
        ranks: role to rank; see `workspace.RANKS`. Roles without rank are the owners' to give.
        assignments: the policy that decides besides, by `can_assign`, which roles may be given and taken.
        seated: the kinds of membership that take a seat.
        transfer: two steps, step-up and cool-off for transfers of ownership; None for one step.
        support_roles: what support holds unless its grant says otherwise.
    """

    def __init__(
        self,
        store: MembershipStore,
        *,
        clock: Clock | None = None,
        audit: EventSink | None = None,
        ranks: Mapping[str, int] = RANKS,
        assignments: Assignments | None = None,
        seated: Collection[MembershipKind] = SEATED,
        transfer: TransferPolicy | None = None,
        support_roles: Collection[str] = (VIEWER,),
    ) -> None:
        bylaws = Bylaws(Ranks(ranks), assignments, frozenset(seated), transfer, role_names(support_roles))
        super().__init__(store, clock or SystemClock(), audit, bylaws)

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
        founder = self._act(principal).principal.id
        founded = WorkspaceState.founded(chosen, founder, name=name, seats=_seats(seats))
        if chosen in RESERVED or not await self._found(founded, Notice("workspace.created", principal)):
            raise Conflict("the tenant id is taken")
        return founded.members[founder]

    create_workspace: Final = synced(acreate_workspace)

    async def aset_seats(
        self, tenant_id: str, seats: int | None, *, actor: Principal | Mapping[str, Any] = _BILLING
    ) -> None:
        """Changes the seats, as billing says; nobody is removed. Raises `TenantNotFound`."""
        notice = Notice("workspace.seats_changed", actor, data={"seats": seats})
        await self._change(tenant_id, partial(rules.resize, seats=_seats(seats)), notice)

    set_seats: Final = synced(aset_seats)

    async def aseats_taken(self, tenant_id: str) -> int:
        """Members of the seated kinds and open invitations; 0 for an unknown workspace."""
        state = await self._store.load(tenant_id)
        return state.seats_taken(self._clock.now(), self._bylaws.seated) if state is not None else 0

    seats_taken: Final = synced(aseats_taken)

    # --- members -----------------------------------------------------------------------------------------------------

    async def achange_roles(self, ctx: TenantContext, principal_id: str, roles: Iterable[str]) -> Membership:
        """Gives a member exactly these roles. Raises `Denied`, `NotFound`, `LastOwner`."""
        act, granted = self._act(ctx.principal), role_names(roles)
        notice = Notice("member.roles_changed", ctx.principal, (str(principal_id),), principal_id)
        after = await self._change(
            ctx.tenant_id, lambda state: rules.set_roles(state, act, principal_id, granted), notice
        )
        return after.members[principal_id]

    change_roles: Final = synced(achange_roles)

    async def aremove(self, ctx: TenantContext, principal_id: str) -> None:
        """Ends a membership, the own one included. Raises `Denied`, `NotFound`, `LastOwner`."""
        act = self._act(ctx.principal)
        notice = Notice("member.removed", ctx.principal, (str(principal_id),), principal_id)
        await self._change(ctx.tenant_id, lambda state: rules.remove(state, act, principal_id), notice)

    remove: Final = synced(aremove)

    async def aleave(self, ctx: TenantContext) -> None:
        """Ends the own membership. Raises `LastOwner`."""
        act, me = self._act(ctx.principal), ctx.principal.id
        notice = Notice("member.removed", ctx.principal, (me,), me, "left")
        await self._change(ctx.tenant_id, lambda state: rules.leave(state, act), notice)

    leave: Final = synced(aleave)

    async def asuspend(self, ctx: TenantContext, principal_id: str, *, reason: str | None = None) -> Membership:
        """Puts a member out of action until `reinstate`; roles and seat stay. Raises `Denied`, `NotFound`, `LastOwner`.

        A suspended member proves nothing, changes nothing and owns nothing, and invitations by it are void meanwhile.
        """
        act = self._act(ctx.principal)
        notice = Notice("member.suspended", ctx.principal, (str(principal_id),), reason=reason)
        after = await self._change(
            ctx.tenant_id, lambda state: rules.suspend(state, act, principal_id, "workspace"), notice
        )
        return after.members[principal_id]

    suspend: Final = synced(asuspend)

    async def areinstate(self, ctx: TenantContext, principal_id: str) -> Membership:
        """Lifts the workspace's own suspension, never that of an account. Raises `Denied`, `NotFound`."""
        act = self._act(ctx.principal)
        notice = Notice("member.reinstated", ctx.principal, (str(principal_id),))
        after = await self._change(
            ctx.tenant_id, lambda state: rules.reinstate(state, act, principal_id, "workspace"), notice
        )
        return after.members[principal_id]

    reinstate: Final = synced(areinstate)

    # --- accounts: what the platform does to a person, in every workspace --------------------------------------------

    async def aclose_account(self, principal_id: str, actor: Principal) -> None:
        """Ends every membership of an account that is deleted; repeat it after a refusal.

        Raises:
            LastOwner: a workspace would be left without an owner; memberships after it stand.
        """
        notice = Notice("member.removed", actor, (principal_id,), principal_id, "account_closed")
        for held in await self._store.memberships_of(principal_id):
            await self._change(held.tenant_id, partial(rules.close_account, principal_id=principal_id), notice)

    close_account: Final = synced(aclose_account)

    async def asuspend_account(self, principal_id: str, actor: Principal) -> None:
        """Suspends every membership of an account; repeat it after a refusal.

        Raises:
            LastOwner: a workspace would be left without an owner who can act; memberships after it stand.
        """
        notice = Notice("member.suspended", actor, (principal_id,), reason="account_suspended")
        for held in await self._store.memberships_of(principal_id):
            await self._change(held.tenant_id, partial(_suspended, principal_id=principal_id, by="account"), notice)

    suspend_account: Final = synced(asuspend_account)

    async def areinstate_account(self, principal_id: str, actor: Principal) -> None:
        """Lifts the account's suspension everywhere; what a workspace suspended stays so."""
        notice = Notice("member.reinstated", actor, (principal_id,), reason="account_reinstated")
        for held in await self._store.memberships_of(principal_id):
            if "account" in held.suspended:
                await self._change(held.tenant_id, partial(_reinstated, principal_id=principal_id), notice)

    reinstate_account: Final = synced(areinstate_account)

    # --- questions ---------------------------------------------------------------------------------------------------

    async def aprove(self, principal: Principal, tenant_id: str) -> Membership | None:
        """The principal's membership in that tenant, or None: unknown, not a member, suspended and ended alike."""
        if not is_tenant_id(tenant_id):
            return None
        found = await self._store.find(tenant_id, principal.id)
        return found if found is not None and self._proves(found, principal) else None

    prove: Final = synced(aprove)

    async def aworkspaces(self, principal: Principal) -> _Members:
        """Every membership of the principal that proves something, by tenant id: what a sign-in page offers."""
        held = await self._store.memberships_of(principal.id)
        return [found for found in held if self._proves(found, principal)]

    workspaces: Final = synced(aworkspaces)

    async def alist(self, ctx: TenantContext) -> _Members:
        """The workspace's members of every kind, suspended ones too, by principal id."""
        members, now = (await self._load(ctx)).members, self._clock.now()
        return [members[key] for key in sorted(members) if not members[key].over(now)]

    list: Final = synced(alist)

    def _proves(self, found: Membership, principal: Principal) -> bool:
        # A person who comes by a service account's id is not that service.
        fits = found.kind != "service" or principal.kind != "user"
        return fits and found.live(self._clock.now())


def _seats(seats: int | None) -> int | None:
    if seats is not None and (type(seats) is not int or seats < 1):
        raise UsageError("seats is a positive int or None")
    return seats


def _suspended(state: WorkspaceState, principal_id: str, by: SuspendedBy) -> WorkspaceState:
    """A membership that ended meanwhile is no obstacle."""
    return rules.suspend(state, None, principal_id, by) if principal_id in state.members else state


def _reinstated(state: WorkspaceState, principal_id: str) -> WorkspaceState:
    return rules.reinstate(state, None, principal_id, "account") if principal_id in state.members else state
