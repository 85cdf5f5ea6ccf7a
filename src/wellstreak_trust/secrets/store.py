"""`SecretStore`: integration tokens, sealed under a key of their tenant, with versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..core.clock import Clock, SystemClock
from ..core.errors import IntegrityError, Unavailable, UsageError
from ..core.event import EventSink
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from ..core.tenant import TenantContext
from . import envelope
from .borrow import Borrowed
from .cache import CachePolicy
from .keyring import KeyChain
from .model import RewrapReport, SecretInfo, SecretRef, ShredReceipt, Value, info, labels_text, micros_of, octets_of
from .rows import Change, SecretBackend
from .rules import Move, Written, context_of, moved, servable, text_of, written
from .trail import PLATFORM, Trail
from .vault import Authentic, Vault

if TYPE_CHECKING:
    from .handle import TenantSecrets

__all__ = ["SecretStore"]

T = TypeVar("T")

_MOST_LISTED: Final = 1_000


class SecretStore:
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

    def __init__(
        self,
        store: SecretBackend,
        keys: KeyChain,
        *,
        audit: EventSink | None = None,
        clock: Clock | None = None,
        cache: CachePolicy | None = None,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._vault: Vault = Vault(store, keys, cache or CachePolicy(), self._clock)
        self._trail: Trail = Trail(audit, self._clock)
        self.suspends: bool = suspends(store, audit)

    def for_tenant(self, ctx: TenantContext) -> TenantSecrets:
        """The secrets of the context's tenant, recorded in the name of its principal."""
        from .handle import TenantSecrets

        mine = copy(self)
        request = None if ctx.request_id is None else {"id": ctx.request_id}
        mine._trail = replace(self._trail, actor=ctx.principal, request=request)
        return TenantSecrets(mine, ctx.tenant_id)

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
            value: at most 64 KiB; text comes back as text, bytes as bytes.
            expected_version: compare-and-set: 0 only if the secret is new, n only over version n; None in any case.
            not_after: not served from then on. rotate_after: due for a new value from then on.
            labels: short texts, readable without the value.

        Raises:
            SecretConflict: another version is current. SecretTooLarge: over 64 KiB.
        """
        new = self._new(value, expected_version, not_after, rotate_after, labels or {})
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
    ) -> SecretRef:
        """As `put`, but only over a secret that exists; labels stay unless new ones are given.

        Raises:
            SecretNotFound: there is none of that name.
        """
        new = self._new(value, expected_version, not_after, rotate_after, labels)
        return await self._write("secret.rotated", tenant_id, name, replace(new, must_exist=True))

    rotate: Final = synced(arotate)

    async def adisable(self, tenant_id: str, name: str, *, version: int | None = None) -> SecretInfo:
        """Stops serving a version, the current one by default; `enable` undoes it. Raises `SecretNotFound`."""
        change = await self._move(tenant_id, name, version, "disabled")
        await self._trail.record("secret.disabled", tenant_id, name, **_facts(change))
        return info(change.head, change.row)

    disable: Final = synced(adisable)

    async def aenable(self, tenant_id: str, name: str, *, version: int | None = None) -> SecretInfo:
        """Serves a disabled version again. Raises `SecretNotFound`, `SecretShredded`."""
        async with self._trail.around("secret.enabled", tenant_id, name) as outcome:
            change = await self._move(tenant_id, name, version, "enabled")
            outcome.update(_facts(change))
        return info(change.head, change.row)

    enable: Final = synced(aenable)

    async def adestroy(self, tenant_id: str, name: str, *, version: int | None = None) -> SecretInfo:
        """Removes a version's ciphertext for good; its row stays as a tombstone. Raises `SecretNotFound`."""
        async with self._trail.around("secret.destroyed", tenant_id, name) as outcome:
            change = await self._move(tenant_id, name, version, "destroyed")
            outcome.update(_facts(change))
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
        found, octets = await self._open(tenant_id, name, version, envelope.open)
        await self._trail.record("secret.read", tenant_id, name, version=found.row.version)
        return Secret(octets) if found.row.kind == "bytes" else Secret(text_of(octets))

    get: Final = synced(aget)

    def use(self, tenant_id: str, name: str, *, version: int | None = None) -> Borrowed:
        """``with store.use(...) as octets`` (or ``async with``): the value in a buffer that is wiped at the end.

        Yields a read-only memoryview; text as UTF-8. Entering raises as `get`.
        """

        async def lend() -> tuple[bytearray, int]:
            found, (buffer, size) = await self._open(tenant_id, name, version, envelope.open_into)
            await self._trail.record("secret.read", tenant_id, name, version=found.row.version)
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
        if not isinstance(after, str) or type(limit) is not int or not 0 < limit <= _MOST_LISTED:
            raise UsageError(f"a page has 1 to {_MOST_LISTED} secrets and starts after a name")
        return tuple(info(found.head, found.row) for found in await self._vault.page(tenant_id, after, limit))

    list: Final = synced(alist)

    # --- keys --------------------------------------------------------------------------------------------------------

    async def arewrap(self, *, progress: Callable[[int], object] | None = None, batch: int = 500) -> RewrapReport:
        """Wraps every tenant key that is not under the active KEK anew; no secret is opened.

        Interrupted, it goes on where it stopped when called again. Rows that do not verify are left and reported.

        Args:
            progress: called after each batch with the number of keys done.
        """
        if type(batch) is not int or batch < 1:
            raise UsageError("a batch has at least one key")
        async with self._trail.around("secrets.rewrapped", PLATFORM, None) as outcome:
            report = await self._vault.rewrap(batch, progress)
            outcome.update(rewrapped=report.rewrapped, failed=len(report.failed))
        return report

    rewrap: Final = synced(arewrap)

    async def ashred(self, tenant_id: str, *, confirm: str) -> ShredReceipt:
        """Destroys a tenant's keys: nothing of it can be opened again, and it takes no new secrets.

        Backups of the database hold the wrapped keys until they age out: shredding is complete when they have.

        Args:
            confirm: the tenant id once more; raises `UsageError` for another.
        """
        if confirm != tenant_id:
            raise UsageError("shredding is not confirmed", hint="shred(tenant_id, confirm=tenant_id)")
        async with self._trail.around("secret.shredded", tenant_id, None) as outcome:
            store, keys, secrets = await self._vault.shred(tenant_id)
            outcome.update(keys=len(keys), secrets=secrets)
        return ShredReceipt(store, tenant_id, keys, secrets, self._clock.now())

    shred: Final = synced(ashred)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _new(
        self,
        value: Value,
        expected: int | None,
        not_after: datetime | None,
        rotate_after: datetime | None,
        labels: Mapping[str, str] | None,
    ) -> Written:
        if expected is not None and (type(expected) is not int or expected < 0):
            raise UsageError("expected_version is 0 or more, or None")
        octets, kind = octets_of(value)
        times = micros_of(not_after, "not_after"), micros_of(rotate_after, "rotate_after")
        return Written(
            octets, kind, self._vault.now(), *times, None if labels is None else labels_text(labels), expected
        )

    async def _write(self, action: str, tenant_id: str, name: str, new: Written) -> SecretRef:
        async with self._trail.around(action, tenant_id, name) as outcome:
            change = await self._vault.change(
                tenant_id, name, None, lambda address, locked, keys: written(address, locked, keys, new)
            )
            outcome.update(_facts(change))
        return SecretRef(tenant_id, name, change.row.version)

    async def _move(self, tenant_id: str, name: str, version: int | None, to: Move) -> Change:
        return await self._vault.change(
            tenant_id, name, version, lambda address, locked, keys: moved(address, locked, keys, version, to)
        )

    async def _open(
        self, tenant_id: str, name: str, version: int | None, opener: Callable[..., T]
    ) -> tuple[Authentic, T]:
        try:
            found = await self._vault.read(tenant_id, name, version)
            return found, opener(
                found.key, servable(found.row, self._vault.now()), context_of(found.address, found.row)
            )
        except IntegrityError as error:
            with suppress(Unavailable):  # somebody changed the database: worth knowing, and refused in any case
                await self._trail.record("secret.read", tenant_id, name, "error", cause=type(error).__name__)
            raise


def _facts(change: Change) -> dict[str, Any]:
    """What an auditor needs to find a rollback: the digest is of ciphertext."""
    digest = sha256(change.row.envelope).hexdigest() if change.row.envelope is not None else None
    return {"version": change.row.version, "revision": change.head.revision, "digest": digest}
