"""A Redis client from one address: a server, a cluster, or the master that sentinels name.

The schemes are those of the `limits` package, so that an address can move from there to here:
``redis://``, ``rediss://`` (TLS), ``unix://``, ``redis+cluster://host:port,host:port``,
``redis+sentinel://host:port,host:port/service`` and, with TLS, ``rediss+cluster://`` and ``rediss+sentinel://``.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from redis import Redis, RedisCluster
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.retry import Retry
from redis.sentinel import Sentinel

__all__ = ["client_from_url"]

_TIMEOUT: Final = 0.05  # seconds to connect, and to answer


def client_from_url(url: str, *, asynchronous: bool, **options: Any) -> Any:
    """A client with 50 ms to connect and to answer, and no retries unless `options` say otherwise.

    Raises:
        ValueError, TypeError, AttributeError: an address or option that redis-py does not take.
    """
    retry = AsyncRetry(NoBackoff(), 0) if asynchronous else Retry(NoBackoff(), 0)
    settings = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT, "retry": retry, **options}
    scheme, _, kind = url.partition("://")[0].partition("+")
    if not kind:
        server: Any = AsyncRedis if asynchronous else Redis
        return server.from_url(url, **settings)
    if scheme not in ("redis", "rediss") or kind not in ("cluster", "sentinel"):
        raise ValueError("unknown scheme")
    parts = urlsplit(url)
    settings |= _credentials(parts)
    if scheme == "rediss":
        settings["ssl"] = True
    return (_cluster if kind == "cluster" else _master)(parts, asynchronous, settings)


def _cluster(parts: SplitResult, asynchronous: bool, settings: dict[str, Any]) -> Any:
    hosts = _hosts(parts)
    if asynchronous:
        return AsyncRedisCluster(startup_nodes=[AsyncClusterNode(*host) for host in hosts], **settings)
    node: Any = ClusterNode  # untyped in redis-py
    return RedisCluster(startup_nodes=[node(*host) for host in hosts], **settings)


def _master(parts: SplitResult, asynchronous: bool, settings: dict[str, Any]) -> Any:
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("no service")
    sentinels: Any = AsyncSentinel if asynchronous else Sentinel
    asked = {name: value for name, value in settings.items() if name.startswith(("socket_", "ssl"))}
    found = sentinels(_hosts(parts), sentinel_kwargs=asked, **settings)
    return found.master_for(service, db=int(database or 0))


def _hosts(parts: SplitResult) -> list[tuple[str, int]]:
    found = []
    for entry in parts.netloc.rpartition("@")[2].split(","):
        host, _, port = entry.rpartition(":")
        if not host or not port.isascii() or not port.isdigit():
            raise ValueError("not host:port")
        found.append((host.strip("[]"), int(port)))
    return found


def _credentials(parts: SplitResult) -> dict[str, str]:
    given, _, _ = parts.netloc.rpartition("@")
    user, _, password = given.partition(":")
    return {name: unquote(value) for name, value in (("username", user), ("password", password)) if value}
