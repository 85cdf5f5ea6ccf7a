"""No header value, method or path makes any way in answer 500, or differently from the others."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ways import Way

NAMES = [
    "Authorization", "Cookie", "Origin", "Sec-Fetch-Site", "Referer", "User-Agent", "X-Forwarded-For", "Forwarded",
    "X-Forwarded-Proto", "Content-Type", "Upgrade", "Accept", "Access-Control-Request-Method", "Host",
]  # fmt: skip
# What a server hands over: any octet but those that end a field line.
VALUES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"", b",", b";", b"=", b"Bearer ", b"Bearer a b", b"ws_session=", b"null", b"websocket", b"\xff" * 9]
    ),
).map(lambda raw: bytes(octet for octet in raw if octet not in b"\r\n\0").strip(b" \t"))
LINES = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4)
MODEST = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.asvs("2.2.1")
@given(method=st.sampled_from(["GET", "PUT", "POST"]), lines=LINES)
@example("PUT", [("Host", b"x/w/evil")])
@example("PUT", [("Content-Type", b"multipart/form-data")])
@MODEST
def test_headers(ways: list[Way], method: str, lines: list[tuple[str, bytes]]) -> None:
    hosts = [value for name, value in lines if name == "Host"]
    rest = [(name, value) for name, value in lines if name != "Host"]
    host = hosts[0].decode("latin-1") if hosts else "testserver.example"
    for way in ways:
        answer = way.ask(method, "/w/acme/ai" if method == "PUT" else "/w/acme/", *rest, body=b"{}", host=host)
        assert 400 <= answer.status < 500, (way.name, answer)


@pytest.mark.asvs("2.2.1")
@given(path=st.binary(max_size=30))
@MODEST
def test_paths(ways: list[Way], path: bytes) -> None:
    target = "/w/" + "".join(f"%{octet:02x}" if octet not in b"abcdef/." else chr(octet) for octet in path)
    for way in ways:
        assert way.ask("GET", target, way.cookie("eve")).status in (200, 301, 307, 308, 404, 405), (way.name, target)


@pytest.mark.parametrize("host", ["x/w/evil", "x?", "evil@x", "x/w/evil/members?", "[::1"])
def test_a_host_field_does_not_lend_eve_her_own_tenant(ways: list[Way], host: str) -> None:
    for way in ways:
        answer = way.ask("GET", "/w/acme/members", way.cookie("eve"), host=host)
        assert answer.status in (400, 404), (way.name, answer)
        if answer.status == 404:
            assert json.loads(answer.body)["code"] == "not_found"
