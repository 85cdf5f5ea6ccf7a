"""The rules of a workspace, written once: pure functions from one state to the next.

A store locks the workspace, loads its whole state, calls the rule and applies the difference, all in one transaction;
so memory, SQLite and PostgreSQL cannot disagree, and no rule ever decides on a state that another one is changing.
Whatever the path, the last line of every rule that takes something away is `_settled`: a workspace keeps an owner
who can act.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ..core.errors import Conflict, Denied, InvitationInvalid, LastOwner, NotFound, SeatLimit, TenantNotFound
from ..core.principal import Principal, PrincipalKind
from ..core.tenant import Membership, MembershipKind, SupportAccess, SuspendedBy
from .bylaws import Act, Bylaws
from .workspace import ADMIN, OWNER, Invited, Transfer, WorkspaceState

__all__ = [
    "accept_transfer",
    "add",
    "cancel_transfer",
    "close_account",
    "current",
    "invite",
    "join",
    "leave",
    "offer",
    "reinstate",
    "remove",
    "resize",
    "revoke",
    "set_roles",
    "suspend",
    "transfer",
]

_KEPT: Final = timedelta(days=30)  # closed invitations stay that long, so that a late click has its exact reason
_NONE: Final = frozenset[str]()


def current(state: WorkspaceState, now: datetime) -> WorkspaceState:
    """The state without the memberships that have ended by themselves."""
    over = [member.principal_id for member in state.members.values() if member.over(now)]
    return state.without_member(*over) if over else state


def _settled(state: WorkspaceState) -> WorkspaceState:
    owners = (OWNER in member.roles and not member.suspended for member in state.members.values())
    if not any(owners):
        raise LastOwner("the change would leave the workspace without an owner", hint="transfer the ownership first")
    return state


def _require_seat(state: WorkspaceState, bylaws: Bylaws, now: datetime) -> WorkspaceState:
    if state.seats is not None and state.seats_taken(now, bylaws.seated) > state.seats:
        raise SeatLimit("members and open invitations fill all seats", hint="remove a member or raise the seats")
    return state


# --- ways in ---------------------------------------------------------------------------------------------------------


def invite(state: WorkspaceState, act: Act, invited: Invited) -> WorkspaceState:
    """Adds an invitation; an older one to the same address is revoked and its seat is reused."""
    act.may_leave(state, Membership(state.tenant_id, invited.id, _NONE), invited.roles)
    kept = {key: old for key, old in state.invitations.items() if act.now < old.expires_at + _KEPT}
    older = [old for old in kept.values() if old.email == invited.email and old.status == "open"]
    pruned = replace(state, invitations=kept)
    after = pruned.with_invitation(*(replace(old, status="revoked") for old in older), invited)
    return _require_seat(after, act.bylaws, act.now)


def revoke(state: WorkspaceState, act: Act, invitation_id: str) -> WorkspaceState:
    """Withdraws an invitation: every owner may, and whoever may give what it gives."""
    mine = act.manager(state)
    invited = state.invitations.get(invitation_id) if isinstance(invitation_id, str) else None
    if invited is None or invited.status != "open":
        raise NotFound("no open invitation of that id")
    if OWNER not in mine.roles:
        act.may_leave(state, Membership(state.tenant_id, invited.id, _NONE), invited.roles)
    return state.with_invitation(replace(invited, status="revoked"))


def join(
    state: WorkspaceState, bylaws: Bylaws, digest: str, *, principal_id: str, email: str | None, now: datetime
) -> WorkspaceState:
    """Turns an invitation into a membership, once.

    Args:
        email: the principal's verified address in canonical form, None if it has none.
    """
    invited = next((found for found in state.invitations.values() if found.digest == digest), None)
    if invited is None:
        raise InvitationInvalid("unknown")
    if invited.status != "open":
        raise InvitationInvalid("used" if invited.status == "accepted" else "revoked")
    if now >= invited.expires_at:
        raise InvitationInvalid("expired")
    if email is None or email != invited.email:
        raise InvitationInvalid("unverified_address" if email is None else "other_address")
    if not _still_entitled(state, bylaws, invited, now):
        raise InvitationInvalid("inviter_lost_right")
    if principal_id in state.members:  # also one that is suspended: an invitation lifts no suspension
        raise InvitationInvalid("already_member")
    after = state.with_invitation(replace(invited, status="accepted")).with_member(principal_id, invited.roles)
    return _require_inside(after, bylaws)


def _still_entitled(state: WorkspaceState, bylaws: Bylaws, invited: Invited, now: datetime) -> bool:
    inviter = state.members.get(invited.inviter_id)
    kind: PrincipalKind = "service" if inviter is not None and inviter.kind == "service" else "user"
    act = Act(bylaws, Principal(invited.inviter_id, kind=kind), now)
    try:
        act.may_leave(state, Membership(state.tenant_id, invited.id, _NONE), invited.roles)
    except (Denied, TenantNotFound):
        return False
    return True


def _require_inside(state: WorkspaceState, bylaws: Bylaws) -> WorkspaceState:
    """Those who are inside fit; invitations that are still open are not counted against who accepts one."""
    inside = sum(member.kind in bylaws.seated for member in state.members.values())
    if state.seats is not None and inside > state.seats:
        raise SeatLimit("all seats are taken", hint="the seats were lowered after the invitation")
    return state


def add(
    state: WorkspaceState,
    act: Act,
    new: tuple[str, MembershipKind],
    roles: frozenset[str],
    support: SupportAccess | None = None,
) -> WorkspaceState:
    """Lets somebody in without an invitation: a service account, or support for a while."""
    principal_id, kind = new
    blank = Membership(state.tenant_id, principal_id, _NONE, kind=kind)
    act.may_leave(state, blank, roles)
    if principal_id in state.members:
        raise Conflict("a membership of that id stands already")
    after = state.with_member(principal_id, roles, kind=kind, support=support)
    return _require_seat(after, act.bylaws, act.now) if kind in act.bylaws.seated else after


# --- changes and ways out --------------------------------------------------------------------------------------------


def set_roles(state: WorkspaceState, act: Act, target_id: str, roles: frozenset[str]) -> WorkspaceState:
    """Gives a member exactly these roles; an empty set is a demotion like any other."""
    act.manager(state)
    act.may_leave(state, state.member(target_id), roles)
    return _settled(state.with_member(target_id, roles))


def remove(state: WorkspaceState, act: Act, target_id: str) -> WorkspaceState:
    """Ends a membership; everybody may leave, removing others takes a manager of at least their rank."""
    if act.principal.id == target_id:
        act.membership(state)
    else:
        act.manager(state)
        act.may_leave(state, state.member(target_id), _NONE)
    return _gone(state, target_id)


def leave(state: WorkspaceState, act: Act) -> WorkspaceState:
    """Ends the own membership."""
    return _gone(state, act.membership(state).principal_id)


def close_account(state: WorkspaceState, principal_id: str) -> WorkspaceState:
    """Ends the membership of an account that is deleted."""
    return _gone(state, principal_id) if principal_id in state.members else state


def _gone(state: WorkspaceState, principal_id: str) -> WorkspaceState:
    return _settled(_without_offer(state.without_member(principal_id), (principal_id,)))


def _without_offer(state: WorkspaceState, parties: Iterable[str]) -> WorkspaceState:
    """An offer does not outlive either of its parties."""
    found = state.transfer
    if found is None or not {found.from_id, found.to_id}.intersection(parties):
        return state
    return state.with_transfer(None)


def suspend(state: WorkspaceState, act: Act | None, target_id: str, by: SuspendedBy) -> WorkspaceState:
    """Puts a member out of action; the roles stay, and so does the seat.

    Args:
        act: who suspends; None for the platform, which suspends accounts.
    """
    if act is not None:
        act.manager(state)
        act.may_leave(state, state.member(target_id), _NONE)
    held = state.member(target_id)
    after = state.with_member(target_id, held.roles, suspended=held.suspended | {by})
    return _settled(_without_offer(after, (target_id,)))


def reinstate(state: WorkspaceState, act: Act | None, target_id: str, by: SuspendedBy) -> WorkspaceState:
    """Lifts a suspension of the same kind; it is a way in, so it takes the right to give the roles."""
    if act is not None:
        act.manager(state)
        act.may_leave(state, state.member(target_id), state.member(target_id).roles)
    held = state.member(target_id)
    return state.with_member(target_id, held.roles, suspended=held.suspended - {by})


def resize(state: WorkspaceState, seats: int | None) -> WorkspaceState:
    """Changes the number of seats; who is inside stays, even above the limit."""
    return replace(state, seats=seats, version=state.version + 1)


# --- ownership -------------------------------------------------------------------------------------------------------


def transfer(state: WorkspaceState, act: Act, to: str) -> WorkspaceState:
    """Makes `to` an owner and the acting owner an admin."""
    mine, theirs = _parties(state, act, to)
    if OWNER not in theirs.roles:
        act.may_assign(state, theirs, theirs.roles | {OWNER})
    act.may_assign(state, mine, mine.roles - {OWNER} | {ADMIN})
    after = state.with_member(to, theirs.roles | {OWNER})
    return _settled(after.with_member(mine.principal_id, mine.roles - {OWNER} | {ADMIN}))


def offer(state: WorkspaceState, act: Act, to: str, times: tuple[datetime, datetime]) -> WorkspaceState:
    """Offers the ownership; an older offer is replaced.

    Args:
        times: when it can be accepted, and when it is void.
    """
    transfer(state, act, to)  # what could not be done now is not offered
    return state.with_transfer(Transfer(act.principal.id, to, *times))


def accept_transfer(state: WorkspaceState, act: Act) -> WorkspaceState:
    """The second step: by the one it was offered to, after the cool-off, while the first owner still is one."""
    found = state.transfer
    act.membership(state)
    if found is None or found.to_id != act.principal.id or act.now >= found.expires_at:
        raise NotFound("no ownership is on offer")
    if act.now < found.ready_at:
        raise Conflict("the offer is cooling off", hint=f"it can be accepted from {found.ready_at:%Y-%m-%d %H:%M} UTC")
    return transfer(state, replace(act, principal=Principal(found.from_id)), found.to_id).with_transfer(None)


def cancel_transfer(state: WorkspaceState, act: Act) -> WorkspaceState:
    """Withdraws or declines: every owner can, and so can the one it was offered to."""
    mine, found = act.membership(state), state.transfer
    if found is not None and OWNER not in mine.roles and mine.principal_id != found.to_id:
        raise Denied("only an owner decides on the ownership")
    if found is None:
        raise NotFound("no ownership is on offer")
    return state.with_transfer(None)


def _parties(state: WorkspaceState, act: Act, to: str) -> tuple[Membership, Membership]:
    act.membership(state)
    theirs, mine = state.member(to), act.owner(state)
    if mine.principal_id == to:
        raise Conflict("the ownership is there already")
    if theirs.kind != "member":
        raise Denied("only a person owns a workspace")
    if theirs.suspended:
        raise Conflict("a suspended member cannot own a workspace")
    return mine, theirs
