"""One form of findings for every examination."""

from __future__ import annotations

import json

from wellstreak_trust.core.finding import Code, Finding, to_json, to_sarif, to_text

CODES = {
    "open": Code("error", "It is open", "anybody comes in", "close it", "trust.E999"),
    "loud": Code("warning", "Is it loud?", "people wake up"),
}
OPEN = Finding(
    "open", "error", "door", "the door is open", "close it\nlock it", "anybody comes in", "trust.E999", "wind"
)
LOUD = Finding("loud", "warning", "bell", "Is it loud?", "")


def test_rank_puts_errors_first() -> None:
    assert sorted([LOUD, OPEN], key=lambda each: each.rank) == [OPEN, LOUD]


def test_text_is_for_people() -> None:
    assert to_text([OPEN, LOUD]).splitlines() == [
        "error    open  door  trust.E999",
        "  the door is open.",
        "  Risk: anybody comes in.",
        "  From: wind",
        "    close it",
        "    lock it",
        "",
        "warning  loud  bell",
        "  Is it loud?",
    ]
    assert to_text([]) == ""


def test_json_holds_the_fields() -> None:
    assert [Finding(**each) for each in json.loads(to_json([OPEN, LOUD]))] == [OPEN, LOUD]


def test_sarif_names_the_rule_its_manual_and_where_the_value_came_from() -> None:
    log = json.loads(to_sarif([OPEN, LOUD], CODES, tool="t", artifact="a.py", manual="https://m.example/f.md"))
    (run,) = log["runs"]
    first, second = run["tool"]["driver"]["rules"]
    assert first["helpUri"] == "https://m.example/f.md#open"
    assert first["help"] == {"text": "close it"}
    assert first["fullDescription"] == {"text": "It is open: anybody comes in."}
    assert "help" not in second
    opened, loud = run["results"]
    assert opened["message"]["text"] == "door: the door is open.\nFrom: wind.\nclose it\nlock it"
    assert loud["message"]["text"] == "bell: Is it loud?\n"
    assert (opened["ruleIndex"], loud["ruleIndex"]) == (0, 1)
    plain = json.loads(to_sarif([], CODES, tool="t", artifact="a.py"))
    assert "helpUri" not in plain["runs"][0]["tool"]["driver"]["rules"][0]
