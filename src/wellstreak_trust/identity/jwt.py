"""Access tokens and other JWTs: a signature, then claims, every one with the type that the standard gives it.

Checks run in the order of RFC 8725 and the first one that fails decides `InvalidToken.reason`: ``shape``, ``header``,
``alg``, ``typ``, ``key``, ``signature``, ``payload``, ``issuer``, ``audience``, ``subject``, ``claims``, ``time``,
``lifetime``; for a credential also ``bound``, and those of the profile. Callers see one answer for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ..core.clock import Clock, SystemClock, micros
from ..core.errors import ConfigurationError, InvalidToken
from ..core.principal import Principal
from ..core.sansio import is_awaited, suspends
from .authenticator import Credential
from .given import configured_names, configured_span
from .jws import Compact, admit, admitted_algorithms, header_of, json_object, opened, segments
from .keys import KeyFinder, KeySet, VerifyKey
from .presented import Presented
from .profiles import TokenProfile, profile_of

__all__ = ["Claims", "JwtVerifier"]

MAX_LEEWAY: Final = timedelta(minutes=5)
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z
_NUMBERS: Final = frozenset((int, float))  # exact types: true is an int to isinstance
_SUBJECT_LIMIT: Final = 255
_DAY: Final = timedelta(days=1)


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
        keys: the issuer's keys.
        issuer, audience: compared exactly (RFC 7519, 4.1; CVE-2024-53861).
        profile: ``access``, ``id_token``, ``logout``, ``dpop``, a `typ` of one's own such as ``invoice+jwt``, or a
            `TokenProfile`.
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

    def __init__(
        self,
        keys: KeyFinder,
        *,
        issuer: str,
        audience: str,
        profile: str | TokenProfile = "access",
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
        if not timedelta() <= configured_span(leeway, "leeway") <= MAX_LEEWAY:
            raise ConfigurationError("leeway is zero to five minutes", hint="synchronise clocks", reason="leeway")
        if max_lifetime is not None and configured_span(max_lifetime, "max_lifetime") <= timedelta():
            raise ConfigurationError("max_lifetime is positive, or None", reason="lifetime")
        self.suspends: bool = suspends(keys)
        self.profile: TokenProfile = profile_of(profile)
        self._typs: frozenset[str | None] = self.profile.typs
        self._refuses: Callable[[Mapping[str, Any]], str] | None = self.profile.refuses
        self._keys: KeyFinder = keys
        self._issuer: str = issuer
        self._audience: str = audience
        self._algorithms: frozenset[str] = admitted_algorithms(algorithms)
        self._leeway: float = leeway.total_seconds()
        self._max_lifetime: float = max_lifetime.total_seconds() if max_lifetime is not None else math.inf
        # The parties are there once they compare equal.
        wanted = dict.fromkeys((*self.profile.required, *configured_names(required, "required")))
        self._required: tuple[str, ...] = tuple(name for name in wanted if name not in ("iss", "aud"))
        self._principal: Callable[[Claims], Principal] = principal or _principal
        self._clock: Clock = clock or SystemClock()
        self._now: Callable[[], int] = micros(self._clock)

    @property
    def algorithms(self) -> frozenset[str]:
        """What may sign."""
        return self._algorithms

    @property
    def leeway(self) -> timedelta:
        """How far two clocks may be apart."""
        return timedelta(seconds=self._leeway)

    @property
    def max_lifetime(self) -> timedelta | None:
        """Longest `exp` - `iat`; None takes any."""
        return None if math.isinf(self._max_lifetime) else timedelta(seconds=self._max_lifetime)

    def verify(self, token: Presented) -> Claims:
        """The claims of a token that passes every check.

        Raises:
            InvalidToken: one public face; the cause is in `reason`.
        """
        parts = segments(token)
        header = admit(parts, self._algorithms, self._typs)
        return self._claims(parts, self._keys.find(header.alg, header.kid))

    async def averify(self, token: Presented) -> Claims:
        """`verify`, for callers that await. Driven by a sync face, it fetches keys in place."""
        parts = segments(token)
        header = admit(parts, self._algorithms, self._typs)
        awaits = not isinstance(self._keys, KeySet) and is_awaited()
        key = await self._keys.afind(header.alg, header.kid) if awaits else self._keys.find(header.alg, header.kid)
        return self._claims(parts, key)

    def takes(self, credential: Credential) -> bool:
        """Bearer tokens of this type, for `Authenticator`; only of profiles that may prove a request."""
        return credential.scheme == "bearer" and self.reads(credential.token)

    def reads(self, token: str) -> bool:
        """Whether a token has the form and the type of those verified here, and may prove a request. Total.

        A token whose header does not parse has no type; it is taken for one of ours, so that the cause goes on record.
        """
        if not self.profile.proves_requests or token.count(".") != 2:
            return False
        header = header_of(token)
        return header is None or header.typ in self.profile.typs

    async def aauthenticate(self, token: Presented) -> Principal:
        """The principal of an access token. Scopes are its ceiling; `sub` equal to `client_id` is a service.

        Raises:
            InvalidToken: as `verify`; also a token that is bound to a key (`cnf`), which nobody may bear without it.
        """
        return self._borne(await self.averify(token))

    def authenticate(self, token: Presented) -> Principal:
        """`aauthenticate`, without waiting."""
        return self._borne(self.verify(token))

    async def aprincipal(self, claims: Claims) -> Principal:
        """Whom claims prove that were verified here, and whose binding to a key was proved (`DpopTokens`)."""
        return self._principal(claims)

    def _borne(self, claims: Claims) -> Principal:
        if "cnf" in claims:
            raise InvalidToken("a token that is bound to a key, presented without it", reason="bound")
        return self._principal(claims)

    def _claims(self, parts: Compact, key: VerifyKey | None) -> Claims:
        claims = json_object(opened(parts, key), "payload")
        self._check_parties(claims)
        for name in self._required:
            if claims.get(name) is None:
                raise InvalidToken("a required claim is missing", reason="claims")
        if type(claims.get("jti", "")) is not str:
            raise InvalidToken("jti is not text", reason="claims")
        if self._refuses is not None and (reason := self._refuses(claims)):
            raise InvalidToken("a claim is not what its profile asks", reason=reason)
        self._check_times(claims, self._now() / 1_000_000)
        return Claims(claims)

    def _check_parties(self, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") != self._issuer:
            raise InvalidToken("another issuer", reason="issuer")
        audience = claims.get("aud")
        if audience != self._audience and not _holds(audience, self._audience):
            raise InvalidToken("another audience", reason="audience")
        subject = claims.get("sub", "-")
        if type(subject) is not str or not (0 < len(subject) <= _SUBJECT_LIMIT and subject.isascii()):
            raise InvalidToken("no subject of 1 to 255 ASCII characters", reason="subject")
        if not subject.isprintable():
            raise InvalidToken("a subject with control characters", reason="subject")

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        expires, issued = claims["exp"], claims["iat"]
        begins = claims.get("nbf", issued)
        # A NumericDate (RFC 7519, 2). No `int()`: it would take text, underscores, foreign digits and true.
        if not {type(expires), type(issued), type(begins)} <= _NUMBERS:
            raise InvalidToken("not a NumericDate", reason="time")
        latest = now + self._leeway
        if not (now - self._leeway < expires < _LAST_SECOND and 0 < issued <= latest and 0 < begins <= latest):
            raise InvalidToken("expired or not yet valid", reason="time")
        if not 0 < expires - issued <= self._max_lifetime:
            raise InvalidToken("it lives longer than any token may", reason="lifetime")


def _holds(audiences: object, wanted: str) -> bool:
    return type(audiences) is list and wanted in audiences and all(type(name) is str for name in audiences)


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
        auth_time=datetime.fromtimestamp(since, UTC) if type(since) in _NUMBERS and 0 < since < _LAST_SECOND else None,
    )
