"""Access tokens and other JWTs: a signature, then claims, every one with the type that the standard gives it.

Checks run in the order of RFC 8725 and the first one that fails decides `InvalidToken.reason`: ``shape``, ``header``,
``alg``, ``typ``, ``key``, ``signature``, ``payload``, ``issuer``, ``audience``, ``subject``, ``claims``, ``time``,
``lifetime``. Callers see one answer for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError, InvalidToken
from ..core.principal import Principal
from .authenticator import Credential
from .jws import admitted_algorithms, header_of, json_object, open_jws
from .keys import KeyFinder
from .presented import Presented

__all__ = ["Claims", "JwtVerifier", "TokenProfile"]

MAX_LEEWAY: Final = timedelta(minutes=5)
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z
_SUBJECT_LIMIT: Final = 255
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TokenProfile:
    """One kind of JWT: which `typ` it carries and which claims it must have (RFC 8725, 3.11 and 3.12).

    Args:
        typs: accepted media types in lower case without ``application/``; None accepts a missing one.
        proves_requests: whether it may authenticate a request at all.
    """

    typs: frozenset[str | None]
    required: tuple[str, ...] = ("iss", "sub", "aud", "exp", "iat")
    proves_requests: bool = False


_PROFILES: Final[Mapping[str, TokenProfile]] = {
    "access": TokenProfile(frozenset(("at+jwt",)), proves_requests=True),  # RFC 9068, 2.1
    "id_token": TokenProfile(frozenset(("jwt", None))),  # OpenID Connect Core, 2
    "logout": TokenProfile(frozenset(("logout+jwt", "jwt", None)), ("iss", "aud", "exp", "iat", "jti", "events")),
}


class Claims(Mapping[str, Any]):
    """Verified claims, read-only. `repr` shows names only: values are personal data."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values: Mapping[str, Any] = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Claims({', '.join(sorted(self._values))})"


class JwtVerifier:
    """Verifies the tokens of one issuer for one audience.

    Args:
        keys: the issuer's keys: a `KeySet`, or a `JwksSource` that fetches them.
        issuer, audience: compared exactly (RFC 7519, 4.1; CVE-2024-53861).
        profile: ``access``, ``id_token``, ``logout``, or a `typ` of one's own such as ``invoice+jwt``.
        algorithms: what may sign; ``none`` and unknown names refuse the verifier.
        leeway: how far two clocks may be apart, at most 5 minutes.
        max_lifetime: longest `exp` - `iat`; None takes any.
        required: further claims that must be there, such as ``("client_id", "jti")`` for RFC 9068 in full.
        principal: who a token proves, for `Authenticator`. By default `sub` is the id, which is right only for an
            issuer whose subjects are the host's own users: elsewhere two issuers may give two people one `sub`.

    Raises:
        ConfigurationError: an argument that would verify nothing, or anything.
    """

    cookie_name: None = None
    suspends: bool = False

    def __init__(
        self,
        keys: KeyFinder,
        *,
        issuer: str,
        audience: str,
        profile: str = "access",
        algorithms: Collection[str] = ("RS256", "PS256", "ES256", "EdDSA"),
        leeway: timedelta = timedelta(seconds=30),
        max_lifetime: timedelta | None = _DAY,
        required: Collection[str] = (),
        principal: Callable[[Claims], Principal] | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not all(callable(getattr(keys, name, None)) for name in ("find", "afind")):
            raise ConfigurationError(
                "keys is a KeySet or a JwksSource", hint="KeySet.from_jwks, from_pem or from_secret", reason="key"
            )
        if not all(isinstance(name, str) and name for name in (issuer, audience)):
            raise ConfigurationError("issuer and audience are non-empty text", reason="issuer")
        if not timedelta() <= leeway <= MAX_LEEWAY:
            raise ConfigurationError("leeway is zero to five minutes", hint="synchronise clocks", reason="leeway")
        if max_lifetime is not None and max_lifetime <= timedelta():
            raise ConfigurationError("max_lifetime is positive, or None", reason="lifetime")
        self._profile: TokenProfile = _profile(profile)
        self._keys: KeyFinder = keys
        self._issuer: str = issuer
        self._audience: str = audience
        self._algorithms: frozenset[str] = admitted_algorithms(algorithms)
        self._leeway: float = leeway.total_seconds()
        self._max_lifetime: float = max_lifetime.total_seconds() if max_lifetime is not None else math.inf
        self._required: tuple[str, ...] = tuple(dict.fromkeys((*self._profile.required, *required)))
        self._principal: Callable[[Claims], Principal] = principal or _principal
        self._clock: Clock = clock or SystemClock()

    def verify(self, token: Presented) -> Claims:
        """The claims of a token that passes every check.

        Raises:
            InvalidToken: one public face; the cause is in `reason`.
        """
        _, payload = open_jws(token, self._keys, self._algorithms, self._is_typ)
        claims = json_object(payload, "payload")
        self._check_parties(claims)
        for name in self._required:
            if claims.get(name) is None:
                raise InvalidToken("a required claim is missing", reason="claims")
        if type(claims.get("jti", "")) is not str:
            raise InvalidToken("jti is not text", reason="claims")
        self._check_times(claims, self._clock.now().timestamp())
        return Claims(claims)

    async def averify(self, token: Presented) -> Claims:
        """`verify`, for callers that await: keys that must be fetched are fetched off the loop."""
        header = header_of(token)
        if header is not None:
            await self._keys.afind(header.alg, header.kid)
        return self.verify(token)

    def takes(self, credential: Credential) -> bool:
        """Bearer tokens in three parts, for `Authenticator`; only of profiles that may prove a request."""
        bearer = credential.scheme == "bearer" and credential.token.count(".") == 2
        return bearer and self._profile.proves_requests

    async def aauthenticate(self, token: Presented) -> Principal:
        """The principal of an access token. Scopes are its ceiling; `sub` equal to `client_id` is a service.

        Raises:
            InvalidToken: as `verify`.
        """
        return self._principal(await self.averify(token))

    def authenticate(self, token: Presented) -> Principal:
        """`aauthenticate`, without waiting."""
        return self._principal(self.verify(token))

    def _is_typ(self, typ: str | None) -> bool:
        return (typ.lower().removeprefix("application/") if typ is not None else None) in self._profile.typs

    def _check_parties(self, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") != self._issuer:
            raise InvalidToken("another issuer", reason="issuer")
        audience = claims.get("aud")
        named = [audience] if type(audience) is str else audience
        if type(named) is not list or not all(type(name) is str for name in named) or self._audience not in named:
            raise InvalidToken("another audience", reason="audience")
        subject = claims.get("sub", "-")
        if type(subject) is not str or not (0 < len(subject) <= _SUBJECT_LIMIT and subject.isascii()):
            raise InvalidToken("no subject of 1 to 255 ASCII characters", reason="subject")
        if not subject.isprintable():
            raise InvalidToken("a subject with control characters", reason="subject")

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        for name in ("exp", "iat", "nbf"):
            if name in claims and not _is_time(claims[name]):
                raise InvalidToken(f"{name} is not a NumericDate", reason="time")
        expires, issued = claims["exp"], claims["iat"]
        latest = now + self._leeway
        if not (expires > now - self._leeway and issued <= latest and claims.get("nbf", issued) <= latest):
            raise InvalidToken("expired or not yet valid", reason="time")
        if not 0 < expires - issued <= self._max_lifetime:
            raise InvalidToken("it lives longer than any token may", reason="lifetime")


def _profile(name: str) -> TokenProfile:
    if name in _PROFILES:
        return _PROFILES[name]
    if not (isinstance(name, str) and name.isascii() and name.endswith("+jwt")):
        raise ConfigurationError(
            "an unknown token profile", hint=f"{', '.join(_PROFILES)}, or a typ such as invoice+jwt", reason="profile"
        )
    return TokenProfile(frozenset((name.lower().removeprefix("application/"),)), proves_requests=True)


def _is_time(value: object) -> bool:
    """A NumericDate (RFC 7519, 2). No `int()`: it would take text, underscores, foreign digits and true."""
    return type(value) in (int, float) and 0 < value < _LAST_SECOND  # type: ignore[operator]  # a number by the test


def _principal(claims: Claims) -> Principal:
    subject, scope, methods = claims.get("sub", ""), claims.get("scope"), claims.get("amr")
    since = claims.get("auth_time", 0)
    named = type(methods) is list and all(type(item) is str for item in methods)
    return Principal(
        subject,
        kind="service" if claims.get("client_id") == subject else "user",
        scopes=None if scope is None else frozenset(scope.split() if type(scope) is str else ()),
        attributes=dict(claims),
        issuer=claims["iss"],
        subject=subject,
        credential_id=claims.get("jti"),
        amr=tuple(methods or ()) if named else (),
        auth_time=datetime.fromtimestamp(since, UTC) if _is_time(since) else None,
    )
