"""`argument_bytes`: the same value, the same bytes; another value, other bytes."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust.core import UsageError
from wellstreak_trust.tenancy.jobs import argument_bytes

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_a_serialiser_changes_nothing(value: Any) -> None:
    assert argument_bytes(json.loads(json.dumps(value))) == argument_bytes(value)


def spelt(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@given(JSON, JSON)
def test_two_values_have_two_encodings(one: Any, two: Any) -> None:
    assert (argument_bytes(one) == argument_bytes(two)) is (spelt(one) == spelt(two))


class Colour(StrEnum):
    RED = "red"


MOMENT = datetime(2026, 11, 24, 12, tzinfo=UTC)
SAME: list[tuple[Any, Any]] = [
    ((1, (2,)), [1, [2]]),
    ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
    (Colour.RED, "red"),
    (MOMENT, MOMENT.astimezone(timezone(timedelta(hours=5)))),
]
DIFFERENT: list[tuple[Any, Any]] = [
    (1, True), (0, False), (1, 1.0), (1, "1"), ("a", b"a"), (None, ""), (None, False), ([], {}), ([[]], []),
    (["a", "b"], ["ab"]), ({"a": "b"}, ["a", "b"]), (0.0, -0.0),
    (MOMENT, MOMENT.replace(tzinfo=None)), (MOMENT.date(), MOMENT.date().isoformat()),
    (UUID(int=1), UUID(int=1).hex), (Decimal("1.0"), Decimal("1.00")), (Decimal(1), 1),
]  # fmt: skip


@pytest.mark.parametrize(("one", "two"), SAME, ids=range(len(SAME)))
def test_same(one: Any, two: Any) -> None:
    assert argument_bytes(one) == argument_bytes(two)


@pytest.mark.parametrize(("one", "two"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_different(one: Any, two: Any) -> None:
    assert argument_bytes(one) != argument_bytes(two)


def nested(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


REFUSED: list[Any] = [{1: 2}, {1}, object(), nested(65), "\ud800", {"a": object()}, [lambda: 1], timedelta(1)]


@pytest.mark.parametrize("value", REFUSED, ids=range(len(REFUSED)))
def test_what_does_not_survive_is_refused(value: Any) -> None:
    with pytest.raises(UsageError):
        argument_bytes(value)


def test_long_numbers_and_the_deepest_lists_pass() -> None:
    assert argument_bytes(10**6000) != argument_bytes(10**6000 + 1)
    assert argument_bytes(nested(64)) != argument_bytes(nested(63))
    assert argument_bytes(date.min) != argument_bytes(date.max)
