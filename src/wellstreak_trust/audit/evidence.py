"""What an export directory or a store holds, gathered for a verdict; nothing in here raises for its content."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from ..core.clock import from_micros, rfc3339
from ..core.errors import NoteInvalid, StoreMisconfigured, TrustError
from .checkpoint import Checkpoint
from .event import content_digest
from .note import VerifierKey
from .replay import Replay
from .store import AuditStore, Head, Leaf
from .tiles import TILE_WIDTH, Tile, TileStore, bundle, tiles_of, unbundle
from .tree import HASH_OCTETS

__all__ = ["Evidence", "replay_store", "replay_tiles"]

_CHANGED: Final = "an entry does not hash to what was recorded"
_PAGE: Final = 4 * TILE_WIDTH
_STUMBLES: Final = (TrustError, ArithmeticError, LookupError, TypeError, ValueError)
T = TypeVar("T")
Keys = Sequence[VerifierKey]
Signature = Literal["verified", "failed", "not_checked"]


@dataclass(slots=True)
class Evidence:
    """One pass over a source.

    Args:
        replay: the tree as its entries give it.
        claimed: how many entries the source says it has.
        origin: what the source's checkpoint calls the tree, where one was read.
        signature: whether a known key signed a state of this tree; `signed_size` is that state.
    """

    replay: Replay
    claimed: int
    origin: str | None = None
    signature: Signature = "not_checked"
    signed_size: int = 0


# --- an export directory -------------------------------------------------------------------------------------------


def replay_tiles(source: TileStore, tenant_id: str | None, keys: Keys, marks: Iterable[int]) -> Evidence:
    """Reads a tile directory against its own checkpoint. Every file below it is covered or reported."""
    replay = Replay(tenant_id, marks)
    note = source.read("checkpoint")
    try:
        claimed = Checkpoint.unverified(note or b"")
    except NoteInvalid:
        replay.fault("the checkpoint is missing or malformed")
        return Evidence(replay, 0, None, "failed" if keys else "not_checked")
    evidence = Evidence(replay, claimed.size, claimed.origin)
    if keys:
        evidence.signature = "verified" if _opens(note or b"", keys) else "failed"
        evidence.signed_size = claimed.size
    _read_entries(source, claimed.size, replay)
    if replay.size == claimed.size:
        if replay.frontier.root() != claimed.root:
            replay.fault("the entries do not give the root of the checkpoint")
        _check_tiles(source, claimed.size, replay)
        _check_files(source, claimed.size, replay)
    return evidence


def _opens(note: bytes | str, keys: Keys) -> Checkpoint | None:
    try:
        return Checkpoint.open(note, keys)
    except NoteInvalid:
        return None


def _read_entries(source: TileStore, size: int, replay: Replay) -> None:
    for tile in tiles_of(size):
        if tile.level is not None:
            return
        start = replay.size
        octets = source.read(tile.path)
        entries = [] if octets is None else unbundle(octets)[: tile.width]
        for entry in entries:
            replay.add(entry)
        _compare(source.read(Tile(0, tile.index, tile.width).path) or b"", start, replay)
        if len(entries) != tile.width or bundle(entries) != octets:
            replay.fault(f"{tile.path} is missing, cut short or too long", replay.size)
            return


def _compare(hashes: bytes, start: int, replay: Replay) -> None:
    """Finds the first leaf hash that differs from its entry's; what is cut or added is found later."""
    found = replay.tiles.get((0, start // TILE_WIDTH), b"")
    for at in range(0, min(len(found), len(hashes) // HASH_OCTETS * HASH_OCTETS), HASH_OCTETS):
        if hashes[at : at + HASH_OCTETS] != found[at : at + HASH_OCTETS]:
            replay.fault(_CHANGED, start + at // HASH_OCTETS)
            return


def _check_tiles(source: TileStore, size: int, replay: Replay) -> None:
    for tile in tiles_of(size):
        if tile.level is not None and source.read(tile.path) != replay.tiles.get((tile.level, tile.index)):
            replay.fault(f"{tile.path} does not follow from the entries")


def _check_files(source: TileStore, size: int, replay: Replay) -> None:
    """What no root covers is a place to hide things in; only partial tiles of former sizes may stand beside."""
    expected = {"checkpoint", *(tile.path for tile in tiles_of(size))}
    for path in source.files():
        if path not in expected and not _is_former(source, path, expected):
            replay.fault("the directory holds a file that the checkpoint does not cover")


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


# --- a store -------------------------------------------------------------------------------------------------------


async def replay_store(source: AuditStore, tenant_id: str, keys: Keys, marks: Iterable[int]) -> Evidence:
    """Reads every row of one tenant's tree, as the database holds it now.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    head = await _asked(source, source.head(tenant_id))
    signed = await _signed(source, keys)
    replay = Replay(tenant_id, [*marks, *(tree.size for tree in signed if tree is not None)])
    if head is None or not _is_sound(head):
        replay.fault("the head of the tree cannot be read")
        return Evidence(replay, 0)
    evidence = Evidence(replay, head.size)
    async for leaf in _rows(source, tenant_id, head.size, replay):
        _check_row(leaf, replay)
    await _check_head(source, tenant_id, head, replay)
    for tree in signed:
        fits = tree is not None and replay.roots.get(tree.size) == tree.root
        evidence.signature = "verified" if fits and evidence.signature != "failed" else "failed"
        evidence.signed_size = max(evidence.signed_size, tree.size if tree else 0)
        evidence.origin = tree.origin if tree else None
    return evidence


async def _asked(source: AuditStore, question: Awaitable[T]) -> T | None:
    """The store's answer, or None where a changed row makes the store or its driver stumble.

    Raises:
        StoreUnavailable: another question, about nothing, is not answered either: the store is down.
    """
    try:
        return await question
    except _STUMBLES:
        with suppress(StoreMisconfigured):
            await source.signed("")
        return None


def _is_sound(head: Head) -> bool:
    """SQLite stores any type in any column."""
    return type(head.size) is int and head.size >= 0 and all(type(one) is bytes for one in (head.root, *head.edge))


async def _signed(source: AuditStore, keys: Keys) -> list[Checkpoint | None]:
    """The stored checkpoints of the given keys; None for one that is not what a key signed."""
    found: list[Checkpoint | None] = []
    for key in keys:
        try:
            last = await source.signed(key.name)
        except _STUMBLES:
            await _asked(source, source.signed(""))
            found.append(None)
        else:
            if last is not None:
                found.append(_opens(last.note, keys))
    return found


async def _rows(source: AuditStore, tenant_id: str, size: int, replay: Replay) -> AsyncIterator[Leaf]:
    """All rows in order, up to the first that is missing or cannot be read."""
    while replay.size < size:
        start = replay.size
        page = await _page(source, tenant_id, start, min(start + _PAGE, size))
        for leaf in page:
            if leaf.seq != replay.size:
                break
            yield leaf
        if replay.size == start or not page:
            replay.fault("an entry is missing or cannot be read", replay.size)
            return


async def _page(source: AuditStore, tenant_id: str, start: int, stop: int) -> list[Leaf]:
    """Rows of a range; where the range cannot be read, the readable rows at its beginning."""
    found = await _asked(source, source.leaves(tenant_id, start, stop))
    if found is not None:
        return found
    if stop - start == 1:
        return []
    middle = (start + stop) // 2
    left = await _page(source, tenant_id, start, middle)
    return left if len(left) < middle - start else left + await _page(source, tenant_id, middle, stop)


def _check_row(leaf: Leaf, replay: Replay) -> None:
    seq = replay.size
    octets = leaf.leaf if isinstance(leaf.leaf, bytes) else b""
    hashed, fields = replay.add(octets)
    if hashed != leaf.leaf_hash:
        replay.fault(_CHANGED, seq)
    elif not _columns_fit(leaf, fields):
        replay.fault("the columns of an entry say something else than the entry", seq)


def _columns_fit(leaf: Leaf, fields: Mapping[str, Any]) -> bool:
    """Queries go by the columns, so a changed column hides an event although its leaf is intact."""
    actor = fields.get("actor")
    said = (fields.get("id"), fields.get("action"), actor.get("id") if isinstance(actor, dict) else None)
    try:
        occurred_at = rfc3339(from_micros(leaf.occurred_at))
    except (TypeError, OverflowError, ValueError):
        return False
    return (leaf.id, leaf.action, leaf.actor) == said and (leaf.outcome, occurred_at) == (
        fields.get("outcome"),
        fields.get("occurred_at"),
    )


async def _check_head(source: AuditStore, tenant_id: str, head: Head, replay: Replay) -> None:
    if replay.size != head.size:
        return
    behind = await _page(source, tenant_id, head.size, head.size + 1)
    tiles = {place: await _asked(source, source.tile(tenant_id, *place)) or b"" for place in replay.tiles}
    moved = await _asked(source, source.head(tenant_id)) != head  # somebody appended meanwhile, which is no fault
    if behind and not moved:
        replay.fault("entries stand behind the end of the tree", head.size)
    if replay.frontier.root() != head.root or tuple(replay.frontier.edge) != head.edge:
        replay.fault("the entries do not give the root of the tree", await _edited(source, tenant_id, replay.size))
    for (level, index), octets in replay.tiles.items():
        stored = tiles[level, index][: len(octets) if moved else None]
        if level == 0:
            _compare(stored, index * TILE_WIDTH, replay)
        if stored != octets:
            replay.fault("stored hashes do not follow from the entries")


async def _edited(source: AuditStore, tenant_id: str, size: int) -> int | None:
    """The first entry whose content digest does not fit: where somebody changed an entry together with its hash.

    A pointer for the investigation, no verdict: it is the one place that serialises an entry again.
    """
    for start in range(0, size, _PAGE):
        for leaf in await _page(source, tenant_id, start, min(start + _PAGE, size)):
            if leaf.content_digest != content_digest(leaf.leaf):
                return leaf.seq
    return None
