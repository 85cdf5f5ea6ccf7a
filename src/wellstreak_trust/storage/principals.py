"""A principal at rest, the same text in every store of sessions."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from ..core.clock import from_micros, to_micros
from ..core.principal import GIVEN, Principal

__all__ = ["principal_from", "principal_text"]

_BLANK: Final = Principal("-")


def principal_text(principal: Principal) -> str:
    """The principal as JSON; fields that stand at their defaults are left out."""
    return json.dumps(_plain(principal), sort_keys=True, separators=(",", ":"))


def _plain(principal: Principal) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in GIVEN:
        value = getattr(principal, name)
        if name != "id" and value == getattr(_BLANK, name):
            continue  # so that a field that Principal gains later reads as its default in old rows
        if isinstance(value, frozenset):
            value = sorted(value)
        elif isinstance(value, datetime):
            value = to_micros(value)
        elif isinstance(value, Principal):
            value = _plain(value)
        elif name == "attributes":
            value = dict(value)
        found[name] = value
    return found


@lru_cache(maxsize=4_096)
def principal_from(text: str) -> Principal:
    """The inverse. Cached by the very text that the store returned: what the row says is always what counts."""
    return _principal(json.loads(text))


def _principal(found: dict[str, Any]) -> Principal:
    values = dict(found)
    for name in ("roles", "scopes"):
        if name in values:
            values[name] = frozenset(values[name])
    if "auth_time" in values:
        values["auth_time"] = from_micros(values["auth_time"])
    if "actor" in values:
        values["actor"] = _principal(values["actor"])
    if "attributes" in values:
        values["attributes"] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values["attributes"].items()
        }
    return Principal(**values)
