"""Published keys: when they are fetched, who waits, and what survives a failure."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest

from wellstreak_trust.core import FixedClock, drive
from wellstreak_trust.core.egress import EgressFailed, EgressResponse
from wellstreak_trust.core.errors import ConfigurationError, ProviderUnavailable
from wellstreak_trust.core.http import Headers, RequestFacts
from wellstreak_trust.identity import Authenticator, InvalidToken, JwksSource, JwtVerifier, verify_jws
from wellstreak_trust.testing.op import OpenIdProvider

URL = "https://op.example/jwks"
SECOND = timedelta(seconds=1)


class Published:
    """A key set behind an `HttpWay`, with a gate that fetches wait at, and a count."""

    def __init__(self, op: OpenIdProvider) -> None:
        self.op = op
        self.fetches = 0
        self.broken = False
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()

    def send(self, method, url, headers=None, body=None):
        with self._lock:
            self.fetches += 1
        answer = self.op._answer("GET", "/jwks", {}, b"")
        assert self.gate.wait(10)
        if self.broken:
            raise EgressFailed("unreachable")
        return EgressResponse(200, Headers({}), answer.body, True)

    @contextmanager
    def held(self):
        """Fetches that begin inside do not end before this does."""
        self.gate.clear()
        try:
            yield
        finally:
            self.gate.set()


@pytest.fixture
def op(clock: FixedClock) -> OpenIdProvider:
    return OpenIdProvider(alg="ES256", issuer="https://op.example", clock=clock)


@pytest.fixture
def published(op: OpenIdProvider) -> Published:
    return Published(op)


@pytest.fixture
def source(published: Published, clock: FixedClock) -> JwksSource:
    clock.advance(timedelta(days=3))  # an origin that no span is confused with
    return JwksSource(URL, http=published, clock=clock)


def settled(source: JwksSource) -> None:
    """Waits until no fetch is under way."""
    ends = time.monotonic() + 10
    while source._kept._flight is not None and time.monotonic() < ends:
        time.sleep(0.002)
    assert source._kept._flight is None


def test_a_fresh_set_is_fetched_once(source, published, clock):
    for _ in range(50):
        assert source.find("ES256", "k1") is not None
    clock.advance(timedelta(seconds=240) - timedelta(microseconds=1))
    assert source.find("ES256", "k1") is not None
    assert published.fetches == 1
    clock.advance(timedelta(microseconds=1))
    assert source.find("ES256", "k1") is not None
    settled(source)
    assert published.fetches == 2


def test_it_stands_wherever_a_key_set_does(source, op, clock):
    verifier = JwtVerifier(source, issuer=op.issuer, audience="api", algorithms=("ES256",), clock=clock)
    now = op.now()
    claims = {"iss": op.issuer, "aud": "api", "sub": "u", "iat": now, "exp": now + 60}
    token = op.key.sign(claims, {"typ": "at+jwt"})
    assert verifier.verify(token)["sub"] == "u"
    assert verify_jws(token, source, algorithms=("ES256",)).header["kid"] == "k1"
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(op.key.sign(claims, {"typ": "at+jwt", "kid": "unknown"}))
    assert caught.value.reason == "key"


@pytest.mark.anyio
async def test_awaiting_verifiers_never_fetch_on_the_loop(published, op, clock):
    source = JwksSource(URL, http=published, clock=clock)
    verifier = JwtVerifier(source, issuer=op.issuer, audience="api", algorithms=("ES256",), clock=clock)
    now = op.now()
    token = op.key.sign({"iss": op.issuer, "aud": "api", "sub": "u", "iat": now, "exp": now + 60}, {"typ": "at+jwt"})
    with published.held():
        verifying = [asyncio.ensure_future(verifier.averify(token)) for _ in range(20)]
        verifying.append(asyncio.ensure_future(verifier.aauthenticate(token)))
        beats = 0
        for _ in range(20):
            await asyncio.sleep(0.002)
            beats += 1
        assert beats == 20
        assert not any(task.done() for task in verifying)
        verifying.pop(0).cancel()  # who gives up takes nothing from the others
    assert len(await asyncio.gather(*verifying)) == 20
    assert published.fetches == 1
    for junk in ("", "a.b.c", "é", token + "."):
        with pytest.raises(InvalidToken):
            await verifier.averify(junk)


@pytest.mark.anyio
@pytest.mark.parametrize("kid", ["k1", "unknown"])
async def test_a_sync_face_on_a_loops_thread_waits_in_place(published, op, clock, kid):
    source = JwksSource(URL, http=published, clock=clock)
    asking = Authenticator([JwtVerifier(source, issuer=op.issuer, audience="api", algorithms=("ES256",), clock=clock)])
    now = op.now()
    claims = {"iss": op.issuer, "aud": "api", "sub": "u", "iat": now, "exp": now + 60}
    token = op.key.sign(claims, {"typ": "at+jwt", "kid": kid})
    facts = RequestFacts("GET", "https://api.example/", [("Authorization", f"Bearer {token}")])
    if kid == "k1":
        assert asking.authenticate(facts).id == "u"
    else:
        with pytest.raises(InvalidToken):
            asking.authenticate(facts)
    assert published.fetches == 1


def test_a_cold_start_is_one_flight(source, published):
    with ThreadPoolExecutor(16) as pool:
        with published.held():
            waiting = [pool.submit(source.find, "ES256", "k1") for _ in range(16)]
            time.sleep(0.05)
            assert not any(each.done() for each in waiting)
        assert all(each.result() is not None for each in waiting)
    assert published.fetches == 1


def test_an_ageing_set_is_renewed_behind_the_callers_back(source, published, op, clock):
    source.find("ES256", "k1")
    clock.advance(timedelta(seconds=241))
    op.rotate()
    with published.held():
        for _ in range(20):
            assert source.find("ES256", "k1") is not None
    settled(source)
    assert published.fetches == 2
    assert source.find("ES256", "k2") is not None


def test_a_withdrawn_key_goes_with_the_next_renewal(source, published, op, clock):
    source.find("ES256", "k1")
    op.rotate()
    clock.advance(timedelta(seconds=301))
    source.find("ES256", "k1")
    settled(source)
    assert source.find("ES256", "k1") is None
    assert source.find("ES256", "k2") is not None


class Waits:
    """A way to wait that notes for how long."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def run(self, job):
        return job()

    async def landed(self, flight, seconds):
        self.asked.append(seconds)
        return flight.result(10)


@pytest.mark.parametrize(
    ("age", "waits"), [(239, []), (240, []), (299, []), (300, [0.1]), (86_399, [0.1]), (86_400, [6.0]), (90_000, [6.0])]
)
def test_who_waits_for_how_long(source, published, clock, age, waits):
    source.find("ES256", "k1")
    clock.advance(timedelta(seconds=age))
    waiter = Waits()
    assert drive(source.search(waiter, "ES256", "k1")) is not None
    assert waiter.asked == waits
    settled(source)
    assert published.fetches == (1 if age < 240 else 2)


def test_only_the_caller_that_starts_a_refresh_gives_it_a_chance(source, published, clock):
    source.find("ES256", "k1")
    clock.advance(timedelta(seconds=300))
    waiter = Waits()
    with published.held():
        assert source.find("ES256", "k1") is not None
        assert drive(source.search(waiter, "ES256", "k1")) is not None
    assert waiter.asked == []
    settled(source)


def test_an_unknown_name_is_unknown_while_fetching_fails(source, published):
    source.find("ES256", "k1")
    published.broken = True
    assert source.find("ES256", "k2") is None
    assert source.find("ES256", "k1") is not None


def test_a_stale_set_is_served_while_fetching_fails_and_for_a_day(source, published, clock):
    source.find("ES256", "k1")
    published.broken = True
    for hours in (1, 22):
        clock.advance(timedelta(hours=hours))
        assert source.find("ES256", "k1") is not None
        settled(source)
    clock.advance(timedelta(hours=1))
    with pytest.raises(ProviderUnavailable) as caught:
        source.find("ES256", "k1")
    assert (caught.value.status, caught.value.code) == (503, "busy")
    published.broken = False
    clock.advance(timedelta(minutes=1))
    assert source.find("ES256", "k1") is not None


def test_a_stale_set_is_served_past_a_fetch_that_hangs(source, published, clock):
    source.find("ES256", "k1")
    clock.advance(timedelta(hours=1))
    with published.held():
        for _ in range(5):
            assert source.find("ES256", "k1") is not None
    settled(source)
    assert published.fetches == 2


def test_unknown_names_ask_once_a_minute_and_known_ones_never_wait(source, published, clock):
    source.find("ES256", "k1")
    with published.held(), ThreadPoolExecutor(4) as pool:
        asking = pool.submit(source.find, "ES256", "made-up-0")
        while published.fetches < 2:
            time.sleep(0.001)
        assert source.find("ES256", "k1") is not None
        assert not asking.done()
        published.gate.set()
        assert asking.result() is None
    for number in range(1, 1_000):
        assert source.find("ES256", f"made-up-{number}") is None
    assert published.fetches == 2
    clock.advance(timedelta(seconds=61))
    assert source.find("ES256", "made-up-again") is None
    assert published.fetches == 3


def test_made_up_names_against_an_empty_source_cost_one_fetch(source, published):
    for number in range(100):
        assert source.find("ES256", f"made-up-{number}") is None
    assert published.fetches == 1


def test_a_newcomer_is_found_by_the_one_fetch(source, published, op):
    source.find("ES256", "k1")
    op.rotate(withdraw=False)
    with published.held(), ThreadPoolExecutor(8) as pool:
        flood = [pool.submit(source.find, "ES256", f"made-up-{number}") for number in range(4)]
        newcomer = pool.submit(source.find, "ES256", "k2")
        time.sleep(0.05)
        published.gate.set()
        assert newcomer.result() is not None
        assert [each.result() for each in flood] == [None] * 4
    assert published.fetches == 2


def test_a_newcomer_is_found_past_a_renewal_that_began_before_the_rotation(source, published, op, clock):
    source.find("ES256", "k1")
    clock.advance(timedelta(seconds=241))
    with published.held():
        source.find("ES256", "k1")  # its fetch has read the old set and is held on its way back
        while published.fetches < 2:
            time.sleep(0.001)
        op.rotate()
        with ThreadPoolExecutor(1) as pool:
            newcomer = pool.submit(source.find, "ES256", "k2")
            time.sleep(0.02)
            published.gate.set()
            assert newcomer.result() is not None
    assert published.fetches == 3


def test_a_source_that_has_nothing_tries_again_soon_but_not_for_every_caller(source, published, clock):
    published.broken = True
    for _ in range(50):
        with pytest.raises(ProviderUnavailable):
            source.find("ES256", "k1")
    assert published.fetches == 3
    with pytest.raises(ProviderUnavailable) as caught:
        source.find("ES256", "k1")
    assert caught.value.headers() == (("Retry-After", "1"),)
    assert "unreachable" in caught.value.detail
    published.broken = False
    clock.advance(SECOND)
    assert source.find("ES256", "k1") is not None


def test_pauses_double_up_to_the_cooldown(source, published, clock):
    published.broken = True
    for pause in (0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60):
        if pause:
            clock.advance(timedelta(seconds=pause) - timedelta(milliseconds=1))
            with pytest.raises(ProviderUnavailable):
                source.find("ES256", "k1")
            clock.advance(timedelta(milliseconds=1))
        before = published.fetches
        with pytest.raises(ProviderUnavailable):
            source.find("ES256", "k1")
        assert published.fetches == before + 1


def test_waiters_of_a_failed_flight_each_get_an_error_of_their_own(source, published):
    published.broken = True
    with ThreadPoolExecutor(4) as pool:
        with published.held():
            waiting = [pool.submit(source.find, "ES256", "k1") for _ in range(4)]
            time.sleep(0.05)
        errors = [each.exception() for each in waiting]
    assert all(isinstance(error, ProviderUnavailable) for error in errors)
    assert len({id(error) for error in errors}) == 4


def test_a_way_that_breaks_its_promise_leaves_nobody_waiting(clock):
    class Broken:
        def send(self, *args, **kwargs):
            raise KeyError("a bug of the host")

    with pytest.raises(ProviderUnavailable) as caught:
        JwksSource(URL, http=Broken(), clock=clock).find("ES256", "k1")
    assert "KeyError" in caught.value.detail
    assert "a bug" not in caught.value.detail


def test_a_process_without_threads_says_so(source, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(ProviderUnavailable) as caught:
        source.find("ES256", "k1")
    assert "no thread" in caught.value.detail


def test_a_fetch_that_never_ends_holds_nobody_for_ever(published, clock):
    source = JwksSource(URL, http=published, clock=clock, timeout=timedelta(milliseconds=1))
    source._kept._patience = 0.05
    with published.held(), pytest.raises(ProviderUnavailable):
        source.find("ES256", "k1")
    settled(source)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_in_the_middle_of_a_fetch_asks_anew(source, published, clock):
    """The parent's fetching thread is not in the child, and its lock may be held there for ever."""
    source.find("ES256", "k1")
    clock.advance(timedelta(seconds=241))
    with published.held():
        source.find("ES256", "k1")
        while published.fetches < 2:
            time.sleep(0.001)
        with source._kept._lock:
            child = os.fork()
        if child == 0:
            published.gate.set()
            clock.advance(timedelta(hours=25))
            threading.Thread(target=lambda: (time.sleep(10), os._exit(3)), daemon=True).start()
            os._exit(0 if source.find("ES256", "k1") is not None and published.fetches == 3 else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    settled(source)


GOOD = ("keys_bad_member",)
BAD = (
    "keys_status_500 keys_redirect keys_huge keys_deep keys_not_json keys_drip keys_drip_header keys_empty "
    "keys_not_a_list keys_too_many"
).split()


@pytest.mark.parametrize("fault", BAD)
def test_a_failed_refresh_replaces_nothing(fault, clock):
    """And is one error of ours, in bounded time, where nothing is held."""
    timeout = timedelta(seconds=0.5 if "drip" in fault else 5)
    with OpenIdProvider(alg="ES256") as op:
        warm, cold = (
            JwksSource(f"{op.issuer}/jwks", allow_insecure_loopback=True, clock=clock, timeout=timeout)
            for _ in range(2)
        )
        assert warm.find("ES256", "k1") is not None
        clock.advance(timedelta(seconds=301))
        with op.fault(fault):
            begun = time.monotonic()
            with pytest.raises(ProviderUnavailable):
                cold.find("ES256", "k1")
            assert warm.find("ES256", "k1") is not None
            assert time.monotonic() - begun < 5
        settled(warm)


@pytest.mark.parametrize("fault", GOOD)
def test_members_that_cannot_be_used_are_left_out(fault):
    with OpenIdProvider(alg="ES256") as op, op.fault(fault):
        source = JwksSource(f"{op.issuer}/jwks", allow_insecure_loopback=True)
        assert source.find("ES256", "k1") is not None


def test_two_keys_of_one_name_are_both_left_out(source, op, published):
    op.extra_keys.append(op.key)
    with pytest.raises(ProviderUnavailable):
        source.find("ES256", "k1")


@pytest.mark.parametrize(
    "url",
    "http://op.example/jwks http://127.0.0.1/jwks file:///etc/passwd ftp://op.example/ data:,{} //op.example/jwks "
    "https:// https://u:p@op.example/ https://op.example/#f https://op.example:0/ https://op.example:x/ https://[::1 "
    "https://op.example\\@evil/ https://é.example/".split()
    + ["https://op.ex\tample/", "https://op.example/ x", "", None],
)
def test_addresses_that_are_never_asked(url):
    with pytest.raises(ConfigurationError):
        JwksSource(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8/x", "http://[::1]/x", "http://localhost/x"])
def test_loopback_is_for_tests_and_only_if_asked_for(url):
    assert JwksSource(url, allow_insecure_loopback=True).url == url
    with pytest.raises(ConfigurationError):
        JwksSource("http://127.0.0.1.evil.example/", allow_insecure_loopback=True)


@pytest.mark.parametrize(
    "spans",
    [{"fresh": timedelta()}, {"fresh": timedelta(days=2)}, {"cooldown": timedelta()}, {"timeout": timedelta()}],
)
def test_spans_out_of_order_are_refused(spans):
    with pytest.raises(ConfigurationError):
        JwksSource(URL, **spans)


def test_it_says_where_it_looks_and_nothing_else(source):
    source.find("ES256", "k1")
    assert repr(source) == "JwksSource('https://op.example/jwks')"
