"""Answering a query page by page, at a bounded cost.

A page goes over no more than `budget` places of the tree, from the newest down, in windows that grow while nothing is
found, and parses no more than a tenth as many events. So no query needs to be refused for what it would cost, leading
stars included: one that finds little answers with what it has and the place where the next page goes on (keyset
pagination by `seq`, which never moves). Where an index leads to the matches and columns alone decide, windows are wide:
such a page costs what it finds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol, runtime_checkable

from ...core.errors import AuditForkDetected, UsageError
from ..store import AuditStore, Head, Leaf
from ..tree import leaf_hash
from .model import Query, Span

__all__ = ["MAX_LIMIT", "Page", "Searchable", "fits", "parsed", "search"]

MAX_LIMIT: Final = 10_000
_FIRST_WINDOW, _LARGEST_WINDOW, _INDEXED_WINDOW = 4_096, 65_536, 1 << 20
_BUDGET, _INDEXED_BUDGET = 200_000, 10_000_000
_PARSED = 10  # of how many places one may be parsed


@runtime_checkable
class Searchable(Protocol):
    """A store that can narrow; one that cannot is read leaf by leaf."""

    async def find(self, tenant_id: str, query: Query, start: int, stop: int, limit: int) -> list[Leaf]:
        """The newest `limit` leaves with start <= seq < stop that may match, newest first.

        It may give leaves that do not match, and never leaves one out that does.
        """
        ...

    async def reach(self, tenant_id: str, times: Span, most: int) -> tuple[int, int] | None:
        """The lowest seq of events that occurred in a span of time, and the one behind the highest.

        None where more than `most` events would have to be looked at; (0, 0) where there is none.
        """
        ...


class Page(list[dict[str, Any]]):
    """Matching events, newest first, as parsed leaves.

    Attributes:
        next: pass it as `before` for the page behind this one; None when the tree was looked through to its beginning.
        scanned: places of the tree that this page went over.
    """

    next: int | None = None
    scanned: int = 0


def parsed(leaf: Leaf) -> dict[str, Any]:
    """The fields of a leaf; raises `AuditForkDetected` for one that is not what was hashed."""
    if type(leaf.leaf) is not bytes or leaf_hash(leaf.leaf) != leaf.leaf_hash:
        raise AuditForkDetected(f"leaf {leaf.seq} is not what was hashed", hint="run verify on this log")
    try:
        found = json.loads(leaf.leaf)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise AuditForkDetected(f"leaf {leaf.seq} is no event", hint="run verify on this log")
    return found


async def search(
    store: AuditStore, tenant_id: str, query: Query, *, before: int | None, limit: int, budget: int | None
) -> Page:
    """One page of matching events; the tenant is part of what the store is asked, never of the query.

    Raises:
        UsageError: a limit or budget out of range.
        AuditForkDetected: a stored leaf is not what was hashed.
    """
    indexed = query.by_index and query.by_column
    most = (_INDEXED_BUDGET if indexed else _BUDGET) if budget is None else budget
    if not 0 < limit <= MAX_LIMIT or most < 1:
        raise UsageError(f"limit is 1 to {MAX_LIMIT:,}, budget at least 1")
    head = await store.head(tenant_id)
    first, last = await _reach(store, tenant_id, query, head)
    at = last if before is None else min(before, last)
    page, window = Page(), _INDEXED_WINDOW if indexed else _FIRST_WINDOW
    left = max(most, _FIRST_WINDOW) // _PARSED
    while at > first and len(page) < limit and page.scanned < most and left > 0:
        start = max(first, at - min(window, most - page.scanned))
        wanted = limit - len(page) if query.by_column else _FIRST_WINDOW
        found = await _find(store, tenant_id, query, (start, at), wanted)
        reached = found[-1].seq if len(found) >= wanted else start
        for leaf in found:
            left -= 1
            if query.matches(_fields(leaf)):
                page.append(parsed(leaf))
                if len(page) == limit:
                    reached = leaf.seq
                    break
        page.scanned += at - reached
        at, window = reached, max(window, min(2 * window, _LARGEST_WINDOW))
    page.next = at if at > first else None
    return page


async def _reach(store: AuditStore, tenant_id: str, query: Query, head: Head) -> tuple[int, int]:
    """Where matches can be: a range of times is a range of places, if not too many events lie in it."""
    times = query.created
    if times is None or not isinstance(store, Searchable):
        return head.first, head.size
    found = await store.reach(tenant_id, times, _BUDGET)
    return (head.first, head.size) if found is None else (max(found[0], head.first), min(found[1], head.size))


async def _find(store: AuditStore, tenant_id: str, query: Query, window: tuple[int, int], limit: int) -> list[Leaf]:
    if isinstance(store, Searchable):
        return await store.find(tenant_id, query, *window, limit)
    return (await store.leaves(tenant_id, *window))[::-1]


def _fields(leaf: Leaf) -> dict[str, Any]:
    """The fields of a leaf, unchecked: what does not match is not handed out."""
    try:
        found = json.loads(leaf.leaf)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else parsed(leaf)


def fits(query: Query, leaf: Leaf) -> bool:
    """`Query.matches` of a stored leaf, for stores that hold no columns; bytes that are no event always fit."""
    try:
        event = json.loads(leaf.leaf)
    except (ValueError, RecursionError):
        return True  # whoever parses it next must see that it was changed
    return not isinstance(event, Mapping) or query.matches(event)
