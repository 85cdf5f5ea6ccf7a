"""What a tenant id may look like: safe in a host name, a path, a key and an SQL text, whatever the source."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["RESERVED", "is_tenant_id"]

_SHAPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RESERVED: Final = frozenset(("system",))  # the platform's own audit trail; a workspace of that name would write to it


def is_tenant_id(text: object) -> bool:
    """Letters, digits, ``.``, ``_`` and ``-``; starts with a letter or digit; at most 64 characters."""
    return isinstance(text, str) and _SHAPE.fullmatch(text) is not None
