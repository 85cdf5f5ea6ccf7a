"""Checks in memory against `limits` (hit and get_window_stats) and throttled-py; a million live keys; the edge on ASGI.

    python bench/ratelimit.py

Candidates take turns in short rounds; figures are medians of rounds.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from statistics import median
from time import perf_counter, process_time
from typing import Any

import report
from limits import parse, storage, strategies
from throttled import RateLimiterType, Throttled, rate_limiter
from throttled import store as throttled_store

from wellstreak_trust.adapters.asgi import TrustMiddleware
from wellstreak_trust.adapters.asgi_middleware import visit_of
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.origin import CorsPolicy, OriginPolicy, SecurityHeaders
from wellstreak_trust.ratelimit import AttemptGuard, LimitRule, LoadShedder, MemoryLimitStore, RateLimiter

KEYS = [f"user-{number}" for number in range(200)]
ROUNDS = report.rounds(31)
MINUTE = timedelta(minutes=1)
MANY = 1_000_000
KEPT = report.size(1_000_000, 100_000)


def ours(*rules: LimitRule) -> Callable[[str], object]:
    limiter = RateLimiter(rules, MemoryLimitStore())
    return lambda key: limiter.check({"user": key}).remaining


def theirs(strategy: type[strategies.RateLimiter]) -> Callable[[str], object]:
    limiter, item = strategy(storage.MemoryStorage()), parse(f"{MANY}/minute")

    def check(key: str) -> object:
        limiter.hit(item, key)
        return limiter.get_window_stats(item, key)

    return check


def throttled_gcra() -> Callable[[str], object]:
    made = Throttled(
        using=RateLimiterType.GCRA.value,
        quota=rate_limiter.per_min(MANY, burst=MANY),
        store=throttled_store.MemoryStore(),
    )
    return lambda key: made.limit(key).state.remaining


def attempts() -> Callable[[str], object]:
    guard = AttemptGuard(MemoryLimitStore(), free=999_999_999)
    return lambda key: guard.begin(key, "192.0.2.1").failures


CONTENDERS = {
    "gcra, one rule": ours(LimitRule("user", MANY, MINUTE, by=("user",))),
    "gcra, five rules": ours(*(LimitRule(f"user-{n}", MANY, MINUTE, by=("user",)) for n in range(5))),
    "limits fixed": theirs(strategies.FixedWindowRateLimiter),
    "limits moving": theirs(strategies.MovingWindowRateLimiter),
    "throttled-py gcra": throttled_gcra(),
    "attempt": attempts(),
}


def interleaved() -> None:
    taken: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(ROUNDS):
        for name, check in CONTENDERS.items():
            started = perf_counter()
            for key in KEYS:
                check(key)
            taken[name].append((perf_counter() - started) / len(KEYS) * 1e6)
    for name, times in taken.items():
        of = {
            peer: median(ours / theirs for ours, theirs in zip(times, taken[peer], strict=True))
            for peer in ("limits fixed", "limits moving", "throttled-py gcra")
        }
        shares = "   ".join(f"{ratio:5.2f} of {peer}" for peer, ratio in of.items())
        print(f"{name:18} {median(times):7.2f} us   {shares}")
    one = taken["gcra, one rule"]
    report.measured("ratelimit", "one GCRA rule, memory", median(one), "µs", target=3)
    for peer, target in (("limits fixed", 0.25), ("limits moving", None), ("throttled-py gcra", 0.40)):
        share = median(ours / theirs for ours, theirs in zip(one, taken[peer], strict=True))
        report.against("ratelimit", "one GCRA rule, memory", share, peer, peer=True, target=target)


def resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def million() -> None:
    """Octets a live key, and the speed of hot keys beside them; in a process of its own."""
    limiter = RateLimiter([LimitRule("user", 10, timedelta(days=9), by=("user",))], MemoryLimitStore())
    hot = [{"user": f"hot-{number}"} for number in range(200)]

    def speed() -> float:
        times = []
        for _ in range(200):
            started = perf_counter()
            for keys in hot:
                limiter.check(keys)
            times.append(perf_counter() - started)
        return median(times)

    empty, before = speed(), resident()
    for number in range(KEPT - len(hot)):
        limiter.check({"user": f"user-{number:07}"})
    report.measured("ratelimit", "memory of a live key", (resident() - before) / KEPT, "octets", target=200)
    what = f"speed beside {KEPT:,} live keys, of an empty table's"
    report.measured("ratelimit", what, empty / speed(), "times", better="higher", target=0.9)


def edge() -> None:
    """Limit, origin, CORS and headers around an ASGI application that does nothing."""
    from wellstreak_trust import Trust

    class Nobody:
        suspends = False

        async def aauthenticate(self, facts: Any) -> Any:
            raise NotImplementedError

        aresolve = aauthenticate

    from wellstreak_trust.authz import Policy

    trust = Trust(
        profile="test",
        authenticator=Nobody(),
        tenants=Nobody(),
        policy=Policy.from_dict({"schema": 1, "permissions": {}, "roles": {}}),
        limiter=RateLimiter([LimitRule("client", MANY, MINUTE, by=("client",))], MemoryLimitStore()),
        origin=OriginPolicy(),
        audit=AuditLog(MemoryAuditStore()),
        cors=CorsPolicy(["https://app.example"]),
        security_headers=SecurityHeaders.api(),
    )

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def admitted(scope: Any, receive: Any, send: Any) -> None:
        visit = visit_of(scope)
        await visit.edge.guard.aadmit(visit.facts)
        await bare(scope, receive, send)

    lines = [(b"host", b"app.example"), (b"origin", b"https://app.example"), (b"sec-fetch-site", b"same-origin")]

    def call(app: Any) -> Callable[[], Awaitable[None]]:
        async def send(message: Any) -> None:
            pass

        async def once() -> None:
            scope = {
                "type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"",
                "headers": lines, "scheme": "https", "client": ("203.0.113.9", 1), "server": ("h", 443),
                "root_path": "", "http_version": "1.1",
            }  # fmt: skip
            await app(scope, None, send)

        return once

    apps = {"bare": call(bare), "edge": call(TrustMiddleware(admitted, trust))}

    async def run() -> dict[str, list[float]]:
        taken: dict[str, list[float]] = {name: [] for name in apps}
        for _ in range(ROUNDS):
            for name, once in apps.items():
                started = process_time()
                for _ in range(200):
                    await once()
                taken[name].append((process_time() - started) / 200 * 1e6)
        return taken

    taken = asyncio.run(run())
    over = median(edge - bare for edge, bare in zip(taken["edge"], taken["bare"], strict=True))
    report.measured("origin", "limit, origin, CORS and headers on ASGI, over a bare app", over, "µs CPU", target=25)


def shed() -> None:
    shedder, times = LoadShedder(100), []
    for _ in range(ROUNDS):
        started = perf_counter()
        for _ in range(200):
            shedder.admit().release()
        times.append((perf_counter() - started) / 200 * 1e6)
    report.measured("ratelimit", "load shedder, admit and release", median(times), "µs")


def main() -> None:
    interleaved()
    shed()
    edge()
    subprocess.run([sys.executable, __file__, "million"], check=True)


if __name__ == "__main__":
    million() if sys.argv[1:] == ["million"] else main()
