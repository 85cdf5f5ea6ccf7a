"""From events to leaf bytes: one spelling, no credentials, and refusals that repeat nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.audit import AuditEvent, AuditEventRejected, AuditEventTooLarge
from wellstreak_trust.audit.event import content_digest, draft
from wellstreak_trust.core import Principal, Secret
from wellstreak_trust.core.canonical import canonical_json

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
STAMP = b"2026-11-24T12:00:01.000000Z"
Make = Callable[..., AuditEvent]
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.from_regex(r"[a-z_.-]{1,5}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_the_leaf_of_a_full_event() -> None:
    operator = Principal("op_1", reason="ticket 7")
    event = AuditEvent(
        "billing.plan_changed",
        "success",
        "t1",
        Principal("user_1", actor=operator, credential_id="key_1"),
        targets=("sub_1", {"type": "invoice", "id": "in_1"}),
        source={"ip": "203.0.113.7"},
        changes=({"field": "plan", "old": "a", "new": "b"},),
        reason="asked by mail",
        request=MappingProxyType({"id": "req_1"}),
        decision={"allowed": True},
        data={"n": 1, "é".encode().hex(): "ü"},
        occurred_at=NOW,
        id="event-1",
    )
    leaf = draft(event).leaf(41, STAMP)
    fields = json.loads(leaf)
    assert leaf == canonical_json(fields)
    assert leaf == json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert (fields["v"], fields["seq"], fields["recorded_at"]) == (1, 41, STAMP.decode())
    assert fields["occurred_at"] == "2026-11-24T12:00:00.000000Z"
    assert fields["actor"] == {
        "id": "user_1",
        "kind": "user",
        "credential_id": "key_1",
        "actor": {"id": "op_1", "kind": "user", "reason": "ticket 7"},
    }
    assert fields["targets"] == ["sub_1", {"type": "invoice", "id": "in_1"}]
    assert fields["request"] == {"id": "req_1"}
    assert fields["data"]["c3a9"] == "ü"


def test_what_is_not_given_is_not_written(make: Make) -> None:
    fields = json.loads(draft(make()).leaf(0, STAMP))
    assert sorted(fields) == ["action", "actor", "id", "occurred_at", "outcome", "recorded_at", "seq", "tenant_id", "v"]


@settings(max_examples=80)
@given(data=st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), PLAIN, max_size=4), request=PLAIN)
def test_every_leaf_is_canonical_and_its_digest_leaves_out_the_stamps(data: dict[str, Any], request: Any) -> None:
    event = AuditEvent("a.b", "success", "t1", {"id": "u"}, data=data, request={"r": request}, occurred_at=NOW, id="x")
    made = draft(event)
    leaf = made.leaf(2**53 - 1, STAMP)
    assert leaf == canonical_json(json.loads(leaf))
    assert content_digest(leaf) == content_digest(made.leaf(0, b"2027" + STAMP[4:])) == made.digest()


def nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value]
    return value


CYCLE: dict[str, Any] = {}
CYCLE["self"] = CYCLE

REJECTED = {
    "float": {"data": {"n": 1.5}},
    "NaN": {"data": {"n": float("nan")}},
    "large integer": {"data": {"n": 2**53}},
    "bytes": {"data": {"n": b"x"}},
    "set": {"data": {"n": {1}}},
    "object": {"data": {"n": object()}},
    "secret": {"data": {"n": Secret("hunter2hunter2")}},
    "key with a space": {"data": {"a b": 1}},
    "key that is no text": {"data": {1: 1}},
    "lone surrogate": {"data": {"n": "\ud800"}},
    "depth": {"data": {"n": nested(40)}},
    "a deep end": {"data": {"n": nested(100_000)}},
    "cycle": {"data": CYCLE},
    "unknown outcome": {"outcome": "maybe"},
    "outcome of another type": {"outcome": None},
    "empty tenant": {"tenant_id": ""},
    "tenant with NUL": {"tenant_id": "t\x00"},
    "tenant None": {"tenant_id": None},
    "long tenant": {"tenant_id": "t" * 257},
    "id with a newline": {"id": "a\nb"},
    "actor without id": {"actor": {"kind": "user"}},
    "actor text": {"actor": "user_1"},
    "actor id with a surrogate": {"actor": {"id": "\udc80"}},
    "naive time": {"occurred_at": datetime(2026, 1, 1)},
    "time text": {"occurred_at": "2026"},
    "data text": {"data": object()},
}


@pytest.mark.parametrize("fields", REJECTED.values(), ids=REJECTED.keys())
def test_outside_the_domain_is_refused_not_normalised(fields: dict[str, Any], make: Make) -> None:
    with pytest.raises(AuditEventRejected) as refused:
        draft(make(**fields))
    assert "hunter2" not in refused.value.detail + refused.value.hint + str(refused.value) + repr(refused.value)


def test_impersonation_does_not_go_on_for_ever(make: Make) -> None:
    who = Principal("p")
    for _ in range(10):
        who = Principal("p", actor=who)
    with pytest.raises(AuditEventRejected):
        draft(make(actor=who))


def test_no_event_at_all() -> None:
    with pytest.raises(AuditEventRejected):
        draft(None)  # type: ignore[arg-type]  # what a host may hand over


def test_the_leaf_fits_an_entry(make: Make) -> None:
    """65,535 bytes: the length of an entry has 16 bits. Tried up to the longest sequence number."""
    low, high = 60_000, 65_535
    while low < high:
        middle = (low + high + 1) // 2
        try:
            draft(make(id="x", data={"n": "a" * middle}))
            low = middle
        except AuditEventTooLarge:
            high = middle - 1
    longest = draft(make(id="x", data={"n": "a" * low})).leaf(2**53 - 1, STAMP)
    assert len(longest) == 65_535


CREDENTIALS = {
    "key name": {"data": {"password": "hunter2hunter2"}},
    "key name deep inside": {"changes": ({"field": "x", "new": {"api_key": "hunter2hunter2"}},)},
    "token shape": {"data": {"note": "sent Bearer hunter2hunter2 along"}},
    "token shape in a reason": {"reason": "xoxb-hunter2hunter2"},
    "token shape far behind": {"data": {"text": "a " * 5_000 + "whsec_hunter2hunter2"}},
    "token shape across windows": {"data": {"text": "a" * 7_800 + " ghp_hunter2hunter2" + "b" * 400}},
    "URL password": {"source": {"url": "https://user:hunter2hunter2@example.test/"}},
    "actor": {"actor": {"id": "u", "token": "hunter2hunter2"}},
}


@pytest.mark.parametrize("fields", CREDENTIALS.values(), ids=CREDENTIALS.keys())
def test_credentials_do_not_enter_the_trail(fields: dict[str, Any], make: Make) -> None:
    """OWASP ASVS 5, 16.2.5. The caller's own mapping is left as it is."""
    event = make(**fields)
    before = repr(event)
    leaf = draft(event).leaf(0, STAMP)
    assert b"hunter2" not in leaf
    assert b"***" in leaf or len(leaf) > 8_000
    assert repr(event) == before


TEXTS = st.text(max_size=20) | st.sampled_from(['"id":"', '"outcome":"', '\\"id\\":\\"', 'x","outcome":"success"'])
NESTED = st.recursive(TEXTS | st.integers(-9, 9) | st.none(), lambda below: st.dictionaries(TEXTS, below, max_size=3))


@settings(max_examples=150)
@given(
    data=st.dictionaries(TEXTS, NESTED, max_size=3),
    reason=st.none() | TEXTS,
    decision=st.none() | st.just({"id": "d", "outcome": "denied"}),
    outcome=st.sampled_from(["success", "failure", "denied", "error", "attempted"]),
    first=st.sampled_from(["attempted", "error"]),
)
def test_an_outcome_is_drafted_from_its_attempt_as_if_it_were_new(data, reason, decision, outcome, first) -> None:
    attempt = AuditEvent(
        "a.b", first, "t1", {"id": 'u"id":"1'}, reason=reason, decision=decision, request={"id": "r"}, data=data
    )
    try:
        made = draft(attempt)
    except AuditEventRejected:
        return
    ended = attempt.ended(outcome, datetime(2030, 1, 2, 3, 4, 5, 6, tzinfo=UTC))
    assert draft(ended) == draft(replace(ended, id=ended.id))
    assert draft(ended).id != made.id
    assert draft(ended).leaf(7, b"now") == draft(replace(ended, id=ended.id)).leaf(7, b"now")


def test_a_time_or_an_outcome_that_is_none_is_refused_for_an_ended_event_too() -> None:
    attempt = AuditEvent("a.b", "attempted", "t1", {"id": "u1"})
    draft(attempt)
    bad: Any = "maybe"
    with pytest.raises(AuditEventRejected):
        draft(attempt.ended(bad, datetime(2030, 1, 1, tzinfo=UTC)))
    with pytest.raises(AuditEventRejected):
        draft(attempt.ended("success", datetime(2030, 1, 1)))
