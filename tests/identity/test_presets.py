"""Google, Microsoft, Slack and Apple: the standard flow, with what is each one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from sign_ins import jar
from wellstreak_trust.core.errors import ConfigurationError
from wellstreak_trust.identity import ClientKey, Identity, InvalidCredential, MemoryLoginStore, OidcLogin, OidcProvider
from wellstreak_trust.identity.presets import PERSONAL, PRESETS, apple, google, microsoft, slack
from wellstreak_trust.testing.op import OpenIdProvider
from wellstreak_trust.testing.op.client import Client
from wellstreak_trust.testing.op.signing import fresh_key

CALLBACK = "https://app.example/callback"
ONE, TWO, OTHER = (f"{n}0000000-0000-0000-0000-000000000000" for n in "123")
MICROSOFT = "https://login.microsoftonline.com"


def sign_in(op: OpenIdProvider, provider: OidcProvider) -> Identity:
    login = OidcLogin(provider, MemoryLoginStore())
    start = login.begin()
    back = op.sign_in(start.url)
    callback = back if back.startswith("https:") else login.bounce(back)
    return login.complete(callback, jar(start))


def reason(op: OpenIdProvider, provider: OidcProvider) -> str:
    with pytest.raises(InvalidCredential) as caught:
        sign_in(op, provider)
    return caught.value.reason


def asked(provider: OidcProvider) -> dict[str, str]:
    url = OidcLogin(provider, MemoryLoginStore()).begin().url
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@pytest.fixture
def at() -> Any:
    """A provider under somebody's name."""
    running: list[OpenIdProvider] = []

    def start(issuer: str, **options: Any) -> OpenIdProvider:
        op = OpenIdProvider(issuer=issuer, client_secret="s", **options)
        running.append(op.__enter__())
        return op

    yield start
    for op in running:
        op.__exit__(None, None, None)


def test_google(at: Callable[..., OpenIdProvider]) -> None:
    op = at("https://accounts.google.com")
    plain = google("client", "s", CALLBACK, http=op.way())
    identity = sign_in(op, plain)
    assert (identity.issuer, identity.email_proved) == ("https://accounts.google.com", False)
    op.user = {**op.user, "email": "Ada@gmail.com"}
    assert sign_in(op, plain).email_proved
    company = google("client", "s", CALLBACK, domain="example.com", http=op.way())
    assert asked(company)["hd"] == "example.com"
    assert reason(op, company) == "demand"
    op.user = {**op.user, "email": "ada@example.com", "hd": "example.com"}
    assert sign_in(op, company).email_proved
    op.user = {**op.user, "hd": "example.com.evil.example"}
    assert reason(op, company) == "demand"
    with pytest.raises(ConfigurationError):
        google("client", "s", CALLBACK, domain="@example.com")


def test_microsoft_one_tenant(at: Callable[..., OpenIdProvider]) -> None:
    op = at(f"{MICROSOFT}/{ONE}/v2.0")
    op.claims = {"tid": ONE}
    provider = microsoft("client", "s", CALLBACK, tenants=[ONE], http=op.way())
    identity = sign_in(op, provider)
    assert (identity.issuer, identity.email_proved) == (f"{MICROSOFT}/{ONE}/v2.0", False)
    op.claims["tid"] = TWO
    assert reason(op, provider) == "demand"


@pytest.mark.parametrize(
    ("edov", "proved"), [(True, True), ("1", True), (1, True), (False, False), ("0", False), (None, False)]
)
def test_microsoft_mail_is_proof_only_if_the_domain_is_owned(
    at: Callable[..., OpenIdProvider], edov: Any, proved: bool
) -> None:
    """The claim `email` is whatever an administrator of some tenant has typed."""
    op = at(f"{MICROSOFT}/{ONE}/v2.0")
    op.claims = {"tid": ONE, "email": "ceo@victim.example", "email_verified": True, "xms_edov": edov}
    provider = microsoft("client", "s", CALLBACK, tenants=[ONE], http=op.way())
    assert sign_in(op, provider).email_proved is proved


def test_microsoft_several_tenants_share_keys_and_only_the_listed_count(at: Callable[..., OpenIdProvider]) -> None:
    op = at(f"{MICROSOFT}/organizations/v2.0")
    op.metadata = {"issuer": MICROSOFT + "/{tenantid}/v2.0"}
    provider = microsoft("client", "s", CALLBACK, tenants=[ONE, TWO], http=op.way())
    for tenant in (ONE, TWO):
        op.claims = {"tid": tenant, "iss": f"{MICROSOFT}/{tenant}/v2.0"}
        assert sign_in(op, provider).issuer == f"{MICROSOFT}/{tenant}/v2.0"
    for tid, issuer in ((OTHER, OTHER), (ONE, OTHER), (OTHER, ONE), (ONE, "{tenantid}"), (ONE, "organizations")):
        op.claims = {"tid": tid, "iss": f"{MICROSOFT}/{issuer}/v2.0"}
        assert reason(op, provider) in ("issuer", "demand")
    op.claims = {"iss": f"{MICROSOFT}/{ONE}/v2.0"}
    assert reason(op, provider) == "demand"


def test_microsoft_personal_accounts_have_a_tenant_too(at: Callable[..., OpenIdProvider]) -> None:
    op = at(f"{MICROSOFT}/common/v2.0")
    op.metadata = {"issuer": MICROSOFT + "/{tenantid}/v2.0"}
    op.claims = {"tid": PERSONAL, "iss": f"{MICROSOFT}/{PERSONAL}/v2.0"}
    assert sign_in(op, microsoft("client", "s", CALLBACK, tenants=[ONE, PERSONAL], http=op.way())).subject == "u-1"


@pytest.mark.parametrize("tenants", [[], "common", ["common"], [ONE, "contoso.example"], [ONE.replace("0", "A")]])
def test_microsoft_wants_ids(tenants: Any) -> None:
    with pytest.raises(ConfigurationError):
        microsoft("client", "s", CALLBACK, tenants=tenants)


def test_slack(at: Callable[..., OpenIdProvider]) -> None:
    op = at("https://slack.com")
    op.metadata = {"userinfo_endpoint": "https://slack.com/userinfo"}
    op.claims = {"https://slack.com/team_id": "T1"}
    assert sign_in(op, slack("client", "s", CALLBACK, http=op.way())).email_proved
    one, other = (slack("client", "s", CALLBACK, team=team, userinfo=True, http=op.way()) for team in ("T1", "T2"))
    assert sign_in(op, one).claims["name"] == "Ada"
    assert asked(one)["team"] == "T1"
    assert reason(op, other) == "demand"
    del op.claims["https://slack.com/team_id"]
    assert reason(op, one) == "demand"


class AppleClient(Client):
    """Its secret is a JWT, as Apple wants it."""

    def is_proved(self, headers: Any, form: Any, audience: str) -> bool:
        secret = form.get("client_secret", "")
        self._used.add(secret)
        claims = jwt.decode(secret, self.key, ["ES256"], audience="https://appleid.apple.com")
        kid = jwt.get_unverified_header(secret)["kid"]
        return (claims["iss"], claims["sub"], kid) == ("TEAM", form["client_id"], "KEY")


def test_apple(at: Callable[..., OpenIdProvider]) -> None:
    key = fresh_key("ES256", "KEY")
    with OpenIdProvider(issuer="https://appleid.apple.com") as op:
        op.client = AppleClient("client", "", key.private.public_key())
        op.user = {"sub": "001", "email": "x@privaterelay.appleid.com", "email_verified": "true"}
        provider = apple("client", ClientKey(key.private, "ES256", "KEY"), CALLBACK, team="TEAM", http=op.way())
        assert asked(provider)["response_mode"] == "form_post"
        assert sign_in(op, provider).email_proved
        op.user = {**op.user, "email_verified": "false"}
        assert not sign_in(op, provider).email_proved
        assert len(op.client._used) == 2, "a secret is made for each request"
        for secret in op.client._used:
            claims = jwt.decode(secret, options={"verify_signature": False})
            assert 0 < claims["exp"] - claims["iat"] <= 300
        bare = apple(
            "client", ClientKey(key.private, "ES256", "KEY"), CALLBACK, team="TEAM", scopes=("openid",), http=op.way()
        )
        assert "response_mode" not in asked(bare)
    for wrong in (ClientKey(key.private, "ES256"), ClientKey(key.private, "RS256", "KEY")):
        with pytest.raises(ConfigurationError):
            apple("client", wrong, CALLBACK, team="TEAM")


def test_a_form_is_bounced_with_what_is_needed_and_no_more(at: Callable[..., OpenIdProvider]) -> None:
    op = at("https://appleid.apple.com")
    login = OidcLogin(op.relying_party(CALLBACK), MemoryLoginStore())
    again = login.bounce(b"code=c&state=s&user=%7B%22name%22%3A1%7D&id_token=leak&extra=1")
    assert again == f"{CALLBACK}?code=c&state=s"
    with pytest.raises(InvalidCredential):
        login.bounce(b"code=c&state=s&code=d")
    assert login.bounce("") == f"{CALLBACK}?"


def test_every_preset_is_whole() -> None:
    assert set(PRESETS) == {"google", "microsoft", "slack", "apple", "github"}
    assert all(row.issuer.startswith("https://") and row.rule and row.proof for row in PRESETS.values())
