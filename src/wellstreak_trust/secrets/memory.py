"""A secret backend in memory, for tests and development: it forgets everything with the process."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from .rows import Change, Head, Listed, Locked, Rewrite, Rule, SecretRow, Stored, TenantKeyRow, Whole

__all__ = ["MemorySecretBackend"]


class MemorySecretBackend:
    """Dictionaries behind one lock.

    Args:
        allow_memory: accept that a production profile forgets its secrets.
    """

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: threading.Lock = threading.Lock()
        self._store: str | None = None
        self._keys: dict[tuple[str, int], TenantKeyRow] = {}
        self._heads: dict[tuple[str, str], Head] = {}
        self._rows: dict[tuple[str, str], dict[int, SecretRow]] = {}

    async def claim_store(self, candidate: str, created_at: int, /) -> str:
        """See `SecretBackend`."""
        with self._lock:
            self._store = self._store or candidate
            return self._store

    async def claim_key(self, row: TenantKeyRow, /) -> TenantKeyRow:
        """See `SecretBackend`."""
        with self._lock:
            standing = self._keys_of(row.tenant_id)
            if standing and all(each.state == "destroyed" for each in standing):
                return standing[-1]
            return self._keys.setdefault((row.tenant_id, row.version), row)

    async def read(self, tenant_id: str, name: str, version: int | None, /) -> Stored | None:
        """See `SecretBackend`."""
        with self._lock:
            head = self._heads.get((tenant_id, name))
            return None if head is None else self._stored(head, version)

    async def list(self, tenant_id: str, after: str, limit: int, /) -> Listed:
        """See `SecretBackend`."""
        with self._lock:
            names = sorted(name for tenant, name in self._heads if tenant == tenant_id and name > after)
            return tuple(self._stored(self._heads[tenant_id, name], None) for name in names[:limit])

    async def change(self, tenant_id: str, name: str, version: int | None, rule: Rule, /) -> Change:
        """See `SecretBackend`."""
        with self._lock:
            keys = self._keys_of(tenant_id)
            head = self._heads.get((tenant_id, name))
            found = None if head is None else self._stored(head, version)
            change = rule(Locked(keys, head, found.current if found else None, found.wanted if found else None))
            if change.write != "nothing":
                self._heads[tenant_id, name] = change.head
            written = (change.row,) if change.write in ("insert", "update") else ()
            for row in written if change.also is None else (*written, change.also):
                self._rows.setdefault((tenant_id, name), {})[row.version] = row
            return change

    async def whole(self, tenant_id: str, name: str, /) -> Whole:
        """See `SecretBackend`."""
        with self._lock:
            return self._whole(tenant_id, name)

    async def names(self, tenant_id: str, after: str, limit: int, /) -> tuple[str, ...]:
        """See `SecretBackend`."""
        with self._lock:
            found = {name for tenant, name in (*self._heads, *self._rows) if tenant == tenant_id and name > after}
            return tuple(sorted(found)[:limit])

    async def rewrite(self, tenant_id: str, key_version: int, after: str, limit: int, rule: Rewrite, /) -> str | None:
        """See `SecretBackend`."""
        with self._lock:
            names = sorted(name for tenant, name in self._heads if tenant == tenant_id and name > after)
            names = [name for name in names if self._outside(tenant_id, name, key_version)][:limit]
            for new in [rule(self._whole(tenant_id, name)) for name in names]:
                if new is not None:
                    self._heads[tenant_id, new.head.name] = new.head
                    self._rows[tenant_id, new.head.name].update({row.version: row for row in new.rows})
            return names[-1] if names else None

    async def tenants(self, after: str, limit: int, /) -> tuple[str, ...]:
        """See `KeyBackend`."""
        with self._lock:
            found = {tenant for tenant, *_ in (*self._keys, *self._heads) if tenant > after}
            return tuple(sorted(found)[:limit])

    async def keys_of(self, tenant_id: str, /) -> tuple[TenantKeyRow, ...]:
        """See `KeyBackend`."""
        with self._lock:
            return self._keys_of(tenant_id)

    async def keys_in_use(self, tenant_id: str, /) -> frozenset[int]:
        """See `KeyBackend`."""
        with self._lock:
            return self._in_use(tenant_id)

    async def retire_keys(self, tenant_id: str, /) -> tuple[int, ...]:
        """See `KeyBackend`."""
        with self._lock:
            used, done = self._in_use(tenant_id), list[int]()
            for row in self._keys_of(tenant_id):
                if row.state == "decrypt_only" and row.version not in used:
                    self._keys[tenant_id, row.version] = row._replace(wrapped=None, state="destroyed")
                    done.append(row.version)
            return tuple(done)

    async def turn_key_if(self, fresh: TenantKeyRow, /) -> bool:
        """See `KeyBackend`."""
        with self._lock:
            standing = self._keys_of(fresh.tenant_id)
            if all(row.state == "destroyed" for row in standing) or standing[-1].version != fresh.version - 1:
                return False
            for row in standing:
                if row.state == "active":
                    self._keys[row.tenant_id, row.version] = row._replace(state="decrypt_only")
            self._keys[fresh.tenant_id, fresh.version] = fresh
            return True

    async def keys_outside(self, kek_uri: str, after: tuple[str, int], limit: int, /) -> tuple[TenantKeyRow, ...]:
        """See `SecretBackend`."""
        with self._lock:
            found = [row for key, row in sorted(self._keys.items()) if key > after and row.kek_uri != kek_uri]
            return tuple([row for row in found if row.state != "destroyed"][:limit])

    async def rewrap_if(self, moves: Sequence[tuple[TenantKeyRow, TenantKeyRow]], /) -> int:
        """See `SecretBackend`."""
        done = 0
        with self._lock:
            for old, new in moves:
                if self._keys.get((old.tenant_id, old.version)) == old:
                    self._keys[old.tenant_id, old.version] = new
                    done += 1
        return done

    async def shred(self, tenant_id: str, /) -> tuple[tuple[int, ...], int]:
        """See `SecretBackend`."""
        with self._lock:
            live = [row for key, row in self._keys.items() if key[0] == tenant_id and row.state != "destroyed"]
            for row in live:
                self._keys[tenant_id, row.version] = row._replace(wrapped=None, state="destroyed")
            versions = tuple(sorted(row.version for row in live))
            return versions, sum(tenant == tenant_id for tenant, _ in self._heads)

    def _keys_of(self, tenant_id: str) -> tuple[TenantKeyRow, ...]:
        return tuple(row for (tenant, _), row in sorted(self._keys.items()) if tenant == tenant_id)

    def _outside(self, tenant_id: str, name: str, key_version: int) -> bool:
        return any(row.key_version != key_version for row in self._rows.get((tenant_id, name), {}).values())

    def _in_use(self, tenant_id: str) -> frozenset[int]:
        heads = (head.key_version for (tenant, _), head in self._heads.items() if tenant == tenant_id)
        rows = (row for (tenant, _), rows in self._rows.items() if tenant == tenant_id for row in rows.values())
        return frozenset((*heads, *(row.key_version for row in rows)))

    def _whole(self, tenant_id: str, name: str) -> Whole:
        rows = self._rows.get((tenant_id, name), {})
        return Whole(name, self._heads.get((tenant_id, name)), tuple(rows[version] for version in sorted(rows)))

    def _stored(self, head: Head, version: int | None) -> Stored:
        rows = self._rows.get((head.tenant_id, head.name), {})
        current = rows.get(head.current)
        wanted = current if version is None else rows.get(version)
        wanted_key = self._keys.get((head.tenant_id, wanted.key_version)) if wanted is not None else None
        return Stored(head, current, self._keys.get((head.tenant_id, head.key_version)), wanted, wanted_key)
