"""The tree a tile at a time against the definition, and against somebody else's."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from wellstreak_trust.audit.rebuilt import Rebuilt, leaf_hashes
from wellstreak_trust.audit.tiles import tiles_of
from wellstreak_trust.audit.tree import EMPTY_ROOT, Frontier, inclusion_proof, root, verify_inclusion

ENTRIES = [b"entry %d" % number for number in range(1_200)]
HASHES = leaf_hashes(ENTRIES)


@settings(max_examples=40)
@given(
    size=st.integers(0, 1_200), pieces=st.lists(st.integers(1, 700), max_size=12), marks=st.sets(st.integers(0, 1_300))
)
def test_however_leaves_come_the_tree_is_the_same(size: int, pieces: list[int], marks: set[int]) -> None:
    tree, at = Rebuilt(marks), 0
    for piece in [*pieces, size]:
        tree.add(HASHES[at : min(at + piece, size)])
        at = min(at + piece, size)
    slowly = Frontier()
    for one in HASHES[:size]:
        slowly.append(one)
    assert (tree.size, tree.root(), tree.edge) == (size, slowly.root(), slowly.edge)
    wanted = {mark: root(HASHES[:mark]) if mark <= size else None for mark in marks}
    assert tree.roots == wanted


def test_upper_tiles_are_those_of_the_specification() -> None:
    hashes = [bytes([n % 256]) * 32 for n in range(256)] * 258
    tree = Rebuilt()
    tree.add(hashes)
    upper = [tile for tile in tiles_of(len(hashes)) if tile.level]
    assert [(tile.level, tile.index, tile.width) for tile in upper] == [(1, 0, 256), (1, 1, 2), (2, 0, 1)]
    assert tree.tile(1, 0) == root(hashes[:256]) * 256
    assert tree.tile(1, 1) == root(hashes[:256]) * 2
    assert tree.tile(2, 0) == root([root(hashes[:256])] * 256)
    assert (tree.tile(3, 0), tree.tile(0, 0)) == (b"", b"")


def test_a_tree_may_begin_above_pruned_tiles() -> None:
    tree = Rebuilt([0, 256, 512, 900])
    tree.skip(root(HASHES[at : at + 256]) for at in (0, 256))
    tree.add(HASHES[512:1_000])
    assert tree.root() == root(HASHES[:1_000])
    assert tree.roots == {0: EMPTY_ROOT, 256: None, 512: root(HASHES[:512]), 900: root(HASHES[:900])}


def test_roots_and_proofs_agree_with_pymerkle() -> None:
    """An implementation of RFC 6962 that shares nothing with ours."""
    theirs = InmemoryTree(algorithm="sha256")
    for size, entry in enumerate(ENTRIES[:300], 1):
        theirs.append_entry(entry)
        if size in (1, 2, 3, 7, 8, 9, 255, 256, 257, 300):
            ours = Rebuilt()
            ours.add(HASHES[:size])
            assert theirs.get_root() == ours.root()
    for index in (0, 1, 128, 255, 256, 299):
        path = [bytes.fromhex(one) for one in theirs.prove_inclusion(index + 1, 300).serialize()["path"]]
        ours_path = inclusion_proof(HASHES[:300], index)
        assert set(ours_path) <= set(path)
        assert verify_inclusion(index, 300, theirs.get_root(), HASHES[index], ours_path)
