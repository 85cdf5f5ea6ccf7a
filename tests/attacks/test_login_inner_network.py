"""Requests into the host's own network: tenants name their providers, and a provider names its endpoints."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from sign_ins import CALLBACK
from wellstreak_trust.core.errors import ProviderUnavailable
from wellstreak_trust.identity import JwksSource, MemoryLoginStore, OidcLogin, OidcProvider

INNER = [
    "127.0.0.1",
    "10.0.0.7",
    "169.254.169.254",
    "192.168.1.1",
    "::1",
    "fd00::1",
    "::ffff:10.0.0.7",
    "64:ff9b::a00:7",
]


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch):
    """Names resolve to what a test says; connections are counted and fail."""
    tried: list[Any] = []

    def to(address: str) -> list[Any]:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [(2, 1, 6, "", (address, 443))])
        monkeypatch.setattr(socket, "create_connection", lambda target, **k: tried.append(target) or refuse())
        return tried

    def refuse() -> Any:
        raise ConnectionRefusedError

    return to


@pytest.mark.asvs("1.3.6")
@pytest.mark.parametrize("address", INNER)
def test_an_issuer_leads_nowhere_inside(resolving: Any, address: str) -> None:
    tried = resolving(address)
    provider = OidcProvider("https://tenants-own.example", "c", "s", "https://app.example/callback")
    with pytest.raises(ProviderUnavailable) as caught:
        OidcLogin(provider, MemoryLoginStore()).begin()
    assert "blocked_address" in caught.value.detail
    with pytest.raises(ProviderUnavailable):
        JwksSource("https://tenants-own.example/jwks").find("RS256", "k")
    assert tried == []


@pytest.mark.parametrize("address", ["10.0.0.7", "fd00::1"])
def test_unless_that_is_what_was_asked_for(resolving: Any, address: str) -> None:
    tried = resolving(address)
    provider = OidcProvider("https://sso.corp", "c", "s", "https://app.example/callback", allow_private=True)
    for call in (
        OidcLogin(provider, MemoryLoginStore()).begin,
        lambda: JwksSource("https://sso.corp/jwks", allow_private=True).find("RS256", "k"),
    ):
        with pytest.raises(ProviderUnavailable) as caught:
            call()
        assert "unreachable" in caught.value.detail
    assert tried == [(address, 443)] * 2


def test_the_callback_is_the_hosts_own(resolving: Any) -> None:
    """Nothing but the provider is ever asked: the redirect URI is for the browser."""
    tried = resolving("10.0.0.7")
    provider = OidcProvider("https://op.example", "c", "s", CALLBACK, allow_insecure_loopback=True)
    assert provider.redirect_uri == CALLBACK
    assert tried == []
