from __future__ import annotations

import warnings
from contextlib import suppress
from datetime import timedelta

import limits
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.core import ConfigurationError, UsageError
from wellstreak_trust.ratelimit import LimitRule

MINUTE = timedelta(minutes=1)
MONTHLY = {"algorithm": "calendar", "per": "month"}


def test_defaults() -> None:
    rule = LimitRule("tenant", 100, MINUTE)
    assert (rule.by, rule.burst, rule.algorithm, rule.cost) == (("tenant",), 100, "gcra", 1)
    assert (rule.on_outage, rule.mode, rule.expose, rule.anchor_day) == ("local", "enforce", True, 1)
    assert LimitRule("a", 5, MINUTE, by=["tenant", "route"]).by == ("tenant", "route")
    assert LimitRule("a", 5, MINUTE, algorithm="exact").burst is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": "é"}, {"name": "a\n"}, {"name": 7}, {"name": "x" * 129},
        {"limit": 0}, {"limit": -1}, {"limit": 1.5}, {"limit": True}, {"limit": "5"}, {"limit": 10**15},
        {"per": timedelta(0)}, {"per": timedelta(milliseconds=999)}, {"per": 60}, {"per": "minute"}, {"per": None},
        {"per": timedelta.max}, {"per": timedelta(seconds=1), "limit": 1_000_001},
        {"by": "tenant"}, {"by": ()}, {"by": None}, {"by": ("",)}, {"by": ("?",)}, {"by": (7,)}, {"by": ("a", "a?")},
        {"burst": 0}, {"burst": 11}, {"burst": True}, {"burst": 1.0}, {"burst": 5, "algorithm": "exact"},
        {"cost": 0}, {"cost": -1}, {"cost": 1.0}, {"algorithm": "sliding"}, {"algorithm": None}, {"on_outage": "maybe"},
        {"mode": "dark"}, {"algorithm": "calendar"}, {"algorithm": "calendar", "per": "second"},
        {"algorithm": "calendar", "per": "year"}, {"anchor_day": 2}, {**MONTHLY, "per": "day", "anchor_day": 2},
        {**MONTHLY, "anchor_day": 29}, {**MONTHLY, "anchor_day": 0}, {**MONTHLY, "burst": 1},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_when_built(wrong: dict) -> None:
    arguments = {"name": "a", "limit": 10, "per": MINUTE, **wrong}
    with pytest.raises(ConfigurationError) as refused:
        LimitRule(arguments.pop("name"), arguments.pop("limit"), arguments.pop("per"), **arguments)
    assert refused.value.hint
    assert refused.value.reason == "limit_rule"


def test_a_large_exact_rule_warns() -> None:
    with pytest.warns(UserWarning, match="gcra needs one number"):
        LimitRule("a", 1_001, MINUTE, algorithm="exact")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LimitRule("a", 1_000, MINUTE, algorithm="exact")


@pytest.mark.parametrize(
    ("text", "limit", "per"),
    [
        ("100/minute", 100, MINUTE),
        ("1/second", 1, timedelta(seconds=1)),
        ("5/15 minutes", 5, timedelta(minutes=15)),
        ("3 / 2 hours", 3, timedelta(hours=2)),
        ("7/days", 7, timedelta(days=1)),
    ],
)
def test_parse(text: str, limit: int, per: timedelta) -> None:
    rule = LimitRule.parse("user", text, by=("user",), burst=1, mode="shadow", on_outage="closed", expose=False)
    assert rule == LimitRule("user", limit, per, by=("user",), burst=1, mode="shadow", on_outage="closed", expose=False)
    theirs = limits.parse(text)
    assert (theirs.amount, theirs.get_expiry()) == (limit, per.total_seconds())


def test_parse_weeks_which_limits_does_not_know() -> None:
    assert LimitRule.parse("user", "7/2 weeks").per == timedelta(weeks=2)


def test_parse_calendar() -> None:
    rule = LimitRule.parse("plan", "1000/month", algorithm="calendar", anchor_day=15)
    assert (rule.per, rule.anchor_day) == ("month", 15)
    assert LimitRule.parse("plan", "1000/1 day", algorithm="calendar").per == "day"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "x", "0/minute", "-1/minute", "+1/minute", "1.5/minute", "1e3/minute", "010/minute", "10/0 minute",
        "10/-1 minute", "10/01 minute", "10/minut", "10/fortnight", "10/year", "10/month", "10 minute", "10/",
        "/minute", "10/minute\n", "10/minute;5/second", "\u0661/minute", "10/99999999 weeks", "1000001/second", None,
        10, b"1/minute",
    ],
)  # fmt: skip
def test_what_does_not_parse(text: str) -> None:
    with pytest.raises(ConfigurationError):
        LimitRule.parse("a", text)


@pytest.mark.parametrize("text", ["10/2 months", "10/second", "10/year"])
def test_what_no_calendar_window_is(text: str) -> None:
    with pytest.raises(ConfigurationError):
        LimitRule.parse("a", text, algorithm="calendar")


@given(st.text(max_size=20))
@settings(max_examples=100)
def test_parse_raises_nothing_else(text: str) -> None:
    for candidate in (text, f"10/{text}", f"{text}/minute"):
        with suppress(ConfigurationError):
            assert LimitRule.parse("a", candidate).limit >= 1


def test_parse_many_reads_the_notation_of_limits() -> None:
    first, second = LimitRule.parse_many("api", "10/second; 1000 per 2 hour", by=("client",), on_outage="open")
    assert (first.name, first.limit, first.per) == ("api", 10, timedelta(seconds=1))
    assert (second.name, second.limit, second.per) == ("api-2", 1000, timedelta(hours=2))
    assert {first.by, second.by} == {("client",)}
    for text in ("", "x", "1/month", "1/year", "0/minute", None):
        with pytest.raises(ConfigurationError):
            LimitRule.parse_many("api", text)  # type: ignore[arg-type]  # None is one of the wrong ones


ODD = ["a", "ab", "a/b", "/", ":", "|", "1:a", "\x00", ",", "{t}", "é", "e\u0301", "\ud800", " ", "a|1:b", "7:tenant"]


def test_no_two_tuples_share_a_bucket() -> None:
    pair = LimitRule("r", 1, MINUTE, by=("a", "b"))
    seen = {pair.key({"a": first, "b": second}) for first in ODD for second in ODD}
    assert len(seen) == len(ODD) ** 2
    rules = [LimitRule(name, 1, MINUTE, by=by) for name in ("r", "r|", "1:r") for by in (("a",), ("a", "b"), ("b",))]
    rules += [LimitRule("r", 1, MINUTE, by=("a",), algorithm="exact")]
    assert len({rule.key({"a": "x", "b": "y"}) for rule in rules}) == len(rules)


@given(st.tuples(st.text(min_size=1), st.text(min_size=1)), st.tuples(st.text(min_size=1), st.text(min_size=1)))
@settings(max_examples=100)
def test_keys_are_injective(one: tuple[str, str], other: tuple[str, str]) -> None:
    rule = LimitRule("r", 1, MINUTE, by=("a", "b"))
    keys = [rule.key({"a": pair[0], "b": pair[1]}) for pair in (one, other)]
    assert (keys[0] == keys[1]) is (one == other)


@pytest.mark.parametrize(
    "keys", [{}, {"tenant": ""}, {"tenant": None}, {"tenant": 7}, {"tenant": b"x"}, {"Tenant": "x"}]
)
def test_a_missing_key_is_never_a_shared_bucket(keys: dict) -> None:
    with pytest.raises(UsageError, match="tenant"):
        LimitRule("r", 1, MINUTE).key(keys)


def test_optional_keys() -> None:
    rule = LimitRule("r", 1, MINUTE, by=("api_key?", "route"))
    assert rule.key({"route": "x"}) is None
    assert rule.key({"route": "x", "api_key": "k"}) is not None
    with pytest.raises(UsageError):
        rule.key({"route": "x", "api_key": ""})
    with pytest.raises(UsageError):
        rule.key({"api_key": "k"})
