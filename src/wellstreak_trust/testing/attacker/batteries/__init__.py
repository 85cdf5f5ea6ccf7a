"""The batteries, in the order in which they are played: what is open explains most of what else is wrong."""

from __future__ import annotations

from typing import Final

from ..finding import Attack
from . import (
    anonymous,
    assignments,
    browsers,
    declarations,
    limits,
    malformed,
    passive,
    spellings,
    tenants,
    tokens,
    vertical,
    webhooks,
)

__all__ = ["ATTACKS"]

ATTACKS: Final[tuple[Attack, ...]] = (
    *declarations.ATTACKS,
    *anonymous.ATTACKS,
    *tenants.ATTACKS,
    *assignments.ATTACKS,
    *spellings.ATTACKS,
    *vertical.ATTACKS,
    *browsers.ATTACKS,
    *tokens.ATTACKS,
    *webhooks.ATTACKS,
    *malformed.ATTACKS,
    *limits.ATTACKS,
    *passive.ATTACKS,
)
"""Everything that is tried."""
