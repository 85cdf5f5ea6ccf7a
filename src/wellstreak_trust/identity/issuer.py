"""Issuing tokens: what `JwtVerifier` and other strict verifiers take, and nothing else.

A key goes through four times of its life, and the clock alone moves it from one to the next:

==========  =====================  =======================  ============
time        published by `jwks`    verified by `find`       signs
==========  =====================  =======================  ============
announced   yes                    yes                      not yet
signing     yes                    yes                      yes
retiring    yes                    yes, until the overlap   no
gone        no                     no                       no
==========  =====================  =======================  ============

A verifier that keeps a key set for some minutes must have seen a key before it meets the first token under it, so a
new key is announced first. The last token under the old one must outlive nothing, so the old one stays for an overlap
that no token's lifetime exceeds. A schedule is immutable: every process that is given the same keys agrees with the
others, without talking to them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import get_default_algorithms

from ..core.clock import Clock, SystemClock, aware
from ..core.entropy import random_hex
from ..core.errors import ConfigurationError, InvalidToken, UsageError
from ..core.secret import Secret
from .given import configured_span, span_in
from .jwk import encoded, public_jwk, refused_key, thumbprint
from .jws import json_object, media_type, segments
from .keys import KeySet, VerifyKey, verify_key

__all__ = ["JwtIssuer", "PrivateKey", "SigningKey"]

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey
"""A private key of `cryptography`."""

KeyMaterial = PrivateKey | str | bytes | Secret[str] | Secret[bytes]

_SIGN: Final = get_default_algorithms()
_OURS: Final = ("iss", "iat", "exp")
_SECOND: Final = timedelta(seconds=1)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs, with its place in time.

    Args:
        key: a private key of `cryptography`, one in PEM, or the octets of an HMAC secret.
        alg: what it signs with; by default what its type suggests (`KeySet.from_pem`), and HS256 for octets.
        kid: its name; by default its thumbprint (RFC 7638), and none for octets.
        signs_from: when it takes over from those before it; None at once.
        until: when it is no longer published and nothing under it verifies; None for no end.

    Raises:
        ConfigurationError: no such key, or one that `KeySet` would refuse.
    """

    key: KeyMaterial = field(repr=False, compare=False)
    alg: str | None = None
    kid: str | None = None
    signs_from: datetime | None = None
    until: datetime | None = None
    verifies: VerifyKey = field(init=False, repr=False, compare=False)
    _private: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for moment in (self.signs_from, self.until):
            if moment is not None:
                aware(moment, "the time of a key")
        private = _loaded(self.key)
        if isinstance(private, bytes):
            verifies = KeySet.from_secret(private, self.alg or "HS256", self.kid).keys[0]
        else:
            public = private.public_key()
            verifies = verify_key(public, self.alg)
            verifies = verify_key(public, verifies.alg, thumbprint(public) if self.kid is None else self.kid)
        given = {"key": private, "alg": verifies.alg, "kid": verifies.kid, "verifies": verifies, "_private": private}
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def sign(self, header: Mapping[str, Any], payload: bytes) -> str:
        """A token in compact form; `alg` is this key's."""
        first = json.dumps({**header, "alg": self.alg}, separators=(",", ":")).encode("ascii")
        signed = f"{encoded(first)}.{encoded(payload)}"
        return f"{signed}.{encoded(_SIGN[str(self.alg)].sign(signed.encode('ascii'), self._private))}"

    def public(self) -> dict[str, str] | None:
        """The JWK to publish; None for an HMAC secret, which nobody may see."""
        if isinstance(self._private, bytes):
            return None
        members = {**public_jwk(self._private.public_key()), "use": "sig", "alg": str(self.alg)}
        return {**members, "kid": str(self.kid)}

    def stands(self, now: datetime) -> bool:
        """Whether it is published at `now`."""
        return self.until is None or now < self.until


class JwtIssuer:
    """Issues tokens, publishes the keys that verify them, and is itself a `KeyFinder` for one's own tokens.

    Args:
        key: as for `SigningKey`; or a `SigningKey`, which has its own `alg` and `kid`.
        issuer: the `iss` of every token.
        others: keys beside it: older ones in their overlap, newer ones that are announced.
        max_lifetime: what `issue` allows at most, and what an overlap must cover.

    Raises:
        ConfigurationError: an issuer that is no text, keys that `KeySet` refuses, one `kid` twice.
    """

    suspends: bool = False

    def __init__(
        self,
        key: KeyMaterial | SigningKey,
        *,
        issuer: str,
        alg: str | None = None,
        kid: str | None = None,
        others: Iterable[SigningKey] = (),
        max_lifetime: timedelta = timedelta(days=1),
        clock: Clock | None = None,
    ) -> None:
        if not isinstance(issuer, str) or not issuer:
            raise ConfigurationError("an issuer is non-empty text", reason="issuer")
        if configured_span(max_lifetime, "max_lifetime") < _SECOND:
            raise ConfigurationError("max_lifetime is a second or more", reason="lifetime")
        first = key if isinstance(key, SigningKey) else SigningKey(key, alg, kid)
        self.issuer: str = issuer
        self.keys: tuple[SigningKey, ...] = (first, *others)
        self.max_lifetime: timedelta = max_lifetime
        self.clock: Clock = clock or SystemClock()
        if len(self.keys) > 1 and any(each.kid is None for each in self.keys):
            raise ConfigurationError("several keys, and one without a kid to tell it by", hint="kid=", reason="key")
        self._set: KeySet = KeySet(each.verifies for each in self.keys)
        self._of: dict[int, SigningKey] = {id(each.verifies): each for each in self.keys}

    def issue(self, claims: Mapping[str, Any], *, typ: str, lifetime: timedelta) -> str:
        """A signed token. `iss`, `iat` and `exp` are set here, and `jti` unless it is given.

        Args:
            typ: the type that its verifier asks for, such as ``at+jwt``.
            lifetime: whole seconds, at most `max_lifetime`.

        Raises:
            UsageError: claims that no strict verifier would take, or a lifetime out of range.
            ConfigurationError: no key signs at this moment, or none that outlives the token.
        """
        if not _SECOND <= span_in(lifetime, "lifetime") <= self.max_lifetime:
            raise UsageError(f"a token lives one second to {self.max_lifetime}")
        if not isinstance(typ, str) or not media_type(typ) or not typ.isprintable():
            raise UsageError("a token has a type", hint='typ="at+jwt"')
        if not isinstance(claims, Mapping):
            raise UsageError("claims are a mapping")
        if any(name in claims for name in _OURS):
            raise UsageError("iss, iat and exp are the issuer's to say", hint="give lifetime= instead")
        now = self.clock.now()
        at = int(now.timestamp())
        times = {"iat": at, "exp": at + lifetime // _SECOND}
        body = {"iss": self.issuer, "jti": random_hex(), **claims, **times}
        _check(body)
        key = self._signing(now, lifetime)
        token = key.sign({"typ": typ} if key.kid is None else {"typ": typ, "kid": key.kid}, _payload(body))
        try:
            segments(token)
        except InvalidToken:
            raise UsageError("the claims make a token that is longer than verifiers read") from None
        return token

    def rotated(
        self,
        key: KeyMaterial,
        *,
        alg: str | None = None,
        kid: str | None = None,
        announce: timedelta = timedelta(minutes=10),
        overlap: timedelta = timedelta(days=2),
    ) -> JwtIssuer:
        """An issuer with a new key: published at once, signing after `announce`; the old ones stay for `overlap` more.

        Args:
            announce: longer than verifiers keep a key set (`JwksSource.fresh` is 5 minutes).
            overlap: at least `max_lifetime`, so that no token ends before its time.

        Raises:
            ConfigurationError: as the constructor; an overlap that is too short.
        """
        if announce < timedelta() or overlap < self.max_lifetime:
            raise ConfigurationError("an overlap covers the longest token", hint="overlap >= max_lifetime")
        now = self.clock.now()
        newcomer = SigningKey(key, alg, kid, signs_from=now + announce)
        end = now + announce + overlap
        older = [replace(each, until=min(each.until or _LAST, end)) for each in self.keys if each.stands(now)]
        return JwtIssuer(newcomer, issuer=self.issuer, others=older, max_lifetime=self.max_lifetime, clock=self.clock)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The JWK Set to publish at this moment (RFC 7517, 5): public keys, announced and retiring ones included."""
        now = self.clock.now()
        found = (each.public() for each in self.keys if each.stands(now))
        return {"keys": [jwk for jwk in found if jwk is not None]}

    def find(self, alg: str, kid: str | None) -> VerifyKey | None:
        """The key of a token of one's own, until its overlap has ended; see `KeyFinder`."""
        key = self._set.find(alg, kid)
        return key if key is not None and self._of[id(key)].stands(self.clock.now()) else None

    async def afind(self, alg: str, kid: str | None) -> VerifyKey | None:
        """See `KeyFinder`."""
        return self.find(alg, kid)

    def _signing(self, now: datetime, lifetime: timedelta) -> SigningKey:
        """The newest key that signs by now and stands until the token has ended."""
        able = [each for each in self.keys if (each.signs_from or _FIRST) <= now and each.stands(now + lifetime)]
        if not able:
            raise ConfigurationError("no key signs for so long", hint="rotate before the last one ends", reason="key")
        return max(able, key=lambda each: each.signs_from or _FIRST)


def _loaded(key: KeyMaterial) -> PrivateKey | bytes:
    found = key.reveal() if isinstance(key, Secret) else key
    if isinstance(found, PrivateKey):
        return found
    octets = found.encode("ascii", "replace") if isinstance(found, str) else found
    if not isinstance(octets, bytes):
        raise refused_key("not a private key", "a key of cryptography, PEM, or the octets of an HMAC secret")
    if b"-----BEGIN" not in octets:
        if isinstance(found, str):
            raise refused_key("not a private key in PEM", "an HMAC secret is octets")
        return octets
    try:
        private = load_pem_private_key(octets, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise refused_key("not an unencrypted private key in PEM", "-----BEGIN PRIVATE KEY-----") from None
    if not isinstance(private, PrivateKey):
        raise refused_key("its type is not taken", "RSA, P-256, P-384, P-521 and Ed25519 are")
    return private


def _check(body: Mapping[str, Any]) -> None:
    """What `JwtVerifier` would refuse, told to who can mend it."""
    audience, subject = body.get("aud"), body.get("sub", "-")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list | tuple) or not named or not all(isinstance(name, str) and name for name in named):
        raise UsageError("a token is for somebody", hint='claims["aud"] is text, or a list of it')
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not (subject.isascii() and subject.isprintable()):
        raise UsageError("a subject is 1 to 255 printable ASCII characters")
    if not isinstance(body["jti"], str) or not body["jti"]:
        raise UsageError("jti is non-empty text")
    if not isinstance(body.get("nbf", 1), int | float) or not all(type(name) is str for name in body):
        raise UsageError("nbf is a number, and the name of a claim is text")


def _payload(body: Mapping[str, Any]) -> bytes:
    """Strict JSON: no NaN, no lone surrogates, no two names that become one."""
    try:
        octets = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")
        json_object(octets, "payload")
    except (ValueError, TypeError, RecursionError, InvalidToken):
        raise UsageError("claims are JSON: text, numbers, booleans, lists and mappings of text to them") from None
    return octets
