"""Rows and instances as plain values, which can be compared across databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, inspect
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm import InstanceState

__all__ = ["plain"]


def plain(value: Any, follow: Sequence[str] = ()) -> Any:
    """Rows as tuples and instances as their class, loaded columns and the relationships on the path `follow`."""
    if isinstance(value, Row | tuple):
        return tuple(plain(each, follow) for each in value)
    if isinstance(value, Mapping):
        return {key: plain(each, follow) for key, each in sorted(value.items())}
    try:
        state = inspect(value)
    except NoInspectionAvailable:
        return value
    return _instance(value, state, follow) if isinstance(state, InstanceState) else value


def _instance(value: Any, state: InstanceState[Any], follow: Sequence[str]) -> Any:
    mapper = state.mapper
    columns = {
        prop.key: state.dict[prop.key] for prop in sorted(mapper.column_attrs, key=lambda prop: prop.key)
        if prop.key in state.dict
    }  # fmt: skip
    if not follow or follow[0] not in mapper.relationships:
        return (mapper.class_.__name__, columns)
    related = getattr(value, follow[0])
    if related is None:
        shown: Any = None
    elif isinstance(related, list | set | tuple | frozenset):
        shown = sorted(repr(plain(each, follow[1:])) for each in related)
    elif isinstance(related, Mapping):
        shown = {key: plain(each, follow[1:]) for key, each in sorted(related.items())}
    else:
        shown = plain(related, follow[1:])
    return (mapper.class_.__name__, columns, follow[0], shown)
