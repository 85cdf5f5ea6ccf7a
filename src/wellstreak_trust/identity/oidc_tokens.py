"""What an ID token, signed userinfo and a logout token must say, beyond the rules of every JWT (`jwt`).

For an ID token, after signature, issuer, audience, subject and times (OpenID Connect Core, 3.1.3.7); the reason of a
refusal is the first word:

* ``audience``: it names this client, and nobody who is not trusted.
* ``azp``: there if there are several audiences; this client wherever it stands.
* ``issued_at``: not long ago.
* ``nonce``: the one of this very sign-in.
* ``at_hash``: of this very access token, wherever it stands.
* ``auth_time``: a time; there and recent enough if a maximum age was asked for, zero included.
* ``acr``: one of those asked for.
* ``session``: a `sid` that is text is printable, or no session could be kept under it for a log-out to find.
* ``demand``: a claim that the configuration demands, such as Google's `hd`.
* ``subject``, ``auth_time``: on a refresh, the same as before.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256, sha384, sha512
from hmac import compare_digest
from typing import Any, Final

from ..core.errors import InvalidToken
from .jwks import JwksSource
from .jws import header_of, json_object, open_jws
from .jwt import Claims, JwtVerifier
from .oidc import OidcProvider
from .waiting import Waiter

__all__ = ["LEEWAY", "LOGOUT_AGE", "Expected", "auth_time_of", "read_id_token", "read_logout_token", "read_userinfo"]

LEEWAY: Final = timedelta(seconds=30)
LOGOUT_AGE: Final = timedelta(minutes=5)
_LAST: Final = 253_402_300_799
# The hash of an algorithm's own signature (Core, 3.1.3.6); Ed25519 hashes with SHA-512 inside.
_HASHES: Final[Mapping[str, Callable[[bytes], Any]]] = {"256": sha256, "384": sha384, "512": sha512, "DSA": sha512}


@dataclass(frozen=True, slots=True)
class Expected:
    """What an ID token is held against.

    Args:
        access_token: that came with it.
        nonce: SHA-256 of the sign-in's nonce; None on a refresh, where none is asked for.
        subject, auth_time: of the sign-in that is refreshed.
    """

    access_token: str = field(repr=False)
    nonce: bytes | None = field(default=None, repr=False)
    subject: str | None = field(default=None, repr=False)
    auth_time: datetime | None = None


async def read_id_token(provider: OidcProvider, wait: Waiter, token: str, expected: Expected) -> Claims:
    """The claims of an ID token that passes every rule above.

    Raises:
        InvalidToken: the first rule that failed is in `reason`.
        ProviderUnavailable: the provider's keys cannot be had.
    """
    claims, alg = await _verified(provider, wait, token, "id_token")
    now = provider.clock.now()
    _check_audience(provider, claims)
    if claims["iat"] < (now - provider.id_token_max_age - LEEWAY).timestamp():
        raise InvalidToken("issued too long ago", reason="issued_at")
    _check_nonce(claims, expected.nonce)
    _check_access_token(claims, alg, expected.access_token)
    _check_sign_in(provider, claims, expected, now)
    sid = claims.get("sid")
    if isinstance(sid, str) and not sid.isprintable():
        raise InvalidToken("a session with a name that cannot be kept", reason="session")
    for name, value in provider.quirks.demands.items():
        if claims.get(name) != value:
            raise InvalidToken(f"the claim {name} is not the one demanded", reason="demand")
    if provider.quirks.agree is not None and not provider.quirks.agree(claims):
        raise InvalidToken("claims that contradict each other", reason="demand")
    if expected.subject is not None and claims["sub"] != expected.subject:
        raise InvalidToken("refreshed for another subject", reason="subject")
    return claims


async def read_userinfo(provider: OidcProvider, wait: Waiter, token: str) -> Claims:
    """The claims of signed userinfo (OpenID Connect Core, 5.3.2): under the same keys, for this client.

    Raises:
        InvalidToken: the signature, or an issuer or audience that is there and another.
    """
    keys = await _keys(provider, wait, token)
    _, payload = open_jws(token, keys, provider.algorithms)
    claims = json_object(payload, "payload")
    issuer, audience = claims.get("iss", min(provider.token_issuers)), claims.get("aud", provider.client_id)
    if not isinstance(issuer, str) or issuer not in provider.token_issuers:
        raise InvalidToken("another issuer", reason="issuer")
    if provider.client_id not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidToken("another audience", reason="audience")
    return Claims(claims)


async def read_logout_token(provider: OidcProvider, wait: Waiter, token: str) -> Claims:
    """The claims of a logout token (OpenID Connect Back-Channel Logout, 2.6), but for `jti` having been seen.

    Raises:
        InvalidToken: ``issued_at`` beside the reasons of the profile ``logout``.
    """
    claims, _ = await _verified(provider, wait, token, "logout")
    if claims["iat"] < (provider.clock.now() - LOGOUT_AGE - LEEWAY).timestamp():
        raise InvalidToken("issued too long ago", reason="issued_at")
    return claims


async def _keys(provider: OidcProvider, wait: Waiter, token: str) -> JwksSource:
    """The provider's keys, with the one that this token names already fetched."""
    keys, header = await provider.keys(wait), header_of(token)
    if header is not None and header.alg in provider.algorithms:
        await keys.search(wait, header.alg, header.kid)
    return keys


async def _verified(provider: OidcProvider, wait: Waiter, token: str, profile: str) -> tuple[Claims, str]:
    """The claims, and the algorithm that the signature was verified with."""
    keys = await _keys(provider, wait, token)
    header = header_of(token)
    verifier = JwtVerifier(
        keys,
        issuer=_issuer(provider, token),
        audience=provider.client_id,
        profile=profile,
        algorithms=provider.algorithms,
        leeway=LEEWAY,
        max_lifetime=None,  # its age decides, not how long the provider would like it to count
        clock=provider.clock,
    )
    claims = verifier.verify(token)
    return claims, header.alg if header is not None else ""


def _issuer(provider: OidcProvider, token: str) -> str:
    """Which of the configured issuers to hold the token against. What it says of itself only chooses among them."""
    issuers = provider.token_issuers
    if len(issuers) == 1 or token.count(".") != 2:
        return min(issuers)
    segment = token.split(".")[1]
    try:
        named = json_object(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)), "payload").get("iss")
    except (ValueError, InvalidToken):
        return min(issuers)
    return named if isinstance(named, str) and named in issuers else min(issuers)


def _check_audience(provider: OidcProvider, claims: Mapping[str, Any]) -> None:
    named = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if not provider.trusted_audiences.issuperset(name for name in named if name != provider.client_id):
        raise InvalidToken("an audience that is not trusted", reason="audience")
    party = claims.get("azp", None if len(set(named)) > 1 else provider.client_id)
    if party != provider.client_id:
        raise InvalidToken("not issued to this client", reason="azp")


def _check_nonce(claims: Mapping[str, Any], expected: bytes | None) -> None:
    if expected is None:
        return
    nonce = claims.get("nonce")
    found = nonce.encode("utf-8", "replace") if isinstance(nonce, str) else b""
    if not compare_digest(sha256(found).digest(), expected):
        raise InvalidToken("not the nonce of this sign-in", reason="nonce")


def _check_access_token(claims: Mapping[str, Any], alg: str, access_token: str) -> None:
    if "at_hash" not in claims:
        return
    digest = _HASHES[alg[-3:]](access_token.encode("utf-8")).digest()
    half = urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    found = claims["at_hash"]
    if not isinstance(found, str) or not compare_digest(found.encode("utf-8", "replace"), half):
        raise InvalidToken("not the hash of this access token", reason="at_hash")


def _check_sign_in(provider: OidcProvider, claims: Mapping[str, Any], expected: Expected, now: datetime) -> None:
    """When and how the user signed in at the provider."""
    since: Any = claims.get("auth_time")
    if "auth_time" in claims and (type(since) not in (int, float) or not 0 <= since < _LAST):
        raise InvalidToken("the time of the sign-in is none", reason="auth_time")
    if expected.subject is not None:  # a refresh: the user need not be there, so nothing may have changed
        if None not in (since, expected.auth_time) and datetime.fromtimestamp(since, UTC) != expected.auth_time:
            raise InvalidToken("another sign-in than before", reason="auth_time")
        return
    if provider.max_age is not None:
        oldest = (now - timedelta(seconds=provider.max_age) - LEEWAY).timestamp()
        if since is None or not oldest <= since <= (now + LEEWAY).timestamp():
            raise InvalidToken("signed in too long ago, or nobody says when", reason="auth_time")
    if provider.acr_values and claims.get("acr") not in provider.acr_values:
        raise InvalidToken("not a level that was asked for", reason="acr")


def auth_time_of(claims: Mapping[str, Any]) -> datetime | None:
    """The time of the sign-in at the provider, of claims that passed."""
    since = claims.get("auth_time")
    return None if since is None else datetime.fromtimestamp(since, UTC)
