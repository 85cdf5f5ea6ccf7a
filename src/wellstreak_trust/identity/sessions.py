"""Server-side sessions: opaque tokens, hashed at rest, with rotation, step-up, devices and impersonation.

The rules, in one place:

* A token is 256 random bits; the store holds its SHA-256. A token the server did not issue is never adopted.
* Two ends: `idle` after the last request, and `absolute` after the first sign-in. Rotation and step-up move neither.
* A new token is put in the place of the old one by compare-and-set: of parallel rotations one result lives.
* Every request reads the store, so that a revocation shows on the next request in every process.
* Ends are the server's: a user's own list, an operator, a change of the password, a log-out at the provider.
* An impersonation is a session of its own that names the actor (`impersonation`).

Sources: OWASP ASVS 5.0 chapter 7, NIST SP 800-63B section 5, RFC 6265bis.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.entropy import random_hex
from ..core.errors import ConfigurationError, Denied, InvalidCredential, TrustError, Unavailable, UsageError
from ..core.event import EventSink
from ..core.principal import Principal, StepUp
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .authenticator import Credential
from .cookies import Cookie, host_cookie
from .given import configured_span, text_in, text_or_none
from .impersonation import impersonation
from .opened import COOKIE_NAME, TOKENS, OpenedSession, key_or_none, keyed
from .presented import Presented
from .session_input import (
    assurance_level,
    methods,
    plain_attributes,
    platform_roles,
    provider_facts,
    shown_label,
)
from .session_store import SessionInfo, SessionRow, SessionStore
from .trail import Cause, Fact, Trail

__all__ = ["OpenedSession", "SessionManager"]

REMEMBER_IDLE: Final = timedelta(days=14)
REMEMBER_ABSOLUTE: Final = timedelta(days=90)

_SESSION_ID: Final = re.compile(r"[0-9a-f]{32}")
_SECOND: Final = timedelta(seconds=1)
_Infos = list[SessionInfo]


class SessionManager:
    """Opens, proves and ends sessions over any `SessionStore`. Every method has an ``a`` twin.

    Args:
        store: `MemorySessionStore`, `storage.sql.SqlSessionStore` or `storage.redis.RedisSessionStore`.
        idle, absolute: the two ends of a session; `remember_idle` and `remember_absolute` where the user asked to be
            remembered. `ends` has both pairs, by whether they did.
        max_per_user: sign-ins a user may have at once; the oldest goes out.
        audit: takes ``session.opened``, ``.impersonated``, ``.stepped_up`` and ``.revoked``. What cannot be recorded is
            ended again; ending a session never waits for the trail.
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
            if not timedelta() < configured_span(short, "idle") <= configured_span(long, "absolute"):
                raise ConfigurationError("session ends must be positive, idle within absolute", reason="session_ends")
        if type(max_per_user) is not int or max_per_user < 1:
            raise ConfigurationError("max_per_user is at least 1", reason="session_limit")
        self.suspends: bool = suspends(store, audit)
        self.insecure_loopback: bool = insecure_loopback
        self.cookie_name: str = self._cookie("", None).name
        self._store: SessionStore = store
        self.ends: dict[bool, tuple[timedelta, timedelta]] = {
            False: (idle, absolute),
            True: (remember_idle, remember_absolute),
        }
        self._limit: int = max_per_user
        self._clock: Clock = clock or SystemClock()
        self.recorded: bool = audit is not None
        self._trail: Trail = Trail(audit, self._clock)

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
            # A touch that loses to a rotation or revocation in between must not undo it: swap decides. One that cannot
            # be written costs the session time and not the user the request: it only ends sooner.
            with suppress(Unavailable):
                await self._store.swap(row.key, replace(row, last_seen_at=now))
        return row.principal

    authenticate: Final = synced(aauthenticate)

    def require(self, principal: Principal, *, aal: int = 1, max_age: timedelta | None = None) -> None:
        """Demands a strong or fresh sign-in before something dangerous.

        Args:
            max_age: how long ago the person proved who they are, at most.

        Raises:
            ReauthRequired: 401 with the challenge of RFC 9470, which tells the client what is missing.
        """
        wanted = StepUp(assurance_level(aal), None if max_age is None else max_age // _SECOND)
        if not wanted.met_by(principal, self._clock.now()):
            raise wanted.challenge()

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
        issuer: str | None = None,
        subject: str | None = None,
        sid: str | None = None,
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
            issuer, subject, sid: the provider's sign-in behind this one, so that a log-out there ends it here
                (`end_federated`).

        Raises:
            UsageError: an argument outside its range.
        """
        now, session_id = self._clock.now(), random_hex()
        issuer, subject, sid = provider_facts(issuer, subject, sid)
        principal = Principal(
            text_in(user_id, "user_id"),
            tenant_id=text_or_none(tenant_id, "tenant_id"),
            roles=platform_roles(roles, tenant_id),
            attributes=plain_attributes({} if attributes is None else attributes),
            issuer=issuer,
            subject=subject,
            session_id=session_id,
            aal=assurance_level(aal),
            amr=methods(amr),
            auth_time=now,
        )
        idle, absolute = self.ends[bool(remember)]
        row = SessionRow(b"", session_id, principal, now, now, idle, now + absolute, shown_label(device))
        token, row = keyed(replace(row, persistent=bool(remember), sid=sid))
        before = key_or_none(replaces)
        for old in await self._store.admit(row, limit=self._limit, replaces=before):
            await self._tell_end(old.user_id, "replaced" if old.key == before else "evicted", session=old.id)
        return await self._recorded("session.opened", token, row)

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
        async with self._trail.around(_fact("session.stepped_up", row)):
            return await self._reissue(row, replace(row, principal=principal, last_seen_at=now))

    step_up: Final = synced(astep_up)

    async def _reissue(self, old: SessionRow, changed: SessionRow) -> OpenedSession:
        token, row = keyed(changed)
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
        tenant_id = text_or_none(tenant_id, "tenant_id")
        as_whom = Principal(text_in(user_id, "user_id"), tenant_id=tenant_id, reason=reason)
        child, row = keyed(impersonation(parent, as_whom, duration, now))
        if not await self._store.spawn(row, parent.key):
            raise InvalidCredential("the actor's session ended meanwhile", reason="replaced")
        return await self._recorded("session.impersonated", child, row)

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
        await self._tell_end(row.user_id, "impersonation_ended", session=row.id, by=row.principal)

    end_impersonation: Final = synced(aend_impersonation)

    async def arevoke(self, session_id: str, *, user_id: str | None = None, by: Principal | None = None) -> bool:
        """Ends one session, and impersonations started from it, from the next request on in every process.

        Args:
            user_id: refuses a session of anybody else; give it wherever the id comes from a request.
            by: who ends it, for the audit trail; the user when None.

        Returns:
            Whether there was one to end.
        """
        owner = text_or_none(user_id, "user_id")
        row = await self._store.end(session_id, user_id=owner) if _is_id(session_id) else None
        if row is not None:
            await self._tell_end(row.user_id, "revoked", session=row.id, by=by)
        return row is not None

    revoke: Final = synced(arevoke)

    async def arevoke_all(
        self, user_id: str, *, except_: str | None = None, by: Principal | None = None, cause: Cause = "revoked_all"
    ) -> None:
        """Ends every session of a user, and every impersonation by that user, in one statement.

        Args:
            except_: id of a session of the user that stays: the one that changed the password, as a rule.
            cause: why, for the audit trail: ``disabled`` when the account is switched off.
        """
        await self._store.end_all(text_in(user_id, "user_id"), except_id=text_or_none(except_, "except_"))
        await self._tell_end(user_id, cause, by=by)

    revoke_all: Final = synced(arevoke_all)

    async def arevoke_everyone(self, *, by: Principal) -> None:
        """Ends every session of everybody: after a leak, by an operator, who is signed out as well."""
        await self._store.end_everything()
        await self._tell_end(by.id, "everyone", by=by)

    revoke_everyone: Final = synced(arevoke_everyone)

    async def aend_federated(self, issuer: str, *, subject: str | None = None, sid: str | None = None) -> int:
        """Ends the sessions behind a log-out at the provider (OpenID Connect Back-Channel Logout, 2.7).

        Args:
            sid: one sign-in of the provider; `subject` alone means all of that person's. Where both are given, both
                must fit. Take all three from a verified logout token.

        Returns:
            How many sessions ended.

        Raises:
            UsageError: neither `subject` nor `sid`.
        """
        issuer, subject, sid = text_in(issuer, "issuer"), text_or_none(subject, "subject"), text_or_none(sid, "sid")
        if not (issuer and (subject or sid)):
            raise UsageError("a log-out names issuer and subject=, or issuer and sid=")
        ended = await self._store.end_federated(issuer, subject=subject or None, sid=sid or None)
        for row in ended:
            await self._tell_end(row.user_id, "provider_logout", session=row.id)
        return len(ended)

    end_federated: Final = synced(aend_federated)

    async def alist(self, user_id: str) -> _Infos:
        """The user's live sessions, oldest first; impersonations carry their `actor_id`."""
        now = self._clock.now()
        return [row.info() for row in await self._store.live(text_in(user_id, "user_id")) if row.ended_by(now) is None]

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

    def _cookie(self, token: str, max_age: timedelta | None) -> Cookie:
        return host_cookie(COOKIE_NAME, token, max_age, insecure_loopback=self.insecure_loopback)

    async def _recorded(self, action: str, token: str, row: SessionRow) -> OpenedSession:
        try:
            await self._trail.record(_fact(action, row))
        except TrustError:
            await self._store.end(row.id, user_id=None)  # a session that nobody could trace must not live
            raise
        return self._opened(token, row)

    async def _tell_end(
        self, user_id: str, cause: Cause, *, session: str | None = None, by: Principal | None = None
    ) -> None:
        target = ("session", session) if session is not None else None
        await self._trail.tell(Fact("session.revoked", user_id, target, cause, by))


def _is_id(session_id: object) -> bool:
    return isinstance(session_id, str) and _SESSION_ID.fullmatch(session_id) is not None


def _fact(action: str, row: SessionRow) -> Fact:
    principal = row.principal
    return Fact(action, row.user_id, ("session", row.id), by=principal, reason=principal.reason)
