"""Proof of possession (DPoP, RFC 9449): a token that is stolen without its key is worth nothing.

With each request the client signs a proof: a JWT that brings its own public key and names this method, this address
and this access token. A proof counts under these rules, in this order (RFC 9449, 4.3); the first that fails decides:

1. ``shape``, ``header``, ``alg``, ``typ``: as for every token, but that a `jwk` is wanted; asymmetric algorithms only.
2. ``key``: the `jwk` is public, of the algorithm, and may verify. ``signature``: it verifies the proof.
3. ``payload``, ``claims``: strict JSON; `jti`, `htm` and `htu` are text, `iat` is a time.
4. ``method``, ``target``: this request's, where the query says nothing and spellings that mean the same are equal.
5. ``time``: signed within `max_age`, and not in the future beyond the leeway.
6. ``token``: `ath` is the hash of the access token beside it. ``bound``: the key is the one it was issued for.
7. ``nonce``: the server's, where it asks for one.
8. ``replay``: this key has not used this `jti`. Last, so that nothing which fails elsewhere fills the store.

The proof's key is a stranger's choice, so what it may cost is bounded with what it may be (`keys`).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from ..core.canonical import length_prefixed, u64
from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError, DpopNonceRequired, InvalidToken
from ..core.http import Target
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .dpop_store import DpopStore
from .jwk import encoded, public_key_of, thumbprint
from .jws import admitted_algorithms, header_members, json_object, media_type, opened, segments
from .keys import VerifyKey, verify_key
from .presented import Presented, text_of
from .profiles import PROFILES

__all__ = ["Dpop", "DpopNonces", "DpopProof", "access_token_hash", "same_target"]

MAX_AGE: Final = timedelta(minutes=5)
_ALGORITHMS: Final = ("ES256", "EdDSA", "ES384", "ES512", "PS256", "RS256")
_SECOND: Final = timedelta(seconds=1)
_TEXT_LIMIT: Final = 255
_URL_LIMIT: Final = 8_192
_LAST_SECOND: Final = 253_402_300_799
_JWK: Final = frozenset(("jwk",))
_PORTS: Final = {"https": 443, "http": 80}
_ESCAPED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True, slots=True)
class DpopProof:
    """A proof that counted.

    Args:
        jkt: thumbprint of the key that signed it (RFC 7638), to bind tokens to: ``cnf={"jkt": proof.jkt}``.
        claims: all of its claims.
    """

    jkt: str
    issued_at: datetime
    claims: Mapping[str, Any] = field(repr=False)


class DpopNonces:
    """Nonces of the server without a table: a keyed hash of the time, good for one to two periods (RFC 9449, 8).

    Args:
        secret: 32 octets or more, the same in every process.
        period: how often it changes.

    Raises:
        ConfigurationError: a secret that is too short, or a period below a second.
    """

    def __init__(self, secret: bytes | Secret[bytes], *, period: timedelta = timedelta(minutes=5)) -> None:
        octets = secret.reveal() if isinstance(secret, Secret) else secret
        if not isinstance(octets, bytes) or len(octets) < 32 or period < _SECOND:
            raise ConfigurationError("nonces need 32 random octets and a period of a second or more", reason="nonce")
        self._secret: Secret[bytes] = Secret(octets)
        self._period: timedelta = period

    def current(self, now: datetime) -> str:
        """The nonce to hand out at `now`."""
        return self._of(self._turn(now))

    def accepts(self, nonce: object, now: datetime) -> bool:
        """Whether `nonce` is the one of this period or of the one before. Total."""
        turn = self._turn(now)
        given = nonce.encode("utf-8", "replace") if type(nonce) is str else b""
        found = [hmac.compare_digest(given, self._of(each).encode("ascii")) for each in (turn, turn - 1)]
        return any(found)

    def _turn(self, now: datetime) -> int:
        return int(now.timestamp() // self._period.total_seconds())

    def _of(self, turn: int) -> str:
        return encoded(hmac.digest(self._secret.reveal(), b"wst-dpop-nonce" + u64(turn), "sha256")[:16])


class Dpop:
    """Verifies proofs. Every method has an ``a`` twin.

    Args:
        store: where the ids of proofs are kept: `MemoryDpopStore`, `storage.sql.SqlDpopStore` or
            `storage.redis.RedisDpopStore`. An outage refuses every proof (503), because one could be used twice.
        algorithms: what may sign; HMAC has no place here.
        max_age: how old a proof may be, at most 5 minutes.
        leeway: how far ahead a client's clock may be.
        nonces: asks every client for a nonce of ours, against proofs that were signed in advance.

    Raises:
        ConfigurationError: algorithms that are not asymmetric, or spans out of range.
    """

    def __init__(
        self,
        store: DpopStore,
        *,
        algorithms: Collection[str] = _ALGORITHMS,
        max_age: timedelta = timedelta(seconds=60),
        leeway: timedelta = timedelta(seconds=30),
        nonces: DpopNonces | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.algorithms: frozenset[str] = admitted_algorithms(algorithms)
        if any(name.startswith("HS") for name in self.algorithms):
            raise ConfigurationError("a proof is signed with a key that the server does not have", reason="alg")
        if not timedelta() < max_age <= MAX_AGE or not timedelta() <= leeway <= max_age:
            raise ConfigurationError("0 < max_age <= 5 minutes, and leeway within it", reason="leeway")
        self.suspends: bool = suspends(store)
        self.challenge: str = f'DPoP algs="{" ".join(sorted(self.algorithms))}"'
        self._store: DpopStore = store
        self._max_age: timedelta = max_age
        self._leeway: timedelta = leeway
        self._nonces: DpopNonces | None = nonces
        self._clock: Clock = clock or SystemClock()

    async def averify(
        self,
        proof: Presented,
        *,
        method: str,
        url: str,
        access_token: Presented | None = None,
        jkt: str | None = None,
    ) -> DpopProof:
        """The proof, if it counts for this request; from then on it never counts again.

        Args:
            proof: the value of the only ``DPoP`` field.
            method, url: of this request, as the client sees them: behind a proxy, not the inner address.
            access_token: the token beside it; at a token endpoint there is none.
            jkt: the key that the access token was issued for, its ``cnf.jkt``.

        Raises:
            InvalidToken: one public face; the cause is in `reason`.
            DpopNonceRequired: all is well but the nonce.
            StoreUnavailable: it cannot be known whether the proof was used before.
        """
        parts = segments(proof)
        key, thumb = _brought(parts[0])
        if key.alg not in self.algorithms:
            raise InvalidToken("an algorithm outside the allow-list", reason="alg")
        claims = json_object(opened(parts, key), "payload")
        _check_claims(claims)
        if claims["htm"] != method:
            raise InvalidToken("a proof for another method", reason="method")
        if not same_target(claims["htu"], url):
            raise InvalidToken("a proof for another address", reason="target")
        now = self._clock.now()
        at = claims["iat"]
        if not (now - self._max_age).timestamp() <= at <= (now + self._leeway).timestamp():
            raise InvalidToken("signed too long ago, or in the future", reason="time")
        _check_token(claims, access_token)
        if jkt is not None and not hmac.compare_digest(thumb, str(jkt).encode("utf-8", "replace")):
            raise InvalidToken("the token was issued for another key", reason="bound")
        if self._nonces is not None and not self._nonces.accepts(claims.get("nonce"), now):
            raise DpopNonceRequired(self._nonces.current(now))
        issued_at = datetime.fromtimestamp(at, UTC)
        used = sha256(length_prefixed(thumb, claims["jti"])).digest()
        # By the leeway longer than it counts: the clocks of our own processes differ too.
        if not await self._store.claim(used, now=now, until=issued_at + self._max_age + self._leeway + _SECOND):
            raise InvalidToken("a proof that was used before", reason="replay")
        return DpopProof(thumb.decode("ascii"), issued_at, claims)

    verify: Final = synced(averify)

    def nonce(self) -> str | None:
        """The nonce for the next proof, for a ``DPoP-Nonce`` field in any answer; None where none is asked for."""
        return None if self._nonces is None else self._nonces.current(self._clock.now())


@lru_cache(maxsize=1_024)
def _brought(segment: bytes) -> tuple[VerifyKey, bytes]:
    """The key that a proof brings, and its thumbprint. Cached by the exact text: a client keeps its key for a while."""
    members = header_members(segment, takes=_JWK)
    alg, brought = members["alg"], members.get("jwk", {})
    if alg not in _ALGORITHMS:
        raise InvalidToken("no asymmetric algorithm", reason="alg")
    if media_type(members.get("typ")) not in PROFILES["dpop"].typs:
        raise InvalidToken("a token of another type", reason="typ")
    try:
        public = public_key_of(brought)
        key = verify_key(public, alg)
    except ConfigurationError:
        raise InvalidToken("a proof without a public key of its algorithm", reason="key") from None
    if brought.get("alg", alg) != alg:
        raise InvalidToken("a key that is for another algorithm", reason="key")
    return key, thumbprint(public).encode("ascii")


def _check_claims(claims: Mapping[str, Any]) -> None:
    for name, limit in (("jti", _TEXT_LIMIT), ("htm", _TEXT_LIMIT), ("htu", _URL_LIMIT)):
        value = claims.get(name)
        if type(value) is not str or not 0 < len(value) <= limit:
            raise InvalidToken("a claim of the proof is missing or is not text", reason="claims")
    for name in ("iat", "exp", "nbf"):
        moment = claims.get(name, 1 if name != "iat" else None)
        if type(moment) not in (int, float) or not 0 < moment < _LAST_SECOND:
            raise InvalidToken("a time of the proof is none", reason="claims")


def _check_token(claims: Mapping[str, Any], access_token: Presented | None) -> None:
    if access_token is None:
        return
    given = claims.get("ath")
    octets = given.encode("utf-8", "replace") if type(given) is str else b""
    if not hmac.compare_digest(octets, access_token_hash(access_token).encode("ascii")):
        raise InvalidToken("a proof for another access token, or for none", reason="token")


def access_token_hash(access_token: Presented) -> str:
    """`ath`: SHA-256 of the access token's ASCII in base64url (RFC 9449, 4.2)."""
    return encoded(sha256(text_of(access_token).encode("utf-8", "replace")).digest())


def same_target(one: str, other: str) -> bool:
    """Whether two addresses are the same target, whatever their query and fragment (RFC 9449, 4.3).

    Compared in normal form (RFC 3986, 6.2.2 and 6.2.3): case of scheme and host, default port, dot segments, and
    escapes of what needs none. Anything that is no http address equals nothing.
    """
    first = _normal(one)
    return first is not None and first == _normal(other)


def _normal(url: str) -> tuple[str, str, int, str] | None:
    if not isinstance(url, str) or len(url) > _URL_LIMIT or not url.isascii() or not url.isprintable() or "\\" in url:
        return None
    target = Target.parse(url)
    if target.scheme not in _PORTS or not target.host or target.port == -1 or "@" in target.host:
        return None
    path = _without_dots(_ESCAPED.sub(_plain, target.path))
    return target.scheme, target.host, _PORTS[target.scheme] if target.port is None else target.port, path


def _without_dots(path: str) -> str:
    """RFC 3986, 5.2.4."""
    steps, kept = path.split("/")[1:], list[str]()
    for step in steps:
        if step == "..":
            del kept[-1:]
        elif step != ".":
            kept.append(step)
    return "/".join(("", *kept, *([""] if steps[-1] in (".", "..") else [])))


def _plain(escaped: re.Match[str]) -> str:
    octet = unquote_to_bytes(escaped[0])
    return octet.decode("ascii") if octet[0] in _UNRESERVED else quote(octet, safe="")
