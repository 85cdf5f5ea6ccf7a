"""Vulnerability reports by their deadlines. What they say is sealed and is not read here."""

from __future__ import annotations

from typing import Final, cast

from ..core.markup import Child, Markup, joined, tag
from ..disclosure import ReportState, Ticket
from .asked import Asked
from .parts import Parts, View
from .widgets import Field, card, chip, empty, filters, listing, moment

__all__ = ["ENDED", "LOOKED", "STATES", "short", "show"]

STATES: Final = ("received", "triaged", "accepted", "fixed", "published", "rejected")
ENDED: Final = frozenset(("published", "rejected"))
LOOKED: Final = 200
_SHORT: Final = 12


def short(ticket: Ticket) -> str:
    """The beginning of its digest, which tells it from the others."""
    return ticket.id[:_SHORT]


async def show(parts: Parts, asked: Asked, view: View) -> Markup:
    """Tickets, the most urgent first."""
    assert parts.reports is not None
    state = asked.choice("state", STATES)
    found = await parts.reports.alist(cast("ReportState", state) if state else None, LOOKED)
    form = filters("reports", (Field("state", "State", state, {"": "any state", **{name: name for name in STATES}}),))
    if not found:
        return joined((form, card("Reports", empty("There is no report."))))
    found.sort(key=lambda each: (each.state in ENDED, each.acknowledge_by or each.status_by or each.embargo_until))
    header = ("report", "state", "answer owed", "impact", "severity", "received", "silence until")
    caption = f"The first {LOOKED}" if len(found) == LOOKED else f"{len(found):,} reports"
    held = listing(f"{caption}, the most urgent first", header, (_row(each, view) for each in found))  # fmt: skip
    note = tag("p", "A report is known by the digest of its id; the id itself is with its reporter.", class_="hint")
    return joined((form, card("Reports", held, note)))


def _row(ticket: Ticket, view: View) -> list[Child]:
    owed = ticket.acknowledge_by or ticket.status_by
    late = joined((" ", chip("overdue"))) if ticket.overdue(view.now) else None
    return [
        joined((tag("code", short(ticket)), tag("span", ticket.weakness or "", class_="detail"))),
        chip(ticket.state),
        joined((moment(owed, view.now, "nothing"), late)),
        ticket.impact.replace("_", " "),
        chip(ticket.severity) if ticket.severity else "not rated",
        moment(ticket.received_at, view.now),
        moment(ticket.embargo_until, view.now),
    ]
