"""Passwords: argon2id in a bounded pool of threads.

One verification takes 19 MiB and some 60 ms on purpose, so a flood of sign-ins is a flood of memory. The work runs in
`permits` long-lived threads, not in the callers' threads behind a semaphore: the C allocator keeps freed blocks for
each thread that ever allocated, so many callers would keep the memory of many. Each worker has one block of memory for
good (`argon2id`). A permit belongs to its worker: a caller that goes away frees nothing. Who waits too long for a
worker is told `Busy` (503), never "wrong password".

Parameters are OWASP's minimum for argon2id (19 MiB, 2 passes, 1 lane); `strong=True` is 64 MiB, 3 passes, 4 lanes
(RFC 9106, 4).
"""

from __future__ import annotations

import os
import re
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final

from ..core.entropy import SYSTEM_ENTROPY
from ..core.errors import ConfigurationError, InvalidRequest
from ..core.secret import Secret
from .argon2id import Parameters, argon2id
from .given import configured_span
from .workers import Workers

__all__ = ["PasswordHasher", "PasswordVerdict", "Pepper"]

MAX_CODE_POINTS: Final = 1_024
_SALT_OCTETS: Final = 16
_HASH_OCTETS: Final = 32
_ENCODED: Final = re.compile(
    r"\$argon2id\$v=19\$m=([1-9][0-9]{0,6}),t=([1-9][0-9]?),p=([1-9])(?:,keyid=([A-Za-z0-9+/]{2,11}))?"
    r"\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{16,86})"
)


@dataclass(frozen=True, slots=True)
class PasswordVerdict:
    """Whether a password is right, and whether its hash should be made anew with today's parameters.

    Truth is `ok`.
    """

    ok: bool
    rehash: bool = False

    def __bool__(self) -> bool:
        return self.ok


@dataclass(frozen=True, slots=True)
class Pepper:
    """Server-side keys that the database does not hold; the hash is of HMAC-SHA-256(key, password).

    Args:
        active: the version new hashes use; 1 to 8 ASCII characters, written into the hash (PHC ``keyid``).
        keys: every version that stored hashes still use; 32 octets or more each.

    Raises:
        ConfigurationError: an unknown active version, a version or key out of bounds.
    """

    active: str
    keys: Mapping[str, Secret[bytes]] = field(repr=False)

    def __post_init__(self) -> None:
        if self.active not in self.keys:
            raise ConfigurationError("the active pepper has no key", reason="pepper")
        for version, key in self.keys.items():
            if not (version.isascii() and 1 <= len(version) <= 8) or len(key.reveal()) < 32:
                raise ConfigurationError(
                    "a pepper has a version of 1 to 8 ASCII characters and 32 octets", reason="pepper"
                )


_MINIMUM: Final = Parameters(19_456, 2, 1)
_STRONG: Final = Parameters(65_536, 3, 4)
_CEILING: Final = Parameters(131_072, 10, 8)


class PasswordHasher:
    """Hashes and verifies passwords. `hash` and `verify` wait in the caller's thread, their ``a`` twins on its loop.

    Args:
        permits: passwords worked on at once; each takes the memory of one hash. By default one a processor.
        wait: how long a caller waits for a free worker before `Busy`.
        pepper: server-side keys, or None.
        strong: the second parameter set of RFC 9106 instead of OWASP's minimum.

    Raises:
        ConfigurationError: no permit, or no time to wait.
    """

    def __init__(
        self,
        *,
        permits: int | None = None,
        wait: timedelta = timedelta(seconds=2),
        pepper: Pepper | None = None,
        strong: bool = False,
    ) -> None:
        found = permits if permits is not None else os.cpu_count() or 1
        if type(found) is not int or found < 1 or configured_span(wait, "wait") <= timedelta():
            raise ConfigurationError("a hasher needs a permit and a time to wait for it", reason="permits")
        self._pepper: Pepper | None = pepper
        self._parameters: Parameters = _STRONG if strong else _MINIMUM
        # Nobody's password: well-formed and never matched, so that an unknown user costs what a known one costs.
        salt, made = (SYSTEM_ENTROPY.octets(count) for count in (_SALT_OCTETS, _HASH_OCTETS))
        self._nobody: _Stored = _Stored(self._parameters, None, salt, made)
        self._workers: Workers = Workers(found, wait.total_seconds())

    def hash(self, password: str | Secret[str]) -> str:
        """The encoded hash to store (PHC string format).

        Raises:
            InvalidRequest: more than 1,024 code points, or text that is no Unicode.
            Busy: no worker was free in time.
        """
        return self._workers.run(self._hashing(password))

    async def ahash(self, password: str | Secret[str]) -> str:
        """`hash`, awaited."""
        return await self._workers.arun(self._hashing(password))

    def verify(self, password: str | Secret[str], encoded: str | None) -> PasswordVerdict:
        """Whether `password` is the one behind `encoded`.

        Args:
            encoded: what `hash` returned; None for an unknown user, which takes the same time and is never right.
                Anything that is no argon2id hash within bounds (128 MiB, 10 passes, 8 lanes) is treated alike.

        Raises:
            Busy: no worker was free in time.
        """
        return self._workers.run(self._verifying(password, encoded))

    async def averify(self, password: str | Secret[str], encoded: str | None) -> PasswordVerdict:
        """`verify`, awaited."""
        return await self._workers.arun(self._verifying(password, encoded))

    async def aderive(self, code: str, salt: bytes) -> bytes:
        """argon2id of a machine-made code under a given salt, in the same pool: for codes that a store finds by their
        hash. Always OWASP's minimum, because a hash that is a key cannot be made anew.

        Raises:
            Busy: no worker was free in time.
        """
        octets = code.encode("utf-8")
        return await self._workers.arun(lambda: argon2id(octets, salt, _MINIMUM, _HASH_OCTETS))

    def _hashing(self, password: str | Secret[str]) -> Callable[[], str]:
        octets = _octets(password)
        if octets is None:
            raise InvalidRequest(f"a password is at most {MAX_CODE_POINTS} Unicode characters")
        version = self._pepper.active if self._pepper is not None else None
        secret, parameters = self._peppered(octets, version), self._parameters

        def work() -> str:
            salt = SYSTEM_ENTROPY.octets(_SALT_OCTETS)
            made = argon2id(secret, salt, parameters, _HASH_OCTETS)
            key_id = "" if version is None else f",keyid={_base64(version.encode('ascii'))}"
            return f"$argon2id$v=19${parameters}{key_id}${_base64(salt)}${_base64(made)}"

        return work

    def _verifying(self, password: str | Secret[str], encoded: str | None) -> Callable[[], PasswordVerdict]:
        octets, stored = _octets(password), _stored(encoded)
        if octets is None or stored is None or not self._knows(stored.version):
            return self._refusing(octets or b"")
        active = self._pepper.active if self._pepper is not None else None
        stale = (stored.parameters, stored.version) != (self._parameters, active)
        secret = self._peppered(octets, stored.version)

        def work() -> PasswordVerdict:
            ok = _matches(stored, secret)
            return PasswordVerdict(ok, ok and stale)

        return work

    def _refusing(self, octets: bytes) -> Callable[[], PasswordVerdict]:
        """The same work for nothing, so that time does not tell who has an account."""

        def work() -> PasswordVerdict:
            _matches(self._nobody, octets)
            return PasswordVerdict(False)

        return work

    def _knows(self, version: str | None) -> bool:
        return version is None or (self._pepper is not None and version in self._pepper.keys)

    def _peppered(self, octets: bytes, version: str | None) -> bytes:
        if version is None or self._pepper is None:
            return octets
        return digest(self._pepper.keys[version].reveal(), octets, sha256)


@dataclass(frozen=True, slots=True)
class _Stored:
    parameters: Parameters
    version: str | None
    salt: bytes
    made: bytes


def _stored(encoded: str | None) -> _Stored | None:
    found = _ENCODED.fullmatch(encoded) if isinstance(encoded, str) else None
    if found is None:
        return None
    parameters = Parameters(int(found[1]), int(found[2]), int(found[3]))
    if parameters.memory > _CEILING.memory or parameters.passes > _CEILING.passes or parameters.lanes > _CEILING.lanes:
        return None  # who can write one row must not make the server spend a gigabyte on it
    try:
        version = None if found[4] is None else _octets_of(found[4]).decode("ascii")
        return _Stored(parameters, version, _octets_of(found[5]), _octets_of(found[6]))
    except ValueError:
        return None


def _octets_of(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4), validate=True)


def _matches(stored: _Stored, secret: bytes) -> bool:
    try:
        made = argon2id(secret, stored.salt, stored.parameters, len(stored.made))
    except ValueError:
        return False  # within our bounds and outside the algorithm's, such as too little memory for its lanes
    return compare_digest(made, stored.made)


def _octets(password: object) -> bytes | None:
    """As received, after NFC (NIST SP 800-63B, 3.1.1.2), so that one password is one on every keyboard."""
    password = password.reveal() if isinstance(password, Secret) else password
    if not isinstance(password, str) or len(password) > MAX_CODE_POINTS:
        return None
    try:
        return unicodedata.normalize("NFC", password).encode("utf-8")
    except UnicodeEncodeError:
        return None


def _base64(octets: bytes) -> str:
    return b64encode(octets).rstrip(b"=").decode("ascii")
