"""Authenticator apps and recovery codes: the rules. The stores have contract suites of their own."""

from __future__ import annotations

from base64 import b32decode
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from wellstreak_trust.core import ConfigurationError, FixedClock, Principal, UsageError
from wellstreak_trust.core.errors import AuditUnavailable
from wellstreak_trust.identity import (
    MemoryRecoveryCodeStore,
    MemoryTotpStore,
    PasswordHasher,
    RecoveryCodes,
    Totp,
)
from wellstreak_trust.identity.totp import totp_code
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretStore

STEP = timedelta(seconds=30)
HASHER = PasswordHasher(permits=1)

# RFC 6238, appendix B: time, then the codes of eight digits by hash.
RFC_6238 = (
    (59, "94287082", "46119246", "90693936"),
    (1_111_111_109, "07081804", "68084774", "25091201"),
    (1_111_111_111, "14050471", "67062674", "99943326"),
    (1_234_567_890, "89005924", "91819424", "93441116"),
    (2_000_000_000, "69279037", "90698825", "38618901"),
    (20_000_000_000, "65353130", "77737706", "47863826"),
)


@pytest.fixture
def vault(tmp_path):
    return SecretStore(MemorySecretBackend(), KeyChain([LocalKeyProvider.generate(tmp_path / "kek.json")]))


@pytest.fixture
def store():
    return MemoryTotpStore()


@pytest.fixture
def totp(store, vault, sink, clock):
    return Totp(store, vault, issuer="WellStreak", audit=sink, clock=clock)


def app_of(enrolment) -> pyotp.TOTP:
    return pyotp.parse_uri(enrolment.uri.reveal())


def enrolled(totp, clock, user_id="u1") -> pyotp.TOTP:
    app = app_of(totp.begin(user_id, account="ada@example.org"))
    totp.confirm(user_id, app.at(clock.now()))
    clock.advance(STEP)
    return app


@pytest.mark.parametrize("row", RFC_6238, ids=lambda row: str(row[0]))
def test_rfc_6238(row):
    seeds = {name: (b"1234567890" * 7)[:size] for name, size in (("sha1", 20), ("sha256", 32), ("sha512", 64))}
    for (name, seed), expected in zip(seeds.items(), row[1:], strict=True):
        assert totp_code(seed, row[0] // 30, digits=8, algorithm=name) == expected


@pytest.mark.asvs("6.5.3")
def test_what_an_app_is_given(totp, store, clock):
    enrolment = totp.begin("u1", account="ada lovelace@example.org")
    uri = urlsplit(enrolment.uri.reveal())
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/WellStreak:ada%20lovelace%40example.org")
    facts = {name: values[0] for name, values in parse_qs(uri.query).items()}
    assert len(b32decode(facts.pop("secret"))) == 20
    assert facts == {"issuer": "WellStreak", "algorithm": "SHA1", "digits": "6", "period": "30"}
    app = app_of(enrolment)
    assert (app.name, app.issuer) == ("ada lovelace@example.org", "WellStreak")
    text = enrolment.secret.reveal()
    assert text not in repr(enrolment)
    assert text not in repr(store._rows)


@pytest.mark.asvs("6.5.1", "6.5.5", "6.5.8", "6.3.3")
def test_codes_of_three_steps_each_once(totp, clock, refused):
    app = enrolled(totp, clock)
    now = clock.now()
    assert totp.enrolled("u1")
    assert refused(totp.verify, "u1", app.at(now - 2 * STEP)) == "wrong"
    assert refused(totp.verify, "u1", app.at(now + 2 * STEP)) == "wrong"
    totp.verify("u1", app.at(now))
    assert refused(totp.verify, "u1", app.at(now)) == "replayed"
    assert refused(totp.verify, "u1", app.at(now - STEP)) == "replayed"
    totp.verify("u1", app.at(now + STEP))
    clock.advance(STEP)
    assert refused(totp.verify, "u1", app.at(clock.now())) == "replayed"
    clock.advance(STEP)
    totp.verify("u1", app.at(clock.now()))


def test_the_code_that_confirmed_is_used(totp, clock, refused):
    app = app_of(totp.begin("u1", account="ada"))
    code = app.at(clock.now())
    assert refused(totp.verify, "u1", code) == "unknown"
    totp.confirm("u1", code)
    assert refused(totp.verify, "u1", code) == "replayed"
    assert refused(totp.confirm, "u1", code) == "unknown"


def test_an_app_counts_once_it_has_shown_that_it_works(totp, vault, clock, refused):
    old = enrolled(totp, clock)
    dropped = totp.begin("u1", account="ada")
    new = totp.begin("u1", account="ada")
    assert refused(totp.confirm, "u1", app_of(dropped).at(clock.now())) == "wrong"
    totp.verify("u1", old.at(clock.now()))
    clock.advance(STEP)
    totp.confirm("u1", app_of(new).at(clock.now()))
    clock.advance(STEP)
    assert refused(totp.verify, "u1", old.at(clock.now())) == "wrong"
    totp.verify("u1", app_of(new).at(clock.now()))
    served = [each for each in vault.list("system") if each.state == "enabled"]
    assert len(served) == 1  # the seeds of the others are destroyed


@pytest.mark.asvs("6.3.1")
def test_ten_tries_in_ten_minutes(totp, clock, refused):
    app = enrolled(totp, clock)
    wrong = f"{(int(app.at(clock.now())) + 1) % 10**6:06}"
    for _ in range(10):
        assert refused(totp.verify, "u1", wrong) == "wrong"
    assert refused(totp.verify, "u1", app.at(clock.now())) == "unknown"
    clock.advance(timedelta(minutes=10))
    totp.verify("u1", app.at(clock.now()))


@pytest.mark.asvs("6.5.6")
def test_a_lost_app_is_removed(totp, vault, sink, clock, refused):
    app = enrolled(totp, clock)
    assert totp.remove("u1", by=Principal("root"))
    assert not totp.enrolled("u1")
    assert refused(totp.verify, "u1", app.at(clock.now())) == "unknown"
    assert not totp.remove("u1")
    assert all(each.state == "destroyed" for each in vault.list("system"))
    assert [(e.action, e.outcome) for e in sink.events][:4] == [
        ("factor.enrolled", "attempted"),
        ("factor.enrolled", "success"),
        ("factor.removed", "attempted"),
        ("factor.removed", "success"),
    ]


def test_refusals_are_recorded_by_cause(totp, sink, clock, refused):
    app = enrolled(totp, clock)
    totp.verify("u1", app.at(clock.now()))
    refused(totp.verify, "u1", app.at(clock.now()))
    refused(totp.verify, "u1", "000000x")
    told = [(e.action, e.data["cause"]) for e in sink.events if e.outcome == "denied"]
    assert told == [("factor.refused", "replayed"), ("factor.refused", "wrong")]


def test_nothing_counts_that_cannot_be_recorded(totp, sink, clock):
    app = app_of(totp.begin("u1", account="ada"))
    sink.broken = AuditUnavailable("down")
    with pytest.raises(AuditUnavailable):
        totp.confirm("u1", app.at(clock.now()))
    assert not totp.enrolled("u1")


@pytest.mark.parametrize("code", ["", "1", "٠١٢٣٤٥", "\ud800", None, 123456, "000000\n", "0" * 9_000])
def test_no_text_breaks_it(totp, clock, code, refused):
    enrolled(totp, clock)
    assert refused(totp.verify, "u1", code) == "wrong"
    assert refused(totp.verify, "nobody", code) == "unknown"


@pytest.mark.parametrize("issuer", ["", " ", "a:b", "a\n"])
def test_what_is_no_issuer(store, vault, issuer):
    with pytest.raises(ConfigurationError):
        Totp(store, vault, issuer=issuer)


@pytest.mark.parametrize(("user_id", "account"), [("", "ada"), ("u1", ""), ("u1", "a:b"), ("u1", "a\n")])
def test_what_an_enrolment_needs(totp, user_id, account):
    with pytest.raises(UsageError):
        totp.begin(user_id, account=account)


def test_the_time_is_the_servers(store, vault):
    """Two processes with one store and different clocks take no step twice."""
    early, late = (FixedClock(datetime(2026, 11, 24, 12, 0, second, tzinfo=UTC)) for second in (0, 29))
    one, two = (Totp(store, vault, issuer="WellStreak", clock=clock) for clock in (early, late))
    app = app_of(one.begin("u1", account="ada"))
    two.confirm("u1", app.at(late.now()))
    late.advance(STEP)
    early.advance(STEP)
    assert app.at(late.now()) == app.at(early.now())
    one.verify("u1", app.at(early.now()))
    from wellstreak_trust.identity import InvalidCredential

    with pytest.raises(InvalidCredential):
        two.verify("u1", app.at(late.now()))


# --- recovery codes --------------------------------------------------------------------------------------------------


@pytest.fixture
def recovery(sink, clock):
    return RecoveryCodes(MemoryRecoveryCodeStore(), HASHER, audit=sink, clock=clock)


@pytest.mark.asvs("6.5.1", "6.5.3", "6.5.4")
def test_ten_codes_each_good_once(recovery, refused):
    codes = recovery.generate("u1")
    texts = [code.reveal() for code in codes]
    assert len(set(texts)) == 10
    assert all(len(text) == 19 and text.count("-") == 3 for text in texts)
    assert texts[0] not in repr(codes)
    assert recovery.consume("u1", codes[0]) == 9
    assert refused(recovery.consume, "u1", codes[0]) == "wrong"
    assert refused(recovery.consume, "u2", codes[1]) == "wrong"
    assert recovery.remaining("u1") == 9


def test_as_people_type_them(recovery):
    codes = [code.reveal() for code in recovery.generate("u1")]
    assert recovery.consume("u1", codes[0].upper().replace("-", " ")) == 9
    assert recovery.consume("u1", codes[1].replace("-", "").replace("0", "O").replace("1", "l")) == 8


@pytest.mark.asvs("6.5.2")
def test_codes_are_kept_as_passwords_are(recovery):
    codes = recovery.generate("u1")
    salt, digests = recovery._store._sets["u1"]
    assert len(salt) == 16
    assert all(len(digest) == 32 for digest in digests)
    from argon2.low_level import Type, hash_secret_raw

    plain = codes[0].reveal().replace("-", "").encode()
    assert hash_secret_raw(plain, salt, 2, 19_456, 1, 32, Type.ID) in digests


@pytest.mark.asvs("6.5.6")
def test_a_new_set_ends_the_one_before(recovery, sink, refused):
    old = recovery.generate("u1")
    new = recovery.generate("u1")
    assert refused(recovery.consume, "u1", old[0]) == "wrong"
    assert recovery.consume("u1", new[0]) == 9
    recovery.remove("u1")
    assert recovery.remaining("u1") == 0
    assert refused(recovery.consume, "u1", new[1]) == "wrong"
    told = [(e.action, e.outcome) for e in sink.events]
    assert told.count(("factor.refused", "denied")) == 2
    assert told.count(("factor.used", "success")) == 1
    assert told[-3:-1] == [("factor.removed", "attempted"), ("factor.removed", "success")]


def test_who_has_none_costs_what_who_has_some_costs(recovery, refused, monkeypatch):
    recovery.generate("u1")
    jobs = []
    arun = HASHER._workers.arun
    monkeypatch.setattr(HASHER._workers, "arun", lambda job: jobs.append(job) or arun(job))
    for user_id, code in (("u1", "0000-0000-0000-0000"), ("nobody", "0000-0000-0000-0000"), ("u1", "junk"), ("u1", "")):
        assert refused(recovery.consume, user_id, code) == "wrong"
    assert len(jobs) == 4


@pytest.mark.parametrize("code", [None, 7, "\ud800", "x" * 90_000, "u" * 16])
def test_no_text_breaks_recovery(recovery, code, refused):
    assert refused(recovery.consume, "u1", code) == "wrong"


def test_a_set_needs_a_user(recovery):
    with pytest.raises(UsageError):
        recovery.generate("")


@pytest.mark.anyio
async def test_the_async_faces(totp, recovery, clock):
    enrolment = await totp.abegin("u1", account="ada")
    await totp.aconfirm("u1", app_of(enrolment).at(clock.now()))
    codes = await recovery.agenerate("u1")
    assert await recovery.aconsume("u1", codes[3]) == 9
