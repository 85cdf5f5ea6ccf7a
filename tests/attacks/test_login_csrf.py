"""Login CSRF: a sign-in that one browser began is finished in another.

The attacker signs in at the provider, stops before the callback, and has the victim's browser open it: the victim
then works in the attacker's account, or links the attacker's identity to his own. State alone does not help where any
known state is taken from any browser.
"""

from __future__ import annotations

import pytest

from sign_ins import RelyingParty, jar
from wellstreak_trust.identity import InvalidCredential
from wellstreak_trust.testing.op import OpenIdProvider


@pytest.fixture(scope="module")
def op():
    with OpenIdProvider(alg="ES256") as running:
        yield running


def reason(party: RelyingParty, callback: str, cookies: dict[str, str]) -> str:
    with pytest.raises(InvalidCredential) as caught:
        party.login.complete(callback, cookies)
    return caught.value.reason


@pytest.mark.asvs("7.6.2", "10.1.2", "10.2.1")
def test_cve_2025_68481_a_callback_without_the_cookie_of_its_sign_in(op: OpenIdProvider) -> None:
    """A signed state that names no browser was taken from every browser."""
    party = RelyingParty(op)
    attackers = op.sign_in(party.login.begin().url)
    before = op.count("/token")
    assert reason(party, attackers, {}) == "browser"
    assert op.count("/token") == before, "the provider was asked before the browser was known"


@pytest.mark.asvs("10.2.1")
def test_cve_2025_68158_a_state_that_is_stored_but_not_bound(op: OpenIdProvider) -> None:
    """A state was found in a shared cache, whoever brought it."""
    party = RelyingParty(op)
    attackers, victims = party.login.begin(), party.login.begin()
    assert reason(party, op.sign_in(attackers.url), jar(victims)) == "browser"


@pytest.mark.asvs("10.2.1")
def test_fastapi_sso_266_a_callback_in_another_browser(op: OpenIdProvider) -> None:
    """A victim who has a sign-in of his own open: its cookie opens no other."""
    party = RelyingParty(op)
    victims = party.login.begin()
    attackers = party.login.begin()
    stolen = {attackers.cookie.name: victims.cookie.value}
    callback = op.sign_in(attackers.url)
    assert reason(party, callback, {**jar(victims), **stolen}) == "browser"
    assert party.login.complete(callback, jar(attackers)).subject == "u-1"


def test_the_victims_code_in_the_attackers_sign_in(op: OpenIdProvider) -> None:
    """A stolen code is worth nothing under another sign-in's verifier (PKCE) and nonce."""
    party = RelyingParty(op)
    victims, attackers = party.login.begin(), party.login.begin()
    code = op.sign_in(victims.url).partition("code=")[2].partition("&")[0]
    own = op.sign_in(attackers.url)
    injected = own.replace(own.partition("code=")[2].partition("&")[0], code)
    assert reason(party, injected, jar(attackers)) == "code"
