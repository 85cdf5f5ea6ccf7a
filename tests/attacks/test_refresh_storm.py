"""Honest clients refresh in parallel: tabs, retries, a fleet of workers. Nobody may be logged out, nothing may fork.

``WT_REFRESH_CALLERS=100`` for the number that is promised.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from account_stores import KINDS, at_once, stores_on
from wellstreak_trust.core import FixedClock
from wellstreak_trust.identity import RefreshFamilies, RefreshGrant

CALLERS = int(os.environ.get("WT_REFRESH_CALLERS", "20"))


@pytest.mark.parametrize("kind", KINDS)
def test_parallel_callers_have_one_successor(request, kind, clock: FixedClock, sink):
    with stores_on(request, kind) as stores:
        families = RefreshFamilies(stores("Refresh"), audit=sink, clock=clock)
        token = families.start("u1").token
        for _ in range(2):
            grants = at_once([lambda token=token: families.rotate(token)] * CALLERS)
            assert all(isinstance(grant, RefreshGrant) for grant in grants)
            successors = {grant.token.reveal() for grant in grants}
            assert len(successors) == 1
            token = grants[0].token
            clock.advance(timedelta(minutes=15))
        assert families.rotate(token).user_id == "u1"
        assert [event.action for event in sink.events] == ["refresh.started"]
