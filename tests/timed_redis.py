"""A real Redis server under a clock that the test moves."""

from __future__ import annotations

from typing import Any

from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.clock import to_micros
from wellstreak_trust.storage.redis import RedisPort

PATIENT = {"socket_timeout": 5, "socket_connect_timeout": 5}  # a busy test machine is no outage


class TimedPort:
    """The server's scripts, with the time of a `FixedClock` in place of its own; they are otherwise as they are.

    Keys do not expire meanwhile by themselves: the server's own clock hardly moves.
    """

    suspends = False
    clustered = False

    def __init__(self, port: RedisPort, clock: FixedClock) -> None:
        self.port = port
        self.clock = clock

    async def script(self, script: str, keys: Any, args: Any) -> Any:
        micros = to_micros(self.clock.now())
        timed = script.replace("redis.call('TIME')", f"{{{micros // 1_000_000}, {micros % 1_000_000}}}")
        return self.port.client.eval(timed, len(keys), *keys, *args)
