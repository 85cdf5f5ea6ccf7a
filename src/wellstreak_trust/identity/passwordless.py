"""Signing in by mail: a link to open, or a code to type, in the browser that asked and in no other.

Whoever makes a victim open the attacker's link would sign the victim in as the attacker (login CSRF), and whoever reads
a forwarded mail would be signed in as its owner. So the browser that asks gets a random value in a cookie, and without
it neither link nor code does anything. A mail scanner that opens the link has no cookie and changes nothing.

Both prove the address, as a verification link does. Mail is one factor at most and none of strong assurance
(ASVS 6.3.6): the session opened after it is ``aal=1``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from ..core.clock import Clock, SystemClock
from ..core.entropy import random_token
from ..core.errors import InvalidCredential
from ..core.event import EventSink
from ..core.sansio import suspends, synced
from .codes import OneTimeCodes
from .cookies import Cookie, host_cookie
from .email import AddressProof, VerifiedEmail, checked_address
from .mail import EmailAddresses, Mail, Mailer, Revocable
from .presented import Presented, text_of
from .sessions import SessionManager
from .token_store import OneTimeTokenStore
from .tokens import LIFETIMES, OneTimeTokens, normalised_email
from .trail import Fact, Trail

__all__ = ["EmailCodes", "MagicLinks"]

COOKIE_NAME: Final = "ws_link"


class MagicLinks:
    """Links that sign in. Every method has an ``a`` twin.

    Args:
        store: where the links are kept.
        accounts, sessions, also: as for `EmailVerification`: the first link of an account proves its address.
        mailer: sends the links.
        audit: takes ``signin.requested`` and ``email.verified``.
        insecure_loopback: as for `SessionManager`.
    """

    def __init__(
        self,
        store: OneTimeTokenStore,
        accounts: EmailAddresses,
        *,
        sessions: SessionManager,
        mailer: Mailer,
        also: Iterable[Revocable] = (),
        audit: EventSink | None = None,
        insecure_loopback: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._proof: AddressProof = AddressProof(store, accounts, sessions, also)
        self.suspends: bool = suspends(mailer, audit, self._proof)
        self._clock: Clock = clock or SystemClock()
        self._tokens: OneTimeTokens = OneTimeTokens(store, "magic_link", clock=self._clock)
        self._accounts: EmailAddresses = accounts
        self._mailer: Mailer = mailer
        self._trail: Trail = Trail(audit, self._clock)
        self._loopback: bool = insecure_loopback
        self.cookie_name: str = self._cookie("", timedelta()).name

    async def abegin(self, address: str) -> Cookie:
        """Sends a link to whoever has this address; the cookie goes to the browser in every case.

        Raises:
            InvalidRequest: text that is no address.
        """
        user_id = await self._accounts.find(checked_address(address))
        held = await self._accounts.address_of(user_id or "")  # the look-up of "" is for time's sake
        browser = random_token()
        await self._trail.record(Fact("signin.requested", user_id or "unknown"))
        if user_id is None or held is None:
            await self._tokens.adecoy()
            await self._mailer.send(None)
        else:
            issued = await self._tokens.aissue(user_id, email=held, fingerprint=browser)
            await self._mailer.send(Mail("magic_link", user_id, held, issued.token, expires_at=issued.expires_at))
        return self._cookie(browser, LIFETIMES["magic_link"])

    begin: Final = synced(abegin)

    async def apeek(self, token: Presented) -> str:
        """The id of the account a link is for; changes nothing, whoever opens it."""
        return (await self._tokens.apeek(token)).subject

    peek: Final = synced(apeek)

    async def acomplete(self, token: Presented, browser: Presented | None) -> VerifiedEmail:
        """Uses a link up, in answer to a POST. Open a session for the account it gives.

        Args:
            browser: the value of the cookie `cookie_name` in this request.

        Raises:
            InvalidCredential: as `OneTimeTokens.consume`; another browser than the one that asked.
        """
        user_id = (await self._tokens.apeek(token)).subject
        address = await self._accounts.address_of(user_id)
        if address is None:
            raise InvalidCredential("the account has no address", reason="email")
        await self._tokens.aconsume(token, email=address, fingerprint=text_of(browser))
        return await _proved(self._proof, self._trail, user_id, address)

    complete: Final = synced(acomplete)

    def removal_cookie(self) -> Cookie:
        """Takes the cookie out of the browser, once the link is used."""
        return self._cookie("", timedelta())

    def _cookie(self, value: str, max_age: timedelta) -> Cookie:
        return host_cookie(COOKIE_NAME, value, max_age, insecure_loopback=self._loopback)


class EmailCodes:
    """Codes that sign in. Every method has an ``a`` twin.

    Args:
        codes: bounds, key and store of the codes.
        accounts, sessions, also, mailer, audit: as for `MagicLinks`.
    """

    def __init__(
        self,
        codes: OneTimeCodes,
        accounts: EmailAddresses,
        *,
        sessions: SessionManager,
        mailer: Mailer,
        also: Iterable[Revocable] = (),
        audit: EventSink | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._proof: AddressProof = AddressProof(codes.store, accounts, sessions, also)
        self.suspends: bool = suspends(mailer, audit, self._proof)
        self._codes: OneTimeCodes = codes
        self._accounts: EmailAddresses = accounts
        self._mailer: Mailer = mailer
        self._trail: Trail = Trail(audit, clock or SystemClock())
        self.cookie_name: str = codes.cookie_name

    async def abegin(self, address: str) -> Cookie:
        """Sends a code to whoever has this address; the cookie goes to the browser in every case.

        Raises:
            InvalidRequest: text that is no address.
        """
        user_id = await self._accounts.find(checked_address(address))
        held = await self._accounts.address_of(user_id or "")  # the look-up of "" is for time's sake
        await self._trail.record(Fact("signin.requested", user_id or "unknown"))
        issued = await self._codes.aissue(user_id if held is not None else None, private=held)
        sent: Mail | None = None
        if user_id is not None and held is not None:
            sent = Mail("code", user_id, held, code=issued.code, expires_at=issued.expires_at)
        await self._mailer.send(sent)
        return issued.cookie

    begin: Final = synced(abegin)

    async def acomplete(self, ticket: Presented | None, code: Presented) -> VerifiedEmail:
        """Uses a code up. Open a session for the account it gives.

        Args:
            ticket: the value of the cookie `cookie_name` in this request.

        Raises:
            InvalidCredential: as `OneTimeCodes.consume`; the address changed meanwhile.
        """
        info = await self._codes.aconsume(ticket, code)
        user_id, went_to = info.subject, info.private.reveal() if info.private is not None else None
        address = await self._accounts.address_of(user_id)
        if address is None or normalised_email(address) != normalised_email(went_to):
            raise InvalidCredential("the account has another address than the code went to", reason="email")
        return await _proved(self._proof, self._trail, user_id, address)

    complete: Final = synced(acomplete)


async def _proved(proof: AddressProof, trail: Trail, user_id: str, address: str) -> VerifiedEmail:
    found = await proof.prove(user_id, address)
    if found.first:
        await trail.tell(Fact("email.verified", user_id))
    return found
