"""The key cache: age by the reader's clock, one fetch in flight, empty in children."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from typing import Any

import pytest

from wellstreak_trust.core import ConfigurationError, FixedClock
from wellstreak_trust.core.errors import KeyDisabled, KeyUnavailable, SecretTampered
from wellstreak_trust.secrets import CachePolicy, EnvelopeKey
from wellstreak_trust.secrets.cache import KeyAddress, KeyCache

KEY = EnvelopeKey(bytes(64))
HERE = KeyAddress("s", "t", 1, "local:a")


class Source:
    def __init__(self, *answers: Any) -> None:
        self.calls = 0
        self._answers = list(answers)

    def __call__(self) -> EnvelopeKey:
        self.calls += 1
        answer = self._answers.pop(0) if self._answers else KEY
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.mark.asvs("16.5.2")
def test_nothing_is_served_past_max_age(clock: FixedClock) -> None:
    cache, source = KeyCache(CachePolicy(), clock), Source(KEY)
    assert cache.peek(HERE) is None
    cache.obtain(HERE, source)
    clock.advance(timedelta(seconds=289))
    assert cache.peek(HERE) is KEY
    clock.advance(timedelta(hours=-5))
    assert cache.peek(HERE) is KEY, "the wall clock does not matter"
    clock.advance(timedelta(seconds=11))
    assert cache.peek(HERE) is None
    with pytest.raises(KeyUnavailable):
        cache.obtain(HERE, Source(KeyUnavailable("down")))
    assert source.calls == 1


def test_an_outage_within_the_grace_is_not_felt(clock: FixedClock) -> None:
    cache = KeyCache(CachePolicy(), clock)
    cache.obtain(HERE, Source())
    clock.advance(timedelta(seconds=295))
    down = Source(KeyUnavailable("down"))
    assert cache.obtain(HERE, down) is KEY
    assert cache.obtain(HERE, down) is KEY, "and asked again only after a second"
    assert down.calls == 1
    clock.advance(timedelta(seconds=1))
    fresh = EnvelopeKey(bytes(64), 2)
    assert cache.obtain(HERE, Source(fresh)) is fresh


@pytest.mark.parametrize("error", [KeyDisabled("off"), SecretTampered("junk")])
def test_a_refusal_within_the_grace_is_final(clock: FixedClock, error: Exception) -> None:
    cache = KeyCache(CachePolicy(), clock)
    cache.obtain(HERE, Source())
    clock.advance(timedelta(seconds=295))
    with pytest.raises(type(error)):
        cache.obtain(HERE, Source(error))
    assert cache.peek(HERE) is None


@pytest.mark.asvs("11.7.2")
def test_uses_and_entries_are_bounded(clock: FixedClock) -> None:
    cache, source = KeyCache(CachePolicy(max_uses=2, max_entries=2), clock), Source()
    for _ in range(4):
        cache.obtain(HERE, source)
    assert source.calls == 2
    others = [HERE._replace(version=version) for version in (2, 3)]
    for other in others:
        cache.obtain(other, Source())
    assert [cache.peek(address) is None for address in (HERE, *others)] == [True, False, False]
    kept = Source()
    none = KeyCache(CachePolicy(max_age=timedelta()), clock)
    none.obtain(HERE, kept)
    none.obtain(HERE, kept)
    assert kept.calls == 2


@pytest.mark.parametrize(
    "bounds",
    [{"max_age": timedelta(-1)}, {"max_entries": 0}, {"max_uses": 0}, {"grace": timedelta(-1)}, {"max_age": 300}],
)
def test_senseless_bounds_are_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        CachePolicy(**bounds)


def together(cache: KeyCache, count: int, source: Source) -> list[object]:
    """`count` threads that ask while the first fetch is held back."""
    held, inside = threading.Event(), threading.Event()
    found: list[object] = []

    def fetch() -> EnvelopeKey:
        inside.set()
        held.wait(10)
        return source()

    def ask() -> None:
        try:
            found.append(cache.obtain(HERE, fetch))
        except KeyUnavailable as error:
            found.append(error)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    held.set()
    for thread in threads:
        thread.join(10)
    return found


def test_two_hundred_threads_on_a_cold_key_fetch_once(clock: FixedClock) -> None:
    source = Source()
    assert together(KeyCache(CachePolicy(), clock), 200, source) == [KEY] * 200
    assert source.calls == 1


def test_a_failure_is_shared_not_repeated(clock: FixedClock) -> None:
    source = Source(KeyUnavailable("down"))
    cache = KeyCache(CachePolicy(), clock)
    found = together(cache, 20, source)
    assert sum(isinstance(answer, KeyUnavailable) for answer in found) >= 1
    assert len(found) == 20
    assert cache.obtain(HERE, source) is KEY


def test_an_interrupted_leader_leaves_nobody_waiting(clock: FixedClock) -> None:
    cache = KeyCache(CachePolicy(), clock)
    with pytest.raises(KeyboardInterrupt):
        cache.obtain(HERE, Source(KeyboardInterrupt()))
    assert cache.obtain(HERE, Source()) is KEY


def test_what_is_evicted_while_it_is_fetched_is_not_kept(clock: FixedClock) -> None:
    cache = KeyCache(CachePolicy(), clock)

    def fetch() -> EnvelopeKey:
        cache.evict_tenant("s", "t")
        return KEY

    assert cache.obtain(HERE, fetch) is KEY
    assert cache.peek(HERE) is None


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_empty(clock: FixedClock) -> None:
    cache = KeyCache(CachePolicy(), clock)
    cache.obtain(HERE, Source())
    reading, writing = os.pipe()
    with cache._lock:  # as a thread of the parent might hold it at that moment
        child = os.fork()
        if child == 0:
            empty = cache.peek(HERE) is None and cache.obtain(HERE, Source()) is KEY
            os.write(writing, b"empty" if empty else b"full")
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 10) == b"empty"
    os.close(reading)
    os.close(writing)
    assert cache.peek(HERE) is KEY
    cache.evict_kek(HERE.kek_uri)
    assert cache.peek(HERE) is None
