"""Redis: one port with one verb, and the stores over it."""

from .jobs import RedisJobClaims
from .limits import RedisLimitStore
from .logins import RedisLoginStore
from .port import RedisPort
from .replay import RedisReplayStore

__all__ = ["RedisJobClaims", "RedisLimitStore", "RedisLoginStore", "RedisPort", "RedisReplayStore"]
