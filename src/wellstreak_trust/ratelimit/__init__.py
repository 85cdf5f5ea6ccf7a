"""Rate limits: several rules, one atomic decision, verdicts that can be given back, declared outage policies."""

from ..core.errors import ConfigurationError, RateLimited, StoreMisconfigured, StoreUnavailable, UsageError
from .engine import Hold, RateLimiter
from .memory import MemoryLimitStore
from .outage import CircuitPolicy
from .rules import LimitRule
from .store import Charge, Level, LimitStore, Settlement
from .verdict import UNLIMITED, Usage, Verdict

__all__ = [
    "UNLIMITED",
    "Charge",
    "CircuitPolicy",
    "ConfigurationError",
    "Hold",
    "Level",
    "LimitRule",
    "LimitStore",
    "MemoryLimitStore",
    "RateLimited",
    "RateLimiter",
    "Settlement",
    "StoreMisconfigured",
    "StoreUnavailable",
    "Usage",
    "UsageError",
    "Verdict",
]
