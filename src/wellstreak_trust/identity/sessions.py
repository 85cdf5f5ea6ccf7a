"""Server-side sessions: opaque tokens, hashed at rest, with rotation, step-up, devices and impersonation.

The rules, in one place:

* A token is 256 random bits; the store holds its SHA-256. A token the server did not issue is never adopted.
* Two ends: `idle` after the last request, and `absolute` after the first sign-in. Rotation and step-up move neither.
* A new token is put in the place of the old one by compare-and-set: of parallel rotations one result lives.
* Every request reads the store, so that a revocation shows on the next request in every process.
* An impersonation is a session of its own that names the actor, has a reason, cannot start another one, and ends with
  the session it was started from.

Sources: OWASP ASVS 5.0 chapter 7, NIST SP 800-63B section 5, RFC 6265bis.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.entropy import random_hex
from ..core.errors import ConfigurationError, Denied, InvalidCredential, TrustError, UsageError
from ..core.event import AuditEvent, EventSink
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .authenticator import Credential
from .cookies import Cookie
from .presented import Presented, TokenFormat
from .session_input import (
    assurance_level,
    device_label,
    impersonation_reason,
    methods,
    plain_attributes,
    platform_roles,
)
from .session_store import SessionInfo, SessionRow, SessionStore

__all__ = ["OpenedSession", "SessionManager"]

TOKENS: Final = TokenFormat("wss_")
COOKIE_NAME: Final = "__Host-ws_session"
LOOPBACK_COOKIE_NAME: Final = "ws_session"
REMEMBER_IDLE: Final = timedelta(days=14)
REMEMBER_ABSOLUTE: Final = timedelta(days=90)

_SESSION_ID: Final = re.compile(r"[0-9a-f]{32}")
_PLATFORM: Final = "system"  # the tenant of events that belong to no tenant
_Infos = list[SessionInfo]


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session with the token that opens it; the token is shown once and kept nowhere.

    Args:
        cookie: sets the token in the browser: ``response.headers["Set-Cookie"] = opened.cookie.header()``.
    """

    token: Secret[str]
    session: SessionInfo
    cookie: Cookie


class SessionManager:
    """Opens, proves and ends sessions over any `SessionStore`. Every method has an ``a`` twin.

    Args:
        store: `MemorySessionStore` or `storage.sql.SqlSessionStore`.
        idle, absolute: the two ends of a session; `remember_idle` and `remember_absolute` where the user asked to be
            remembered.
        max_per_user: sign-ins a user may have at once; the oldest goes out.
        audit: takes ``session.opened`` and ``session.revoked``. A session whose opening cannot be recorded is ended
            again; ending one never waits for the trail.
        insecure_loopback: for demos on http://127.0.0.1 only: the cookie loses Secure and its prefix.

    Raises:
        ConfigurationError: ends that are not positive or not in order.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        idle: timedelta = timedelta(minutes=30),
        absolute: timedelta = timedelta(hours=12),
        remember_idle: timedelta = REMEMBER_IDLE,
        remember_absolute: timedelta = REMEMBER_ABSOLUTE,
        max_per_user: int = 20,
        audit: EventSink | None = None,
        insecure_loopback: bool = False,
        clock: Clock | None = None,
    ) -> None:
        for short, long in ((idle, absolute), (remember_idle, remember_absolute)):
            if not timedelta() < short <= long:
                raise ConfigurationError("session ends must be positive, idle within absolute", reason="session_ends")
        if max_per_user < 1:
            raise ConfigurationError("max_per_user is at least 1", reason="session_limit")
        self.suspends: bool = suspends(store, audit)
        self.cookie_name: str = LOOPBACK_COOKIE_NAME if insecure_loopback else COOKIE_NAME
        self._store: SessionStore = store
        self._ends: dict[bool, tuple[timedelta, timedelta]] = {
            False: (idle, absolute),
            True: (remember_idle, remember_absolute),
        }
        self._limit: int = max_per_user
        self._audit: EventSink | None = audit
        self._clock: Clock = clock or SystemClock()

    # --- the request ---------------------------------------------------------------------------------------------

    def takes(self, credential: Credential) -> bool:
        """The session cookie, for `Authenticator`; never a header, which scripts could be made to send."""
        return credential.cookie == self.cookie_name

    async def aauthenticate(self, token: Presented) -> Principal:
        """Who a token speaks for. Moves the idle end, at most once in a tenth of it.

        Raises:
            InvalidCredential: malformed, unknown, revoked, replaced and expired look alike.
        """
        row, now = await self._proved(token)
        if now >= row.touch_at:
            # A touch that loses to a rotation or revocation in between must not undo it: swap decides.
            await self._store.swap(row.key, replace(row, last_seen_at=now))
        return row.principal

    authenticate: Final = synced(aauthenticate)

    async def _proved(self, token: Presented) -> tuple[SessionRow, datetime]:
        row = await self._store.read(TOKENS.key(token))
        now = self._clock.now()
        ended = "unknown" if row is None else row.ended_by(now)
        if row is None or ended is not None:
            raise InvalidCredential("session token refused", reason=str(ended))
        return row, now

    # --- beginning -------------------------------------------------------------------------------------------------

    async def aopen(
        self,
        user_id: str,
        *,
        tenant_id: str | None = None,
        aal: int = 1,
        amr: Iterable[str] = (),
        device: str | None = None,
        replaces: Presented | None = None,
        attributes: Mapping[str, Any] | None = None,
        roles: Iterable[str] = (),
        remember: bool = False,
    ) -> OpenedSession:
        """Opens a session after a sign-in.

        Args:
            aal, amr: how strong the sign-in was (NIST SP 800-63B) and by which methods (RFC 8176).
            device: a label for the user's list of devices; no address and no fingerprint.
            replaces: the token of the session before the sign-in, which ends now (session fixation). One that is
                unknown is ignored, never adopted.
            attributes: facts that policies may name, such as ``email_verified``: text, integers, booleans, lists.
            roles: platform roles; roles in a tenant come from its membership, request by request.
            remember: the long pair of ends, and a cookie that outlives the browser.

        Raises:
            UsageError: an argument outside its range.
        """
        now, session_id = self._clock.now(), random_hex()
        principal = Principal(
            user_id,
            tenant_id=tenant_id,
            roles=platform_roles(roles, tenant_id),
            attributes=plain_attributes(attributes or {}),
            session_id=session_id,
            aal=assurance_level(aal),
            amr=methods(amr),
            auth_time=now,
        )
        idle, absolute = self._ends[bool(remember)]
        row = SessionRow(
            b"", session_id, principal, now, now, idle, now + absolute, device_label(device), persistent=bool(remember)
        )
        token, row = _keyed(row)
        ended = await self._store.admit(row, limit=self._limit, replaces=_key_or_none(replaces))
        for old in ended:
            await self._record_end(old.user_id, cause="replaced", session_id=old.id)
        await self._record_opening(row)
        return self._opened(token, row)

    open: Final = synced(aopen)

    async def arotate(self, token: Presented) -> OpenedSession:
        """Gives the session a new token; the old one is dead. Id, ends, assurance and actor stay.

        Raises:
            InvalidCredential: as `authenticate`, and for all but one of parallel rotations.
        """
        row, now = await self._proved(token)
        return await self._reissue(row, replace(row, last_seen_at=now))

    rotate: Final = synced(arotate)

    async def astep_up(self, token: Presented, *, aal: int, amr: Iterable[str]) -> OpenedSession:
        """Records a stronger sign-in: new token, new assurance and `auth_time`, the same session and ends.

        Raises:
            InvalidCredential: as `authenticate`.
            Denied: an impersonation, whose actor cannot prove to be the user.
            UsageError: an assurance level outside 1 to 3, or below what the session has.
        """
        row, now = await self._proved(token)
        if row.principal.actor is not None:
            raise Denied("an impersonation cannot be stepped up")
        if assurance_level(aal) < row.principal.aal:
            raise UsageError("a step-up does not lower the assurance level")
        principal = replace(row.principal, aal=aal, amr=methods(amr), auth_time=now)
        return await self._reissue(row, replace(row, principal=principal, last_seen_at=now))

    step_up: Final = synced(astep_up)

    async def _reissue(self, old: SessionRow, changed: SessionRow) -> OpenedSession:
        token, row = _keyed(changed)
        if not await self._store.swap(old.key, row):
            raise InvalidCredential("another rotation or a revocation came first", reason="replaced")
        return self._opened(token, row)

    async def aimpersonate(
        self,
        token: Presented,
        user_id: str,
        *,
        reason: str,
        tenant_id: str | None = None,
        duration: timedelta = timedelta(minutes=30),
    ) -> OpenedSession:
        """Opens a session as `user_id` for the holder of `token`, who stays on record as the actor.

        Whether the holder may do so is the policy's matter: ask it first. Assurance and `auth_time` are the actor's.

        Args:
            reason: why, for the audit trail; not blank.
            duration: its end, never after the end of the actor's own session.

        Raises:
            InvalidCredential: as `authenticate`.
            Denied: out of another impersonation, or as oneself.
            InvalidRequest: a reason that is blank, too long or holds control characters.
        """
        parent, now = await self._proved(token)
        actor = parent.principal
        if actor.actor is not None or actor.id == user_id:
            raise Denied("an impersonation starts from one's own session and ends at somebody else's")
        if duration <= timedelta():
            raise UsageError("an impersonation lasts longer than nothing")
        session_id = random_hex()
        principal = Principal(
            user_id,
            tenant_id=tenant_id,
            session_id=session_id,
            aal=actor.aal,
            amr=actor.amr,
            auth_time=actor.auth_time,
            actor=actor,
            reason=impersonation_reason(reason),
        )
        idle, ends_at = min(parent.idle, duration), min(now + duration, parent.expires_at)
        child, row = _keyed(SessionRow(b"", session_id, principal, now, now, idle, ends_at, parent_id=parent.id))
        if not await self._store.spawn(row, parent.key):
            raise InvalidCredential("the actor's session ended meanwhile", reason="replaced")
        await self._record_opening(row)
        return self._opened(child, row)

    impersonate: Final = synced(aimpersonate)

    # --- ending ----------------------------------------------------------------------------------------------------

    async def aend_impersonation(self, token: Presented) -> None:
        """Ends an impersonation; the actor goes on with the session it was started from.

        Raises:
            InvalidCredential: as `authenticate`, and for a session that is no impersonation.
        """
        row, _ = await self._proved(token)
        if row.principal.actor is None:
            raise InvalidCredential("not an impersonation", reason="no_actor")
        await self._store.end(row.id, user_id=None)
        await self._record_end(row.user_id, cause="impersonation_ended", session_id=row.id, by=row.principal)

    end_impersonation: Final = synced(aend_impersonation)

    async def arevoke(self, session_id: str, *, user_id: str | None = None, by: Principal | None = None) -> bool:
        """Ends one session, and impersonations started from it, from the next request on in every process.

        Args:
            user_id: refuses a session of anybody else; give it wherever the id comes from a request.
            by: who ends it, for the audit trail; the user when None.

        Returns:
            Whether there was one to end.
        """
        row = await self._store.end(session_id, user_id=user_id) if _SESSION_ID.fullmatch(session_id) else None
        if row is not None:
            await self._record_end(row.user_id, cause="revoked", session_id=row.id, by=by)
        return row is not None

    revoke: Final = synced(arevoke)

    async def arevoke_all(self, user_id: str, *, except_: str | None = None, by: Principal | None = None) -> None:
        """Ends every session of a user, and every impersonation by that user, in one statement.

        Args:
            except_: id of a session of the user that stays: the one that changed the password, as a rule.
        """
        await self._store.end_all(user_id, except_id=except_)
        await self._record_end(user_id, cause="revoked_all", session_id=None, by=by)

    revoke_all: Final = synced(arevoke_all)

    async def alist(self, user_id: str) -> _Infos:
        """The user's live sessions, oldest first; impersonations carry their `actor_id`."""
        now = self._clock.now()
        return [row.info() for row in await self._store.live(user_id) if row.ended_by(now) is None]

    list: Final = synced(alist)

    async def asweep(self) -> int:
        """Forgets sessions that have run out; run it now and then. Returns how many."""
        return await self._store.sweep(self._clock.now())

    sweep: Final = synced(asweep)

    def removal_cookie(self) -> Cookie:
        """Takes the session cookie out of the browser, on sign-out."""
        return self._cookie("", timedelta())

    # --- shared ----------------------------------------------------------------------------------------------------

    def _opened(self, token: str, row: SessionRow) -> OpenedSession:
        kept_for = row.expires_at - row.last_seen_at if row.persistent else None
        return OpenedSession(Secret(token), row.info(), self._cookie(token, kept_for))

    def _cookie(self, value: str, max_age: timedelta | None) -> Cookie:
        return Cookie(self.cookie_name, value, max_age=max_age, secure=self.cookie_name == COOKIE_NAME)

    async def _record_opening(self, row: SessionRow) -> None:
        if self._audit is None:
            return
        principal = row.principal
        event = AuditEvent(
            "session.opened",
            "success",
            principal.tenant_id or _PLATFORM,
            principal,
            targets=({"type": "session", "id": row.id},),
            reason=principal.reason,
            occurred_at=row.created_at,
        )
        try:
            await self._audit.aemit(event)
        except TrustError:
            await self._store.end(row.id, user_id=None)  # a session that nobody could trace must not live
            raise

    async def _record_end(
        self, user_id: str, *, cause: str, session_id: str | None, by: Principal | None = None
    ) -> None:
        if self._audit is None:
            return
        target = {"type": "session", "id": session_id} if session_id else {"type": "user", "id": user_id}
        event = AuditEvent(
            "session.revoked",
            "success",
            (by.tenant_id if by is not None else None) or _PLATFORM,
            by or {"kind": "user", "id": user_id},
            targets=(target,),
            data={"cause": cause},
            occurred_at=self._clock.now(),
        )
        with suppress(TrustError):  # protective: an attacker who stops the trail must not keep a session alive
            await self._audit.aemit(event)


def _keyed(row: SessionRow) -> tuple[str, SessionRow]:
    token = TOKENS.new()
    return token, replace(row, key=TOKENS.key_of(token))


def _key_or_none(token: Presented | None) -> bytes | None:
    try:
        return None if token is None else TOKENS.key(token)
    except InvalidCredential:
        return None
