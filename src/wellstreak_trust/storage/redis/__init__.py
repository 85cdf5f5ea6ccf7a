"""Redis: one port with one verb, and the stores over it."""

from .apikeys import RedisApiKeyStore
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
    "RedisJobClaims",
    "RedisLimitStore",
    "RedisLoginStore",
    "RedisOneTimeTokenStore",
    "RedisPort",
    "RedisRefreshStore",
    "RedisReplayStore",
    "RedisSessionStore",
]
