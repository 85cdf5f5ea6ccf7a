"""The client address: arguments it refuses, and that nothing a client sends becomes a key."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust.core import ClientAddress, ConfigurationError, RequestFacts, UsageError
from wellstreak_trust.core.address import _parsed, address_group

PROXY = "10.0.0.1"


def facts(peer: str | None, *values: str, header: str = "x-forwarded-for") -> RequestFacts:
    return RequestFacts("GET", "/", [(header, value) for value in values], peer=peer)


@pytest.mark.parametrize("v6", [0, -1, 129, True, 64.0, "64", None])
def test_a_prefix_length_is_1_to_128(v6: Any) -> None:
    with pytest.raises(UsageError):
        ClientAddress().key(facts("2001:db8::1"), v6)


def test_keys_group_a_line_and_never_the_whole_internet() -> None:
    address = ClientAddress()
    assert address.key(facts("2001:db8:1:2:3::4")) == "2001:db8:1:2::/64"
    assert address.key(facts("2001:db8:1:2:3::4"), 48) == "2001:db8:1::/48"
    assert address.key(facts("2001:db8::1"), 128) == "2001:db8::1/128"
    assert address.key(facts("::ffff:1.2.3.4")) == "1.2.3.4"


@pytest.mark.parametrize(
    "proxies", [[10], [None], [b"10.0.0.1"], ["0.0.0.0/0"], ["::/0"], ["10.0.0.1/8"], "10.0.0.1", [""]]
)
def test_a_proxy_list_that_does_not_parse_is_refused(proxies: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ClientAddress(proxies)
    assert caught.value.reason == "client_address"


@pytest.mark.parametrize("header", ["", "x_forwarded_for", "a b", "a\r\nb", None, 3])
def test_a_header_is_a_field_name_without_underscores(header: Any) -> None:
    with pytest.raises(ConfigurationError):
        ClientAddress([PROXY], header=header)


def test_a_proxy_list_may_be_any_iterable() -> None:
    address = ClientAddress(iter(["unix", PROXY]))  # type: ignore[arg-type]  # a generator is read once, not half
    assert address.trusts("unix")
    assert address.trusts(PROXY)
    assert address.trusts(f"::ffff:{PROXY}")
    assert not address.trusts("10.0.0.2")
    assert not address.trusts("text")
    assert not address.trusts(None)


def test_a_long_entry_never_fills_the_cache() -> None:
    before = _parsed.cache_info().currsize
    ClientAddress([PROXY]).of(facts(PROXY, "1" * 60_000))
    assert _parsed.cache_info().currsize <= before + 1  # the peer's own


@pytest.mark.parametrize("name", ["x_forwarded_for", "X_FORWARDED_FOR", "x-real-ip", "forwarded", "x-forwarded-for "])
def test_other_spellings_count_for_nothing(name: str) -> None:
    assert ClientAddress([PROXY]).of(facts(PROXY, "6.6.6.6", header=name)) == PROXY


def test_lines_joined_by_a_wsgi_server_and_lines_apart_are_the_same() -> None:
    address = ClientAddress([PROXY])
    assert address.of(facts(PROXY, "6.6.6.6", "1.2.3.4")) == address.of(facts(PROXY, "6.6.6.6,1.2.3.4")) == "1.2.3.4"


HOSTILE = st.text(st.sampled_from("0123456789abcdef.:,;[]\"'\\=%_ for\t\u0661é\ud800"), max_size=40)


@given(HOSTILE, HOSTILE, st.sampled_from(["x-forwarded-for", "forwarded", "x-edge"]), st.sampled_from([None, 1, 2]))
def test_whatever_a_client_sends_the_answer_is_an_address(one: str, two: str, header: str, hops: int | None) -> None:
    address = ClientAddress([PROXY], header=header, hops=hops)
    found = address.of(facts(PROXY, one, two, header=header))
    assert str(ip_address(found)) == found
    assert address.of(facts("9.9.9.9", one, two, header=header)) == "9.9.9.9"
    assert isinstance(address.trusts(one), bool)


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::/64", "2001:db8:1:2::/64"),
        ("unix", "unix"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_an_address_is_counted_by_its_line_and_other_text_as_it_is(text: str, group: str) -> None:
    assert address_group(text) == group


def test_the_proxies_are_told_as_they_were_given() -> None:
    assert ClientAddress(("10.0.0.0/8", "unix")).proxies == ("10.0.0.0/8", "unix")
    assert ClientAddress().proxies == ()
