"""Values of the wrong kind, in every place that a provider fills: each is taken or refused, and nothing else escapes.

A provider that is wrong, broken or hostile must not be able to raise `TypeError` or `OverflowError` through the host,
where they would be a 500 that tells more than it should, or a way around a check that comes later.
"""

from __future__ import annotations

from typing import Any

import pytest

from sign_ins import RelyingParty, jar
from wellstreak_trust.core.errors import TrustError
from wellstreak_trust.testing.op import Fault, OpenIdProvider
from wellstreak_trust.testing.op.faults import _json, _own

ODD: list[Any] = [True, 0, -1, 1e308, 10**30, 253_402_300_798, "", "\u0000", "é" * 300, [], ["x"], {"a": []}]
CLAIMS = (
    "iss sub aud azp exp iat nbf jti nonce at_hash auth_time acr amr sid email email_verified tid hd events".split()
)
ANSWER = "access_token token_type expires_in refresh_token id_token error scope".split()
METADATA = (
    "issuer authorization_endpoint token_endpoint jwks_uri userinfo_endpoint end_session_endpoint "
    "pushed_authorization_request_endpoint authorization_response_iss_parameter_supported "
    "require_pushed_authorization_requests".split()
)
KEYS = "kty use key_ops alg kid crv x y n e d k".split()


@pytest.fixture(scope="module")
def op():
    with OpenIdProvider(alg="ES256") as running:
        yield running


def outcome(call: Any) -> str:
    try:
        call()
    except TrustError as refused:
        told = f"{refused} {refused.detail} {refused.hint}"
        return type(refused).__name__ if "\u0000" not in told and "éé" not in told else "it repeats what it got"
    return "taken"


def seen(op: OpenIdProvider, stage: str, name: str, *, party: RelyingParty | None = None) -> set[str]:
    """The outcomes of all odd values of one member at one stage."""
    found = set()
    for value in ODD:
        change = _json(**{name: value}) if stage == "answer" else _own(name, lambda op, value=value: value)
        op._faults = (Fault("odd", stage, "", change),)
        asking = party or RelyingParty(op, max_age=3_600, acr_values=("urn:strong",), userinfo=True)
        found.add(outcome(asking.sign_in))
    op._faults = ()
    return found


@pytest.mark.parametrize("claim", CLAIMS)
def test_claims_of_an_id_token(op: OpenIdProvider, claim: str) -> None:
    assert seen(op, "id_token", claim) <= {"taken", "InvalidToken"}


@pytest.mark.parametrize("member", ANSWER)
def test_members_of_a_token_answer(op: OpenIdProvider, member: str) -> None:
    assert seen(op, "answer", member) <= {"taken", "InvalidToken", "InvalidCredential"}


@pytest.mark.parametrize("member", METADATA)
def test_members_of_the_metadata(op: OpenIdProvider, member: str) -> None:
    assert seen(op, "metadata", member) <= {"taken", "ConfigurationError", "InvalidCredential"}


@pytest.mark.parametrize("member", ["sub", "email", "name", "iss", "aud"])
@pytest.mark.parametrize("signed", [False, True])
def test_members_of_userinfo(op: OpenIdProvider, member: str, signed: bool) -> None:
    op.signed_userinfo = signed
    assert seen(op, "userinfo", member) <= {"taken", "InvalidToken"}
    op.signed_userinfo = False


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "sid", "iat", "exp", "nbf", "jti", "events", "nonce"])
def test_claims_of_a_logout_token(op: OpenIdProvider, claim: str) -> None:
    party = RelyingParty(op)
    found = {
        outcome(lambda token=token: party.login.backchannel_logout(token)) for token in odd_logout_tokens(op, claim)
    }
    assert found <= {"taken", "InvalidToken"}


def odd_logout_tokens(op: OpenIdProvider, claim: str) -> list[str]:
    made = []
    for value in ODD:
        op._faults = (Fault("odd", "logout", "", _own(claim, lambda op, value=value: value)),)
        made.append(op.logout_token())
    op._faults = ()
    return made


@pytest.mark.parametrize("member", KEYS)
def test_members_of_a_key(op: OpenIdProvider, member: str) -> None:
    found = set()
    for value in ODD:
        change = lambda keys, op, value=value: {"keys": [{**keys["keys"][0], member: value}]}  # noqa: E731  a switch
        op._faults = (Fault("odd", "keys", "", change),)
        found.add(outcome(RelyingParty(op).sign_in))
    op._faults = ()
    assert found <= {"taken", "InvalidToken", "ProviderUnavailable"}


@pytest.mark.parametrize("cookie", ODD)
def test_cookies_of_any_kind(op: OpenIdProvider, cookie: Any) -> None:
    party = RelyingParty(op)
    start = party.login.begin()
    callback = op.sign_in(start.url)
    assert outcome(lambda: party.login.complete(callback, {start.cookie.name: cookie})) == "InvalidCredential"
    assert outcome(lambda: party.login.complete(callback, jar(start))) == "taken"


@pytest.mark.parametrize("value", ODD)
def test_a_key_set_of_any_kind(op: OpenIdProvider, value: Any) -> None:
    op._faults = (Fault("odd", "keys", "", lambda keys, op: {"keys": value}),)
    assert outcome(RelyingParty(op).sign_in) == "ProviderUnavailable"
    op._faults = (Fault("odd", "keys", "", lambda keys, op: value),)
    assert outcome(RelyingParty(op).sign_in) == "ProviderUnavailable"
    op._faults = ()
