"""Cookies, written and read."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.core import RequestFacts, UsageError
from wellstreak_trust.identity import Cookie
from wellstreak_trust.identity.cookies import offered_cookies


def test_a_cookie_hides_its_value():
    assert "opensesame" not in repr(Cookie("a", "opensesame"))


def test_attributes():
    made = Cookie("a", "b", max_age=timedelta(seconds=90), secure=False, http_only=False, same_site="Strict", path="/x")
    assert made.header() == "a=b; Path=/x; Max-Age=90; SameSite=Strict"


@pytest.mark.asvs("3.3.5")
def test_a_cookie_that_browsers_would_drop_is_refused():
    assert Cookie("a", "b" * 4_095).header().startswith("a=bbb")
    with pytest.raises(UsageError):
        Cookie("a", "b" * 4_096)


@pytest.mark.asvs("3.3.1", "3.3.2", "3.3.3", "3.3.4")
@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "a b"},
        {"name": ""},
        {"value": "a;b"},
        {"value": "a\r\nSet-Cookie: x=y"},
        {"value": "a,b"},
        {"path": "/;Domain=evil"},
        {"name": "__Host-x", "secure": False},
        {"name": "__Host-x", "path": "/x"},
        {"same_site": "None", "secure": False},
    ],
)
def test_what_a_cookie_refuses(arguments):
    with pytest.raises(UsageError):
        Cookie(**{"name": "a", "value": "b", **arguments})


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], ()),
        (["a=1; s=2"], ("2",)),
        (["s=1; s=2"], ("1", "2")),
        (["s=1", "s=2"], ("1", "2")),
        (["s=1, s=2"], ("1", "2")),
        (["a=1,s=2; s=3"], ("2", "3")),
        (["S=1; xs=2; s"], ()),
        (["s="], ("",)),
        (["s=a=b"], ("a=b",)),
    ],
)
def test_every_copy_is_found(lines, found):
    facts = RequestFacts("GET", "https://a.example/", [("Cookie", line) for line in lines])
    assert offered_cookies(facts, "s") == found


@settings(max_examples=60)
@given(st.lists(st.binary(), max_size=3))
def test_reading_is_total(lines):
    facts = RequestFacts("GET", "https://a.example/", [(b"cookie", line) for line in lines])
    assert isinstance(offered_cookies(facts, "s"), tuple)
