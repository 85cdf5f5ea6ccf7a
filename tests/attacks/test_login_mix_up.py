"""Mix-up: the victim begins with one provider and the answer comes from, or is sent to, another (RFC 9700, 4.4)."""

from __future__ import annotations

import pytest

from sign_ins import CALLBACK, RelyingParty, jar
from wellstreak_trust.identity import InvalidCredential, OidcLogin
from wellstreak_trust.testing.op import OpenIdProvider


@pytest.fixture(scope="module")
def honest():
    with OpenIdProvider(alg="ES256") as running:
        yield running


@pytest.fixture(scope="module")
def evil():
    with OpenIdProvider(alg="ES256") as running:
        yield running


def reason(login: OidcLogin, callback: str, cookies: dict[str, str]) -> str:
    with pytest.raises(InvalidCredential) as caught:
        login.complete(callback, cookies)
    return caught.value.reason


@pytest.mark.asvs("10.2.2")
def test_an_answer_is_taken_by_the_provider_it_was_begun_with(honest: OpenIdProvider, evil: OpenIdProvider) -> None:
    """One store, two providers, one redirect URI: the code of the honest one never reaches the other."""
    party = RelyingParty(honest)
    other = OidcLogin(evil.relying_party(CALLBACK), party.store)
    start = party.login.begin()
    callback = honest.sign_in(start.url)
    assert reason(other, callback, jar(start)) == "mix_up"
    assert evil.count("/token") == 0
    assert party.login.complete(callback, jar(start)).issuer == honest.issuer


@pytest.mark.asvs("10.2.2")
@pytest.mark.parametrize("change", [{"client_id": "other"}, {"redirect_uri": "http://127.0.0.1/other"}])
def test_client_and_redirect_uri_count_too(honest: OpenIdProvider, change: dict[str, str]) -> None:
    party = RelyingParty(honest)
    start = party.login.begin()
    parts = {"issuer": honest.issuer, "client_id": "client", "redirect_uri": CALLBACK, **change}
    from wellstreak_trust.identity import OidcProvider

    changed = OidcProvider(**parts, client_secret="s", allow_insecure_loopback=True)
    assert reason(OidcLogin(changed, party.store), honest.sign_in(start.url), jar(start)) == "mix_up"


@pytest.mark.asvs("10.2.2")
@pytest.mark.parametrize("fault", ["callback_other_issuer", "callback_no_issuer", "callback_error_other_issuer"])
def test_rfc_9207_holds_on_every_answer(honest: OpenIdProvider, fault: str) -> None:
    party = RelyingParty(honest)
    start = party.login.begin()
    before = honest.count("/token")
    with honest.fault(fault):
        assert reason(party.login, honest.sign_in(start.url), jar(start)) == "issuer"
    assert honest.count("/token") == before


def test_metadata_that_stops_announcing_changes_nothing_for_what_was_begun(honest: OpenIdProvider) -> None:
    party = RelyingParty(honest)
    start = party.login.begin()
    honest.metadata = {"authorization_response_iss_parameter_supported": False}
    with honest.fault("callback_no_issuer"):
        assert reason(party.login, honest.sign_in(start.url), jar(start)) == "issuer"
        assert RelyingParty(honest).sign_in().subject == "u-1"  # begun where nothing is announced
    honest.metadata = {}
