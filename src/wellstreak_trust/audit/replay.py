"""Going through all entries of a tree once, trusting nothing but their bytes.

Hashes are taken of the bytes as found; parsing comes after and decides nothing about the root. No entry is ever
serialised again to be verified.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from .event import LEAF_VERSION
from .tiles import TILE_HEIGHT, TILE_WIDTH
from .tree import EMPTY_ROOT, Frontier, leaf_hash

__all__ = ["Replay"]

_TIME_LENGTH: Final = len("2026-01-01T00:00:00.000000Z")
_NOTHING: Final[Mapping[str, Any]] = {}


class Replay:
    """The tree as its entries give it, and the first thing that is wrong with them.

    Args:
        tenant_id: the tenant all entries must be of; None takes that of the first entry.
        marks: sizes whose roots are wanted.

    Attributes:
        roots: the root at each mark, None where the tree did not reach it.
        tiles: the hashes of every tile by (level, index), as they follow from the entries.
    """

    def __init__(self, tenant_id: str | None, marks: Iterable[int]) -> None:
        self.frontier: Frontier = Frontier()
        self.roots: dict[int, bytes | None] = {size: EMPTY_ROOT if size == 0 else None for size in marks}
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.first_bad_seq: int | None = None
        self.reason: str = ""
        self.in_order: bool = True
        self._tenant_id: str | None = tenant_id
        self._latest: str = ""

    @property
    def size(self) -> int:
        """Entries gone through."""
        return self.frontier.size

    def fault(self, reason: str, seq: int | None = None) -> None:
        """Notes what is wrong; the lowest `seq` wins, and the first reason stands with it."""
        lower = seq is not None and (self.first_bad_seq is None or seq < self.first_bad_seq)
        if lower or not self.reason:
            self.reason = reason
        if lower:
            self.first_bad_seq = seq

    def add(self, entry: bytes) -> tuple[bytes, Mapping[str, Any]]:
        """Takes the next entry; returns its leaf hash and its fields (none if it is no JSON object)."""
        seq = self.size
        hashed = leaf_hash(entry)
        self._keep(0, seq, hashed)
        for (height, index), node in self.frontier.append(hashed):
            if height % TILE_HEIGHT == 0:
                self._keep(height // TILE_HEIGHT, index, node)
        if self.size in self.roots:
            self.roots[self.size] = self.frontier.root()
        fields = _fields(entry)
        self._check(seq, fields)
        return hashed, fields

    def _keep(self, level: int, place: int, node: bytes) -> None:
        home = level, place // TILE_WIDTH
        self.tiles[home] = self.tiles.get(home, b"") + node

    def _check(self, seq: int, fields: Mapping[str, Any]) -> None:
        recorded_at, tenant_id = fields.get("recorded_at"), fields.get("tenant_id")
        if fields.get("v") != LEAF_VERSION or type(recorded_at) is not str or len(recorded_at) != _TIME_LENGTH:
            self.fault("an entry is not an event", seq)
            return
        if fields.get("seq") != seq or type(fields.get("seq")) is not int:
            self.fault("an entry stands at another place than it says", seq)
        if self._tenant_id is None:
            self._tenant_id = tenant_id
        if tenant_id != self._tenant_id or type(tenant_id) is not str:
            self.fault("an entry is of another tenant", seq)
        self.in_order = self.in_order and recorded_at >= self._latest  # of one length, so text order is time order
        self._latest = recorded_at


def _fields(entry: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(entry.decode("utf-8"))
    except (ValueError, RecursionError):
        return _NOTHING
    return found if isinstance(found, dict) else _NOTHING
