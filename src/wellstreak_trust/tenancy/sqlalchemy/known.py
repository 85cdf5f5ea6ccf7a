"""Parents that need no query: rows of the flushing session which came from the database in this tenant."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .session import GuardedSession
    from .tables import Parent

__all__ = ["FLUSHING", "known_parents"]

FLUSHING: Final[ContextVar[GuardedSession | None]] = ContextVar("wellstreak_trust_flushing", default=None)


def known_parents(parent: Parent, wanted: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """Those of the wanted keys whose rows the flushing session holds and did not take on trust."""
    session = FLUSHING.get()
    if session is None or not wanted:
        return set()
    primary = tuple(parent.table.primary_key.columns)
    if primary != parent.keys:
        return set()
    mapper = session.guard_rules().tables.mapper_of(parent.table)
    if mapper is None:
        return set()
    return {keys for keys in wanted if _held(session, mapper, keys)}


def _held(session: GuardedSession, mapper: Any, keys: tuple[Any, ...]) -> bool:
    key = mapper.identity_key_from_primary_key(keys)
    if key in session.guard_untrusted:
        return False
    instance = session.identity_map.get(key)
    return instance is not None and session.guard_instances.owned(instance)
