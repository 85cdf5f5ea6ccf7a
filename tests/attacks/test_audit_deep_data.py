"""Toy 25: data that goes deep or in circles ends in a refusal, never in a RecursionError."""

from __future__ import annotations

from typing import Any

import pytest

from wellstreak_trust import Secret
from wellstreak_trust.audit import (
    AuditEvent,
    AuditEventRejected,
    AuditForkDetected,
    AuditLog,
    AuditQueryInvalid,
    MemoryAuditStore,
    Personal,
)
from wellstreak_trust.audit.query import parse
from wellstreak_trust.audit.report import summarised
from wellstreak_trust.audit.tree import leaf_hash


def nested(depth: int, end: Any) -> Any:
    value = end
    for level in range(depth):
        value = {"a": value} if level % 2 else [value]
    return value


def in_circles(end: Any) -> Any:
    loop: dict[str, Any] = {"end": end}
    loop["again"] = [loop, {"back": loop}]
    return loop


ENDS = {"plain": "x", "personal": Personal("x", subject="s"), "secret": Secret("x")}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("depth", [17, 1_000, 100_000])
def test_deep_data_is_refused(end: str, depth: int) -> None:
    log = AuditLog(MemoryAuditStore())
    with pytest.raises(AuditEventRejected):
        log.emit(AuditEvent("a.b", "success", "t1", {"id": "u"}, data={"x": nested(depth, ENDS[end])}))
    assert log.events("t1") == []


@pytest.mark.parametrize("end", ENDS)
def test_data_in_circles_is_refused(end: str) -> None:
    log = AuditLog(MemoryAuditStore())
    for field in ({"data": in_circles(ENDS[end])}, {"changes": (in_circles(ENDS[end]),)}):
        with pytest.raises(AuditEventRejected):
            log.emit(AuditEvent("a.b", "success", "t1", {"id": "u"}, **field))


def test_a_personal_value_that_is_deep_is_refused() -> None:
    log = AuditLog(MemoryAuditStore())
    for value in (nested(100_000, 1), in_circles(1)):
        with pytest.raises(AuditEventRejected):
            log.emit(AuditEvent("a.b", "success", "t1", {"id": "u"}, data={"x": Personal(value, subject="s")}))


def test_a_denial_stands_without_the_data_that_goes_in_circles() -> None:
    """Whoever controls a detail must not be able to make a refusal vanish."""
    log = AuditLog(MemoryAuditStore())
    for data in (in_circles(Personal("x", subject="s")), {"x": nested(100_000, "y")}):
        assert log.emit(AuditEvent("access.denied", "denied", "t1", {"id": "u"}, data=data)).durable
    assert [event["data"] for event in log.events("t1")] == [{"cut": "internal_error"}] * 2


def test_what_is_just_deep_enough_is_kept_and_read_back() -> None:
    log = AuditLog(MemoryAuditStore())
    log.emit(AuditEvent("a.b", "success", "t1", {"id": "u"}, data={"x": nested(13, Personal("deep", subject="s"))}))
    (shown,) = log.events("t1", disclose=True, actor={"id": "o"}, reason="r")
    assert "deep" in str(shown)
    assert summarised([shown]).events == 1


def test_a_query_reaches_no_deeper_than_an_event() -> None:
    assert parse("data." + ".".join(["a"] * 15) + ":x")
    with pytest.raises(AuditQueryInvalid):
        parse("data." + ".".join(["a"] * 16) + ":x")


def test_a_leaf_that_somebody_made_deep_is_no_event() -> None:
    log = AuditLog(MemoryAuditStore())
    log.emit(AuditEvent("a.b", "success", "t1", {"id": "u"}))
    rows = log.store._trees["t1"].rows  # type: ignore[attr-defined]
    for octets in (b"[" * 100_000 + b"]" * 100_000, b"5", b"\xff"):
        rows[0] = rows[0]._replace(leaf=octets, leaf_hash=leaf_hash(octets))
        for read in (lambda: log.events("t1"), lambda: log.query("", tenant_id="t1")):
            with pytest.raises(AuditForkDetected):
                read()
