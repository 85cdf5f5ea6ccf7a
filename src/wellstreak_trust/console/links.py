"""Connections of all tenants, and one of them with its checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from ..connections import Check, ConnectionStatus
from ..core.markup import Child, Markup, address, joined, tag
from .asked import Asked
from .charts import uptime
from .parts import Parts, View
from .widgets import Field, card, chip, empty, facts, filters, link, listing, moment, pager

__all__ = ["ORDER", "show", "show_one"]

ORDER: Final = (
    "failing", "suspended", "degraded", "unverified", "testing", "draft", "active", "disabled", "revoked",
)  # fmt: skip
"""States, worst first."""
_PAGE: Final = 25
_LATE: Final = timedelta(minutes=2)


async def show(parts: Parts, asked: Asked, view: View) -> Markup:
    """A page of connections, by tenant and provider; each row's uptime is read for this page alone."""
    assert parts.connections is not None
    tenant, provider = asked.text("tenant"), asked.text("provider")
    state = asked.choice("state", ORDER)
    after = asked.text("after_tenant"), asked.text("after")
    found = [
        (owner, status)
        for owner, status in await parts.connections.aoverview()
        if tenant in ("", owner) and provider in ("", status.provider) and state in ("", status.state)
    ]
    rest = [each for each in found if (each[0], each[1].provider) > after]
    form = filters(
        "connections",
        (
            Field("tenant", "Workspace", tenant),
            Field("provider", "Provider", provider),
            Field("state", "State", state, {"": "any state", **{name: name for name in ORDER}}),
        ),
    )
    if not rest:
        return joined((form, card("Connections", empty("No connection is like that."))))
    rows = [await _row(parts, owner, status, view) for owner, status in rest[:_PAGE]]
    header = ("provider", "workspace", "state", "last proof", "next check", "30 days")
    held = listing(f"{len(rows)} of {len(found):,}", header, rows)
    asked_for = {"tenant": tenant, "provider": provider, "state": state}
    last = rest[_PAGE - 1] if len(rest) > _PAGE else None
    later = address("connections", **asked_for, after_tenant=last[0], after=last[1].provider) if last else None
    first = address("connections", **asked_for) if any(after) else None
    return joined((form, card(tenant or "All workspaces", held, pager(first, later, "Next"))))


async def _row(parts: Parts, owner: str, status: ConnectionStatus, view: View) -> list[Child]:
    assert parts.connections is not None
    report = await parts.connections.ainspect(owner, status.provider)
    reason = tag("span", status.reason.replace("_", " "), class_="dim") if status.state != "active" else None
    return [
        link(status.provider, address("connection", tenant=owner, provider=status.provider)),
        owner,
        tag("span", chip(status.state), " ", reason),
        moment(status.last_ok, view.now),
        _next(status, view),
        uptime(report.days, view.now.date()),
    ]


def _next(status: ConnectionStatus, view: View) -> Markup:
    """When it is asked next; a worker that is down shows here first."""
    at = status.next_check
    late = at is not None and view.now - at > _LATE
    return joined((moment(at, view.now, "on demand"), joined((" ", chip("late"))) if late else None))


async def show_one(parts: Parts, asked: Asked, view: View) -> Markup:
    """One connection: what is known, what each probe says, and the last checks with redacted details."""
    assert parts.connections is not None
    report = await parts.connections.ainspect(asked.text("tenant"), asked.text("provider"))
    status = report.status
    candidate = status.candidate
    told = facts(
        (
            ("State", chip(status.state)),
            ("Since", moment(status.since, view.now)),
            ("Reason", status.reason.replace("_", " ")),
            ("What to do", status.hint or "nothing"),
            ("Last proof", moment(status.last_ok, view.now)),
            ("Last check", moment(status.last_checked, view.now)),
            ("Next check", _next(status, view)),
            ("Generation", f"{status.generation}" if candidate is None
             else f"{status.generation}; {candidate[0]} waits for its proof ({candidate[1].replace('_', ' ')})"),
        )
    )  # fmt: skip
    trail = address("audit", tenant=report.tenant_id, q="action:connection.*") if parts.audit is not None else None
    return joined(
        (
            tag("p", link("Connections", address("connections")), " / ", tag("bdi", report.tenant_id), class_="crumbs"),
            card(status.provider, told, link("Its events on the trail", trail) if trail is not None else None),
            card("90 days", uptime(report.days, view.now.date(), span=90)),
            card("Probes", _conditions(status, view)),
            card("Last checks", _checks(report.checks, view)),
        )
    )


def _conditions(status: ConnectionStatus, view: View) -> Markup:
    if not status.conditions:
        return empty("No probe has spoken yet.")
    rows: Iterator[list[Child]] = (
        [each.name, chip({"true": "ok", "false": "fail"}.get(each.status, "unknown")), each.reason.replace("_", " "),
         each.kind.replace("_", " "), moment(each.since, view.now)]
        for each in status.conditions
    )  # fmt: skip
    return listing("What each probe said last", ("probe", "says", "code", "kind", "since"), rows)  # fmt: skip


def _checks(listed: Sequence[Check], view: View) -> Markup:
    if not listed:
        return empty("Nothing has been checked yet.")
    rows: Iterator[list[Child]] = (
        [moment(each.at, view.now), chip(each.verdict), each.source, _probes(each),
         f"{each.generation} / {each.secret_version or 'none'}"]
        for each in listed
    )  # fmt: skip
    header = ("when", "verdict", "source", "probes", "generation / credential")
    return listing(f"The last {len(listed)}, newest first", header, rows)


def _probes(check: Check) -> Markup:
    """What each probe of a run answered; details are redacted where they are recorded."""
    if not check.probes:
        return tag("span", check.code.replace("_", " "))
    return tag("ul", *(_probe(*probe) for probe in check.probes), class_="probes")


def _probe(name: str, outcome: str, code: str, micros: int, detail: str) -> Markup:
    said = code if outcome in ("ok", "fail") else outcome
    took = tag("span", f"{micros / 1_000:,.1f} ms", class_="dim")
    more = tag("span", detail, class_="detail") if detail else None
    return tag("li", tag("b", name), f" {said.replace('_', ' ')} ", took, more)
