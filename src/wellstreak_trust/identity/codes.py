"""Numeric codes for people who type them: six digits by mail or text message.

A code can be guessed, so everything around it is bounded:

* It works in the browser that asked and nowhere else: the browser holds a ticket of 256 bits in a cookie, and without
  it there is not even a try.
* Five tries, counted by the store before anything is compared, so that parallel guesses cannot make a sixth.
* Ten minutes, one success, and a newer code ends the older.
* The store holds an HMAC under a key of the server. A copy of the table alone tells no code, though there are only a
  million.

Bound how often a code may be asked for as well (`ratelimit.AttemptGuard`, by address and by client): every new code
brings five new tries.

Sources: OWASP ASVS 5.0 6.5.1 to 6.5.5, 6.6.2 and 6.6.3; NIST SP 800-63B section 3.1.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
from .cookies import Cookie, host_cookie
from .given import plain_data, text_in, text_or_none
from .presented import Presented, TokenFormat, text_of
from .sealing import seal
from .token_store import OneTimeTokenRow, OneTimeTokenStore
from .tokens import TokenInfo, decoy_row, opened_row

__all__ = ["IssuedCode", "OneTimeCodes"]

TICKETS: Final = TokenFormat("wsn_")
COOKIE_NAME: Final = "ws_code"
MAX_LIFETIME: Final = timedelta(minutes=10)

_USE: Final = "one-time code"


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A fresh code.

    Args:
        code: to be sent, never to be shown to the browser that asked. None for nobody: nothing is sent.
        ticket: what only the asking browser holds; `cookie` sets it.
    """

    code: Secret[str] | None
    ticket: Secret[str]
    expires_at: datetime
    cookie: Cookie = field(repr=False)


class OneTimeCodes:
    """Issues and redeems numeric codes of one purpose. Every method has an ``a`` twin.

    Args:
        store: as for `OneTimeTokens`.
        purpose: what the codes are for; a code of another purpose does not count.
        key: 32 octets or more that the database does not hold.
        digits: 6 to 8. tries: 1 to 5. lifetime: at most ten minutes.
        insecure_loopback: as for `SessionManager`.

    Raises:
        ConfigurationError: a value out of these bounds.
    """

    def __init__(
        self,
        store: OneTimeTokenStore,
        purpose: str,
        *,
        key: Secret[bytes],
        digits: int = 6,
        tries: int = 5,
        lifetime: timedelta = MAX_LIFETIME,
        insecure_loopback: bool = False,
        clock: Clock | None = None,
    ) -> None:
        bounded = 6 <= digits <= 8 and 1 <= tries <= 5 and timedelta() < lifetime <= MAX_LIFETIME
        if not purpose or not bounded or len(key.reveal()) < 32:
            raise ConfigurationError(
                "a code has a purpose, 6 to 8 digits, at most 5 tries and 10 minutes, and a key of 32 octets",
                reason="one_time_code",
            )
        self.purpose: str = f"{purpose}.code"
        self.suspends: bool = suspends(store)
        self.store: OneTimeTokenStore = store
        self._key: Secret[bytes] = key
        self._digits: int = digits
        self._tries: int = tries
        self._lifetime: timedelta = lifetime
        self._loopback: bool = insecure_loopback
        self._clock: Clock = clock or SystemClock()
        self.cookie_name: str = self._cookie("").name

    async def aissue(
        self, subject: str | None, *, data: Mapping[str, Any] | None = None, private: str | None = None
    ) -> IssuedCode:
        """A new code for a subject; older ones of the same purpose are dead.

        Args:
            subject: whom it proves. None where the address is nobody's: the browser gets a ticket that opens nothing,
                for the same work.
            data: plain values to get back.
            private: text to get back that the store must not be able to read, such as the address it went to.

        Raises:
            UsageError: an empty subject, data outside canonical JSON.
        """
        if subject is not None and not text_in(subject, "subject"):
            raise UsageError("a code needs a subject")
        facts, private = plain_data(data), text_or_none(private, "private")
        ticket, now = TICKETS.new(), self._clock.now()
        code, ends = self._draw(), now + self._lifetime
        if subject is None:
            await self.store.issue(decoy_row(self.purpose, now, self._lifetime))
        else:
            key = TICKETS.key_of(ticket)
            row = OneTimeTokenRow(key, self.purpose, subject, now, ends, fingerprint=self._mac(key, subject, code))
            sealed = None if private is None else seal(ticket, _USE, private)
            await self.store.issue(replace(row, data=facts, sealed=sealed))
        sent = None if subject is None else Secret(code)
        return IssuedCode(sent, Secret(ticket), ends, self._cookie(ticket))

    issue: Final = synced(aissue)

    async def aconsume(self, ticket: Presented | None, code: Presented) -> TokenInfo:
        """Uses a code up; works once.

        Args:
            ticket: the value of the cookie `cookie_name` in this request.

        Raises:
            InvalidCredential: another browser, a wrong, used or expired code, and one tried too often: all alike.
        """
        key = TICKETS.key(ticket)
        row = await self.store.attempt(key, self._tries)
        if row is None:
            raise InvalidCredential("no such code, or tried too often", reason="unknown")
        if row.purpose != self.purpose:
            raise InvalidCredential("a code of another purpose", reason="purpose")
        if self._clock.now() >= row.expires_at:
            raise InvalidCredential("an expired code", reason="expired")
        if not compare_digest(row.fingerprint or b"", self._mac(key, row.subject, text_of(code))):
            raise InvalidCredential("a wrong code", reason="wrong")
        if not await self.store.consume_if(row):
            raise InvalidCredential("another use came first", reason="used")
        return opened_row(ticket, _USE, row)

    consume: Final = synced(aconsume)

    def removal_cookie(self) -> Cookie:
        """Takes the ticket out of the browser, once the code is used."""
        return host_cookie(COOKIE_NAME, "", timedelta(), insecure_loopback=self._loopback)

    def _cookie(self, ticket: str) -> Cookie:
        return host_cookie(COOKIE_NAME, ticket, self._lifetime, insecure_loopback=self._loopback)

    def _draw(self) -> str:
        """Even over all codes: 64 bits over 10^8 favour none by more than one in 10^11."""
        drawn = int.from_bytes(SYSTEM_ENTROPY.octets(8), "big")
        return f"{drawn % 10**self._digits:0{self._digits}}"

    def _mac(self, key: bytes, subject: str, code: str) -> bytes:
        typed = code.encode("utf-8", "surrogatepass")  # what a request sends must compare unequal, not fail to encode
        return digest(self._key.reveal(), length_prefixed(self.purpose, subject, key, typed), sha256)
