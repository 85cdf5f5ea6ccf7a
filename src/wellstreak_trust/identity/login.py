"""Sign-in with a provider: what comes out of it, whatever the provider speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..core.secret import Secret
from .cookies import Cookie

__all__ = ["Identity", "LogoutNotice", "LogoutStart", "RefreshedTokens"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in, as the provider says. The key of a person is (issuer, subject), never the address.

    Args:
        claims: verified; of userinfo too, where it was asked.
        return_to: the path that `begin` was given.
        sid: the provider's name for its session, which a back-channel logout may name.
        auth_time, acr, amr: when and how the user signed in there, as far as it says.
        access_token, refresh_token, id_token: keep them in a `SecretStore`, or not at all.
        email: the address, if there is one; `email_proved` tells whether the provider proves that it is the user's.
        cookie: takes the cookie of this sign-in out of the browser.
    """

    issuer: str
    subject: str = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)
    return_to: str
    sid: str | None = field(repr=False)
    auth_time: datetime | None
    acr: str | None
    amr: tuple[str, ...]
    access_token: Secret[str]
    refresh_token: Secret[str] | None
    id_token: Secret[str] | None
    email: str | None = field(default=None, repr=False)
    email_proved: bool = False
    cookie: Cookie | None = None


@dataclass(frozen=True, slots=True)
class RefreshedTokens:
    """What a refresh brought. A provider may keep the refresh token or hand out a new one.

    Args:
        refresh_token: the one to use next time.
        id_token, claims: None where the provider sent no new ID token.
    """

    access_token: Secret[str]
    refresh_token: Secret[str]
    id_token: Secret[str] | None
    claims: Mapping[str, Any] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """A provider says that a session is over: end those of (issuer, sid), or without a sid of (issuer, subject)."""

    issuer: str
    subject: str | None = field(repr=False)
    sid: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class LogoutStart:
    """Where to send the browser to sign out at the provider too, and what it must keep until it comes back."""

    url: str = field(repr=False)
    cookie: Cookie
