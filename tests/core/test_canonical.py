"""Both encodings: injective, refused outside their domain, equal to what other serialisers say inside it."""

from __future__ import annotations

import json
from collections import UserDict
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust.core import UsageError
from wellstreak_trust.core.canonical import canonical_json, i64, length_prefixed, u32, u64


def test_integers_are_fixed_width_big_endian() -> None:
    assert (u32(1), u64(2), i64(-1)) == (b"\x00\x00\x00\x01", b"\x00" * 7 + b"\x02", b"\xff" * 8)


@pytest.mark.asvs("1.4.2")
@pytest.mark.parametrize("value", [-1, 2**32, "1", None])
def test_integers_out_of_range_are_refused(value: Any) -> None:
    with pytest.raises(UsageError):
        u32(value)


def test_length_prefixed_layout() -> None:
    assert length_prefixed("ab", b"\x00") == bytes.fromhex("00000002 00000002 6162 00000001 00")
    assert length_prefixed() == b"\x00\x00\x00\x00"
    for wrong in ("\ud800", None, 3, ["a"], memoryview(b"a")):
        with pytest.raises(UsageError):
            length_prefixed(b"", wrong)  # type: ignore[arg-type]  # the fault itself


@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_length_prefixed_is_injective(left: list[bytes], right: list[bytes]) -> None:
    assert (length_prefixed(*left) == length_prefixed(*right)) is (left == right)


KEYS = st.from_regex(r"[A-Za-z0-9_.-]+", fullmatch=True)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.asvs("1.2.3")
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


def written(value: Any) -> str:
    """RFC 8785, 3.2, spelled out without a serialiser."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(map(escaped, value)) + '"'
    if isinstance(value, dict):
        return "{" + ",".join(f"{written(key)}:{written(value[key])}" for key in sorted(value)) + "}"
    return "[" + ",".join(map(written, value)) + "]"


def escaped(char: str) -> str:
    short = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    return short.get(char) or (f"\\u{ord(char):04x}" if char < " " else char)


@given(VALUES)
def test_it_is_the_canonicalization_scheme_of_rfc_8785(value: Any) -> None:
    assert canonical_json(value) == written(value).encode()


class _Shifting(dict[str, int]):
    """Shows each reader other items."""

    def items(self) -> Any:
        return [("a", 1)]


@pytest.mark.parametrize("value", [_Shifting(b=2), UserDict(a=1), HTTPStatus.OK, type("S", (str,), {})("x")])
def test_subclasses_and_look_alikes_are_outside_the_domain(value: Any) -> None:
    with pytest.raises(UsageError):
        canonical_json([value])


def test_depth_is_bounded_and_cycles_end() -> None:
    value: Any = []
    value.append(value)
    with pytest.raises(UsageError, match="deeper"):
        canonical_json(value)


def test_keys_sort_by_code_point_and_any_key_lifts_the_restriction() -> None:
    assert canonical_json({"b": 1, "a": (True, None, "é")}) == '{"a":[true,null,"é"],"b":1}'.encode()
    assert canonical_json({"billing:read": 1}, any_key=True) == b'{"billing:read":1}'
