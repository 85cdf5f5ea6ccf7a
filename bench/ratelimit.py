"""A check in memory against `limits` (hit and get_window_stats): interleaved rounds, ratios of medians.

python bench/ratelimit.py
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from statistics import median
from time import perf_counter

from limits import parse, storage, strategies

from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter

KEYS = [f"user-{number}" for number in range(200)]
ROUNDS = 31
MINUTE = timedelta(minutes=1)
MANY = 1_000_000


def ours(*rules: LimitRule) -> Callable[[str], object]:
    limiter = RateLimiter(rules, MemoryLimitStore())
    return lambda key: limiter.check({"user": key}).remaining


def theirs(strategy: type[strategies.RateLimiter]) -> Callable[[str], object]:
    limiter, item = strategy(storage.MemoryStorage()), parse(f"{MANY}/minute")

    def check(key: str) -> object:
        limiter.hit(item, key)
        return limiter.get_window_stats(item, key)

    return check


CONTENDERS = {
    "gcra, one rule": ours(LimitRule("user", MANY, MINUTE, by=("user",))),
    "gcra, five rules": ours(*(LimitRule(f"user-{n}", MANY, MINUTE, by=("user",)) for n in range(5))),
    "limits fixed": theirs(strategies.FixedWindowRateLimiter),
    "limits moving": theirs(strategies.MovingWindowRateLimiter),
}


def main() -> None:
    taken: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(ROUNDS):
        for name, check in CONTENDERS.items():
            started = perf_counter()
            for key in KEYS:
                check(key)
            taken[name].append((perf_counter() - started) / len(KEYS) * 1e6)
    found = {name: median(times) for name, times in taken.items()}
    for name, micros in found.items():
        ratio, moving = micros / found["limits fixed"], micros / found["limits moving"]
        print(f"{name:18} {micros:7.2f} us   {ratio:5.2f} of limits fixed   {moving:5.2f} of limits moving")


if __name__ == "__main__":
    main()
