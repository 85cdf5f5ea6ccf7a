"""A finding is told once, however many look; who hears of it never decides what is on record."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from wellstreak_trust import Principal
from wellstreak_trust.audit import AuditEvent, AuditLog, MemoryAuditStore
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.telemetry.anomalies import Finding, FindingReporter, detect, finding_id, finding_json

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
FOUND = Finding("wst.denial_burst", "medium", "acme", "eve", AT, AT + timedelta(minutes=1), (7, 8, 9), "20 in a minute")


@pytest.fixture
def log() -> AuditLog:
    return AuditLog(MemoryAuditStore())


@pytest.fixture
def sent() -> list[tuple[str, bytes]]:
    return []


def test_it_stands_on_the_trail_of_its_tenant_and_names_its_first_event(log: AuditLog) -> None:
    assert FindingReporter(log).report([FOUND]) == [FOUND]
    (leaf,) = log.events("acme")
    assert (leaf["action"], leaf["outcome"], leaf["id"]) == ("anomaly.found", "success", finding_id(FOUND))
    assert leaf["data"] == {"rule": "wst.denial_burst", "severity": "medium", "seqs": [7]}
    assert leaf["targets"] == [{"type": "anomaly_subject", "id": "eve"}]
    assert leaf["actor"]["kind"] == "system"


def test_any_number_of_processes_and_looks_leave_one_event(log: AuditLog) -> None:
    grown = replace(FOUND, last_seen=AT + timedelta(hours=1), seqs=(7, 8, 9, 30), explanation="40 in an hour")
    for _ in range(3):
        reporter = FindingReporter(log)
        for finding in (FOUND, grown, FOUND):
            reporter.report([finding])
    assert len(log.events("acme")) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(FOUND, rule_id="wst.audit_gap"),
        replace(FOUND, tenant_id="globex"),
        replace(FOUND, subject="eve2"),
        replace(FOUND, seqs=(8, 9)),
        replace(FOUND, tenant_id="acm", subject="eeve"),
        replace(FOUND, seqs=()),
        replace(FOUND, seqs=(), first_seen=AT + timedelta(seconds=1)),
    ],
)
def test_what_is_another_finding_is_told_too(log: AuditLog, other: Finding) -> None:
    assert finding_id(other) != finding_id(FOUND)
    assert FindingReporter(log).report([FOUND, other]) == [FOUND, other]


def test_hearers_get_json_under_the_same_id(log: AuditLog, sent: list[tuple[str, bytes]]) -> None:
    reporter = FindingReporter(log, send=lambda name, body: sent.append((name, body)))
    reporter.report([FOUND, FOUND])
    reporter.report([FOUND])
    ((name, body),) = sent
    told = json.loads(body)
    assert name == told["id"] == finding_id(FOUND)
    assert body == finding_json(FOUND)
    assert told["seqs"] == [7, 8, 9]
    assert datetime.fromisoformat(told["first_seen"]) == AT


def test_a_hearer_that_fails_is_asked_again_and_keeps_nothing_off_the_trail(
    log: AuditLog, sent: list[tuple[str, bytes]]
) -> None:
    down = [True]

    def send(name: str, body: bytes) -> None:
        if down[0]:
            raise OSError("no route to hooks.example?token=hunter2")
        sent.append((name, body))

    reporter = FindingReporter(log, send=send)
    with capture_logs() as lines:
        assert reporter.report([FOUND, replace(FOUND, subject="mallory")]) == []
    assert [(line["event.name"], line["kind"]) for line in lines] == [("anomaly.unsent", "OSError")] * 2
    assert "hunter2" not in str(lines)
    assert len(log.events("acme")) == 2
    down[0] = False
    assert reporter.report([FOUND]) == [FOUND]
    assert len(sent) == 1
    assert len(log.events("acme")) == 2


def test_a_hearer_that_is_awaited(log: AuditLog, sent: list[tuple[str, bytes]]) -> None:
    async def send(name: str, body: bytes) -> None:
        await asyncio.sleep(0)
        sent.append((name, body))

    reporter = FindingReporter(log, send=send)
    assert asyncio.run(reporter.areport([FOUND])) == [FOUND]
    assert len(sent) == 1
    with pytest.raises(ConfigurationError):
        reporter.report([FOUND])


def test_without_a_trail_hearers_still_hear(sent: list[tuple[str, bytes]]) -> None:
    assert FindingReporter(send=lambda name, body: sent.append((name, body))).report([FOUND]) == [FOUND]
    assert len(sent) == 1


def test_what_was_told_is_no_anomaly_itself(log: AuditLog) -> None:
    eve = Principal("eve")
    for _ in range(5):
        decision = {"allowed": False, "code": "tenant_mismatch"}
        log.emit(AuditEvent("access.denied", "denied", "acme", eve, decision=decision))
    before = list(detect(reversed(log.events("acme", limit=1_000))))
    assert before
    reporter = FindingReporter(log)
    reporter.report(before)
    for number in range(200):
        reporter.report([replace(FOUND, subject=f"s{number}")])
    after = detect(reversed(log.events("acme", limit=1_000)))
    assert [found.rule_id for found in after] == [found.rule_id for found in before]
