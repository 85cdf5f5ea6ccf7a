from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from wellstreak_trust.core import Secret
from wellstreak_trust.core.redact import CUT, MASKED, redact, redact_text

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
    ],
)
def test_shapes_inside_text(text: str) -> None:
    shown = redact_text(f"before {text} after")
    assert text not in shown
    assert shown.startswith("before ***")


def test_user_and_password_in_urls() -> None:
    assert redact_text("postgresql://u:p@db/x") == "postgresql://***@db/x"
    assert redact_text("https://example.com/a:b@c") == "https://example.com/a:b@c"


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
        "s": MASKED, "p": MASKED, "n": None, "b": True, "i": 1, "f": 1.5, "o": "<_Explodes>", "<int>": "three",
    }  # fmt: skip
    assert redact(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01 00:00:00+00:00"
    assert redact(("a", "b")) == ("a", "b")


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


LEAF = st.one_of(st.none(), st.integers(), st.text(max_size=5))
TREES = st.recursive(LEAF, lambda t: st.lists(t, max_size=3) | st.dictionaries(st.text(max_size=4), t, max_size=3))


@given(TREES, st.data())
def test_a_planted_sentinel_never_comes_out_and_the_input_stays(tree: Any, data: st.DataObject) -> None:
    planted = {"a": tree, "note": f"see {SENTINEL}", SENTINEL: [SENTINEL, tree]}
    twin = copy.deepcopy(planted)
    assert SENTINEL not in repr(redact(planted))
    assert planted == twin
