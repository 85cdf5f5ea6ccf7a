"""The Merkle tree of RFC 6962 and RFC 9162 over SHA-256: hashes, proofs and their verification.

Leaves are hashed behind 0x00 and nodes behind 0x01, so that no leaf can pose as a node. A tree of n leaves splits at
the largest power of two below n; a node without a sibling is promoted unchanged and never paired with itself (which
would give two lists of leaves one root, CVE-2012-2459).

A *place* ``(height, index)`` names a complete subtree of 2**height leaves; a *span* ``(start, stop)`` names leaves.
Proofs are lists of spans first and of hashes second, so that one rule serves a list in memory and tiles in a store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Final

from ..core.errors import UsageError

__all__ = [
    "EMPTY_ROOT",
    "HASH_OCTETS",
    "Frontier",
    "Place",
    "Span",
    "consistency_proof",
    "consistency_spans",
    "inclusion_proof",
    "inclusion_spans",
    "leaf_hash",
    "node_hash",
    "places",
    "root",
    "span_hash",
    "verify_consistency",
    "verify_inclusion",
]

HASH_OCTETS: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()

Place = tuple[int, int]
Span = tuple[int, int]


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry), RFC 9162 section 2.1.1."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes; SHA-256 of nothing for none."""
    frontier = Frontier()
    for one in hashes:
        frontier.append(one)
    return frontier.root()


class Frontier:
    """The right edge of a growing tree: all it takes to append and to know the root, at most log2(n) + 1 hashes.

    Args:
        size: leaves so far.
        edge: roots of the complete subtrees from left to right, one for each set bit of `size`.

    Raises:
        UsageError: an edge that does not fit the size.
    """

    __slots__ = ("edge", "size")

    def __init__(self, size: int = 0, edge: Sequence[bytes] = ()) -> None:
        if size < 0 or len(edge) != size.bit_count():
            raise UsageError("the edge does not fit the size of the tree")
        self.size: int = size
        self.edge: list[bytes] = list(edge)

    def append(self, hashed: bytes) -> list[tuple[Place, bytes]]:
        """Adds a leaf hash; returns the subtrees above it that are now complete, lowest first."""
        completed = []
        node, index, height = hashed, self.size, 0
        while index & 1:
            node = node_hash(self.edge.pop(), node)
            index >>= 1
            height += 1
            completed.append(((height, index), node))
        self.edge.append(node)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """The root over all leaves so far."""
        return _fold(self.edge)


def _fold(subtrees: Sequence[bytes]) -> bytes:
    """Joins complete subtrees of falling size: the ragged right side hangs below the left one."""
    if not subtrees:
        return EMPTY_ROOT
    node = subtrees[-1]
    for left in subtrees[-2::-1]:
        node = sha256(b"\x01" + left + node).digest()  # `node_hash`, whose call would be a third of the price
    return node


# --- which subtrees a proof is made of -----------------------------------------------------------------------------


def _split(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def inclusion_spans(index: int, size: int) -> list[Span]:
    """The siblings on the way from leaf `index` up to the root of `size` leaves; raises `UsageError` out of range."""
    if not _integers(index, size) or not 0 <= index < size:
        raise UsageError("no such leaf in a tree of this size")
    start, stop, path = 0, size, []
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append((middle, stop))
            stop = middle
        else:
            path.append((start, middle))
            start = middle
    return path[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """What shows that the tree of `new` leaves extends that of `old` (RFC 9162, 2.1.4.1).

    Raises:
        UsageError: not 1 <= old <= new.
    """
    if not _integers(old, new) or not 1 <= old <= new:
        raise UsageError("consistency is shown between sizes 1 <= old <= new")
    start, stop, path = 0, new, []
    while old < stop:
        middle = start + _split(stop - start)
        if old <= middle:
            path.append((middle, stop))
            stop = middle
        else:
            path.append((start, middle))
            start = middle
    if start:  # else the old tree is itself a complete subtree, and its root is known to the verifier
        path.append((start, stop))
    return path[::-1]


def places(span: Span) -> Iterator[Place]:
    """The complete subtrees that make up a span, from left to right."""
    start, stop = span
    while start < stop:
        height = (stop - start).bit_length() - 1
        yield height, start >> height
        start += 1 << height


def span_hash(span: Span, node: Callable[[Place], bytes]) -> bytes:
    """The hash over a span, where `node` gives the hash of each complete subtree."""
    return _fold([node(place) for place in places(span)])


def inclusion_proof(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index`, from its sibling upward (RFC 9162, 2.1.3)."""
    return [root(hashes[start:stop]) for start, stop in inclusion_spans(index, len(hashes))]


def consistency_proof(hashes: Sequence[bytes], old: int) -> list[bytes]:
    """Shows that the tree over `hashes` extends the tree over its first `old` (RFC 9162, 2.1.4)."""
    return [root(hashes[start:stop]) for start, stop in consistency_spans(old, len(hashes))]


# --- verification: false for anything but a proof, whatever it is handed --------------------------------------------


def verify_inclusion(index: int, size: int, root: bytes, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the leaf hash `leaf` stands at `index` under `root` (RFC 9162, 2.1.3.2)."""
    if not _integers(index, size) or not 0 <= index < size or not _hashes(root, leaf, *_listed(proof)):
        return False
    here, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if here & 1 or here == last:
            node = node_hash(sibling, node)
            here, last = _skip_promoted(here, last)
        else:
            node = node_hash(node, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and node == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the newer tree only appended to the older one (RFC 9162, 2.1.4.2)."""
    if not _integers(old, new) or not 1 <= old <= new or not _hashes(old_root, new_root, *_listed(proof)):
        return False
    if old == new:
        return not proof and old_root == new_root
    if not proof:
        return False
    path = [old_root, *proof] if old.bit_count() == 1 else list(proof)
    return _extends(old, new, path, (old_root, new_root))


def _extends(old: int, new: int, path: list[bytes], roots: tuple[bytes, bytes]) -> bool:
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    older = newer = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            here, last = _skip_promoted(here, last)
        else:
            newer = node_hash(newer, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and (older, newer) == roots


def _skip_promoted(here: int, last: int) -> Place:
    """Passes the levels on which the node had no sibling and was promoted unchanged."""
    while here and not here & 1:
        here, last = here >> 1, last >> 1
    return here, last


def _integers(*numbers: object) -> bool:
    return all(type(number) is int for number in numbers)


def _hashes(*values: object) -> bool:
    return all(isinstance(value, bytes) and len(value) == HASH_OCTETS for value in values)


def _listed(proof: object) -> Sequence[object]:
    """A proof that is no list of hashes becomes one that fails."""
    return proof if isinstance(proof, list | tuple) else (None,)
