"""Keys: the providers that hold key-encryption keys, the chain that routes to them, and the ring of tenant keys.

::

    KEK (in its provider)  ->  tenant key, 64 bytes, versioned  ->  a key for one envelope

Raw key bytes stand in no frame of this module, and an error of a provider leaves without the frames below it: error
reporters print the locals of every frame, and a key that is being wrapped anew opens all that its tenant has.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from ..core.clock import Clock, to_micros
from ..core.entropy import SYSTEM_ENTROPY, random_hex
from ..core.errors import (
    ConfigurationError,
    KeyDisabled,
    KeyUnavailable,
    KeyUnknown,
    SecretShredded,
    SecretTampered,
    TrustError,
)
from ..core.sansio import is_awaited
from .cache import CachePolicy, KeyAddress, KeyCache, landed
from .codes import check_value
from .envelope import KEY_BYTES, EnvelopeKey
from .rows import SecretBackend, TenantKeyRow, checked_key

__all__ = ["KeyChain", "KeyContext", "KeyProvider", "KeyRing", "KeyStatus"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KeyContext:
    """What a wrapped tenant key is bound to; no names of secrets, because key services log it."""

    store: str
    tenant_id: str
    key_version: int
    purpose: str = "tenant-key"


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """What a provider says of its key, for operators."""

    uri: str
    state: Literal["ready", "disabled", "unavailable"]
    detail: str = ""

    @classmethod
    def of(cls, uri: str, error: TrustError) -> KeyStatus:
        """What an error of the provider says of its key."""
        return cls(uri, "disabled" if isinstance(error, KeyDisabled) else "unavailable", error.detail)


class KeyProvider(Protocol):
    """Holds one key-encryption key. Plain functions; they bind every field of the context.

    Args:
        uri: names the key for ever, as ``local:k_0011223344556677``.
        blocking: whether calls wait for a network, so that an asynchronous store makes them in a thread.
    """

    @property
    def uri(self) -> str:
        """The name that rows carry."""
        ...

    @property
    def blocking(self) -> bool:
        """Whether `wrap` and `unwrap` wait for a network."""
        ...

    def wrap(self, key: bytes, context: KeyContext, /) -> bytes:
        """Raises `KeyUnavailable`, `KeyDisabled`, `KeyUnknown`."""
        ...

    def unwrap(self, blob: bytes, context: KeyContext, /) -> bytes:
        """Raises `SecretTampered`, `EnvelopeUnsupported`, `KeyUnavailable`, `KeyDisabled`, `KeyUnknown`."""
        ...

    def status(self) -> KeyStatus:
        """Asks the provider; never raises for an outage."""
        ...


class KeyChain:
    """The active provider, which wraps, and older ones, which only unwrap. Routes by uri and never tries.

    Raises:
        ConfigurationError: no provider, or two of one uri.
    """

    __slots__ = ("_by_uri", "active")

    def __init__(self, providers: Sequence[KeyProvider]) -> None:
        self._by_uri: dict[str, KeyProvider] = {provider.uri: provider for provider in providers}
        if not providers or len(self._by_uri) != len(providers):
            raise ConfigurationError(
                "a key chain needs providers of different keys", hint="KeyChain([active, *older])", reason="key_chain"
            )
        self.active: KeyProvider = providers[0]

    @property
    def providers(self) -> tuple[KeyProvider, ...]:
        """The active one first."""
        return tuple(self._by_uri.values())

    def route(self, uri: str) -> KeyProvider:
        """The provider of that key; raises `KeyUnknown`."""
        found = self._by_uri.get(uri)
        if found is None:
            raise KeyUnknown("a key is wrapped under a KEK that is not configured", hint="add it to KeyChain as older")
        return found

    def status(self) -> tuple[KeyStatus, ...]:
        """What every provider says, the active one first."""
        return tuple(provider.status() for provider in self._by_uri.values())


class KeyRing:
    """The tenant keys of one store: made, wrapped, unwrapped, checked, cached."""

    def __init__(self, backend: SecretBackend, chain: KeyChain, policy: CachePolicy, clock: Clock) -> None:
        self.chain: KeyChain = chain
        self._backend: SecretBackend = backend
        self._clock: Clock = clock
        self._cache: KeyCache = KeyCache(policy, clock)
        self.known: str | None = None

    async def store(self) -> str:
        """The id of the store; one statement the first time."""
        if self.known is None:
            found: Any = await self._backend.claim_store(random_hex(), to_micros(self._clock.now()))
            if not isinstance(found, str) or not found:
                raise SecretTampered("the row of the store is not one")
            self.known = found
        return self.known

    def peek(self, store: str, row: TenantKeyRow) -> EnvelopeKey | None:
        """The key of that row where it is at hand. Raises `SecretTampered`, `SecretShredded`."""
        return self._cache.peek(_address(store, _live(row)))

    async def open(self, row: TenantKeyRow) -> EnvelopeKey:
        """The key of that row, unwrapped and checked.

        Raises:
            SecretShredded: it was destroyed. SecretTampered: it is not the key that the row was made for.
            KeyUnknown, KeyDisabled, KeyUnavailable: the provider cannot help.
        """
        store = await self.store()
        address, provider = _address(store, _live(row)), self.chain.route(row.kek_uri)
        claim = self._cache.claim(address)
        if isinstance(claim, EnvelopeKey):
            return claim
        if not claim.leads and _hops(provider):
            # No thread a waiter: a cold tenant's first requests would use up the pool. A waiter that is cancelled
            # must not cancel the fetch for the others.
            with suppress(Exception):  # `landed` tells it, to each waiter for itself
                await asyncio.shield(asyncio.wrap_future(claim.flight))
            return landed(claim.flight)
        try:
            return await self._call(
                provider, lambda: self._cache.settle(claim, lambda: _unwrapped(provider, store, row))
            )
        except Exception as error:
            self._cache.abandon(claim, error)
            raise

    async def create(self, tenant_id: str, version: int) -> EnvelopeKey | None:
        """Gives a tenant a key of that version, unless another process was faster.

        Returns the key only to a process that cannot open it: elsewhere a key is used when it has been seen to unwrap.
        """
        key = EnvelopeKey(SYSTEM_ENTROPY.octets(KEY_BYTES), version)
        fresh = await self._row_of(key, tenant_id)
        if await self._backend.claim_key(fresh) != fresh or self.opens(fresh):
            return None
        self._cache.keep(_address(await self.store(), fresh), key)
        return key

    def opens(self, row: TenantKeyRow) -> bool:
        """Whether this process can unwrap a key, as far as its provider tells: some only seal."""
        return bool(getattr(self.chain.route(row.kek_uri), "opens", True))

    async def fresh(self, tenant_id: str, version: int) -> TenantKeyRow:
        """A new key under the active KEK, not stored yet."""
        return await self._row_of(EnvelopeKey(SYSTEM_ENTROPY.octets(KEY_BYTES), version), tenant_id)

    async def unwrapped(self, row: TenantKeyRow) -> EnvelopeKey:
        """As `open`, past the cache."""
        store = await self.store()
        provider = self.chain.route(_live(row).kek_uri)
        return await self._call(provider, lambda: _unwrapped(provider, store, row))

    async def wrapped(self, key: EnvelopeKey, row: TenantKeyRow) -> TenantKeyRow:
        """The row with its key under the active KEK. Raises `KeyUnknown`, `KeyDisabled`, `KeyUnavailable`."""
        active, context = self.chain.active, KeyContext(await self.store(), row.tenant_id, row.version)
        wrapped = await self._call(active, lambda: active.wrap(key.material, context))
        return row._replace(kek_uri=active.uri, wrapped=wrapped)

    def evict(self, store: str, tenant_id: str) -> None:
        """Forgets the keys of a tenant."""
        self._cache.evict_tenant(store, tenant_id)

    async def _row_of(self, key: EnvelopeKey, tenant_id: str) -> TenantKeyRow:
        value = check_value(key, await self.store(), tenant_id)
        blank = TenantKeyRow(tenant_id, key.version, "", None, value, "active", to_micros(self._clock.now()))
        return await self.wrapped(key, blank)

    async def _call(self, provider: KeyProvider, work: Callable[[], T]) -> T:
        """Lets the provider work, in a thread where somebody awaits us on a loop.

        A caller that is cancelled does not take the work out of the queue: others may wait for what comes of it.
        """
        try:
            return await asyncio.shield(_in_thread(lambda: _told(work))) if _hops(provider) else _told(work)
        except KeyDisabled:
            self._cache.evict_kek(provider.uri)  # all that it has wrapped must stop at once
            raise


def _address(store: str, row: TenantKeyRow) -> KeyAddress:
    return KeyAddress(store, row.tenant_id, row.version, row.kek_uri)


def _live(row: TenantKeyRow) -> TenantKeyRow:
    if checked_key(row).state == "destroyed":
        raise SecretShredded("the tenant's key was destroyed", hint="nothing can bring it back but a backup")
    return row


def _unwrapped(provider: KeyProvider, store: str, row: TenantKeyRow) -> EnvelopeKey:
    key = _keyed(provider.unwrap(row.wrapped or b"", KeyContext(store, row.tenant_id, row.version)), row.version)
    # A key service is neither committing nor beyond answering with another of its keys.
    if key is None:
        raise SecretTampered("a key provider answered with something that is no tenant key")
    if not hmac.compare_digest(check_value(key, store, row.tenant_id), row.check_value):
        raise SecretTampered("the check value of a tenant key does not verify", hint="row or key service was changed")
    return key


def _keyed(material: object, version: int) -> EnvelopeKey | None:
    return EnvelopeKey(material, version) if isinstance(material, bytes) and len(material) == KEY_BYTES else None


def _hops(provider: KeyProvider) -> bool:
    return provider.blocking and is_awaited()


def _in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    try:
        return asyncio.get_running_loop().run_in_executor(None, copy_context().run, work)
    except RuntimeError:
        raise KeyUnavailable("no thread can be had for the key service", hint="is the loop shutting down?") from None


def _told(work: Callable[[], T]) -> T:
    """What a provider's work gives; its error alone, without what is behind it."""
    try:
        return work()
    except TrustError as error:
        fault = error.with_traceback(None)
    fault.__cause__ = fault.__context__ = None
    raise fault
