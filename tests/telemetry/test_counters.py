from __future__ import annotations

import threading

import pytest

from wellstreak_trust.telemetry import Counters


def test_counts_and_gauges() -> None:
    counters = Counters()
    counters.add("wst.authz.decisions", outcome="denied", permission="billing:update")
    counters.add("wst.authz.decisions", 2, permission="billing:update", outcome="denied")
    bump = counters.bind("wst.origin.refused", reason="null")
    bump()
    counters.gauge("wst.audit.pending", 7)
    assert dict(counters.snapshot()) == {
        ("wst.authz.decisions", (("outcome", "denied"), ("permission", "billing:update"))): 3,
        ("wst.origin.refused", (("reason", "null"),)): 1,
        ("wst.audit.pending", ()): 7,
    }


def test_a_family_is_bounded_and_says_so_once() -> None:
    counters = Counters()
    with pytest.warns(RuntimeWarning, match="label sets"):
        for number in range(2_100):
            counters.add("wst.x", reason=str(number))
    snapshot = counters.snapshot()
    assert len(snapshot) == 2_001
    assert snapshot["wst.x", (("reason", "other"),)] == 100


@pytest.mark.asvs("15.4.1")
def test_no_increment_is_lost_between_threads() -> None:
    counters = Counters()
    threads = [threading.Thread(target=lambda: [counters.add("wst.x") for _ in range(2_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.snapshot()["wst.x", ()] == 8_000
