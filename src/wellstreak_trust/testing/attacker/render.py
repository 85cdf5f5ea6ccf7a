"""The report as text, as Markdown and as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from .finding import Finding, Severity

if TYPE_CHECKING:
    from .report import AttackReport

__all__ = ["document", "markdown", "text"]

_METHOD: Final = (
    "Every route was asked for by people of at least one tenant, with what an attacker would change: the credential, "
    "the tenant, ids, methods, headers, origins, signatures and bytes. What must be refused was expected to be refused "
    "with the status of a refusal, and to look like what is not there where it is concealed. Genuine requests were "
    "made on reads and on routes declared benign. Time was not measured."
)


def _counts(report: AttackReport) -> str:
    counted = Counter(finding.severity for finding in report.findings)
    told = [f"{counted[level]} {level.name.lower()}" for level in sorted(Severity, reverse=True) if counted[level]]
    return ", ".join(told) if told else "nothing found"


def _summary(report: AttackReport) -> str:
    tried = [item for item in report.tried if item.outcome not in ("not tried", "moot")]
    places = len({item.place for item in tried})
    ended = "" if report.complete else " It ended before everything was tried."
    return (
        f"{len(report.findings)} finding(s): {_counts(report)}. {len({item.attack for item in tried})} attacks at "
        f"{places} places, {report.requests} requests.{ended}"
    )


def text(report: AttackReport) -> str:
    """For a terminal."""
    lines = [f"Attack on {report.target} (seed {report.seed})", _summary(report)]
    for number, finding in enumerate(report.findings, 1):
        lines += ["", f"{number}. {finding.severity.name} {finding.attack.id} at {finding.place}"]
        lines += [f"   {finding.variant}: {finding.fault}", f"   {finding.attack.meaning}"]
        lines += [f"   fix: {finding.attack.fix}"]
        lines += [f"   $ {report.masks.show(exchange).again}" for exchange in finding.evidence[-1:]]
    for title, items in _lists(report):
        lines += ["", f"{title}:", *(f"  {item}" for item in items)]
    return "\n".join(lines)


def _lists(report: AttackReport) -> Iterator[tuple[str, list[str]]]:
    """What is neither passed nor found."""
    if report.accepted:
        yield "Accepted", [f"{finding.attack.id} at {finding.place}: {why}" for finding, why in report.accepted]
    if report.unproven:
        yield "Not proven to be reached", [f"{place}: {why}" for place, why in report.unproven.items()]
    unclear = [f"{item.attack} at {item.place}: {item.note}" for item in report.tried if item.outcome == "unclear"]
    if unclear:
        yield "Unclear", unclear
    if report.review:
        yield "Public, to be reviewed", [f"{route.place}: {route.public}" for route in report.review]


def markdown(report: AttackReport) -> str:
    """The whole report."""
    scope = [f"* `{route.place}`{': public' if route.public else ''}" for route in report.scope]
    parts = [f"# Attack on {report.target}", _summary(report), "## Scope", "\n".join(scope)]
    parts += ["## Method", f"{_METHOD} Seed: {report.seed}.", "## Findings"]
    parts += [_section(report, number, finding) for number, finding in enumerate(report.findings, 1)] or ["None."]
    for title, items in _lists(report):
        parts += [f"## {title}", "\n".join(f"* {item}" for item in items)]
    return "\n\n".join([*parts, "## What was tried", _table(report)]) + "\n"


def _section(report: AttackReport, number: int, finding: Finding) -> str:
    attack = finding.attack
    parts = [
        f"### {number}. {finding.severity.name.title()}: {attack.id} at `{finding.place}`",
        f"{finding.variant}: {finding.fault}. {attack.meaning}",
        f"* Attack: {attack.threat}\n* Expected: {attack.expected}\n* Weakness: {attack.weakness}\n* Fix: {attack.fix}",
    ]
    for exchange in finding.evidence:
        shown = report.masks.show(exchange)
        parts.append(f"````text\n{shown.request}\n\n{shown.answer}\n````")
        parts.append(f"````console\n$ {shown.again}\n````")
    return "\n\n".join(parts)


def _table(report: AttackReport) -> str:
    rows = [
        "| attack | expected | tries | passed | findings | unclear | moot or not tried |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, attack in report.attacks.items():
        items = [item for item in report.tried if item.attack == name]
        if not items:
            rows.append(f"| {name} | {attack.expected} | 0 | | | | nothing to try it on |")
            continue
        outcomes = Counter(item.outcome for item in items)
        left = outcomes["moot"] + outcomes["not tried"]
        found = outcomes["finding"] + outcomes["accepted"]
        rows.append(
            f"| {name} | {attack.expected} | {sum(item.tries for item in items)} | {outcomes['passed']} | {found} "
            f"| {outcomes['unclear']} | {left} |"
        )
    return "\n".join(rows)


def document(report: AttackReport) -> dict[str, Any]:
    """As plain data."""
    return {
        "target": report.target,
        "seed": report.seed,
        "requests": report.requests,
        "complete": report.complete,
        "findings": [_finding(report, finding) for finding in report.findings],
        "accepted": [{"finding": _finding(report, finding), "reason": why} for finding, why in report.accepted],
        "unproven": dict(report.unproven),
        "public": {route.place: route.public for route in report.review},
        "tried": [
            {
                "attack": item.attack,
                "place": item.place,
                "tries": item.tries,
                "outcome": item.outcome,
                "note": item.note,
            }
            for item in report.tried
        ],
    }


def _finding(report: AttackReport, finding: Finding) -> dict[str, Any]:
    attack = finding.attack
    evidence = [report.masks.show(exchange) for exchange in finding.evidence]
    return {
        "attack": attack.id,
        "place": finding.place,
        "severity": finding.severity.name.lower(),
        "weakness": attack.weakness,
        "variant": finding.variant,
        "fault": finding.fault,
        "meaning": attack.meaning,
        "fix": attack.fix,
        "evidence": [{"request": e.request, "answer": e.answer, "again": e.again} for e in evidence],
    }
