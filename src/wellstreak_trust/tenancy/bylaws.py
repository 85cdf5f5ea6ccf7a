"""Who may change what in a workspace: the host's bylaws, and one act under them.

Rights are read from the stored state, inside the transaction that changes it, never from the caller's context. Two
ceilings hold together: ranks (nobody gives, or touches a holder of, a rank above the own), and, where a policy is
given, `can_assign` on what is given and on what is taken away.

A role without a rank gives its holder no authority over members, and counts as an owner's when it is handed out or
taken away: only owners do that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from ..core.errors import ConfigurationError, Denied, TenantNotFound
from ..core.principal import Principal, StepUp
from ..core.tenant import Membership, MembershipKind, TenantContext
from .workspace import ADMIN, OWNER, RANKS, SEATED, VIEWER, WorkspaceState

__all__ = ["Act", "Assignments", "Bylaws", "Ranks", "TransferPolicy"]

_LONGEST: Final = timedelta(days=30)


class Assignments(Protocol):
    """Decides which roles one member may leave another with; `authz.Policy` and `authz.PolicyHolder` do."""

    def can_assign(self, subject: object, target: object, roles: Iterable[str], /) -> Any:
        """An answer with `allowed` (exactly True or not) and `code`."""
        ...


class Ranks:
    """Which role stands above which."""

    __slots__ = ("_table",)

    def __init__(self, table: Mapping[str, int] = RANKS) -> None:
        self._table: Mapping[str, int] = {**table, OWNER: max((RANKS[OWNER], *table.values()))}

    @property
    def manager(self) -> int:
        """The rank from which one manages members."""
        return self._table.get(ADMIN, RANKS[ADMIN])

    def held(self, roles: Iterable[str]) -> int:
        """The authority that a set gives its holder."""
        return max((self._table.get(role, 0) for role in roles), default=0)

    def given(self, roles: Iterable[str]) -> int:
        """The authority that it takes to hand a set out, or to take it away."""
        return max((self._table.get(role, self._table[OWNER]) for role in roles), default=0)


@dataclass(frozen=True, slots=True)
class TransferPolicy:
    """How an ownership changes hands. With one, `owner` is given by a transfer alone, and not by a change of roles.

    Args:
        acceptance: the new owner has to accept; without it the first step is the last.
        step_up: the sign-in that both steps want.
        cool_off: how long the present owners have to stop it, before anybody can accept.
        expires_in: how long after the cool-off the offer stands.

    Raises:
        ConfigurationError: a cool-off without acceptance, or times out of range.
    """

    acceptance: bool = True
    step_up: StepUp | None = None
    cool_off: timedelta = timedelta()
    expires_in: timedelta = timedelta(days=7)

    def __post_init__(self) -> None:
        if not timedelta() <= self.cool_off <= _LONGEST or not timedelta() < self.expires_in <= _LONGEST:
            raise ConfigurationError("cool_off and expires_in are at most 30 days", reason="transfer_policy")
        if self.cool_off and not self.acceptance:
            raise ConfigurationError(
                "a cool-off ends with an acceptance", hint="TransferPolicy(acceptance=True)", reason="transfer_policy"
            )


@dataclass(frozen=True, slots=True)
class Bylaws:
    """What a host decided for all its workspaces.

    Args:
        seated: the kinds of membership that take a seat.
        support_roles: what support holds unless its grant says otherwise; read-only ones.
    """

    ranks: Ranks = field(default_factory=Ranks)
    assignments: Assignments | None = None
    seated: frozenset[MembershipKind] = SEATED
    transfer: TransferPolicy | None = None
    support_roles: frozenset[str] = frozenset((VIEWER,))


@dataclass(frozen=True, slots=True)
class Act:
    """Somebody who acts, now, under the bylaws."""

    bylaws: Bylaws
    principal: Principal
    now: datetime

    def in_person(self) -> None:
        """Somebody in another's name never changes who belongs to a workspace; raises `Denied`."""
        if self.principal.actor is not None:
            raise Denied("an impersonated principal does not manage workspaces")

    def membership(self, state: WorkspaceState) -> Membership:
        """The acting member; who was removed or suspended meanwhile finds no workspace (`TenantNotFound`)."""
        self.in_person()
        found = state.members.get(self.principal.id)
        if found is None or not found.live(self.now):
            raise TenantNotFound("the acting principal is no member of the workspace")
        return found

    def manager(self, state: WorkspaceState) -> Membership:
        """The acting member, if it manages members; raises `Denied`."""
        found = self.membership(state)
        if found.kind == "support" or self.bylaws.ranks.held(found.roles) < self.bylaws.ranks.manager:
            raise Denied("managing members takes an admin")
        return found

    def owner(self, state: WorkspaceState) -> Membership:
        """The acting member, if it is an owner; raises `Denied`."""
        found = self.membership(state)
        if OWNER not in found.roles:
            raise Denied("only an owner decides on the ownership")
        return found

    def require_step_up(self, policy: TransferPolicy | None) -> None:
        """Raises `ReauthRequired` where the policy wants a better sign-in."""
        if policy is not None and policy.step_up is not None and not policy.step_up.met_by(self.principal, self.now):
            raise policy.step_up.challenge()

    def may_leave(self, state: WorkspaceState, target: Membership, roles: frozenset[str]) -> None:
        """Whether a manager may leave `target` (as it stands, without roles if it is new) holding exactly `roles`.

        Raises:
            Denied: a rank above the own, what the policy forbids to give or take, or a role of persons alone.
        """
        ranks, ceiling = self.bylaws.ranks, self.bylaws.ranks.held(self.manager(state).roles)
        if ranks.given(target.roles) > ceiling or ranks.given(roles) > ceiling:
            raise Denied("a rank above the acting member's own")
        if target.kind != "member" and OWNER in roles:
            raise Denied("only a person owns a workspace")
        if target.kind == "support" and ranks.given(roles) >= ranks.manager:
            raise Denied("support stays below those who manage members")
        if self.bylaws.transfer is not None and OWNER in roles - target.roles:
            raise Denied("an ownership is given by a transfer", hint="transfer_ownership")
        self.may_assign(state, target, roles)

    def may_assign(self, state: WorkspaceState, target: Membership, roles: frozenset[str]) -> None:
        """Asks the policy, where there is one, about the stored membership; raises `Denied`."""
        if self.bylaws.assignments is None:
            return
        tenant_id = state.tenant_id
        subject = TenantContext(tenant_id, self.principal.in_tenant(tenant_id), self.membership(state))
        answer = self.bylaws.assignments.can_assign(subject, target, roles)
        if answer.allowed is not True:
            raise Denied(f"the policy refuses these roles: {answer.code}")
