"""Workflow runs of all tenants: what runs, what has gone quiet, what failed, and what it cost."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final

from ..core.clock import to_micros
from ..core.markup import Child, Markup, address, joined, tag
from ..telemetry import WorkflowRun
from .asked import Asked
from .parts import Parts, View
from .widgets import Field, card, chip, empty, filters, listing, moment, pager, span_of

__all__ = ["LOOKED", "STATES", "show", "state_now"]

STATES: Final = ("failed", "stalled", "running", "waiting", "done")
LOOKED: Final = 500
_PAGE: Final = 50


def state_now(run: WorkflowRun, now: datetime) -> str:
    """Its state, or ``stalled`` where it is overdue and nobody has marked it yet."""
    return "stalled" if run.state in ("running", "waiting") and run.due_at <= now else run.state


async def show(parts: Parts, asked: Asked, view: View) -> Markup:
    """The runs started last, newest first."""
    assert parts.runs is not None
    tenant, state, before = asked.text("tenant"), asked.choice("state", STATES), asked.number("before")
    looked = await parts.runs.arecent(tenant or None, LOOKED)
    found = [run for run in looked if state in ("", state_now(run, view.now))]
    rest = [run for run in found if before is None or to_micros(run.started_at) < before]
    form = filters(
        "runs",
        (
            Field("tenant", "Workspace", tenant),
            Field("state", "State", state, {"": "any state", **{name: name for name in STATES}}),
        ),
    )
    if not rest:
        return joined((form, card("Runs", empty("No run is like that."))))
    page = _page(rest)
    counts = Counter(state_now(run, view.now) for run in found)
    summary = tag("p", *(_count(name, counts[name]) for name in STATES if counts[name]),
                  f" {sum(run.cost for run in found):,} units of cost", class_="summary")  # fmt: skip
    header = ("workflow", "workspace", "state", "step", "heard of", "started", "cost")
    held = listing(f"{len(page)} of {len(found):,} among the last {len(looked):,} started", header,
                 (_row(run, view) for run in page), numbers=frozenset((6,)))  # fmt: skip
    more = len(rest) > len(page)
    later = address("runs", tenant=tenant, state=state, before=to_micros(page[-1].started_at)) if more else None
    first = address("runs", tenant=tenant, state=state) if before is not None else None
    return joined((form, card("Runs", summary, held, pager(first, later))))


def _page(rest: list[WorkflowRun]) -> list[WorkflowRun]:
    """A page, and further those that were started in the same microsecond as its last: the next one begins below it."""
    page = rest[:_PAGE]
    return page + [run for run in rest[_PAGE:] if run.started_at == page[-1].started_at]


def _count(name: str, count: int) -> Markup:
    return tag("span", chip(name), tag("b", f"{count:,}"), " ")


def _row(run: WorkflowRun, view: View) -> list[Child]:
    code = tag("span", run.code.replace("_", " "), class_="dim") if run.code else None
    through = tag("span", f"through {run.connection}", class_="dim") if run.connection else None
    ends = run.ended_at
    length = f" for {span_of(ends - run.started_at)}" if ends is not None and ends > run.started_at else ""
    return [
        joined((tag("bdi", run.workflow), " ", through)),
        run.tenant_id,
        joined((chip(state_now(run, view.now)), " ", code)),
        joined((tag("bdi", run.step or "none yet"), tag("span", f" · {run.steps:,} done", class_="dim"))),
        moment(run.seen_at, view.now),
        joined((moment(run.started_at, view.now), tag("span", length, class_="dim") if length else None)),
        f"{run.cost:,}",
    ]
