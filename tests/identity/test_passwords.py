"""Passwords: bounds, pepper, and the pool. Real argon2id throughout."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from datetime import timedelta

import pytest
from argon2 import PasswordHasher as Oracle
from argon2.low_level import Type, hash_secret_raw

from wellstreak_trust.core import ConfigurationError, Secret
from wellstreak_trust.core.errors import InvalidRequest
from wellstreak_trust.identity import Busy, PasswordHasher, PasswordVerdict, Pepper
from wellstreak_trust.identity.argon2id import Parameters, argon2id
from wellstreak_trust.identity.workers import Workers

PASSWORD = "correct horse battery staple"
WRONG, RIGHT = PasswordVerdict(False), PasswordVerdict(True)


@pytest.fixture(scope="module")
def hasher():
    return PasswordHasher(permits=2)


@pytest.fixture(scope="module")
def encoded(hasher):
    return hasher.hash(PASSWORD)


@pytest.mark.asvs("11.4.2")
def test_the_hash_is_owasp_minimum_and_others_read_it(hasher, encoded):
    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert Oracle().verify(encoded, PASSWORD)
    assert hasher.hash(PASSWORD) != encoded


def test_verdicts(hasher, encoded):
    assert hasher.verify(PASSWORD, encoded) == RIGHT
    assert hasher.verify(PASSWORD + " ", encoded) == WRONG
    assert not hasher.verify("", encoded)
    assert hasher.verify(PASSWORD, None) == WRONG


@pytest.mark.asvs("11.2.2")
def test_weaker_hashes_are_to_be_made_anew(hasher):
    old = Oracle(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)
    assert hasher.verify(PASSWORD, old) == PasswordVerdict(True, rehash=True)
    assert hasher.verify("wrong", old) == WRONG


def test_nfc_makes_one_password_of_two_spellings(hasher):
    assert hasher.verify("Cafe\u0301 au lait ok", hasher.hash("Caf\u00e9 au lait ok")).ok


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain",
        "$2b$12$KIXQ4z1d1y6bq8h0c9k0uO",
        "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZXNhbHRzb21lc2FsdA",
        "$argon2id$v=16$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZXNhbHRzb21lc2FsdA",
        "$argon2id$v=19$m=131073,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZXNhbHRzb21lc2FsdA",
        "$argon2id$v=19$m=19456,t=11,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZXNhbHRzb21lc2FsdA",
        "$argon2id$v=19$m=19456,t=2,p=9$c29tZXNhbHRzb21lc2FsdA$c29tZXNhbHRzb21lc2FsdA",
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZXNhbHRzb21lc2FsdA\n",
        "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAA",
        "\ud800",
        b"bytes",
    ],
)
def test_what_is_no_hash_within_bounds_is_wrong(hasher, stored):
    assert hasher.verify(PASSWORD, stored) == WRONG


@pytest.mark.parametrize("password", ["a" * 1_025, "\ud800" * 20, None])
def test_what_is_no_password(hasher, encoded, password):
    with pytest.raises(InvalidRequest):
        hasher.hash(password)
    assert hasher.verify(password, encoded) == WRONG


def test_peppers_are_versioned(hasher, encoded):
    first = PasswordHasher(permits=1, pepper=Pepper("1", {"1": Secret(b"a" * 32)}))
    both = PasswordHasher(permits=1, pepper=Pepper("2", {"1": Secret(b"a" * 32), "2": Secret(b"b" * 32)}))
    peppered = first.hash(PASSWORD)
    assert ",keyid=MQ$" in peppered
    assert first.verify(PASSWORD, peppered) == RIGHT
    assert both.verify(PASSWORD, peppered) == PasswordVerdict(True, rehash=True)
    assert both.verify(PASSWORD, encoded) == PasswordVerdict(True, rehash=True)
    assert hasher.verify(PASSWORD, peppered) == WRONG
    assert first.verify(PASSWORD, both.hash(PASSWORD)) == WRONG


@pytest.mark.parametrize(
    ("active", "keys"), [("2", {"1": b"a" * 32}), ("1", {"1": b"short"}), ("123456789", {"123456789": b"a" * 32})]
)
def test_what_a_pepper_refuses(active, keys):
    with pytest.raises(ConfigurationError):
        Pepper(active, {version: Secret(key) for version, key in keys.items()})


def test_no_secret_in_repr():
    assert "aaaa" not in repr(Pepper("1", {"1": Secret(b"a" * 32)}))


# --- the algorithm in memory of our own ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [(8, 1, 1), (9, 1, 1), (64, 3, 1), (64, 1, 8), (100, 2, 3), (1_000, 1, 4), (19_456, 2, 1), (65_537, 1, 2)],
    ids=str,
)
def test_the_entry_that_takes_our_memory_agrees_with_the_ordinary_one(parameters):
    """Watches `argon2.low_level.core`, whose structure may change with a release."""
    memory, passes, lanes = parameters
    for secret, salt, length in (
        (b"", b"s" * 8, 12),
        (b"\x00pw\xff" * 9, bytes(range(16)), 32),
        (b"pw", b"s" * 64, 64),
    ):
        theirs = hash_secret_raw(secret, salt, passes, memory, lanes, length, Type.ID)
        assert argon2id(secret, salt, Parameters(memory, passes, lanes), length) == theirs


@pytest.mark.parametrize("parameters", [(7, 1, 1), (8, 1, 2), (8, 0, 1)], ids=str)
def test_the_algorithms_own_bounds(parameters):
    with pytest.raises(ValueError, match=r"small|memory|Memory|Time"):
        argon2id(b"pw", b"s" * 16, Parameters(*parameters), 32)


def test_hashes_that_others_made_are_read(hasher):
    for oracle in (Oracle(2, 19_456, 1), Oracle(1, 64, 2), Oracle(3, 65_536, 4, hash_len=16, salt_len=8)):
        made = oracle.hash(PASSWORD)
        assert hasher.verify(PASSWORD, made).ok
        assert not hasher.verify("wrong", made).ok
    assert hasher.verify(PASSWORD, "$argon2id$v=19$m=8,t=1,p=2$c29tZXNhbHRzb21lc2FsdA$c29tZXNhbHRzb21lc2FsdA") == WRONG


@pytest.mark.asvs("6.2.10")
def test_a_password_does_not_run_out(hasher, encoded):
    """A hash carries no date: it is good until it is changed."""
    assert set(re.split(r"[$,=]", encoded)[:9]) == {"", "argon2id", "v", "19", "m", "19456", "t", "2", "p"}
    assert hasher.verify(PASSWORD, encoded) == RIGHT


@pytest.mark.parametrize("arguments", [{"permits": 0}, {"wait": timedelta()}])
def test_what_a_hasher_refuses(arguments):
    with pytest.raises(ConfigurationError):
        PasswordHasher(**arguments)


@pytest.mark.anyio
async def test_the_async_face(hasher, encoded):
    assert await hasher.averify(PASSWORD, encoded) == RIGHT
    assert (await hasher.ahash(PASSWORD)).startswith("$argon2id$")


# --- the pool ------------------------------------------------------------------------------------------------------


class Gate:
    """A job that stays at work until told to end."""

    def __init__(self):
        self.started, self.open, self.runs = threading.Event(), threading.Event(), 0

    def __call__(self):
        self.runs += 1
        self.started.set()
        assert self.open.wait(10)
        return "done"


@pytest.mark.asvs("15.4.4")
def test_waiting_too_long_is_busy_and_leaves_the_queue():
    pool, gate, late = Workers(1, 0.05), Gate(), Gate()
    holder = threading.Thread(target=lambda: pool.run(gate))
    holder.start()
    gate.started.wait(10)
    with pytest.raises(Busy) as caught:
        pool.run(late)
    assert (caught.value.status, caught.value.code) == (503, "busy")
    gate.open.set()
    holder.join(10)
    assert (gate.runs, late.runs) == (1, 0)
    late.open.set()
    assert pool.run(late) == "done"


@pytest.mark.anyio
async def test_a_cancelled_caller_frees_no_permit():
    pool, gate, second = Workers(1, 0.05), Gate(), Gate()
    caller = asyncio.create_task(pool.arun(gate))
    await asyncio.to_thread(gate.started.wait, 10)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    with pytest.raises(Busy):
        await pool.arun(second)
    gate.open.set()
    second.open.set()
    assert await pool.arun(second) == "done"
    assert second.runs == 1


@pytest.mark.anyio
async def test_a_job_that_fails_fails_its_caller_only():
    pool = Workers(1, 5)

    def broken():
        raise KeyError("x")

    with pytest.raises(KeyError):
        await pool.arun(broken)
    with pytest.raises(KeyError):
        pool.run(broken)
    assert pool.run(lambda: 7) == 7


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_workers_of_its_own():
    pool = Workers(1, 5)
    assert pool.run(lambda: 1) == 1
    child = os.fork()
    if child == 0:
        os._exit(0 if pool.run(lambda: 2) == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_password_may_come_wrapped():
    hasher = PasswordHasher(permits=1)
    encoded = hasher.hash(Secret("correct horse"))
    assert hasher.verify("correct horse", encoded).ok
    assert hasher.verify(Secret("correct horse"), encoded).ok
    assert not hasher.verify(Secret("correct hors"), encoded).ok
