"""How much memory a flood of sign-ins takes: peak resident memory of a fresh process, before and after.

Run: ``python bench/argon2_flood.py [CALLERS [PERMITS]]``; prints JSON. The promise is PERMITS x 19 MiB + 64 MiB.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
from datetime import timedelta

import report

from wellstreak_trust.identity import PasswordHasher

MIB = 1_048_576


def peak() -> float:
    """MiB; the kernel counts in KiB, macOS in octets."""
    unit = 1 if sys.platform == "darwin" else 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def flood(callers: int, permits: int) -> dict[str, float]:
    hasher = PasswordHasher(permits=permits, wait=timedelta(minutes=10))
    encoded = hasher.hash("correct horse battery staple")
    threading.stack_size(256 * 1_024)
    barrier, verdicts = threading.Barrier(callers + 1), []

    def sign_in(number: int) -> None:
        barrier.wait()
        known = encoded if number % 2 else None
        verdicts.append(hasher.verify("correct horse battery staple", known).ok)

    threads = [threading.Thread(target=sign_in, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    before = peak()  # the callers' own stacks are theirs
    barrier.wait()
    for thread in threads:
        thread.join()
    return {
        "callers": callers,
        "permits": permits,
        "right": sum(verdicts),
        "grown_mib": round(peak() - before, 1),
        "promised_mib": permits * 19 + 64,
    }


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]] or [report.size(1_000, 50)]
    found = flood(numbers[0], numbers[1] if len(numbers) > 1 else 2)
    print(json.dumps(found))
    what = f"memory that {found['callers']:,} parallel sign-ins take, {found['permits']} permits"
    report.measured("identity", what, found["grown_mib"], "MiB", target=found["promised_mib"])
