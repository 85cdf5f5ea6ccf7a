"""The tenancy stores in memory, for tests, demos and single-process hosts that can lose everything."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

from ..core.errors import TenantNotFound
from ..core.event import AuditEvent
from ..core.outbox import MemoryOutbox
from ..core.tenant import Membership
from .entitlements import Hold
from .office import Tell
from .workspace import Rule, WorkspaceState

__all__ = ["MemoryMembershipStore", "MemoryUsageStore"]


class MemoryMembershipStore:
    """Workspaces in a dictionary; a rule runs under the lock, as it does under a row lock.

    Args:
        allow_memory: accept in production that everything is lost with the process.
    """

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self.outbox: MemoryOutbox = MemoryOutbox()
        self._lock: Lock = Lock()
        self._workspaces: dict[str, WorkspaceState] = {}

    async def claim(self, state: WorkspaceState, events: Iterable[AuditEvent] = (), /) -> bool:
        """Stores a new workspace; False if the tenant id is taken."""
        with self._lock:
            if state.tenant_id in self._workspaces:
                return False
            self.outbox.append(events)  # first, because it may refuse
            self._workspaces[state.tenant_id] = state
            return True

    async def transact(
        self, tenant_id: str, rule: Rule, tell: Tell | None = None, /
    ) -> tuple[WorkspaceState, WorkspaceState]:
        """Applies `rule` under the lock; raises `TenantNotFound`."""
        with self._lock:
            before = self._workspaces.get(tenant_id)
            if before is None:
                raise TenantNotFound("no such workspace")
            after = rule(before)
            if tell is not None:
                self.outbox.append(tell(before, after))
            self._workspaces[tenant_id] = after
            return before, after

    async def load(self, tenant_id: str) -> WorkspaceState | None:
        """The state now."""
        with self._lock:
            return self._workspaces.get(tenant_id)

    async def find(self, tenant_id: str, principal_id: str) -> Membership | None:
        """One membership."""
        with self._lock:
            state = self._workspaces.get(tenant_id)
            return state.members.get(principal_id) if state is not None else None

    async def memberships_of(self, principal_id: str) -> list[Membership]:
        """Every membership of a principal, by tenant id."""
        with self._lock:
            found = (self._workspaces[key].members.get(principal_id) for key in sorted(self._workspaces))
            return [membership for membership in found if membership is not None]

    async def tenant_of_invitation(self, digest: str) -> str | None:
        """The workspace an invitation belongs to."""
        with self._lock:
            for state in self._workspaces.values():
                if any(invited.digest == digest for invited in state.invitations.values()):
                    return state.tenant_id
            return None


class MemoryUsageStore:
    """Counters and open holds in dictionaries.

    Args:
        allow_memory: accept in production that counts are lost with the process and kept by each worker apart.
    """

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._used: dict[tuple[str, str, int], int] = {}
        self._open: dict[str, Hold] = {}

    async def take_if(self, hold: Hold, limit: int) -> int | None:
        """Adds the amount if the sum stays within `limit`; the sum, or None."""
        key = (hold.tenant_id, hold.feature, hold.period)
        with self._lock:
            total = self._used.get(key, 0) + hold.amount
            if total > limit:
                return None
            self._used[key] = total
            self._open[hold.id] = hold
            return total

    async def commit(self, hold_id: str, used: int | None = None, /) -> bool:
        """Makes an open hold final, giving back what it holds beyond `used`."""
        with self._lock:
            hold = self._open.pop(hold_id, None)
            if hold is not None and used is not None:
                self._used[hold.tenant_id, hold.feature, hold.period] -= hold.amount - used
            return hold is not None

    async def release(self, hold_id: str, /) -> bool:
        """Gives an open hold back, once."""
        return await self.commit(hold_id, 0)

    async def used(self, tenant_id: str, feature: str, period: int) -> int:
        """What is taken, holds included."""
        with self._lock:
            return self._used.get((tenant_id, feature, period), 0)
