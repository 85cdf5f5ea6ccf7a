"""The page: one file that asks for nothing, runs nothing and can be mailed, printed and read on a phone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from ...core.markup import Child, Markup, joined, shown, table, tag
from ..verdict import VERDICTS, VerifyReport
from .charts import columns, legend, meter
from .style import POLICY, STYLE
from .summary import OUTCOMES, Incident, Summary

__all__ = ["findings", "page"]

_TOP: Final = 12
_MANY_DENIALS: Final = 20
_LEVELS: Final = {
    "witnessed": "checked against independent witnesses",
    "anchored": "checked against a state kept outside this system",
    "signed": "signed by the log; nothing kept outside was compared",
    "internal": "consistent in itself; whoever can write the database could have written all of it anew",
}


def page(title: str, summary: Summary, verification: VerifyReport | None, made_at: datetime) -> str:
    """The whole document."""
    body = joined(
        (
            tag("a", "Skip to the report", href="#report", class_="skip"),
            tag("header", tag("h1", title), _span(summary, made_at)),
            tag("main", *_sections(summary, verification), id="report"),
            tag(
                "footer",
                tag("p", "Times are UTC, as the trail recorded them. A number that is small and odd is worth a query."),
            ),
        )
    )
    head = (
        '<meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{shown(title)}</title><style>{STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n'


def findings(summary: Summary, verification: VerifyReport | None) -> list[str]:
    """What somebody should look at, worst first."""
    found = []
    if verification is not None and set(verification.failed) - {"time_order"}:
        found.append(f"Verification failed: {verification.reason or ', '.join(verification.failed)}")
    if summary.lost:
        found.append(f"{summary.lost:,} events could not be recorded and are lost")
    elif summary.totals["gaps"]:
        found.append("The trail reports gaps")
    if summary.totals["anomalies"]:
        found.append(f"Rules over the trail found something {_times(summary.totals['anomalies'])}")
    if summary.totals["regressions"]:
        found.append(f"The clock went back {_times(summary.totals['regressions'])}")
    if summary.totals["dangling"]:
        found.append(f"Begun, and nobody can say how it ended: {_times(summary.totals['dangling'])}")
    found += [
        f"{actor} was denied {_times(count)}"
        for actor, count in summary.denied_actors.most_common(5)
        if count >= _MANY_DENIALS
    ]
    if verification is None:
        found.append("Nobody has verified the trail for this report")
    return found


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _span(summary: Summary, made_at: datetime) -> Markup:
    made = f"Made {made_at:%Y-%m-%d %H:%M} UTC."
    if not summary.events:
        return tag("p", f"No events. {made}", class_="dim")
    return tag(
        "p",
        f"{summary.events:,} events from ",
        _time(summary.first_at),
        " to ",
        _time(summary.last_at),
        f". {made}",
        class_="dim",
    )


def _sections(summary: Summary, verification: VerifyReport | None) -> Iterator[Markup]:
    yield _banner(verification)
    yield _tiles(summary)
    found = findings(summary, verification)
    points = (
        tag("ul", *(tag("li", one) for one in found), class_="findings") if found else tag("p", "Nothing stands out.")
    )
    yield _card("Worth a look", points)
    if summary.events:
        yield _activity(summary)
        yield tag("div", *_rankings(summary), class_="grid")
    yield from _incidents(summary)


def _banner(verification: VerifyReport | None) -> Markup:
    if verification is None:
        told = "These figures are what the database says. Verify the trail against a checkpoint kept elsewhere."
        return tag("section", tag("h2", "Not verified"), tag("p", told), class_="banner warn")
    kind, heading, told = _judgement(verification)
    verdicts = (
        tag("li", f"{name.replace('_', ' ')}: ", tag("b", getattr(verification, name).replace("_", " ")))
        for name in VERDICTS
    )
    return tag(
        "section",
        tag("h2", heading),
        tag("p", told),
        tag("p", *_figures(verification)),
        tag("ul", *verdicts, class_="verdicts"),
        *(tag("p", f"Witnessed by {one.witness} at {one.at:%Y-%m-%d %H:%M} UTC.") for one in verification.witnesses),
        *(tag("p", f"Not checked: {what}") for what in verification.unchecked),
        class_=f"banner {kind}",
    )


def _judgement(verification: VerifyReport) -> tuple[str, str, str]:
    """Colour, heading and sentence; a clock that was set back is a fault and no tampering."""
    level, failed = _LEVELS[verification.level], verification.failed
    if set(failed) - {"time_order"}:
        where = (
            ""
            if verification.first_bad_seq is None
            else f" The first at fault is event {verification.first_bad_seq:,}."
        )
        reason = verification.reason or f"failed: {', '.join(failed)}"
        return "bad", "The trail does not verify", f"{reason[:1].upper()}{reason[1:]}.{where}"
    if failed:
        return "warn", f"Verified: {verification.level}, but the clock went back", f"{level.capitalize()}."
    strong = verification.level in ("anchored", "witnessed")
    return "good" if strong else "warn", f"Verified: {verification.level}", f"{level.capitalize()}."


def _figures(verification: VerifyReport) -> Iterator[str]:
    yield f"{verification.size:,} events; {verification.covers:,} vouched for; "
    yield f"{verification.erased_count:,} personal values erased on purpose."
    if verification.pruned:
        yield f" {verification.pruned:,} events are archived and known by their hashes."


def _tiles(summary: Summary) -> Markup:
    figures = (
        ("events", summary.events),
        ("denied", summary.outcomes["denied"]),
        ("failed", summary.outcomes["failure"] + summary.outcomes["error"]),
        ("actors", len(summary.actors)),
        ("uses of secrets", sum(summary.secrets.values())),
        ("webhooks refused", sum(summary.webhooks.values())),
    )
    return tag("ul", *(tag("li", tag("strong", f"{number:,}"), name) for name, number in figures), class_="tiles")


def _activity(summary: Summary) -> Markup:
    buckets = summary.buckets()
    most = max(bucket.total for bucket in buckets)
    outcomes = [(name, summary.outcomes[name]) for name in OUTCOMES if summary.outcomes[name]]
    about = f"{len(buckets)} columns; the highest stands for {most:,} events. The table below holds the numbers."
    ends = [f"{bucket.start:%Y-%m-%d %H:%M}" for bucket in (buckets[0], buckets[-1])]
    ends.insert(1, f"one column is {_length(buckets[1].start - buckets[0].start)}" if len(buckets) > 1 else "")
    rows: Iterable[list[Child]] = (
        [f"{bucket.start:%Y-%m-%d %H:%M}", *(bucket.counts.get(name, 0) for name, _ in outcomes)]
        for bucket in buckets
        if bucket.total
    )
    numbers = frozenset(range(1, len(outcomes) + 1))
    held = table("Events by time and outcome", ["from", *(name for name, _ in outcomes)], rows, numbers=numbers)
    return _card(
        "Activity over time",
        legend(outcomes),
        tag("div", tag("span", f"{most:,}"), class_="axis", aria_hidden="true"),
        columns(buckets, "Events over time, by outcome", about),
        tag("div", *(tag("span", end) for end in ends), class_="axis"),
        tag("details", tag("summary", "The numbers"), held),
    )


def _length(unit: timedelta) -> str:
    hours = unit // timedelta(hours=1)
    return (
        f"{hours // 24} days"
        if hours > 24
        else "a day"
        if hours == 24
        else f"{hours} hours"
        if hours > 1
        else "an hour"
    )


def _rankings(summary: Summary) -> Iterator[Markup]:
    yield _ranked("Denials by permission", ("permission", "", "denied"), summary.denials, "denied")
    yield _ranked("Top actors", ("actor", "", "events"), summary.actors)
    yield _ranked("Privileged actions", ("action", "", "times"), summary.privileged)
    yield _ranked("Secret access", ("secret", "action", "", "times"), summary.secrets)
    yield _ranked("Webhook refusals", ("endpoint", "reason", "", "times"), summary.webhooks, "denied")
    yield _ranked("Who read the trail", ("reader", "how", "", "times"), summary.readers)


def _ranked(heading: str, header: tuple[str, ...], counts: Counter[Any], colour: str = "bar") -> Markup:
    top = counts.most_common(_TOP)
    if not top:
        return _card(heading, tag("p", "None.", class_="dim"))
    most = top[0][1]
    rows = (
        [*(name if isinstance(name, tuple) else (name,)), meter(count, most, colour), f"{count:,}"]
        for name, count in top
    )
    rest = len(counts) - len(top)
    caption = f"{len(top)} of {len(counts):,}" if rest else "All"
    return _card(heading, table(caption, header, rows, numbers=frozenset((len(header) - 1,))))


def _cells(name: str | tuple[str, ...]) -> tuple[str, ...]:
    return name if isinstance(name, tuple) else (name,)


def _incidents(summary: Summary) -> Iterator[Markup]:
    for heading, kind in (
        ("Gaps in the trail", "gaps"),
        ("Anomalies", "anomalies"),
        ("Begun and never ended", "dangling"),
        ("Clock regressions", "regressions"),
        ("Erasures, holds and pruning", "stewardship"),
    ):
        listed: Iterable[Incident] = getattr(summary, kind)
        count = summary.totals[kind]
        if count:
            newest = list(listed)[::-1]
            rows = ([f"{one.seq:,}", _time(one.at), one.what, one.actor, one.detail] for one in newest)
            caption = f"The newest {len(newest)} of {count:,}" if count > len(newest) else f"{count:,} in all"
            header = ("seq", "recorded", "what", "actor", "detail")
            yield _card(heading, table(caption, header, rows, kind="wide"))


def _card(heading: str, *children: Markup) -> Markup:
    return tag("section", tag("h2", heading), *children, class_="card")


def _time(moment: str) -> Markup:
    return tag("time", f"{moment[:10]} {moment[11:19]}", datetime=moment)
