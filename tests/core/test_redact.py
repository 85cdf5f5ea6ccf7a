from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from wellstreak_trust.core import Secret
from wellstreak_trust.core.redact import CUT, MASKED, MAX_TEXT, redact, redact_text, suspicious

SENTINEL = "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl"


class _Explodes:
    def __repr__(self) -> str:
        raise AssertionError("repr of a foreign object was called")


class _BadMapping(dict[str, object]):
    def items(self) -> Any:
        raise RuntimeError("backend down")


@pytest.mark.parametrize(
    "key",
    ["Authorization", "set-cookie", "API_KEY", "client secret", "accessToken", "session.id", "DATABASE_URL", "otp"],
)
def test_keys_are_matched_without_case_and_punctuation(key: str) -> None:
    assert redact({key: "plain", "keep": "plain"}) == {key: MASKED, "keep": "plain"}


@pytest.mark.parametrize(
    "text",
    [
        SENTINEL,
        "Bearer abc.def-123",
        "bearer abcdef",
        "Basic dXNlcjpwYXNz",
        "whsec_abcdef123456",
        "sk_live_abcdef123",
        "xoxb-123456-abc",
        "ghp_abcdef123456",
        "github_pat_abcdef12",
        "glpat-abcdef123",
        "AKIAIOSFODNN7EXAMPLE",
        "SG.abcdefgh",
        "shpat_abcdef12",
        "wsk_live_abcdef123456",
        "wss_abcdefghijk",
        "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\ntruncated",
        "Bearer x",
        "eyJhbGciOi.key.iv.ciphertext.tag",
        "eyJhbGciOi",
        "rk_test_abcdef12",
    ],
)
def test_shapes_inside_text(text: str) -> None:
    shown = redact_text(f"before {text} after")
    assert text not in shown
    assert shown.startswith("before ***")


@pytest.mark.parametrize("token", ["ghp_abcdef123456", "Bearer abcdef", "AKIAIOSFODNN7EXAMPLE", SENTINEL])
def test_a_credential_glued_to_a_word_is_one_all_the_same(token: str) -> None:
    assert token not in redact_text(f"x{token}")
    assert token not in redact_text(f"é{token}é")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@db/x", "postgresql://***@db/x"),
        ("https://example.com/a:b@c", "https://example.com/a:b@c"),
        ("https://token@example.com/", "https://***@example.com/"),
        ("postgresql://u:p@ss@db/x", "postgresql://***@db/x"),
        ("postgresql://u:p#s?s@db/x", "postgresql://***@db/x"),
        ("redis://:hunter2@cache:6379/0", "redis://***@cache:6379/0"),
        ("http://example.com:8080/path", "http://example.com:8080/path"),
        ("one a://b@c two d://e@f", "one a://***@c two d://***@f"),
    ],
)
def test_user_and_password_in_urls(url: str, shown: str) -> None:
    assert redact_text(url) == shown


@pytest.mark.parametrize("token", [SENTINEL, "postgresql://u:hunter2hunter2@db", "ghp_abcdef123456", "Bearer abcdef"])
@pytest.mark.parametrize("kept", range(8, 30, 3))
def test_the_cut_leaves_no_piece_of_a_credential(token: str, kept: int) -> None:
    shown = redact_text("." * (MAX_TEXT - kept) + token)
    assert "hunter2" not in shown
    assert token[8:20] not in shown
    assert len(shown) < MAX_TEXT + 16


@pytest.mark.asvs("1.3.3")
@pytest.mark.parametrize(
    "piece",
    [
        "eyJ",
        "eyJaaaa.",
        "bearer ",
        "basic  a ",
        "-----BEGIN ",
        "-----BEGIN A-----",
        "-----END A",
        "ghp_a",
        "://",
        "://a:",
    ],
)
def test_hostile_text_comes_out_bounded_and_clean(piece: str) -> None:
    text = (piece * MAX_TEXT)[:MAX_TEXT]
    shown = redact_text(text)
    assert len(shown) <= len(text)
    assert redact_text(shown) == shown


def test_markers_and_plain_values() -> None:
    value = {
        "s": Secret("x"),
        "p": SecretStr("x"),
        "n": None,
        "b": True,
        "i": 1,
        "f": 1.5,
        "o": _Explodes(),
        3: "three",
    }
    assert redact(value) == {
        "s": MASKED, "p": MASKED, "n": None, "b": True, "i": 1, "f": 1.5, "o": "<_Explodes>", 3: "three",
    }  # fmt: skip
    assert redact(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01 00:00:00+00:00"
    assert redact(("a", "b")) == ("a", "b")


@pytest.mark.asvs("1.3.12")
def test_work_is_bounded() -> None:
    deep: Any = "x"
    for _ in range(50):
        deep = [deep]
    assert CUT in repr(redact(deep))
    loop: list[Any] = []
    loop.append(loop)
    assert CUT in repr(redact(loop))
    assert len(redact(list(range(5_000)))) < 1_100  # type: ignore[arg-type]  # a list stays a list
    assert len(redact({str(n): n for n in range(5_000)})) < 1_100  # type: ignore[arg-type]  # a mapping stays one
    assert redact_text("a" * 10_000).endswith(CUT)
    assert redact([[1] * 600, [2] * 600, [3]])[2] == CUT  # type: ignore[index]  # a list stays a list


def test_a_rule_that_fails_masks_the_whole_value() -> None:
    assert redact({"inner": _BadMapping(a=1)}) == {"inner": MASKED}


class _Word(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise AssertionError("str of a foreign object was called")

    __repr__ = __str__
    __format__ = None  # type: ignore[assignment]  # whatever asks for it fails


class _Level(IntEnum):
    HIGH = 3


class _Size(int):
    def __repr__(self) -> str:
        return "hunter2"

    __str__ = __repr__


class _Ratio(float):
    def __repr__(self) -> str:
        return "hunter2"


class _MySecret(SecretStr):
    pass


class _Lazy:
    """Answers for the class behind it, as proxies of web frameworks do."""

    @property  # type: ignore[misc]  # as proxies do
    def __class__(self) -> Any:
        raise AssertionError("the object behind was loaded")


def test_subclasses_are_shown_by_the_plain_value_under_them() -> None:
    assert redact([_Word("plain"), _Level.HIGH, _Size(7), _Ratio(0.5)]) == ["plain", 3, 7, 0.5]
    assert "hunter2" not in repr(redact([_Size(7), _Ratio(0.5)]))
    assert redact({_Word("password"): "hunter2", b"X-Api-Key": "hunter2"}) == {"password": MASKED, "X-Api-Key": MASKED}
    assert redact(_MySecret("hunter2")) == MASKED


def test_foreign_objects_are_not_even_asked_for_their_class() -> None:
    assert redact([_Lazy()]) == ["<_Lazy>"]
    assert redact({_Explodes(): 1, (1, 2): 2, None: 3}) == {"<_Explodes>": 1, "<tuple>": 2, None: 3}


def test_plain_values_of_the_standard_library_are_spelled() -> None:
    number = UUID(int=1)
    assert redact([date(2026, 1, 1), timedelta(1), number, Decimal("1.50")]) == [
        "2026-01-01",
        "1 day, 0:00:00",
        str(number),
        "1.50",
    ]
    assert redact(10**5_000) == CUT  # such a number may not even be printed
    assert json.dumps(redact({"n": 10**5_000, "f": 1e300}))


def test_header_lines_are_pairs() -> None:
    assert redact([("Cookie", "a=b"), (b"authorization", b"x"), ("accept", "*/*"), ("token", "x", "y")]) == [
        ("Cookie", MASKED),
        ("<bytes>", MASKED),
        ("accept", "*/*"),
        ("token", "x", "y"),
    ]


class _Endless(Mapping[str, object]):
    def __getitem__(self, key: str) -> object:
        return key

    def __iter__(self) -> Iterator[str]:
        return (str(n) for n in count())

    def __len__(self) -> int:
        return 1

    def items(self) -> Any:
        return (("token", n) if n % 2 else (str(n), n) for n in count())


def test_an_endless_mapping_ends() -> None:
    assert len(redact(_Endless())) < 600  # type: ignore[arg-type]  # a mapping stays one


LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5))
PLANTS = st.sampled_from(
    [
        SENTINEL,
        "Bearer s3cr3t-s3cr3t",
        "ghp_s3cr3ts3cr3t",
        "whsec_s3cr3ts3cr3t",
        "xoxb-s3cr3t-s3cr3t",
        "wsk_live_s3cr3ts3cr3t",
        "postgresql://user:s3cr3ts3cr3t@db/name",
        "-----BEGIN PRIVATE KEY-----\ns3cr3t\n-----END PRIVATE KEY-----",
    ]
)


def planted(text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    spot = st.builds(lambda a, s, b: a + s + b, st.text(max_size=3), text, st.text(max_size=3))
    return st.recursive(
        st.one_of(spot, LEAF),
        lambda t: st.one_of(
            st.lists(t, max_size=3),
            st.tuples(t, t),
            st.sets(st.one_of(spot, LEAF), max_size=3),
            st.frozensets(spot, max_size=2),
            st.dictionaries(st.one_of(spot, LEAF, st.tuples(spot)), t, max_size=3),
        ),
        max_leaves=12,
    )


@given(planted(PLANTS))
def test_a_planted_sentinel_never_comes_out_and_the_input_stays(tree: Any) -> None:
    twin = copy.deepcopy(tree)
    shown = repr(redact(tree))
    assert "s3cr3t" not in shown
    assert "c2lnbmF0dXJl" not in shown
    assert tree == twin


@given(st.text(max_size=400))
def test_redacted_text_has_nothing_left_to_redact(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize("text", ["sent Bearer abc", "BASIC", "see https://x", "ghp_", "x" * 9_000])
def test_what_may_hold_a_credential_is_suspicious(text: str) -> None:
    assert suspicious(text)


def test_what_is_not_suspicious_stays_as_it_is() -> None:
    text = "a plain reason, asked for by mail; eyes and skin"
    assert not suspicious(text)
    assert redact_text(text) == text
