"""One workspace as a value: everything the rules look at, and the difference between two states of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal

from ..core.errors import NotFound
from ..core.tenant import Membership, MembershipKind

__all__ = [
    "ADMIN",
    "MEMBER",
    "OWNER",
    "RANKS",
    "SEATED",
    "VIEWER",
    "Changes",
    "Invited",
    "Rule",
    "Transfer",
    "WorkspaceState",
    "changes",
]

OWNER: Final = "owner"
ADMIN: Final = "admin"
MEMBER: Final = "member"
VIEWER: Final = "viewer"
RANKS: Final[Mapping[str, int]] = MappingProxyType({OWNER: 100, ADMIN: 50, MEMBER: 10, VIEWER: 5})
SEATED: Final[frozenset[MembershipKind]] = frozenset(("member",))

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
class Transfer:
    """An ownership that was offered and waits for its acceptance.

    Args:
        ready_at: the end of the cool-off; before it nobody can accept.
        expires_at: at that instant the offer is void.
    """

    from_id: str
    to_id: str
    ready_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class WorkspaceState:
    """Everything the rules look at, loaded under the workspace's lock.

    Args:
        seats: members plus pending invitations allowed, None without limit.
        version: grows with every change; a changed membership takes it, so no version of a membership ever returns.
        transfer: the ownership on offer; at most one.
    """

    tenant_id: str
    name: str = ""
    seats: int | None = None
    version: int = 1
    members: Mapping[str, Membership] = field(default_factory=dict)
    invitations: Mapping[str, Invited] = field(default_factory=dict)
    transfer: Transfer | None = None

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

    def seats_taken(self, now: datetime, seated: Collection[MembershipKind] = SEATED) -> int:
        """Memberships of the seated kinds, and pending invitations. A suspended member keeps the seat."""
        inside = sum(member.kind in seated and not member.over(now) for member in self.members.values())
        return inside + sum(invited.pending(now) for invited in self.invitations.values())

    def with_member(self, principal_id: str, roles: frozenset[str], **more: Any) -> WorkspaceState:
        """The state with that membership added or changed; `more` are further fields of `Membership`."""
        version, held = self.version + 1, self.members.get(principal_id)
        fields = {"roles": roles, "version": version, **more}
        fresh = held or Membership(self.tenant_id, principal_id, roles)
        return replace(self, version=version, members={**self.members, principal_id: replace(fresh, **fields)})

    def without_member(self, *principal_ids: str) -> WorkspaceState:
        """The state without these memberships."""
        members = {key: value for key, value in self.members.items() if key not in principal_ids}
        return replace(self, version=self.version + 1, members=members)

    def with_invitation(self, *invitations: Invited) -> WorkspaceState:
        """The state with these invitations added or changed."""
        added = {invited.id: invited for invited in invitations}
        return replace(self, version=self.version + 1, invitations={**self.invitations, **added})

    def with_transfer(self, transfer: Transfer | None) -> WorkspaceState:
        """The state with that offer, or without one."""
        return replace(self, version=self.version + 1, transfer=transfer)


Rule = Callable[[WorkspaceState], WorkspaceState]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a store has to write to get from one state to the next; `WorkspaceState.version` tells of the rest."""

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
