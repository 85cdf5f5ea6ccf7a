"""Intent first: attempted before the body, the outcome after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wellstreak_trust.audit import AuditEvent, AuditLog, AuditUnavailable, Personal
from wellstreak_trust.core.errors import Denied, NotFound, StoreUnavailable

Make = Callable[..., AuditEvent]
WHO: dict[str, Any] = {"tenant_id": "t1", "actor": {"id": "user_1"}, "targets": ("sub_1",), "data": {"plan": "pro"}}


def trail(log: AuditLog) -> list[tuple[str, str]]:
    return [(event["action"], event["outcome"]) for event in reversed(log.events("t1"))]


def test_success(log: AuditLog) -> None:
    with log.action("plan.changed", reason="asked", **WHO) as act:
        assert trail(log) == [("plan.changed", "attempted")]
        act.data["seats"] = 25
    ended, attempted = log.events("t1")
    assert ended["outcome"] == "success"
    assert ended["data"] == {"plan": "pro", "seats": 25, "attempt": attempted["id"]}
    assert ended["targets"] == attempted["targets"] == ["sub_1"]
    assert ended["reason"] == "asked"


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (Denied("x"), "denied", "denied"),
        (NotFound("x"), "failure", "not_found"),
        (StoreUnavailable("x"), "error", "unavailable"),
        (ValueError("password hunter2"), "error", "ValueError"),
        (KeyboardInterrupt(), "error", "KeyboardInterrupt"),
    ],
)
def test_an_exception_is_an_outcome_and_passes(error: BaseException, outcome: str, code: str, log: AuditLog) -> None:
    with pytest.raises(type(error)), log.action("plan.changed", **WHO):
        raise error
    ended = log.events("t1")[0]
    assert (ended["outcome"], ended["data"]["error"]) == (outcome, code)
    assert "hunter2" not in str(ended)


def test_failure_without_an_exception(log: AuditLog) -> None:
    with log.action("plan.changed", **WHO) as act:
        act.fail("card refused")
    ended = log.events("t1")[0]
    assert (ended["outcome"], ended["reason"]) == ("failure", "card refused")


def test_no_trail_no_action(log: AuditLog, outage: Any) -> None:
    ran = []
    outage.down = StoreUnavailable("down")
    with pytest.raises(AuditUnavailable), log.action("plan.changed", **WHO):
        ran.append("body")
    assert ran == []
    with log.action("session.revoked", **WHO):
        ran.append("protective body")
    assert ran == ["protective body"]
    outage.down = None
    log.flush()
    assert trail(log) == [("session.revoked", "attempted"), ("session.revoked", "success")]


def test_a_trail_that_dies_meanwhile(log: AuditLog, outage: Any) -> None:
    """After success the caller must know; after an exception that exception must not be masked."""
    with pytest.raises(AuditUnavailable), log.action("plan.changed", **WHO):
        outage.down = StoreUnavailable("down")
    outage.down = None
    with pytest.raises(ZeroDivisionError), log.action("plan.changed", **WHO):
        outage.down = StoreUnavailable("down")
        raise ZeroDivisionError
    outage.down = None
    log.flush()
    assert [outcome for _, outcome in trail(log)] == ["attempted", "attempted", "error"]


def test_an_outcome_that_cannot_be_recorded_is_cut_and_does_not_mask_the_exception(log: AuditLog, outage: Any) -> None:
    with pytest.raises(ZeroDivisionError), log.action("plan.changed", **WHO) as act:
        act.data["n"] = 1.5
        raise ZeroDivisionError
    assert (trail(log), log.dropped) == ([("plan.changed", "attempted"), ("plan.changed", "error")], 0)
    with pytest.raises(ZeroDivisionError), log.action("plan.changed", **WHO) as act:
        act.data.update(n=1.5, mail=Personal("a@b.example", subject="u1"))
        outage.down = StoreUnavailable("down")
        raise ZeroDivisionError
    outage.down = None
    log.flush()
    assert trail(log)[-1] == ("plan.changed", "error")
