"""`TenantSecrets`: the store without the tenant argument, so that no call site can name another tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..core.sansio import synced
from ..core.secret import Secret
from .borrow import Borrowed
from .model import SecretInfo, SecretRef, Taken, Value
from .refresh import LEASE, Fetch
from .reports import ImportReport, ReencryptReport, ShredReceipt, VerifyReport
from .upkeep import Progress

if TYPE_CHECKING:
    from pydantic import BaseModel

    from .store import SecretStore

__all__ = ["TenantSecrets"]

M = TypeVar("M", bound="BaseModel")


class TenantSecrets:
    """The secrets of one tenant; every method is that of `SecretStore`, and so are its errors."""

    __slots__ = ("_store", "suspends", "tenant_id")

    def __init__(self, store: SecretStore, tenant_id: str) -> None:
        self._store: SecretStore = store
        self.tenant_id: str = tenant_id
        self.suspends: bool = store.suspends

    async def aput(
        self,
        name: str,
        value: Value,
        *,
        expected_version: int | None = None,
        not_after: datetime | None = None,
        rotate_after: datetime | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> SecretRef:
        """`SecretStore.put`."""
        held: Any = Taken(value)
        del value
        return await self._store.aput(
            *(self.tenant_id, name, held),
            expected_version=expected_version,
            not_after=not_after,
            rotate_after=rotate_after,
            labels=labels,
        )

    put: Final = synced(aput)

    async def arotate(
        self,
        name: str,
        value: Value,
        *,
        expected_version: int | None = None,
        not_after: datetime | None = None,
        rotate_after: datetime | None = None,
        labels: Mapping[str, str] | None = None,
        overlap: timedelta | None = None,
    ) -> SecretRef:
        """`SecretStore.rotate`."""
        held: Any = Taken(value)
        del value
        return await self._store.arotate(
            *(self.tenant_id, name, held),
            expected_version=expected_version,
            not_after=not_after,
            rotate_after=rotate_after,
            labels=labels,
            overlap=overlap,
        )

    rotate: Final = synced(arotate)

    async def arevert(
        self,
        name: str,
        version: int,
        *,
        not_after: datetime | None = None,
        rotate_after: datetime | None = None,
    ) -> SecretRef:
        """`SecretStore.revert`."""
        return await self._store.arevert(self.tenant_id, name, version, not_after=not_after, rotate_after=rotate_after)

    revert: Final = synced(arevert)

    async def arefresh(self, name: str, fn: Fetch, *, lease: timedelta = LEASE) -> Secret[str] | Secret[bytes]:
        """`SecretStore.refresh`."""
        return await self._store.arefresh(self.tenant_id, name, fn, lease=lease)

    refresh: Final = synced(arefresh)

    async def aget(self, name: str, *, version: int | None = None) -> Secret[str] | Secret[bytes]:
        """`SecretStore.get`."""
        return await self._store.aget(self.tenant_id, name, version=version)

    get: Final = synced(aget)

    async def aget_as(self, name: str, model: type[M], *, version: int | None = None) -> M:
        """`SecretStore.get_as`."""
        return await self._store.aget_as(self.tenant_id, name, model, version=version)

    get_as: Final = synced(aget_as)

    def use(self, name: str, *, version: int | None = None) -> Borrowed:
        """`SecretStore.use`."""
        return self._store.use(self.tenant_id, name, version=version)

    ause: Final = use

    async def adescribe(self, name: str, *, version: int | None = None) -> SecretInfo:
        """`SecretStore.describe`."""
        return await self._store.adescribe(self.tenant_id, name, version=version)

    describe: Final = synced(adescribe)

    async def alist(self, *, after: str = "", limit: int = 100) -> tuple[SecretInfo, ...]:
        """`SecretStore.list`."""
        return await self._store.alist(self.tenant_id, after=after, limit=limit)

    list: Final = synced(alist)

    async def aversions(self, name: str) -> tuple[SecretInfo, ...]:
        """`SecretStore.versions`."""
        return await self._store.aversions(self.tenant_id, name)

    versions: Final = synced(aversions)

    async def adisable(self, name: str, *, version: int | None = None) -> SecretInfo:
        """`SecretStore.disable`."""
        return await self._store.adisable(self.tenant_id, name, version=version)

    disable: Final = synced(adisable)

    async def aenable(self, name: str, *, version: int | None = None) -> SecretInfo:
        """`SecretStore.enable`."""
        return await self._store.aenable(self.tenant_id, name, version=version)

    enable: Final = synced(aenable)

    async def adestroy(self, name: str, *, version: int | None = None) -> SecretInfo:
        """`SecretStore.destroy`."""
        return await self._store.adestroy(self.tenant_id, name, version=version)

    destroy: Final = synced(adestroy)

    async def areencrypt(
        self, *, progress: Progress | None = None, batch: int = 500, dry_run: bool = False, retire: bool = False
    ) -> ReencryptReport:
        """`SecretStore.reencrypt`."""
        return await self._store.areencrypt(
            self.tenant_id, progress=progress, batch=batch, dry_run=dry_run, retire=retire
        )

    reencrypt: Final = synced(areencrypt)

    async def averify(self, *, progress: Progress | None = None) -> VerifyReport:
        """`SecretStore.verify`."""
        return await self._store.averify(self.tenant_id, progress=progress)

    verify: Final = synced(averify)

    async def aimport_fernet(
        self,
        tokens: Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]],
        keys: Iterable[str | bytes],
        *,
        labels: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        dry_run: bool = False,
    ) -> ImportReport:
        """`SecretStore.import_fernet`."""
        return await self._store.aimport_fernet(
            self.tenant_id, tokens, keys, labels=labels, progress=progress, dry_run=dry_run
        )

    import_fernet: Final = synced(aimport_fernet)

    async def ashred(self, *, confirm: str) -> ShredReceipt:
        """`SecretStore.shred`."""
        return await self._store.ashred(self.tenant_id, confirm=confirm)

    shred: Final = synced(ashred)
