"""`SecretStore`: integration tokens, sealed under a key of their tenant, with versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from ..core.errors import IntegrityError, LeaseHeld, Unavailable, UsageError
from ..core.principal import Principal
from ..core.sansio import synced
from ..core.secret import Secret
from ..core.tenant import TenantContext
from . import envelope
from .borrow import Borrowed
from .keeper import Keeper
from .model import SecretInfo, SecretRef, Taken, Value, info, labels_text, micros_of, storable
from .refresh import LEASE, Fetch, Lost, Refresher
from .rows import Change
from .rules import Move, Written, context_of, moved, reverted, servable, text_of, written
from .trail import facts
from .typed import loaded
from .vault import Authentic

if TYPE_CHECKING:
    from pydantic import BaseModel

    from .handle import TenantSecrets

__all__ = ["SecretStore"]

T = TypeVar("T")
M = TypeVar("M", bound="BaseModel")

_MOST_LISTED: Final = 1_000
_MOST_LOST: Final = 3
_MICROSECOND: Final = timedelta(microseconds=1)
_LONGEST_OVERLAP: Final = timedelta(days=36_525)


class SecretStore(Keeper):
    """Secrets of all tenants.

    Args:
        store: `MemorySecretBackend`, ``storage.sql.SqlSecretBackend`` or the host's own `SecretBackend`.
        keys: the active key-encryption key and older ones.
        audit: takes events of every read and change; without it nothing is recorded.
        cache: how long unwrapped tenant keys stay in memory.

    Whatever concerns a secret raises `UsageError` for what cannot be a tenant id, name or version; `SecretTampered`,
    `SecretRollbackDetected` or `EnvelopeUnsupported` where the rows are not what was written; `KeyUnknown`,
    `KeyDisabled` or `KeyUnavailable` where the key-encryption key cannot be used; `SecretShredded` where the tenant's
    keys were destroyed; `AuditUnavailable` where a critical action cannot be recorded, and then it did not happen.
    """

    def for_tenant(self, ctx: TenantContext) -> TenantSecrets:
        """The secrets of the context's tenant, recorded in the name of its principal."""
        from .handle import TenantSecrets

        mine = copy(self)
        request = None if ctx.request_id is None else {"id": ctx.request_id}
        mine._trail = replace(self._trail, actor=ctx.principal, request=request)
        return TenantSecrets(mine, ctx.tenant_id)

    def acting_as(self, actor: Principal) -> SecretStore:
        """The same store, recorded in the name of `actor`: for operators' tools, which act in no tenant's context."""
        mine = copy(self)
        mine._trail = replace(self._trail, actor=actor)
        return mine

    # --- writing -----------------------------------------------------------------------------------------------------

    async def aput(
        self,
        tenant_id: str,
        name: str,
        value: Value,
        *,
        expected_version: int | None = None,
        not_after: datetime | None = None,
        rotate_after: datetime | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> SecretRef:
        """Stores a new version.

        Args:
            value: at most 64 KiB; text comes back as text, bytes as bytes, a pydantic model by `get_as`.
            expected_version: compare-and-set: 0 only if the secret is new, n only over version n; None in any case.
            not_after: not served from then on. rotate_after: due for a new value from then on.
            labels: short texts, readable without the value.

        Raises:
            SecretConflict: another version is current. SecretTooLarge: over 64 KiB.
        """
        held = Taken(value)
        del value
        new = self._new(held, expected_version, not_after, rotate_after, labels or {})
        return await self._write("secret.written", tenant_id, name, new)

    put: Final = synced(aput)

    async def arotate(
        self,
        tenant_id: str,
        name: str,
        value: Value,
        *,
        expected_version: int | None = None,
        not_after: datetime | None = None,
        rotate_after: datetime | None = None,
        labels: Mapping[str, str] | None = None,
        overlap: timedelta | None = None,
    ) -> SecretRef:
        """As `put`, but only over a secret that exists; labels stay unless new ones are given.

        Args:
            overlap: how long the version before is still served by its number; None sets it no end.

        Raises:
            SecretNotFound: there is none of that name.
        """
        held = Taken(value)
        del value
        new = self._new(held, expected_version, not_after, rotate_after, labels)
        ends = None if overlap is None else _admitted(overlap) // _MICROSECOND
        return await self._write("secret.rotated", tenant_id, name, replace(new, must_exist=True, overlap=ends))

    rotate: Final = synced(arotate)

    async def arevert(
        self,
        tenant_id: str,
        name: str,
        version: int,
        *,
        not_after: datetime | None = None,
        rotate_after: datetime | None = None,
    ) -> SecretRef:
        """Makes the value and labels of an older version a new one: nothing is overwritten, history goes on.

        Args:
            not_after, rotate_after: of the new version; those of the older one may be the end of an overlap.

        Raises:
            SecretNotFound, SecretDisabled, SecretShredded, SecretExpired: the older version is not served.
        """
        async with self._trail.around("secret.reverted", tenant_id, name) as outcome:
            new = self._new(Taken(b""), None, not_after, rotate_after, None)
            change = await self._vault.change(
                tenant_id, name, version, lambda address, locked, keys: reverted(address, locked, keys, version, new)
            )
            outcome.update(facts(change), reverted_to=version)
        return SecretRef(tenant_id, name, change.row.version)

    revert: Final = synced(arevert)

    async def arefresh(
        self, tenant_id: str, name: str, fn: Fetch, *, lease: timedelta = LEASE
    ) -> Secret[str] | Secret[bytes]:
        """The current value; where it is due, one caller among all processes lets `fn` fetch a new one first.

        Args:
            fn: gets the current `Secret`; gives a value or `Refreshed`, or a coroutine of one. Its error goes through,
                and the stored value stays. Its own timeout must be shorter than the lease.
            lease: how long a holder that died keeps the others waiting; at most an hour.

        Raises:
            LeaseHeld: somebody else was still refreshing it after one lease; retry.
            SecretNotFound, SecretDisabled, SecretShredded: nothing to refresh.
        """
        refresher = Refresher(self._vault, (tenant_id, name), lease)
        for _ in range(_MOST_LOST):
            turn = await refresher.turn()
            if not turn.mine:
                value = turn.value()
                await self._trail.record("secret.read", tenant_id, name, version=turn.found.row.version)
                return value
            try:
                async with self._trail.around("secret.refreshed", tenant_id, name) as outcome:
                    new = await refresher.fetch(fn, turn)
                    outcome.update(facts(await refresher.write(new, turn)))
                return new.secret()
            except Lost:
                await refresher.release()
            except BaseException:
                await refresher.release()
                raise
        raise LeaseHeld("the lease ran out each time before the refresh was done", hint="a longer lease")

    refresh: Final = synced(arefresh)

    async def adisable(self, tenant_id: str, name: str, *, version: int | None = None) -> SecretInfo:
        """Stops serving a version, the current one by default; `enable` undoes it. Raises `SecretNotFound`."""
        change = await self._move(tenant_id, name, version, "disabled")
        await self._trail.record("secret.disabled", tenant_id, name, **facts(change))
        return info(change.head, change.row)

    disable: Final = synced(adisable)

    async def aenable(self, tenant_id: str, name: str, *, version: int | None = None) -> SecretInfo:
        """Serves a disabled version again. Raises `SecretNotFound`, `SecretShredded`."""
        async with self._trail.around("secret.enabled", tenant_id, name) as outcome:
            change = await self._move(tenant_id, name, version, "enabled")
            outcome.update(facts(change))
        return info(change.head, change.row)

    enable: Final = synced(aenable)

    async def adestroy(self, tenant_id: str, name: str, *, version: int | None = None) -> SecretInfo:
        """Removes a version's ciphertext for good; its row stays as a tombstone. Raises `SecretNotFound`."""
        async with self._trail.around("secret.destroyed", tenant_id, name) as outcome:
            change = await self._move(tenant_id, name, version, "destroyed")
            outcome.update(facts(change))
        return info(change.head, change.row)

    destroy: Final = synced(adestroy)

    # --- reading -----------------------------------------------------------------------------------------------------

    async def aget(self, tenant_id: str, name: str, *, version: int | None = None) -> Secret[str] | Secret[bytes]:
        """The value, recorded before it is handed out.

        Args:
            version: an older one; None is the current one.

        Raises:
            SecretNotFound: missing, or another tenant's. SecretDisabled, SecretExpired, SecretShredded: not served.
        """
        found, value = await self._open(tenant_id, name, version, _secret)
        if self._trail.sink is not None:
            await self._trail.record("secret.read", tenant_id, name, version=found.row.version)
        return value

    get: Final = synced(aget)

    async def aget_as(self, tenant_id: str, name: str, model: type[M], *, version: int | None = None) -> M:
        """A typed secret: what was put as an instance of a pydantic model. Raises as `get`.

        Raises:
            UsageError: what is stored does not fit the model; names fields, never values.
        """
        return loaded(model, await self.aget(tenant_id, name, version=version))

    get_as: Final = synced(aget_as)

    def use(self, tenant_id: str, name: str, *, version: int | None = None) -> Borrowed:
        """``with store.use(...) as octets`` (or ``async with``): the value in a buffer that is wiped at the end.

        Yields a read-only memoryview; text as UTF-8. Entering raises as `get`.
        """

        async def lend() -> tuple[bytearray, int]:
            found, (buffer, size) = await self._open(tenant_id, name, version, _buffer)
            try:
                await self._trail.record("secret.read", tenant_id, name, version=found.row.version)
            except BaseException:
                buffer[:] = bytes(len(buffer))
                raise
            return buffer, size

        return Borrowed(lend, suspends=self.suspends)

    ause: Final = use

    async def adescribe(self, tenant_id: str, name: str, *, version: int | None = None) -> SecretInfo:
        """Everything but the value, authenticated, in whatever state it is. Raises `SecretNotFound`."""
        found = await self._vault.read(tenant_id, name, version)
        return info(found.head, found.row)

    describe: Final = synced(adescribe)

    async def alist(self, tenant_id: str, *, after: str = "", limit: int = 100) -> tuple[SecretInfo, ...]:
        """Descriptions of a tenant's secrets at their current version, by name.

        Args:
            after: the last name of the page before. limit: 1 to 1,000.
        """
        if not storable(after) or type(limit) is not int or not 0 < limit <= _MOST_LISTED:
            raise UsageError(f"a page has 1 to {_MOST_LISTED} secrets and starts after a name")
        return tuple(info(found.head, found.row) for found in await self._vault.page(tenant_id, after, limit))

    list: Final = synced(alist)

    async def atenants(self, *, after: str = "", limit: int = 100) -> tuple[str, ...]:
        """Tenants that have keys or secrets, by code points: for operators.

        Args:
            after: the last tenant of the page before. limit: 1 to 1,000.
        """
        if not isinstance(after, str) or type(limit) is not int or not 0 < limit <= _MOST_LISTED:
            raise UsageError(f"a page has 1 to {_MOST_LISTED} tenants and starts after one")
        return await self._vault.backend.tenants(after, limit)

    tenants: Final = synced(atenants)

    async def aversions(self, tenant_id: str, name: str) -> tuple[SecretInfo, ...]:
        """Descriptions of all versions of a secret, the oldest first, destroyed ones too. Raises `SecretNotFound`."""
        head, rows = await self._vault.history(tenant_id, name)
        return tuple(info(head, row) for row in rows)

    versions: Final = synced(aversions)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _new(
        self,
        held: Taken,
        expected: int | None,
        not_after: datetime | None,
        rotate_after: datetime | None,
        labels: Mapping[str, str] | None,
    ) -> Written:
        if expected is not None and (type(expected) is not int or expected < 0):
            raise UsageError("expected_version is 0 or more, or None")
        times = micros_of(not_after, "not_after"), micros_of(rotate_after, "rotate_after")
        text = None if labels is None else labels_text(labels)
        return Written(held.octets(), held.kind, self._vault.now(), *times, text, expected)

    async def _write(self, action: str, tenant_id: str, name: str, new: Written) -> SecretRef:
        async with self._trail.around(action, tenant_id, name) as outcome:
            change = await self._vault.change(
                tenant_id, name, None, lambda address, locked, keys: written(address, locked, keys, new)
            )
            outcome.update(facts(change))
        return SecretRef(tenant_id, name, change.row.version)

    async def _move(self, tenant_id: str, name: str, version: int | None, to: Move) -> Change:
        return await self._vault.change(
            tenant_id, name, version, lambda address, locked, keys: moved(address, locked, keys, version, to)
        )

    async def _open(
        self, tenant_id: str, name: str, version: int | None, opener: Callable[[Authentic, bytes], T]
    ) -> tuple[Authentic, T]:
        try:
            found = await self._vault.read(tenant_id, name, version)
            return found, opener(found, servable(found.row, self._vault.now()))
        except IntegrityError as error:
            with suppress(Unavailable):  # somebody changed the database: worth knowing, and refused in any case
                await self._trail.record("secret.read", tenant_id, name, "error", cause=type(error).__name__)
            raise


def _admitted(overlap: object) -> timedelta:
    if not isinstance(overlap, timedelta) or not timedelta() <= overlap <= _LONGEST_OVERLAP:
        raise UsageError("an overlap is a timedelta from nothing to a century", hint="timedelta(hours=1)")
    return overlap


def _secret(found: Authentic, octets: bytes) -> Secret[str] | Secret[bytes]:
    plain = envelope.open(found.key, octets, context_of(found.address, found.row))
    return Secret(plain) if found.row.kind == "bytes" else Secret(text_of(plain))


def _buffer(found: Authentic, octets: bytes) -> tuple[bytearray, int]:
    return envelope.open_into(found.key, octets, context_of(found.address, found.row))
