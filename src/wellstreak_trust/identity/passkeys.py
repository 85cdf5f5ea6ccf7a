"""Passkeys (WebAuthn Level 3): registration, and sign-in with or without a user named first.

* A challenge of 256 bits is used up before its answer is looked at, so that no answer counts twice, right or wrong. A
  registration is bound to the user who asked, a sign-in to the browser that asked, by a cookie.
* Exactly this relying party id and these origins; not inside a frame of another site.
* User verification is demanded unless the host says otherwise.
* A sign count that does not grow means that there may be two of one authenticator: it is recorded, and refused unless
  the host says otherwise. Most passkeys do not count and send 0.
* A credential id is registered once, and its key is never replaced.
* No attestation is asked for: which make it is matters to few, and asking makes browsers warn.

Ask for a fresh sign-in before a passkey is added or removed, and tell the owner after.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final, Literal

from ..core.canonical import length_prefixed
from ..core.clock import Clock, SystemClock
from ..core.entropy import SYSTEM_ENTROPY, random_hex, random_token
from ..core.errors import ConfigurationError, Conflict, InvalidCredential, UsageError
from ..core.event import EventSink
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from .cookies import Cookie, host_cookie
from .factor_store import PasskeyRow, PasskeyStore
from .given import text_in, text_or_none
from .presented import Presented, text_of
from .session_input import shown_label
from .token_store import OneTimeTokenRow, OneTimeTokenStore
from .trail import Cause, Fact, Trail

if TYPE_CHECKING:
    from .webauthn import RelyingParty

__all__ = ["PasskeyChallenge", "PasskeyInfo", "PasskeyProof", "PasskeyRegistration", "Passkeys"]

COOKIE_NAME: Final = "ws_passkey"
LIFETIME: Final = timedelta(minutes=5)
_REGISTER: Final = "passkey.register"
_SIGN_IN: Final = "passkey.sign_in"
_CONFIRM: Final = "passkey.confirm"
_RP_ID: Final = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")
_ORIGIN: Final = re.compile(r"(https://[a-z0-9.-]+|http://localhost)(:[0-9]{1,5})?")
_Infos = list["PasskeyInfo"]


@dataclass(frozen=True, slots=True)
class PasskeyRegistration:
    """Options for ``navigator.credentials.create()``, in the form of ``parseCreationOptionsFromJSON``."""

    options: dict[str, Any]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PasskeyChallenge:
    """Options for ``navigator.credentials.get()``, in the form of ``parseRequestOptionsFromJSON``.

    Args:
        cookie: binds the answer to this browser: send it along.
    """

    options: dict[str, Any]
    expires_at: datetime
    cookie: Cookie = field(repr=False)


@dataclass(frozen=True, slots=True)
class PasskeyInfo:
    """A passkey as its owner may see it.

    Args:
        id: the credential id, base16.
        backed_up: whether it is copied to other devices of its owner.
    """

    id: str
    user_id: str
    label: str | None
    created_at: datetime
    last_used_at: datetime | None
    backed_up: bool


@dataclass(frozen=True, slots=True)
class PasskeyProof:
    """Who signed in.

    Args:
        user_verified: whether the authenticator checked finger, face or code: then it is two factors in one (``aal=2``,
            ``amr=("hwk", "user")`` or ``("swk", "user")``).
    """

    user_id: str
    id: str
    user_verified: bool
    backed_up: bool


class Passkeys:
    """Registers and checks passkeys. Every method has an ``a`` twin.

    Args:
        store: `MemoryPasskeyStore` or `storage.sql.SqlPasskeyStore`.
        challenges: any `OneTimeTokenStore`.
        rp_id: the domain that passkeys belong to, such as ``example.com``. rp_name: what browsers show.
        origins: exactly those pages may ask, such as ``https://app.example.com``.
        user_verification: ``preferred`` takes an authenticator that only says somebody was there.
        on_sign_count: ``report`` records a count that does not grow, and goes on.
        audit: takes ``factor.enrolled``, ``.removed`` and ``.refused``.
        insecure_loopback: as for `SessionManager`.

    Raises:
        ConfigurationError: a relying party id or origin that is none, or that do not belong together.
        MissingExtra: webauthn is not installed.
    """

    def __init__(
        self,
        store: PasskeyStore,
        challenges: OneTimeTokenStore,
        *,
        rp_id: str,
        rp_name: str,
        origins: Iterable[str],
        user_verification: Literal["required", "preferred"] = "required",
        on_sign_count: Literal["refuse", "report"] = "refuse",
        audit: EventSink | None = None,
        insecure_loopback: bool = False,
        clock: Clock | None = None,
    ) -> None:
        from .webauthn import RelyingParty  # an extra

        pages = tuple(origins)
        _check(rp_id, rp_name, pages)
        if user_verification not in ("required", "preferred") or on_sign_count not in ("refuse", "report"):
            raise ConfigurationError("an unknown policy of passkeys", reason="passkeys")
        self.suspends: bool = suspends(store, challenges, audit)
        self._store: PasskeyStore = store
        self._challenges: OneTimeTokenStore = challenges
        self._party: RelyingParty = RelyingParty(rp_id, rp_name, pages, verify_user=user_verification == "required")
        self._rp_id: str = rp_id
        self._refuse_counts: bool = on_sign_count == "refuse"
        self._loopback: bool = insecure_loopback
        self._clock: Clock = clock or SystemClock()
        self._trail: Trail = Trail(audit, self._clock)
        self.cookie_name: str = self._cookie("").name

    async def abegin_registration(self, user_id: str, *, name: str, display_name: str = "") -> PasskeyRegistration:
        """Options for a new passkey of a user who is signed in.

        Args:
            name, display_name: what the browser shows beside the passkey; nothing here keeps them.

        Raises:
            UsageError: no user or no name.
        """
        if not text_in(user_id, "user_id") or not text_in(name, "name"):
            raise UsageError("a passkey has a user and a name to show")
        challenge, expires_at = await self._issue(_REGISTER, user_id, None)
        held = await self._store.list(user_id)
        options = self._party.registration(
            challenge, self._handle(user_id), (name, text_in(display_name, "display_name")), held
        )
        return PasskeyRegistration(options, expires_at)

    begin_registration: Final = synced(abegin_registration)

    async def acomplete_registration(
        self, user_id: str, response: str | dict[str, Any], *, label: str | None = None
    ) -> PasskeyInfo:
        """Adds the passkey that the browser made.

        Args:
            user_id: of the session this request came in with; the same that asked.
            response: what ``credential.toJSON()`` gave.

        Raises:
            InvalidCredential: another user, another site, a used or old challenge, no user verification: all alike.
            Conflict: a credential that is registered already.
        """
        from .webauthn import client_challenge, read_registration

        read = read_registration(response)
        challenge = client_challenge(read.response.client_data_json)
        await self._use(_REGISTER, challenge, subject=user_id)
        found = self._party.registered(read, challenge)
        row = PasskeyRow(
            found.credential_id,
            user_id,
            found.credential_public_key,
            found.sign_count,
            self._clock.now(),
            shown_label(label),
            tuple(each.value for each in read.response.transports or ()),
            found.credential_backed_up,
        )
        async with self._trail.around(_fact("factor.enrolled", row)):
            if not await self._store.add(row):
                raise Conflict("the passkey is registered already")
        return _info(row)

    complete_registration: Final = synced(acomplete_registration)

    async def abegin(self, user_id: str | None = None) -> PasskeyChallenge:
        """Options for a sign-in.

        Args:
            user_id: as a second factor of a user who has shown the first. None lets the user pick a passkey, and tells
                nobody who has one.
        """
        browser = random_token()
        text_or_none(user_id, "user_id")
        purpose, subject = (_SIGN_IN, random_hex()) if user_id is None else (_CONFIRM, user_id)
        challenge, expires_at = await self._issue(purpose, subject, browser)
        held = () if user_id is None else await self._store.list(user_id)
        return PasskeyChallenge(self._party.authentication(challenge, held), expires_at, self._cookie(browser))

    begin: Final = synced(abegin)

    async def acomplete(
        self, response: str | dict[str, Any], browser: Presented | None, *, user_id: str | None = None
    ) -> PasskeyProof:
        """Who the passkey is of.

        Args:
            browser: the value of the cookie `cookie_name` in this request.
            user_id: the user that `begin` was asked for, if any: nobody else's passkey counts.

        Raises:
            InvalidCredential: an unknown passkey, another browser or site, a used or old challenge, a wrong signature,
                a sign count that does not grow: all alike.
        """
        from .webauthn import client_challenge, read_assertion

        read = read_assertion(response)
        challenge = client_challenge(read.response.client_data_json)
        purpose = _SIGN_IN if user_id is None else _CONFIRM
        await self._use(purpose, challenge, subject=user_id, browser=text_of(browser))
        row, handle = await self._store.read(read.raw_id), read.response.user_handle
        if row is None or user_id not in (None, row.user_id):
            raise InvalidCredential("not a passkey of this user", reason="unknown")
        # Whom nobody named, the authenticator must name (WebAuthn, 7.2, step 6).
        if not compare_digest(handle or b"", self._handle(row.user_id)) and (user_id is None or handle is not None):
            raise InvalidCredential("the passkey names another user", reason="subject")
        found = self._party.asserted(read, challenge, row)
        now = self._clock.now()
        if not await self._store.advance_if(row.id, found.new_sign_count, now, found.credential_backed_up):
            await self._trail.tell(_fact("factor.refused", row, "sign_count"), "denied")
            if self._refuse_counts:
                raise InvalidCredential("the sign count did not grow", reason="sign_count")
        return PasskeyProof(row.user_id, row.id.hex(), found.user_verified, found.credential_backed_up)

    complete: Final = synced(acomplete)

    async def alist(self, user_id: str) -> _Infos:
        """The user's passkeys, oldest first."""
        return [_info(row) for row in await self._store.list(text_in(user_id, "user_id"))]

    list: Final = synced(alist)

    async def aremove(self, user_id: str, id: str, *, by: Principal | None = None) -> bool:
        """Forgets a passkey of this user, lost or replaced; tells whether there was one."""
        named = id if isinstance(id, str) else ""
        octets = bytes.fromhex(named) if re.fullmatch(r"(?:[0-9a-f]{2}){1,1023}", named) else b""
        row = await self._store.read(octets)
        if row is None or row.user_id != user_id:
            return False
        async with self._trail.around(_fact("factor.removed", row, by=by)):
            return await self._store.remove(octets, user_id=user_id)

    remove: Final = synced(aremove)

    async def _issue(self, purpose: str, subject: str, browser: str | None) -> tuple[bytes, datetime]:
        challenge, now = SYSTEM_ENTROPY.octets(32), self._clock.now()
        key, bound = sha256(challenge).digest(), None if browser is None else sha256(browser.encode("ascii")).digest()
        await self._challenges.issue(OneTimeTokenRow(key, purpose, subject, now, now + LIFETIME, fingerprint=bound))
        return challenge, now + LIFETIME

    async def _use(self, purpose: str, challenge: bytes, *, subject: str | None, browser: str | None = None) -> None:
        """Uses a challenge up; one of somebody else's, or of another browser, is left alone."""
        row = await self._challenges.read(sha256(challenge).digest())
        if row is None or row.purpose != purpose or subject not in (None, row.subject):
            raise InvalidCredential("no such challenge", reason="challenge")
        typed = sha256((browser or "").encode("utf-8", "surrogatepass")).digest()
        if row.fingerprint is not None and not compare_digest(row.fingerprint, typed):
            raise InvalidCredential("another browser asked", reason="browser")
        if not await self._challenges.consume_if(row) or self._clock.now() >= row.expires_at:
            raise InvalidCredential("a used or old challenge", reason="challenge")

    def _handle(self, user_id: str) -> bytes:
        """The user handle: the same for all passkeys of a user, and personal to nobody (WebAuthn, 14.6.1)."""
        return sha256(length_prefixed("passkey user", self._rp_id, user_id)).digest()

    def _cookie(self, browser: str) -> Cookie:
        return host_cookie(COOKIE_NAME, browser, LIFETIME, insecure_loopback=self._loopback)


def _check(rp_id: str, rp_name: str, origins: tuple[str, ...]) -> None:
    if not (_RP_ID.fullmatch(rp_id) and rp_name.strip() and origins):
        raise ConfigurationError("passkeys need a domain in lower case, a name and an origin", reason="passkeys")
    for origin in origins:
        found = _ORIGIN.fullmatch(origin)
        host = found[1].partition("://")[2] if found is not None else ""
        if host != rp_id and not host.endswith(f".{rp_id}"):
            raise ConfigurationError(
                "an origin is https and lies in the domain of the passkeys",
                hint="rp_id='example.com', origins=('https://app.example.com',)",
                reason="passkeys",
            )


def _fact(action: str, row: PasskeyRow, cause: Cause | None = None, by: Principal | None = None) -> Fact:
    name = sha256(row.id).hexdigest()[:32]  # the id itself is enough to ask an authenticator for its owner
    return Fact(action, row.user_id, ("passkey", name), cause, by)


def _info(row: PasskeyRow) -> PasskeyInfo:
    return PasskeyInfo(row.id.hex(), row.user_id, row.label, row.created_at, row.last_used_at, row.backed_up)
