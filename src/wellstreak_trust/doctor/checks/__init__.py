"""Every check, one module an area."""

from __future__ import annotations

from typing import Final

from ..case import Check
from . import app, audit, composition, edge, identity, keys, operations, policy, process, redis, sql, webhooks

__all__ = ["CHECKS"]

_AREAS: Final = (
    process, composition, identity, edge, sql, redis, keys, audit, operations, policy, webhooks, app,
)  # fmt: skip

CHECKS: Final[tuple[Check, ...]] = tuple(check for area in _AREAS for check in area.CHECKS)
