"""Refresh tokens in families: each is used once and replaced by the next.

* Rotation is one compare-and-set: the first use of a token writes its successor in the same transaction.
* Clients retry, and tabs refresh together. Within the grace (10 s) the same token gives the *same* successor again:
  a hundred parallel callers end up with one token, and nobody is logged out. The successor lies beside the used token
  sealed under a key derived from it (HKDF), so a copy of the table gives nobody a token.
* A second use after the grace means that two parties hold the token. Nobody can tell which one is the thief, so the
  whole family ends and the trail says so.
* A thief inside the grace gets no branch of his own: he gets what the owner has, and the next use tells.
* A family ends 30 days after its sign-in, however often it is used.

Every refusal looks the same: `ReauthRequired`.

Sources: RFC 9700 section 4.14.2, RFC 6749 section 10.4, OWASP ASVS 5.0 10.4.5, 10.4.8 and 10.4.9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.entropy import random_hex
from ..core.errors import ConfigurationError, InvalidCredential, ReauthRequired, TrustError, UsageError
from ..core.event import EventSink
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .given import configured_span, plain_data, text_in, text_or_none
from .presented import Presented, TokenFormat, text_of
from .refresh_store import FamilyRow, RefreshStore, Rotation, Taken
from .sealing import seal, unseal
from .trail import Cause, Fact, Trail

__all__ = ["RefreshFamilies", "RefreshFamilyInfo", "RefreshGrant"]

TOKENS: Final = TokenFormat("wsr_")
MAX_GRACE: Final = timedelta(minutes=1)
_USE: Final = "refresh successor"
_FAMILY_ID: Final = re.compile(r"[0-9a-f]{32}")
_Infos = list["RefreshFamilyInfo"]


@dataclass(frozen=True, slots=True)
class RefreshGrant:
    """A refresh token, with whom it is for.

    Args:
        data: what `start` was given.
        expires_at: the end of the family, which no rotation moves.
    """

    token: Secret[str]
    family_id: str
    user_id: str
    expires_at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefreshFamilyInfo:
    """A family as its user may see it; opens nothing."""

    family_id: str
    user_id: str
    created_at: datetime
    expires_at: datetime
    data: Mapping[str, Any]


class RefreshFamilies:
    """Starts, rotates and ends families. Every method has an ``a`` twin.

    Args:
        store: `MemoryRefreshStore`, `storage.sql.SqlRefreshStore` or `storage.redis.RedisRefreshStore`.
        grace: how long the same token may come again; at most a minute.
        lifetime: of a family. idle: how long a token may lie unused, or None.
        audit: takes ``refresh.started`` and ``refresh.ended``.

    Raises:
        ConfigurationError: times out of order.
    """

    def __init__(
        self,
        store: RefreshStore,
        *,
        grace: timedelta = timedelta(seconds=10),
        lifetime: timedelta = timedelta(days=30),
        idle: timedelta | None = None,
        audit: EventSink | None = None,
        clock: Clock | None = None,
    ) -> None:
        for name, span in (("grace", grace), ("lifetime", lifetime), ("idle", lifetime if idle is None else idle)):
            configured_span(span, name)
        if not timedelta() <= grace <= MAX_GRACE or lifetime <= grace or (idle is not None and idle <= grace):
            raise ConfigurationError("a grace is at most a minute, and every end is later", reason="refresh_times")
        self.suspends: bool = suspends(store, audit)
        self._store: RefreshStore = store
        self._grace: timedelta = grace
        self._lifetime: timedelta = lifetime
        self._idle: timedelta | None = idle
        self._clock: Clock = clock or SystemClock()
        self._trail: Trail = Trail(audit, self._clock)

    async def astart(
        self, user_id: str, *, binding: str | None = None, data: Mapping[str, Any] | None = None
    ) -> RefreshGrant:
        """The first token after a sign-in.

        Args:
            binding: what must come with every use: the id of a public client, or the thumbprint of its DPoP key.
            data: plain values to get back each time, such as the tenant and the scopes.

        Raises:
            UsageError: no user, data outside canonical JSON.
        """
        if not text_in(user_id, "user_id"):
            raise UsageError("a refresh token needs a user")
        facts, bound = plain_data(data), _digest(text_or_none(binding, "binding"))
        token, now = TOKENS.new(), self._clock.now()
        family = FamilyRow(random_hex(), user_id, now, now + self._lifetime, bound, idle=self._idle, data=facts)
        await self._store.begin(family, TOKENS.key_of(token))
        try:
            await self._trail.record(Fact("refresh.started", user_id, ("refresh_family", family.id)))
        except TrustError:
            await self._store.end(family.id, user_id=None)  # one that nobody could trace must not live
            raise
        return _grant(token, family)

    start: Final = synced(astart)

    async def arotate(self, token: Presented, *, binding: str | None = None) -> RefreshGrant:
        """The next token.

        Raises:
            ReauthRequired: malformed, unknown, used before, expired, revoked, or presented by somebody else: all alike.
        """
        try:
            key = TOKENS.key(token)
        except InvalidCredential:
            raise _refused("shape") from None
        if binding is not None and not isinstance(binding, str):
            raise _refused("binding")
        text, successor = text_of(token), TOKENS.new()
        rotation = Rotation(
            key,
            TOKENS.key_of(successor),
            seal(text, _USE, successor),
            now=self._clock.now(),
            grace=self._grace,
            binding=_digest(binding),
        )
        taken, family, sealed = await self._store.take(rotation)
        if family is not None and taken is Taken.REUSED:
            await self._tell_end(family, "reused")
        if family is None or sealed is None:
            raise _refused(taken.value)
        return _grant(successor if taken is Taken.ROTATED else unseal(text, _USE, sealed), family)

    rotate: Final = synced(arotate)

    async def arevoke_family(self, family_id: str, *, user_id: str | None = None, by: Principal | None = None) -> bool:
        """Ends a family from its next use on; tells whether there was one.

        Args:
            user_id: refuses a family of anybody else; give it wherever the id comes from a request.
        """
        owner, named = text_or_none(user_id, "user_id"), family_id if isinstance(family_id, str) else ""
        family = await self._store.end(named, user_id=owner) if _FAMILY_ID.fullmatch(named) else None
        if family is not None:
            await self._tell_end(family, "revoked", by)
        return family is not None

    revoke_family: Final = synced(arevoke_family)

    async def arevoke_all(self, user_id: str, /) -> int:
        """Ends every family of a user; returns how many. Give this object to `Passwords` and `EmailVerification` as
        ``also=``.
        """
        ended = await self._store.end_all(text_in(user_id, "user_id"))
        if ended:
            await self._trail.tell(Fact("refresh.ended", user_id, cause="revoked_all"))
        return ended

    revoke_all: Final = synced(arevoke_all)

    async def alist(self, user_id: str) -> _Infos:
        """The user's living families, oldest first."""
        now = self._clock.now()
        return [
            RefreshFamilyInfo(row.id, row.user_id, row.created_at, row.expires_at, dict(row.data))
            for row in await self._store.list(text_in(user_id, "user_id"))
            if now < row.expires_at
        ]

    list: Final = synced(alist)

    async def asweep(self) -> int:
        """Forgets families that have run out; run it now and then. Returns how many."""
        return await self._store.sweep(self._clock.now())

    sweep: Final = synced(asweep)

    async def _tell_end(self, family: FamilyRow, cause: Cause, by: Principal | None = None) -> None:
        await self._trail.tell(Fact("refresh.ended", family.user_id, ("refresh_family", family.id), cause, by))


def _grant(token: str, family: FamilyRow) -> RefreshGrant:
    return RefreshGrant(Secret(token), family.id, family.user_id, family.expires_at, dict(family.data))


def _digest(binding: str | None) -> str | None:
    """What a store sees of a binding: requests send it, so it may be any text of any length."""
    return None if binding is None else sha256(binding.encode("utf-8", "surrogatepass")).hexdigest()


def _refused(reason: str) -> ReauthRequired:
    return ReauthRequired("refresh token refused", reason=reason)
