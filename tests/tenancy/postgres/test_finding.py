"""The forms in which findings are handed on."""

from __future__ import annotations

import json

from wellstreak_trust.tenancy.postgres import CODES, Finding, to_json, to_sarif, to_text

FINDINGS = [
    Finding("rls_disabled", "error", "public.task", CODES["rls_disabled"].title, "ALTER TABLE x;\nALTER TABLE y;"),
    Finding("published", "warning", "public.task: p", CODES["published"].title, "DROP PUBLICATION p;"),
]


def test_json_holds_the_fields() -> None:
    assert [Finding(**each) for each in json.loads(to_json(FINDINGS))] == FINDINGS
    assert json.loads(to_json([])) == []


def test_text_shows_the_fix_below_the_fault() -> None:
    text = to_text(FINDINGS)
    assert text.splitlines()[:3] == [
        "error    rls_disabled  public.task",
        "  Row level security is off.",
        "    ALTER TABLE x;",
    ]
    assert to_text([]) == ""


def test_sarif_is_what_scanners_read() -> None:
    log = json.loads(to_sarif(FINDINGS, artifact="db/schema.sql"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(CODES)
    for finding, result in zip(FINDINGS, run["results"], strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.code
        assert result["level"] == finding.severity
        assert finding.hint in result["message"]["text"]
        (place,) = result["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"] == "db/schema.sql"
        assert place["logicalLocations"] == [{"fullyQualifiedName": finding.object}]
    prints = [result["partialFingerprints"]["object/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
    assert json.loads(to_sarif([]))["runs"][0]["results"] == []
