"""Checks over a real Redis against PING and against `limits`, and what an outage costs its callers.

    python bench/ratelimit_redis.py

Candidates take turns in short rounds; figures are medians of rounds. The outage part prints absolute times.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median

import redis
import report
from limits import parse, storage, strategies

from wellstreak_trust.ratelimit import AttemptGuard, ConcurrencyLimiter, LimitRule, RateLimiter
from wellstreak_trust.storage.redis import RedisLimitStore, RedisPort

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from redis_rig import Rig

MINUTE = timedelta(minutes=1)
MANY = 1_000_000
ROUNDS, EACH = report.rounds(41), 50
TARGETS = {"five rules": 2.4, "one rule": 1.6, "lease": 5.4}


def contenders(url: str) -> dict[str, Callable[[], object]]:
    port = RedisPort.from_url(url, socket_timeout=5, socket_connect_timeout=5)
    store = RedisLimitStore(port)
    five = RateLimiter([LimitRule(f"r{n}", MANY, MINUTE) for n in range(5)], store)
    one = RateLimiter([LimitRule("one", MANY, MINUTE)], store)
    guard = AttemptGuard(store, free=999_999_999)
    leases = ConcurrencyLimiter(store, 1_000)
    theirs = strategies.FixedWindowRateLimiter(storage.RedisStorage(url))
    items = [parse(f"{MANY}/minute") for _ in range(5)]

    def lease() -> None:
        leases.acquire("k").release()

    def limits_five() -> None:
        for number, item in enumerate(items):
            theirs.hit(item, str(number), "t")

    return {
        "PING": port.client.ping,
        "one rule": lambda: one.check({"tenant": "t"}).remaining,
        "five rules": lambda: five.check({"tenant": "t"}).remaining,
        "attempt": lambda: guard.begin("ann", "192.0.2.1").failures,
        "lease": lease,
        "limits fixed, five hits": limits_five,
    }


def ratios(url: str) -> None:
    candidates = contenders(url)
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, call in candidates.items():
            started = time.perf_counter()
            for _ in range(EACH):
                call()
            taken[name].append((time.perf_counter() - started) / EACH * 1e6)
    pings = taken["PING"]
    for name, times in taken.items():
        ratio = median(of / ping for of, ping in zip(times, pings, strict=True))
        print(f"{name:24} {median(times):8.1f} us   {ratio:5.2f} of PING")
        if name in TARGETS:
            report.against("ratelimit", f"Redis, {name}", ratio, "a PING", target=TARGETS[name])
    shares = zip(taken["five rules"], taken["limits fixed, five hits"], strict=True)
    share = median(ours / theirs for ours, theirs in shares)
    report.against("ratelimit", "Redis, five rules", share, "five hits of limits", peer=True, target=0.33)
    client = redis.Redis.from_url(url)
    client.flushall()
    empty = client.info("memory")["used_memory"]
    api = RateLimiter([LimitRule("r", 100, timedelta(days=1))], RedisLimitStore(RedisPort.from_url(url)))
    for number in range(20_000):
        api.check({"tenant": f"tenant-{number}"})
    octets = (client.info("memory")["used_memory"] - empty) / 20_000
    report.measured("ratelimit", "memory of a GCRA key on Redis", octets, "octets", target=140)


def outage(rig: Rig, name: str, begin: Callable[[], None], end: Callable[[], None]) -> None:
    api = RateLimiter([LimitRule("r", MANY, MINUTE)], RedisLimitStore(RedisPort.from_url(rig.url)))
    api.check({"tenant": "t"})
    begin()
    times = []
    for _ in range(3_000):
        started = time.perf_counter()
        api.check({"tenant": "t"})
        times.append((time.perf_counter() - started) * 1e3)
    end()
    back = time.perf_counter()
    while api.check({"tenant": "t"}).degraded:
        time.sleep(0.01)
    slow = sorted(times[:5])
    recovered = time.perf_counter() - back
    report.measured("ratelimit", f"Redis is {name}: the slowest of the first calls", slow[-1], "ms", target=60)
    report.measured("ratelimit", f"Redis is {name}: the calls after", median(times[5:]) * 1e3, "µs", target=50)
    report.measured("ratelimit", f"Redis is {name}: until it is used again", recovered, "s", target=2)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder))
        rig.start()
        try:
            ratios(rig.url)
            outage(rig, "paused", rig.pause, rig.resume)
            outage(rig, "killed", rig.kill, rig.start)
        finally:
            rig.kill()


if __name__ == "__main__":
    main()
