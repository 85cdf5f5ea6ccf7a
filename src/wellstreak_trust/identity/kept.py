"""A document of somebody else's, kept at hand: fetched by one thread, served to all, never lost to a failure.

::

    empty ──► fresh ──► ageing ──► stale ──► dead
                ▲          │          │         │
                └──────────┴──────────┴─────────┘   a fetch that succeeds

=========  =============================  =============================================================
state      age                            what a caller gets
=========  =============================  =============================================================
empty      nothing was ever fetched       waits for the one fetch that serves all waiters
fresh      < `ageing`                     the document
ageing     < `fresh`                      the document; one fetch runs in the background
stale      < `stale`                      the document, after the fetch had a tenth of a second to replace it
dead       all that is older              as empty: too old to be believed
=========  =============================  =============================================================

Every fetch is a thread of its own with a future that anybody may wait for, so that no caller holds a lock while the
network is asked, a caller that gives up takes nothing with it, and a loop is never blocked. A process that forks has
no such thread in its child: the child forgets the flight and the lock, and asks anew.

A fetch that failed is not repeated at once by every caller: after three failures in a row the next one waits for 1, 2,
4, ... seconds, at most `cooldown`, and callers without a document get the last one's error meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock, Thread
from typing import Final, Generic, TypeVar

from ..core.clock import Clock
from ..core.errors import ProviderUnavailable, TrustError
from ..core.processes import renewed_in_children
from .waiting import Waiter

__all__ = ["Kept", "Terms"]

T = TypeVar("T")

_SECOND: Final = 1_000_000_000
_AT_ONCE: Final = 3  # failures in a row after which the next fetch waits
_CHANCE: Final = 0.1  # seconds that a stale document's refresh is given before the caller is served from it


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a document counts.

    Args:
        ageing: from when on it is fetched anew in the background.
        fresh: until when it needs no newer one.
        stale: until when it is served while fetching fails.
        cooldown: the least time between two fetches for something that the document lacks.
        patience: how long a caller waits for a fetch at most.
    """

    ageing: timedelta
    fresh: timedelta
    stale: timedelta
    cooldown: timedelta
    patience: timedelta


@dataclass(frozen=True, slots=True)
class _Held(Generic[T]):
    value: T
    at: int  # monotonic nanoseconds when its fetch began
    launch: int  # the number of that fetch


_Outcome = _Held[T] | TrustError


@dataclass(frozen=True, slots=True)
class _Flight(Generic[T]):
    landing: Future[_Outcome[T]]
    began: int
    launch: int


class Kept(Generic[T]):
    """One document. Thread-safe; `fetch` runs in a thread of its own and may block."""

    def __init__(self, fetch: Callable[[], T], terms: Terms, clock: Clock) -> None:
        self._fetch: Callable[[], T] = fetch
        self._clock: Clock = clock
        self._ageing, self._fresh, self._stale, self._cooldown = (
            int(span.total_seconds() * _SECOND) for span in (terms.ageing, terms.fresh, terms.stale, terms.cooldown)
        )
        self._patience: float = terms.patience.total_seconds()
        self._lock: Lock = Lock()
        self._held: _Held[T] | None = None
        self._flight: _Flight[T] | None = None
        self._launches: int = 0
        self._failures: int = 0
        self._fault: TrustError | None = None
        self._retry_at: int = 0
        self._asked_at: int | None = None
        renewed_in_children(self)

    @property
    def launches(self) -> int:
        """How many fetches were started; hand it to `newer`."""
        return self._launches

    def at_hand(self) -> T | None:
        """The document if it is neither ageing nor missing: the path of nearly every caller, without lock or wait."""
        held = self._held
        return held.value if held is not None and self._clock.monotonic_ns() - held.at < self._ageing else None

    async def obtain(self, wait: Waiter) -> T:
        """The document, as the table above says.

        Raises:
            TrustError: nothing that may be served, and the fetch failed, just now or a moment ago.
        """
        held, now = self._held, self._clock.monotonic_ns()
        age = now - held.at if held is not None else 0
        if held is not None and age < self._ageing:
            return held.value
        flight, launched = self._refresh(now)
        if held is not None and age < self._stale:
            if launched and flight is not None and age >= self._fresh:
                await wait.landed(flight.landing, _CHANCE)
                held = self._held or held
            return held.value
        if flight is None:
            raise self._remembered(now)
        return (await self._landed(flight, wait)).value

    async def newer(self, seen: T, since: int, wait: Waiter) -> T:
        """A document fetched after `seen`, or `seen` itself where asking is not due or fails.

        Args:
            since: `launches` when the caller began: what was fetched for this very caller is not fetched again.
        """
        now = self._clock.monotonic_ns()
        with self._lock:
            held, flight, begun = self._held, self._flight, None
            if held is not None and held.value is not seen:
                return held.value
            if held is not None and held.launch > since:
                self._asked_at = now
                return seen
            if flight is None:
                if self._asked_at is not None and now - self._asked_at < self._cooldown:
                    return seen
                self._asked_at = now
                flight = begun = self._launch(now)
        if begun is not None:
            self._start(begun)
        try:
            return (await self._landed(flight, wait)).value
        except TrustError:
            return seen

    # --- flights ---------------------------------------------------------------------------------------------------

    def _refresh(self, now: int) -> tuple[_Flight[T] | None, bool]:
        """The flight under way or a new one, and whether it is new; None while a failure is remembered."""
        with self._lock:
            if self._flight is not None:
                return self._flight, False
            if now < self._retry_at:
                return None, False
            flight = self._launch(now)
        self._start(flight)
        return flight, True

    def _launch(self, now: int) -> _Flight[T]:
        self._launches += 1
        flight = self._flight = _Flight(Future(), now, self._launches)
        return flight

    def _start(self, flight: _Flight[T]) -> None:
        try:
            Thread(target=self._fly, args=(flight,), name="wst-refresh", daemon=True).start()
        except RuntimeError:  # the process may have no more threads
            self._land(flight, ProviderUnavailable("no thread for a fetch"))

    def _fly(self, flight: _Flight[T]) -> None:
        try:
            outcome: _Outcome[T] = _Held(self._fetch(), flight.began, flight.launch)
        except TrustError as error:
            outcome = error
        except Exception as error:  # a way of the host's that breaks its promise must not leave waiters hanging
            outcome = ProviderUnavailable(f"a fetch failed: {type(error).__name__}")
        self._land(flight, outcome)

    def _land(self, flight: _Flight[T], outcome: _Outcome[T]) -> None:
        with self._lock:
            self._flight = None
            if isinstance(outcome, TrustError):
                self._failures, self._fault = self._failures + 1, outcome
                pause = _SECOND << min(self._failures - _AT_ONCE, 10) if self._failures >= _AT_ONCE else 0
                self._retry_at = flight.began + min(pause, self._cooldown)
            else:
                self._held, self._failures, self._retry_at, self._fault = outcome, 0, 0, None
        flight.landing.set_result(outcome)

    async def _landed(self, flight: _Flight[T], wait: Waiter) -> _Held[T]:
        outcome = await wait.landed(flight.landing, self._patience)
        if outcome is None:
            raise ProviderUnavailable("a fetch takes too long", hint="can this host reach the provider?")
        if isinstance(outcome, TrustError):
            raise copy(outcome)  # one error, many waiters: each needs a traceback of its own
        return outcome

    def _remembered(self, now: int) -> TrustError:
        error = copy(self._fault) or ProviderUnavailable("a fetch failed a moment ago")
        error.retry_after = timedelta(microseconds=max(0, self._retry_at - now) // 1_000)
        return error

    def renew(self) -> None:
        """In the child of a fork: the parent's fetching thread is not here, and its lock may be held for ever."""
        self._lock = Lock()
        self._flight = None
