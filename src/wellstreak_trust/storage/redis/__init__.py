"""Redis: one port with one verb, and the stores over it."""

from .apikeys import RedisApiKeyStore
from .dpop import RedisDpopStore
from .jobs import RedisJobClaims
from .limits import RedisLimitStore
from .logins import RedisLoginStore
from .port import RedisPort
from .refresh import RedisRefreshStore
from .replay import RedisReplayStore
from .sessions import RedisSessionStore
from .tokens import RedisOneTimeTokenStore

__all__ = [
    "RedisApiKeyStore",
    "RedisDpopStore",
    "RedisJobClaims",
    "RedisLimitStore",
    "RedisLoginStore",
    "RedisOneTimeTokenStore",
    "RedisPort",
    "RedisRefreshStore",
    "RedisReplayStore",
    "RedisSessionStore",
]
