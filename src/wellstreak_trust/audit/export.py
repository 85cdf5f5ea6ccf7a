"""A tree as a directory of static files that needs nothing of this package to be verified."""

from __future__ import annotations

from collections.abc import Callable

from ..core.errors import AuditForkDetected, NoteInvalid, UsageError
from .checkpoint import Checkpoint
from .store import AuditStore
from .tiles import TILE_WIDTH, Tile, TileStore, bundle, tiles_of
from .tree import HASH_OCTETS

__all__ = ["Progress", "export_tree"]

Progress = Callable[[int, int], None]


async def export_tree(
    store: AuditStore, tenant_id: str, note: str, target: TileStore, progress: Progress | None = None
) -> None:
    """Writes all tiles of a signed tree, then its checkpoint; what stands already is not written again.

    Bundles of events that were pruned are left out, or as they are where an archive holds them already.

    Args:
        progress: told how many of how many tiles are done.

    Raises:
        UsageError: the directory holds another tree, or a newer state of this one.
        AuditForkDetected: the store lacks leaves or hashes of the signed tree.
        ConfigurationError: the directory cannot be written.
    """
    tree = Checkpoint.unverified(note)
    _require_fit(target, tree)
    first = (await store.head(tenant_id)).first // TILE_WIDTH
    tiles = list(tiles_of(tree.size))
    for done, tile in enumerate(tiles, 1):
        if tile.level is not None or tile.index >= first:
            octets = await _tile(store, tenant_id, tile)
            if target.read(tile.path) != octets:
                target.write(tile.path, octets)
        if progress is not None:
            progress(done, len(tiles))
    target.write("checkpoint", note.encode())


def _require_fit(target: TileStore, tree: Checkpoint) -> None:
    standing = target.read("checkpoint")
    if standing is None:
        return
    try:
        before = Checkpoint.unverified(standing)
    except NoteInvalid:
        raise UsageError("the directory holds something else under `checkpoint`", hint="export elsewhere") from None
    if before.origin != tree.origin or before.size > tree.size:
        raise UsageError("the directory holds another tree or a newer state", hint="export to a directory of its own")


async def _tile(store: AuditStore, tenant_id: str, tile: Tile) -> bytes:
    if tile.level is not None:
        octets = (await store.tile(tenant_id, tile.level, tile.index))[: tile.width * HASH_OCTETS]
        whole = len(octets) == tile.width * HASH_OCTETS
    else:
        start = tile.index * TILE_WIDTH
        found = await store.leaves(tenant_id, start, start + tile.width)
        octets = bundle(leaf.leaf for leaf in found)
        whole = len(found) == tile.width
    if not whole:
        raise AuditForkDetected("the store lacks a part of the signed tree", hint="run verify on this log")
    return octets
