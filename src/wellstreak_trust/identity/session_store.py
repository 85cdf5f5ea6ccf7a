"""What a session is at rest, and what a store of sessions decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from ..core.principal import Principal

__all__ = ["SessionInfo", "SessionRow", "SessionStore"]

TOUCHES_PER_IDLE = 10


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session as its user may see it in a list of devices.

    Args:
        id: names the session, opens nothing.
        actor_id: who acts in it, when that is somebody else than the user.
        expires_at: the end that no activity moves.
    """

    id: str
    user_id: str
    created_at: datetime
    last_seen_at: datetime
    device: str | None = None
    expires_at: datetime | None = None
    actor_id: str | None = None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session as stored.

    Args:
        key: SHA-256 of the token.
        principal: what `authenticate` returns; immutable, so it is built once and not for each request.
        idle: how long it lives without a request; `expires_at` ends it in any case.
        persistent: whether the cookie outlives the browser.
        parent_id: the session out of which an impersonation was started, and with which it is ended. One that only
            runs out leaves it to its own end, which is never later than the parent's `expires_at`.
        sid: the provider's id of the sign-in (OpenID Connect Back-Channel Logout, 2.1); its issuer and subject are the
            principal's.
    """

    key: bytes
    id: str
    principal: Principal
    created_at: datetime
    last_seen_at: datetime
    idle: timedelta
    expires_at: datetime
    device: str | None = None
    persistent: bool = False
    parent_id: str | None = None
    sid: str | None = None
    idle_until: datetime = field(init=False)
    touch_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "idle_until", self.last_seen_at + self.idle)
        object.__setattr__(self, "touch_at", self.last_seen_at + self.idle / TOUCHES_PER_IDLE)

    @property
    def user_id(self) -> str:
        """Whose session it is."""
        return self.principal.id

    @property
    def actor_id(self) -> str | None:
        """Who really acts, in an impersonation."""
        return self.principal.actor.id if self.principal.actor is not None else None

    def ended_by(self, now: datetime) -> str | None:
        """Why it is over at `now` (``idle``, ``absolute``), or None while it lives."""
        if now >= self.idle_until:
            return "idle"
        return "absolute" if now >= self.expires_at else None

    def info(self) -> SessionInfo:
        """The part that may be shown."""
        return SessionInfo(
            self.id, self.user_id, self.created_at, self.last_seen_at, self.device, self.expires_at, self.actor_id
        )


class SessionStore(Protocol):
    """Keeps sessions. Every verb is atomic; times are decided by the caller, except where `now` is handed in."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def read(self, key: bytes, /) -> SessionRow | None:
        """The session of this key, unless it was revoked; one trip."""
        ...

    async def admit(self, row: SessionRow, /, *, limit: int, replaces: bytes | None) -> tuple[SessionRow, ...]:
        """Adds a sign-in of a user. Ends `replaces`, forgets what has run out by `row.created_at`, and ends the oldest
        until at most `limit` are left; returns those it ended that still lived. Impersonations do not count.
        """
        ...

    async def spawn(self, row: SessionRow, parent_key: bytes, /) -> bool:
        """Adds an impersonation if the session of `parent_key` is still there; tells whether."""
        ...

    async def swap(self, key: bytes, row: SessionRow, /) -> bool:
        """Puts `row` in the place of the session of `key` if that is still there; tells whether. One of many wins."""
        ...

    async def end(self, session_id: str, /, *, user_id: str | None) -> SessionRow | None:
        """Ends one session with the impersonations out of it; None if there is none, or it is not `user_id`'s."""
        ...

    async def end_all(self, user_id: str, /, *, except_id: str | None) -> None:
        """Ends every session of a user and every impersonation by that user, in constant work."""
        ...

    async def end_federated(self, issuer: str, /, *, subject: str | None, sid: str | None) -> tuple[SessionRow, ...]:
        """Ends the sessions that came from this sign-in (`sid`), or from all sign-ins of `subject`, at a provider, with
        the impersonations out of them; both must agree where both are given. Returns those that ended themselves.
        """
        ...

    async def end_everything(self) -> None:
        """Ends every session of everybody."""
        ...

    async def live(self, user_id: str, /) -> tuple[SessionRow, ...]:
        """The sessions of a user that were not revoked, oldest first; some may have run out."""
        ...

    async def sweep(self, now: datetime, /) -> int:
        """Forgets what has run out by `now`; returns how many rows."""
        ...
