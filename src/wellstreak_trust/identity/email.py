"""Proof that an address belongs to an account, on top of one-time tokens.

The first proof of an address ends every session opened before it: who registered a stranger's address and waited is
thrown out when the stranger arrives (account pre-hijacking, Sudhodanan and Paverd 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from ..core.clock import Clock
from ..core.errors import InvalidCredential
from ..core.sansio import suspends, synced
from .presented import Presented
from .sessions import SessionManager
from .token_store import OneTimeTokenStore
from .tokens import IssuedToken, OneTimeTokens

__all__ = ["EmailAddresses", "EmailVerification", "VerifiedEmail"]

_PURPOSE: Final = "verify_email"


@dataclass(frozen=True, slots=True)
class VerifiedEmail:
    """An address that is now proved.

    Args:
        first: whether this account had no proved address before; sessions before it are ended.
    """

    user_id: str
    first: bool


class EmailAddresses(Protocol):
    """The host's accounts, as far as this room must know them."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def address_of(self, user_id: str, /) -> str | None:
        """The address the account has now, proved or not."""
        ...

    async def mark_verified(self, user_id: str, address: str, /) -> bool:
        """Marks `address` as proved if it still is the account's, and, if that is the account's first proof, drops any
        password and linked identity set before, in one transaction. Tells whether it was the first.
        """
        ...


class EmailVerification:
    """Sends and redeems verification links. Every method has an ``a`` twin.

    Args:
        store: where the tokens are kept.
        accounts: the host's accounts.
        sessions: whose sessions end on the first proof.
    """

    def __init__(
        self,
        store: OneTimeTokenStore,
        accounts: EmailAddresses,
        *,
        sessions: SessionManager,
        clock: Clock | None = None,
    ) -> None:
        self.suspends: bool = suspends(store, accounts, sessions)
        self._tokens: OneTimeTokens = OneTimeTokens(store, _PURPOSE, clock=clock)
        self._accounts: EmailAddresses = accounts
        self._sessions: SessionManager = sessions

    async def abegin(self, user_id: str) -> IssuedToken | None:
        """A token to mail to the account's address; None if it has none. Answer the browser alike in both cases."""
        address = await self._accounts.address_of(user_id)
        return None if address is None else await self._tokens.aissue(user_id, email=address)

    begin: Final = synced(abegin)

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
        await self._tokens.aconsume(token, email=address)
        first = await self._accounts.mark_verified(user_id, address)
        if first:
            await self._sessions.arevoke_all(user_id)
        return VerifiedEmail(user_id, first)

    confirm: Final = synced(aconfirm)
