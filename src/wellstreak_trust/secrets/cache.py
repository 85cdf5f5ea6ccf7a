"""Unwrapped tenant keys in memory: few, for a short time, and fetched once however many ask.

The reader checks the age, by the monotonic clock, so nothing is served past `max_age` whatever the key service does.
In the last `grace` before that, one caller fetches anew and the others are still served: a key service that is slow
for a moment is not felt. A forked child starts empty; a key service that says "disabled" empties all it has wrapped.
What is too old goes when the next key comes, so that tenants who stay away leave no key behind.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

from ..core.clock import Clock
from ..core.errors import ConfigurationError, KeyUnavailable, TrustError
from ..core.processes import renewed_in_children
from .envelope import EnvelopeKey

__all__ = ["CachePolicy", "Claim", "KeyAddress", "KeyCache", "landed"]

_AT_ONCE: Final = 20
_MICROSECOND: Final = timedelta(microseconds=1)
_AGAIN_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How long unwrapped tenant keys live in memory.

    Args:
        max_age: never served beyond it; zero keeps nothing.
        max_entries: the least recently used goes first.
        max_uses: served so often at most, then fetched anew.
        grace: how long before `max_age` one caller fetches anew; at most half of `max_age` counts.

    Raises:
        ConfigurationError: a negative or empty bound, or one of another type.
    """

    max_age: timedelta = timedelta(seconds=300)
    max_entries: int = 1_000
    max_uses: int = 2**20
    grace: timedelta = timedelta(seconds=10)

    def __post_init__(self) -> None:
        times, counts = (self.max_age, self.grace), (self.max_entries, self.max_uses)
        sound = all(isinstance(time, timedelta) and time >= timedelta() for time in times)
        if not sound or not all(type(count) is int and count > 0 for count in counts):
            raise ConfigurationError("a cache bound is a timedelta or a count", hint="CachePolicy()", reason="cache")


class KeyAddress(NamedTuple):
    """What a cached key is kept under: a key wrapped anew elsewhere is another entry."""

    store: str
    tenant_id: str
    version: int
    kek_uri: str


class _Entry:
    __slots__ = ("again_at", "key", "loaded_at", "uses")

    def __init__(self, key: EnvelopeKey, loaded_at: int, again_at: int) -> None:
        self.key: EnvelopeKey = key
        self.loaded_at: int = loaded_at
        self.again_at: int = again_at
        self.uses: int = 0


class Claim(NamedTuple):
    """A fetch under way; `leads` where it is the caller's to make, `standby` what may be served if it fails."""

    address: KeyAddress
    flight: Future[EnvelopeKey]
    leads: bool
    standby: _Entry | None


class KeyCache:
    """A bounded map of tenant keys, safe for threads."""

    def __init__(self, policy: CachePolicy, clock: Clock) -> None:
        self._policy: CachePolicy = policy
        self._clock: Clock = clock
        self._age_ns: int = policy.max_age // _MICROSECOND * 1_000
        self._fresh_ns: int = self._age_ns - min(policy.grace, policy.max_age / 2) // _MICROSECOND * 1_000
        self._sweep_at: int = 0
        self._entries: OrderedDict[KeyAddress, _Entry] = OrderedDict()
        self._flights: dict[KeyAddress, Future[EnvelopeKey]] = {}
        self._lock: threading.Lock = threading.Lock()
        self._places: threading.BoundedSemaphore = threading.BoundedSemaphore(_AT_ONCE)
        renewed_in_children(self)

    def peek(self, address: KeyAddress) -> EnvelopeKey | None:
        """The key, if it may be served without fetching anything."""
        with self._lock:
            entry = self._entries.get(address)
            now = self._clock.monotonic_ns()
            if entry is None or not self._servable(entry, now) or self._due(entry, address, now):
                return None
            return self._serve(address, entry)

    def claim(self, address: KeyAddress) -> EnvelopeKey | Claim:
        """The key, or the fetch that it comes of; never waits."""
        with self._lock:
            entry = self._entries.get(address)
            now = self._clock.monotonic_ns()
            standby = entry if entry is not None and self._servable(entry, now) else None
            if standby is not None and not self._due(standby, address, now):
                return self._serve(address, standby)
            flight = self._flights.get(address)
            if leads := flight is None:
                flight = self._flights[address] = Future()
            return Claim(address, flight, leads, standby)

    def settle(self, claim: Claim, fetch: Callable[[], EnvelopeKey]) -> EnvelopeKey:
        """The key of a claim: who leads fetches it, who does not waits; all share what came of it."""
        return self._lead(claim, fetch) if claim.leads else landed(claim.flight)

    def obtain(self, address: KeyAddress, fetch: Callable[[], EnvelopeKey]) -> EnvelopeKey:
        """The key, fetched by one caller if need be."""
        found = self.claim(address)
        return self.settle(found, fetch) if isinstance(found, Claim) else found

    def keep(self, address: KeyAddress, key: EnvelopeKey) -> None:
        """A key that was made here, for as long as one that was fetched."""
        with self._lock:
            self._store(address, key)

    def evict_tenant(self, store: str, tenant_id: str) -> None:
        """Forgets a tenant's keys; what is being fetched for it right now is not kept either."""
        self._drop(lambda address: (address.store, address.tenant_id) == (store, tenant_id))

    def evict_kek(self, kek_uri: str) -> None:
        """Forgets all that a key-encryption key has wrapped."""
        self._drop(lambda address: address.kek_uri == kek_uri)

    def abandon(self, claim: Claim, error: Exception) -> None:
        """Where the fetch of this claim could not even begin, nobody must wait for it."""
        if claim.leads and not claim.flight.done():
            self._fail(claim.address, claim.flight, error)

    # --- one fetch ---------------------------------------------------------------------------------------------------

    def _lead(self, claim: Claim, fetch: Callable[[], EnvelopeKey]) -> EnvelopeKey:
        address, flight, _, standby = claim
        try:
            with self._places:
                key = fetch()
        except KeyUnavailable as error:
            if standby is not None:  # still within max_age: an outage of the key service is not felt yet
                self._land(address, flight)
                flight.set_result(standby.key)
                return standby.key
            self._fail(address, flight, error)
            raise
        except BaseException as error:
            self._drop(lambda held: held == address)
            self._fail(address, flight, error)
            raise
        self._land(address, flight, key)
        flight.set_result(key)
        return key

    def _land(self, address: KeyAddress, flight: Future[EnvelopeKey], key: EnvelopeKey | None = None) -> None:
        with self._lock:
            if self._flights.get(address) is not flight:
                return  # evicted while it was fetched
            del self._flights[address]
            if key is not None:
                self._store(address, key)
            elif address in self._entries:
                self._entries[address].again_at = self._clock.monotonic_ns() + _AGAIN_NS

    def _store(self, address: KeyAddress, key: EnvelopeKey) -> None:
        now = self._clock.monotonic_ns()
        if now >= self._sweep_at:
            self._sweep_at = now + _AGAIN_NS
            for old in [old for old, entry in self._entries.items() if not self._servable(entry, now)]:
                del self._entries[old]
        self._entries[address] = _Entry(key, now, now + self._fresh_ns)
        self._entries.move_to_end(address)
        while len(self._entries) > self._policy.max_entries:
            self._entries.popitem(last=False)

    def _fail(self, address: KeyAddress, flight: Future[EnvelopeKey], error: BaseException) -> None:
        self._land(address, flight)
        # Those who wait were promised an answer even where the leader was interrupted.
        flight.set_exception(error if isinstance(error, Exception) else KeyUnavailable("the fetch was interrupted"))

    def _servable(self, entry: _Entry, now: int) -> bool:
        return 0 <= now - entry.loaded_at < self._age_ns and entry.uses < self._policy.max_uses

    def _due(self, entry: _Entry, address: KeyAddress, now: int) -> bool:
        return now >= entry.again_at and address not in self._flights

    def _serve(self, address: KeyAddress, entry: _Entry) -> EnvelopeKey:
        entry.uses += 1
        self._entries.move_to_end(address)
        return entry.key

    def _drop(self, gone: Callable[[KeyAddress], bool]) -> None:
        with self._lock:
            for held in (self._entries, self._flights):
                for address in [address for address in held if gone(address)]:
                    del held[address]

    def renew(self) -> None:
        """Starts empty: in a forked child a fetch may be under way by a thread that does not exist there."""
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._entries = OrderedDict()
        self._flights = {}


def landed(flight: Future[EnvelopeKey]) -> EnvelopeKey:
    """What came of another caller's fetch, once it has come."""
    error = flight.exception()
    if isinstance(error, TrustError):
        # A copy: one object raised in many threads collects the frames, and so the locals, of all their requests.
        raise copy(error)
    return flight.result()
