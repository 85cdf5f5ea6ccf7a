"""The audit trail: its query language in one field, and one event as it was recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ..core.errors import AuditQueryInvalid, NotFound
from ..core.markup import Child, Markup, address, joined, shown, tag
from ..core.redact import redact
from .asked import Asked, AskedWrongly
from .parts import PLATFORM, Parts, View, known_tenants
from .widgets import Field, card, chip, empty, facts, filters, link, listing, moment, pager

__all__ = ["show", "show_one"]

_PAGE: Final = 50
_QUERY: Final = 2_000
_LINE: Final = 2_000
_LINES: Final = 2_000
_HINT: Final = "Such as actor:u_ada action:member.* outcome:denied created:2026-11-24; a leading - excludes."


async def show(parts: Parts, asked: Asked, view: View) -> Markup:
    """A page of matching events, newest first. The query is recorded on the trail it searches."""
    assert parts.audit is not None
    tenant, query = asked.text("tenant") or PLATFORM, asked.text("q", most=_QUERY)
    before = asked.number("before")
    fields = (
        Field("q", "Query", query, hint=_HINT, wide=True, most=_QUERY),
        Field("tenant", "Workspace", tenant, known=await known_tenants(parts)),
    )
    try:
        found = await parts.audit.aquery(
            query, tenant_id=tenant, limit=_PAGE, before=before, actor=view.principal, reason="operator page: search"
        )
    except AuditQueryInvalid as error:
        told = f"Column {error.column}: {error.detail}. {error.hint[:1].upper()}{error.hint[1:]}"
        raise AskedWrongly("q", told, filters("audit", fields, "q", "Search")) from None
    form = filters("audit", fields, button="Search")
    later = address("audit", tenant=tenant, q=query, before=found.next) if found.next is not None else None
    first = address("audit", tenant=tenant, q=query) if before is not None else None
    turn = pager(first, later)
    if not found:
        words = (
            "No event matches." if later is None else "No event matches among those looked at; there are older ones."
        )
        return joined((form, card("Events", empty(words), turn)))
    header = ("event", "action", "outcome", "by", "about", "recorded")
    held = listing(f"{len(found)} events of {tenant}, newest first", header,
                 (_row(event, tenant, view) for event in found))  # fmt: skip
    return joined((form, card("Events", held, turn)))


def _row(event: Mapping[str, Any], tenant: str, view: View) -> list[Child]:
    return [
        link(f"{event['seq']:,}", address("event", tenant=tenant, seq=event["seq"])),
        tag("code", event["action"]),
        chip(event["outcome"]),
        tag("bdi", _named(event.get("actor"))),
        tag("bdi", ", ".join(map(_named, event.get("targets") or ())) or "nothing named"),
        moment(datetime.fromisoformat(event["recorded_at"]), view.now),
    ]


def _named(thing: object) -> str:
    """An actor or a target by its id."""
    return str(thing.get("id", "")) if isinstance(thing, Mapping) else str(thing)


async def show_one(parts: Parts, asked: Asked, view: View) -> Markup:
    """One event. What looks like a credential is masked here; the leaf on the trail is what was hashed."""
    assert parts.audit is not None
    tenant, seq = asked.text("tenant") or PLATFORM, asked.number("seq")
    if seq is None:
        raise NotFound("no event is named")
    found = await parts.audit.aevents(
        tenant, limit=1, before=seq + 1, actor=view.principal, reason="operator page: one event"
    )
    if not found or found[0]["seq"] != seq:
        raise NotFound("no such event, or it was pruned")
    event = found[0]
    told = facts(
        (
            ("Action", tag("code", event["action"])),
            ("Outcome", chip(event["outcome"])),
            ("By", tag("bdi", _named(event.get("actor")))),
            ("Recorded", moment(datetime.fromisoformat(event["recorded_at"]), view.now)),
        )
    )
    lines = json.dumps(redact(event), indent=2, ensure_ascii=False, default=str).split("\n")
    text = Markup("\n".join(shown(line, _LINE) for line in lines[:_LINES]))
    back = link("Audit trail", address("audit", tenant=tenant))
    return joined(
        (
            tag("p", back, " / ", tag("bdi", tenant), class_="crumbs"),
            card(f"Event {seq:,}", told),
            card("As recorded", tag("pre", text, tabindex="0", role="region", aria_label="The event as JSON")),
        )
    )
