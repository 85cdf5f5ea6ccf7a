"""Facts of a request: total on any input."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust.core import UsageError
from wellstreak_trust.core.http import Headers, RequestFacts, Target


def test_headers_are_a_case_insensitive_multi_map() -> None:
    headers = Headers([("Host", "a"), (b"X-Tag", b"\xff1"), ("x-tag", "2")])
    assert headers.get("HOST") == "a"
    assert headers.get_all("X-TAG") == ("ÿ1", "2")
    assert headers.get("missing") is None
    assert headers.get("missing", "d") == "d"
    assert "x-TAG" in headers
    assert 3 not in headers
    assert len(headers) == 3
    assert list(headers) == list(headers.items())
    assert Headers({"A": "b"}).get("a") == "b"
    assert Headers(headers).items() == headers.items()


def test_representations_show_no_values() -> None:
    facts = RequestFacts("GET", "https://h/p?token=hidden", {"Authorization": "Bearer hidden"})
    assert "hidden" not in repr(facts) + repr(facts.headers)
    assert "authorization" in repr(facts.headers)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://Example.com:8443/a/b?x=1#f", Target("https", "example.com", 8443, "/a/b", "x=1")),
        ("http://h", Target("http", "h", None, "/", "")),
        ("http://h?x", Target("http", "h", None, "/", "x")),
        ("ws://[::1]:80/", Target("ws", "[::1]", 80, "/", "")),
        ("ws://[::1]/", Target("ws", "[::1]", None, "/", "")),
        ("http://h:70000/", Target("http", "h", -1, "/", "")),
        ("http://h:x/", Target("http", "h", -1, "/", "")),
        ("/path?q", Target("", "", None, "/path", "q")),
        ("", Target("", "", None, "/", "")),
        ("/back?to=https://evil.example/x", Target("", "", None, "/back", "to=https://evil.example/x")),
        ("://h/", Target("", "", None, "://h/", "")),
        ("http://h:0000080/", Target("http", "h", -1, "/", "")),
        ("http://h:/", Target("http", "h", None, "/", "")),
        ("http://h:\u0661/", Target("http", "h", -1, "/", "")),
        ("http://good.example@evil.example/", Target("http", "good.example@evil.example", -1, "/", "")),
        ("http://good.example:80@evil.example/", Target("http", "good.example:80@evil.example", -1, "/", "")),
        ("http://h\\@evil.example/", Target("http", "h\\@evil.example", -1, "/", "")),
    ],
)
def test_targets(url: str, wanted: Target) -> None:
    facts = RequestFacts("GET", url)
    assert facts.target == wanted
    assert facts.target is facts.target


@given(st.text(max_size=60), st.lists(st.tuples(st.text(max_size=8), st.text(max_size=20)), max_size=4))
def test_nothing_a_client_sends_makes_facts_raise(url: str, headers: list[tuple[str, str]]) -> None:
    facts = RequestFacts("GET", url, [*headers, ("Cookie", url)])
    assert isinstance(facts.target.path, str)
    assert isinstance(facts.cookies, tuple)
    assert isinstance(facts.host, str)


@pytest.mark.asvs("15.3.7")
def test_cookies_keep_repeated_names() -> None:
    facts = RequestFacts("GET", "/", [("Cookie", "a=1; b=2;junk; a=3"), ("cookie", "c==")])
    assert facts.cookies == (("a", "1"), ("b", "2"), ("a", "3"), ("c", "="))
    assert facts.cookies is facts.cookies


def test_host_is_one_line_or_nothing() -> None:
    assert RequestFacts("GET", "/", {"Host": "A.example:8080"}).host == "a.example"
    assert RequestFacts("GET", "/", [("Host", "a"), ("Host", "b")]).host == ""
    assert RequestFacts("GET", "/", {"Host": "a, b"}).host == ""  # what a WSGI server makes of two
    assert RequestFacts("GET", "/", {"Host": "[::1]:8080"}).host == "[::1]"
    assert RequestFacts("GET", "/", {"Host": "good@evil"}).host == "good@evil"
    assert RequestFacts("GET", "/").host == ""


def test_field_names_fold_in_ascii_only_and_keep_their_spelling() -> None:
    headers = Headers([("Coo\u212aie", "a=1"), ("X_Forwarded_For", "6.6.6.6"), ("Authorization ", "x")])
    assert headers.get_all("cookie") == ()
    assert headers.get_all("x-forwarded-for") == ()
    assert headers.get_all("authorization") == ()
    assert headers.get("coo\u212aie") is None
    assert headers.get("Coo\u212aie") == "a=1"


@pytest.mark.parametrize("line", [("a", 5), (None, "b"), ("a", 10**12), ("a", ["b"])])
def test_a_field_line_of_another_type_is_the_hosts_mistake(line: Any) -> None:
    with pytest.raises(UsageError):
        Headers([line])


BYTES = st.binary(max_size=24)


@given(st.lists(st.tuples(BYTES, BYTES), max_size=4), BYTES, BYTES)
def test_no_bytes_on_the_wire_make_facts_raise(lines: list[tuple[bytes, bytes]], url: bytes, name: bytes) -> None:
    named = [(b"Host", url), (b"Cookie", url), (name, url), *lines]
    facts = RequestFacts("GET", url.decode("latin-1"), named)
    assert facts.headers.get_all(name.decode("latin-1"))
    assert len(facts.headers) == len(named)
    assert facts.target.port is None or -1 <= facts.target.port <= 65_535
    assert "@" not in facts.target.host or facts.target.port == -1
    assert isinstance(facts.host, str)
    assert isinstance(repr(facts), str)


def test_facts_are_immutable() -> None:
    facts = RequestFacts("GET", "/")
    with pytest.raises(AttributeError):
        facts.method = "POST"
    with pytest.raises(AttributeError):
        del facts.method


def test_a_route_that_becomes_known_changes_nothing_else():
    facts = RequestFacts(
        "POST", "https://h/x?y=1", {"Cookie": "a=b"}, peer="203.0.113.9", body=b"z", scheme_is_trusted=False
    )
    target, cookies = facts.target, facts.cookies
    routed = facts.routed("notes")
    assert (facts.route, routed.route) == (None, "notes")
    for name in ("method", "url", "headers", "peer", "body", "scheme_is_trusted"):
        assert getattr(routed, name) == getattr(facts, name)
    assert routed.target is target
    assert routed.cookies is cookies
    with pytest.raises(AttributeError):
        routed.route = "other"
