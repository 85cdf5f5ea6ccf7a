"""What an audit store decides, and the one rule of sequencing that all stores share.

A store holds trees, each named by its tenant. The tree of no tenant, `SPINE`, is the log's own: its leaves are the
heads of the others (see `spine`). No event can be of that tenant, because an event's tenant is never empty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol, runtime_checkable

from ..core.clock import rfc3339, to_micros
from ..core.errors import AuditConflict, LegalHold
from .event import Draft
from .tiles import TILE_HEIGHT, TILE_WIDTH
from .tree import EMPTY_ROOT, Frontier, leaf_hash

__all__ = [
    "EVERYBODY",
    "SPINE",
    "AuditStore",
    "Batch",
    "Head",
    "Leaf",
    "SealedValue",
    "Signed",
    "SubjectStore",
    "by_tenant",
    "leaves_of",
    "prunable",
    "require_free",
    "sequence",
    "split_known",
]

_PAGE: Final = 1_000

SPINE: Final = ""
"""The tenant id of the spine."""
EVERYBODY: Final = ""
"""The subject of what is about a tenant as a whole: the key of its index, and a hold of everything."""


class Leaf(NamedTuple):
    """One stored event. `leaf` is what was hashed; the other columns only find it. Times are microseconds UTC."""

    tenant_id: str
    seq: int
    id: str
    action: str
    actor: str
    outcome: str
    occurred_at: int
    content_digest: bytes
    leaf: bytes
    leaf_hash: bytes


class Head(NamedTuple):
    """The state of one tenant's tree.

    Args:
        size, root: as a checkpoint states them.
        edge: roots of its complete subtrees from left to right.
        recorded_at: when its last leaf was recorded, microseconds UTC.
        first: the lowest seq whose leaf is still kept; below it only hashes are (see `AuditStore.prune`).
    """

    size: int = 0
    root: bytes = EMPTY_ROOT
    edge: tuple[bytes, ...] = ()
    recorded_at: int = 0
    first: int = 0


class SealedValue(NamedTuple):
    """A sealed disclosure with the stored key of the person it is about."""

    seq: int
    subject: str
    octets: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """The last checkpoint signed for a tree; nothing that contradicts it will be signed."""

    size: int
    root: bytes
    note: str


class AuditStore(Protocol):
    """Keeps trees. Every verb is one atomic step; a store that cannot serve raises an `Unavailable`."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def append_batch(
        self, drafts: Sequence[Draft], *, now: Callable[[], datetime], deadline: timedelta
    ) -> list[Leaf]:
        """Appends events of any tenants, all or none, and returns their leaves in the order given.

        Under the tenant's write lock: read the head, check it against the leaves, stamp with `now()`, append. An id
        that stands already with the same content yields the leaf that stands. What a draft brings `sealed` is stored
        with its leaf, or not at all.

        Args:
            deadline: how long to wait for a lock.

        Raises:
            AuditConflict: an id stands with other content; nothing was stored.
            AuditForkDetected: leaves and head disagree; the tree was changed from outside and is left as it is.
        """
        ...

    async def head(self, tenant_id: str) -> Head:
        """The state of a tree; the empty one for a tenant without events."""
        ...

    async def heads(self, after: str, limit: int, *, unnoted: bool = False) -> list[tuple[str, Head]]:
        """Trees with a tenant id above `after` in the store's order of ids, the spine never among them.

        Args:
            unnoted: only trees that have grown since `noted` was last told of them.
        """
        ...

    async def noted(self, sizes: Mapping[str, int]) -> None:
        """Remembers that the spine has noted each tree at this size; one that has another size by now stays unnoted."""
        ...

    async def leaves(self, tenant_id: str, start: int, stop: int) -> list[Leaf]:
        """The leaves with start <= seq < stop that are stored, in order of seq."""
        ...

    async def latest(self, tenant_id: str, actor: str) -> Leaf | None:
        """The last leaf of an actor; of the spine: the last head noted of a tree."""
        ...

    async def prune(self, tenant_id: str, below: int) -> int:
        """Deletes leaves and their sealed values below a seq and keeps every hash, so that proofs stay valid.

        Whole bundles of 256 leaves go, and the last leaf always stays: returns the seq that is now the first. Ids of
        pruned events are forgotten; the same id would be recorded again.

        Raises:
            LegalHold: the tenant, or any subject of it, is held.
        """
        ...

    async def tile(self, tenant_id: str, level: int, index: int) -> bytes:
        """The hashes so far of one tile of c2sp.org/tlog-tiles, joined; empty where there is none."""
        ...

    async def signed(self, origin: str) -> Signed | None:
        """The last checkpoint signed under an origin."""
        ...

    async def swap_signed_if(self, origin: str, old: Signed | None, new: Signed) -> bool:
        """Replaces it if it still is `old`; tells whether it did."""
        ...


@runtime_checkable
class SubjectStore(Protocol):
    """Keeps the keys of persons, what is sealed under them, and legal holds; subjects are opaque ids.

    Every `AuditStore` of this package is one.
    """

    async def subject_key(self, tenant_id: str, subject: str, fresh: bytes) -> bytes:
        """The key of a subject; `fresh` becomes it where there is none."""
        ...

    async def disclosures(self, tenant_id: str, subject: str) -> list[tuple[int, bytes]]:
        """What is sealed of a subject: seq of the event and the sealed value, in the order of events."""
        ...

    async def sealed(self, tenant_id: str, start: int, stop: int) -> list[SealedValue]:
        """What is sealed of events with start <= seq < stop, as far as the keys stand."""
        ...

    async def forget(self, tenant_id: str, subject: str) -> int:
        """Deletes the key and everything sealed under it in one step; returns how many values that were.

        Raises:
            LegalHold: the subject, or its tenant as a whole, is held.
        """
        ...

    async def hold(self, tenant_id: str, subject: str, *, held: bool) -> bool:
        """Places or releases a legal hold; tells whether that changed anything."""
        ...

    async def holds(self, tenant_id: str) -> frozenset[str]:
        """The subjects under hold; `EVERYBODY` among them means the whole tenant."""
        ...


class Batch(NamedTuple):
    """What one append adds to one tree.

    Args:
        frontier: the tree as it is then; its root is not computed before somebody asks for it.
        recorded_at: microseconds UTC.
        tiles: hashes of levels above 0 as (level, index in level, hash).
    """

    leaves: list[Leaf]
    frontier: Frontier
    recorded_at: int
    tiles: list[tuple[int, int, bytes]]

    def head(self, before: Head) -> Head:
        """The head that this batch makes of the one it was sequenced behind."""
        frontier = self.frontier
        return Head(frontier.size, frontier.root(), tuple(frontier.edge), self.recorded_at, before.first)


async def leaves_of(
    store: AuditStore,
    tenant_id: str,
    start: int = 0,
    stop: int | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> AsyncIterator[Leaf]:
    """All leaves that are kept, in order, page by page; those that are appended meanwhile are left out.

    Args:
        progress: told how many of how many places are done.
    """
    head = await store.head(tenant_id)
    end = head.size if stop is None else min(stop, head.size)
    first = max(start, head.first)
    for at in range(first, end, _PAGE):
        for leaf in await store.leaves(tenant_id, at, min(at + _PAGE, end)):
            yield leaf
        if progress is not None:
            progress(min(at + _PAGE, end) - first, end - first)


def prunable(head: Head, below: int) -> int:
    """The seq below which leaves may go when all below `below` should: whole bundles, and never the last leaf."""
    return max(head.first, min(below, head.size - 1) // TILE_WIDTH * TILE_WIDTH)


def require_free(holds: Iterable[str]) -> None:
    """Raises `LegalHold` if there is any hold: holds beat erasure and pruning."""
    if any(True for _ in holds):
        raise LegalHold("a legal hold stands on what would go", hint="AuditLog.release ends it, and is recorded")


def sequence(size: int, edge: Sequence[bytes], drafts: Iterable[Draft], recorded_at: datetime) -> Batch:
    """Gives each draft its place behind the `size` leaves of a tree with this `edge`.

    The only function that assigns `seq` and `recorded_at`.
    """
    frontier = Frontier(size, edge)
    stamp = rfc3339(recorded_at).encode()
    leaves, tiles = [], []
    for draft in drafts:
        seq = frontier.size
        octets = draft.leaf(seq, stamp)
        hashed = leaf_hash(octets)
        leaves.append(Leaf(draft[0], seq, *draft[1:6], draft.digest(), octets, hashed))
        for (height, index), node in frontier.append(hashed):
            if not height % TILE_HEIGHT:
                tiles.append((height // TILE_HEIGHT, index, node))
    return Batch(leaves, frontier, to_micros(recorded_at), tiles)


def by_tenant(drafts: Sequence[Draft]) -> list[tuple[str, list[Draft]]]:
    """Groups drafts by tenant, in one order for all writers, so that two batches cannot wait for each other.

    A draft that comes twice is kept once.

    Raises:
        AuditConflict: one id twice with different content.
    """
    if len(drafts) == 1:
        return [(drafts[0].tenant_id, [drafts[0]])]
    groups: defaultdict[str, dict[str, Draft]] = defaultdict(dict)
    for draft in drafts:
        group = groups[draft[0]]
        if draft[1] not in group:
            group[draft[1]] = draft
        elif group[draft[1]].digest() != draft.digest():
            raise AuditConflict("one batch holds one event id with two contents")
    return [(tenant_id, list(groups[tenant_id].values())) for tenant_id in sorted(groups)]


def split_known(drafts: Iterable[Draft], known: Mapping[str, Leaf]) -> tuple[list[Draft], list[Leaf]]:
    """Tells new drafts from those that stand already among `known` leaves by id.

    Raises:
        AuditConflict: an id stands with other content.
    """
    fresh, standing = [], []
    for draft in drafts:
        leaf = known.get(draft.id)
        if leaf is None:
            fresh.append(draft)
        elif leaf.content_digest == draft.digest():
            standing.append(leaf)
        else:
            raise AuditConflict("this event id stands already with other content", hint="a new event takes a new id")
    return fresh, standing
