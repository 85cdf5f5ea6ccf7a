"""The tree that entries give, rebuilt a tile at a time.

Going leaf by leaf through `tree.Frontier` costs a call and several objects for each node. A full tile of 256 leaves
is eight rows instead, each one list of the row below; only what is above a tile, and the last tile that is not full,
go through a frontier. Two hashes an entry remain, which is what a Merkle tree costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from .tiles import TILE_HEIGHT, TILE_WIDTH
from .tree import EMPTY_ROOT, HASH_OCTETS, Frontier

__all__ = ["Rebuilt", "leaf_hashes"]

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """`tree.leaf_hash` of each entry."""
    return [sha256(_LEAF + entry).digest() for entry in entries]


def _tile_root(row: Sequence[bytes]) -> bytes:
    while len(row) > 1:
        row = [sha256(_NODE + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


class Rebuilt:
    """A growing tree that keeps its upper tiles, its last row, and its roots at the sizes asked for.

    Args:
        marks: sizes whose roots are wanted.

    Attributes:
        roots: the root at each mark; None where the tree did not reach it, or began above it.
        row: the leaf hashes of the tile that is being filled.
    """

    def __init__(self, marks: Iterable[int] = ()) -> None:
        self.roots: dict[int, bytes | None] = {size: EMPTY_ROOT if size == 0 else None for size in marks}
        self.row: list[bytes] = []
        self._full: Frontier = Frontier()  # over the roots of full tiles
        self._upper: list[bytearray] = []  # hashes of levels 1, 2, ... from the first on
        self._marks: list[int] = sorted((mark for mark in self.roots if mark > 0), reverse=True)

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self._full.size * TILE_WIDTH + len(self.row)

    @property
    def edge(self) -> list[bytes]:
        """The roots of the complete subtrees from left to right, as in `tree.Frontier`."""
        return self._frontier().edge

    def root(self) -> bytes:
        """The root over all leaves so far."""
        return self._frontier().root()

    def skip(self, tile_roots: Iterable[bytes]) -> None:
        """Begins above pruned entries: these are the roots of the full tiles below (level 1 of the tree)."""
        for one in tile_roots:
            self._close(one)
        self._marks = [mark for mark in self._marks if mark > self.size]
        if self.size in self.roots:
            self.roots[self.size] = self.root()

    def add(self, hashes: Sequence[bytes]) -> None:
        """Appends leaf hashes."""
        at = 0
        while at < len(hashes):
            piece = hashes[at : at + TILE_WIDTH - len(self.row)]
            at += len(piece)
            self.row = [*self.row, *piece] if self.row else list(piece)
            self._mark()
            if len(self.row) == TILE_WIDTH:
                self._close(_tile_root(self.row))
                self.row = []

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of one tile of level 1 or above, joined."""
        held = self._upper[level - 1] if 0 < level <= len(self._upper) else b""
        first = index * TILE_WIDTH * HASH_OCTETS
        return bytes(held[first : first + TILE_WIDTH * HASH_OCTETS])

    def _close(self, tile_root: bytes) -> None:
        index = self._full.size
        for (height, _), node in [((0, index), tile_root), *self._full.append(tile_root)]:
            if height % TILE_HEIGHT == 0:
                level = height // TILE_HEIGHT
                if level == len(self._upper):
                    self._upper.append(bytearray())
                self._upper[level] += node

    def _frontier(self) -> Frontier:
        tree = Frontier(self._full.size * TILE_WIDTH, self._full.edge)
        for one in self.row:
            tree.append(one)
        return tree

    def _mark(self) -> None:
        """Notes the roots asked for inside the current row, in one pass over it."""
        if not self._marks or self._marks[-1] > self.size:
            return
        tree = Frontier(self._full.size * TILE_WIDTH, self._full.edge)
        for one in self.row:
            tree.append(one)
            if self._marks and self._marks[-1] == tree.size:
                self.roots[self._marks.pop()] = tree.root()
