"""One-time tokens for links in mails: verify an address, reset a password, invite, sign in.

* Opening a link has no effect: `peek` (for GET) may run any number of times, because mail scanners open every link;
  `consume` (for POST) works once, by compare-and-set.
* The store holds a hash of the token. What the token is bound to (an address, a password hash, a browser) is kept as
  HMAC under a key derived from the token itself, so that a copy of the table names nobody.
* A newer token ends the older ones of its subject and purpose. A wrong address, purpose or fingerprint burns nothing,
  or anybody could burn anybody's link.
* A request for an address that nobody has costs what the real thing costs: `decoy` writes a row that no token opens.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Any, Final

from ..core.canonical import length_prefixed
from ..core.clock import Clock, SystemClock
from ..core.entropy import SYSTEM_ENTROPY
from ..core.errors import ConfigurationError, InvalidCredential, UsageError
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .given import configured_span, plain_data, text_in, text_or_none
from .presented import Presented, TokenFormat, text_of
from .sealing import seal, unseal
from .token_store import OneTimeTokenRow, OneTimeTokenStore

__all__ = ["LIFETIMES", "IssuedToken", "OneTimeTokens", "TokenInfo", "decoy_row", "normalised_email", "opened_row"]

TOKENS: Final = TokenFormat("wst_")
LIFETIMES: Final[Mapping[str, timedelta]] = {
    "verify_email": timedelta(hours=24),
    "reset_password": timedelta(minutes=30),
    "change_email": timedelta(hours=1),
    "invite": timedelta(days=7),
    "magic_link": timedelta(minutes=10),
}
MAX_LIFETIME: Final = timedelta(days=30)

_USE: Final = "one-time token"


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A fresh token, shown once."""

    token: Secret[str]
    purpose: str
    subject: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What a token stands for.

    Args:
        private: the text that was sealed for the token's holder, if any.
    """

    subject: str
    data: Mapping[str, Any]
    purpose: str
    expires_at: datetime
    private: Secret[str] | None = None


class OneTimeTokens:
    """Issues and redeems the tokens of one purpose. Every method has an ``a`` twin.

    Args:
        store: `MemoryOneTimeTokenStore`, `storage.sql.SqlOneTimeTokenStore` or `storage.redis.RedisOneTimeTokenStore`.
        purpose: one of `LIFETIMES`, or a name of one's own together with `lifetime`.
        lifetime: at most 30 days.

    Raises:
        ConfigurationError: a purpose without a lifetime, or a lifetime out of bounds.
    """

    def __init__(
        self,
        store: OneTimeTokenStore,
        purpose: str,
        *,
        lifetime: timedelta | None = None,
        clock: Clock | None = None,
    ) -> None:
        purpose = purpose if isinstance(purpose, str) else ""
        found = lifetime if lifetime is not None else LIFETIMES.get(purpose)
        if not purpose or found is None or not timedelta() < configured_span(found, "lifetime") <= MAX_LIFETIME:
            raise ConfigurationError(
                "a purpose needs a lifetime of at most 30 days",
                hint=f"one of {', '.join(LIFETIMES)}, or lifetime=timedelta(...)",
                reason="token_lifetime",
            )
        self.purpose: str = purpose
        self.suspends: bool = suspends(store)
        self._store: OneTimeTokenStore = store
        self._lifetime: timedelta = found
        self._clock: Clock = clock or SystemClock()

    async def aissue(
        self,
        subject: str,
        *,
        email: str | None = None,
        data: Mapping[str, Any] | None = None,
        fingerprint: str | None = None,
        private: str | None = None,
    ) -> IssuedToken:
        """A new token; older ones of this subject and purpose are dead.

        Args:
            email: the address it is sent to, and must be redeemed for.
            data: plain values to get back, such as a tenant id; no personal data.
            fingerprint: what must still be so when it is redeemed. Give the current password hash for a reset, so
                that one change of the password ends every open link, and a random value in a cookie of the asking
                browser for a magic link, so that it signs in no other browser.
            private: text to get back that the store must not be able to read, such as a new address.

        Raises:
            UsageError: an empty subject, data outside canonical JSON.
        """
        if not text_in(subject, "subject"):
            raise UsageError("a token needs a subject")
        facts, sealing = plain_data(data), text_or_none(private, "private")
        token, now = TOKENS.new(), self._clock.now()
        row = OneTimeTokenRow(
            TOKENS.key_of(token),
            self.purpose,
            subject,
            now,
            now + self._lifetime,
            _bound(token, "email", normalised_email(text_or_none(email, "email"))),
            _bound(token, "fingerprint", text_or_none(fingerprint, "fingerprint")),
            facts,
            None if sealing is None else seal(token, _USE, sealing),
        )
        await self._store.issue(row)
        return IssuedToken(Secret(token), self.purpose, subject, row.expires_at)

    issue: Final = synced(aissue)

    async def adecoy(self) -> None:
        """The work of `issue` for nobody: one write, and a row that no token opens."""
        await self._store.issue(decoy_row(self.purpose, self._clock.now(), self._lifetime))

    decoy: Final = synced(adecoy)

    async def apeek(self, token: Presented, *, email: str | None = None, fingerprint: str | None = None) -> TokenInfo:
        """What a good token stands for, without using it: for the page behind the link.

        Bindings are checked as far as they are given, because the page must first learn whose link it is.

        Raises:
            InvalidCredential: unknown, used, expired, of another purpose, or bound to something else: all alike.
        """
        return opened_row(token, _USE, await self._good(token, email, fingerprint, strict=False))

    peek: Final = synced(apeek)

    async def aconsume(
        self, token: Presented, *, email: str | None = None, fingerprint: str | None = None
    ) -> TokenInfo:
        """Uses a good token up; works once. All that it was bound to must be given.

        Raises:
            InvalidCredential: as `peek`, and when another caller was first.
        """
        row = await self._good(token, email, fingerprint, strict=True)
        if not await self._store.consume_if(row):
            raise InvalidCredential("another use came first", reason="used")
        return opened_row(token, _USE, row)

    consume: Final = synced(aconsume)

    async def arevoke(self, subject: str) -> None:
        """Forgets the open tokens of a subject."""
        await self._store.revoke(self.purpose, text_in(subject, "subject"))

    revoke: Final = synced(arevoke)

    async def asweep(self) -> int:
        """Forgets expired tokens of every purpose; run it now and then. Returns how many."""
        return await self._store.sweep(self._clock.now())

    sweep: Final = synced(asweep)

    async def _good(
        self, token: Presented, email: str | None, fingerprint: str | None, *, strict: bool
    ) -> OneTimeTokenRow:
        row = await self._store.read(TOKENS.key(token))
        if row is None:
            raise InvalidCredential("no such token", reason="unknown")
        if row.purpose != self.purpose:
            raise InvalidCredential("a token of another purpose", reason="purpose")
        if self._clock.now() >= row.expires_at:
            raise InvalidCredential("an expired token", reason="expired")
        text = text_of(token)
        for name, kept, given in (("email", row.email, email), ("fingerprint", row.fingerprint, fingerprint)):
            if given is not None and not isinstance(given, str):
                raise InvalidCredential(f"a {name} that is no text", reason=name)
            asked = normalised_email(given) if name == "email" else given
            if (strict or given is not None) and not _same(kept, _bound(text, name, asked)):
                raise InvalidCredential(f"bound to another {name}", reason=name)
        return row


def normalised_email(address: str | None) -> str | None:
    """The spelling by which addresses are compared: NFC, outer space cut, lower case."""
    return None if address is None else unicodedata.normalize("NFC", address).strip().lower()


def _bound(token: str, name: str, value: str | None) -> bytes | None:
    if value is None:
        return None
    # surrogatepass: what a request sends must compare unequal, not fail to encode.
    return digest(token.encode("ascii"), length_prefixed(name, value.encode("utf-8", "surrogatepass")), sha256)


def _same(kept: bytes | None, asked: bytes | None) -> bool:
    return kept is asked if kept is None or asked is None else compare_digest(kept, asked)


def opened_row(token: Presented | None, use: str, row: OneTimeTokenRow) -> TokenInfo:
    """What a row stands for to the holder of its token."""
    private: Secret[str] | None = None if row.sealed is None else Secret(unseal(text_of(token), use, row.sealed))
    return TokenInfo(row.subject, dict(row.data), row.purpose, row.expires_at, private)


def decoy_row(purpose: str, now: datetime, lifetime: timedelta) -> OneTimeTokenRow:
    """A row under a purpose that nothing redeems. Of few subjects, so that junk requests do not fill the store."""
    octets = SYSTEM_ENTROPY.octets(33)
    return OneTimeTokenRow(octets[:32], f"{purpose}.nobody", octets[32:].hex(), now, now + lifetime)
