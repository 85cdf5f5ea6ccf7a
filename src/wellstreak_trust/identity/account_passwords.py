"""Accounts with passwords: sign in, change, and set a new one by a link in a mail.

* A sign-in costs the same for an account that exists, one that does not, and one that has no password.
* A change asks for the current password. Both change and reset end every other session, and tell the owner by mail.
* A reset link is bound to the address it went to and to the password it replaces: any change of the password ends it.
  It proves the address, as a verification link does, and signs nobody in, so that a second factor is still asked for.
* An operator can have a link sent to a user. Nobody sets a password for somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..core.clock import Clock, SystemClock
from ..core.errors import InvalidCredential, InvalidRequest
from ..core.event import EventSink
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from .email import AddressProof, checked_address
from .mail import Mail, Mailer, PasswordAccounts, Revocable
from .password_policy import PasswordPolicy
from .passwords import PasswordHasher
from .presented import Presented
from .sessions import SessionManager
from .token_store import OneTimeTokenStore
from .tokens import OneTimeTokens, TokenInfo
from .trail import Fact, Trail

__all__ = ["Passwords"]


class Passwords:
    """Passwords of the host's accounts. Every method has an ``a`` twin; the async ones never block the loop.

    Args:
        accounts: the host's accounts.
        hasher, policy: how passwords are kept, and which new ones are accepted.
        store: where reset links are kept.
        sessions: whose sessions end when a password changes. also: what else ends then.
        mailer: sends links and notices.
        audit: takes ``signin.failed``, ``password.changed`` and ``password.reset_requested``.
    """

    def __init__(
        self,
        accounts: PasswordAccounts,
        *,
        hasher: PasswordHasher,
        policy: PasswordPolicy,
        store: OneTimeTokenStore,
        sessions: SessionManager,
        mailer: Mailer,
        also: Iterable[Revocable] = (),
        audit: EventSink | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._proof: AddressProof = AddressProof(store, accounts, sessions, also)
        self.suspends: bool = suspends(policy, mailer, audit, self._proof)
        self._clock: Clock = clock or SystemClock()
        self._accounts: PasswordAccounts = accounts
        self._hasher: PasswordHasher = hasher
        self._policy: PasswordPolicy = policy
        self._tokens: OneTimeTokens = OneTimeTokens(store, "reset_password", clock=self._clock)
        self._mailer: Mailer = mailer
        self._trail: Trail = Trail(audit, self._clock)

    async def asign_in(self, address: str, password: str) -> str:
        """The id of the account that this address and password are of. Limit attempts before this point.

        A hash of older parameters is replaced on the way.

        Raises:
            InvalidCredential: unknown address, wrong password and no password look alike and take alike.
            Busy: no worker was free in time.
        """
        user_id = await self._accounts.find(_address_or_blank(address))
        encoded = await self._accounts.password_of(user_id or "")  # the look-up of "" is for time's sake
        verdict = await self._hasher.averify(password, encoded)
        if user_id is None or encoded is None or not verdict.ok:
            await self._trail.tell(Fact("signin.failed", user_id or "unknown", cause="wrong"), "denied")
            raise InvalidCredential("wrong address or password", reason="unknown" if user_id is None else "wrong")
        if verdict.rehash:
            await self._accounts.change_password(user_id, encoded, await self._hasher.ahash(password))
        return user_id

    sign_in: Final = synced(asign_in)

    async def achange(
        self, user_id: str, current: str, new: str, *, keep: str | None = None, mfa: bool = False
    ) -> None:
        """Replaces a password by its owner, who knows it.

        Args:
            keep: id of the session that stays: the one this request came in with.
            mfa: as for `PasswordPolicy.check`.

        Raises:
            InvalidCredential: `current` is wrong, or the password changed meanwhile.
            PasswordRejected: `new` is against the policy.
        """
        encoded = await self._accounts.password_of(user_id)
        if encoded is None or not (await self._hasher.averify(current, encoded)).ok:
            await self._trail.tell(Fact("signin.failed", user_id, cause="wrong"), "denied")
            raise InvalidCredential("wrong password", reason="wrong")
        made = await self._made(user_id, new, mfa)
        async with self._trail.around(Fact("password.changed", user_id, cause="changed")):
            await self._replace(user_id, encoded, made, keep)
        await self._notify(user_id)

    change: Final = synced(achange)

    async def arequest_reset(self, address: str) -> None:
        """Sends a link to whoever has this address. Answer the browser alike in every case.

        Raises:
            InvalidRequest: text that is no address.
        """
        await self._send_link(await self._accounts.find(checked_address(address)), None)

    request_reset: Final = synced(arequest_reset)

    async def arequest_reset_for(self, user_id: str, *, by: Principal) -> None:
        """Sends a link to a user at an operator's wish, who neither sees it nor chooses the password (ASVS 6.4.6)."""
        await self._send_link(user_id, by)

    request_reset_for: Final = synced(arequest_reset_for)

    async def apeek_reset(self, token: Presented) -> str:
        """The id of the account a link is for; changes nothing, whoever opens it.

        Raises:
            InvalidCredential: as `OneTimeTokens.peek`, and once the password has changed.
        """
        return (await self._open_link(token))[0].subject

    peek_reset: Final = synced(apeek_reset)

    async def areset(self, token: Presented, new: str, *, mfa: bool = False) -> str:
        """Sets a new password by a link. Every session ends; nobody is signed in.

        Returns:
            The id of the account, to be asked for its second factor as at any sign-in.

        Raises:
            InvalidCredential: as `OneTimeTokens.consume`; any change of the password meanwhile.
            PasswordRejected: `new` is against the policy; the link stays good.
        """
        info, encoded = await self._open_link(token)
        user_id, address = info.subject, await self._accounts.address_of(info.subject)
        if address is None:
            raise InvalidCredential("the account has no address", reason="email")
        made = await self._made(user_id, new, mfa)
        async with self._trail.around(Fact("password.changed", user_id, cause="reset")):
            await self._tokens.aconsume(token, email=address, fingerprint=encoded or "")
            if (await self._proof.prove(user_id, address)).first:
                encoded = await self._accounts.password_of(user_id)  # a squatter's password is gone
            await self._replace(user_id, encoded, made, None)
        await self._notify(user_id)
        return user_id

    reset: Final = synced(areset)

    async def _open_link(self, token: Presented) -> tuple[TokenInfo, str | None]:
        info = await self._tokens.apeek(token)
        encoded = await self._accounts.password_of(info.subject)
        return await self._tokens.apeek(token, fingerprint=encoded or ""), encoded

    async def _send_link(self, user_id: str | None, by: Principal | None) -> None:
        address = await self._accounts.address_of(user_id or "")  # the look-ups of "" are for time's sake
        encoded = await self._accounts.password_of(user_id or "")
        await self._trail.record(Fact("password.reset_requested", user_id or "unknown", by=by))
        if user_id is None or address is None:
            await self._tokens.adecoy()
            await self._mailer.send(None)
            return
        issued = await self._tokens.aissue(user_id, email=address, fingerprint=encoded or "")
        await self._mailer.send(Mail("reset_password", user_id, address, issued.token, expires_at=issued.expires_at))

    async def _made(self, user_id: str, new: str, mfa: bool) -> str:
        address = await self._accounts.address_of(user_id)
        await self._policy.arequire(new, mfa=mfa, context=() if address is None else (address,))
        return await self._hasher.ahash(new)

    async def _replace(self, user_id: str, old: str | None, made: str, keep: str | None) -> None:
        # Ended before and after: a crash in between must leave nobody inside who came with the old password.
        await self._proof.end_all(user_id, "changed", keep)
        if not await self._accounts.change_password(user_id, old, made):
            raise InvalidCredential("another change of the password came first", reason="fingerprint")
        await self._proof.end_all(user_id, "changed", keep)

    async def _notify(self, user_id: str) -> None:
        address = await self._accounts.address_of(user_id)
        if address is not None:
            await self._mailer.send(Mail("password_changed", user_id, address))


def _address_or_blank(address: str) -> str:
    """What is no address has no account, like any other unknown one: a sign-in form has one answer."""
    try:
        return checked_address(address)
    except InvalidRequest:
        return ""
