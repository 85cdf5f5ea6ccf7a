"""Rate limits: several rules, one atomic decision, verdicts that can be given back, declared outage policies."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigurationError, RateLimited, StoreMisconfigured, StoreUnavailable, UsageError
from .attempts import Attempt, AttemptGuard
from .concurrency import ConcurrencyLimiter, Lease
from .engine import Hold, RateLimiter
from .limits_store import LimitsStore
from .memory import MemoryLimitStore
from .outage import CircuitPolicy
from .plans import Override, PlanSource
from .rules import LimitRule
from .shedding import LoadShedder, Ticket
from .store import Charge, Level, LimitStore, Settlement
from .verdict import UNLIMITED, Usage, Verdict

if TYPE_CHECKING:
    # A primitive knows no storage; these names are found there on first use, and only if they are used.
    RedisLimitStore: Any
    RedisPort: Any

__all__ = [
    "UNLIMITED",
    "Attempt",
    "AttemptGuard",
    "Charge",
    "CircuitPolicy",
    "ConcurrencyLimiter",
    "ConfigurationError",
    "Hold",
    "Lease",
    "Level",
    "LimitRule",
    "LimitStore",
    "LimitsStore",
    "LoadShedder",
    "MemoryLimitStore",
    "Override",
    "PlanSource",
    "RateLimited",
    "RateLimiter",
    "RedisLimitStore",
    "RedisPort",
    "Settlement",
    "StoreMisconfigured",
    "StoreUnavailable",
    "Ticket",
    "Usage",
    "UsageError",
    "Verdict",
]


def __getattr__(name: str) -> Any:
    if name not in ("RedisLimitStore", "RedisPort"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("..storage.redis", __name__), name)
