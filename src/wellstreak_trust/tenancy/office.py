"""One way to the store and one way to the trail, for every desk of `Memberships`.

A change and its event are one transaction: the event goes into the store's outbox with it, and is forwarded to the
trail after the commit. A trail that is down holds nothing up and loses nothing: the event waits in the outbox, and the
next change, or the host's own `relay`, forwards it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from ..core.clock import Clock
from ..core.errors import TenantNotFound, UsageError
from ..core.event import AuditEvent, EventSink, Outcome
from ..core.outbox import Outbox, OutboxRelay, relay_to
from ..core.principal import Principal
from ..core.sansio import suspends
from ..core.tenant import Membership, TenantContext
from . import rules
from .bylaws import Act, Bylaws
from .workspace import Rule, WorkspaceState, changes

__all__ = ["Listener", "MembershipStore", "Notice", "Office", "Tell", "role_names"]

_ROLE_LONGEST: Final = 64
_PLATFORM: Final = "system"  # the trail of events that belong to no workspace
_CLOCKWORK: Final = {"kind": "system", "id": "tenancy"}
Listener = Callable[[str, str, int], None]
Tell = Callable[[WorkspaceState, WorkspaceState], Iterable[AuditEvent]]


class MembershipStore(Protocol):
    """Workspaces with their members and invitations, and the outbox of their changes. Every verb is one transaction.

    `transact` takes the workspace's row lock first (``SELECT ... FOR UPDATE``, ``BEGIN IMMEDIATE``): a rule that
    counts owners without it leaves none in a race.
    """

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Where `claim` and `transact` append their events, in the same transaction."""
        ...

    async def claim(self, state: WorkspaceState, events: Iterable[AuditEvent] = (), /) -> bool:
        """Stores a new workspace with its events; False, and nothing stored, if the tenant id is taken."""
        ...

    async def transact(
        self, tenant_id: str, rule: Rule, tell: Tell | None = None, /
    ) -> tuple[WorkspaceState, WorkspaceState]:
        """Locks, loads, applies `rule`, stores the difference and the events that `tell(before, after)` gives.

        Returns the states before and after. What the rule or `tell` raises undoes everything.

        Raises:
            TenantNotFound: an unknown workspace.
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


@dataclass(frozen=True, slots=True)
class Notice:
    """What a change is called on the trail.

    Args:
        moved: the principal whose roles before and after are told.
    """

    action: str
    actor: Principal | Mapping[str, Any]
    targets: tuple[str, ...] = ()
    moved: str | None = None
    reason: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def event(self, tenant_id: str, now: datetime, outcome: Outcome = "success", **more: Any) -> AuditEvent:
        """The event itself."""
        fields = {"reason": self.reason, "data": self.data, "occurred_at": now, **more}
        return AuditEvent(self.action, outcome, tenant_id, self.actor, self.targets, **fields)

    def told(self, before: WorkspaceState, after: WorkspaceState, now: datetime) -> AuditEvent:
        """The event of a change."""
        moved: tuple[Mapping[str, Any], ...] = ()
        if self.moved is not None:
            was, became = before.members.get(self.moved), after.members.get(self.moved)
            moved = ({"field": "roles", "from": _sorted(was), "to": _sorted(became)},)
        return self.event(after.tenant_id, now, changes=moved)


class Office:
    """What all desks share: store, clock, bylaws, outbox and listeners."""

    def __init__(self, store: MembershipStore, clock: Clock, audit: EventSink | None, bylaws: Bylaws) -> None:
        self.suspends: bool = suspends(store, audit)
        self._store: MembershipStore = store
        self._clock: Clock = clock
        self._bylaws: Bylaws = bylaws
        self.recorded: bool = audit is not None
        self.relay: OutboxRelay | None = relay_to(store.outbox, audit) if audit is not None else None
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Calls ``listener(tenant_id, principal_id, version)`` after each change of a membership in this process."""
        self._listeners.append(listener)

    def _act(self, principal: Principal) -> Act:
        act = Act(self._bylaws, principal, self._clock.now())
        act.in_person()
        return act

    async def _load(self, ctx: TenantContext) -> WorkspaceState:
        state = await self._store.load(ctx.tenant_id)
        if state is None:
            raise TenantNotFound("no such workspace")
        return state

    async def _found(self, state: WorkspaceState, notice: Notice) -> bool:
        events = (notice.event(state.tenant_id, self._clock.now()),) if self.recorded else ()
        claimed = await self._store.claim(state, events)
        await self._forward()
        return claimed

    async def _change(self, tenant_id: str, rule: Rule, notice: Notice) -> WorkspaceState:
        """One change with its event; returns the state after it."""
        now = self._clock.now()

        def tell(before: WorkspaceState, after: WorkspaceState) -> list[AuditEvent]:
            over = (key for key, member in before.members.items() if member.over(now) and key not in after.members)
            ended = [Notice("support.access_ended", _CLOCKWORK, (key,), key).told(before, after, now) for key in over]
            done = after.version > rules.current(before, now).version  # a rule may find that there is nothing to do
            return [*ended, notice.told(before, after, now)] if done else ended

        before, after = await self._store.transact(
            tenant_id, lambda state: rule(rules.current(state, now)), tell if self.recorded else None
        )
        self._notify(before, after)
        await self._forward()
        return after

    def _notify(self, before: WorkspaceState, after: WorkspaceState) -> None:
        found = changes(before, after)
        for principal_id in (*(member.principal_id for member in found.members), *found.gone):
            for listener in self._listeners:
                listener(after.tenant_id, principal_id, after.version)

    async def _refused(self, notice: Notice, tenant_id: str | None) -> None:
        """Records a refusal; nothing was changed, so its event is a transaction of its own."""
        if self.recorded:
            await self._store.outbox.aemit(notice.event(tenant_id or _PLATFORM, self._clock.now(), "denied"))
            await self._forward()

    async def _forward(self) -> None:
        if self.relay is not None:
            await self.relay.aforward()


def role_names(roles: Iterable[str]) -> frozenset[str]:
    """Role names out of a collection; raises `UsageError` for text and for what is no name."""
    if isinstance(roles, str | bytes | Mapping):
        raise UsageError("roles is a collection of names", hint="roles=('member',)")
    try:
        found = frozenset(roles)
    except TypeError:
        raise UsageError("roles is a collection of names", hint="roles=('member',)") from None
    if not all(isinstance(role, str) and role.isascii() and 0 < len(role) <= _ROLE_LONGEST for role in found):
        raise UsageError("a role is a short ASCII name")
    return found


def _sorted(membership: Membership | None) -> list[str]:
    return sorted(membership.roles) if membership is not None else []
