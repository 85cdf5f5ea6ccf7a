"""Both encodings: injective, refused outside their domain, equal to what other serialisers say inside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust.core import UsageError
from wellstreak_trust.core.canonical import canonical_json, i64, length_prefixed, u32, u64


def test_integers_are_fixed_width_big_endian() -> None:
    assert (u32(1), u64(2), i64(-1)) == (b"\x00\x00\x00\x01", b"\x00" * 7 + b"\x02", b"\xff" * 8)


@pytest.mark.parametrize("value", [-1, 2**32, "1", None])
def test_integers_out_of_range_are_refused(value: Any) -> None:
    with pytest.raises(UsageError):
        u32(value)


def test_length_prefixed_layout() -> None:
    assert length_prefixed("ab", b"\x00") == bytes.fromhex("00000002 00000002 6162 00000001 00")
    assert length_prefixed() == b"\x00\x00\x00\x00"
    with pytest.raises(UsageError):
        length_prefixed("\ud800")


@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_length_prefixed_is_injective(left: list[bytes], right: list[bytes]) -> None:
    assert (length_prefixed(*left) == length_prefixed(*right)) is (left == right)


KEYS = st.from_regex(r"[A-Za-z0-9_.-]+", fullmatch=True)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8).filter(str.isprintable),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_canonical_json_reads_back_and_has_one_spelling(value: Any) -> None:
    spelled = canonical_json(value)
    assert json.loads(spelled) == value
    assert canonical_json(json.loads(spelled)) == spelled


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        2**53,
        -(2**53),
        {1: 2},
        {"a b": 1},
        {"é": 1},
        {"": 1},
        "\ud800",
        b"x",
        object(),
        {"a": {1, 2}},
    ],
)
def test_outside_the_domain_is_refused_without_repeating_the_value(value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        canonical_json({"k": value} if not isinstance(value, dict) else value)
    assert "x" not in caught.value.detail.replace("text", "").replace("nested", "")


def test_depth_is_bounded_and_cycles_end() -> None:
    value: Any = []
    value.append(value)
    with pytest.raises(UsageError, match="deeper"):
        canonical_json(value)


def test_keys_sort_by_code_point_and_any_key_lifts_the_restriction() -> None:
    assert canonical_json({"b": 1, "a": (True, None, "é")}) == '{"a":[true,null,"é"],"b":1}'.encode()
    assert canonical_json({"billing:read": 1}, any_key=True) == b'{"billing:read":1}'
