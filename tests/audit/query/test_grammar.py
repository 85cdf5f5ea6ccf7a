"""The query language: what it reads, and that its refusals point at the mistake."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from wellstreak_trust.audit.query import QUALIFIERS, Clause, Glob, Query, Span, parse
from wellstreak_trust.audit.query.grammar import MAX_CHARACTERS, MAX_STARS, MAX_TERMS
from wellstreak_trust.core.clock import to_micros
from wellstreak_trust.core.errors import AuditQueryInvalid


def micros(*moment: int) -> int:
    return to_micros(datetime(*moment, tzinfo=UTC))  # type: ignore[misc, arg-type]  # year, month, day, ...


def only(text: str) -> Clause:
    (clause,) = parse(text).clauses
    return clause


def test_terms_of_one_key_are_alternatives_and_keys_narrow() -> None:
    found = parse("actor:u1 outcome:denied actor:u2 -action:session.*")
    assert found == Query(
        (
            Clause("actor", (), (Glob(("u1",)), Glob(("u2",)))),
            Clause("outcome", (), (Glob(("denied",)),)),
            Clause("action", (), (Glob(("session.", "")),), negated=True),
        )
    )


def test_an_empty_query_matches_everything() -> None:
    assert parse(" \t\n ") == Query()
    assert parse("").matches({})


def test_quotes_make_a_value_literal() -> None:
    assert only(r'reason:"a \"b\" \\ * 1..2 >=3"').tests == (Glob((r'a "b" \ * 1..2 >=3',)),)
    assert only('reason:""').tests == (Glob(("",)),)
    assert only('data.n:"1..2"').tests == (Glob(("1..2",)),)


def test_colons_and_dots_belong_to_values() -> None:
    assert only("permission:billing:*").tests == (Glob(("billing:", "")),)
    assert only("data.plan.name:pro") == Clause("data", ("plan", "name"), (Glob(("pro",)),))
    assert only("target:a..b").tests == (Glob(("a..b",)),)


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("2026-11", micros(2026, 11, 1), micros(2026, 12, 1)),
        ("2026-12", micros(2026, 12, 1), micros(2027, 1, 1)),
        ("2026-11-24", micros(2026, 11, 24), micros(2026, 11, 25)),
        ("2026-11-24T12:30", micros(2026, 11, 24, 12, 30), micros(2026, 11, 24, 12, 31)),
        ("2026-11-24T12:30:05Z", micros(2026, 11, 24, 12, 30, 5), micros(2026, 11, 24, 12, 30, 6)),
        ("2026-11-24T12:30:05.25", micros(2026, 11, 24, 12, 30, 5, 250000), micros(2026, 11, 24, 12, 30, 5, 260000)),
        ("2026-11-24T12:30:05+02:00", micros(2026, 11, 24, 10, 30, 5), micros(2026, 11, 24, 10, 30, 6)),
        ("2026-11-01..2026-11-02", micros(2026, 11, 1), micros(2026, 11, 3)),
        ("*..2026-10", None, micros(2026, 11, 1)),
        ("2026-11..*", micros(2026, 11, 1), None),
    ],
)
def test_a_time_is_the_whole_of_what_it_names(value: str, low: int | None, high: int | None) -> None:
    assert only(f"created:{value}").tests == (Span(low, high),)


@pytest.mark.parametrize(
    ("value", "span"),
    [
        (">=2026-11-01", Span(micros(2026, 11, 1), None)),
        (">2026-11-01", Span(micros(2026, 11, 2), None)),
        ("<2026-11-01", Span(None, micros(2026, 11, 1))),
        ("<=2026-11-01", Span(None, micros(2026, 11, 2))),
    ],
)
def test_comparisons_go_by_the_whole_unit(value: str, span: Span) -> None:
    assert only(f"created:{value}").bounds == (span,)


def test_comparisons_of_one_key_narrow_each_other() -> None:
    assert only("created:>=2026-11-01 created:<2026-12-01") == Clause(
        "created", (), (), (Span(micros(2026, 11, 1), None), Span(None, micros(2026, 12, 1)))
    )
    event = {"data": {"n": 7}}
    assert parse("data.n:>=5 data.n:<9").matches(event)
    assert not parse("data.n:>=5 data.n:<7").matches(event)
    assert not parse("data.n:>=5 data.n:1 data.n:2").matches(event)


def test_numbers() -> None:
    assert only("seq:5").tests == (Span(5, 6),)
    assert only("seq:5..9").tests == (Span(5, 10),)
    assert only("data.n:-3..*").tests == (Span(-3, None),)
    assert only("data.n:>9").bounds == (Span(10, None),)
    assert only("data.n:9").tests == (Glob(("9",)),)


@pytest.mark.parametrize(
    ("text", "column", "detail"),
    [
        ("hello", 1, "a word without a key"),
        ("actor:u1 hello", 10, "a word without a key"),
        ("actor:u1 OR actor:u2", 10, "a word without a key"),
        ("actor:", 7, "a value is missing"),
        ("actor: u1", 7, "a value is missing"),
        (":u1", 1, "a key is missing"),
        ("-:u1", 2, "a key is missing"),
        ("actor:u1 ;drop", 10, "a key is missing"),
        ("aktor:u1", 1, "an unknown key"),
        ("actor:u1  -aktor:u1", 12, "an unknown key"),
        ("tenant_id:other", 1, "an unknown key"),
        ("actor.id:u1", 1, "actor has no fields: actor:user_ada"),
        ("data:1", 1, "data names a field, as in data.seats:>=25"),
        ("data..a:1", 1, "data names a field, as in data.seats:>=25"),
        ("outcome:denied outcome:maybe", 24, "not one of its values"),
        ("outcome:*", 9, "not one of its values"),
        ("has:everything", 5, "not one of its values"),
        ("created:yesterday", 9, "not a time"),
        ("created:>=2026", 11, "not a time"),
        ("created:2026-13", 9, "a time that no calendar has"),
        ("created:2026-02-30", 9, "a time that no calendar has"),
        ("created:9999-12-31", 9, "a time that no calendar has"),
        ("created:2026-01-01..soon", 21, "not a time"),
        ("created:2026-02..2026-01", 9, "a range that ends before it begins"),
        ("created:*..*", 9, "a range needs an end"),
        ('created:"2026-01"', 9, "a time or number stands without quotes"),
        ("seq:1.5", 5, "not a whole number of at most 16 digits"),
        ("seq:99999999999999999", 5, "not a whole number of at most 16 digits"),
        ("seq:٣", 5, "not a whole number of at most 16 digits"),
        ('reason:"open', 8, "a quotation that is not closed"),
        (r'reason:"a\n"', 8, "a quotation that is not closed"),
        ('reason:"a"b', 11, "a space is missing between terms"),
        ('reason:a"b"', 9, "a space is missing between terms"),
        ("actor:a\0b", 8, "a character that no field can hold"),
        ("actor:\ud800", 7, "a character that no field can hold"),
        ("actor:" + "*a" * (MAX_STARS + 1), 7, f"more than {MAX_STARS} stars in one value"),
        ("actor:" + "a" * MAX_CHARACTERS, MAX_CHARACTERS + 1, f"more than {MAX_CHARACTERS} characters"),
        (" ".join(["id:a"] * (MAX_TERMS + 1)), 5 * MAX_TERMS + 4, f"more than {MAX_TERMS} terms"),
    ],
)
def test_a_refusal_points_at_its_column(text: str, column: int, detail: str) -> None:
    with pytest.raises(AuditQueryInvalid) as caught:
        parse(text)
    assert (caught.value.column, caught.value.detail) == (column, detail)
    assert "u1" not in str(caught.value) + caught.value.hint.replace("user_1", "")


def test_a_refusal_knows_what_was_meant() -> None:
    with pytest.raises(AuditQueryInvalid) as caught:
        parse("aktor:u1")
    assert caught.value.hint == "did you mean actor?"


def test_text_that_is_none_is_refused() -> None:
    with pytest.raises(AuditQueryInvalid):
        parse(b"actor:u1")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(QUALIFIERS))
def test_the_example_of_each_key_is_a_query(name: str) -> None:
    clause = only(QUALIFIERS[name].example)
    assert clause.name == name


EVENT: dict[str, Any] = {
    "v": 1,
    "id": "0199-a",
    "seq": 7,
    "occurred_at": "2026-11-24T12:00:00.000000Z",
    "recorded_at": "2026-11-24T12:00:01.000000Z",
    "tenant_id": "t1",
    "action": "member.invited",
    "outcome": "success",
    "actor": {"id": "agent_1", "kind": "agent", "credential_id": "key_7", "actor": {"id": "user_ada"}},
    "targets": ["inv_1", {"type": "member", "id": "user_bob"}],
    "source": {"address": "203.0.113.9", "user_agent": "curl/8"},
    "changes": [{"field": "plan", "old": "free", "new": "pro"}],
    "reason": "ticket 42",
    "request": {"id": "req_9"},
    "decision": {"permission": "members:invite", "code": "allowed"},
    "data": {
        "seats": 25,
        "ok": True,
        "none": None,
        "tags": ["a", "b"],
        "deep": {"x": [{"y": "z"}]},
        "email": {"_sd": "d"},
    },
}


@pytest.mark.parametrize(
    "text",
    [
        *(f"{name}:" for name in ()),
        "actor:agent_1",
        "on-behalf-of:user_ada",
        "kind:agent",
        "credential:key_*",
        "action:member.*",
        "action:*.invited",
        "action:m*r.i*d",
        "outcome:success",
        "target:inv_1",
        "target:user_bob",
        "type:member",
        "changed:plan",
        "created:2026-11-24",
        "created:2026-11-24T12:00:00Z",
        "recorded:2026-11-24T12:00:01",
        "seq:7",
        "id:0199-a",
        'reason:"ticket 42"',
        "reason:*42",
        "address:203.0.113.*",
        "agent:curl*",
        "request:req_9",
        "permission:members:*",
        "code:allowed",
        "data.seats:25",
        "data.seats:>=25",
        "data.seats:1..25",
        "data.ok:true",
        "data.none:null",
        "data.tags:b",
        "data.deep.x.y:z",
        "has:changes",
        "-data.missing:1",
        "-data.seats:>25",
    ],
)
def test_every_part_of_an_event_can_be_asked_for(text: str) -> None:
    assert parse(text).matches(EVENT)
    opposite = text[1:] if text.startswith("-") else f"-{text}"
    assert not parse(opposite).matches(EVENT)


@pytest.mark.parametrize(
    "text",
    ["actor:AGENT_1", "action:member", "target:user_*_x", 'data.seats:""', "data.ok:1", "data.deep:z", "reason:ticket"],
)
def test_what_does_not_fit_does_not_match(text: str) -> None:
    assert not parse(text).matches(EVENT)


def test_stars_take_no_more_than_there_is() -> None:
    assert parse("actor:ab*ba").matches({"actor": {"id": "abba"}})
    assert not parse("actor:ab*ba").matches({"actor": {"id": "aba"}})
    assert parse("actor:a**b").matches({"actor": {"id": "ab"}})


def test_a_pattern_costs_no_more_than_its_text() -> None:
    query = parse("reason:" + "*a" * MAX_STARS + "b")
    assert not query.matches({"reason": "a" * 60_000})  # a regular expression would not come back


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("actor:u1", None, None),
        ("-created:2026-11", None, None),
        ("created:2026-11-01 created:2026-11-03", (2026, 11, 1), (2026, 11, 4)),
        ("created:2026-11-01..* created:2026-10-01", (2026, 10, 1), None),
        ("created:*..2026-11-01 created:2026-12-01", None, (2026, 12, 2)),
        ("created:>=2026-11-01 created:<2026-12-01 created:2026-11-05", (2026, 11, 5), (2026, 11, 6)),
        ("created:>=2026-11-01 created:2026-10-01..*", (2026, 11, 1), None),
    ],
)
def test_where_matches_can_be(text: str, low: tuple[int, ...] | None, high: tuple[int, ...] | None) -> None:
    found = parse(text).created
    if low is high is None:
        assert found is None
    else:
        assert found == Span(micros(*low) if low else None, micros(*high) if high else None)
