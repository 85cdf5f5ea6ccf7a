"""The one Redis port: ``await port.script(script, keys, args)``, one atomic Lua script, one round trip.

Over `redis.Redis` the verb does not suspend; over `redis.asyncio.Redis` it does. A server that lost its scripts
(restart, fail-over, SCRIPT FLUSH) gets the text again in the same call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha1
from inspect import iscoroutinefunction
from typing import Any, Final

from ...core.errors import ConfigurationError, MissingExtra, StoreMisconfigured, StoreUnavailable, TrustError

try:
    from redis import RedisCluster
    from redis.asyncio import RedisCluster as AsyncRedisCluster
    from redis.exceptions import (
        AuthenticationError,
        AuthorizationError,
        ClusterError,
        MasterDownError,
        NoPermissionError,
        NoScriptError,
        RedisClusterException,
        RedisError,
        ResponseError,
    )

    from .clients import client_from_url
except ImportError:
    raise MissingExtra("Redis needs redis-py", hint="pip install 'wellstreak-trust[redis]'", reason="extra") from None

__all__ = ["Argument", "RedisPort", "translated"]

Argument = bytes | str | int

_PASSING: Final = re.compile(
    r"\b(READONLY|OOM|LOADING|BUSY|MOVED|ASK|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|MISCONF|UNBLOCKED)\b"
)
_LASTING: Final = (AuthenticationError, AuthorizationError, NoPermissionError)


class RedisPort:
    """A Redis client as our stores use it.

    Args:
        client: `redis.Redis` or `redis.asyncio.Redis`, with a socket time-out: without one a paused server holds every
            request for as long as it is paused.

    Raises:
        ConfigurationError: no time-out (`reason` is ``redis_timeout``), or no client.
    """

    __slots__ = ("client", "clustered", "suspends")

    def __init__(self, client: Any) -> None:
        if not callable(getattr(client, "execute_command", None)):
            raise ConfigurationError("not a Redis client", hint="RedisPort(redis.Redis(...))", reason="redis_client")
        timeout = _socket_timeout(client)
        if not isinstance(timeout, int | float) or timeout <= 0:
            raise ConfigurationError(
                "the Redis client has no socket_timeout: a paused server would hold every request",
                hint="redis.Redis(..., socket_timeout=0.05), or RedisPort.from_url(url)",
                reason="redis_timeout",
            )
        self.client: Any = client
        self.suspends: bool = iscoroutinefunction(client.execute_command)
        self.clustered: bool = isinstance(client, RedisCluster | AsyncRedisCluster)

    @classmethod
    def from_url(cls, url: str, *, asynchronous: bool = False, **options: Any) -> RedisPort:
        """A port with 50 ms to connect and to answer, and no retries: the circuit of the caller does better.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://``; ``redis+cluster://host:port,host:port`` and
                ``redis+sentinel://host:port,host:port/service``, with ``rediss+`` for TLS.
            asynchronous: over `redis.asyncio`.
            options: further options of the client, such as `socket_timeout` in seconds.

        Raises:
            ConfigurationError: a URL that redis-py does not read.
            StoreUnavailable: a cluster, which is asked for its nodes at once, did not answer.
        """
        try:
            return cls(client_from_url(url, asynchronous=asynchronous, **options))
        except (RedisError, RedisClusterException) as error:
            raise translated(error) from None
        except (ValueError, TypeError, AttributeError):
            raise ConfigurationError(
                "not a Redis URL, or an option that the client does not take",
                hint="redis://host:6379/0",
                reason="redis_url",
            ) from None

    async def script(self, script: str, keys: Sequence[bytes | str], args: Sequence[Argument]) -> Any:
        """Runs a script atomically and returns its reply as redis-py decodes it.

        Raises:
            StoreUnavailable: no answer, or one that passes (loading, read-only, out of memory, fail-over).
            StoreMisconfigured: an answer that waiting does not change (permissions, types, a broken script).
        """
        try:
            try:
                return await self._execute("EVALSHA", _digest(script), len(keys), *keys, *args)
            except NoScriptError:
                return await self._execute("EVAL", script, len(keys), *keys, *args)
        except TrustError:
            raise
        except Exception as error:
            raise translated(error) from None  # driver texts hold commands with their keys

    async def _execute(self, *command: Argument) -> Any:
        answer = self.client.execute_command(*command)
        return await answer if self.suspends else answer


def translated(error: Exception) -> StoreUnavailable | StoreMisconfigured:
    """The error of ours that a driver's error is; anything unknown counts as no answer."""
    kind = type(error).__name__
    if isinstance(error, _LASTING):
        return StoreMisconfigured(f"redis: {kind}", hint="check the user, its password and its rights")
    if isinstance(error, ResponseError) and not isinstance(error, ClusterError | MasterDownError):
        passing = _PASSING.search(str(error))
        if passing is None and kind not in (
            "ReadOnlyError",
            "OutOfMemoryError",
            "TryAgainError",
            "MovedError",
            "AskError",
        ):
            return StoreMisconfigured(f"redis: {kind}", hint="check rights, key types and the server's version")
        kind = f"{kind} {passing[1]}" if passing else kind
    return StoreUnavailable(f"redis: {kind}", hint="check that it runs, is reachable and is not a replica")


@lru_cache(maxsize=64)
def _digest(script: str) -> str:
    return sha1(script.encode("utf-8"), usedforsecurity=False).hexdigest()  # the name Redis gives a script


def _socket_timeout(client: Any) -> object:
    pool = getattr(client, "connection_pool", None)
    owner = getattr(client, "nodes_manager", client) if pool is None else pool
    options = getattr(owner, "connection_kwargs", None)
    if not isinstance(options, dict):
        return None
    if "socket_timeout" in options or pool is None:
        return options.get("socket_timeout")
    try:
        return getattr(pool.connection_class(**options), "socket_timeout", None)  # nothing connects yet
    except (TypeError, ValueError):
        return None
