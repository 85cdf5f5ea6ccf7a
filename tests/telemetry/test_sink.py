"""What goes to the trail is counted once it is there, and what the trail refuses is counted apart."""

from __future__ import annotations

import pytest

from wellstreak_trust.audit import AuditEvent, AuditLog, MemoryAuditStore
from wellstreak_trust.core import drive
from wellstreak_trust.core.errors import AuditEventRejected
from wellstreak_trust.identity import MemorySessionStore, SessionManager
from wellstreak_trust.telemetry import CountedSink, Counters


def test_parts_count_what_they_record() -> None:
    counters, log = Counters(), AuditLog(MemoryAuditStore())
    sessions = SessionManager(MemorySessionStore(), audit=CountedSink(log, counters))
    sessions.revoke(sessions.open("ada", tenant_id="acme").session.id)
    counted = counters.family("wst.audit.events")
    assert ((("action", "session.opened"), ("outcome", "success")), 1) in counted
    assert ((("action", "session.revoked"), ("outcome", "success")), 1) in counted
    recorded = [*log.events("acme"), *log.events("system")]
    assert len(recorded) == sum(count for _, count in counted)


def test_a_refusal_is_counted_and_passes() -> None:
    counters = Counters()
    sink = CountedSink(AuditLog(MemoryAuditStore()), counters)
    event = AuditEvent("plan.changed", "success", "acme", {"id": "ada"}, data={"rate": 1.5})
    with pytest.raises(AuditEventRejected):
        drive(sink.aemit(event))
    assert counters.family("wst.audit.events") == []
    assert counters.family("wst.audit.refused") == [((("action", "plan.changed"), ("error", "AuditEventRejected")), 1)]
