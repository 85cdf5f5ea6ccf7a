"""An audit store in memory, for tests and development: it forgets everything with the process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from threading import Lock
from typing import ClassVar

from .event import Draft, Sealed
from .processes import PerProcess
from .query import Query, fits
from .store import (
    EVERYBODY,
    SPINE,
    Batch,
    Head,
    Leaf,
    SealedValue,
    Signed,
    by_tenant,
    prunable,
    require_free,
    sequence,
    split_known,
)
from .tiles import TILE_WIDTH
from .tree import HASH_OCTETS, Frontier

__all__ = ["MemoryAuditStore"]


@dataclass(slots=True)
class _Tree:
    size: int = 0
    edge: list[bytes] = field(default_factory=list)
    recorded_at: int = 0
    first: int = 0
    leaves: list[Leaf] = field(default_factory=list)  # from `first` on
    by_id: dict[str, Leaf] = field(default_factory=dict)
    hashes: bytearray = field(default_factory=bytearray)
    tiles: dict[tuple[int, int], bytes] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)
    sealed: list[tuple[int, Sealed]] = field(default_factory=list)
    holds: set[str] = field(default_factory=set)
    noted: int = 0

    def head(self) -> Head:
        """The root costs as many hashes as the size has bits; who only appends does not need it."""
        frontier = Frontier(self.size, self.edge)
        return Head(self.size, frontier.root(), tuple(self.edge), self.recorded_at, self.first)

    def grow(self, fresh: list[Draft], batch: Batch) -> None:
        """Takes a batch; nothing in here can fail."""
        self.size, self.edge, self.recorded_at = batch.frontier.size, batch.frontier.edge, batch.recorded_at
        for leaf in batch.leaves:
            self.by_id[leaf.id] = leaf
            self.hashes += leaf.leaf_hash
        for draft, leaf in zip(fresh, batch.leaves, strict=True):
            if draft.sealed:
                self.sealed += [(leaf.seq, one) for one in draft.sealed]
        self.leaves += batch.leaves
        for level, index, node in batch.tiles:
            home = level, index // TILE_WIDTH
            self.tiles[home] = self.tiles.get(home, b"") + node


class MemoryAuditStore:
    """Trees in dictionaries, behind one lock.

    Args:
        allow_memory: accept in production that the trail is lost with the process.
    """

    suspends: ClassVar[bool] = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._locks: PerProcess[Lock] = PerProcess(Lock)
        self._trees: dict[str, _Tree] = {}
        self._signed: dict[str, Signed] = {}
        self._cursors: dict[tuple[str, str], int] = {}

    async def append_batch(
        self, drafts: Sequence[Draft], *, now: Callable[[], datetime], deadline: timedelta
    ) -> list[Leaf]:
        """As `AuditStore.append_batch`."""
        del deadline  # nobody holds this lock while waiting for anything
        with self._locks.here:
            recorded_at = now()
            batches = []
            for tenant_id, group in by_tenant(drafts):
                tree = self._trees.get(tenant_id) or _Tree()
                fresh, _ = split_known(group, tree.by_id)
                if fresh:
                    batches.append((tree, fresh, sequence(tree.size, tree.edge, fresh, recorded_at)))
            for tree, fresh, batch in batches:  # all tenants or none
                self._trees[fresh[0].tenant_id] = tree
                tree.grow(fresh, batch)
            if len(drafts) == 1 and batches:
                return batches[0][2].leaves
            return [self._trees[draft.tenant_id].by_id[draft.id] for draft in drafts]

    async def head(self, tenant_id: str) -> Head:
        """As `AuditStore.head`."""
        tree = self._trees.get(tenant_id)
        return tree.head() if tree else Head()

    async def heads(self, after: str, limit: int, *, unnoted: bool = False) -> list[tuple[str, Head]]:
        """As `AuditStore.heads`."""
        with self._locks.here:
            found = [
                (tenant_id, tree.head())
                for tenant_id, tree in self._trees.items()
                if tenant_id > after and tenant_id != SPINE and not (unnoted and tree.noted >= tree.size)
            ]
        return sorted(found)[:limit]

    async def noted(self, sizes: Mapping[str, int]) -> None:
        """As `AuditStore.noted`."""
        with self._locks.here:
            for tenant_id, size in sizes.items():
                tree = self._trees.get(tenant_id)
                if tree is not None:
                    tree.noted = max(tree.noted, size)

    async def leaves(self, tenant_id: str, start: int, stop: int) -> list[Leaf]:
        """As `AuditStore.leaves`."""
        with self._locks.here:
            tree = self._trees.get(tenant_id)
            if tree is None:
                return []
            first = tree.first
            return tree.leaves[max(start - first, 0) : max(stop - first, 0)]

    async def latest(self, tenant_id: str, actor: str) -> Leaf | None:
        """As `AuditStore.latest`."""
        tree = self._trees.get(tenant_id)
        found = (leaf for leaf in reversed(tree.leaves if tree else []) if leaf.actor == actor)
        return next(found, None)

    async def find(self, tenant_id: str, query: Query, start: int, stop: int, limit: int) -> list[Leaf]:
        """As `query.search.Searchable.find`; exact, for there is no column to narrow by."""
        window = await self.leaves(tenant_id, start, stop)
        return list(islice((leaf for leaf in reversed(window) if fits(query, leaf)), limit))

    async def tile(self, tenant_id: str, level: int, index: int) -> bytes:
        """As `AuditStore.tile`."""
        tree = self._trees.get(tenant_id)
        if tree is None:
            return b""
        if level == 0:
            width = TILE_WIDTH * HASH_OCTETS
            return bytes(tree.hashes[index * width : (index + 1) * width])
        return tree.tiles.get((level, index), b"")

    async def signed(self, origin: str) -> Signed | None:
        """As `AuditStore.signed`."""
        return self._signed.get(origin)

    async def swap_signed_if(self, origin: str, old: Signed | None, new: Signed) -> bool:
        """As `AuditStore.swap_signed_if`."""
        with self._locks.here:
            if self._signed.get(origin) != old:
                return False
            self._signed[origin] = new
            return True

    async def prune(self, tenant_id: str, below: int) -> int:
        """As `AuditStore.prune`."""
        with self._locks.here:
            tree = self._trees.get(tenant_id) or _Tree()
            require_free(tree.holds)
            first = prunable(tree.head(), below)
            gone = first - tree.first
            for leaf in tree.leaves[:gone]:
                del tree.by_id[leaf.id]
            del tree.leaves[:gone]
            tree.sealed = [(seq, one) for seq, one in tree.sealed if seq >= first]
            tree.first = first
            return first

    async def subject_key(self, tenant_id: str, subject: str, fresh: bytes) -> bytes:
        """As `SubjectStore.subject_key`."""
        with self._locks.here:
            return self._trees.setdefault(tenant_id, _Tree()).keys.setdefault(subject, fresh)

    async def disclosures(self, tenant_id: str, subject: str) -> list[tuple[int, bytes]]:
        """As `SubjectStore.disclosures`."""
        tree = self._trees.get(tenant_id) or _Tree()
        return [(seq, one.octets) for seq, one in tree.sealed if one.subject == subject]

    async def sealed(self, tenant_id: str, start: int, stop: int) -> list[SealedValue]:
        """As `SubjectStore.sealed`."""
        with self._locks.here:
            tree = self._trees.get(tenant_id) or _Tree()
            return [
                SealedValue(seq, one.subject, one.octets, tree.keys[one.subject])
                for seq, one in tree.sealed
                if start <= seq < stop and one.subject in tree.keys
            ]

    async def forget(self, tenant_id: str, subject: str) -> int:
        """As `SubjectStore.forget`."""
        with self._locks.here:
            tree = self._trees.get(tenant_id) or _Tree()
            require_free(tree.holds & {subject, EVERYBODY})
            before = len(tree.sealed)
            tree.keys.pop(subject, None)
            tree.sealed = [(seq, one) for seq, one in tree.sealed if one.subject != subject]
            return before - len(tree.sealed)

    async def hold(self, tenant_id: str, subject: str, *, held: bool) -> bool:
        """As `SubjectStore.hold`."""
        with self._locks.here:
            holds = self._trees.setdefault(tenant_id, _Tree()).holds
            changes = (subject in holds) is not held
            (holds.add if held else holds.discard)(subject)
            return changes

    async def holds(self, tenant_id: str) -> frozenset[str]:
        """As `SubjectStore.holds`."""
        return frozenset((self._trees.get(tenant_id) or _Tree()).holds)

    async def cursor(self, sink: str, tenant_id: str) -> int:
        """As `shipping.CursorStore.cursor`."""
        return self._cursors.get((sink, tenant_id), 0)

    async def move_cursor_if(self, sink: str, tenant_id: str, old: int, new: int) -> bool:
        """As `shipping.CursorStore.move_cursor_if`."""
        with self._locks.here:
            if self._cursors.get((sink, tenant_id), 0) != old:
                return False
            self._cursors[sink, tenant_id] = new
            return True
