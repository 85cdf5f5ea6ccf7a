"""A flood of made-up key ids against a key source whose fetch takes a second.

Threads ask for 10,000 random kids while others keep asking for a known one. Counted: fetches; and how long a caller
of a known kid waits at worst, beside the same callers without the flood, because a shared machine has pauses of its
own. Beside it the clients that people have: PyJWT's `PyJWKClient`, as it comes and with its key cache.

Run: ``python bench/identity_jwks.py``.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import report

from wellstreak_trust.core.egress import EgressResponse
from wellstreak_trust.core.http import Headers
from wellstreak_trust.identity import JwksSource
from wellstreak_trust.testing.op.signing import shared_key

KIDS, THREADS, TAKES = report.size(10_000, 500), 8, 1.0
DOCUMENT = json.dumps({"keys": [shared_key("ES256", "k1").jwk]}).encode()


class Slow:
    """An issuer that takes its time."""

    def __init__(self) -> None:
        self.fetches = 0
        self.takes = 0.0

    def send(self, *_: Any) -> EgressResponse:
        self.fetches += 1
        time.sleep(self.takes)
        return EgressResponse(200, Headers({}), DOCUMENT, True)


def known(find: Callable[[str], object], stop: threading.Event) -> list[float]:
    """Milliseconds of each look-up of a known kid."""
    found = []
    while not stop.is_set():
        begun = time.perf_counter()
        find("k1")
        found.append((time.perf_counter() - begun) * 1e3)
        time.sleep(0.001)
    return found


def flooded(find: Callable[[str], object], kids: int) -> tuple[list[float], float]:
    stop = threading.Event()
    with ThreadPoolExecutor(THREADS + 2) as pool:
        watching = [pool.submit(known, find, stop) for _ in range(2)]
        begun = time.perf_counter()
        for _ in pool.map(lambda _: refused(find), range(kids), chunksize=100):
            pass
        took = time.perf_counter() - begun
        if kids == 0:
            time.sleep(1)
        stop.set()
        return sorted(wait for each in watching for wait in each.result()), took


def refused(find: Callable[[str], object]) -> None:
    try:
        find(uuid.uuid4().hex)
    except jwt.PyJWKClientError:
        return


def ours() -> None:
    issuer = Slow()
    source = JwksSource("https://op.example/jwks", http=issuer)
    assert source.find("ES256", "k1") is not None
    issuer.takes, issuer.fetches = TAKES, 0
    quiet, _ = flooded(lambda kid: source.find("ES256", kid), 0)
    waits, took = flooded(lambda kid: source.find("ES256", kid), KIDS)
    show("JwksSource", KIDS, issuer.fetches, took, waits)
    report.measured("identity", f"key fetches that {KIDS:,} made-up key ids cause", issuer.fetches, "", target=1)
    report.measured("identity", "wait of a known key id meanwhile, median", statistics.median(waits), "ms")
    print(f"{'  the same without a flood':34}{'':>8}{'':>9}{'':>9}{quiet[-1]:>12.2f}")


class Fetching(jwt.PyJWKClient):
    issuer: Slow

    def fetch_data(self) -> Any:
        self.issuer.send()
        found = json.loads(DOCUMENT)
        if self.jwk_set_cache is not None:
            self.jwk_set_cache.put(found)
        return found


def theirs(kids: int, **options: Any) -> None:
    client = Fetching("https://op.example/jwks", **options)
    client.issuer = Slow()
    client.get_signing_key("k1")
    client.issuer.takes, client.issuer.fetches = TAKES, 0
    waits, took = flooded(client.get_signing_key, kids)
    name = ", ".join(f"{name}={value}" for name, value in options.items()) or "as it comes"
    show(f"PyJWKClient, {name}", kids, client.issuer.fetches, took, waits)


def show(name: str, kids: int, fetches: int, took: float, waits: list[float]) -> None:
    print(f"{name:34}{kids:>8}{fetches:>9}{took:>8.1f}s{waits[-1]:>12.2f}{statistics.median(waits):>12.3f}")


def main() -> None:
    print(f"{'':34}{'kids':>8}{'fetches':>9}{'took':>9}{'known worst':>12}{'median ms':>12}")
    ours()
    theirs(40)
    theirs(40, cache_keys=True)
    lookups()


def lookups() -> None:
    """What a source costs beside a plain set, where nothing is fetched."""
    source = JwksSource("https://op.example/jwks", http=Slow(), fresh=timedelta(hours=1))
    assert source.find("ES256", "k1") is not None
    held = source._kept.at_hand()
    assert held is not None
    ratios = []
    for _ in range(21):
        spent = []
        for find in (source.find, held.find):
            begun = time.process_time()
            for _ in range(20_000):
                find("ES256", "k1")
            spent.append((time.process_time() - begun) / 20_000 * 1e6)
        ratios.append(spent)
    one, other = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"a look-up: source {one:.2f} us, plain set {other:.2f} us")


if __name__ == "__main__":
    main()
