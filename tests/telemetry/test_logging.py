from __future__ import annotations

import json

import pytest
import structlog

from wellstreak_trust.core import Membership, Principal, Secret, TenantContext
from wellstreak_trust.telemetry import bind_trust_context, log_context, redact

CONTEXT = TenantContext(
    "t1",
    Principal("u1", actor=Principal("root")),
    Membership("t1", "u1", frozenset({"member"})),
    request_id="r1",
)


def line(**facts: object) -> dict[str, object]:
    lines: list[str] = []

    class Sink:
        def info(self, text: str) -> None:
            lines.append(text)

    logger = structlog.wrap_logger(Sink(), processors=[bind_trust_context, redact, structlog.processors.JSONRenderer()])
    logger.info("tested", **facts)
    found: dict[str, object] = json.loads(lines[0])
    return found


def test_lines_say_who_and_where() -> None:
    with log_context(CONTEXT):
        found = line(tenant_id="mine")
    assert found == {
        "event": "tested",
        "tenant_id": "mine",
        "principal_id": "u1",
        "principal_kind": "user",
        "actor_id": "root",
        "request_id": "r1",
    }
    assert line() == {"event": "tested"}


@pytest.mark.asvs("1.3.3")
def test_lines_hold_no_secret_and_no_line_break() -> None:
    nested = {"deep": {"password": "hunter2"}}
    found = line(token="abc", s=Secret("xoxb-1"), header="Bearer abcdef123", nested=nested, who="a\nb\x1b[31m")
    assert found["token"] == found["s"] == found["header"] == "***"
    assert found["nested"] == {"deep": {"password": "***"}}
    assert nested == {"deep": {"password": "hunter2"}}
    assert found["who"] == "a\\nb\\x1b[31m"
