"""Something that counts once until a moment: one key, which expires by itself.

The caller's clock decides what has ended; the server's only clears away, a minute later, so that hosts whose clocks
differ a little agree. A key that the server evicts before its end would count twice: run it with ``maxmemory-policy
noeviction``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ...core.clock import to_micros
from .port import RedisPort
from .spelling import milliseconds

__all__ = ["claimed"]

# KEYS[1]; ARGV: now, until, milliseconds to keep. 1 if nobody's claim is alive.
_CLAIM: Final = """
local ends = redis.call('GET', KEYS[1])
if ends and tonumber(ends) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""


async def claimed(port: RedisPort, key: bytes | str, *, now: datetime, until: datetime) -> bool:
    """Whether this call takes the key until then; False while another's claim is alive."""
    reply = await port.script(_CLAIM, [key], [to_micros(now), to_micros(until), milliseconds(until - now)])
    return bool(reply == 1)
