"""One process of a crowd that works on the same limits: ``python guessing.py URL PREFIX KIND``; prints what it got."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from wellstreak_trust.ratelimit import AttemptGuard, LimitRule, RateLimiter, RedisLimitStore, RedisPort

SECOND = timedelta(seconds=1)
RULES = {
    "gcra": LimitRule("gcra", 200, SECOND, burst=20, on_outage="closed"),
    "exact": LimitRule("exact", 50, SECOND, algorithm="exact", on_outage="closed"),
}


def main(url: str, prefix: str, kind: str) -> None:
    store = RedisLimitStore(RedisPort.from_url(url, socket_timeout=10, socket_connect_timeout=10), prefix=prefix)
    if kind == "login":
        guard = AttemptGuard(store, base=timedelta(minutes=15), on_outage="closed")  # no wait ends during the test

        def guess(_: int) -> bool:
            allowed = guard.begin("ann", "203.0.113.7").allowed
            if allowed:
                time.sleep(0.08)  # a password hash
            return allowed

        with ThreadPoolExecutor(16) as pool:
            print(sum(pool.map(guess, range(16))))
        return
    limiter = RateLimiter([RULES[kind]], store)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        before = time.monotonic()
        if limiter.check({"tenant": "t"}):
            print(before, time.monotonic())


if __name__ == "__main__":
    main(*sys.argv[1:])
