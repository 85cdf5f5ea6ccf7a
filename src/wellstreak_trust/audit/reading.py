"""Reading the trail back.

Whoever reads is named, and the read is recorded before its result is handed out: an audit trail that can be searched
without a trace is a tool for whoever wants to know what is known. Calls without `actor` are for the host's own code,
such as a page that shows a user their own sessions, and record nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from ..core.clock import Clock
from ..core.errors import UsageError
from ..core.event import AuditEvent
from ..core.principal import Principal
from ..core.sansio import synced
from .query import Page, Query, parse, search
from .query.search import parsed
from .store import AuditStore

__all__ = ["Actor", "Reading"]

Actor = Principal | Mapping[str, Any]
_LIMIT: Final = 1_000
_BUDGET: Final = 200_000


class Reading(ABC):
    """The part of `AuditLog` that reads; it has no state of its own."""

    store: AuditStore
    clock: Clock
    suspends: bool

    @abstractmethod
    async def aemit(self, event: AuditEvent, /) -> Any:
        """As `AuditLog.aemit`."""

    async def aevents(
        self,
        tenant_id: str,
        *,
        limit: int = 100,
        before: int | None = None,
        actor: Actor | None = None,
        reason: str | None = None,
    ) -> list[dict[str, Any]]:
        """The newest events of a tenant, newest first, as parsed leaves.

        Args:
            before: only events with a smaller `seq`: the last one of the page before.
            actor, reason: who reads, and why; recorded as ``audit.read``.

        Raises:
            AuditForkDetected: a stored leaf is not what was hashed.
            AuditUnavailable: the read could not be recorded; nothing is handed out.
        """
        size = (await self.store.head(tenant_id)).size
        stop = size if before is None else min(before, size)
        found = await self.store.leaves(tenant_id, max(0, stop - limit), stop)
        await self._tell_read(tenant_id, actor, reason, {"form": "events", "found": len(found)})
        return [parsed(leaf) for leaf in reversed(found)]

    events: Final = synced(aevents)

    async def aquery(
        self,
        text: str | Query,
        *,
        tenant_id: str,
        limit: int = _LIMIT,
        before: int | None = None,
        budget: int = _BUDGET,
        actor: Actor | None = None,
        reason: str | None = None,
    ) -> Page:
        """The newest events that match, newest first (see `audit.query.grammar` for the language).

        Args:
            limit: events on a page, at most 10,000.
            before: `Page.next` of the page before.
            budget: places of the tree that one page may go over; a page that ends early has a `next`.
            actor, reason: who asks, and why; recorded as ``audit.read`` with the query.

        Raises:
            AuditQueryInvalid: not a query; `column` points at the mistake.
            AuditForkDetected: a stored leaf is not what was hashed.
            AuditUnavailable: the read could not be recorded; nothing is handed out.
        """
        query = text if isinstance(text, Query) else parse(text)
        if not isinstance(tenant_id, str) or not tenant_id:
            raise UsageError("a query is about one tenant", hint="tenant_id='acme'")
        page = await search(self.store, tenant_id, query, before=before, limit=limit, budget=budget)
        asked = text if isinstance(text, str) else ""
        await self._tell_read(tenant_id, actor, reason, {"form": "query", "query": asked, "found": len(page)})
        return page

    query: Final = synced(aquery)

    async def _tell_read(
        self, tenant_id: str, actor: Actor | None, reason: str | None, data: Mapping[str, Any]
    ) -> None:
        if actor is not None:
            await self.aemit(
                AuditEvent(
                    "audit.read", "success", tenant_id, actor, reason=reason, data=data, occurred_at=self.clock.now()
                )
            )
