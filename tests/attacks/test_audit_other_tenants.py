"""Toy 21: a tenant that is optional, or that a query can talk its way out of."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from wellstreak_trust.audit import AuditEvent, AuditLog, AuditQueryInvalid, MemoryAuditStore, Personal
from wellstreak_trust.core.errors import TrustError, UsageError
from wellstreak_trust.storage.sql import Database, SqlAuditStore

OFFICER = {"id": "o"}
ESCAPES = [
    'actor:"x" OR tenant_id:"t2"',
    "tenant_id:t2",
    "tenant:t2",
    "actor:u' OR '1'='1",
    'actor:"u\' OR 1=1 --"',
    'action:"*"',
    "action:*",
    "-actor:nobody",
    "reason:\"') OR tenant_id='t2' --\"",
    "target:%",
    "target:_______",
    'data.x:"1; DROP TABLE wst_audit_leaf"',
    "id:t2-*",
    "seq:0..99999",
    "created:>=1970-01",
    "",
]


@pytest.fixture(params=["memory", "sqlite"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    engine = create_engine(f"sqlite:///{tmp_path / 'trail.db'}")
    Database(engine).create_all()
    found = AuditLog(SqlAuditStore(Database(engine)) if request.param == "sqlite" else MemoryAuditStore())
    for tenant in ("t1", "t2"):
        data = {"x": "1", "email": Personal(f"{tenant}@example.com", subject="ada")}
        for number in range(3):
            event = AuditEvent("a.b", "success", tenant, {"id": "u"}, ("victim",), data=data, id=f"{tenant}-{number}")
            found.emit(event)
    yield found
    engine.dispose()


@pytest.mark.parametrize("text", ESCAPES)
def test_no_query_leaves_its_tenant(log: AuditLog, text: str) -> None:
    try:
        found = log.query(text, tenant_id="t1")
    except AuditQueryInvalid:
        found = log.query("", tenant_id="t1")
    assert {event["tenant_id"] for event in found} <= {"t1"}
    assert len(log.query("", tenant_id="t2")) == 3  # and nothing was dropped


def test_a_cursor_of_another_tenant_shows_only_ones_own(log: AuditLog) -> None:
    page = log.query("", tenant_id="t2", limit=1)
    assert {event["tenant_id"] for event in log.query("", tenant_id="t1", before=page.next)} == {"t1"}


@pytest.mark.parametrize("tenant", ["", None, "t%", "t1' OR '1'='1", "*"])
def test_there_is_no_tenant_that_means_all(log: AuditLog, tenant: Any) -> None:
    try:
        assert log.query("", tenant_id=tenant) == []
    except UsageError:
        assert tenant in ("", None)


READERS: list[Callable[..., object]] = [
    AuditLog.query,
    AuditLog.events,
    AuditLog.report,
    AuditLog.write,
    AuditLog.bundle,
    AuditLog.export,
    AuditLog.prune,
    AuditLog.erase,
    AuditLog.hold,
    AuditLog.release,
]


@pytest.mark.parametrize("verb", READERS, ids=lambda verb: verb.__name__)
def test_every_verb_asks_for_the_tenant(verb: Callable[..., object]) -> None:
    parameter = inspect.signature(verb).parameters["tenant_id"]
    assert parameter.default is inspect.Parameter.empty


def test_persons_are_apart_though_their_ids_are_alike(log: AuditLog) -> None:
    assert log.erase("ada", tenant_id="t1", reason="r", actor=OFFICER).fields_erased == 3
    shown = log.query("action:a.b", tenant_id="t2", disclose=True, actor=OFFICER, reason="r")
    assert [event["data"]["email"] for event in shown] == ["t2@example.com"] * 3
    log.hold(tenant_id="t2", reason="r", actor=OFFICER)
    assert log.erase("bob", tenant_id="t1", reason="r", actor=OFFICER).fields_erased == 0  # a hold of t2 holds t2
    with pytest.raises(TrustError):
        log.erase("ada", tenant_id="t2", reason="r", actor=OFFICER)
