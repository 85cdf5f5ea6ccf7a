"""Cross-site websocket hijacking: a handshake is a GET with cookies that no CORS rule and few CSRF rules look at."""

from __future__ import annotations

import pytest

from wellstreak_trust import RequestFacts
from wellstreak_trust.origin import OriginPolicy

HANDSHAKE = [("Host", "app.example.com"), ("Connection", "Upgrade"), ("Cookie", "session=1")]


@pytest.mark.asvs("4.4.2")
@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "h2c, websocket"])
@pytest.mark.parametrize("url", ["wss://app.example.com/ws", "https://app.example.com/ws"])
@pytest.mark.parametrize(
    "origin", ["https://evil.test", "null", "http://app.example.com", "https://app.example.com:444"]
)
def test_a_foreign_page_opens_no_socket(upgrade: str, url: str, origin: str) -> None:
    facts = RequestFacts("GET", url, [*HANDSHAKE, ("Upgrade", upgrade), ("Origin", origin)])
    for policy in (OriginPolicy(), OriginPolicy(mode="compat"), OriginPolicy(isolate=True)):
        assert not policy.check(facts).allowed


def test_our_own_page_does() -> None:
    facts = RequestFacts(
        "GET", "wss://app.example.com/ws", [*HANDSHAKE, ("Upgrade", "websocket"), ("Origin", "https://app.example.com")]
    )
    assert OriginPolicy().check(facts).reason == "same_origin"
