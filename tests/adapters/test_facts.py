"""Reading a request: no field of it moves the URL, and what proxies say counts only from proxies."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust import Principal, RequestFacts
from wellstreak_trust.adapters.facts import FactsReader
from wellstreak_trust.core.address import ClientAddress
from wellstreak_trust.origin import OriginPolicy
from wellstreak_trust.tenancy import PathSource

PROXY, STRANGER = "10.0.0.7", "203.0.113.9"
KINDS = ["asgi", "wsgi"]


def read(
    kind: str, path: str = "/w/acme/x", *lines: tuple[str, str], peer: Any = STRANGER, **options: Any
) -> RequestFacts:
    scheme = options.pop("scheme", "http")
    reader = FactsReader(ClientAddress([PROXY, "unix"]), **options)
    if kind == "asgi":
        scope = {
            "type": "http", "method": "POST", "scheme": scheme, "raw_path": path.encode("latin-1"),
            "query_string": b"q=1",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in lines],
            "client": (peer, 1) if peer else None, "server": ("/run/app.sock", None) if not peer else ("h", 80),
        }  # fmt: skip
        return reader.asgi(scope)
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in lines}
    decoded = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
    return reader.wsgi(
        {
            "REQUEST_METHOD": "POST",
            "wsgi.url_scheme": scheme,
            "PATH_INFO": decoded,
            "QUERY_STRING": "q=1",
            "REMOTE_ADDR": peer or "",
            **environ,
        }
    )


MOVES = [
    "x/w/evil",
    "x/w/evil/",
    "x?",
    "x#",
    "evil@x/w/evil",
    "x\\w\\evil",
    "x/w/evil?a=",
    "a b",
    "[::1]/w/evil",
    "",
    "x:1:2/",
    "\xe9",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("host", MOVES)
def test_a_host_field_does_not_put_another_tenant_in_front(kind: str, host: str) -> None:
    facts = read(kind, "/w/acme/x", ("Host", host))
    assert facts.target.path == "/w/acme/x"
    assert facts.target.query == "q=1"
    assert PathSource("/w/{tenant}/").candidates(facts, Principal("u")) == ("acme",)
    assert facts.target.host == ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "host", ["app.example", "app.example:8443", "127.0.0.1:80", "[::1]:80", "a_b.example", "localhost"]
)
def test_a_genuine_host_field_is_the_authority(kind: str, host: str) -> None:
    assert read(kind, "/x", ("Host", host)).url == f"http://{host}/x?q=1"


@pytest.mark.asvs("1.1.1")
@pytest.mark.parametrize("kind", KINDS)
@given(
    host=st.text(st.characters(max_codepoint=255), max_size=40),
    path=st.text(st.characters(max_codepoint=255), max_size=40),
)
def test_any_host_and_any_path_read_as_one_path(kind: str, host: str, path: str) -> None:
    facts = read(kind, "/w/acme/" + path.replace("%", "%25"), ("Host", host))
    assert facts.target.path.startswith("/w/acme/")
    assert facts.target.query == "q=1"
    assert facts.url.isascii()


def test_a_target_in_absolute_form_and_an_asterisk_are_paths() -> None:
    assert read("asgi", "http://evil/w/evil/x", ("Host", "app.example")).target.path == "/http://evil/w/evil/x"
    assert read("asgi", "*", ("Host", "app.example")).target.path == "/*"
    assert FactsReader(ClientAddress()).asgi({"type": "http", "path": "/w/\ud800é"}).target.path == "/w/%3F%C3%A9"


@pytest.mark.asvs("4.1.3")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("peer", "lines", "scheme"),
    [
        (PROXY, [("X-Forwarded-Proto", "https")], "https"),
        (PROXY, [("X-Forwarded-Proto", " HTTPS ")], "https"),
        (None, [("X-Forwarded-Proto", "https")], "https"),
        (STRANGER, [("X-Forwarded-Proto", "https")], "http"),
        (PROXY, [("X-Forwarded-Proto", "https,http")], "http"),
        (PROXY, [("X-Forwarded-Proto", "javascript")], "http"),
        (PROXY, [], "http"),
    ],
)
def test_a_proxy_says_the_scheme_and_nobody_else(kind: str, peer: Any, lines: Any, scheme: str) -> None:
    own = ("Origin", "https://app.example")
    facts = read(kind, "/x", ("Host", "app.example"), ("Cookie", "a=b"), own, *lines, peer=peer)
    assert facts.target.scheme == scheme
    assert OriginPolicy().check(facts).allowed is (scheme == "https")


def test_a_proxy_may_take_the_scheme_back_and_sockets_keep_theirs() -> None:
    proto = ("X-Forwarded-Proto", "http")
    assert read("asgi", "/x", proto, peer=PROXY, scheme="https").target.scheme == "http"
    assert read("asgi", "/x", ("X-Forwarded-Proto", "https"), peer=PROXY, scheme="ws").target.scheme == "wss"
    assert read("asgi", "/x", proto, peer=PROXY, scheme="wss").target.scheme == "ws"
    twice = (("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "https"))
    assert read("asgi", "/x", *twice, peer=PROXY).target.scheme == "http"


@pytest.mark.parametrize("kind", KINDS)
def test_a_forwarded_host_counts_where_the_host_asked_for_it(kind: str) -> None:
    lines = (("Host", "inner"), ("X-Forwarded-Host", "app.example"))
    assert read(kind, "/x", *lines, peer=PROXY).target.host == "inner"
    assert read(kind, "/x", *lines, peer=PROXY, forwarded_host=True).target.host == "app.example"
    assert read(kind, "/x", *lines, peer=STRANGER, forwarded_host=True).target.host == "inner"
    moved = (("Host", "inner"), ("X-Forwarded-Host", "x/w/evil"))
    assert read(kind, "/w/acme/x", *moved, peer=PROXY, forwarded_host=True).target.path == "/w/acme/x"


@pytest.mark.parametrize("kind", KINDS)
def test_an_unconfigured_tls_proxy_can_be_declared(kind: str) -> None:
    lines = (("Host", "app.example"), ("Cookie", "a=b"))
    https, http = ("Origin", "https://app.example"), ("Origin", "http://app.example")
    assert not OriginPolicy().check(read(kind, "/x", *lines, https))
    assert OriginPolicy().check(read(kind, "/x", *lines, https, scheme_is_trusted=False))
    assert not OriginPolicy().check(read(kind, "/x", *lines, http, scheme="https", scheme_is_trusted=False))
    foreign = ("Origin", "https://evil.example")
    assert not OriginPolicy().check(read(kind, "/x", *lines, foreign, scheme_is_trusted=False))


def test_peers() -> None:
    assert read("asgi", peer=None).peer == read("wsgi", peer=None).peer == "unix"
    assert read("asgi", peer="testclient").peer == "127.0.0.1"
    assert FactsReader(ClientAddress()).asgi({"type": "http", "path": "/"}).peer is None
    assert FactsReader(ClientAddress()).wsgi({}).peer is None
