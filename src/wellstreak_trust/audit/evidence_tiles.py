"""A tile directory read against its own checkpoint; nothing in here raises for its content."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from ..core.errors import NoteInvalid
from .checkpoint import Checkpoint
from .evidence import Evidence, Look, compare, opened
from .rebuilt import Rebuilt
from .replay import Replay
from .tiles import TILE_WIDTH, Tile, TileStore, bundle, tiles_of, unbundle
from .tree import HASH_OCTETS, root

__all__ = ["replay_tiles"]

_FOREIGN: Final = "the directory holds a file that the checkpoint does not cover"


def replay_tiles(source: TileStore, look: Look) -> Evidence:
    """Reads every file; each is covered by the root or reported."""
    note = source.read("checkpoint") or b""
    try:
        claimed = Checkpoint.unverified(note)
    except NoteInvalid:
        replay = look.replay(0)
        replay.fault("the checkpoint is missing or malformed")
        return Evidence(replay, 0, None, "failed" if look.keys else "not_checked")
    evidence = Evidence(look.replay(claimed.size), claimed.size, claimed.origin)
    if look.keys:
        evidence.signature = "verified" if opened(note, look.keys) else "failed"
        evidence.signed_size = claimed.size
        evidence.notes.append(note.decode("utf-8"))  # it was split as a note before, so it is text
    replay = evidence.replay
    evidence.pruned = _skip_pruned(source, claimed.size, look, replay)
    _read_entries(source, claimed.size, look, replay)
    if replay.size == claimed.size:
        if replay.tree.root() != claimed.root:
            replay.fault("the entries do not give the root of the checkpoint")
        _check_tiles(source, claimed.size, evidence.pruned, replay)
        _check_files(source, claimed.size, evidence.pruned, replay)
    evidence.account(look.minimum)
    return evidence


def _skip_pruned(source: TileStore, size: int, look: Look, replay: Replay) -> int:
    """Begins above the bundles that are gone, at most up to the minimum index; how many entries that are.

    What replaces them is checked like anything else: the hashes of their tiles lead to the root. Only bundles whose
    hashes are here count as gone, so that a checkpoint of nine quintillion entries is not searched for the first.
    """
    bundles = (size if look.minimum is None else min(look.minimum, size)) // TILE_WIDTH
    if not bundles or source.read(Tile(None, 0).path) is not None:
        return 0
    roots = []
    for index, one in enumerate(islice(_tile_roots(source, size), bundles)):
        if source.read(Tile(None, index).path) is not None:
            break
        roots.append(one)
    replay.tree.skip(roots)
    return replay.size


def _tile_roots(source: TileStore, size: int) -> Iterator[bytes]:
    """The hashes of level 1, which are the roots of the full tiles of level 0, as far as they are here."""
    count = size // TILE_WIDTH
    for index in range(-(-count // TILE_WIDTH)):
        width = min(TILE_WIDTH, count - index * TILE_WIDTH)
        octets = source.read(Tile(1, index, width).path) or b""
        if len(octets) != width * HASH_OCTETS:
            return
        yield from (octets[at : at + HASH_OCTETS] for at in range(0, len(octets), HASH_OCTETS))


def _read_entries(source: TileStore, size: int, look: Look, replay: Replay) -> None:
    first = replay.size // TILE_WIDTH
    for index in range(first, -(-size // TILE_WIDTH)):
        start = replay.size
        tile = Tile(None, index, min(TILE_WIDTH, size - start))
        octets = source.read(tile.path)
        entries = [] if octets is None else unbundle(octets)[: tile.width]
        found = b"".join(replay.add(entries))
        hashes = source.read(Tile(0, index, tile.width).path)
        compare(hashes or b"", start, found, replay)
        if octets is None or len(entries) != tile.width or sum(map(len, entries)) + 2 * len(entries) != len(octets):
            replay.fault(f"{tile.path} is missing, cut short or too long", replay.size)
            return
        if hashes != found:
            replay.fault(f"{Tile(0, index, tile.width).path} does not follow from the entries")
        look.told(replay.size, size)


def _check_tiles(source: TileStore, size: int, pruned: int, replay: Replay) -> None:
    """The upper levels; below the minimum index also those of level 0 that were left."""
    for tile in tiles_of(size):
        if tile.level and source.read(tile.path) != replay.tree.tile(tile.level, tile.index):
            replay.fault(f"{tile.path} does not follow from the entries")
        elif tile.level == 0 and tile.index < pruned // TILE_WIDTH:
            octets = source.read(tile.path)
            if octets is not None and not _has_root(octets, tile.index, replay.tree):
                replay.fault(f"{tile.path} does not lead to the root")


def _has_root(octets: bytes, index: int, tree: Rebuilt) -> bool:
    if len(octets) != TILE_WIDTH * HASH_OCTETS:
        return False
    above = tree.tile(1, index // TILE_WIDTH)
    at = index % TILE_WIDTH * HASH_OCTETS
    return root([octets[n : n + HASH_OCTETS] for n in range(0, len(octets), HASH_OCTETS)]) == above[at : at + 32]


def _check_files(source: TileStore, size: int, pruned: int, replay: Replay) -> None:
    """What no root covers is a place to hide things in; only partial tiles of former sizes may stand beside."""
    gone = pruned // TILE_WIDTH
    expected = {
        "checkpoint",
        *(tile.path for tile in tiles_of(size) if tile.level is not None or tile.index >= gone),
    }
    for path in source.files():
        if path not in expected and not _is_former(source, path, expected):
            replay.fault(_FOREIGN)


def _is_former(source: TileStore, path: str, expected: set[str]) -> bool:
    tile = Tile.parse(path)
    octets = source.read(path)
    if tile is None or octets is None:
        return False
    later = (Tile(tile.level, tile.index, width).path for width in range(TILE_WIDTH, tile.width, -1))
    whole = next((source.read(found) for found in later if found in expected), None)
    if whole is None:
        return False
    if tile.level is not None:
        return octets == whole[: tile.width * HASH_OCTETS]
    return octets == bundle(unbundle(whole)[: tile.width])
