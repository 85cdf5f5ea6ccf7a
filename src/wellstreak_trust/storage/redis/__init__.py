"""Redis: one port with one verb, and the stores over it."""

from .limits import RedisLimitStore
from .port import RedisPort

__all__ = ["RedisLimitStore", "RedisPort"]
