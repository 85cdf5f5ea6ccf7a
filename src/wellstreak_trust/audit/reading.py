"""Reading the trail back.

Whoever reads is named, and the read is recorded before its result is handed out: an audit trail that can be searched
without a trace is a tool for whoever wants to know what is known. Calls without `actor` are for the host's own code,
such as a page that shows a user their own sessions, and record nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from ..core.clock import aware, rfc3339
from ..core.errors import UsageError
from ..core.sansio import synced
from .personal import disclosed
from .query import Page, Query, parse, search
from .query.search import parsed
from .recording import Actor, Recording, require_tenant
from .report import SecurityReport, Tally
from .store import leaves_of
from .verdict import VerifyReport

__all__ = ["Reading"]

_LIMIT: Final = 1_000


class Reading(Recording):
    """The part of `AuditLog` that reads; it has no state of its own."""

    async def aevents(
        self,
        tenant_id: str,
        *,
        limit: int = 100,
        before: int | None = None,
        disclose: bool = False,
        actor: Actor | None = None,
        reason: str | None = None,
    ) -> list[dict[str, Any]]:
        """The newest events of a tenant, newest first, as parsed leaves.

        Args:
            before: only events with a smaller `seq`: the last one of the page before.
            disclose: put personal values that are not erased back in their places.
            actor, reason: who reads, and why; recorded as ``audit.read``, or ``audit.disclosed`` with `disclose`,
                which needs both.

        Raises:
            AuditForkDetected: a stored leaf is not what was hashed.
            AuditUnavailable: the read could not be recorded; nothing is handed out.
            UsageError: an empty tenant id.
        """
        require_tenant(tenant_id)
        size = (await self.store.head(tenant_id)).size
        stop = size if before is None else min(before, size)
        found = await self.store.leaves(tenant_id, max(0, stop - limit), stop)
        events = [parsed(leaf) for leaf in reversed(found)]
        asked = {"form": "events", "found": len(found)}
        return await self._handed_out(tenant_id, events, actor, reason, asked, disclose=disclose)

    events: Final = synced(aevents)

    async def aquery(
        self,
        text: str | Query,
        *,
        tenant_id: str,
        limit: int = _LIMIT,
        before: int | None = None,
        budget: int | None = None,
        disclose: bool = False,
        actor: Actor | None = None,
        reason: str | None = None,
    ) -> Page:
        """The newest events that match, newest first (see `audit.query.grammar` for the language).

        Args:
            limit: events on a page, at most 10,000.
            before: `Page.next` of the page before.
            budget: places of the tree that one page may go over, 200,000 or, where an index leads to the matches,
                10,000,000; a page that ends early has a `next`.
            disclose, actor, reason: as for `aevents`; the query is recorded.

        Raises:
            AuditQueryInvalid: not a query; `column` points at the mistake.
            AuditForkDetected: a stored leaf is not what was hashed.
            AuditUnavailable: the read could not be recorded; nothing is handed out.
        """
        query = text if isinstance(text, Query) else parse(text)
        require_tenant(tenant_id)
        page = await search(self.store, tenant_id, query, before=before, limit=limit, budget=budget)
        asked = {"form": "query", "query": text if isinstance(text, str) else "", "found": len(page)}
        page[:] = await self._handed_out(tenant_id, page, actor, reason, asked, disclose=disclose)
        return page

    query: Final = synced(aquery)

    async def areport(
        self,
        tenant_id: str,
        *,
        actor: Actor,
        reason: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        verification: VerifyReport | None = None,
        title: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> SecurityReport:
        """What happened in a tenant, for its security officer (see `SecurityReport.html`).

        Args:
            actor, reason: who reads, and why; recorded as ``audit.read``.
            since, until: by the time of recording; `until` itself is left out.
            verification: what `verify` said of this trail, for the banner of the page.
            progress: told how many of how many places of the tree are read.

        Raises:
            AuditForkDetected: a stored leaf is not what was hashed.
            AuditUnavailable: the read could not be recorded.
        """
        low, high = (None if moment is None else rfc3339(aware(moment)) for moment in (since, until))
        asked = {name: moment for name, moment in (("since", low), ("until", high)) if moment}
        await self._tell("audit.read", tenant_id, actor, reason, {"form": "report", **asked})
        tally = Tally(frozenset(spec.name for spec in self.registry if spec.criticality == "critical"))
        async for leaf in leaves_of(self.store, tenant_id, progress=progress):
            event = parsed(leaf)
            at = event.get("recorded_at", "")
            if (low is None or at >= low) and (high is None or at < high):
                tally.add(event)
        heading = f"Security report: {tenant_id}" if title is None else title
        return SecurityReport(tenant_id, heading, tally.closed(), verification, self.clock.now())

    report: Final = synced(areport)

    async def _handed_out(
        self,
        tenant_id: str,
        events: list[dict[str, Any]],
        actor: Actor | None,
        reason: str | None,
        asked: dict[str, Any],
        *,
        disclose: bool,
    ) -> list[dict[str, Any]]:
        if disclose and actor is None:
            raise UsageError("personal values are disclosed to somebody", hint="actor=..., reason=...")
        if disclose:
            events = await self._disclosed(tenant_id, events, asked)
        if actor is not None:
            await self._tell("audit.disclosed" if disclose else "audit.read", tenant_id, actor, reason, asked)
        return events

    async def _disclosed(
        self, tenant_id: str, events: list[dict[str, Any]], asked: dict[str, Any]
    ) -> list[dict[str, Any]]:
        places = [event["seq"] for event in events]
        known = await self.people.disclosures(tenant_id, min(places), max(places) + 1) if places else {}
        shown = {seq: known[seq] for seq in places if seq in known}
        asked["values"] = sum(map(len, shown.values()))
        return [disclosed(event, shown[event["seq"]]) if event["seq"] in shown else event for event in events]
