"""Toy 24: names that are chosen to become markup, a formula, another record or an order to the terminal.

The formats are read back by their own rules in `tests/audit/test_formats.py`, the report by a browser in
`tests/audit/test_report.py`; here is the attacker's side: one name in every place, and every way out.
"""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from typing import Any

import pytest

from wellstreak_trust.audit import FORMATS, AuditEvent, AuditLog, Ed25519Signer, MemoryAuditStore

NAMES = {
    "script": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)',
    "svg": "</svg><svg onload=alert(1)>",
    "style": "</style><style>*{background:url(//evil)}",
    "formula": "=cmd|' /C calc'!A0",
    "formula behind a space of its own": "\t=1+1",
    "row": 'x","y\r\n"forged","row',
    "line": "ok\n<13>1 2026-01-01T00:00:00Z host app - - - forged",
    "cef": "x|10|act=forged cs1=other\\=tenant\nCEF:0|a|b|c|d|e|9|",
    "structured data": 'x"][forged@1 a="b',
    "terminal": "\x1b]0;owned\x07\x1b[2J",
    "bidi": "\N{RIGHT-TO-LEFT OVERRIDE}evil",
    "json": '","forged":true,"x":"',
    "line separator": "a\u2028b\u2029c\x85d",
}


@pytest.fixture(params=sorted(NAMES))
def log(request: pytest.FixtureRequest) -> AuditLog:
    name = NAMES[request.param]
    found = AuditLog(MemoryAuditStore(), Ed25519Signer.from_seed(bytes(32)))
    printable = "".join(each if each.isprintable() else "?" for each in name)
    for outcome in ("success", "denied", "attempted"):
        found.emit(
            AuditEvent(
                "webhook.refused",
                outcome,  # type: ignore[arg-type]
                "t1",
                {"id": printable, "kind": name},
                targets=(name, {"type": name, "id": name}),
                source={"address": name, "user_agent": name},
                changes=({"field": name, "new": name},),
                reason=name,
                request={"id": name, "operation": name},
                decision={"permission": name, "code": name},
                data={"value": name},
            )
        )
    return found


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_an_export_has_as_many_records_as_there_are_events(log: AuditLog, form: str) -> None:
    parts: list[str] = []
    log.write("t1", form, parts.append, actor={"id": "o"})
    text = "".join(parts)
    if form == "csv":
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert len(rows) == 5
        assert {len(row) for row in rows} == {len(rows[0])}
        assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    else:
        lines = text.split("\n")
        assert (len(lines), lines[-1]) == (5, "")
        assert "\r" not in text
        assert "\x1b" not in text
        if form in ("jsonl", "ocsf", "cloudevents"):
            assert not [line for line in lines[:-1] if "forged" in json.loads(line)]


class Markup(HTMLParser):
    """Whether anything on a page runs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.runs: list[str] = []
        self.feed(text)

    def handle_starttag(self, name: str, attributes: list[tuple[str, Any]]) -> None:
        if name in ("script", "iframe", "object", "embed", "link", "base", "form", "img", "foreignobject", "use"):
            self.runs.append(name)
        self.runs += [key for key, value in attributes if key.startswith("on") or "javascript:" in str(value)]


def test_the_report_shows_names_as_names(log: AuditLog) -> None:
    page = log.report("t1", actor={"id": "o"}).html()
    assert Markup(page).runs == []
    assert "\x1b" not in page
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page
    assert page.count("<style>") == 1


def test_a_query_for_the_name_finds_the_name(log: AuditLog) -> None:
    reason = log.events("t1", limit=1)[0]["reason"]
    if reason.isprintable():
        quoted = '"' + reason.replace("\\", "\\\\").replace('"', '\\"') + '"'
        assert len(log.query(f"reason:{quoted}", tenant_id="t1")) == 3
