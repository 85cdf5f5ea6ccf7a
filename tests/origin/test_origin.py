"""The origin grammar and the sets built from it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.origin import CorsPolicy, Origin, OriginPolicy, OriginSet
from wellstreak_trust.origin.suffixes import KNOWN

LISTED = ["https://app.example.com", "https://*.tenants.example.com", "https://partner.example.org:8443"]
ORIGINS = OriginSet(LISTED)
ANCHORED = re.compile(
    r"https://app\.example\.com|https://partner\.example\.org:8443|https://[a-z0-9_-]{1,63}\.tenants\.example\.com"
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("https://example.com", ("https", "example.com", None)),
        ("http://example.com:8080", ("http", "example.com", 8080)),
        ("https://example.com:80", ("https", "example.com", 80)),
        ("https://example.com.", ("https", "example.com.", None)),
        ("https://a_b.-c-.example", ("https", "a_b.-c-.example", None)),
        ("http://127.0.0.1:1", ("http", "127.0.0.1", 1)),
        ("https://[2001:db8::1]:65535", ("https", "[2001:db8::1]", 65535)),
        ("https://[::ffff:102:304]", ("https", "[::ffff:102:304]", None)),
        ("https://1.2.3.example", ("https", "1.2.3.example", None)),
    ],
)
def test_what_browsers_write_parses_and_prints_the_same(text: str, parts: tuple[str, str, int | None]) -> None:
    origin = Origin.parse(text)
    assert origin is not None
    assert (origin.scheme, origin.host, origin.port) == parts
    assert str(origin) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "https:", "https:/example.com", "HTTPS://example.com", "https://Example.com", "ws://example.com",
        "https://", "https://.", "https://.example.com", "https://example..com", "https://example.com..",
        "https://example.com:", "https://example.com:0", "https://example.com:443", "http://example.com:80",
        "https://example.com:08443", "https://example.com:65536", "https://example.com:123456",
        "https://example.com:+1", "https://example.com:1_0", "https://example.com:\u0664\u0664", "https://example.com:\u00b2",
        "https://user@example.com", "https://example.com/", "https://example.com?", "https://example.com#",
        "https://example.com\\", "https://example.com\n", " https://example.com", "https://exa\tmple.com",
        "https://b\u00fccher.example", "https://a%2eb", "https://1.2.3", "https://1.2.3.4.5", "https://01.2.3.4",
        "https://256.1.1.1", "https://1.2.3.4.", "https://0x7f.1", "https://example.0x", "https://[::1", "https://::1",
        "https://[::1]x", "https://[]", "https://[0:0::1]", "https://[::0001]", "https://[::1%eth0]", "https://[::1.2.3.4]",
        "https://[::FFFF:1:1]", "https://[1::2::3]", "https://a[::1]", "https://" + "a" * 64 + ".example",
        "https://" + ".".join(["a" * 63] * 4) + ".example", "https://example.com" + "x" * 300,
    ],
)  # fmt: skip
def test_what_browsers_never_write_is_no_origin(text: str) -> None:
    assert Origin.parse(text) is None


@given(st.text(max_size=320))
@settings(max_examples=100)
def test_parse_is_total(text: str) -> None:
    for candidate in (text, "https://" + text, "https://[" + text + "]", "https://a:" + text):
        origin = Origin.parse(candidate)
        assert origin is None or str(origin) == candidate


def test_parse_takes_nothing_but_text() -> None:
    assert Origin.parse(None) is None  # type: ignore[arg-type]  # a hostile caller
    assert Origin.parse(b"https://example.com") is None  # type: ignore[arg-type]  # a hostile caller


@given(st.data())
@settings(max_examples=100)
def test_a_mutated_origin_is_listed_only_where_the_anchored_pattern_agrees(data: st.DataObject) -> None:
    base = data.draw(st.sampled_from([*LISTED, "https://acme.tenants.example.com"]))
    at = data.draw(st.integers(0, len(base)))
    cut = data.draw(st.integers(0, 2))
    put = data.draw(st.text(alphabet="aA.-_*:/@#?%\\ \n\t\x00,8[]é", max_size=3))
    mutated = base[:at] + put + base[at + cut :]
    assert (mutated in ORIGINS) is (ANCHORED.fullmatch(mutated) is not None)


def test_a_set_takes_nothing_but_text() -> None:
    assert None not in ORIGINS
    assert "https://app.example.com" in ORIGINS
    assert "https://evil.test" not in OriginSet([])


@pytest.mark.parametrize("build", [lambda o: CorsPolicy([o], credentials=True), lambda o: OriginPolicy(trusted=[o])])
def test_configured_origins(vectors, build) -> None:
    for row in vectors("origin/config.json"):
        if row["expected"] == "accept":
            assert build(row["origin"]) is not None, row
        else:
            with pytest.raises(ConfigurationError) as refused:
                build(row["origin"])
            assert refused.value.hint, row


@pytest.mark.parametrize(
    "origins", ["https://example.com", b"x", None, 7, re.compile("x"), [b"https://a.example"], [None]]
)
def test_only_a_sequence_of_texts_is_a_list(origins: object) -> None:
    with pytest.raises(ConfigurationError, match="text"):
        OriginSet(origins)  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("https://EXAMPLE.com", "'https://example.com'"),
        ("https://example.com/", "'https://example.com'"),
        ("https://example.com:443", "'https://example.com'"),
        ("http://localhost:80", "'http://localhost'"),
        ("https://bücher.example", "A-label"),
        ("*", "CorsPolicy.public()"),
        ("null", "sandboxed"),
        ("https://a*.example.com", "exactly one label"),
        ("https://example.com https://b.example", "one origin"),
        ("http://intranet.example.com", "allow_insecure=True"),
        ("http://*.localhost", "allow_insecure=True"),
        ("https://example.com.", "dot"),
        ("https://xn--f.example", "browser"),
        ("https://[::ffff:7f7f:7f7f]", "IPv4 address"),
        ("https://*." + ".".join(["a" * 63] * 3 + ["a" * 60]), "253"),
    ],
)
def test_a_refusal_says_what_to_write_instead(pattern: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        OriginSet([pattern])
    assert hint in refused.value.hint


def test_a_refusal_never_shows_user_information() -> None:
    with pytest.raises(ConfigurationError) as refused:
        OriginSet(["https://user:hunter2@example.com"])
    assert "hunter2" not in str(refused.value)


def test_plain_http_only_when_told() -> None:
    assert "http://intranet.example.com" in OriginSet(["http://intranet.example.com"], allow_insecure=True)
    assert "http://localhost:5173" in OriginSet(["http://localhost:5173"])


@pytest.mark.parametrize("zone", ["com", "localhost", *sorted(KNOWN)])
def test_no_wildcard_over_a_public_suffix(zone: str) -> None:
    with pytest.raises(ConfigurationError, match="strangers"):
        OriginSet([f"https://*.{zone}"])


def test_a_zone_below_a_public_suffix_is_somebodys_own() -> None:
    assert "https://pr-7.acme.github.io" in OriginSet(["https://*.acme.github.io"])


def test_published_patterns_and_origins(published_vectors) -> None:
    """jub0bs/cors. Ours differ where it takes other schemes, any port, a trailing dot, or reads requests laxly."""
    table = published_vectors("origin/published_jub0bs.json")
    ours_alone = set()
    for row in table["patterns"]:
        try:
            OriginSet([row["input"]], allow_insecure=True)
            assert not row["refused"], row
        except ConfigurationError:
            if not row["refused"]:
                ours_alone.add(row["desc"])
    assert ours_alone == {
        "maximum length and maximum port", "non-HTTP scheme", '"a" scheme', '"b" scheme', '"y" scheme', '"z" scheme',
        "trailing full stop in host", "arbitrary subdomains and arbitrary ports",
    }  # fmt: skip
    for row in table["origins"]:
        assert not (row["refused"] and Origin.parse(row["input"])), row
