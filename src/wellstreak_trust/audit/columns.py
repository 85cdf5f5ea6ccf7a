"""Whether the columns of a stored entry say what the entry says: queries go by the columns.

A changed column hides an event although its leaf is intact. As in `frame`, canonical order puts `id`, `occurred_at`
and `outcome` side by side, and `action` and the actor's id at the beginning, so that bytes are compared where they are
as drawn, and everything else is parsed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from ..core.canonical import canonical_json
from ..core.clock import from_micros, rfc3339
from ..core.errors import UsageError
from .frame import parsed
from .store import Leaf

__all__ = ["columns_fit"]

_ID: Final = b',"id":"'
_SKIP: Final = len(_ID)
_MILLION: Final = 1_000_000


def columns_fit(leaf: Leaf) -> bool:
    """Whether id, action, actor, outcome and time stand in the leaf as they stand in the row."""
    try:
        return _framed(leaf) or _parsed(leaf)
    except (TypeError, ValueError, OverflowError, AttributeError, UsageError):  # SQLite stores any type in any column
        return False


def _framed(leaf: Leaf) -> bool:
    entry = leaf.leaf
    at = entry.find(_ID)
    end = entry.find(b'"', at + _SKIP)
    return (
        at > 0
        and entry.find(_ID, end) < 0
        and entry[at + _SKIP : end] == leaf.id.encode()
        and entry.startswith(_middle(leaf.occurred_at, leaf.outcome), end)
        and entry.startswith(_beginning(leaf.action, leaf.actor))
    )


def _middle(occurred_at: int, outcome: str) -> bytes:
    second, micros = divmod(occurred_at, _MILLION)
    return b'","occurred_at":"%b%06dZ","outcome":"%b",' % (_to_second(second), micros, outcome.encode())


@lru_cache(maxsize=256)
def _to_second(second: int) -> bytes:
    return rfc3339(from_micros(second * _MILLION))[:20].encode()


@lru_cache(maxsize=1024)
def _beginning(action: str, actor: str) -> bytes:
    return b'{"action":%b,"actor":{"id":%b' % (canonical_json(action), canonical_json(actor))


def _parsed(leaf: Leaf) -> bool:
    fields = parsed(leaf.leaf)
    actor = fields.get("actor")
    said = (fields.get("id"), fields.get("action"), actor.get("id") if isinstance(actor, dict) else None)
    return (leaf.id, leaf.action, leaf.actor) == said and (leaf.outcome, rfc3339(from_micros(leaf.occurred_at))) == (
        fields.get("outcome"),
        fields.get("occurred_at"),
    )
