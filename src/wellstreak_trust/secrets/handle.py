"""`TenantSecrets`: the store without the tenant argument, so that no call site can name another tenant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from ..core.sansio import synced
from ..core.secret import Secret
from .borrow import Borrowed
from .model import SecretInfo, SecretRef, ShredReceipt, Value

if TYPE_CHECKING:
    from .store import SecretStore

__all__ = ["TenantSecrets"]


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
        return await self._store.aput(
            *(self.tenant_id, name, value),
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
    ) -> SecretRef:
        """`SecretStore.rotate`."""
        return await self._store.arotate(
            *(self.tenant_id, name, value),
            expected_version=expected_version,
            not_after=not_after,
            rotate_after=rotate_after,
            labels=labels,
        )

    rotate: Final = synced(arotate)

    async def aget(self, name: str, *, version: int | None = None) -> Secret[str] | Secret[bytes]:
        """`SecretStore.get`."""
        return await self._store.aget(self.tenant_id, name, version=version)

    get: Final = synced(aget)

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

    async def ashred(self, *, confirm: str) -> ShredReceipt:
        """`SecretStore.shred`."""
        return await self._store.ashred(self.tenant_id, confirm=confirm)

    shred: Final = synced(ashred)
