"""The rules of ownership, written once: pure functions from one workspace state to the next.

A store locks the workspace, loads its whole state, calls the rule and applies the difference, all in one transaction;
so memory, SQLite and PostgreSQL cannot disagree, and no rule ever decides on a state that another one is changing.
Rights are read from that state, never from the caller's context. Whatever the path, the last line of every rule that
takes a role away is `_settled`: a workspace keeps an owner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal

from ..core.errors import Conflict, Denied, InvitationInvalid, LastOwner, NotFound, SeatLimit, TenantNotFound
from ..core.tenant import Membership

__all__ = [
    "ADMIN",
    "MEMBER",
    "OWNER",
    "RANKS",
    "Changes",
    "Invited",
    "Ranks",
    "Rule",
    "WorkspaceState",
    "changes",
    "invite",
    "join",
    "leave",
    "remove",
    "resize",
    "revoke",
    "set_roles",
    "transfer",
]

OWNER: Final = "owner"
ADMIN: Final = "admin"
MEMBER: Final = "member"
RANKS: Final[Mapping[str, int]] = MappingProxyType({OWNER: 100, ADMIN: 50, MEMBER: 10})
_KEPT: Final = timedelta(days=30)  # closed invitations stay that long, so that a late click has its exact reason

InvitationStatus = Literal["open", "accepted", "revoked"]


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation as stored: the digest of its token, never the token.

    Args:
        digest: hex SHA-256 of the token.
        email: canonical address it is bound to.
    """

    id: str
    digest: str
    email: str = field(repr=False)
    roles: frozenset[str]
    inviter_id: str
    expires_at: datetime
    status: InvitationStatus = "open"

    def pending(self, now: datetime) -> bool:
        """Whether it holds a seat; it expires at the instant."""
        return self.status == "open" and now < self.expires_at


@dataclass(frozen=True, slots=True)
class WorkspaceState:
    """Everything the rules look at, loaded under the workspace's lock.

    Args:
        seats: members plus pending invitations allowed, None without limit.
        version: grows with every change; a changed membership takes it, so no version of a membership ever returns.
    """

    tenant_id: str
    name: str = ""
    seats: int | None = None
    version: int = 1
    members: Mapping[str, Membership] = field(default_factory=dict)
    invitations: Mapping[str, Invited] = field(default_factory=dict)

    @classmethod
    def founded(cls, tenant_id: str, owner_id: str, *, name: str = "", seats: int | None = None) -> WorkspaceState:
        """A new workspace with its first owner."""
        return cls(tenant_id, name, seats).with_member(owner_id, frozenset((OWNER,)))

    def member(self, principal_id: str) -> Membership:
        """A member; raises `NotFound`."""
        found = self.members.get(principal_id) if isinstance(principal_id, str) else None
        if found is None:
            raise NotFound("no such member in this workspace")
        return found

    def actor(self, principal_id: str) -> Membership:
        """The member who acts; somebody who was removed meanwhile finds no workspace."""
        found = self.members.get(principal_id)
        if found is None:
            raise TenantNotFound("the acting principal is no member of the workspace")
        return found

    def seats_taken(self, now: datetime) -> int:
        """Members and pending invitations."""
        return len(self.members) + sum(invited.pending(now) for invited in self.invitations.values())

    def with_member(self, principal_id: str, roles: frozenset[str]) -> WorkspaceState:
        """The state with that membership added or changed."""
        version = self.version + 1
        membership = Membership(self.tenant_id, principal_id, roles, version)
        return replace(self, version=version, members={**self.members, principal_id: membership})

    def without_member(self, principal_id: str) -> WorkspaceState:
        """The state without that membership."""
        members = {key: value for key, value in self.members.items() if key != principal_id}
        return replace(self, version=self.version + 1, members=members)

    def with_invitation(self, *invitations: Invited) -> WorkspaceState:
        """The state with these invitations added or changed."""
        added = {invited.id: invited for invited in invitations}
        return replace(self, version=self.version + 1, invitations={**self.invitations, **added})


Rule = Callable[[WorkspaceState], WorkspaceState]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a store has to write to get from one state to the next."""

    members: tuple[Membership, ...]
    gone: tuple[str, ...]
    invitations: tuple[Invited, ...]
    dropped: tuple[str, ...]


def changes(before: WorkspaceState, after: WorkspaceState) -> Changes:
    """The difference between two states of one workspace."""
    return Changes(
        tuple(m for key, m in after.members.items() if before.members.get(key) != m),
        tuple(key for key in before.members if key not in after.members),
        tuple(i for key, i in after.invitations.items() if before.invitations.get(key) != i),
        tuple(key for key in before.invitations if key not in after.invitations),
    )


class Ranks:
    """Which role stands above which. A role without a rank counts as an owner's: only owners hand it out."""

    __slots__ = ("_table",)

    def __init__(self, table: Mapping[str, int] = RANKS) -> None:
        self._table: Mapping[str, int] = {**table, OWNER: max((RANKS[OWNER], *table.values()))}

    def of(self, roles: Iterable[str]) -> int:
        """The highest rank of a set; 0 for none."""
        return max((self._table.get(role, self._table[OWNER]) for role in roles), default=0)

    def manager(self, state: WorkspaceState, principal_id: str) -> int:
        """The rank of somebody who may manage members, from the stored state; raises `Denied` below admin."""
        rank = self.of(state.actor(principal_id).roles)
        if rank < self._table.get(ADMIN, RANKS[ADMIN]):
            raise Denied("managing members takes an admin")
        return rank

    def check(self, ceiling: int, *role_sets: Iterable[str]) -> None:
        """Nobody grants, or touches a holder of, a rank above the own."""
        if any(self.of(roles) > ceiling for roles in role_sets):
            raise Denied("a rank above the acting member's own")


def _settled(state: WorkspaceState) -> WorkspaceState:
    if not any(OWNER in member.roles for member in state.members.values()):
        raise LastOwner("the change would leave the workspace without an owner", hint="transfer the ownership first")
    return state


def invite(state: WorkspaceState, ranks: Ranks, invited: Invited, now: datetime) -> WorkspaceState:
    """Adds an invitation; an older one to the same address is revoked and its seat is reused."""
    ranks.check(ranks.manager(state, invited.inviter_id), invited.roles)
    kept = {key: old for key, old in state.invitations.items() if now < old.expires_at + _KEPT}
    older = [old for old in kept.values() if old.email == invited.email and old.status == "open"]
    pruned = replace(state, invitations=kept)
    after = pruned.with_invitation(*(replace(old, status="revoked") for old in older), invited)
    _require_seat(after, now)
    return after


def _require_seat(state: WorkspaceState, now: datetime) -> None:
    if state.seats is not None and state.seats_taken(now) > state.seats:
        raise SeatLimit("members and open invitations fill all seats", hint="remove a member or raise the seats")


def join(
    state: WorkspaceState, ranks: Ranks, digest: str, *, principal_id: str, email: str | None, now: datetime
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
    if not _still_entitled(state, ranks, invited):
        raise InvitationInvalid("inviter_lost_right")
    if principal_id in state.members:
        raise InvitationInvalid("already_member")
    after = state.with_invitation(replace(invited, status="accepted")).with_member(principal_id, invited.roles)
    if after.seats is not None and len(after.members) > after.seats:
        raise SeatLimit("all seats are taken", hint="the seats were lowered after the invitation")
    return after


def _still_entitled(state: WorkspaceState, ranks: Ranks, invited: Invited) -> bool:
    try:
        ranks.check(ranks.manager(state, invited.inviter_id), invited.roles)
    except (Denied, TenantNotFound):
        return False
    return True


def revoke(state: WorkspaceState, ranks: Ranks, actor_id: str, invitation_id: str) -> WorkspaceState:
    """Withdraws an invitation."""
    ceiling = ranks.manager(state, actor_id)
    invited = state.invitations.get(invitation_id) if isinstance(invitation_id, str) else None
    if invited is None or invited.status != "open":
        raise NotFound("no open invitation of that id")
    ranks.check(ceiling, invited.roles)
    return state.with_invitation(replace(invited, status="revoked"))


def set_roles(
    state: WorkspaceState, ranks: Ranks, actor_id: str, target_id: str, roles: frozenset[str]
) -> WorkspaceState:
    """Gives a member exactly these roles; an empty set is a demotion like any other."""
    ceiling = ranks.manager(state, actor_id)
    ranks.check(ceiling, state.member(target_id).roles, roles)
    return _settled(state.with_member(target_id, roles))


def remove(state: WorkspaceState, ranks: Ranks, actor_id: str, target_id: str) -> WorkspaceState:
    """Ends a membership; everybody may leave, removing others takes a manager of at least their rank."""
    if actor_id != target_id:
        ceiling = ranks.manager(state, actor_id)
        ranks.check(ceiling, state.member(target_id).roles)
    return leave(state, target_id)


def leave(state: WorkspaceState, principal_id: str) -> WorkspaceState:
    """Ends one's own membership."""
    state.actor(principal_id)
    return _settled(state.without_member(principal_id))


def transfer(state: WorkspaceState, actor_id: str, to: str) -> WorkspaceState:
    """Makes `to` an owner and the acting owner an admin."""
    mine, theirs = state.actor(actor_id), state.member(to)
    if OWNER not in mine.roles:
        raise Denied("only an owner transfers the ownership")
    if actor_id == to:
        raise Conflict("the ownership is there already")
    after = state.with_member(to, theirs.roles | {OWNER})
    return _settled(after.with_member(actor_id, mine.roles - {OWNER} | {ADMIN}))


def resize(state: WorkspaceState, seats: int | None) -> WorkspaceState:
    """Changes the number of seats; who is inside stays, even above the limit."""
    return replace(state, seats=seats, version=state.version + 1)
