"""Findings reach people: each stands once on the trail where it happened, and goes to whoever wants to hear of it.

What is recorded follows from the finding alone, so that any number of processes and looks at one trail leave one event:
its id is a digest of rule, tenant, subject and first event. A hearer gets each at least once, under that id.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from hashlib import sha256
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final

from ...core.canonical import length_prefixed
from ...core.clock import rfc3339
from ...core.event import AuditEvent, EventSink
from ...core.sansio import suspends, synced
from ..logging import security_event
from .finding import Finding
from .windows import Subjects

__all__ = ["FindingReporter", "finding_id", "finding_json"]

_REMEMBERED: Final = 10_000
_DETECTOR: Final = {"id": "anomaly_detector", "kind": "system"}

Hearer = Callable[[str, bytes], Awaitable[object] | object]


def finding_id(finding: Finding) -> str:
    """The same for every process that finds the same: a digest of rule, tenant, subject and first event."""
    first = str(finding.seqs[0]) if finding.seqs else rfc3339(finding.first_seen)
    parts = (finding.rule_id, finding.tenant_id, finding.subject, first)
    return f"anomaly_{sha256(length_prefixed(*parts)).hexdigest()[:32]}"


def finding_json(finding: Finding) -> bytes:
    """A finding as JSON, ASCII only: the body of a webhook, a line of a report."""
    times: dict[str, Any] = {name: rfc3339(getattr(finding, name)) for name in ("first_seen", "last_seen")}
    return json.dumps({"id": finding_id(finding), **asdict(finding), **times}, sort_keys=True).encode()


class FindingReporter:
    """Tells findings, each once.

    Args:
        audit: takes ``anomaly.found``, on the trail of the finding's tenant.
        send: is given a finding's id and JSON, such as a function that queues a `webhooks.Message(body, id)`. What it
            raises is logged by its kind as ``anomaly.unsent`` and the finding is sent again when it is reported again.
    """

    def __init__(self, audit: EventSink | None = None, *, send: Hearer | None = None) -> None:
        self._audit: EventSink | None = audit
        self._send: Hearer | None = send
        self.suspends: bool = suspends(audit) or iscoroutinefunction(send)
        self._told: Subjects[str, bool] = Subjects(_REMEMBERED, lambda: True)

    async def areport(self, findings: Iterable[Finding]) -> list[Finding]:
        """Records and sends those that this reporter has not told yet, and returns those that were sent.

        A trail that is out of order stops nothing: ``anomaly.found`` is protective, and waits until it can be recorded.
        """
        told = []
        for finding in findings:
            name = finding_id(finding)
            if name in self._told:
                continue
            if self._audit is not None:
                await self._audit.aemit(_event(name, finding))
            if await self._sent(name, finding):
                self._told.at(name)
                told.append(finding)
        return told

    report: Final = synced(areport)

    async def _sent(self, name: str, finding: Finding) -> bool:
        if self._send is None:
            return True
        try:
            answer = self._send(name, finding_json(finding))
            if isawaitable(answer):
                await answer
        except Exception as error:  # one hearer out of order keeps nothing off the trail
            security_event("anomaly.unsent", outcome="error", rule=finding.rule_id, kind=type(error).__name__)
            return False
        return True


def _event(name: str, finding: Finding) -> AuditEvent:
    data = {"rule": finding.rule_id, "severity": finding.severity, "seqs": list(finding.seqs[:1])}
    return AuditEvent(
        "anomaly.found",
        "success",
        finding.tenant_id,
        _DETECTOR,
        targets=({"type": "anomaly_subject", "id": finding.subject},),
        data=data,
        occurred_at=finding.first_seen,
        id=name,
    )
