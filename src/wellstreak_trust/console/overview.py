"""The overview: one small panel a part, and what needs somebody, worst first.

Each panel reads its part alone, so that one store that is down takes one panel with it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..core.errors import TrustError
from ..core.markup import Address, Child, Markup, address, tag
from . import anomalies, reports, upkeep, work
from .asked import Asked
from .charts import shares
from .links import ORDER
from .parts import PLATFORM, Parts, View
from .widgets import Tone, card, chip, empty, link, listing, moment, tone_of

__all__ = ["show"]

_LOG: Final = logging.getLogger(__name__)
_MOST: Final = 25
_SILENT: Final = "not heard of in time: look at its worker"
_RANK: Final[Mapping[Tone, int]] = {"bad": 0, "warn": 1, "busy": 2, "quiet": 3, "good": 4}

Row = tuple[Tone, list[Child]]


@dataclass(slots=True)
class Panel:
    """One part at a glance.

    Args:
        figure: what is counted; `unit` says what that is.
        parts: (word, count, tone) of its division.
        needs: rows of what needs somebody.
    """

    figure: str
    unit: str
    parts: list[tuple[str, int, Tone]] = field(default_factory=list)
    needs: list[Row] = field(default_factory=list)
    note: str = ""


async def show(parts: Parts, asked: Asked, view: View) -> Markup:
    """All panels, then what needs somebody."""
    panels, needs = [], list[Row]()
    for path, title, needed, make in _PANELS:
        if getattr(parts, needed) is None:
            continue
        try:
            panel = await make(parts, view)
        except Exception as error:  # this part's panel tells; the others are shown all the same
            code = error.code if isinstance(error, TrustError) else type(error).__name__
            _LOG.warning("operator page: %s: %s", title, code)
            panels.append(tag("section", tag("h2", link(title, address(path))), chip("unavailable"), class_="tile"))
            continue
        panels.append(_tile(title, address(path), panel))
        needs += panel.needs
    needs.sort(key=lambda row: _RANK[row[0]])
    return tag("div", tag("div", *panels, class_="tiles"), _attention(needs))


def _attention(needs: list[Row]) -> Markup:
    if not needs:
        return card("Needs attention", empty("Nothing needs you."))
    header = ("what", "state", "where", "since or due", "what to do")
    shown = listing(
        f"The first {_MOST} of {len(needs):,}" if len(needs) > _MOST else f"{len(needs)} in all, worst first",
        header, (row for _, row in needs[:_MOST]))  # fmt: skip
    return card("Needs attention", shown)


def _tile(title: str, to: Address, panel: Panel) -> Markup:
    words = [tag("li", chip(word, tone), tag("b", f"{count:,}")) for word, count, tone in panel.parts if count]
    told = ", ".join(f"{count} {word}" for word, count, _ in panel.parts if count) or "none"
    return tag(
        "section",
        tag("h2", link(title, to)),
        tag("p", tag("strong", panel.figure), " ", tag("span", panel.unit), class_="figure"),
        shares(panel.parts, f"{title}: {told}") if panel.parts else None,
        tag("ul", *words, class_="counts") if words else None,
        tag("p", panel.note, class_="hint") if panel.note else None,
        class_="tile",
    )


def _divided(counts: Counter[str], order: Iterable[str]) -> list[tuple[str, int, Tone]]:
    return [(word, counts[word], tone_of(word)) for word in order if counts[word]]


async def _connections(parts: Parts, view: View) -> Panel:
    assert parts.connections is not None
    found = await parts.connections.aoverview()
    counts = Counter[str](status.state for _, status in found)
    panel = Panel(f"{counts['active']:,}", f"of {len(found):,} active", _divided(counts, ORDER))
    for tenant, status in found:
        if status.state in ("failing", "degraded", "suspended", "unverified"):
            to = address("connection", tenant=tenant, provider=status.provider)
            row: list[Child] = [link(status.provider, to), chip(status.state), tenant, moment(status.since, view.now),
                                f"{status.reason.replace('_', ' ')}: {status.hint}"]  # fmt: skip
            panel.needs.append((tone_of(status.state), row))
    return panel


async def _runs(parts: Parts, view: View) -> Panel:
    assert parts.runs is not None
    found = await parts.runs.arecent(None, work.LOOKED)
    states = [work.state_now(run, view.now) for run in found]
    counts = Counter[str](states)
    panel = Panel(f"{counts['running'] + counts['waiting']:,}", "under way", _divided(counts, work.STATES))
    for run, state in zip(found, states, strict=True):
        if state in ("stalled", "failed"):
            to, why = address("runs", tenant=run.tenant_id, state=state), run.code.replace("_", " ")
            row: list[Child] = [link(run.workflow, to), chip(state), run.tenant_id, moment(run.seen_at, view.now),
                                _SILENT if state == "stalled" else why]  # fmt: skip
            panel.needs.append((tone_of(state), row))
    return panel


async def _anomalies(parts: Parts, view: View) -> Panel:
    found = await anomalies.findings(parts, PLATFORM, view)
    counts = Counter[str](finding.severity for finding in found)
    panel = Panel(f"{len(found):,}", "on the platform's own trail", _divided(counts, ("high", "medium", "low")))
    for finding in found:
        row: list[Child] = [link(finding.rule_id, address("anomalies", tenant=PLATFORM)), chip(finding.severity),
                            PLATFORM, moment(finding.last_seen, view.now), finding.explanation]  # fmt: skip
        panel.needs.append((tone_of(finding.severity), row))
    panel.note = "Each workspace's trail is looked at when it is chosen."
    return panel


async def _limits(parts: Parts, view: View) -> Panel:
    assert parts.limiter is not None
    rules = parts.limiter.rules
    shadow = sum(rule.mode == "shadow" for rule in rules)
    panel = Panel(f"{len(rules):,}", "rules", [("enforced", len(rules) - shadow, "good"), ("shadow", shadow, "quiet")])
    if parts.limiter.degraded:
        row: list[Child] = [link("limit store", address("limits")), chip("unavailable"), PLATFORM, "now",
                            "rules decide by their outage policies"]  # fmt: skip
        panel.needs.append(("bad", row))
    return panel


async def _secrets(parts: Parts, view: View) -> Panel:
    found, whole = await upkeep.due(parts, view, "", upkeep.TENANTS)
    counts = Counter[str](each.state for each in found)
    late = [each for each in found if each.state in ("overdue", "expired", "unavailable")]
    panel = Panel(
        f"{len(found):,}", "due within 30 days", _divided(counts, ("expired", "overdue", "unavailable", "due"))
    )
    for each in late:
        row: list[Child] = [link(each.name or "secrets", address("secrets", tenant=each.tenant_id)), chip(each.state),
                            each.tenant_id, moment(each.at, view.now, "now"), each.told]  # fmt: skip
        panel.needs.append(("bad", row))
    panel.note = "" if whole is None else f"Of the first {upkeep.TENANTS} workspaces."
    return panel


async def _reports(parts: Parts, view: View) -> Panel:
    assert parts.reports is not None
    found = await parts.reports.alist(None, reports.LOOKED)
    waiting = [ticket for ticket in found if ticket.state not in reports.ENDED]
    counts = Counter[str](ticket.state for ticket in found)
    panel = Panel(f"{len(waiting):,}", "open reports", _divided(counts, reports.STATES))
    for ticket in waiting:
        if ticket.overdue(view.now):
            owed = ticket.acknowledge_by or ticket.status_by
            whose = link(reports.short(ticket), address("reports", state=ticket.state))
            row: list[Child] = [whose, chip("overdue"), ticket.impact.replace("_", " "), moment(owed, view.now),
                                "answer the reporter"]  # fmt: skip
            panel.needs.append(("bad", row))
    return panel


_PANELS: Final[tuple[tuple[str, str, str, Callable[[Parts, View], Awaitable[Panel]]], ...]] = (
    ("connections", "Connections", "connections", _connections),
    ("runs", "Workflow runs", "runs", _runs),
    ("anomalies", "Anomalies", "audit", _anomalies),
    ("secrets", "Keys and secrets", "secrets", _secrets),
    ("reports", "Disclosure", "reports", _reports),
    ("limits", "Limits", "limiter", _limits),
)
