"""Proof that an address belongs to an account, and the change from one address to another.

The first proof of an address ends every session, and whatever else was opened, before it: who registered a stranger's
address and waited is thrown out when the stranger arrives (account pre-hijacking, Sudhodanan and Paverd 2022). What
was opened is ended before the proof counts and once more after, so that a crash in between leaves nobody inside.

A new address is proved before it counts, and the old one is told. The new address lies in the store only sealed for
whoever holds the link.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..core.clock import Clock, SystemClock
from ..core.errors import InvalidCredential, InvalidRequest, UsageError
from ..core.event import EventSink
from ..core.sansio import suspends, synced
from .mail import EmailAddresses, Mail, Mailer, Revocable
from .presented import Presented
from .sessions import SessionManager
from .token_store import OneTimeTokenStore
from .tokens import IssuedToken, OneTimeTokens, normalised_email
from .trail import Cause, Fact, Trail

__all__ = ["AddressProof", "EmailChange", "EmailVerification", "VerifiedEmail", "checked_address"]

_LINKS: Final = ("change_email", "reset_password", "magic_link")
_ADDRESS_LIMIT: Final = 254  # RFC 5321, 4.5.3.1.3, without the brackets


@dataclass(frozen=True, slots=True)
class VerifiedEmail:
    """An address that is now proved.

    Args:
        first: whether this account had no proved address before; sessions before it are ended.
    """

    user_id: str
    first: bool


class AddressProof:
    """What happens when somebody shows that an address is theirs, by whatever link or code."""

    def __init__(
        self,
        store: OneTimeTokenStore,
        accounts: EmailAddresses,
        sessions: SessionManager,
        also: Iterable[Revocable],
    ) -> None:
        self._store: OneTimeTokenStore = store
        self._accounts: EmailAddresses = accounts
        self._sessions: SessionManager = sessions
        self._also: tuple[Revocable, ...] = tuple(also)
        self.suspends: bool = suspends(store, accounts, sessions, *self._also)

    async def prove(self, user_id: str, address: str) -> VerifiedEmail:
        """Marks the address as proved; the first time, everything from before ends."""
        if not await self._accounts.has_proof(user_id):
            await self.end_all(user_id, "pre_hijack")
        first = await self._accounts.mark_verified(user_id, address)
        if first:
            await self.end_all(user_id, "pre_hijack")
        return VerifiedEmail(user_id, first)

    async def end_all(self, user_id: str, cause: Cause, keep: str | None = None) -> None:
        """Ends what was opened with the old credentials, except the session of id `keep`.

        Links on their way end as well: one of them could still move the account to an attacker's address.
        """
        for purpose in _LINKS:
            await self._store.revoke(purpose, user_id)
        await self._sessions.arevoke_all(user_id, except_=keep, cause=cause)
        for held in self._also:
            await held.arevoke_all(user_id)


class EmailVerification:
    """Sends and redeems verification links. Every method has an ``a`` twin.

    Args:
        store: where the tokens are kept; one store for all links of accounts, because a proof ends those on their way.
        accounts: the host's accounts.
        sessions: whose sessions end on the first proof.
        also: what else ends then: `RefreshFamilies`, `ApiKeys`.
        mailer: sends the links. Without one, `begin` hands the token out and `request` is refused.
        audit: takes ``email.verified``.
    """

    def __init__(
        self,
        store: OneTimeTokenStore,
        accounts: EmailAddresses,
        *,
        sessions: SessionManager,
        also: Iterable[Revocable] = (),
        mailer: Mailer | None = None,
        audit: EventSink | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._proof: AddressProof = AddressProof(store, accounts, sessions, also)
        self.suspends: bool = suspends(mailer, audit, self._proof)
        self._clock: Clock = clock or SystemClock()
        self._tokens: OneTimeTokens = OneTimeTokens(store, "verify_email", clock=self._clock)
        self._accounts: EmailAddresses = accounts
        self._mailer: Mailer | None = mailer
        self._trail: Trail = Trail(audit, self._clock)

    async def abegin(self, user_id: str) -> IssuedToken | None:
        """A token for the account's address, mailed if there is a mailer; None if the account has no address."""
        address = await self._accounts.address_of(user_id)
        issued = await self._tokens.aissue(user_id, email=address) if address is not None else None
        if issued is not None and address is not None and self._mailer is not None:
            await self._mailer.send(Mail("verify_email", user_id, address, issued.token, expires_at=issued.expires_at))
        return issued

    begin: Final = synced(abegin)

    async def arequest(self, address: str) -> None:
        """Sends another link to whoever has this address. Answer the browser alike in every case: known and unknown
        addresses cost the same.

        Raises:
            InvalidRequest: text that is no address.
            UsageError: there is no mailer.
        """
        if self._mailer is None:
            raise UsageError("there is nobody to send mail", hint="EmailVerification(..., mailer=...)")
        user_id = await self._accounts.find(checked_address(address))
        if await self.abegin(user_id or "") is None:  # the look-up of "" is for time's sake
            await self._tokens.adecoy()
            await self._mailer.send(None)

    request: Final = synced(arequest)

    async def apeek(self, token: Presented) -> str:
        """The id of the account a link is for; changes nothing, whoever opens it.

        Raises:
            InvalidCredential: as `OneTimeTokens.peek`.
        """
        return (await self._tokens.apeek(token)).subject

    peek: Final = synced(apeek)

    async def aconfirm(self, token: Presented) -> VerifiedEmail:
        """Redeems a link for the address the account has now: one changed meanwhile is not proved by an old link.

        Raises:
            InvalidCredential: as `OneTimeTokens.consume`.
        """
        user_id = (await self._tokens.apeek(token)).subject
        address = await self._accounts.address_of(user_id)
        if address is None:
            raise InvalidCredential("the account has no address", reason="email")
        await self._trail.record(Fact("email.verified", user_id), "attempted")
        await self._tokens.aconsume(token, email=address)
        proved = await self._proof.prove(user_id, address)
        await self._trail.tell(Fact("email.verified", user_id))
        return proved

    confirm: Final = synced(aconfirm)


class EmailChange:
    """Moves an account to another address. Every method has an ``a`` twin.

    Ask for a fresh sign-in first (`SessionManager.require`): who controls the address controls the account.

    Args:
        store, accounts: as for `EmailVerification`.
        sessions: all but one of the user's end when the address changes. also: what else ends then.
        mailer: sends the link to the new address and the notice to the old one.
        audit: takes ``email.change_requested`` and ``email.changed``.
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
        clock: Clock | None = None,
    ) -> None:
        self._proof: AddressProof = AddressProof(store, accounts, sessions, also)
        self.suspends: bool = suspends(mailer, audit, self._proof)
        self._clock: Clock = clock or SystemClock()
        self._tokens: OneTimeTokens = OneTimeTokens(store, "change_email", clock=self._clock)
        self._accounts: EmailAddresses = accounts
        self._mailer: Mailer = mailer
        self._trail: Trail = Trail(audit, self._clock)

    async def abegin(self, user_id: str, new: str) -> None:
        """Sends a link to the new address. One that somebody else has gets none, and the answer is the same.

        Raises:
            InvalidRequest: text that is no address.
            InvalidCredential: an account without an address, which verifies one instead.
        """
        wanted = checked_address(new)
        old = await self._accounts.address_of(user_id)
        if old is None:
            raise InvalidCredential("the account has no address to change", reason="email")
        await self._trail.record(Fact("email.change_requested", user_id))
        if await self._accounts.find(wanted) is not None:
            await self._tokens.adecoy()
            await self._mailer.send(None)
            return
        issued = await self._tokens.aissue(user_id, email=wanted, fingerprint=normalised_email(old), private=wanted)
        await self._mailer.send(Mail("change_email", user_id, wanted, issued.token, expires_at=issued.expires_at))

    begin: Final = synced(abegin)

    async def apeek(self, token: Presented) -> str:
        """The id of the account a link is for; changes nothing."""
        return (await self._tokens.apeek(token)).subject

    peek: Final = synced(apeek)

    async def aconfirm(self, token: Presented, *, keep: str | None = None) -> str:
        """Redeems the link: the address is changed, the old one is told, and the user's sessions end.

        Args:
            keep: id of the session that stays: the one this request came in with.

        Returns:
            The id of the account.

        Raises:
            InvalidCredential: as `OneTimeTokens.consume`; the address changed meanwhile, or is taken.
        """
        info = await self._tokens.apeek(token)
        user_id, new = info.subject, info.private.reveal() if info.private is not None else ""
        old = await self._accounts.address_of(user_id)
        async with self._trail.around(Fact("email.changed", user_id, cause="changed")):
            await self._tokens.aconsume(token, email=new, fingerprint=normalised_email(old))
            # Ended before and after: a crash in between must leave nobody inside who came under the old address.
            await self._proof.end_all(user_id, "changed", keep)
            if old is None or not await self._accounts.change_address(user_id, old, new):
                raise InvalidCredential("the address is taken", reason="email")
        await self._proof.end_all(user_id, "changed", keep)
        await self._mailer.send(Mail("email_changed", user_id, old))
        return user_id

    confirm: Final = synced(aconfirm)


def checked_address(address: str) -> str:
    """The address without outer space, if it can be one (RFC 5321 is checked by sending to it).

    Raises:
        InvalidRequest: longer than 254 characters, not printable, no ``@`` with something on both sides.
    """
    found = address.strip() if isinstance(address, str) else ""
    local, mark, domain = found.rpartition("@")
    if not (local and mark and domain) or len(found) > _ADDRESS_LIMIT or not found.isprintable() or " " in found:
        raise InvalidRequest("not an address")
    return found
