"""Sources of subscriptions that this process holds: plans by name, and snapshots as billing reported them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Final, Protocol

from ..core.errors import ConfigurationError
from ..core.event import AuditEvent
from ..core.outbox import MemoryOutbox, Outbox
from ..core.sansio import synced
from .subscription import EntitlementSnapshot, Plan

__all__ = ["StaticEntitlements", "StaticPlans", "SubscriptionStore"]


class SubscriptionStore(Protocol):
    """Subscriptions as billing reported them; a source for `Entitlements`."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Where `aapply` appends its events, in the same transaction."""
        ...

    async def snapshot(self, tenant_id: str, /) -> EntitlementSnapshot | None:
        """The subscription as applied last."""
        ...

    async def aapply(self, tenant_id: str, snapshot: EntitlementSnapshot, events: Iterable[AuditEvent] = (), /) -> bool:
        """Takes a snapshot and its events, or nothing, where it does not `replaces` the one held: False.

        One conditional statement decides, so that late and racing billing events change nothing.
        """
        ...


class StaticPlans:
    """Plans that the host hands out itself, without billing: every subscription is active and has no end.

    Args:
        plans: what there is.
        assigned: tenant to the name of its plan.
        default: the plan of every other tenant; None for no subscription.

    Raises:
        ConfigurationError: a name that is no plan, or two plans of one name.
    """

    suspends: bool = False

    def __init__(self, plans: Iterable[Plan], assigned: Mapping[str, str], default: str | None = None) -> None:
        listed = list(plans)
        self._plans: dict[str, EntitlementSnapshot] = {plan.name: plan.snapshot() for plan in listed}
        self._assigned: dict[str, str] = dict(assigned)
        self._default: str | None = default
        named = {*self._assigned.values(), *(() if default is None else (default,))}
        if len(self._plans) != len(listed) or not named <= self._plans.keys():
            raise ConfigurationError(
                "tenants are assigned to plans that stand in the list, each once", reason="static_plans"
            )

    @property
    def features(self) -> frozenset[str]:
        """Every feature that some plan includes."""
        return frozenset(name for plan in self._plans.values() for name in plan.features)

    async def snapshot(self, tenant_id: str) -> EntitlementSnapshot | None:
        """The tenant's plan as a snapshot."""
        name = self._assigned.get(tenant_id, self._default)
        return None if name is None else self._plans[name]


class StaticEntitlements:
    """Subscriptions held by this process, for tests and for hosts that load them at start."""

    suspends: bool = False

    def __init__(self, snapshots: Mapping[str, EntitlementSnapshot] | None = None) -> None:
        self.outbox: MemoryOutbox = MemoryOutbox()
        self._lock: Lock = Lock()
        self._snapshots: dict[str, EntitlementSnapshot] = dict(snapshots or {})

    async def snapshot(self, tenant_id: str) -> EntitlementSnapshot | None:
        """What was applied last."""
        return self._snapshots.get(tenant_id)

    async def aapply(self, tenant_id: str, snapshot: EntitlementSnapshot, events: Iterable[AuditEvent] = (), /) -> bool:
        """Takes a billing event; False for a version at or below the one held: late events change nothing."""
        with self._lock:
            held = self._snapshots.get(tenant_id)
            if held is not None and not snapshot.replaces(held):
                return False
            self.outbox.append(events)  # first, because it may refuse
            self._snapshots[tenant_id] = snapshot
            return True

    apply: Final = synced(aapply)
