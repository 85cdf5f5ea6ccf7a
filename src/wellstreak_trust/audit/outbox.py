"""Events in the host's own transaction: what is rolled back leaves no trace, what is committed reaches the tree.

The event is checked, and masked, before the host commits; a relay moves it into the tree afterwards, at least once,
where its id makes sure that it stands once. Until then it is a row of the host's database and no evidence.
"""

from __future__ import annotations

from typing import Any, Final

from ..core.errors import AuditEventRejected, ConfigurationError
from ..core.event import AuditEvent
from ..core.outbox import Outbox
from ..core.sansio import suspends, synced
from .event import masked
from .personal import Personal, Place, is_marked, veiled
from .registry import ActionRegistry

__all__ = ["AuditOutbox", "require_outbox"]


def require_outbox(store: object, connection: Any = None) -> Outbox:
    """The outbox of a store; raises `ConfigurationError` where it has none."""
    make = getattr(store, "outbox", None)
    if make is None:
        raise ConfigurationError(
            "this audit store has no outbox",
            hint="SqlAuditStore(database) has one; a transaction in memory cannot be joined",
            reason="audit_outbox",
        )
    found: Outbox = make(connection)
    return found


class AuditOutbox:
    """What `AuditLog.outbox` gives: takes events in the host's transaction and commits nothing itself."""

    def __init__(self, outbox: Outbox, registry: ActionRegistry) -> None:
        self.suspends: bool = suspends(outbox)
        self._outbox: Outbox = outbox
        self._registry: ActionRegistry = registry

    async def aemit(self, event: AuditEvent, /) -> None:
        """Appends an event; an id that waits already stays as it is.

        Raises:
            AuditEventRejected, AuditEventTooLarge: it could never be recorded, or it holds a `Personal`, which cannot
                be sealed in somebody else's transaction; roll back.
            StoreUnavailable: the row was not written; roll back.
        """
        spec = self._registry.spec(getattr(event, "action", ""))
        clean = masked(veiled(event, _not_here) if is_marked(event) else event)
        spec.check(event)
        await self._outbox.aemit(clean)

    emit: Final = synced(aemit)


def _not_here(personal: Personal, place: Place) -> object:
    raise AuditEventRejected(
        f"{'.'.join(place)}: a personal value cannot wait in an outbox",
        hint="name the person by an opaque id here, and emit the value after the commit",
    )
