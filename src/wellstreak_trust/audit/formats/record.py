"""What a format is given: an event with its place, read defensively, for a field may hold anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from ...core.clock import to_micros
from ..store import Leaf

__all__ = ["Record", "compact", "severity_of"]

_NONE: Final[Mapping[str, Any]] = {}


class Record(NamedTuple):
    """One event on its way out.

    Args:
        leaf: as stored.
        event: its fields.
        origin: names the tree, as its checkpoints do.
    """

    leaf: Leaf
    event: Mapping[str, Any]
    origin: str

    @property
    def leaf_hash(self) -> str:
        """In hex."""
        return self.leaf.leaf_hash.hex()

    def text(self, name: str) -> str:
        """A field that is text; empty where it is missing or is none."""
        return _text(self.event, name)

    def part(self, name: str) -> Mapping[str, Any]:
        """A field that is a mapping; empty where it is missing or is none."""
        found = self.event.get(name)
        return found if isinstance(found, Mapping) else _NONE

    def inner(self, part: str, *names: str) -> str:
        """The first text under one of `names` in a part."""
        found = self.part(part)
        return next((text for name in names if (text := _text(found, name))), "")

    def millis(self, name: str) -> int:
        """A time of the event as milliseconds since 1970; 0 where there is none."""
        try:
            return to_micros(datetime.fromisoformat(self.text(name))) // 1_000
        except ValueError:
            return 0

    def targets(self) -> list[tuple[str, str]]:
        """Type and id of what was acted upon; a type may be empty."""
        found = self.event.get("targets")
        pairs = []
        for target in found if isinstance(found, list) else ():
            if isinstance(target, Mapping):
                pairs.append((_text(target, "type"), _text(target, "id")))
            elif isinstance(target, str):
                pairs.append(("", target))
        return pairs

    def json(self, name: str) -> str:
        """A field as compact JSON; empty where it is missing."""
        found = self.event.get(name)
        return "" if found is None else compact(found)


def compact(value: object) -> str:
    """JSON on one line, keys sorted; unlike canonical JSON as deep as a leaf inside an envelope is."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def severity_of(record: Record) -> int:
    """0 for what is expected, up to 3 for what somebody should see."""
    if record.text("action") == "audit.gap":
        return 3
    return {"denied": 2, "error": 2, "failure": 1}.get(record.text("outcome"), 0)


def _text(part: Mapping[str, Any], name: str) -> str:
    found = part.get(name)
    return found if isinstance(found, str) else ""
