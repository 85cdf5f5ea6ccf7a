"""Guessing a numeric code: a million codes, and never more than five tries, however many come at one moment."""

from __future__ import annotations

import pytest

from account_stores import KINDS, at_once, stores_on
from wellstreak_trust.core import FixedClock, Secret
from wellstreak_trust.identity import InvalidCredential, OneTimeCodes

GUESSES = 24


@pytest.fixture(params=KINDS)
def codes(request, clock: FixedClock):
    with stores_on(request, request.param) as stores:
        yield OneTimeCodes(stores("OneTimeToken"), "sign_in", key=Secret(b"k" * 32), clock=clock)


@pytest.mark.asvs("6.6.3")
def test_parallel_guesses_are_five_at_most(codes):
    issued = codes.issue("u1")
    right = int(issued.code.reveal())
    guesses = [f"{(right + 1 + n) % 10**6:06}" for n in range(GUESSES)]
    outcomes = at_once([lambda guess=guess: codes.consume(issued.ticket, guess) for guess in guesses])
    assert all(isinstance(each, InvalidCredential) for each in outcomes)
    reasons = [each.reason for each in outcomes]
    assert (reasons.count("wrong"), reasons.count("unknown")) == (5, GUESSES - 5)
    with pytest.raises(InvalidCredential):
        codes.consume(issued.ticket, issued.code)


@pytest.mark.asvs("6.5.1")
def test_the_right_code_at_one_moment_signs_in_once(codes):
    issued = codes.issue("u1")
    outcomes = at_once([lambda: codes.consume(issued.ticket, issued.code)] * GUESSES)
    assert sum(not isinstance(each, InvalidCredential) for each in outcomes) == 1


def test_another_browser_has_not_even_a_try(codes):
    """Nobody without the ticket can spend the tries of somebody else's code."""
    issued = codes.issue("u1")
    for _ in range(10):
        for ticket in (None, "", "wsn_" + "A" * 43, codes.issue("u2").ticket):
            with pytest.raises(InvalidCredential):
                codes.consume(ticket, issued.code)
    assert codes.consume(issued.ticket, issued.code).subject == "u1"
