"""Published advisories of origin and CORS middleware, each against the part of ours that stands in its place."""

from __future__ import annotations

import logging

import pytest

from wellstreak_trust import RequestFacts
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.origin import CorsPolicy, OriginPolicy

COOKIE = ("Cookie", "session=1")
EVIL = ("Origin", "https://evil.test")


def test_cve_2024_1681_a_path_writes_no_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """flask-cors logged the request path, line feeds and all; deciding here logs nothing."""
    caplog.set_level(logging.DEBUG)
    facts = RequestFacts("GET", "https://api.example.com/%0d%0aforged: line\n", [EVIL, COOKIE])
    CorsPolicy(["https://app.example.com"]).decide(facts)
    OriginPolicy().check(facts)
    assert caplog.records == []


def test_cve_2024_6221_private_networks_are_never_granted() -> None:
    preflight = [
        ("Origin", "https://app.example.com"),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Private-Network", "true"),
    ]
    for policy in (CorsPolicy(["https://app.example.com"]), CorsPolicy.public()):
        names = [
            name.lower() for name, _ in policy.decide(RequestFacts("OPTIONS", "https://x/", preflight)).headers.items()
        ]
        assert "access-control-allow-private-network" not in names


@pytest.mark.parametrize(
    ("advisory", "method", "route"),
    [
        ("CVE-2024-6844: a plus read as a space", "POST", "hooks.rece ive"),
        ("CVE-2024-6866: another case", "POST", "HOOKS.RECEIVE"),
        ("CVE-2025-47910: what will be redirected to the route", "POST", None),
        ("a prefix", "POST", "hooks.receive.all"),
        ("another method", "PUT", "hooks.receive"),
        ("a method in lower case", "post", "hooks.receive"),
    ],
)
def test_an_exemption_is_one_method_of_one_matched_route(advisory: str, method: str, route: str | None) -> None:
    policy = OriginPolicy(exempt=[("POST", "hooks.receive")])
    url = "https://app.example.com/hooks/receive"
    assert policy.check(RequestFacts("POST", url, [EVIL, COOKIE], route="hooks.receive")).reason == "exempt", advisory
    assert not policy.check(RequestFacts(method, url, [EVIL, COOKIE], route=route)), advisory


def test_cve_2026_37737_a_listed_origin_is_no_prefix() -> None:
    policy = CorsPolicy(["https://app.example.com"])
    for origin in (
        "https://app.example.com.evil.test",
        "https://app.example.community",
        "https://app.example.com:8443",
    ):
        assert not policy.decide(RequestFacts("GET", "https://x/", [("Origin", origin)])).allowed


def test_cve_2026_34157_an_open_end_cannot_be_written() -> None:
    for pattern in ("https://myapp.com*", "https://myapp.com:*", "https://myapp*", "*.myapp.com"):
        with pytest.raises(ConfigurationError):
            CorsPolicy([pattern])


def test_ghsa_vhxv_fg4m_p2w8_patterns_that_share_a_suffix_admit_no_third() -> None:
    policy = CorsPolicy(["https://*.foo.com", "https://*.bar.foo.com", "https://foo.com"])
    for origin, allowed in {
        "https://a.foo.com": True,
        "https://a.bar.foo.com": True,
        "https://foo.com": True,
        "https://barfoo.com": False,
        "https://a.barfoo.com": False,
        "https://a.b.foo.com": False,
    }.items():
        assert policy.decide(RequestFacts("GET", "https://x/", [("Origin", origin)])).allowed is allowed, origin


@pytest.mark.parametrize(
    "case", ["python-engineio #128", "open-webui #18410", "adk-python #4951", "GHSA-4643-wpgq-w329", "djust #653"]
)
def test_cross_site_websocket_hijacking(case: str) -> None:
    """Middleware that speaks of CORS never looked at handshakes: a foreign page opened a socket with the cookie."""
    handshake = [("Upgrade", "websocket"), ("Connection", "Upgrade"), COOKIE]
    for evidence in ([EVIL], [("Origin", "null")], [("Sec-Fetch-Site", "cross-site")], []):
        facts = RequestFacts("GET", "https://app.example.com/ws", [*handshake, *evidence])
        assert not OriginPolicy().check(facts), case
