"""A relying party and a browser, for tests that sign in at a provider."""

from __future__ import annotations

from typing import Any

from wellstreak_trust.identity import Identity, LoginStart, MemoryLoginStore, OidcLogin
from wellstreak_trust.testing.op import OpenIdProvider

CALLBACK = "http://127.0.0.1/callback"


def jar(start: LoginStart) -> dict[str, str]:
    """The cookies of the browser that began."""
    return {start.cookie.name: start.cookie.value}


class RelyingParty:
    """A login over a store, and a browser that goes the whole way."""

    def __init__(self, op: OpenIdProvider, **options: Any) -> None:
        self.op = op
        self.store = MemoryLoginStore()
        self.provider = op.relying_party(CALLBACK, **options)
        self.login = OidcLogin(self.provider, self.store)

    def sign_in(self, return_to: str = "/", **options: Any) -> Identity:
        start = self.login.begin(return_to, **options)
        return self.login.complete(self.op.sign_in(start.url), jar(start))
