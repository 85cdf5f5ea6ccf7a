"""An observed policy refuses nobody, says so, and ends by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wellstreak_trust import RequestFacts
from wellstreak_trust.core import ConfigurationError, FixedClock, UsageError
from wellstreak_trust.origin import ObservedOrigin, ObservedVerdict, OriginPolicy
from wellstreak_trust.telemetry import Counters

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def facts(site: str, route: str = "notes.write") -> RequestFacts:
    sent = {"Sec-Fetch-Site": site, "Cookie": "s=1"}
    return RequestFacts("POST", "https://app.example/notes", sent, route=route)


def test_a_foreign_page_passes_and_is_told_apart_from_an_approval() -> None:
    counters = Counters()
    observed = ObservedOrigin(OriginPolicy(), until=NOW + timedelta(days=30), metrics=counters, clock=FixedClock(NOW))
    verdict = observed.check(facts("cross-site"))
    assert isinstance(verdict, ObservedVerdict)
    assert (verdict.allowed, verdict.reason, verdict.would_refuse) == (True, "observed:cross_site", "cross_site")
    assert observed.report() == {("cross_site", "notes.write"): 1}
    assert counters.snapshot()["wst.origin.observed", (("reason", "cross_site"),)] == 1


def test_what_the_policy_admits_is_its_own_verdict() -> None:
    observed = ObservedOrigin(OriginPolicy(), until=NOW + timedelta(days=30), clock=FixedClock(NOW))
    verdict = observed.check(facts("same-origin"))
    assert verdict == OriginPolicy().check(facts("same-origin"))
    assert not isinstance(verdict, ObservedVerdict)
    assert observed.report() == {}


def test_from_its_date_on_the_policy_is_obeyed() -> None:
    clock = FixedClock(NOW)
    observed = ObservedOrigin(OriginPolicy(), until=NOW + timedelta(days=30), clock=clock)
    clock.advance(timedelta(days=30) - timedelta(microseconds=1))
    assert observed.observes
    assert observed.check(facts("cross-site")).allowed
    clock.advance(timedelta(microseconds=1))
    assert not observed.observes
    assert not observed.check(facts("cross-site")).allowed
    assert observed.report() == {("cross_site", "notes.write"): 1}


def test_a_date_that_nobody_will_remember_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ObservedOrigin(OriginPolicy(), until=NOW + timedelta(days=93), clock=FixedClock(NOW))
    assert caught.value.reason == "observe_until"
    with pytest.raises(UsageError):
        ObservedOrigin(OriginPolicy(), until=datetime(2026, 12, 1), clock=FixedClock(NOW))


def test_routes_do_not_fill_the_memory() -> None:
    observed = ObservedOrigin(OriginPolicy(), until=NOW + timedelta(days=1), clock=FixedClock(NOW))
    for number in range(1_005):
        observed.check(facts("cross-site", f"route-{number}"))
    report = observed.report()
    assert len(report) == 1_001
    assert report["other", "other"] == 5
