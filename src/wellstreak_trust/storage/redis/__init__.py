"""Redis: one port with one verb, and the stores over it."""

from .jobs import RedisJobClaims
from .limits import RedisLimitStore
from .port import RedisPort

__all__ = ["RedisJobClaims", "RedisLimitStore", "RedisPort"]
