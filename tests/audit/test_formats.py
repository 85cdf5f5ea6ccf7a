"""Formats of others, read back by their own rules: whatever an event holds, it stays one record and one value."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from wellstreak_trust import Principal
from wellstreak_trust.audit import FORMATS, SDK_ACTIONS, AuditLog, Record
from wellstreak_trust.audit.formats.cef import CEF_FIELDS
from wellstreak_trust.audit.formats.csv import CSV_COLUMNS
from wellstreak_trust.audit.formats.ocsf import OCSF, activity_of, ocsf_object
from wellstreak_trust.audit.query.search import parsed
from wellstreak_trust.audit.tree import leaf_hash
from wellstreak_trust.core.errors import UsageError
from wellstreak_trust.core.sansio import drive

WHO = Principal("user_1", kind="user", credential_id="key_9")
HOSTILE = [
    '=HYPERLINK("http://evil")',
    "+1",
    "-1+cmd|'/C calc'!A0",
    "@SUM(A1)",
    "\tTAB",
    "\rCR",
    "\N{FULLWIDTH EQUALS SIGN}1",
    "a\nCEF:0|fake|x|1|a|b|1|",
    "pipe|back\\slash=equals",
    '"]quote\\',
    "line\u2028separator\u2029and\x85next",
    "bell\x07nul\x00",
    "<13>1 2026-01-01T00:00:00Z host app - - - forged",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "emoji \N{PILE OF POO} Straße",
]


@pytest.fixture
def records(log: AuditLog, make: Callable[..., Any]) -> list[Record]:
    for number, text in enumerate(HOSTILE):
        log.emit(
            make(
                "member.invited",
                outcome=["success", "denied", "failure", "error", "attempted"][number % 5],
                actor={
                    "id": re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", "_", text),
                    "kind": text,
                    "actor": {"id": "boss"},
                },
                targets=(text, {"type": text, "id": text}),
                source={"address": "203.0.113.7" if number % 2 else text, "user_agent": text},
                changes=({"field": text, "old": None, "new": text},),
                reason=text,
                request={"id": text, "operation": text},
                decision={"permission": text, "code": "no_grant"},
                data={"text": text, "deep": {"list": [text, 1, True, None]}},
            )
        )
    leaves = drive(log.store.leaves("t1", 0, 100))
    return [Record(leaf, parsed(leaf), "wellstreak.test/audit/tree") for leaf in leaves]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_an_event_is_one_line_in_every_format(records: list[Record], name: str) -> None:
    for record in records:
        line = FORMATS[name].line(record)
        assert not set(line) & {"\n", "\r", "\0"}
        assert FORMATS[name].text(record) == line + FORMATS[name].ending


def test_json_lines_are_the_leaves(records: list[Record]) -> None:
    for record in records:
        assert leaf_hash(FORMATS["jsonl"].line(record).encode()) == record.leaf.leaf_hash


@pytest.mark.asvs("1.2.10")
def test_no_cell_is_a_formula(records: list[Record]) -> None:
    text = FORMATS["csv"].header + "".join(map(FORMATS["csv"].text, records))
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == list(CSV_COLUMNS)
    assert len(rows) == len(records) + 1
    for row, record in zip(rows[1:], records, strict=True):
        assert len(row) == len(CSV_COLUMNS)
        assert not [cell for cell in row if re.match(r"[=+\-@\t\r\n＝＋－＠]", cell)]
        assert row[-1] == record.leaf_hash
        assert row[CSV_COLUMNS.index("id")] == record.text("id")
    reasons = [row[CSV_COLUMNS.index("reason")] for row in rows[1:]]
    assert reasons[0] == '\'=HYPERLINK("http://evil")'
    assert reasons[-1] == HOSTILE[-1]


def test_cloudevents(records: list[Record]) -> None:
    """CloudEvents 1.0.2, sections 3 and 3.1: required attributes, names, and a JSON value that is not text."""
    ids = set()
    for record in records:
        found = json.loads(FORMATS["cloudevents"].line(record))
        assert found["specversion"] == "1.0"
        assert all(isinstance(found[name], str) and found[name] for name in ("id", "source", "type"))
        assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in found)
        assert all(isinstance(value, str) for name, value in found.items() if name != "data")
        assert datetime.fromisoformat(found["time"]).utcoffset() is not None
        assert found["data"] == record.event
        ids.add((found["source"], found["id"]))
    assert len(ids) == len(records)


def read_cef(line: str) -> tuple[list[str], dict[str, str]]:
    """The rules of the format: seven bars that no backslash precedes; keys are words before an unescaped equals."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    head = [re.sub(r"\\([|\\])", r"\1", part) for part in parts[:7]]
    pairs = re.findall(r"(?:^|(?<= ))([A-Za-z0-9]+)=((?:\\.|[^\\=])*?)(?= [A-Za-z0-9]+=|$)", parts[7])
    escapes = {"n": "\n", "r": "\r"}
    return head, {key: re.sub(r"\\(.)", lambda m: escapes.get(m[1], m[1]), value) for key, value in pairs}


def test_cef(records: list[Record]) -> None:
    for record in records:
        head, extension = read_cef(FORMATS["cef"].line(record))
        assert head[:4] == ["CEF:0", "WellStreak", "wellstreak_trust", "1"]
        assert 0 <= int(head[6]) <= 10
        assert extension["externalId"] == record.text("id")
        assert extension["cs2"] == record.leaf_hash
        assert extension["cn1"] == str(record.leaf.seq)
        wanted = re.sub(
            r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]", "\N{REPLACEMENT CHARACTER}", record.text("reason")
        )
        assert extension["reason"] == wanted
        known = {name for name, _ in CEF_FIELDS}
        assert set(extension) <= known | {f"{name}Label" for name in known}


SYSLOG = re.compile(
    r"<(\d{1,3})>1 (\S+) ([\x21-\x7e]{1,255}) ([\x21-\x7e]{1,48}) (-|[\x21-\x7e]{1,128}) (-|[\x21-\x7e]{1,32}) "
    r'\[([^ =\]"]{1,32})((?: [^ =\]"]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\] \ufeff(.*)',
    re.DOTALL,
)


def test_syslog(records: list[Record]) -> None:
    """RFC 5424, section 6: header, structured data and message, by the grammar."""
    for record in records:
        found = SYSLOG.fullmatch(FORMATS["syslog"].line(record))
        assert found is not None
        priority, at, host, *_, params, message = found.groups()
        assert int(priority) // 8 == 13
        assert datetime.fromisoformat(at).microsecond == 0
        assert host == "wellstreak.test"
        values = dict(re.findall(r'([^ =]+)="((?:[^"\\]|\\.)*)"', params))
        assert values["leafHash"] == record.leaf_hash
        assert json.loads(message) == record.event


@pytest.fixture
def ocsf(vectors: Callable[[str], Any]) -> Any:
    return vectors("audit_ocsf.json")


def faults(found: dict[str, Any], facts: Any) -> Iterator[str]:
    """What the schema does not allow, by the facts of its repository."""
    yield from (f"{name} is missing" for name in facts["required"] if name not in found)
    yield from (f"metadata.{name} is missing" for name in facts["metadata"] if name not in found["metadata"])
    kind = facts["classes"].get(str(found["class_uid"]))
    if kind is None:
        yield "an unknown class"
        return
    yield from (f"{name} is missing" for name in kind["required"] if name not in found)
    if kind.get("at_least_one") and not set(kind["at_least_one"]) & set(found):
        yield "none of a group that wants one"
    if found["class_name"] != kind["caption"]:
        yield "another caption"
    if found["activity_id"] not in kind["activities"]:
        yield "an unknown activity"
    if (
        found["category_uid"] != found["class_uid"] // 1000
        or found["type_uid"] != found["class_uid"] * 100 + found["activity_id"]
    ):
        yield "numbers that do not fit"
    if found["severity_id"] not in facts["severity_ids"] or found["status_id"] not in facts["status_ids"]:
        yield "an unknown severity or status"
    if not set(facts["endpoint_at_least_one"]) & set(found["src_endpoint"]):
        yield "an endpoint without a name"
    for user in (found.get("user"), found["actor"]["user"]):
        if user is not None and (
            not set(facts["user_at_least_one"]) & set(user) or user["type_id"] not in facts["user_type_ids"]
        ):
            yield "a user without an id or of an unknown type"
    if not isinstance(found["time"], int) or found["time"] < 10**12:
        yield "a time that is not in milliseconds"


def test_every_action_is_valid_ocsf(log: AuditLog, make: Any, ocsf: Any) -> None:
    for spec in SDK_ACTIONS:
        log.emit(make(spec.name, reason="r", actor=WHO, source={"address": "2001:db8::1"}))
        log.emit(make(spec.name, reason="r", outcome="denied", targets=({"type": "member", "id": "user_2"},)))
    log.emit(make("invoice.created"))
    for leaf in drive(log.store.leaves("t1", 0, 1_000)):
        found = json.loads(FORMATS["ocsf"].line(Record(leaf, parsed(leaf), "o/t")))
        assert list(faults(found, ocsf)) == [], found["message"]
        assert found["metadata"]["version"] == ocsf["version"]
        assert found["metadata"]["uid"] == leaf.id
        assert found["metadata"]["sequence"] == leaf.seq
        assert found["unmapped"]["leaf_hash"] == leaf.leaf_hash.hex()
        assert found["unmapped"]["leaf_index"] == leaf.seq
        assert "raw_data_hash" not in found


def test_hostile_values_stay_values_in_ocsf(records: list[Record], ocsf: Any) -> None:
    for record in records:
        assert list(faults(json.loads(FORMATS["ocsf"].line(record)), ocsf)) == []


@pytest.mark.parametrize(
    ("action", "class_uid", "activity_id"),
    [
        ("signin.succeeded", 3002, 1),
        ("session.closed", 3002, 2),
        ("tenancy.elevated", 3002, 7),
        ("member.joined", 3001, 1),
        ("member.roles_changed", 3005, 3),
        ("workspace.created", 3004, 1),
        ("workspace.seats_changed", 3004, 3),
        ("secret.read", 6003, 2),
        ("secret.disabled", 6003, 3),
        ("access.denied", 6003, 99),
        ("invoice.created", 6003, 1),
        ("invoice.line_deleted", 6003, 4),
        ("invoice.pondered", 6003, 99),
    ],
)
def test_classes_and_activities(action: str, class_uid: int, activity_id: int) -> None:
    assert activity_of(action) == (class_uid, activity_id)


def test_the_map_names_only_what_its_version_has(ocsf: Any) -> None:
    for schema in OCSF.values():
        for action, (class_uid, activity_id) in schema.actions.items():
            assert activity_id in schema.activities[class_uid], action
            assert activity_id in ocsf["classes"][str(class_uid)]["activities"], action


def test_the_deepest_event_is_exported_by_every_format(log: AuditLog, make: Any) -> None:
    deep: Any = "x"
    for _ in range(14):
        deep = {"a": deep}
    log.emit(make(data=deep))
    (leaf,) = drive(log.store.leaves("t1", 0, 1))
    record = Record(leaf, parsed(leaf), "o")
    for name in FORMATS:
        assert FORMATS[name].line(record)


def test_a_thinned_event_is_exported_by_every_format(log: AuditLog, make: Any) -> None:
    """Whoever writes the table may leave anything out; an export does not fall over it."""
    log.emit(make())
    (leaf,) = drive(log.store.leaves("t1", 0, 1))
    for event in ({}, {"actor": 5, "targets": {"a": 1}, "source": [], "decision": None, "data": "x", "outcome": 7}):
        for name in FORMATS:
            assert FORMATS[name].line(Record(leaf, event, ""))
        assert ocsf_object(Record(leaf, event, ""))["class_uid"] == 6003


def test_an_unknown_format_is_named(log: AuditLog) -> None:
    with pytest.raises(UsageError) as caught:
        log.write("t1", "leef", lambda _: None, actor=WHO)
    assert "cloudevents" in caught.value.hint
