"""What of the secrets is recorded: who did what to which name and version, never a value.

A critical action is recorded before it happens (``attempted``) and again with what came of it, so that it cannot
happen while the trail is down, and a crash in between is seen. A read is recorded before the value is handed out.
Switching a secret off is recorded after the fact: a dead trail must not keep a stolen credential alive.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

from ..core.clock import Clock
from ..core.errors import Unavailable
from ..core.event import AuditEvent, EventSink, Outcome, attempted
from ..core.principal import Principal
from .rows import Change

__all__ = ["PLATFORM", "Trail", "facts"]

Actor = Principal | Mapping[str, Any]
_STORE: Final[Actor] = MappingProxyType({"kind": "system", "id": "secret-store"})
PLATFORM: Final = "system"


def facts(change: Change) -> dict[str, Any]:
    """What an auditor needs to find a rollback: the digest is of ciphertext."""
    digest = sha256(change.row.envelope).hexdigest() if change.row.envelope is not None else None
    return {"version": change.row.version, "revision": change.head.revision, "digest": digest}


@dataclass(frozen=True, slots=True)
class Trail:
    """Emits to `sink`, if there is one, in the name of `actor`."""

    sink: EventSink | None
    clock: Clock
    actor: Actor = field(default_factory=lambda: _STORE)
    request: Mapping[str, Any] | None = None

    async def record(
        self, action: str, tenant_id: str, name: str | None, outcome: Outcome = "success", **data: Any
    ) -> None:
        """One event. Raises `AuditUnavailable` as the sink does: then the action must not happen."""
        if self.sink is None:
            return
        targets = () if name is None else (name,)
        await self.sink.aemit(
            AuditEvent(
                *(action, outcome, tenant_id, self.actor, targets),
                request=self.request,
                data=data,
                occurred_at=self.clock.now(),
            )
        )

    @asynccontextmanager
    async def around(self, action: str, tenant_id: str, name: str | None) -> AsyncIterator[dict[str, Any]]:
        """``attempted`` before the body, and its outcome after it, with the facts that the body has filled in."""
        facts: dict[str, Any] = {}

        async def tell(outcome: Outcome) -> None:
            await self.record(action, tenant_id, name, outcome, **facts)

        async with attempted(tell, Unavailable):
            yield facts
