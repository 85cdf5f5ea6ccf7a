"""`ConcurrencyLimiter`: how many of a kind may run at once, across processes.

A rate bounds how often work begins; this bounds how much of it is under way, which is what slow work uses up.
"""

from __future__ import annotations

from datetime import timedelta
from threading import Lock
from types import TracebackType
from typing import Any, Final, get_args

from ..core.clock import Clock, SystemClock
from ..core.entropy import random_hex
from ..core.errors import ConfigurationError, RateLimited, UsageError
from ..core.event import EventSink
from ..core.sansio import suspends, synced
from .headers import concurrency_items, seconds
from .lease_store import LeaseStore, Place
from .memory import MemoryLimitStore
from .outage import Circuit, CircuitPolicy, Counting
from .rules import OnOutage

__all__ = ["ConcurrencyLimiter", "Lease"]

_TTL: Final = timedelta(seconds=30)
_ONCE: Final = Lock()


class Lease:
    """One place, or its refusal; the truth value is `allowed`. As a context manager it raises and releases.

    Attributes:
        allowed: whether a place was free.
        in_use: places taken, this one included.
        retry_after: until the next lease ends by itself, where none was free; work that ends earlier frees it earlier.
        degraded: decided without the store.
        outage: refused because the store cannot be asked and the limiter is declared closed.
    """

    __slots__ = ("_key", "_limiter", "_store", "_token", "allowed", "degraded", "in_use", "outage", "retry_after")

    def __init__(
        self,
        limiter: ConcurrencyLimiter,
        found: Place,
        key: str,
        token: str,
        store: LeaseStore | None,
        *,
        degraded: bool = False,
        outage: bool = False,
    ) -> None:
        self.allowed: bool = found.taken
        self.in_use: int = found.in_use
        self.retry_after: timedelta | None = None if found.taken else timedelta(seconds=max(1, seconds(found.wait)))
        self.degraded: bool = degraded
        self.outage: bool = outage
        self._limiter: ConcurrencyLimiter = limiter
        self._key: str = key
        self._token: str = token
        self._store: LeaseStore | None = store if found.taken else None

    def __bool__(self) -> bool:
        return self.allowed

    def __repr__(self) -> str:
        return f"Lease(allowed={self.allowed}, in_use={self.in_use})"

    @property
    def suspends(self) -> bool:
        """Whether `renew` and `release` suspend."""
        return suspends(self._store)

    @property
    def violated(self) -> tuple[str, ...]:
        """As `Verdict.violated`."""
        return () if self.allowed else (self._limiter.name,)

    def headers(self) -> dict[str, str]:
        """``RateLimit-Policy`` and ``RateLimit`` in units of concurrent requests, and ``Retry-After``."""
        found = concurrency_items(self._limiter.name, self._limiter.limit, self._limiter.limit - self.in_use)
        if self.retry_after is not None:
            found["Retry-After"] = str(-(-self.retry_after // timedelta(seconds=1)))
        return found

    def problem(self, instance: str | None = None) -> dict[str, Any]:
        """The RFC 9457 document of the refusal."""
        return RateLimited(self).problem(instance)

    async def arenew(self) -> bool:
        """Moves the end of the lease by another `ttl`; False where it has ended, so that the work should stop.

        Raises:
            StoreUnavailable: nothing is certain; the lease stands until its end.
        """
        store, limiter = self._store, self._limiter
        return store is not None and await store.extend(self._key, self._token, limiter.ttl, limiter.clock)

    renew: Final = synced(arenew)

    async def arelease(self) -> None:
        """Gives the place back, once; later calls do nothing. Without the store it ends by itself."""
        with _ONCE:
            store, self._store = self._store, None
        if store is not None:
            await self._limiter._left(store, self._key, self._token)

    release: Final = synced(arelease)

    def __enter__(self) -> Lease:
        return self._admitted()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()

    async def __aenter__(self) -> Lease:
        return self._admitted()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.arelease()

    def _admitted(self) -> Lease:
        if not self.allowed:
            raise RateLimited(self)
        return self


class ConcurrencyLimiter:
    """At most `limit` leases a key at any time.

    Args:
        store: `MemoryLimitStore`, `RedisLimitStore`, or a `LeaseStore`.
        limit: places of one key.
        ttl: after which a lease ends by itself, for holders that crashed; longer work renews it.
        name: of the policy in header fields; limiters of different names share no places.
        replicas: processes that share the places; local fallback has `limit` divided by it.
        on_outage: ``local`` counts in this process, ``open`` admits, ``closed`` refuses.
        circuit, metrics, audit: as for `RateLimiter`.

    Raises:
        ConfigurationError: a number that is not positive.
    """

    def __init__(
        self,
        store: MemoryLimitStore | LeaseStore | Any,
        limit: int,
        ttl: timedelta = _TTL,
        *,
        name: str = "concurrency",
        clock: Clock | None = None,
        replicas: int = 1,
        on_outage: OnOutage = "local",
        circuit: CircuitPolicy | None = None,
        metrics: Counting | None = None,
        audit: EventSink | None = None,
    ) -> None:
        if type(limit) is not int or type(replicas) is not int or min(limit, replicas) < 1:
            raise _refuse("limit and replicas are positive numbers", "ConcurrencyLimiter(store, 2)")
        if not isinstance(ttl, timedelta) or ttl <= timedelta():
            raise _refuse("ttl is no positive timedelta", "ttl=timedelta(seconds=30)")
        if on_outage not in get_args(OnOutage):
            raise _refuse(f"unknown on_outage {on_outage!r}", "one of " + ", ".join(get_args(OnOutage)))
        if not isinstance(name, str) or not name or not name.isascii() or not name.isprintable():
            raise _refuse("name is not printable ASCII", "name='connection-tests'")
        self.name: str = name
        self.limit: int = limit
        self.ttl: timedelta = ttl
        self.clock: Clock = SystemClock() if clock is None else clock
        self.store: LeaseStore = store.leases() if hasattr(store, "leases") else store
        if not hasattr(self.store, "take_place"):
            raise _refuse("the store keeps no leases", "MemoryLimitStore() or RedisLimitStore(...)")
        self.suspends: bool = suspends(self.store, audit)
        self._share: int = max(1, limit // replicas)
        self._on_outage: OnOutage = on_outage
        self._local: LeaseStore = MemoryLimitStore(allow_memory=True, max_keys=100_000).leases()
        self._circuit: Circuit = Circuit(circuit or CircuitPolicy(), self.clock, metrics, audit)

    async def aacquire(self, key: str) -> Lease:
        """Takes a place if one is free; ``with limiter.acquire(key):`` raises `RateLimited` where none is.

        Args:
            key: whose places, such as a tenant's id.

        Raises:
            UsageError: a key that is empty or no text.
        """
        if not isinstance(key, str) or not key:
            raise UsageError("key is empty or no text", hint="acquire(tenant_id)")
        place, token = f"{len(self.name)}:{self.name}{len(key)}:{key}", random_hex()
        if not self._circuit.blocks():
            found = await self._circuit.ask(self.store.take_place(place, token, self.limit, self.ttl, self.clock))
            if found is not None:
                return Lease(self, found, place, token, self.store)
        return await self._without_store(place, token)

    acquire: Final = synced(aacquire)

    async def _without_store(self, place: str, token: str) -> Lease:
        if self._on_outage == "local":
            found = await self._local.take_place(place, token, self._share, self.ttl, self.clock)
            return Lease(self, found, place, token, self._local, degraded=True)
        if self._on_outage == "open":
            return Lease(self, Place(True, 1, 0), place, token, None, degraded=True)
        refused = Place(False, self.limit, self._circuit.probe_in())
        return Lease(self, refused, place, token, None, degraded=True, outage=True)

    async def _left(self, store: LeaseStore, place: str, token: str) -> None:
        verb = store.leave(place, token, self.clock)
        await (verb if store is self._local else self._circuit.ask(verb))


def _refuse(detail: str, hint: str) -> ConfigurationError:
    return ConfigurationError(detail, hint=hint, reason="concurrency")
