"""Which new passwords are accepted."""

from __future__ import annotations

import gzip
from hashlib import sha1
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.core.errors import ProviderUnavailable
from wellstreak_trust.identity import PasswordPolicy, PasswordRejected, RangeBlocklist, WordBlocklist

GOOD = "correct horse battery staple"


def problems(policy, password, **more):
    found = policy.check(password, **more)
    assert found.ok is bool(found) is (not found.problems)
    assert len(found.advice) == len(found.problems)
    return found.problems


@pytest.mark.asvs("6.2.1", "6.2.5", "6.2.9")
def test_length_is_the_only_rule_of_composition():
    policy = PasswordPolicy()
    assert problems(policy, "vjqmzkwtyohxbe") == ("too_short",)
    assert problems(policy, "vjqmzkwtyohxbed") == ()
    assert problems(policy, "vjqmzkw") == ("too_short",)
    assert problems(policy, "vjqmzkwt", mfa=True) == ()
    assert problems(policy, "vjqmzkw", mfa=True) == ("too_short",)
    for kind in (
        "nur kleine worte hier",
        "ALL CAPITALS AND WORDS",
        "4815162342 0079 1138",
        "密码短语由许多不同汉字组成可以吗",
        "🐎🔋📎🧲🪁🧭🎻🪵🧦🫖🪣🧷🪤🧿🪡",
    ):
        assert problems(policy, kind) == (), kind
    assert problems(policy, " leading and trailing spaces ") == ()
    assert problems(policy, "vjqmzkwt yohxbed! " * 3 + "A" + GOOD) == ()
    assert problems(policy, "é☃x-" * 16 + GOOD + "1234567890" * 3) == ()
    assert problems(policy, "vj qm" * 205) == ("too_long",)


def test_characters_are_counted_after_nfc():
    policy = PasswordPolicy()
    assert problems(policy, "e\u0301" * 2 + "vjqmzkwtyoh") == ("too_short",)
    assert problems(policy, "e\u0301" * 4 + "vjqmzkwtyoh") == ()


@pytest.mark.parametrize("password", [None, b"vjqmzkwtyohxbed", 7, "vjqmzkwtyohxbe\ud800"])
def test_what_is_no_text(password):
    assert problems(PasswordPolicy(), password) == ("not_text",)


@pytest.mark.parametrize(
    "password",
    [
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "passwordpasswordpassword",
        "123123123123123123",
        "12345678901234567890",
        "abcdefghijklmnopqrst",
        "qwertyuiopasdfghjkl",
        "zyxwvutsrqponmlkj",
        "AAbbccddeeffgghh",
    ],
)
def test_one_piece_over_and_over(password):
    assert problems(PasswordPolicy(), password) == ("repetitive",)


@pytest.mark.asvs("6.2.11")
@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("WellStreak-2026-!!!", ("context",)),
        ("wéllstreak wellstreak", ("context",)),
        ("ada.lovelace@example.org", ("context",)),
        ("Lovelace1815!!!!!", ("context",)),
        ("lovelace wrote the first program", ()),
        ("a horse named wellstreak ran", ()),
        (GOOD, ()),
    ],
)
def test_names_of_the_service_and_of_the_user(password, expected):
    policy = PasswordPolicy(words=("WellStreak",))
    assert problems(policy, password, context=("ada.lovelace@example.org", "Lovelace", "Al", "")) == expected


@pytest.mark.asvs("6.2.4")
def test_a_list_of_the_host(tmp_path):
    path = tmp_path / "common.txt.gz"
    path.write_bytes(gzip.compress(b"correct horse battery staple\nletmein\n"))
    policy = PasswordPolicy(blocklists=[WordBlocklist.from_file(path)])
    assert problems(policy, "Correct Horse Battery Staple") == ("blocked",)
    assert problems(policy, GOOD + "s") == ()
    (tmp_path / "plain.txt").write_text(GOOD)
    assert problems(PasswordPolicy(blocklists=[WordBlocklist.from_file(tmp_path / "plain.txt")]), GOOD) == ("blocked",)
    for broken in ("missing.txt", "broken.gz"):
        (tmp_path / "broken.gz").write_bytes(b"no gzip")
        with pytest.raises(ConfigurationError):
            WordBlocklist.from_file(tmp_path / broken)


def test_django_brings_a_list_of_common_ones():
    from django.contrib.auth import password_validation

    path = Path(password_validation.__file__).with_name("common-passwords.txt.gz")
    policy = PasswordPolicy(blocklists=[WordBlocklist.from_file(path)])
    common = ["password123", "iloveyou1", "trustno1"]
    assert any(problems(policy, word, mfa=True) == ("blocked",) for word in common)


# --- breaches --------------------------------------------------------------------------------------------------------


class Corpus:
    """A range server as Have I Been Pwned answers, with padding; keeps what it was asked."""

    def __init__(self, *passwords: str, count: int = 3) -> None:
        self.rows = {sha1(word.encode()).hexdigest().upper(): count for word in passwords}
        self.asked: list[str] = []

    def __call__(self, prefix: str) -> str:
        self.asked.append(prefix)
        real = [f"{digest[5:]}:{count}" for digest, count in self.rows.items() if digest.startswith(prefix)]
        padding = [f"{sha1(f'{prefix}{n}'.encode()).hexdigest().upper()[5:]}:0" for n in range(20)]
        return "\r\n".join([*padding, *real])


@pytest.mark.asvs("6.2.12", "14.2.3")
def test_breached_ones_are_found_without_telling_which():
    corpus = Corpus(GOOD)
    policy = PasswordPolicy(blocklists=[RangeBlocklist(corpus)])
    assert problems(policy, GOOD) == ("blocked",)
    assert problems(policy, GOOD + "!") == ()
    assert all(len(prefix) == 5 for prefix in corpus.asked)
    assert problems(PasswordPolicy(blocklists=[RangeBlocklist(corpus, at_least=4)]), GOOD) == ()
    with pytest.raises(ConfigurationError):
        RangeBlocklist(corpus, at_least=0)


def test_padding_is_no_breach():
    digest = sha1(GOOD.encode()).hexdigest().upper()
    assert problems(PasswordPolicy(blocklists=[RangeBlocklist(lambda _: f"{digest[5:]}:0")]), GOOD) == ()


def test_what_is_refused_already_is_not_asked_about():
    corpus = Corpus()
    policy = PasswordPolicy(blocklists=[RangeBlocklist(corpus)])
    for password in ("short", "aaaaaaaaaaaaaaaaaaa"):
        assert not policy.check(password).ok
    assert corpus.asked == []


def failing(prefix):
    raise OSError("refused by 10.0.0.7")


@pytest.mark.parametrize(
    "fetch",
    [
        failing,
        lambda _: "",
        lambda _: "<html>",
        lambda _: "ABC:1",
        lambda _: None,
        lambda _: "F" * 35 + ":٣",
        lambda _: "x" * 2_000_000,
    ],
    ids=["down", "empty", "html", "short", "none", "digits", "huge"],
)
def test_an_unreachable_list_refuses_unless_told_otherwise(fetch):
    with pytest.raises(ProviderUnavailable) as caught:
        PasswordPolicy(blocklists=[RangeBlocklist(fetch)]).check(GOOD)
    assert "10.0.0.7" not in f"{caught.value} {caught.value.detail}"
    assert problems(PasswordPolicy(blocklists=[RangeBlocklist(fetch)], on_outage="open"), GOOD) == ()


@pytest.mark.anyio
async def test_the_list_may_be_awaited():
    corpus = Corpus(GOOD)

    async def fetch(prefix):
        return corpus(prefix)

    policy = PasswordPolicy(blocklists=[RangeBlocklist(fetch)])
    assert (await policy.acheck(GOOD)).problems == ("blocked",)
    with pytest.raises(ConfigurationError):
        policy.check(GOOD)


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_refusal_names_the_rules_and_not_the_password():
    with pytest.raises(PasswordRejected) as caught:
        PasswordPolicy().require("vjqmzkw")
    error = caught.value
    assert (error.status, error.problems) == (400, ("too_short",))
    assert "vjqmzkw" not in f"{error} {error.detail} {error.problem()}"
    assert PasswordPolicy().require(GOOD) is None


@settings(max_examples=60)
@given(st.text(max_size=80))
def test_advice_never_repeats_what_was_typed(password):
    found = PasswordPolicy(words=("zq",)).check("Ω" + password + "Ω")
    assert all("Ω" not in line for line in found.advice)


@pytest.mark.parametrize(
    "arguments", [{"min_length": 7}, {"min_length_with_mfa": 7}, {"min_length": 65}, {"on_outage": "ignore"}]
)
def test_what_a_policy_refuses(arguments):
    with pytest.raises(ConfigurationError):
        PasswordPolicy(**arguments)
