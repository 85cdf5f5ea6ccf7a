"""What the parts of `AuditLog` have in common: a store, a clock, and the way to record what they do themselves."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from ..core.clock import Clock
from ..core.errors import UsageError
from ..core.event import AuditEvent
from ..core.principal import Principal
from .people import People
from .recorder import Receipt
from .registry import ActionRegistry
from .store import SPINE, AuditStore

__all__ = ["Actor", "Recording", "require_tenant"]

_NO_COLUMN: Final = re.compile(r"[\x00\ud800-\udfff]")  # what no database takes as text

Actor = Principal | Mapping[str, Any]


class Recording(ABC):
    """The base of all parts; `AuditLog` is the one whole."""

    store: AuditStore
    clock: Clock
    suspends: bool
    people: People
    registry: ActionRegistry

    @abstractmethod
    async def aemit(self, event: AuditEvent, /) -> Receipt:
        """As `AuditLog.aemit`."""

    @abstractmethod
    async def arecord_failure(self, event: AuditEvent) -> None:
        """As `AuditLog.arecord_failure`."""

    async def _tell(
        self, action: str, tenant_id: str, actor: Actor, reason: str | None, data: Mapping[str, Any]
    ) -> Receipt:
        """Records what is about to be handed out, and to whom."""
        return await self.aemit(
            AuditEvent(action, "success", tenant_id, actor, reason=reason, data=data, occurred_at=self.clock.now())
        )


def require_tenant(tenant_id: str) -> None:
    """A lost tenant must not read how much every other one does: the tree of no tenant is the spine."""
    if not isinstance(tenant_id, str) or tenant_id == SPINE or _NO_COLUMN.search(tenant_id):
        raise UsageError("this is about one tenant", hint="tenant_id='acme'; the spine is read by export and verify")
