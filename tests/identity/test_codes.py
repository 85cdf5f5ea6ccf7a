"""Numeric codes: bounded tries, one browser, one use, nothing to read in the store."""

from __future__ import annotations

from datetime import timedelta

import pytest

from wellstreak_trust.core import ConfigurationError, Secret, UsageError
from wellstreak_trust.identity import MemoryOneTimeTokenStore, OneTimeCodes, OneTimeTokens

KEY = Secret(b"k" * 32)


@pytest.fixture
def store():
    return MemoryOneTimeTokenStore()


@pytest.fixture
def codes(store, clock):
    return OneTimeCodes(store, "sign_in", key=KEY, clock=clock)


def other_than(code: Secret[str]) -> str:
    return f"{(int(code.reveal()) + 1) % 10**6:06}"


@pytest.mark.asvs("6.5.1", "6.5.3", "6.5.4", "6.6.2")
def test_a_code_works_once_in_the_browser_that_asked(codes, refused):
    issued, elsewhere = codes.issue("u1", data={"next": "/"}), codes.issue("u2")
    assert issued.code is not None
    assert len(issued.code.reveal()) == 6
    assert issued.code.reveal().isdigit()
    assert issued.code.reveal() not in repr(issued)
    assert refused(codes.consume, elsewhere.ticket, issued.code) == "wrong"
    assert refused(codes.consume, None, issued.code) == "shape"
    found = codes.consume(issued.ticket, issued.code)
    assert (found.subject, found.data) == ("u1", {"next": "/"})
    assert refused(codes.consume, issued.ticket, issued.code) == "unknown"


def test_the_cookie_carries_the_ticket(codes, store, clock):
    issued = codes.issue("u1")
    value = issued.cookie.header()
    ticket = issued.ticket.reveal()
    assert value == f"__Host-ws_code={ticket}; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax"
    assert codes.cookie_name == "__Host-ws_code"
    assert "Max-Age=0" in codes.removal_cookie().header()
    demo = OneTimeCodes(store, "sign_in", key=KEY, insecure_loopback=True, clock=clock)
    assert demo.issue("u1").cookie.header().startswith("ws_code=wsn_")


@pytest.mark.asvs("6.6.3")
def test_five_tries_and_no_sixth(codes, refused):
    issued = codes.issue("u1")
    for _ in range(5):
        assert refused(codes.consume, issued.ticket, other_than(issued.code)) == "wrong"
    assert refused(codes.consume, issued.ticket, issued.code) == "unknown"


@pytest.mark.asvs("6.5.5")
def test_ten_minutes(codes, clock, refused):
    issued = codes.issue("u1")
    clock.advance(timedelta(minutes=10))
    assert refused(codes.consume, issued.ticket, issued.code) == "expired"


def test_a_newer_code_ends_the_older(codes, refused):
    older, newer = codes.issue("u1"), codes.issue("u1")
    assert refused(codes.consume, older.ticket, older.code) == "unknown"
    assert codes.consume(newer.ticket, newer.code).subject == "u1"


def test_purposes_and_kinds_do_not_mix(codes, store, clock, refused):
    issued = codes.issue("u1")
    other = OneTimeCodes(store, "confirm", key=KEY, clock=clock)
    assert refused(other.consume, issued.ticket, issued.code) == "purpose"
    link = OneTimeTokens(store, "invite", clock=clock).issue("u1")
    assert refused(codes.consume, link.token, "000000") == "shape"
    assert codes.consume(issued.ticket, issued.code).subject == "u1"


def test_nobody_gets_a_ticket_that_opens_nothing(codes, store, refused):
    issued = codes.issue(None)
    assert issued.code is None
    assert issued.cookie.header().startswith("__Host-ws_code=wsn_")
    for code in ("000000", "123456"):
        assert refused(codes.consume, issued.ticket, code) == "unknown"
    assert len(store._rows) == 1


def test_the_table_alone_tells_no_code(store, clock):
    issued = OneTimeCodes(store, "sign_in", key=KEY, clock=clock).issue("u1", private="ada@example.org")
    (row,) = store._rows.values()
    assert issued.code.reveal() not in repr(row)
    assert b"ada" not in row.sealed
    others = OneTimeCodes(store, "sign_in", key=Secret(b"x" * 32), clock=clock)
    same = {others._mac(row.key, "u1", f"{number:06}") for number in range(2_000)}
    assert row.fingerprint not in same


def test_codes_are_even(codes):
    drawn = [codes._draw() for _ in range(3_000)]
    firsts = [sum(code[0] == digit for code in drawn) for digit in "0123456789"]
    assert min(firsts) > 200  # 300 each; 6 standard deviations
    assert all(len(code) == 6 for code in drawn)


@pytest.mark.parametrize(
    "arguments",
    [
        {"digits": 5},
        {"digits": 9},
        {"tries": 0},
        {"tries": 6},
        {"lifetime": timedelta(minutes=11)},
        {"lifetime": timedelta()},
        {"key": Secret(b"short")},
    ],
)
def test_what_is_refused(store, arguments):
    with pytest.raises(ConfigurationError):
        OneTimeCodes(store, "sign_in", **{"key": KEY, **arguments})
    with pytest.raises(ConfigurationError):
        OneTimeCodes(store, "", key=KEY)


@pytest.mark.parametrize("arguments", [{"subject": ""}, {"subject": "u1", "data": {"x": 1.5}}])
def test_what_issue_refuses(codes, arguments):
    with pytest.raises(UsageError):
        codes.issue(**arguments)


@pytest.mark.parametrize("code", ["", "1", "٠١٢٣٤٥", "\ud800", None, 123456, "000000\n"])
def test_no_text_breaks_it(codes, code, refused):
    assert refused(codes.consume, codes.issue("u1").ticket, code) == "wrong"
