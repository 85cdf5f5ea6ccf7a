"""Anomalies of one trail: the rules of `telemetry.anomalies` over its newest events."""

from __future__ import annotations

from typing import Final

from ..core.markup import Child, Markup, address, joined, tag
from ..telemetry.anomalies import RULES, AnomalyConfig, Finding, detect
from .asked import Asked
from .parts import PLATFORM, Parts, View, known_tenants
from .widgets import Field, card, chip, empty, filters, link, listing, moment

__all__ = ["findings", "show"]

_EVENTS: Final = 2_000
_SEVERITIES: Final = ("high", "medium", "low")
_LINKED: Final = 12


async def findings(parts: Parts, tenant: str, view: View) -> list[Finding]:
    """What the rules find among the newest events, worst first. The read is recorded on that trail."""
    assert parts.audit is not None
    events = await parts.audit.aevents(tenant, limit=_EVENTS, actor=view.principal, reason="operator page: anomalies")
    found = list(detect(reversed(events), AnomalyConfig(now=view.now)))
    return sorted(found, key=lambda finding: (_SEVERITIES.index(finding.severity), -finding.last_seen.timestamp()))


async def show(parts: Parts, asked: Asked, view: View) -> Markup:
    """One tenant's findings, each with the events that made it fire."""
    tenant, severity = asked.text("tenant") or PLATFORM, asked.choice("severity", _SEVERITIES)
    found = [each for each in await findings(parts, tenant, view) if severity in ("", each.severity)]
    form = filters(
        "anomalies",
        (
            Field("tenant", "Workspace", tenant, known=await known_tenants(parts)),
            Field("severity", "Severity", severity, {"": "any", **{name: name for name in _SEVERITIES}}),
        ),
    )
    heading = "Findings"
    if not found:
        return joined((form, card(heading, empty(f"None of the {len(RULES)} rules fires."), _note())))
    header = ("rule", "severity", "about", "what was seen", "last seen", "events")
    held = listing(f"{len(found):,} on the trail of {tenant}", header, (_row(each, view) for each in found))
    return joined((form, card(heading, held, _note())))


def _note() -> Markup:
    told = f"{len(RULES)} rules over the newest {_EVENTS:,} events. A rule that needs a longer past may stay silent."
    return tag("p", told, class_="hint")


def _row(finding: Finding, view: View) -> list[Child]:
    places = [
        link(f"{seq:,}", address("event", tenant=finding.tenant_id, seq=seq), class_="seq")
        for seq in finding.seqs[:_LINKED]
    ]
    rest = len(finding.seqs) - _LINKED
    return [
        joined((tag("code", finding.rule_id), tag("span", RULES[finding.rule_id][1], class_="detail"))),
        chip(finding.severity),
        tag("bdi", finding.subject),
        finding.explanation,
        moment(finding.last_seen, view.now),
        tag("span", *places, f" and {rest} more" if rest > 0 else None, class_="seqs"),
    ]
