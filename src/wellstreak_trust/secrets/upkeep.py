"""Long work over many rows: re-wrap, re-encrypt, verify, shred. No audit, no faces.

Everything here can be interrupted at any point and called again. A re-wrap looks for rows that are not under the active
KEK. A re-encryption first commits the tenant's new key, from when on every write uses it, then moves secrets in
batches, each secret with all its versions and its head in one transaction; what an earlier run left under an older key
is what the next call goes on with. Where another key comes meanwhile, of another run or a process that only seals, the
run goes on to that one. A row that does not verify is left as it is and reported: sealing it anew would make an edited
row look sound.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from ..core.errors import IntegrityError, KeyUnknown, SecretShredded, Unavailable
from . import envelope
from .envelope import EnvelopeKey
from .model import checked_tenant
from .reports import Fault, ReencryptReport, RewrapReport, VerifyReport
from .rows import Head, Resealed, Rewrite, SecretRow, TenantKeyRow, Whole, checked_key
from .rules import Address, context_of, turned, verified_whole
from .vault import Vault

__all__ = ["Moved", "Progress", "Reencryption", "rewrap", "shred", "verify"]

Progress = Callable[[int], object]
_PAGE: Final = 500


class Moved(NamedTuple):
    """What an auditor needs of a secret that was sealed again; the digest is of ciphertext."""

    name: str
    version: int
    revision: int
    digest: str | None


async def rewrap(vault: Vault, batch: int, progress: Progress | None, *, dry_run: bool) -> RewrapReport:
    """Brings every tenant key under the active KEK, in batches; done work is skipped when it is called again.

    A key service that refuses in the middle, as for too many calls, ends it after what it has granted is written.
    """
    done, failed, after = 0, list[tuple[str, int]](), ("", 0)
    uri = vault.ring.chain.active.uri
    while rows := await vault.backend.keys_outside(uri, after, batch):
        moves, outage = [], None
        for row in rows:
            try:
                key = await _unwrapped(vault, row)
                if key is None:
                    failed.append((row.tenant_id, row.version))
                else:
                    moves.append((row, await vault.ring.wrapped(key, row)))
            except Unavailable as error:
                outage = error
                break
        done += len(moves) if dry_run else await vault.backend.rewrap_if(moves)
        after = rows[-1].tenant_id, rows[-1].version
        if progress is not None:
            progress(done)
        if outage is not None:
            raise outage
    return RewrapReport(done, tuple(failed), dry_run)


async def _unwrapped(vault: Vault, row: TenantKeyRow) -> EnvelopeKey | None:
    try:
        return await vault.ring.unwrapped(row)
    except (IntegrityError, KeyUnknown):
        return None  # one bad row, or a KEK that is lost, must not stop the rotation of all others


async def shred(vault: Vault, tenant_id: str) -> tuple[str, tuple[int, ...], int, tuple[str, ...]]:
    """Destroys a tenant's keys: store id, key versions, number of secrets, and the KEKs that had wrapped them."""
    checked_tenant(tenant_id)
    store = await vault.ring.store()
    standing = await vault.backend.keys_of(tenant_id)
    keys, secrets = await vault.backend.shred(tenant_id)
    vault.ring.evict(store, tenant_id)
    return store, keys, secrets, tuple(sorted({row.kek_uri for row in standing if row.version in keys}))


class Reencryption:
    """One run over one tenant."""

    def __init__(self, vault: Vault, tenant_id: str, batch: int) -> None:
        checked_tenant(tenant_id)
        self._vault: Vault = vault
        self._tenant: str = tenant_id
        self._batch: int = batch
        self._keys: dict[int, EnvelopeKey] = {}
        self._store: str = ""
        self.key_version: int = 0
        self.turned: bool = False
        self.secrets: int = 0
        self.versions: int = 0
        self.failed: list[str] = []

    async def begin(self, *, dry_run: bool) -> None:
        """Opens the tenant's keys, and gives it a new one unless an earlier run is unfinished.

        Raises:
            SecretShredded: the tenant's keys were destroyed.
        """
        backend, ring = self._vault.backend, self._vault.ring
        self._store = await ring.store()
        while rows := await backend.keys_of(self._tenant):
            live = _live(rows)
            active = [row.version for row in live if row.state == "active"]
            used = await backend.keys_in_use(self._tenant) & {row.version for row in live}
            self.key_version = live[-1].version
            if dry_run or (len(active) == 1 and used - {self.key_version}):
                break
            if await backend.turn_key_if(await ring.fresh(self._tenant, rows[-1].version + 1)):
                self.turned = True
                live = _live(await backend.keys_of(self._tenant))
                self.key_version = live[-1].version
                break
        else:
            return
        self._keys = {row.version: await ring.open(row) for row in live}

    async def batches(self) -> AsyncIterator[list[Moved]]:
        """Moves batch after batch; what each has moved is committed when it is yielded."""
        after: str | None = "" if self._keys else None
        while after is not None:
            moved: list[Resealed] = []
            failed: list[str] = []
            rule = self._rule(moved, failed)
            after = await self._vault.backend.rewrite(self._tenant, self.key_version, after, self._batch, rule)
            for new in moved:
                self._vault.marks.passed(self._at(new.head.name), new.head.revision, 0)
                self.versions += len(new.rows)
            self.secrets += len(moved)
            self.failed += failed
            yield [_moved(*new) for new in moved]
            if failed and await self._outgrown():
                after, self.failed = "", []

    async def rehearse(self) -> None:
        """Counts what a run would move and finds what would fail, without writing."""
        async for name in _names(self._vault, self._tenant):
            address = self._at(name)
            whole = await self._vault.backend.whole(self._tenant, name)
            if await self._sound(address, whole):
                self.secrets += 1
                self.versions += len(whole.rows)
            else:
                self.failed.append(name)

    async def retire(self) -> tuple[int, ...]:
        """Destroys the older keys that nothing is under any more."""
        retired = await self._vault.backend.retire_keys(self._tenant) if not self.failed else ()
        self._vault.ring.evict(self._store, self._tenant)
        return retired

    def report(self, retired: tuple[int, ...] = (), *, dry_run: bool = False) -> ReencryptReport:
        """What was done."""
        return ReencryptReport(
            *(self._tenant, self.key_version, self.secrets, self.versions, tuple(self.failed)),
            retired=retired,
            dry_run=dry_run,
        )

    async def _sound(self, address: Address, whole: Whole) -> bool:
        try:
            verified_whole(address, whole, self._keys)
        except IntegrityError:
            return await self._outgrown() and await self._sound(address, whole)
        return True

    async def _outgrown(self) -> bool:
        """Whether the tenant has a newer key than this run knows; from then on that is the one to go to."""
        live = _live(await self._vault.backend.keys_of(self._tenant))
        if live[-1].version <= self.key_version:
            return False
        self.key_version = live[-1].version
        self._keys = {row.version: await self._vault.ring.open(row) for row in live}
        return True

    def _at(self, name: str) -> Address:
        return Address(self._store, self._tenant, name)

    def _rule(self, moved: list[Resealed], failed: list[str]) -> Rewrite:
        key = self._keys[self.key_version]

        def rule(whole: Whole) -> Resealed | None:
            address = self._at(whole.name)
            try:
                new = turned(address, whole, self._keys, key)
                if whole.head is not None:  # under the lock: whatever this process has seen is committed
                    self._vault.marks.passed(address, whole.head.revision, self._vault.marks.of(address))
            except IntegrityError:
                failed.append(whole.name)
                return None
            if new is not None:
                moved.append(new)
            return new

        return rule


async def verify(vault: Vault, tenant_id: str | None, progress: Progress | None) -> VerifyReport:
    """Opens every key and every version of one tenant or of all, and keeps nothing of it."""
    store, tenants, secrets, versions, faults = await vault.ring.store(), 0, 0, 0, list[Fault]()
    async for tenant in _tenants(vault, tenant_id):
        tenants += 1
        keys = await _keys(vault, tenant, faults)
        async for name in _names(vault, tenant):
            address = Address(store, tenant, name)
            mark = vault.marks.of(address)
            whole = await vault.backend.whole(tenant, name)
            if any(row.key_version not in keys for row in whole.rows):  # a new key since they were read
                keys = await _keys(vault, tenant, [])
            faults += _faults(vault, address, whole, keys, mark)
            secrets += 1
            versions += len(whole.rows)
            if progress is not None:
                progress(secrets)
    return VerifyReport(tenants, secrets, versions, tuple(faults))


def _faults(
    vault: Vault, address: Address, whole: Whole, keys: dict[int, EnvelopeKey | None], mark: int
) -> list[Fault]:
    """What of one secret does not verify. A destroyed key is no fault: its secrets were shredded."""
    rows = whole.rows
    shredded = {version for version, key in keys.items() if key is None}
    if any(row.key_version in shredded for row in rows):
        return []
    try:
        live = {version: key for version, key in keys.items() if key is not None}
        head = verified_whole(address, whole, live)
        vault.marks.passed(address, head.revision, mark)
    except IntegrityError as error:
        return [Fault(address.tenant_id, address.name, None, type(error).__name__)]
    found = []
    for row in rows:
        try:
            if row.envelope is not None:
                envelope.open(live[row.key_version], row.envelope, context_of(address, row))
        except IntegrityError as error:
            found.append(Fault(address.tenant_id, address.name, row.version, type(error).__name__))
    return found


async def _keys(vault: Vault, tenant_id: str, faults: list[Fault]) -> dict[int, EnvelopeKey | None]:
    """The keys of a tenant that open; None for those that were destroyed on purpose."""
    found: dict[int, EnvelopeKey | None] = {}
    for row in await vault.backend.keys_of(tenant_id):
        try:
            destroyed = checked_key(row).state == "destroyed"
            found[row.version] = None if destroyed else await vault.ring.open(row)
        except IntegrityError as error:
            faults.append(Fault(tenant_id, "", row.version, type(error).__name__))
    return found


async def _tenants(vault: Vault, only: str | None) -> AsyncIterator[str]:
    if only is not None:
        checked_tenant(only)
        yield only
        return
    after = ""
    while page := await vault.backend.tenants(after, _PAGE):
        for tenant in page:
            yield tenant
        after = page[-1]


async def _names(vault: Vault, tenant_id: str) -> AsyncIterator[str]:
    after = ""
    while page := await vault.backend.names(tenant_id, after, _PAGE):
        for name in page:
            yield name
        after = page[-1]


def _live(rows: Sequence[TenantKeyRow]) -> list[TenantKeyRow]:
    live = [row for row in rows if checked_key(row).state != "destroyed"]
    if not live:
        raise SecretShredded("the tenant's keys were destroyed", hint="nothing can bring them back but a backup")
    return live


def _moved(head: Head, rows: tuple[SecretRow, ...]) -> Moved:
    current = next((row for row in rows if row.version == head.current), None)
    digest = sha256(current.envelope).hexdigest() if current is not None and current.envelope is not None else None
    return Moved(head.name, head.current, head.revision, digest)
