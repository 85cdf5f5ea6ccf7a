"""The relying party against every fault of `testing.op`, and what it does where the provider is sound."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from sign_ins import CALLBACK, RelyingParty, jar
from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.errors import (
    AuditUnavailable,
    ConfigurationError,
    InvalidRequest,
    ProviderUnavailable,
    StoreUnavailable,
    TrustError,
)
from wellstreak_trust.identity import (
    ClientKey,
    InvalidCredential,
    InvalidToken,
    LoginRow,
    LogoutNotice,
    MemoryLoginStore,
    MemorySessionStore,
    OidcLogin,
    OidcProvider,
    Quirks,
    SessionManager,
)
from wellstreak_trust.testing.op import FAULTS, Fault, OpenIdProvider
from wellstreak_trust.testing.op.faults import _own
from wellstreak_trust.testing.op.signing import fresh_key

UNAVAILABLE, MISCONFIGURED = "unavailable", "configuration"
SHORT = timedelta(seconds=0.3)
# What a relying party makes of each fault: the reason of `InvalidCredential`, or one of the two words above.
VERDICTS: Mapping[str, str] = {
    "metadata_other_issuer": MISCONFIGURED, "metadata_issuer_slash": MISCONFIGURED, "metadata_no_issuer": MISCONFIGURED,
    "metadata_plain_http": MISCONFIGURED, "metadata_no_keys": MISCONFIGURED, "metadata_keys_in_a_file": MISCONFIGURED,
    "metadata_status_500": UNAVAILABLE, "metadata_redirect": UNAVAILABLE, "metadata_huge": UNAVAILABLE,
    "metadata_deep": UNAVAILABLE, "metadata_not_json": UNAVAILABLE, "metadata_drip": UNAVAILABLE,
    "metadata_drip_header": UNAVAILABLE,
    "keys_status_500": UNAVAILABLE, "keys_redirect": UNAVAILABLE, "keys_huge": UNAVAILABLE, "keys_deep": UNAVAILABLE,
    "keys_not_json": UNAVAILABLE, "keys_drip": UNAVAILABLE, "keys_drip_header": UNAVAILABLE, "keys_empty": UNAVAILABLE,
    "keys_not_a_list": UNAVAILABLE, "keys_too_many": UNAVAILABLE,
    "callback_no_state": "state", "callback_other_state": "state", "callback_repeated": "parameters",
    "callback_no_issuer": "issuer", "callback_other_issuer": "issuer", "callback_no_code": "code",
    "callback_error": "access_denied", "callback_error_other_issuer": "issuer", "callback_wrong_code": "code",
    "answer_status_400": "code", "answer_status_201": "code", "answer_status_500": UNAVAILABLE,
    "answer_redirect": "code", "answer_not_json": "token_answer", "answer_list": "token_answer",
    "answer_error_200": "code", "answer_other_type": "token_answer", "answer_no_type": "token_answer",
    "answer_no_access_token": "token_answer", "answer_number_access_token": "token_answer",
    "answer_no_id_token": "token_answer", "answer_two_part_id_token": "token_answer",
    "answer_number_id_token": "token_answer",
    "id_token_no_issuer": "issuer", "id_token_other_issuer": "issuer", "id_token_issuer_prefix": "issuer",
    "id_token_no_subject": "claims", "id_token_long_subject": "subject", "id_token_number_subject": "subject",
    "id_token_no_audience": "audience", "id_token_other_audience": "audience",
    "id_token_untrusted_audience": "audience", "id_token_other_party": "azp",
    "id_token_foreign_audience_own_party": "audience", "id_token_no_expiry": "claims", "id_token_expired": "time",
    "id_token_text_expiry": "time", "id_token_no_issue": "claims", "id_token_week_old": "issued_at",
    "id_token_from_the_future": "time", "id_token_not_yet": "time", "id_token_no_nonce": "nonce",
    "id_token_other_nonce": "nonce", "id_token_other_at_hash": "at_hash", "id_token_number_at_hash": "at_hash",
    "id_token_no_auth_time": "auth_time", "id_token_old_auth_time": "auth_time",
    "id_token_text_auth_time": "auth_time", "id_token_other_acr": "acr", "id_token_no_acr": "acr",
    "signature_none": "alg", "signature_flipped": "signature", "signature_other_key": "signature",
    "signature_other_algorithm": "alg", "signature_client_secret": "alg", "signature_public_key": "alg",
    "signature_unknown_name": "key", "signature_own_key": "header", "signature_other_type": "typ",
    "userinfo_other_subject": "userinfo", "userinfo_no_subject": "userinfo", "userinfo_status_401": "userinfo",
    "userinfo_not_json": "userinfo",
}  # fmt: skip
LATER = ("refresh", "logout", "return")


@pytest.fixture(scope="module")
def op():
    with OpenIdProvider(alg="ES256") as running:
        yield running


def refusal(call: Any, *args: Any, **kwargs: Any) -> str:
    """The reason; checks that the answer is the one of every refused credential."""
    with pytest.raises(InvalidCredential) as caught:
        call(*args, **kwargs)
    blank = InvalidCredential()
    assert (caught.value.problem(), caught.value.headers(), str(caught.value)) == (
        blank.problem(), blank.headers(), str(blank),
    )  # fmt: skip
    return caught.value.reason


def test_every_fault_has_a_verdict():
    asked = {name for name, fault in FAULTS.items() if fault.refused and fault.stage not in LATER}
    assert asked == set(VERDICTS)


@pytest.mark.asvs("6.8.2", "10.5.1", "10.5.3", "10.5.4", "9.1.1", "9.1.2", "9.1.3", "9.2.1", "9.2.2", "9.2.3")
@pytest.mark.parametrize("fault", VERDICTS)
def test_what_must_be_refused_is(op: OpenIdProvider, fault: str) -> None:
    way = op.way(SHORT) if "drip" in fault else op.way()
    party = RelyingParty(op, userinfo=True, max_age=3_600, acr_values=("urn:strong",), http=way)
    wanted = {UNAVAILABLE: ProviderUnavailable, MISCONFIGURED: ConfigurationError}.get(VERDICTS[fault])
    with op.fault(fault):
        if wanted is None:
            assert refusal(party.sign_in) == VERDICTS[fault]
            return
        with pytest.raises(wanted) as caught:
            party.sign_in()
    assert isinstance(caught.value, TrustError)
    assert op.client_secret not in f"{caught.value} {caught.value.detail} {caught.value.hint}"
    op.extra_keys.clear()


@pytest.mark.parametrize(
    "fault", [name for name, fault in FAULTS.items() if not fault.refused and fault.stage not in LATER]
)
def test_what_the_standards_allow_is_taken(fault: str) -> None:
    with OpenIdProvider(alg="ES256") as op, op.fault(fault):
        if fault == "keys_without_names":
            with op.fault("signature_no_name"):
                assert RelyingParty(op).sign_in().subject == "u-1"
        else:
            assert RelyingParty(op).sign_in().subject == "u-1"


def test_what_comes_out(op: OpenIdProvider) -> None:
    party = RelyingParty(op, acr_values=("urn:strong",))
    identity = party.sign_in("/agents?page=2#top")
    assert identity.return_to == "/agents?page=2#top"
    assert (identity.issuer, identity.subject, identity.acr, identity.amr) == (op.issuer, "u-1", "urn:strong", ("pwd",))
    assert identity.sid == identity.claims["sid"]
    assert (identity.email, identity.email_proved) == ("ada@example.com", True)
    assert "Max-Age=0" in identity.cookie.header()
    shown = repr(identity)
    for secret in (identity.access_token, identity.refresh_token, identity.id_token):
        assert secret.reveal() not in shown
    assert "ada@" not in shown


@pytest.mark.asvs("10.1.2", "10.2.1", "10.2.3")
def test_what_is_asked(op: OpenIdProvider) -> None:
    """Code flow, PKCE S256, state and nonce of 256 bits, all of them new each time."""
    party = RelyingParty(op, scopes=("openid", "email"), max_age=0, acr_values=("a", "b"))
    seen = []
    for _ in range(2):
        asked = {n: v[0] for n, v in parse_qs(urlsplit(party.login.begin("/", prompt="login").url).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert (asked["scope"], asked["max_age"], asked["acr_values"]) == ("openid email", "0", "a b")
        assert (asked["redirect_uri"], asked["client_id"], asked["prompt"]) == (CALLBACK, op.client_id, "login")
        values = [asked[name] for name in ("state", "nonce", "code_challenge")]
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", value) for value in values)
        seen += values
    assert len(set(seen)) == 6
    with pytest.raises(InvalidRequest):
        party.login.begin("/", prompt="whatever")


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example/", "/\\evil.example", ""])
def test_a_return_path_is_judged_before_the_provider_is_asked(path: str) -> None:
    provider = OidcProvider("http://127.0.0.1:1", "c", "s", CALLBACK, allow_insecure_loopback=True)
    with pytest.raises(InvalidRequest):
        OidcLogin(provider, MemoryLoginStore()).begin(path)


def test_the_record_holds_nothing_to_answer_with(op: OpenIdProvider) -> None:
    party = RelyingParty(op)
    start = party.login.begin()
    state = parse_qs(urlsplit(start.url).query)["state"][0]
    (row,) = party.store._rows.values()
    stored = repr([getattr(row, name) for name in row.__slots__])
    assert state not in stored
    assert start.cookie.value not in stored
    assert "verifier" not in repr(row)


@pytest.mark.asvs("3.3.1", "3.3.2", "3.3.3", "3.3.4", "3.3.5")
def test_the_cookie(op: OpenIdProvider) -> None:
    start = RelyingParty(op).login.begin()
    assert re.fullmatch(r"ws_login_[0-9a-f]{8}", start.cookie.name)
    assert "Secure" not in start.cookie.header()
    safe = OidcLogin(op.relying_party("https://app.example/callback"), MemoryLoginStore()).begin()
    assert re.fullmatch(r"__Host-ws_login_[0-9a-f]{8}", safe.cookie.name)
    attributes = safe.cookie.header().split("; ")[1:]
    assert sorted(attributes) == ["HttpOnly", "Max-Age=600", "Path=/", "SameSite=Lax", "Secure"]
    assert len(safe.cookie.name + safe.cookie.value) < 4_096
    assert start.cookie.value not in repr(start)


def test_several_sign_ins_may_be_open(op: OpenIdProvider) -> None:
    party = RelyingParty(op)
    browser: dict[str, str] = {}
    starts = []
    for number in range(5):
        start = party.login.begin(f"/{number}", cookies=browser)
        assert start.dropped == ()
        browser |= jar(start)
        starts.append(start)
    assert len(browser) == 5
    sixth = party.login.begin("/5", cookies={**browser, "other": "x"})
    assert [cookie.name for cookie in sixth.dropped] == [starts[0].cookie.name]
    for number in (3, 0, 4, 1, 2):
        assert party.login.complete(op.sign_in(starts[number].url), browser).return_to == f"/{number}"


@pytest.mark.asvs("10.1.2", "10.2.1")
def test_a_sign_in_is_used_once_and_in_time(clock: FixedClock) -> None:
    with OpenIdProvider(alg="ES256", clock=clock) as op:
        party = RelyingParty(op)
        start = party.login.begin()
        callback = op.sign_in(start.url)
        assert party.login.complete(callback, jar(start)).subject == "u-1"
        assert refusal(party.login.complete, callback, jar(start)) == "state"
        start = party.login.begin()
        callback = op.sign_in(start.url)
        clock.advance(timedelta(minutes=10))
        assert refusal(party.login.complete, callback, jar(start)) == "state"


def test_what_nobody_came_back_from_is_swept(clock: FixedClock) -> None:
    with OpenIdProvider(alg="ES256", clock=clock) as op:
        party = RelyingParty(op)
        party.login.begin()
        assert party.login.sweep() == 0
        clock.advance(timedelta(minutes=10))
        assert party.login.sweep() == 1


def test_of_parallel_callbacks_one_goes_through(op: OpenIdProvider) -> None:
    party = RelyingParty(op)
    start = party.login.begin()
    callback = op.sign_in(start.url)

    def attempt(_: int) -> str:
        try:
            return party.login.complete(callback, jar(start)).subject
        except InvalidCredential as refused:
            return refused.reason

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(8)))
    assert outcomes.count("u-1") == 1
    assert set(outcomes) <= {"u-1", "state", "replayed"}


@pytest.mark.asvs("10.1.1")
def test_tokens_stay_behind(op: OpenIdProvider) -> None:
    """Whatever reaches the browser holds neither code nor token of this sign-in."""
    party = RelyingParty(op)
    start = party.login.begin("/home")
    identity = party.login.complete(op.sign_in(start.url), jar(start))
    sent = f"{start.url} {start.cookie.header()} {identity.return_to} {identity.cookie.header()}"
    for token in (identity.access_token, identity.refresh_token, identity.id_token):
        assert token.reveal() not in sent
    leaving = party.login.end_session()
    assert "id_token_hint" not in leaving.url  # only where the host hands it over for that


def test_a_record_that_was_changed_does_not_open(op: OpenIdProvider) -> None:
    """Who may write to the table still cannot have a verifier of his own used."""
    party = RelyingParty(op)
    start = party.login.begin()
    callback = op.sign_in(start.url)
    ((key, row),) = party.store._rows.items()
    for verifier in (b"", bytes(59), row.verifier[:-1] + bytes((row.verifier[-1] ^ 1,))):
        party.store._rows[key] = replace(row, verifier=verifier)
        assert refusal(party.login.complete, callback, jar(start)) == "tampered"
    party.store._rows[key] = row
    assert party.login.complete(callback, jar(start)).subject == "u-1"


def test_parallel_first_sign_ins_share_one_fetch_of_each_document() -> None:
    with OpenIdProvider(alg="ES256") as op:
        party = RelyingParty(op)
        with ThreadPoolExecutor(8) as pool:
            assert {each.subject for each in pool.map(lambda _: party.sign_in(), range(16))} == {"u-1"}
        assert (op.count("/jwks"), op.count("/.well-known/openid-configuration")) == (1, 1)


def test_who_comes_second_is_too_late(op: OpenIdProvider) -> None:
    """Both have read the record; one has consumed it."""

    class Late(MemoryLoginStore):
        async def consume_if(self, row: LoginRow, /) -> bool:
            assert await super().consume_if(row)
            return await super().consume_if(row)

    login = OidcLogin(op.relying_party(CALLBACK), Late())
    start = login.begin()
    callback, asked = op.sign_in(start.url), op.count("/token")
    assert refusal(login.complete, callback, jar(start)) == "replayed"
    assert op.count("/token") == asked


@pytest.mark.asvs("10.1.2", "7.6.2")
def test_nobody_else_uses_a_sign_in_up(op: OpenIdProvider) -> None:
    """All rules but the last change nothing, so the browser itself still gets in."""
    party = RelyingParty(op)
    start = party.login.begin()
    callback = op.sign_in(start.url)
    for cookies in ({}, {start.cookie.name: "A" * 43}, {start.cookie.name: "é"}, {"ws_login_00000000": "x"}):
        assert refusal(party.login.complete, callback, cookies) == "browser"
    assert refusal(party.login.complete, callback.replace("iss=", "iss=x"), jar(start)) == "issuer"
    assert refusal(party.login.complete, callback + "&code=other", jar(start)) == "parameters"
    assert party.login.complete(callback, jar(start)).subject == "u-1"


@pytest.mark.parametrize("how", ["url", "path", "query", "question"])
def test_callbacks_are_taken_as_they_come(op: OpenIdProvider, how: str) -> None:
    party = RelyingParty(op)
    start = party.login.begin()
    url = op.sign_in(start.url)
    query = url.partition("?")[2]
    forms = {"url": url + "#fragment", "path": f"/callback?{query}", "query": query, "question": f"?{query}"}
    assert party.login.complete(forms[how], jar(start)).subject == "u-1"


@pytest.mark.parametrize(
    "junk", ["", "&", "state", "state=" + "s" * 20_000, "state=%ff", "a=1&" * 200, None, 7, b"state=x"]
)
def test_junk_is_refused(op: OpenIdProvider, junk: Any) -> None:
    assert refusal(RelyingParty(op).login.complete, junk, {}) in ("parameters", "state")


@pytest.mark.parametrize("code", ["\ud800", "a\ud800", "\x00", "é", "%00%0d%0a", "a" * 8_000])
def test_an_odd_code_is_refused_by_somebody(op: OpenIdProvider, code: str) -> None:
    party = RelyingParty(op)
    start = party.login.begin()
    state = parse_qs(urlsplit(start.url).query)["state"][0]
    callback = f"code={code}&state={state}&iss={op.issuer}"
    assert refusal(party.login.complete, callback, jar(start)) in ("parameters", "code")


@pytest.mark.anyio
async def test_awaited_and_not_on_the_loop(op: OpenIdProvider) -> None:
    threads: set[int] = set()

    class Watched:
        def send(self, *args: Any) -> Any:
            threads.add(threading.get_ident())
            return op.way().send(*args)

    party = RelyingParty(op, userinfo=True, http=Watched())
    start = await party.login.abegin("/")
    callback = await asyncio.to_thread(op.sign_in, start.url)
    identity = await party.login.acomplete(callback, jar(start))
    fresh = await party.login.arefresh(identity.refresh_token, subject=identity.subject)
    assert (await party.login.auserinfo(fresh.access_token, subject="u-1"))["name"] == "Ada"
    notice = await party.login.abackchannel_logout(op.logout_token())
    assert notice.sid == "s-1"
    assert (await party.login.aend_session(identity.id_token)).url.startswith(op.issuer)
    assert (await party.login.ainitiate(f"?iss={op.issuer}")).url.startswith(op.issuer)
    assert threads
    assert threading.get_ident() not in threads
    party.login.begin()
    assert party.login.userinfo(fresh.access_token, subject="u-1")["name"] == "Ada"
    assert threading.get_ident() in threads  # the sync face waits in its caller's thread


def test_the_trail_learns_why_and_nobody_else(op: OpenIdProvider, sink: Any) -> None:
    party = RelyingParty(op)
    login = OidcLogin(party.provider, party.store, audit=sink)
    start = login.begin()
    callback = op.sign_in(start.url)
    assert refusal(login.complete, callback, {}) == "browser"
    (event,) = sink.events
    assert (event.action, event.outcome) == ("signin.failed", "denied")
    assert event.data == {"cause": "browser", "provider": op.issuer}
    sink.broken = AuditUnavailable("down")
    assert refusal(login.complete, callback, {}) == "browser"  # a trail that is down makes no outage of a refusal
    sink.broken = None
    assert login.complete(callback, jar(start)).subject == "u-1"
    assert len(sink.events) == 1


def test_faces_are_named_after_what_they_do() -> None:
    assert (OidcLogin.begin.__name__, OidcLogin.abegin.__qualname__) == ("begin", "OidcLogin.abegin")
    assert OidcLogin.complete.__doc__ == OidcLogin.acomplete.__doc__


def test_a_store_that_suspends_has_no_sync_face(op: OpenIdProvider) -> None:
    store = MemoryLoginStore()
    store.suspends = True
    with pytest.raises(ConfigurationError) as caught:
        OidcLogin(op.relying_party(CALLBACK), store).begin()
    assert caught.value.reason == "store_suspends"


# --- clients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_secret_with_signs_in_it_arrives_whole(method: str) -> None:
    with OpenIdProvider(alg="ES256", client_id="an:id %&+") as op:
        assert RelyingParty(op, auth_method=method).sign_in().subject == "u-1"
        with pytest.raises(ConfigurationError) as caught:
            RelyingParty(op, auth_method=method, client_secret="wrong").sign_in()
        assert caught.value.reason == "client"


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_private_key_jwt(alg: str) -> None:
    key = fresh_key(alg, "client-1")
    with OpenIdProvider(alg="ES256", client_key=key.private.public_key()) as op:
        secret = ClientKey(key.private, alg, "client-1")
        assert (
            RelyingParty(op, client_secret=secret, auth_method="private_key_jwt", par=True).sign_in().subject == "u-1"
        )
        assert repr(key.private) not in repr(secret)
        assert jwt.get_unverified_header(secret.sign({"iss": "c"}))["kid"] == "client-1"
        assert "kid" not in jwt.get_unverified_header(ClientKey(key.private, alg).sign({"iss": "c"}))
        stranger = ClientKey(fresh_key(alg, "client-1").private, alg, "client-1")
        with pytest.raises(ConfigurationError):
            RelyingParty(op, client_secret=stranger, auth_method="private_key_jwt").sign_in()


@pytest.mark.parametrize("demanded", [True, False])
def test_pushed_requests(demanded: bool) -> None:
    with OpenIdProvider(alg="ES256") as op:
        op.metadata = {"require_pushed_authorization_requests": demanded}
        party = RelyingParty(op, par=None if demanded else True)
        start = party.login.begin()
        assert set(parse_qs(urlsplit(start.url).query)) == {"client_id", "request_uri"}
        assert party.login.complete(op.sign_in(start.url), jar(start)).subject == "u-1"
        assert op.count("/par") == 1
        with pytest.raises(ProviderUnavailable):
            RelyingParty(op, par=True, client_secret="wrong").login.begin()
        op.metadata = {"pushed_authorization_request_endpoint": None}
        with pytest.raises(ConfigurationError):
            RelyingParty(op, par=True).login.begin()


BAD_PARTS: list[dict[str, Any]] = [
    {"issuer": "http://op.example"}, {"issuer": "https://op.example?x=1"}, {"issuer": "https://op.example#x"},
    {"issuer": "op.example"}, {"issuer": None}, {"redirect_uri": "http://app.example/cb"}, {"redirect_uri": "/cb"},
    {"redirect_uri": "https://app.example/cb#f"}, {"client_id": ""}, {"client_id": "é"}, {"client_id": 7},
    {"scopes": ("email",)}, {"scopes": "openid"}, {"scopes": ("openid email",)}, {"algorithms": ("none",)},
    {"algorithms": ("HS256",)}, {"algorithms": ("RS256", "HS256")}, {"algorithms": ()}, {"algorithms": "RS256"},
    {"max_age": -1}, {"max_age": "1"}, {"max_age": True}, {"acr_values": "urn:x"}, {"id_token_max_age": timedelta()},
    {"auth_method": "client_secret_jwt"}, {"auth_method": "private_key_jwt"}, {"auth_method": "none"},
    {"client_secret": None}, {"client_secret": ""}, {"client_secret": ClientKey("x", "ES256")},
    {"client_secret": ClientKey("x" * 32, "HS256"), "auth_method": "private_key_jwt"},
    {"post_logout_redirect_uri": "http://app.example/"}, {"quirks": Quirks(metadata_url="http://op.example/")},
]  # fmt: skip


@pytest.mark.parametrize("part", BAD_PARTS, ids=[f"{n}-{'-'.join(p)}" for n, p in enumerate(BAD_PARTS)])
def test_parts_that_do_not_fit_are_refused_at_once(part: dict[str, Any]) -> None:
    parts = {
        "issuer": "https://op.example",
        "client_id": "c",
        "client_secret": "s",
        "redirect_uri": "https://app.example/",
    }
    assert OidcProvider(**parts).issuer == "https://op.example"
    with pytest.raises(ConfigurationError):
        OidcProvider(**{**parts, **part})


def test_a_key_that_does_not_sign_is_told_of() -> None:
    short = rsa.generate_private_key(65_537, 1_024)
    for key, alg in (("no key at all", "ES256"), (short, "RS256"), (fresh_key("ES256", "k").private, "RS256")):
        with pytest.raises(ConfigurationError):
            ClientKey(key, alg).sign({"iss": "x"})


def test_a_public_client_says_who_it_is(op: OpenIdProvider) -> None:
    party = RelyingParty(op, client_secret=None, auth_method="none")
    with pytest.raises(ConfigurationError):  # this provider knows confidential clients only
        party.sign_in()
    assert op.requests[-1] == ("POST", "/token")


# --- afterwards -----------------------------------------------------------------------------------------------------


def test_a_refresh_keeps_what_was_agreed(op: OpenIdProvider) -> None:
    party = RelyingParty(op, max_age=3_600, acr_values=("urn:strong",))
    identity = party.sign_in()
    fresh = party.login.refresh(identity.refresh_token, subject=identity.subject, auth_time=identity.auth_time)
    with op.fault("refresh_other_auth_time"):
        call = (party.login.refresh, fresh.refresh_token)
        assert refusal(*call, subject=identity.subject, auth_time=identity.auth_time) == "auth_time"
    identity = party.sign_in()
    with op.fault("refresh_no_auth_time"):
        fresh = party.login.refresh(identity.refresh_token, subject=identity.subject, auth_time=identity.auth_time)
    assert fresh.refresh_token.reveal() not in repr(fresh)
    assert refusal(party.login.refresh, "unknown", subject="u-1") == "refresh"
    with op.fault("answer_no_id_token"):
        again = party.login.refresh(fresh.refresh_token, subject=identity.subject)
    assert (again.id_token, again.claims) == (None, None)


@pytest.mark.asvs("10.5.5")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("logout_no_event", "claims"), ("logout_other_event", "event"), ("logout_text_event", "event"),
        ("logout_with_nonce", "nonce"), ("logout_other_audience", "audience"), ("logout_other_issuer", "issuer"),
        ("logout_nobody", "session"), ("logout_old", "issued_at"), ("logout_expired", "time"),
        ("logout_no_expiry", "claims"), ("logout_no_name", "claims"), ("signature_flipped", "signature"),
    ],
)  # fmt: skip
def test_logout_tokens(op: OpenIdProvider, fault: str, reason: str) -> None:
    party = RelyingParty(op)
    with op.fault(fault):
        token = op.logout_token()
    assert refusal(party.login.backchannel_logout, token) == reason


@pytest.mark.parametrize("sid", ["a\0b", "a\nb", "a\u202eb"])
def test_a_session_name_that_no_store_keeps_is_refused_on_both_ways(op: OpenIdProvider, sid: str) -> None:
    odd = Fault("odd", "id_token", "", _own("sid", lambda op: sid))
    party = RelyingParty(op)
    op._faults = (odd,)
    assert refusal(party.sign_in) == "session"
    op._faults = ()
    assert refusal(party.login.backchannel_logout, op.logout_token(sid=sid)) == "session"


@pytest.mark.asvs("7.6.1", "10.5.5")
@pytest.mark.parametrize("named", ["sid", "sub", "both"])
def test_a_log_out_at_the_provider_ends_what_its_sign_in_opened(op: OpenIdProvider, named: str) -> None:
    party, sessions = RelyingParty(op), SessionManager(MemorySessionStore())
    identity = party.sign_in()
    ours = {"issuer": identity.issuer, "subject": identity.subject}
    mine = sessions.rotate(sessions.open("u", **ours, sid=identity.sid).token)
    elsewhere = sessions.open("u", **ours, sid="another sign-in")
    other = sessions.open("u", issuer="https://other.example", subject=identity.subject, sid=identity.sid)
    token = op.logout_token(
        sub=None if named == "sid" else identity.subject, sid=None if named == "sub" else identity.sid
    )
    notice = party.login.backchannel_logout(token)
    ended = sessions.end_federated(notice.issuer, subject=notice.subject, sid=notice.sid)
    alive = {each.id for each in sessions.list("u")}
    kept = {other.session.id} | (set() if named == "sub" else {elsewhere.session.id})
    assert (ended, alive) == (2 if named == "sub" else 1, kept)
    with pytest.raises(InvalidCredential):
        sessions.authenticate(mine.token)


@pytest.mark.asvs("7.6.1", "10.5.5")
def test_a_logout_token_counts_once(op: OpenIdProvider) -> None:
    party = RelyingParty(op)
    token = op.logout_token(sid=None)
    assert party.login.backchannel_logout(token).subject == "u-1"
    assert refusal(party.login.backchannel_logout, token) == "replayed"
    assert party.login.backchannel_logout(op.logout_token(sub=None)).subject is None
    assert refusal(party.login.backchannel_logout, "junk") == "shape"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_logout_token_outlives_a_host_that_could_not_end_its_sessions(op: OpenIdProvider, asynchronous: bool) -> None:
    party, token, ended = RelyingParty(op), op.logout_token(), []

    def end(notice: LogoutNotice) -> None:
        if not ended:
            ended.append(notice)
            raise StoreUnavailable("sessions")
        ended.append(notice)

    async def end_later(notice: LogoutNotice) -> None:
        end(notice)

    def tried() -> LogoutNotice:
        if asynchronous:
            return asyncio.run(party.login.abackchannel_logout(token, end=end_later))
        return party.login.backchannel_logout(token, end=end)

    with pytest.raises(StoreUnavailable):
        tried()
    assert tried() == ended[0] == ended[1]
    assert refusal(party.login.backchannel_logout, token) == "replayed"


def test_a_logout_token_that_never_ends_is_remembered_as_long_as_it_counts(clock: FixedClock) -> None:
    with OpenIdProvider(alg="ES256", clock=clock) as op:
        party = RelyingParty(op)
        token = op.logout_token(exp=253_402_300_798)
        assert party.login.backchannel_logout(token).sid == "s-1"
        for wait, reason in ((300, "replayed"), (29, "replayed"), (2, "issued_at"), (60, "issued_at")):
            clock.advance(timedelta(seconds=wait))
            assert refusal(party.login.backchannel_logout, token) == reason


def test_an_id_token_is_no_logout_token(op: OpenIdProvider) -> None:
    party = RelyingParty(op)
    assert refusal(party.login.backchannel_logout, party.sign_in().id_token) == "claims"


def test_userinfo_is_about_the_one_who_signed_in(op: OpenIdProvider) -> None:
    party = RelyingParty(op)
    identity = party.sign_in()
    assert party.login.userinfo(identity.access_token, subject="u-1")["name"] == "Ada"
    assert refusal(party.login.userinfo, identity.access_token, subject="u-2") == "userinfo"
    assert refusal(party.login.userinfo, "stolen", subject="u-1") == "userinfo"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://evil"}, "issuer"),
        ({"aud": "x"}, "audience"),
        ({"aud": ["x"]}, "audience"),
        ({"iss": ["x"]}, "issuer"),
        ({"iss": {}}, "issuer"),
    ],
)
def test_signed_userinfo_is_for_this_client(claims: dict[str, Any], reason: str) -> None:
    with OpenIdProvider(alg="ES256", signed_userinfo=True) as op:
        party = RelyingParty(op)
        sound = party.sign_in()
        assert party.login.userinfo(sound.access_token, subject="u-1")["name"] == "Ada"
        op.user = {**op.user, **claims}
        other = party.sign_in()
        assert refusal(party.login.userinfo, other.access_token, subject="u-1") == reason


def test_endpoints_that_a_provider_does_not_have(op: OpenIdProvider) -> None:
    with OpenIdProvider(alg="ES256") as bare:
        bare.metadata = {"userinfo_endpoint": None, "end_session_endpoint": None}
        party = RelyingParty(bare)
        for call in (lambda: party.login.end_session(), lambda: party.login.userinfo("x", subject="y")):
            with pytest.raises(ConfigurationError) as caught:
                call()
            assert caught.value.reason == "endpoint"


@pytest.mark.asvs("7.6.1")
def test_a_sign_out_belongs_to_one_browser(op: OpenIdProvider) -> None:
    login = RelyingParty(op, post_logout_redirect_uri="http://127.0.0.1/bye").login
    start, other = login.end_session(), login.end_session()
    back = op.sign_in(start.url)
    assert refusal(login.ended, back, jar(other)) == "state"
    assert refusal(login.ended, back, {}) == "state"
    assert refusal(login.ended, back, {start.cookie.name: "é"}) == "state"
    assert login.ended(back, jar(start)).value == ""


# --- metadata -------------------------------------------------------------------------------------------------------


def test_metadata_is_kept_for_an_hour_and_endpoints_may_move(clock: FixedClock) -> None:
    path = "/.well-known/openid-configuration"
    with OpenIdProvider(alg="ES256", clock=clock) as op:
        party = RelyingParty(op)
        party.sign_in()
        clock.advance(timedelta(minutes=59))
        party.login.begin()
        assert op.count(path) == 1
        clock.advance(timedelta(minutes=1))
        op.metadata = {"authorization_endpoint": f"{op.issuer}/authorize?moved=1", "jwks_uri": f"{op.issuer}/jwks?2"}
        assert "moved=1&" in party.login.begin().url
        assert op.count(path) == 2
        assert party.sign_in().subject == "u-1"


@pytest.mark.parametrize("fault", ["metadata_other_issuer", "metadata_status_500", "metadata_plain_http"])
def test_metadata_that_goes_bad_later_is_refused(clock: FixedClock, fault: str) -> None:
    with OpenIdProvider(alg="ES256", clock=clock) as op:
        party = RelyingParty(op)
        party.sign_in()
        clock.advance(timedelta(hours=1))
        with op.fault(fault), pytest.raises((ConfigurationError, ProviderUnavailable)):
            party.login.begin()


def test_a_bad_signature_key_set_never_becomes_an_answer_about_the_user(op: OpenIdProvider) -> None:
    """An outage is 503, never a refused credential."""
    party = RelyingParty(op)
    with op.fault("keys_status_500"), pytest.raises(ProviderUnavailable) as caught:
        party.sign_in()
    assert (caught.value.status, caught.value.code) == (503, "busy")


def test_a_trusted_second_audience(op: OpenIdProvider) -> None:
    party = RelyingParty(op, trusted_audiences=("another",))
    with op.fault("id_token_untrusted_audience"):
        assert party.sign_in().subject == "u-1"
    with op.fault("id_token_untrusted_audience", "id_token_other_party"):
        assert refusal(party.sign_in) == "azp"


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
def test_every_algorithm_and_its_hash(alg: str) -> None:
    """CVE-2026-28498: a hash that is not looked at where its algorithm is not expected."""
    with OpenIdProvider(alg=alg) as op:
        party = RelyingParty(op)
        assert party.sign_in().claims["at_hash"]
        with op.fault("id_token_other_at_hash"):
            assert refusal(party.sign_in) == "at_hash"


def test_a_token_for_another_kind_of_use_is_none(op: OpenIdProvider) -> None:
    with op.fault("logout_other_audience"):
        token = op.logout_token()
    with pytest.raises(InvalidToken):
        RelyingParty(op).login.backchannel_logout(token)
