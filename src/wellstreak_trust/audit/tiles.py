"""Tiles (c2sp.org/tlog-tiles): a tree as static files that anyone can serve and anyone can verify.

``tile/<level>/<index>[.p/<width>]`` holds the hashes of 256 subtrees of 256**level leaves each, and
``tile/entries/<index>[.p/<width>]`` the entries themselves, each behind its length. Only the last tile of a level is
partial.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from ..core.errors import AuditForkDetected, ConfigurationError, UsageError
from .tree import HASH_OCTETS, Place, Span, places, span_hash

__all__ = ["ENTRY_MAX", "TILE_WIDTH", "Tile", "TileStore", "bundle", "hash_spans", "tiles_of", "unbundle"]

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
ENTRY_MAX: Final = 65_535  # the length before each entry has 16 bits
_LONGEST: Final = TILE_WIDTH * (ENTRY_MAX + 2)
_PATH: Final = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class Tile:
    """The name of one tile; level None is the bundle of entries."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Relative, with slashes: ``tile/0/x001/234.p/17``."""
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        part = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level is None else self.level}/{name}{part}"

    @classmethod
    def parse(cls, path: str) -> Tile | None:
        """The tile of a path, or None where no tile has exactly this path."""
        match = _PATH.fullmatch(path)
        if match is None or len(path) > 100:
            return None
        level, name, width = match.groups()
        index = int(name.replace("/", "").replace("x", ""))
        tile = cls(None if level == "entries" else int(level), index, int(width) if width else TILE_WIDTH)
        return tile if tile.path == path else None


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile that a tree of `size` leaves has, bundles of entries first."""
    yield from _level(None, size)
    level = 0
    while size:
        yield from _level(level, size)
        size, level = size >> TILE_HEIGHT, level + 1


def _level(level: int | None, count: int) -> Iterator[Tile]:
    full, width = divmod(count, TILE_WIDTH)
    yield from (Tile(level, index) for index in range(full))
    if width:
        yield Tile(level, full, width)


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries behind their 16-bit big-endian lengths; raises `UsageError` for one of more than 65,535 bytes."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > ENTRY_MAX:
            raise UsageError("an entry of more than 65,535 bytes fits no bundle")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def unbundle(octets: bytes) -> list[bytes]:
    """The whole entries of a bundle; what is cut short or left over at the end yields one entry less."""
    entries, at = [], 0
    while at + 2 <= len(octets):
        start = at + 2
        at = start + int.from_bytes(octets[at:start], "big")
        if at <= len(octets):
            entries.append(octets[start:at])
    return entries


async def hash_spans(spans: Iterable[Span], read: Callable[[int, int], Awaitable[bytes]]) -> list[bytes]:
    """The hashes over some spans of a tree whose tiles `read(level, index)` gives, each tile read once.

    Raises:
        AuditForkDetected: a tile holds fewer hashes than the tree needs.
    """
    wanted = list(spans)
    homes = {_home(place)[:2] for span in wanted for place in places(span)}
    tiles = {home: await read(*home) for home in sorted(homes)}
    if not all(type(octets) is bytes for octets in tiles.values()):  # SQLite stores any type in any column
        raise AuditForkDetected("a tile is not bytes", hint="run verify on this log")

    def node(place: Place) -> bytes:
        level, index, height, at = _home(place)
        inside = _interior(tiles[level, index])
        found = inside[height][at : at + HASH_OCTETS] if height < len(inside) else b""
        if len(found) != HASH_OCTETS:
            raise AuditForkDetected(f"tile {level}/{index} is shorter than the tree", hint="run verify on this log")
        return found

    return [span_hash(span, node) for span in wanted]


def _home(place: Place) -> tuple[int, int, int, int]:
    """Where a subtree is found: tile level, tile index, height inside the tile, offset among the hashes there."""
    height, index = place
    level, above = divmod(height, TILE_HEIGHT)
    within = TILE_HEIGHT - above
    return level, index >> within, above, (index % (1 << within)) * HASH_OCTETS


@lru_cache(maxsize=64)
def _interior(octets: bytes) -> tuple[bytes, ...]:
    """All complete subtrees of a tile by height, joined: 255 hashes of a full one.

    Kept by content, so that a tile of which every proof needs something is computed once, and a changed one anew.
    """
    heights = [octets]
    pair = 2 * HASH_OCTETS
    while len(heights[-1]) >= pair:
        below = heights[-1]
        heights.append(
            b"".join([sha256(b"\x01" + below[at : at + pair]).digest() for at in range(0, len(below) - pair + 1, pair)])
        )
    return tuple(heights[:TILE_HEIGHT])


class TileStore:
    """A directory of tiles with its `checkpoint`.

    Files are written beside their place, synced and renamed, so that a crash leaves no half-written tile.
    """

    __slots__ = ("directory",)

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory: Path = Path(directory)

    def read(self, path: str) -> bytes | None:
        """The bytes of a file, or None where there is no readable regular file of a tile's size."""
        file = self.directory / path
        try:
            if not file.is_file() or file.stat().st_size > _LONGEST:  # a pipe would block, a giant would fill memory
                return None
            return file.read_bytes()
        except OSError:
            return None

    def write(self, path: str, octets: bytes) -> None:
        """Stores one file; raises `ConfigurationError` where the directory cannot be written."""
        file = self.directory / path
        draft = file.with_name(file.name + ".new")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as out:
                out.write(octets)
                out.flush()
                os.fsync(out.fileno())
            draft.replace(file)
        except OSError as error:
            raise ConfigurationError(
                f"the export directory cannot be written ({type(error).__name__})",
                hint="give a directory this process may write",
                reason="audit_export",
            ) from None

    def files(self) -> list[str]:
        """All paths below the directory but folders, relative, with slashes, sorted.

        No link is followed, and a folder that cannot be listed stands for what it may hold. However deep somebody
        nests folders, this goes on without a call for each.
        """
        found, folders = [], [""]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(self.directory / folder) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(f"{folder}{entry.name}/")
                        else:
                            found.append(f"{folder}{entry.name}")
            except OSError:
                found += [folder] if folder else []  # without its root there is nothing at all
        return sorted(found)
