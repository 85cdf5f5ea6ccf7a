"""`ClientAddress`: every row of the table, what its constructor refuses, and the groups that limits count by."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust import RequestFacts
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.core.address import _elements
from wellstreak_trust.core.http import Headers, Target
from wellstreak_trust.origin import ClientAddress

NAMES = st.sampled_from(["X-Forwarded-For", "Forwarded"])
PROXY = "10.0.0.2"


def facts(*headers: tuple[str, str], peer: str | None = PROXY) -> RequestFacts:
    return RequestFacts("GET", "https://app.example.com/", headers, peer=peer)


@pytest.mark.asvs("4.1.3", "15.3.4")
def test_the_table(vectors) -> None:
    for row in vectors("origin/client_address.json"):
        address = ClientAddress(trusted_proxies=row["trusted"], header=row["header"], hops=row["hops"])
        request = RequestFacts("GET", "https://x/", row["headers"], peer=row["peer"])
        if row["client"] is None:
            with pytest.raises(ConfigurationError, match="client address"):
                address.of(request)
        else:
            assert address.of(request) == row["client"], row


@pytest.mark.parametrize(
    "trusted",
    [
        "10.0.0.0/8", b"10.0.0.0/8", ["*"], ["0.0.0.0/0"], ["::/0"], ["proxy.example.com"], ["10.0.0.1/8"], [""],
        ["fe80::1%eth0"], [None], ["10.0.0.0/33"], ["::ffff:0.0.0.0/64"],
    ],
)  # fmt: skip
def test_lists_that_would_trust_strangers_are_refused(trusted) -> None:
    with pytest.raises(ConfigurationError):
        ClientAddress(trusted_proxies=trusted)


@pytest.mark.parametrize(
    "arguments",
    [
        {"header": "x_forwarded_for"}, {"header": ""}, {"header": "x forwarded"}, {"hops": 0}, {"hops": 65},
        {"hops": True}, {"hops": "1"}, {"max_hops": 0}, {"max_hops": 65}, {"max_hops": 1.0},
    ],
)  # fmt: skip
def test_unusable_arguments_are_refused(arguments: dict) -> None:
    with pytest.raises(ConfigurationError):
        ClientAddress(**arguments)


def test_groups() -> None:
    address = ClientAddress()
    assert address.key(facts(peer="1.2.3.4")) == "1.2.3.4"
    assert address.key(facts(peer="2001:db8:1:2:3::4")) == "2001:db8:1:2::/64"
    assert address.key(facts(peer="2001:db8:1:2:3::4"), v6=48) == "2001:db8:1::/48"
    assert address.key(facts(peer="::ffff:1.2.3.4")) == address.key(facts(peer="1.2.3.4"))


def test_mapped_nets_trust_the_mapped_and_the_plain_peer() -> None:
    """CVE-2026-30827."""
    for net in ("::ffff:10.0.0.0/104", "10.0.0.0/8"):
        address = ClientAddress(trusted_proxies=[net])
        for peer in ("::ffff:10.0.0.2", PROXY):
            assert address.of(facts(("X-Forwarded-For", "1.2.3.4"), peer=peer)) == "1.2.3.4"


@pytest.mark.asvs("15.3.4")
@pytest.mark.parametrize(
    "entry",
    ["[::1", "[1.2.3.4]", "[::1]x", "[::1]:", "[::1]:99999", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:99999", "x" * 60],
)
def test_malformed_entries_stop_the_walk(entry: str) -> None:
    address = ClientAddress(trusted_proxies=["10.0.0.0/8"])
    assert address.of(facts(("X-Forwarded-For", f"6.6.6.6, {entry}, 10.0.0.9"))) == "10.0.0.9"
    assert address.of(facts(("X-Forwarded-For", entry))) == PROXY


@pytest.mark.parametrize(
    ("field", "client"),
    [
        ('For="[2001:db8::1]:4711";proto=https', "2001:db8::1"),
        ('for=6.6.6.6, for="1.2.3.4:80" ; by=10.0.0.9', "1.2.3.4"),
        ('for="1.2\\.3.4"', "1.2.3.4"),
        ("for=6.6.6.6, proto=https", PROXY),
        ("for=6.6.6.6;for=1.2.3.4", PROXY),
        ("for=2001:db8::1", PROXY),
        ("for", PROXY),
        ("for=_hidden", PROXY),
        ('proto="a, for=6.6.6.6";for=1.2.3.4', "1.2.3.4"),
        ("", PROXY),
        (" , ;\t", PROXY),
    ],
)
def test_forwarded(field: str, client: str) -> None:
    assert ClientAddress(trusted_proxies=["10.0.0.0/8"], header="Forwarded").of(facts(("Forwarded", field))) == client


def test_counted_hops() -> None:
    address = ClientAddress(trusted_proxies=["10.0.0.0/8"], hops=2)
    assert address.of(facts(("X-Forwarded-For", "6.6.6.6, 1.2.3.4, 5.5.5.5"))) == "1.2.3.4"
    assert address.of(facts(("X-Forwarded-For", "1.2.3.4"))) == PROXY
    assert address.of(facts(("X-Forwarded-For", "junk, 5.5.5.5"))) == PROXY
    assert address.of(facts(("X-Forwarded-For", "6.6.6.6, 5.5.5.5"), peer="9.9.9.9")) == "9.9.9.9"


def test_a_bounded_walk() -> None:
    address = ClientAddress(trusted_proxies=["10.0.0.0/8"], max_hops=2)
    assert address.of(facts(("X-Forwarded-For", "6.6.6.6, 10.0.0.7, 10.0.0.8"))) == "10.0.0.7"


@pytest.mark.parametrize(
    ("peer", "trusted"), [(None, []), ("unix", []), ("unix", ["unix"]), ("not an address", []), ("", [])]
)
def test_nobody_shares_a_bucket(peer: str | None, trusted: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="no usable client address"):
        ClientAddress(trusted_proxies=trusted).of(facts(peer=peer))


@given(st.lists(st.tuples(NAMES, st.text(alphabet='for=";,:[]\\ 1.af%_-', max_size=30)), max_size=4), st.booleans())
@settings(max_examples=100)
def test_no_header_makes_it_raise_or_return_text(headers: list[tuple[str, str]], forwarded: bool) -> None:
    address = ClientAddress(trusted_proxies=["10.0.0.0/8"], header="forwarded" if forwarded else "x-forwarded-for")
    found = address.of(facts(*headers))
    assert ClientAddress().of(facts(peer=found)) == found


def test_targets_are_total() -> None:
    assert Target.parse("https://[::1]:8443/a?b#c") == Target("https", "[::1]", 8443, "/a", "b")
    assert Target.parse("HTTPS://App.Example.com") == Target("https", "app.example.com", None, "/", "")
    assert Target.parse("https://a:99999/").port == -1
    assert Target.parse("/a?b") == Target("", "", None, "/a", "b")


def test_header_names_in_any_case() -> None:
    headers = Headers([(b"X-A", b"\xff"), ("x-a", "2")])
    assert headers.get_all("X-a") == ("ÿ", "2")
    assert "X-A" in headers


def test_nothing_is_read_after_the_first_fault() -> None:
    assert list(_elements("for=1.2.3.4, for=5.5.5.5;for=6.6.6.6, for=7.7.7.7")) == [{"for": "1.2.3.4"}, None]
