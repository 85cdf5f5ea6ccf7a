"""The providers that people ask for, as data, and the few rules that are each one's own.

`PRESETS` says what is special about each; the functions build an `OidcProvider` from its row. GitHub speaks no OpenID
Connect and is `GitHubLogin`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypedDict, Unpack

from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError
from ..core.secret import Secret
from .documents import HttpWay
from .oidc import OidcProvider, Quirks, standard_email
from .oidc_client import ClientKey, ClientSecret

__all__ = ["PERSONAL", "PRESETS", "Preset", "ProviderOptions", "apple", "google", "microsoft", "slack"]


@dataclass(frozen=True, slots=True)
class Preset:
    """What is special about a provider.

    Args:
        protocol: ``OpenID Connect`` or ``OAuth 2.0``.
        auth_method: how the client proves itself.
        subject: what names the person.
        proof: when its e-mail address is the user's.
        rule: what else must be known.
    """

    title: str
    issuer: str
    protocol: str
    scopes: tuple[str, ...]
    auth_method: str
    subject: str
    proof: str
    rule: str


_OIDC: Final = "OpenID Connect"
PRESETS: Final[Mapping[str, Preset]] = {
    "google": Preset(
        "Google",
        "https://accounts.google.com",
        _OIDC,
        ("openid", "email", "profile"),
        "client_secret_post",
        "`sub`",
        "`email_verified` is true, and it is an address of Gmail or of a Workspace (`hd`)",
        "`domain=` demands the claim `hd`; the request parameter of that name is only a hint",
    ),
    "microsoft": Preset(
        "Microsoft",
        "https://login.microsoftonline.com/{tenant}/v2.0",
        _OIDC,
        ("openid", "email", "profile"),
        "client_secret_post",
        "`sub`, another one for each client",
        "the optional claim `xms_edov` is true; `email` alone is what a tenant's administrator typed",
        "several tenants share one key set: `tenants=` lists whose tokens count",
    ),
    "slack": Preset(
        "Slack",
        "https://slack.com",
        _OIDC,
        ("openid", "email", "profile"),
        "client_secret_post",
        "`sub`",
        "`email_verified` is true",
        "`team=` demands the claim `https://slack.com/team_id`",
    ),
    "apple": Preset(
        "Apple",
        "https://appleid.apple.com",
        _OIDC,
        ("openid", "email"),
        "client_secret_post",
        "`sub`, another one for each team",
        "`email_verified` is true, which may come as text",
        "the client secret is a JWT made for each request; the answer is a form: `OidcLogin.bounce`",
    ),
    "github": Preset(
        "GitHub",
        "https://github.com",
        "OAuth 2.0",
        ("read:user", "user:email"),
        "client_secret_post",
        "the numeric `id`; a login name may pass to somebody else",
        "`/user/emails` calls it primary and verified",
        "`GitHubLogin`: no ID token, its API says who it was",
    ),
}

PERSONAL: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""Microsoft's tenant of personal accounts."""

_GUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_DOMAIN: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_SLACK_TEAM: Final = "https://slack.com/team_id"
_APPLE_SECRET: Final = timedelta(minutes=5)  # Apple takes up to six months; one request needs seconds


class ProviderOptions(TypedDict, total=False):
    """Arguments of `OidcProvider` that every preset passes on."""

    scopes: Collection[str]
    max_age: timedelta | int | None
    acr_values: Collection[str]
    userinfo: bool
    post_logout_redirect_uri: str | None
    http: HttpWay | None
    clock: Clock | None


def google(
    client_id: str,
    client_secret: str | Secret[str],
    redirect_uri: str,
    *,
    domain: str | None = None,
    **options: Unpack[ProviderOptions],
) -> OidcProvider:
    """Google.

    Args:
        domain: only members of this Workspace domain; by the signed claim, not by the address.

    Raises:
        ConfigurationError: no domain, or as `OidcProvider`.
    """
    if domain is not None and not _DOMAIN.fullmatch(domain):
        raise ConfigurationError("a domain in lower case", hint='domain="example.com"', reason="domain")
    demands = {} if domain is None else {"hd": domain}
    quirks = Quirks(demands=demands, parameters=demands, email_is_proved=_google_email)
    return _built(PRESETS["google"], (client_id, client_secret, redirect_uri), quirks, options)


def microsoft(
    client_id: str,
    client_secret: str | Secret[str],
    redirect_uri: str,
    *,
    tenants: Collection[str],
    **options: Unpack[ProviderOptions],
) -> OidcProvider:
    """Microsoft Entra ID.

    Args:
        tenants: ids (GUIDs, claim `tid`) whose users may sign in; `PERSONAL` is the one of personal accounts. With
            more than one the shared endpoint is used, whose keys sign for every tenant in the world: the list is what
            keeps them out.

    Raises:
        ConfigurationError: no tenant, or a name instead of an id.
    """
    if isinstance(tenants, str) or not tenants or not all(_GUID.fullmatch(tenant) for tenant in tenants):
        raise ConfigurationError("tenants lists ids in lower case, not names", hint="see the portal", reason="tenants")
    issuers = frozenset(_microsoft_issuer(tenant) for tenant in tenants)
    single = len(issuers) == 1
    quirks = Quirks(
        metadata_issuer=None if single else _microsoft_issuer("{tenantid}"),
        token_issuers=issuers,
        agree=_microsoft_tenant,
        email_is_proved=_microsoft_email,
    )
    shared = "common" if PERSONAL in tenants else "organizations"
    issuer = min(issuers) if single else _microsoft_issuer(shared)
    return _built(PRESETS["microsoft"], (client_id, client_secret, redirect_uri), quirks, options, issuer=issuer)


def slack(
    client_id: str,
    client_secret: str | Secret[str],
    redirect_uri: str,
    *,
    team: str | None = None,
    **options: Unpack[ProviderOptions],
) -> OidcProvider:
    """Slack.

    Args:
        team: only members of this workspace, by its id (``T...``).

    Raises:
        ConfigurationError: as `OidcProvider`.
    """
    demands, hint = ({}, {}) if team is None else ({_SLACK_TEAM: team}, {"team": team})
    return _built(
        PRESETS["slack"], (client_id, client_secret, redirect_uri), Quirks(demands=demands, parameters=hint), options
    )


def apple(
    client_id: str,
    client_key: ClientKey,
    redirect_uri: str,
    *,
    team: str,
    **options: Unpack[ProviderOptions],
) -> OidcProvider:
    """Apple.

    Args:
        client_id: the services id.
        client_key: the private key that Apple handed out: ES256, with its key id as `kid`.
        team: the team id.

    Raises:
        ConfigurationError: another kind of key, or as `OidcProvider`.
    """
    if client_key.alg != "ES256" or not client_key.kid or not team:
        raise ConfigurationError("Apple wants an ES256 key with its key id, and the team id", reason="client_key")
    clock = options.get("clock") or SystemClock()

    def secret() -> str:
        now = int(clock.now().timestamp())
        ends = now + int(_APPLE_SECRET.total_seconds())
        return client_key.sign({"iss": team, "sub": client_id, "aud": issuer, "iat": now, "exp": ends})

    issuer = PRESETS["apple"].issuer
    scopes = options.get("scopes", PRESETS["apple"].scopes)
    form = {"response_mode": "form_post"} if {"name", "email"}.intersection(scopes) else {}
    quirks = Quirks(parameters=form, email_is_proved=_apple_email)
    return _built(PRESETS["apple"], (client_id, secret, redirect_uri), quirks, options)


def _built(
    row: Preset,
    client: tuple[str, ClientSecret, str],
    quirks: Quirks,
    options: ProviderOptions,
    *,
    issuer: str = "",
) -> OidcProvider:
    given: ProviderOptions = {"scopes": row.scopes, **options}
    return OidcProvider(
        issuer or row.issuer,
        *client,
        algorithms=("RS256",),
        auth_method=row.auth_method,
        quirks=quirks,
        **given,
    )


def _microsoft_issuer(tenant: str) -> str:
    return PRESETS["microsoft"].issuer.replace("{tenant}", tenant)


def _microsoft_tenant(claims: Mapping[str, Any]) -> bool:
    """Whether the issuer is the one rebuilt from the tenant that the token names."""
    return isinstance(claims.get("tid"), str) and claims["iss"] == _microsoft_issuer(claims["tid"])


def _microsoft_email(claims: Mapping[str, Any]) -> bool:
    return claims.get("xms_edov") in (True, "1", "true")  # documented as boolean, seen as text and as 1


def _apple_email(claims: Mapping[str, Any]) -> bool:
    return claims.get("email_verified") in (True, "true")


def _google_email(claims: Mapping[str, Any]) -> bool:
    """Google vouches for mailboxes that it runs; of others it only once saw a link opened."""
    runs_it = "hd" in claims or str(claims.get("email", "")).lower().endswith("@gmail.com")
    return standard_email(claims) and runs_it
