"""The I/O around the rules: read and verify, change under the backend's lock. No audit, no faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..core.clock import Clock, to_micros
from ..core.errors import SecretTampered, UsageError
from .cache import CachePolicy
from .codes import verify_row
from .envelope import EnvelopeKey
from .keyring import KeyChain, KeyRing
from .marks import Marks, Proven
from .model import LARGEST_VERSION, checked_address, checked_tenant
from .rows import Change, Head, Locked, SecretBackend, SecretRow, Stored, TenantKeyRow, Whole, checked_head
from .rules import Address, KeyAbsent, KeyNeeded, Keys, KeySealed, not_found, verified, verified_whole

__all__ = ["Authentic", "Vault"]

Rule = Callable[[Address, Locked, Keys], Change]


class Authentic(NamedTuple):
    """One version after every check but that of its state and expiry."""

    address: Address
    head: Head
    row: SecretRow
    key: EnvelopeKey


class Vault:
    """One store of secrets, with the keys and marks of this process."""

    def __init__(self, backend: SecretBackend, chain: KeyChain, policy: CachePolicy, clock: Clock) -> None:
        self.ring: KeyRing = KeyRing(backend, chain, policy, clock)
        self.backend: SecretBackend = backend
        self._clock: Clock = clock
        self.marks: Marks = Marks()
        self._proven: Proven = Proven()

    def now(self) -> int:
        """Microseconds since 1970 UTC."""
        return to_micros(self._clock.now())

    async def read(self, tenant_id: str, name: str, version: int | None) -> Authentic:
        """One version, verified."""
        _admit(tenant_id, name, version)
        address = Address(self.ring.known or await self.ring.store(), tenant_id, name)
        mark = self.marks.of(address)
        found = await self.backend.read(tenant_id, name, version)
        if found is None:
            self.marks.passed(address, 0, mark)
            raise not_found()
        return await self._verified(address, found, version, mark)

    async def history(self, tenant_id: str, name: str) -> tuple[Head, tuple[SecretRow, ...]]:
        """A secret with all its versions, each verified."""
        _admit(tenant_id, name, None)
        address = Address(await self.ring.store(), tenant_id, name)
        mark = self.marks.of(address)
        whole, rows = await self._under_its_keys(tenant_id, name)
        if whole.head is None:
            self.marks.passed(address, 0, mark)
            raise not_found()
        wanted = {row.key_version for row in whole.rows}
        keys = {row.version: await self.ring.open(row) for row in rows if row.version in wanted}
        head = verified_whole(address, whole, keys)
        self.marks.passed(address, head.revision, mark)
        return head, whole.rows

    async def page(self, tenant_id: str, after: str, limit: int) -> list[Authentic]:
        """Secrets at their current version, each verified."""
        checked_tenant(tenant_id)
        store = await self.ring.store()
        page: list[Authentic] = []
        for found in await self.backend.list(tenant_id, after, limit):
            address = Address(store, tenant_id, checked_head(found.head).name)
            if found.head.revision < self.marks.of(address):
                # Written since the page was read, or rolled back: reading it again, mark first, tells which.
                page.append(await self.read(tenant_id, found.head.name, None))
            else:
                page.append(await self._verified(address, found, None, 0))
        return page

    async def change(self, tenant_id: str, name: str, version: int | None, rule: Rule) -> Change:
        """Lets `rule` decide over the locked secret, and writes what it decided."""
        _admit(tenant_id, name, version)
        address = Address(await self.ring.store(), tenant_id, name)
        mark = self.marks.of(address)
        opened: dict[int, EnvelopeKey] = {}

        def at_hand(row: TenantKeyRow) -> EnvelopeKey:
            key = self.ring.peek(address.store, row) or opened.get(row.version)
            if key is None:
                raise KeyNeeded(row) if self.ring.opens(row) else KeySealed(row)
            return key

        def decide(locked: Locked) -> Change:
            decided = rule(address, locked, at_hand)
            self.marks.passed(address, locked.head.revision if locked.head is not None else 0, mark)
            return decided

        while True:
            try:
                change = await self.backend.change(tenant_id, name, version, decide)
            except KeyNeeded as needed:
                opened[needed.row.version] = await self.ring.open(needed.row)
            except KeyAbsent as absent:
                made = await self.ring.create(tenant_id, absent.version)
                if made is not None:
                    opened[made.version] = made
            else:
                self.marks.passed(address, change.head.revision, 0)
                return change

    async def _under_its_keys(self, tenant_id: str, name: str) -> tuple[Whole, tuple[TenantKeyRow, ...]]:
        """A secret and the tenant's keys, read first: what it is under cannot have been retired before it was read."""
        known: tuple[TenantKeyRow, ...] | None = None
        while (rows := await self.backend.keys_of(tenant_id)) != known:
            known, whole = rows, await self.backend.whole(tenant_id, name)
            if {row.key_version for row in whole.rows} <= {row.version for row in rows}:
                break  # or a key came in between; an edited number is not among them the next time either
        return whole, rows

    async def _verified(self, address: Address, found: Stored, asked: int | None, mark: int) -> Authentic:
        key = await self._key(address, found.key)
        known = self._proven.find(address, key, found.head, found.current) if asked is None else None
        if known is not None:
            self.marks.passed(address, known[0].revision, mark)
            return Authentic(address, *known, key)
        row = verified(address, found.head, found.current, key, wanted=found.wanted, asked=asked)
        self.marks.passed(address, found.head.revision, mark)
        if row is found.current:
            self._proven.keep(address, key, found.head, row)
        else:
            key = await self._key(address, found.wanted_key)
            verify_row(key, address.store, row)
        return Authentic(address, found.head, row, key)

    async def _key(self, address: Address, row: TenantKeyRow | None) -> EnvelopeKey:
        if row is None:
            raise SecretTampered("the tenant key of a row is missing", hint="key rows were deleted")
        return self.ring.peek(address.store, row) or await self.ring.open(row)


def _admit(tenant_id: object, name: object, version: object) -> None:
    checked_address(tenant_id, name)
    if version is None:
        return
    if type(version) is not int:
        raise UsageError("a version is an int")
    if not 0 < version <= LARGEST_VERSION:
        raise not_found()
