"""The spine: one tree over all trees, so that one signature and one anchor cover every tenant.

Its leaves are events like any other, of the tenant `SPINE` (the empty id), under the origin of the log itself. Two
actions stand in it and no other:

``audit.tree_head``  a tree has this size and root
    ``actor.id`` and ``data.tree``: the opaque id of the tree, the last part of its origin (see `tree_origin`);
    ``data.size``, ``data.root`` (standard base64): as a checkpoint of that tree states them;
    ``occurred_at``: when the last leaf of that head was recorded; ``id``: ``<tree>.<size>``.
``audit.heartbeat``  nothing was recorded for a minute, and the log was there to say so
    ``occurred_at``: the full minute; ``id``: ``heartbeat.<that minute>``.

As in every leaf `recorded_at` is the sequencer's. Because an id names tree and size, two processes that note one head
write one leaf, and a tree that shows two roots at one size is a conflict: `AuditForkDetected`.

Each head of a tree is a state that it had. Of two processes that note one tree at the same time, the one that saw less
may come last, so sizes may fall along the spine; what counts is the largest. A tree that the spine names and the
store no longer holds was deleted.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from ..core.clock import from_micros
from ..core.event import AuditEvent
from .checkpoint import tree_origin
from .event import Draft, spine_draft
from .note import strict_base64
from .store import SPINE, Head
from .tree import HASH_OCTETS

__all__ = ["HEARTBEAT", "TREE_HEAD", "NotedHead", "head_draft", "heartbeat_draft", "noted_head", "tree_id"]

TREE_HEAD: Final = "audit.tree_head"
HEARTBEAT: Final = "audit.heartbeat"


class NotedHead(NamedTuple):
    """The state of one tree as a leaf of the spine states it.

    Args:
        tree: the opaque id of the tree, 32 hex digits.
    """

    tree: str
    size: int
    root: bytes


def tree_id(origin: str, tenant_id: str) -> str:
    """The opaque id of a tenant's tree in the log of this origin."""
    return tree_origin(origin, tenant_id).rpartition("/")[2]


def head_draft(tree: str, head: Head) -> Draft:
    """The leaf that notes a head of a tree."""
    return spine_draft(
        AuditEvent(
            TREE_HEAD,
            "success",
            SPINE,
            {"id": tree, "kind": "system"},
            data={"tree": tree, "size": head.size, "root": b64encode(head.root).decode()},
            occurred_at=from_micros(head.recorded_at),
            id=f"{tree}.{head.size}",
        )
    )


def heartbeat_draft(moment: datetime) -> Draft:
    """The leaf that says that the log was there, once a minute whoever says it."""
    minute = moment - timedelta(seconds=moment.second, microseconds=moment.microsecond)
    return spine_draft(
        AuditEvent(
            HEARTBEAT,
            "success",
            SPINE,
            {"id": "audit", "kind": "system"},
            occurred_at=minute,
            id=f"heartbeat.{minute:%Y-%m-%dT%H:%MZ}",
        )
    )


def noted_head(fields: dict[str, Any]) -> NotedHead | None:
    """What a parsed leaf of the spine says about a tree; None for a heartbeat and for anything malformed."""
    data = fields.get("data")
    if fields.get("action") != TREE_HEAD or not isinstance(data, dict):
        return None
    tree, size, root = data.get("tree"), data.get("size"), data.get("root")
    octets = strict_base64(root) if type(root) is str else None
    if type(tree) is not str or type(size) is not int or size < 0 or octets is None or len(octets) != HASH_OCTETS:
        return None
    return NotedHead(tree, size, octets)
