"""`ReplayGuard`: one effect for each event, however often it is delivered.

::

            claim                       commit
    (free) ───────► held by an owner ───────────► done until ttl ──► (free)
       ▲                 │    │
       └──── release ────┘    └──── lease ends: free for the next delivery

The claim is taken before the handler runs and committed after it succeeded. A handler that fails gives the claim up,
so that the provider's retry is processed; a worker that dies loses it with the lease. Commit and release count only for
the living owner, so a holder that was too slow cannot undo or confirm what another has taken over.

A signature alone does not stop replays: timestamps leave a window of minutes, many schemes sign none, and providers
retry for days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final, Literal, Protocol

from ..core.clock import Clock, SystemClock
from ..core.entropy import random_hex
from ..core.errors import ConfigurationError, InFlight, Replayed, Unavailable, WebhookStoreUnavailable
from ..core.sansio import suspends, synced
from .replay_store import Held, ReplayStore

__all__ = ["Claim", "Once", "ReplayGuard", "Replayable"]

_LATE: Final = "the lease ended before the handler did"


class Replayable(Protocol):
    """What can be guarded: a `VerifiedWebhook`, or anything with these two."""

    @property
    def replay_key(self) -> str:
        """Equal for deliveries of one event."""
        ...

    @property
    def window(self) -> timedelta:
        """How long one signature stays acceptable."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A held key. `owner` is new for each claim.

    Args:
        ttl: how long the key is remembered once committed.
        degraded: taken while the store was down, under ``on_store_error="accept"``: nothing is remembered.
    """

    key: str
    owner: str
    ttl: timedelta
    degraded: bool = False


class ReplayGuard:
    """Lets each event through once.

    Args:
        store: `MemoryReplayStore`, ``storage.sql.SqlReplayStore(database)``, or your own.
        ttl: how long a finished event is remembered: at least the provider's last retry (three days are usual); never
            less than twice the signature's own window.
        lease: how long a handler may run before another delivery may take over.
        on_store_error: ``reject`` answers 503, so that the provider retries; ``accept`` processes without protection.
    """

    def __init__(
        self,
        store: ReplayStore,
        ttl: timedelta = timedelta(hours=72),
        lease: timedelta = timedelta(seconds=60),
        *,
        clock: Clock = SystemClock(),
        on_store_error: Literal["reject", "accept"] = "reject",
    ) -> None:
        if not timedelta() < lease <= ttl:
            raise ConfigurationError(
                "lease and ttl must be positive, and the lease the shorter", reason="webhook_replay"
            )
        if on_store_error not in ("reject", "accept"):
            raise ConfigurationError("on_store_error is 'reject' or 'accept'", reason="webhook_replay")
        self.suspends: bool = suspends(store)
        self._store: ReplayStore = store
        self._ttl: timedelta = ttl
        self._lease: timedelta = lease
        self._clock: Clock = clock
        self._accepts: bool = on_store_error == "accept"

    @property
    def ttl(self) -> timedelta:
        """How long a finished event is remembered."""
        return self._ttl

    @property
    def accepts_outage(self) -> bool:
        """Whether events are processed without protection while the store is down."""
        return self._accepts

    async def aclaim(self, event: Replayable) -> Claim:
        """Takes the event.

        Raises:
            Replayed: it was finished: acknowledge and do nothing.
            InFlight: another worker holds it.
            WebhookStoreUnavailable: the store is down.
        """
        claim = Claim(event.replay_key, random_hex(), max(self._ttl, 2 * event.window))
        now = self._clock.now()
        try:
            held = await self._store.claim(claim.key, claim.owner, now=now, until=now + self._lease)
        except Unavailable as error:
            if self._accepts:
                return Claim(claim.key, claim.owner, claim.ttl, degraded=True)
            raise _down(error) from None
        if held is Held.DONE:
            raise Replayed("finished before")
        if held is Held.ANOTHER:
            raise InFlight("held by another worker")
        return claim

    async def acommit(self, claim: Claim) -> bool:
        """Remembers the event as finished; False, with nothing changed, if the claim lives no more."""
        if claim.degraded:
            return True
        now = self._clock.now()
        try:
            return await self._store.commit(claim.key, claim.owner, now=now, until=now + claim.ttl)
        except Unavailable as error:
            if self._accepts:
                return True
            raise _down(error) from None

    async def arelease(self, claim: Claim) -> bool:
        """Gives the event up, so that the next delivery is processed; False if the claim lives no more."""
        if claim.degraded:
            return True
        try:
            return await self._store.release(claim.key, claim.owner, now=self._clock.now())
        except Unavailable as error:
            raise _down(error) from None

    claim: Final = synced(aclaim)
    commit: Final = synced(acommit)
    release: Final = synced(arelease)

    def once(self, event: Replayable) -> Once:
        """``with guard.once(event):`` (or ``async with``) around the handler.

        Commits on success, releases on any exception. Entering raises as `claim` does; leaving raises `InFlight` if the
        lease had ended meanwhile, so that a transaction around the block rolls back.
        """
        return Once(self, event)

    aonce = once


class Once:
    """The block that `ReplayGuard.once` opens; yields the `Claim`."""

    __slots__ = ("_claim", "_event", "_guard")

    def __init__(self, guard: ReplayGuard, event: Replayable) -> None:
        self._guard: ReplayGuard = guard
        self._event: Replayable = event
        self._claim: Claim | None = None

    @property
    def suspends(self) -> bool:
        """As the guard's store."""
        return self._guard.suspends

    async def _aenter(self) -> Claim:
        self._claim = await self._guard.aclaim(self._event)
        return self._claim

    async def _aleave(self, error: BaseException | None) -> None:
        assert self._claim is not None
        if error is None:
            if not await self._guard.acommit(self._claim):
                raise InFlight(_LATE, hint="a longer lease=, or a shorter handler")
            return
        try:
            await self._guard.arelease(self._claim)
        except WebhookStoreUnavailable:  # the handler's own error is the one to see
            error.add_note("the replay claim could not be released: it lapses with its lease")

    _enter: Final = synced(_aenter)
    _leave: Final = synced(_aleave)

    def __enter__(self) -> Claim:
        return self._enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(error)

    async def __aenter__(self) -> Claim:
        return await self._aenter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._aleave(error)


def _down(error: Unavailable) -> WebhookStoreUnavailable:
    return WebhookStoreUnavailable(f"replay store: {error.detail}", hint=error.hint)
