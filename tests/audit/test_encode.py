"""Every encoder spells the domain alike, and what was found harmless is remembered without being kept."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.audit import encode
from wellstreak_trust.core import UsageError
from wellstreak_trust.core.canonical import canonical_json

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
KEY = st.from_regex(r"[A-Za-z0-9_.-]{1,8}", fullmatch=True)
SCALAR = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
VALUE = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEY, inner, max_size=4))
FIELDS = st.dictionaries(KEY, VALUE, max_size=6)
SPELL = {name: make() for name, make in encode.ENCODERS.items()}


def agree(fields: dict[str, Any]) -> bool:
    wanted = canonical_json(fields)
    return {spell(fields) for spell in SPELL.values()} == {wanted} and rfc8785.dumps(fields) == wanted


@pytest.mark.asvs("1.5.3")
@settings(max_examples=max(100, int(os.environ.get("WT_ORACLE_CASES", "0"))))
@given(FIELDS)
def test_all_encoders_agree_byte_for_byte(fields: dict[str, Any]) -> None:
    assert agree(fields)


def drawn(chance: random.Random, depth: int = 0) -> Any:
    """A value of the domain; hypothesis finds the odd ones, this makes many."""
    kind = chance.randrange(7 if depth < 5 else 4)
    if kind == 0:
        return chance.choice((None, True, False))
    if kind == 1:
        return chance.choice((0, -1, 2**53 - 1, -(2**53) + 1, chance.randrange(-(2**53) + 1, 2**53)))
    if kind in (2, 3):
        ranges = ((0, 0x20), (0x20, 0x7F), (0x7F, 0x800), (0x2020, 0x2030), (0xE000, 0x10000), (0x10000, 0x110000))
        return "".join(chr(chance.randrange(*chance.choice(ranges))) for _ in range(chance.randrange(9)))
    if kind == 4:
        return [drawn(chance, depth + 1) for _ in range(chance.randrange(4))]
    letters = "aZ09_.-"
    keys = ("".join(chance.choice(letters) for _ in range(chance.randrange(1, 5))) for _ in range(chance.randrange(5)))
    return {key: drawn(chance, depth + 1) for key in keys}


def test_all_encoders_agree_on_4000_more() -> None:
    chance = random.Random(8785)
    assert [case for case in range(4_000) if not agree({"x": drawn(chance), "y": drawn(chance)})] == []


@settings(max_examples=100)
@given(FIELDS)
def test_what_is_plain_is_in_the_domain_and_shows_no_credential(fields: dict[str, Any]) -> None:
    if encode.plain(fields):
        assert encode.encoded(fields) == canonical_json(fields)
        assert not encode.speaks_of_credentials(fields)


class Sly(str):
    """Equal to a harmless key and spelt like another."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other == "plan" or str.__eq__(self, other)

    def __hash__(self) -> int:
        return hash("plan")


@pytest.mark.parametrize(
    "value",
    [1.5, float("nan"), 2**53, -(2**53), b"x", {1}, object(), {"a b": 1}, {1: 1}, {"x": [{"y": 1.5}]}, Sly("z")],
    ids=["float", "nan", "large", "low", "bytes", "set", "object", "key", "number key", "deep", "text of a class"],
)
def test_what_lies_outside_is_not_plain(value: Any) -> None:
    assert not encode.plain({"x": value})


def test_keys_of_a_class_of_their_own_do_not_pass() -> None:
    assert encode.plain({"plan": "pro"})
    with pytest.raises(UsageError):
        encode.encoded({Sly("password"): "hunter2"})


def test_a_lone_surrogate_is_refused_by_the_encoder() -> None:
    with pytest.raises(UsageError):
        encode.encoded({"x": "\ud800"})


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "x"},
        {"a": {"api_key": "x"}},
        {"a": ["Bearer\tabcdefgh"]},
        {"a": "https://u:p@example.test"},
        {"ghp_abcdefghij": 1},
        {"a": "x" * 9_000 + " ghp_abcdefghij"},
    ],
    ids=["key", "deep key", "tab", "URL", "a key that is a token", "far behind"],
)
def test_what_speaks_of_credentials_takes_the_long_way(fields: dict[str, Any]) -> None:
    for _ in range(2):  # nor is it remembered as harmless
        assert not encode.plain(fields)
        assert encode.speaks_of_credentials(fields)


def test_memory_is_bounded_and_keeps_no_text() -> None:
    marker = "somebody@example.test"
    for number in range(20_000):
        assert encode.plain({"note": f"{marker} {number}"})
    assert len(encode._TEXTS) <= 16_500
    assert all(type(one) is int for one in encode._TEXTS)
    for number in range(6_000):
        encode.plain({f"k{number}": 1})
    assert len(encode._KEYS) <= 4_096
    assert encode.plain({"never_seen_before": 1})
