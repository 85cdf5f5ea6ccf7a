"""OWASP ASVS 5.0, chapter V16, row by row; docs/standards/asvs-v16.md lists them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from wellstreak_trust import Principal, Secret
from wellstreak_trust.audit import (
    FORMATS,
    SDK_ACTIONS,
    ActionRegistry,
    AuditEvent,
    AuditEventRejected,
    AuditLog,
    AuditUnavailable,
    FileSink,
    MemoryAuditStore,
    Personal,
    Shipper,
    verify,
)
from wellstreak_trust.audit.inventory import inventory_json
from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.errors import StoreUnavailable

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ADA = Principal("user_ada", tenant_id="t1", credential_id="key_1")
PAGE = Path(__file__).parents[2] / "docs" / "standards" / "asvs-v16.md"
ROWS: dict[str, Callable[..., None]] = {}


def row(number: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def register(check: Callable[..., None]) -> Callable[..., None]:
        ROWS[number] = check
        return check

    return register


def fresh() -> AuditLog:
    return AuditLog(MemoryAuditStore(), clock=FixedClock(NOW))


def event(action: str = "plan.changed", **fields: Any) -> AuditEvent:
    return AuditEvent(action, **({"outcome": "success", "tenant_id": "t1", "actor": ADA, "occurred_at": NOW} | fields))


@row("16.1.1")
def inventory(_: Path) -> None:
    listed = json.loads(inventory_json(ActionRegistry()))["actions"]
    assert {action["name"] for action in listed} == {spec.name for spec in SDK_ACTIONS}
    assert all(action["about"] and action["asvs"] for action in listed)


@row("16.2.1")
def metadata(_: Path) -> None:
    log = fresh()
    log.emit(event(source={"address": "203.0.113.7"}, targets=("sub_1",), request={"id": "r1"}))
    (found,) = log.events("t1")
    assert found["occurred_at"] == found["recorded_at"] == "2026-11-24T12:00:00.000000Z"
    assert (found["source"], found["targets"]) == ({"address": "203.0.113.7"}, ["sub_1"])
    assert found["actor"] == {"id": "user_ada", "kind": "user", "credential_id": "key_1"}
    assert (found["action"], found["outcome"]) == ("plan.changed", "success")


@row("16.2.2")
def utc(_: Path) -> None:
    log = fresh()
    log.emit(event(occurred_at=NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))))
    assert log.events("t1")[0]["occurred_at"] == "2026-11-24T12:00:00.000000Z"
    with pytest.raises(AuditEventRejected):
        log.emit(event(occurred_at=NOW.replace(tzinfo=None)))
    log.clock.advance(timedelta(hours=-1))  # type: ignore[attr-defined]
    log.emit(event())
    assert verify(log.store, tenant_id="t1").time_order == "failed"


_OUTSIDE: list[str] = []
_WATCHED: list[bool] = []


def _watch(name: str, _: Any) -> None:
    if _WATCHED and name in ("open", "socket.connect", "socket.sendto", "subprocess.Popen"):
        _OUTSIDE.append(name)


@row("16.2.3")
def documented_destinations(_: Path) -> None:
    log = fresh()
    log.emit(event())
    sys.addaudithook(_watch)  # cannot be taken away again, so it looks at a flag
    _WATCHED.append(True)
    try:
        for number in range(20):
            log.emit(event(data={"n": number}))
    finally:
        _WATCHED.clear()
    assert _OUTSIDE == []


@row("16.2.4")
def common_format(_: Path) -> None:
    log, lines = fresh(), list[str]()
    log.emit(event())
    log.write("t1", "jsonl", lines.append, actor=ADA)
    assert [json.loads(line)["action"] for line in lines] == ["plan.changed", "audit.exported"]
    assert {"ocsf", "cloudevents", "cef", "syslog"} <= set(FORMATS)


@row("16.2.5")
def no_credentials(_: Path) -> None:
    log = fresh()
    data = {"token": Secret("tok-hunter2"), "password": "hunter2", "note": "Bearer hunter2hunter2"}
    log.emit(event(data={**data, "email": Personal("ada@example.com", subject="ada")}))
    text = log.entry("t1", 0).decode()
    assert "hunter2" not in text
    assert "ada@example.com" not in text


def declared(number: str) -> set[str]:
    return {spec.name for spec in SDK_ACTIONS if number in spec.asvs}


@row("16.3.1")
def authentication(_: Path) -> None:
    from wellstreak_trust.identity import MemorySessionStore, SessionManager

    log = fresh()
    manager = SessionManager(MemorySessionStore(), audit=log, clock=log.clock)
    opened = manager.open("user_ada", tenant_id="t1")
    manager.revoke(opened.session.id, by=ADA)
    told = {found["action"] for tenant in ("t1", "system") for found in log.events(tenant)}
    assert told >= {"session.opened", "session.revoked"}
    assert told <= declared("16.3.1") >= {"signin.succeeded", "signin.failed"}


@row("16.3.2")
def failed_authorization(_: Path) -> None:
    assert "access.denied" in declared("16.3.2")
    log = fresh()
    log.emit(event("access.denied", outcome="denied", decision={"permission": "billing:update", "code": "no_grant"}))
    assert len(log.query("permission:billing:update outcome:denied", tenant_id="t1")) == 1


@row("16.3.3")
def security_events(_: Path) -> None:
    assert declared("16.3.3") >= {"webhook.refused", "limit.degraded", "tenancy.unscoped", "secret.read"}


@row("16.3.4")
def failures(_: Path) -> None:
    log = fresh()
    with pytest.raises(ZeroDivisionError), log.action("plan.changed", tenant_id="t1", actor=ADA):
        raise ZeroDivisionError("not recorded: only the type is")
    newest = log.events("t1", limit=1)[0]
    assert (newest["outcome"], newest["data"]["error"]) == ("error", "ZeroDivisionError")
    assert "limit.degraded" in declared("16.3.4")


@row("16.4.1")
def injection_safe(_: Path) -> None:
    log = fresh()
    log.emit(event(reason="=1+1\r\n<13>1 forged|x=y", targets=('"\n],',)))
    for name in FORMATS:
        parts: list[str] = []
        log.write("t1", name, parts.append, actor=ADA, query="action:plan.changed")
        assert len("".join(parts).split("\n")) == 2 + bool(FORMATS[name].header)


@row("16.4.2")
def not_modifiable(_: Path) -> None:
    log = fresh()
    for number in range(3):
        log.emit(event(data={"n": number}))
    rows = log.store._trees["t1"].rows  # type: ignore[attr-defined]
    rows[1] = rows[1]._replace(leaf=rows[1].leaf.replace(b'"n":1', b'"n":9'))
    report = verify(log.store, tenant_id="t1")
    assert (report.integrity, report.first_bad_seq) == ("failed", 1)


@row("16.4.3")
def shipped_elsewhere(folder: Path) -> None:
    log = fresh()
    log.emit(event())
    assert Shipper(log.store, FileSink(folder / "events"), log.origin).ship_all().sent == 1
    assert (folder / "events").read_bytes() == log.entry("t1", 0) + b"\n"


@row("16.5.3")
def no_fail_open(_: Path) -> None:
    class Down(MemoryAuditStore):
        async def append_batch(self, *_: Any, **__: Any) -> Any:
            raise StoreUnavailable("down")

    log, ran = AuditLog(Down()), []
    with pytest.raises(AuditUnavailable), log.action("secret.read", tenant_id="t1", actor=ADA):
        ran.append(True)
    assert ran == []


@pytest.mark.asvs(
    "16.1.1", "16.2.1", "16.2.2", "16.2.3", "16.2.4", "16.2.5", "16.3.1", "16.3.2", "16.3.3", "16.3.4",
    "16.4.1", "16.4.2", "16.4.3", "16.5.3",
)  # fmt: skip
@pytest.mark.parametrize("number", sorted(ROWS))
def test_asvs(number: str, tmp_path: Path) -> None:
    assert f"\n| {number} |" in PAGE.read_text(encoding="utf-8")
    ROWS[number](tmp_path)


def test_the_page_and_the_mark_list_no_other_rows() -> None:
    assert re.findall(r"^\| (16\.\d\.\d) ", PAGE.read_text(encoding="utf-8"), re.MULTILINE) == sorted(ROWS)
    (marked,) = (mark.args for mark in test_asvs.pytestmark if mark.name == "asvs")
    assert sorted(marked) == sorted(ROWS)
