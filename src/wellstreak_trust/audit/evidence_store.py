"""Every row of one tenant's tree as the database holds it now; nothing in here raises for its content."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Final, TypeVar

from ..core.errors import IntegrityError, StoreMisconfigured, TrustError
from .checkpoint import Checkpoint, is_origin_of
from .columns import columns_fit
from .event import content_digest
from .evidence import CHANGED, Evidence, Keys, Look, compare, opened
from .replay import Replay
from .store import AuditStore, Head, Leaf
from .tiles import TILE_WIDTH, tiles_of
from .tree import HASH_OCTETS

__all__ = ["asked", "replay_store"]

_PAGE: Final = 4 * TILE_WIDTH
_STUMBLES: Final = (TrustError, ArithmeticError, LookupError, TypeError, ValueError)
_HASHES: Final = "stored hashes do not follow from the entries"
T = TypeVar("T")


async def replay_store(source: AuditStore, tenant_id: str, look: Look) -> Evidence:
    """Reads one tenant's tree.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    signed = await _signed(source, [key for key in look.keys if is_origin_of(key.name, tenant_id)])
    head = await asked(source, source.head(tenant_id))  # after what was signed of it, so that it is never the older
    marks = [tree.size for tree, _ in signed if tree is not None]
    if head is None or not _is_sound(head):
        replay = look.replay(0, *marks)
        replay.fault("the head of the tree cannot be read")
        return Evidence(replay, 0, tenant_id=tenant_id)
    evidence = Evidence(look.replay(head.size, *marks), head.size, tenant_id=tenant_id)
    replay = evidence.replay
    evidence.pruned = await _skip_pruned(source, tenant_id, head, look, replay)
    if evidence.pruned != head.first:
        replay.fault("the head hides entries that were not pruned", evidence.pruned)
    longer = False
    async for page in _pages(source, tenant_id, head.size, replay):
        longer = await _check_page(source, tenant_id, page, replay)
        look.told(replay.size, head.size)
    await _check_head(source, tenant_id, head, replay, longer)
    evidence.account(look.minimum)
    for tree, note in signed:
        fits = tree is not None and replay.tree.roots.get(tree.size) == tree.root
        evidence.signature = "verified" if fits and evidence.signature != "failed" else "failed"
        evidence.signed_size = max(evidence.signed_size, tree.size if tree else 0)
        evidence.origin = tree.origin if tree else None
        if fits:
            evidence.notes.append(note)
    return evidence


async def asked(source: AuditStore, question: Awaitable[T]) -> T | None:
    """The store's answer, or None where a changed row makes the store or its driver stumble.

    Raises:
        StoreUnavailable: another question, about nothing, is not answered either: the store is down.
    """
    try:
        return await question
    except _STUMBLES:
        with suppress(StoreMisconfigured, IntegrityError):  # the other answer may be as damaged
            await source.signed("")
        return None


def _is_sound(head: Head) -> bool:
    """SQLite stores any type in any column."""
    numbers = type(head.size) is int and type(head.first) is int and 0 <= head.first <= head.size
    return numbers and all(type(one) is bytes for one in (head.root, *head.edge))


async def _signed(source: AuditStore, keys: Keys) -> list[tuple[Checkpoint | None, str]]:
    """The stored checkpoints of the given keys with their notes; None for one that is not what a key signed."""
    found: list[tuple[Checkpoint | None, str]] = []
    for key in keys:
        try:
            last = await source.signed(key.name)
        except _STUMBLES:
            await asked(source, source.signed(""))
            found.append((None, ""))
        else:
            if last is not None:
                found.append((opened(last.note, keys), last.note))
    return found


# --- rows ----------------------------------------------------------------------------------------------------------


async def _skip_pruned(source: AuditStore, tenant_id: str, head: Head, look: Look, replay: Replay) -> int:
    """Begins above the entries that are gone, at most up to the minimum index; how many these are."""
    first = (head.first if look.minimum is None else min(head.first, look.minimum)) // TILE_WIDTH
    roots: list[bytes] = []
    for index in range(-(-first // TILE_WIDTH)):
        octets = await asked(source, source.tile(tenant_id, 1, index)) or b""
        if not octets:
            break  # whatever number the head holds, what is not here is not searched for
        roots += (octets[at : at + HASH_OCTETS] for at in range(0, len(octets) - HASH_OCTETS + 1, HASH_OCTETS))
    if len(roots) < first:
        replay.fault("the hashes of pruned entries are missing", len(roots) * TILE_WIDTH)
    replay.tree.skip(roots[:first])
    return replay.size


async def _pages(source: AuditStore, tenant_id: str, size: int, replay: Replay) -> AsyncIterator[list[Leaf]]:
    """All rows in order, up to the first that is missing or cannot be read."""
    while replay.size < size:
        start = replay.size
        wanted = min(start - start % TILE_WIDTH + _PAGE, size) - start
        page = await _page(source, tenant_id, start, start + wanted)
        dense = next((n for n, leaf in enumerate(page) if leaf.seq != start + n), len(page))
        if dense:
            yield page[:dense]
        if dense < wanted:
            replay.fault("an entry is missing or cannot be read", start + dense)
            return


async def _page(source: AuditStore, tenant_id: str, start: int, stop: int) -> list[Leaf]:
    """Rows of a range; where the range cannot be read, the readable rows at its beginning."""
    found = await asked(source, source.leaves(tenant_id, start, stop))
    if found is not None:
        return found
    if stop - start == 1:
        return []
    middle = (start + stop) // 2
    left = await _page(source, tenant_id, start, middle)
    return left if len(left) < middle - start else left + await _page(source, tenant_id, middle, stop)


async def _check_page(source: AuditStore, tenant_id: str, page: list[Leaf], replay: Replay) -> bool:
    """Hashes, columns and the tiles of level 0 of some rows; whether the last tile holds more than these."""
    start = replay.size
    hashes = replay.add([leaf.leaf if type(leaf.leaf) is bytes else b"" for leaf in page])
    for seq, (leaf, hashed) in enumerate(zip(page, hashes, strict=True), start):
        if leaf.leaf_hash != hashed:
            replay.fault(CHANGED, seq)
        elif not columns_fit(leaf):
            replay.fault("the columns of an entry say something else than the entry", seq)
    longer = False
    for at in range(0, len(hashes), TILE_WIDTH):
        found = b"".join(hashes[at : at + TILE_WIDTH])
        stored = await asked(source, source.tile(tenant_id, 0, (start + at) // TILE_WIDTH)) or b""
        compare(stored, start + at, found, replay)
        if stored[: len(found)] != found:
            replay.fault(_HASHES)
        longer = len(stored) > len(found)
    return longer


async def _check_head(source: AuditStore, tenant_id: str, head: Head, replay: Replay, longer: bool) -> None:
    if replay.size != head.size:
        return
    behind = await _page(source, tenant_id, head.size, head.size + 1)
    places = [(tile.level, tile.index) for tile in tiles_of(head.size) if tile.level]
    upper = {place: await asked(source, source.tile(tenant_id, *place)) or b"" for place in places}
    moved = await asked(source, source.head(tenant_id)) != head  # somebody appended meanwhile, which is no fault
    if behind and not moved:
        replay.fault("entries stand behind the end of the tree", head.size)
    tree = replay.tree
    if tree.root() != head.root or tuple(tree.edge) != head.edge:
        replay.fault("the entries do not give the root of the tree", await _edited(source, tenant_id, replay.size))
    for place, stored in upper.items():
        found = tree.tile(*place)
        if stored[: len(found) if moved else None] != found:
            replay.fault(_HASHES)
    if longer and not moved:
        replay.fault(_HASHES)


async def _edited(source: AuditStore, tenant_id: str, size: int) -> int | None:
    """The first entry whose content digest does not fit: where somebody changed an entry together with its hash.

    A pointer for the investigation, no verdict: it is the one place that serialises an entry again.
    """
    for start in range(0, size, _PAGE):
        for leaf in await _page(source, tenant_id, start, min(start + _PAGE, size)):
            if leaf.content_digest != content_digest(leaf.leaf):
                return leaf.seq
    return None
