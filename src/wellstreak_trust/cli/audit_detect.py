"""``audit detect``: the rules of `telemetry.anomalies` over a trail. Exit status: 0 nothing; 1 findings; 2 no look."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from wellstreak_trust.core.clock import SystemClock
from wellstreak_trust.telemetry.anomalies import AnomalyConfig, Finding, FindingReporter, detect, finding_json

from .audit_store import acting, log_of, told
from .console import say
from .secret_store import DatabaseOption

__all__ = ["detect_anomalies"]

_PLATFORM: Final = "system"


def detect_anomalies(
    tenant: Annotated[str, typer.Argument(help="whose trail; the platform's own is system")],
    *,
    since: Annotated[datetime | None, typer.Option(help="only what went on later; in UTC, as 2026-11-01")] = None,
    limit: Annotated[int, typer.Option(min=1, help="the newest events that are looked at")] = 100_000,
    rule: Annotated[list[str] | None, typer.Option(help="only this rule; as often as you like")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
    record: Annotated[bool, typer.Option(help="put each finding on the trail, once: anomaly.found")] = False,
    reason: Annotated[str, typer.Option(help="why; it is recorded")] = "",
    database: DatabaseOption = None,
) -> None:
    """Find what is worth a look. The platform's trail is read as well: there is told which sessions ended."""
    with told():
        log = log_of(database)
        leaves = [
            leaf
            for trail in dict.fromkeys((_PLATFORM, tenant))
            for leaf in reversed(log.events(trail, limit=limit, actor=acting(), reason=reason or None))
        ]
        begin = None if since is None else since.replace(tzinfo=UTC)
        found = [
            finding
            for finding in detect(leaves, AnomalyConfig(now=SystemClock().now()), only=rule or ())
            if finding.tenant_id == tenant and (begin is None or finding.last_seen >= begin)
        ]
        if record:
            FindingReporter(log).report(found)
    for finding in found:
        _show(finding, as_json=as_json)
    raise typer.Exit(1 if found else 0)


def _show(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        typer.echo(finding_json(finding))
        return
    where = ", ".join(str(seq) for seq in finding.seqs[:5]) + (", ..." if len(finding.seqs) > 5 else "")
    say(f"{finding.severity:6} {finding.rule_id} {finding.subject}: {finding.explanation} [{where}]")
