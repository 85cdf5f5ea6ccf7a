"""Kinds of JWT: what tells one from another, so that none is taken for another (RFC 8725, 3.11 and 3.12).

===========  ==========================  ===========================================  =================
profile      `typ`                       required claims                              proves a request
===========  ==========================  ===========================================  =================
access       ``at+jwt``                  iss, sub, aud, exp, iat                      yes
id_token     ``JWT``, or none            iss, sub, aud, exp, iat                      no
logout       ``logout+jwt``; ``JWT`` or  iss, aud, exp, iat, jti, events; sub or      no
             none is tolerated           sid; no nonce
dpop         ``dpop+jwt``                iss, aud, exp, iat, jti, htm, htu            no
custom       as named                    iss, sub, aud, exp, iat                      yes
===========  ==========================  ===========================================  =================

The profile ``dpop`` is for proofs that an issuer signs with a known key. Those of clients bring their own key and have
no issuer (RFC 9449): `Dpop` verifies them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..core.errors import ConfigurationError
from .jws import media_type

__all__ = ["PROFILES", "TokenProfile", "profile_of"]

LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"

_COMMON: Final = ("iss", "sub", "aud", "exp", "iat")


@dataclass(frozen=True, slots=True)
class TokenProfile:
    """One kind of JWT. Build one for tokens that no named profile fits, such as access tokens typed plain ``JWT``.

    Args:
        typs: accepted media types in lower case without ``application/``; None accepts a missing one.
        required: claims that must be there. `exp` and `iat` always must: what never ends cannot be verified here.
        proves_requests: whether it may authenticate a request at all.
        refuses: a further rule over the claims, once those required are there: the reason of a refusal, or ``""``.

    Raises:
        ConfigurationError: no `typs`, one that could never match, or claims without `exp` and `iat`.
    """

    typs: frozenset[str | None]
    required: tuple[str, ...] = _COMMON
    proves_requests: bool = False
    refuses: Callable[[Mapping[str, Any]], str] | None = None

    def __post_init__(self) -> None:
        if not self.typs or any(typ is not None and (not typ or media_type(typ) != typ) for typ in self.typs):
            raise ConfigurationError(
                "a profile names its types", hint='typs=frozenset(("at+jwt",)), in lower case', reason="profile"
            )
        if not {"exp", "iat"} <= set(self.required):
            raise ConfigurationError("a profile requires exp and iat", reason="profile")


def _no_logout(claims: Mapping[str, Any]) -> str:
    """OpenID Connect Back-Channel Logout 1.0, 2.6: an event with an object, somebody, and never a nonce."""
    events, sid = claims["events"], claims.get("sid")
    if type(events) is not dict or type(events.get(LOGOUT_EVENT)) is not dict:
        return "event"
    if "nonce" in claims:  # else an ID token could be replayed as a logout token
        return "nonce"
    named = "sub" in claims if "sid" not in claims else type(sid) is str and sid != "" and sid.isprintable()
    return "" if named else "session"


PROFILES: Final[Mapping[str, TokenProfile]] = {
    "access": TokenProfile(frozenset(("at+jwt",)), proves_requests=True),  # RFC 9068, 2.1
    "id_token": TokenProfile(frozenset(("jwt", None))),  # OpenID Connect Core, 2
    "logout": TokenProfile(
        frozenset(("logout+jwt", "jwt", None)), ("iss", "aud", "exp", "iat", "jti", "events"), refuses=_no_logout
    ),
    "dpop": TokenProfile(frozenset(("dpop+jwt",)), ("iss", "aud", "exp", "iat", "jti", "htm", "htu")),
}


def profile_of(named: str | TokenProfile) -> TokenProfile:
    """The profile of a name, of a `typ` of one's own, or the one that is given.

    Raises:
        ConfigurationError: a name that is neither, such as a misspelt one.
    """
    if isinstance(named, TokenProfile):
        return named
    if isinstance(named, str) and named in PROFILES:
        return PROFILES[named]
    if not (isinstance(named, str) and named.isascii() and named.endswith("+jwt")):
        raise ConfigurationError(
            "an unknown token profile", hint=f"{', '.join(PROFILES)}, or a typ such as invoice+jwt", reason="profile"
        )
    return TokenProfile(frozenset((media_type(named),)), proves_requests=True)
