"""One tree in memory: what both the memory store and the directory store keep of it."""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence, Sequence
from typing import Generic, TypeVar

from .store import Batch, Head
from .tiles import TILE_HEIGHT, TILE_WIDTH
from .tree import HASH_OCTETS, Frontier

__all__ = ["Tree"]

R = TypeVar("R")


class Tree(Generic[R]):
    """The hashes of a tree, its index, and a row a leaf from `first` on: the leaf itself, or where it lies.

    Attributes:
        grown: since it was last noted in the spine.
        places: seq by event id.
        lasts: seq of the last leaf by actor.
    """

    __slots__ = ("edge", "first", "grown", "hashes", "lasts", "places", "recorded_at", "rows", "size", "tiles")

    def __init__(self, rows: MutableSequence[R]) -> None:
        self.size: int = 0
        self.edge: list[bytes] = []
        self.recorded_at: int = 0
        self.first: int = 0
        self.grown: bool = True
        self.rows: MutableSequence[R] = rows
        self.hashes: bytearray = bytearray()
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.places: dict[str, int] = {}
        self.lasts: dict[str, int] = {}

    def head(self) -> Head:
        """The root costs as many hashes as the size has bits; who only appends does not need it."""
        root = Frontier(self.size, self.edge).root()
        return Head(self.size, root, tuple(self.edge), self.recorded_at, self.first)

    def grow(self, batch: Batch, rows: Sequence[R]) -> None:
        """Takes a batch; nothing in here can fail."""
        self.size, self.edge, self.recorded_at = batch.frontier.size, batch.frontier.edge, batch.recorded_at
        places, lasts = self.places, self.lasts
        for leaf in batch.leaves:
            places[leaf.id] = lasts[leaf.actor] = leaf.seq
            self.hashes += leaf.leaf_hash
        self.rows.extend(rows)
        self.grown = True
        self._keep(batch.tiles)

    def add(self, hashed: bytes, recorded_at: int) -> None:
        """Takes the hash of one leaf that was sequenced before; its row and its index are the caller's."""
        frontier = Frontier(self.size, self.edge)
        completed = frontier.append(hashed)
        self.size, self.edge, self.recorded_at = frontier.size, frontier.edge, recorded_at
        self.hashes += hashed
        self._keep(
            [(height // TILE_HEIGHT, index, node) for (height, index), node in completed if not height % TILE_HEIGHT]
        )

    def _keep(self, tiles: Iterable[tuple[int, int, bytes]]) -> None:
        for level, index, node in tiles:
            home = level, index // TILE_WIDTH
            self.tiles[home] = self.tiles.get(home, b"") + node

    def row(self, seq: int) -> R:
        """The row of a leaf that is kept."""
        return self.rows[seq - self.first]

    def range(self, start: int, stop: int) -> Sequence[R]:
        """The rows of start <= seq < stop that are kept."""
        return self.rows[max(start - self.first, 0) : max(stop - self.first, 0)]

    def tile(self, level: int, index: int) -> bytes:
        """As `AuditStore.tile`."""
        if level:
            return self.tiles.get((level, index), b"")
        width = TILE_WIDTH * HASH_OCTETS
        return bytes(self.hashes[index * width : (index + 1) * width])

    def prune(self, first: int) -> None:
        """Forgets the rows below `first`, and by which ids and actors they are found."""
        del self.rows[: first - self.first]
        self.first = first
        self.places = {id: seq for id, seq in self.places.items() if seq >= first}
        self.lasts = {actor: seq for actor, seq in self.lasts.items() if seq >= first}
