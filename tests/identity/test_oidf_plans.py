"""The OpenID Foundation's test plans for relying parties, one test a module, under the suite's own names.

Each module is a behaviour of the provider; what a relying party must make of it is asserted here. They are played by
`testing.op` over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sign_ins import CALLBACK, RelyingParty, jar
from wellstreak_trust.core.errors import ConfigurationError, InvalidRequest
from wellstreak_trust.identity import ClientKey, InvalidCredential, OidcLogin
from wellstreak_trust.testing.op import OpenIdProvider
from wellstreak_trust.testing.op.signing import fresh_key

BASIC = [
    ("oidcc-client-test-invalid-iss", "id_token_other_issuer", "issuer"),
    ("oidcc-client-test-missing-sub", "id_token_no_subject", "claims"),
    ("oidcc-client-test-invalid-aud", "id_token_other_audience", "audience"),
    ("oidcc-client-test-missing-aud", "id_token_no_audience", "audience"),
    ("oidcc-client-test-missing-iat", "id_token_no_issue", "claims"),
    ("oidcc-client-test-idtoken-sig-none", "signature_none", "shape|alg"),
    ("oidcc-client-test-invalid-sig-rs256", "signature_flipped", "signature"),
    ("oidcc-client-test-invalid-sig-hs256", "signature_client_secret", "alg"),
    ("oidcc-client-test-nonce-invalid", "id_token_other_nonce", "nonce"),
    ("oidcc-client-test-invalid-athash", "id_token_other_at_hash", "at_hash"),
    ("oidcc-client-test-userinfo-invalid-sub", "userinfo_other_subject", "userinfo"),
    ("fapi2-security-profile-final-client-test-invalid-authorization-response-iss", "callback_other_issuer", "issuer"),
    ("fapi2-security-profile-final-client-test-remove-authorization-response-iss", "callback_no_issuer", "issuer"),
    (
        "fapi2-security-profile-final-client-test-ensure-authorization-response-with-invalid-state-fails",
        "callback_other_state",
        "state",
    ),
    (
        "fapi2-security-profile-final-client-test-ensure-authorization-response-with-invalid-missing-state-fails",
        "callback_no_state",
        "state",
    ),
    ("fapi2-security-profile-final-client-test-invalid-iss", "id_token_other_issuer", "issuer"),
    ("fapi2-security-profile-final-client-test-invalid-aud", "id_token_other_audience", "audience"),
    ("fapi2-security-profile-final-client-test-invalid-nonce", "id_token_other_nonce", "nonce"),
    ("fapi2-security-profile-final-client-test-invalid-secondary-aud", "id_token_untrusted_audience", "audience"),
    ("fapi2-security-profile-final-client-test-invalid-alternate-alg", "signature_other_algorithm", "alg"),
    ("fapi2-security-profile-final-client-test-invalid-null-alg", "signature_none", "shape|alg"),
    ("fapi2-security-profile-final-client-test-invalid-expired-exp", "id_token_expired", "time"),
    ("fapi2-security-profile-final-client-test-invalid-missing-aud", "id_token_no_audience", "audience"),
    ("fapi2-security-profile-final-client-test-invalid-missing-exp", "id_token_no_expiry", "claims"),
    ("fapi2-security-profile-final-client-test-invalid-missing-iss", "id_token_no_issuer", "issuer"),
    ("fapi2-security-profile-final-client-test-invalid-missing-nonce", "id_token_no_nonce", "nonce"),
    ("fapi1-advanced-final-client-test-iat-is-week-in-past", "id_token_week_old", "issued_at"),
]
ACCEPTED = [
    ("oidcc-client-test-missing-athash", "id_token_no_at_hash"),
    ("oidcc-client-test-kid-absent-single-jwks", "signature_no_name"),
    ("oidcc-client-test-signing-key-rotation-just-before-signing", "signature_rotated"),
    ("fapi2-security-profile-final-client-test-valid-aud-as-array", "id_token_audience_list"),
    ("fapi2-security-profile-final-client-test-token-endpoint-response-without-expires_in", "answer_no_expiry"),
    ("fapi2-security-profile-final-client-test-token-type-case-insensitivity", "answer_type_case"),
]
REFRESH = [
    ("oidcc-client-test-refresh-token-invalid-issuer", "refresh_other_issuer", "issuer"),
    ("oidcc-client-test-refresh-token-invalid-sub", "refresh_other_subject", "subject"),
    ("oidcc-client-test-refresh-token-invalid-aud", "refresh_other_audience", "audience"),
]
LOGOUT = [
    ("oidcc-client-test-rp-backchannel-rpinitlogout-alg-none", "signature_none", "shape|alg"),
    ("oidcc-client-test-rp-backchannel-rpinitlogout-no-event", "logout_no_event", "claims"),
    ("oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce", "logout_with_nonce", "nonce"),
    ("oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg", "signature_other_algorithm", "alg"),
    ("oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud", "logout_other_audience", "audience"),
    ("oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event", "logout_other_event", "event"),
    ("oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss", "logout_other_issuer", "issuer"),
]


def named(cases: list[Any]) -> dict[str, Any]:
    return {"argvalues": [case[1:] for case in cases], "ids": [case[0] for case in cases]}


@pytest.fixture(scope="module")
def op():
    with OpenIdProvider() as running:
        yield running


def refusal(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(InvalidCredential) as caught:
        call(*args, **kwargs)
    blank = InvalidCredential()
    assert (caught.value.problem(), str(caught.value)) == (blank.problem(), str(blank))
    return caught.value.reason


@pytest.mark.asvs("6.8.2", "10.5.1", "10.5.4", "9.1.1", "9.1.2", "9.2.3")
@pytest.mark.parametrize(("fault", "reason"), **named(BASIC))
def test_refused(op: OpenIdProvider, fault: str, reason: str) -> None:
    party = RelyingParty(op, userinfo=True)
    with op.fault(fault):
        assert refusal(party.sign_in) in reason.split("|")


@pytest.mark.parametrize("fault", [fault for _, fault in ACCEPTED], ids=[name for name, _ in ACCEPTED])
def test_accepted(op: OpenIdProvider, fault: str) -> None:
    party = RelyingParty(op)
    with op.fault(fault):
        assert party.sign_in().subject == "u-1"


@pytest.mark.parametrize(("fault", "reason"), **named(REFRESH))
def test_refused_on_refresh(op: OpenIdProvider, fault: str, reason: str) -> None:
    party = RelyingParty(op)
    identity = party.sign_in()
    with op.fault(fault):
        assert refusal(party.login.refresh, identity.refresh_token, subject=identity.subject) == reason


@pytest.mark.asvs("10.5.5")
@pytest.mark.parametrize(("fault", "reason"), **named(LOGOUT))
def test_refused_as_logout(op: OpenIdProvider, fault: str, reason: str) -> None:
    party = RelyingParty(op)
    with op.fault(fault):
        token = op.logout_token()
    assert refusal(party.login.backchannel_logout, token) in reason.split("|")


def client_test(op: OpenIdProvider) -> None:
    """And idtoken-sig-rs256, client-secret-basic: the defaults."""
    identity = RelyingParty(op).sign_in("/agents?page=2")
    assert (identity.issuer, identity.subject, identity.return_to) == (op.issuer, "u-1", "/agents?page=2")


def sig_rs256(op: OpenIdProvider) -> None:
    assert RelyingParty(op, algorithms=("RS256",)).sign_in().subject == "u-1"


def sig_es256(op: OpenIdProvider) -> None:
    """A flipped bit, under the other common algorithm."""
    with OpenIdProvider(alg="ES256") as elliptic:
        party = RelyingParty(elliptic)
        assert party.sign_in().subject == "u-1"
        with elliptic.fault("signature_flipped"):
            assert refusal(party.sign_in) == "signature"


def kid_absent_multiple(op: OpenIdProvider) -> None:
    """Either is allowed; here no key is guessed."""
    with OpenIdProvider(alg="ES256") as several:
        several.rotate(withdraw=False)
        with several.fault("signature_no_name"):
            assert refusal(RelyingParty(several).sign_in) == "key"


def scope_userinfo_claims(op: OpenIdProvider) -> None:
    identity = RelyingParty(op, userinfo=True, scopes=("openid", "profile", "email")).sign_in()
    assert identity.claims["name"] == "Ada"
    assert (identity.email, identity.email_proved) == ("ada@example.com", True)


def secret_basic(op: OpenIdProvider) -> None:
    assert RelyingParty(op, auth_method="client_secret_basic").sign_in().subject == "u-1"


def userinfo_bearer_header(op: OpenIdProvider) -> None:
    before = op.count("/userinfo")
    assert RelyingParty(op, userinfo=True).sign_in().claims["name"] == "Ada"
    assert op.count("/userinfo") == before + 1
    assert all("access_token" not in path for _, path in op.requests)


def userinfo_signed(op: OpenIdProvider) -> None:
    with OpenIdProvider(alg="ES256", signed_userinfo=True) as signing:
        party = RelyingParty(signing, userinfo=True)
        assert party.sign_in().claims["name"] == "Ada"
        with signing.fault("userinfo_other_subject"):
            assert refusal(party.sign_in) == "userinfo"
        identity = RelyingParty(signing).sign_in()
        with signing.fault("signature_none"):
            assert refusal(party.login.userinfo, identity.access_token, subject="u-1") in ("shape", "alg")


def discovery(op: OpenIdProvider) -> None:
    before = op.count("/.well-known/openid-configuration")
    party = RelyingParty(op)
    party.sign_in()
    party.sign_in()
    assert op.count("/.well-known/openid-configuration") == before + 1


def jwks_uri_keys(op: OpenIdProvider) -> None:
    before = op.count("/jwks")
    party = RelyingParty(op)
    party.sign_in()
    party.sign_in()
    assert op.count("/jwks") == before + 1


def issuer_mismatch(op: OpenIdProvider) -> None:
    with op.fault("metadata_other_issuer"), pytest.raises(ConfigurationError) as caught:
        RelyingParty(op).login.begin()
    assert caught.value.reason == "issuer"


def key_rotation(op: OpenIdProvider) -> None:
    with OpenIdProvider(alg="ES256") as rotating:
        party = RelyingParty(rotating)
        party.sign_in()
        rotating.rotate()
        assert party.sign_in().subject == "u-1"


def form_post_error(op: OpenIdProvider) -> None:
    with OpenIdProvider(alg="ES256", form_post=True) as posting, posting.fault("callback_error"):
        party = RelyingParty(posting)
        start = party.login.begin()
        again = party.login.bounce(posting.sign_in(start.url))
        assert again.startswith(CALLBACK + "?")
        assert refusal(party.login.complete, again, jar(start)) == "access_denied"


def third_party_login(op: OpenIdProvider) -> None:
    party = RelyingParty(op)
    start = party.login.initiate(f"/login?iss={op.issuer}&target_link_uri=http://127.0.0.1/agents&login_hint=ada")
    assert "login_hint=ada" in start.url
    assert party.login.complete(op.sign_in(start.url), jar(start)).return_to == "/agents"
    for query in ("iss=https://evil.example", f"iss={op.issuer}&target_link_uri=https://evil.example/", "login_hint=a"):
        with pytest.raises(InvalidRequest):
            party.login.initiate(query)


def refresh_token(op: OpenIdProvider) -> None:
    party = RelyingParty(op)
    identity = party.sign_in()
    fresh = party.login.refresh(identity.refresh_token, subject=identity.subject, auth_time=identity.auth_time)
    assert fresh.claims["sub"] == identity.subject
    assert fresh.refresh_token != identity.refresh_token


def backchannel_logout(op: OpenIdProvider) -> None:
    party = RelyingParty(op)
    identity = party.sign_in()
    notice = party.login.backchannel_logout(op.logout_token(sub=identity.subject, sid=identity.sid))
    assert (notice.issuer, notice.subject, notice.sid) == (op.issuer, "u-1", identity.sid)


def signed_out(op: OpenIdProvider) -> tuple[OidcLogin, Any, str]:
    party = RelyingParty(op, post_logout_redirect_uri="http://127.0.0.1/bye")
    start = party.login.end_session(party.sign_in().id_token)
    assert "id_token_hint=" in start.url
    return party.login, start, op.sign_in(start.url)


def rp_logout(op: OpenIdProvider) -> None:
    login, start, back = signed_out(op)
    assert back.startswith("http://127.0.0.1/bye?state=")
    assert "Max-Age=0" in login.ended(back, jar(start)).header()


def rp_logout_refused(fault: str) -> Callable[[OpenIdProvider], None]:
    def module(op: OpenIdProvider) -> None:
        with op.fault(fault):
            login, start, back = signed_out(op)
        assert refusal(login.ended, back, jar(start)) == "state"

    return module


def fapi_happy_path(op: OpenIdProvider) -> None:
    """Pushed request, private_key_jwt, PS256, userinfo."""
    key = fresh_key("PS256", "client-1")
    with OpenIdProvider(alg="PS256", client_key=key.private.public_key()) as strict:
        strict.metadata = {"require_pushed_authorization_requests": True}
        secret = ClientKey(key.private, "PS256", "client-1")
        party = RelyingParty(strict, client_secret=secret, auth_method="private_key_jwt", userinfo=True)
        assert party.sign_in().claims["name"] == "Ada"
        assert strict.count("/par") == 1


FLOWS = {
    "oidcc-client-test": client_test,
    "oidcc-client-test-idtoken-sig-rs256": sig_rs256,
    "oidcc-client-test-invalid-sig-es256": sig_es256,
    "oidcc-client-test-kid-absent-multiple-jwks": kid_absent_multiple,
    "oidcc-client-test-scope-userinfo-claims": scope_userinfo_claims,
    "oidcc-client-test-client-secret-basic": secret_basic,
    "oidcc-client-test-userinfo-bearer-header": userinfo_bearer_header,
    "oidcc-client-test-userinfo-signed": userinfo_signed,
    "oidcc-client-test-discovery-openid-config": discovery,
    "oidcc-client-test-discovery-jwks-uri-keys": jwks_uri_keys,
    "oidcc-client-test-discovery-issuer-mismatch": issuer_mismatch,
    "fapi2-security-profile-final-client-test-discovery-issuer-mismatch": issuer_mismatch,
    "fapi2-security-profile-final-client-test-happy-path": fapi_happy_path,
    "oidcc-client-test-signing-key-rotation": key_rotation,
    "oidcc-client-test-form-post-error": form_post_error,
    "oidcc-client-test-3rd-party-init-login": third_party_login,
    "oidcc-client-test-refresh-token": refresh_token,
    "oidcc-client-test-rp-backchannel-rpinitlogout": backchannel_logout,
    "oidcc-client-test-rp-init-logout": rp_logout,
    "oidcc-client-test-rp-init-logout-no-state": rp_logout_refused("return_no_state"),
    "oidcc-client-test-rp-init-logout-other-state": rp_logout_refused("return_other_state"),
}


@pytest.mark.parametrize("module", FLOWS.values(), ids=FLOWS)
def test_flow(op: OpenIdProvider, module: Callable[[OpenIdProvider], None]) -> None:
    assert module(op) is None


@pytest.mark.asvs("6.8.4")
def test_a_maximum_age_is_asked_for_and_held_to(op: OpenIdProvider) -> None:
    for span in (timedelta(hours=1), 0):
        party = RelyingParty(op, max_age=span)
        start = party.login.begin()
        assert f"max_age={0 if span == 0 else 3600}" in start.url
        assert party.login.complete(op.sign_in(start.url), jar(start)).auth_time is not None
        for fault in ("id_token_no_auth_time", "id_token_old_auth_time"):
            with op.fault(fault):
                assert refusal(party.sign_in) == "auth_time"
