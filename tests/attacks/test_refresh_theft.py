"""A stolen refresh token: whoever comes second, the family ends, and the thief never gets a branch of his own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from account_stores import KINDS, stores_on
from wellstreak_trust.core import FixedClock
from wellstreak_trust.identity import ReauthRequired, RefreshFamilies

MINUTE = timedelta(minutes=1)


@pytest.fixture(params=KINDS)
def families(request, clock: FixedClock, sink):
    with stores_on(request, request.param) as stores:
        yield RefreshFamilies(stores("Refresh"), audit=sink, clock=clock)


def dead(families, token) -> bool:
    with pytest.raises(ReauthRequired):
        families.rotate(token)
    return True


def ended(sink) -> list[str]:
    return [event.data["cause"] for event in sink.events if event.action == "refresh.ended"]


@pytest.mark.asvs("10.4.5")
def test_the_thief_comes_second(families, clock, sink):
    stolen = families.start("u1").token
    owners = families.rotate(stolen).token
    clock.advance(MINUTE)
    assert dead(families, stolen)
    assert dead(families, owners)
    assert ended(sink) == ["reused"]


def test_the_thief_comes_first(families, clock, sink):
    stolen = families.start("u1").token
    thiefs = families.rotate(stolen).token
    clock.advance(MINUTE)
    assert dead(families, stolen)  # the owner's next refresh
    assert dead(families, thiefs)
    assert ended(sink) == ["reused"]


def test_a_thief_within_the_grace_gets_no_branch(families, clock, sink):
    """He gets what the owner gets; the first of them to go on shows the other one up."""
    stolen = families.start("u1").token
    owners, thiefs = families.rotate(stolen).token, families.rotate(stolen).token
    assert owners == thiefs
    clock.advance(MINUTE)
    onward = families.rotate(owners).token
    clock.advance(MINUTE)
    assert dead(families, thiefs)
    assert dead(families, onward)
    assert ended(sink) == ["reused"]


def test_an_old_token_of_a_long_chain_ends_it(families, clock, sink):
    grant = families.start("u1")
    first = grant.token
    for _ in range(5):
        grant = families.rotate(grant.token)
        clock.advance(MINUTE)
    assert dead(families, first)
    assert dead(families, grant.token)
    assert ended(sink) == ["reused"]
