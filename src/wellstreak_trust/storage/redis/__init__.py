"""Redis: one port with one verb, and the stores over it."""

from .dpop import RedisDpopStore
from .jobs import RedisJobClaims
from .limits import RedisLimitStore
from .port import RedisPort
from .replay import RedisReplayStore

__all__ = ["RedisDpopStore", "RedisJobClaims", "RedisLimitStore", "RedisPort", "RedisReplayStore"]
