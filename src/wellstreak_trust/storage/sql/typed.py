"""SQLite keeps any type in any column, so what a row holds is looked at before anybody computes with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from ...core.errors import AuditForkDetected

__all__ = ["of_types"]

R = TypeVar("R", bound=Sequence[Any])


def of_types(row: R, *kinds: type) -> R:
    """`row`, whose values have exactly these types.

    Raises:
        AuditForkDetected: another type stands there, which no writer of ours has put there.
    """
    if tuple(map(type, row)) != kinds:
        raise AuditForkDetected("a row of the trail holds a value of another type", hint="run verify on this log")
    return row
