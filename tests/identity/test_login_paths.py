"""Where a browser may be sent after a sign-in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust.core.errors import InvalidRequest
from wellstreak_trust.identity.login_paths import checked_return_path, own_path

OWN = [
    "/",
    "/agents",
    "/agents?page=2&sort=-name#top",
    "/a//b",
    "/./a",
    "/../a",
    "/search?q=100%25",
    "/search?q=a%20b",
    "/caf%C3%A9",
    "/é",
    "/login?next=https://evil.example/",
    "/" + "a" * 2_047,
]
FOREIGN = [
    "",
    "agents",
    "https://evil.example/",
    "javascript:alert(1)",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "/a\\b",
    "/%2Fevil.example",
    "/%2f%2fevil.example",
    "/%5Cevil.example",
    "/%252Fevil.example",
    "/%25252525252Fevil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/./%2Fevil.example",
    "/\tevil",
    "/\n/evil.example",
    "\n//evil.example",
    " //evil.example",
    "/%09/evil.example",
    "/%0d%0aSet-Cookie:a=b",
    "/\x00",
    "/\x7f",
    "/\u200b/evil",
    "/\u202e",
    "/\ufeff",
    "/\u2028",
    "/\u2029",
    "/\u0378",
    "/\ue000",
    "/\u00a0",
    "/\u3164",
    "/%E2%80%8B",
    "/%ff",
    "/\ud800",
    "/" + "a" * 2_048,
]


@pytest.mark.parametrize("path", OWN)
def test_paths_of_the_host(path: str) -> None:
    assert checked_return_path(path) == path


@pytest.mark.asvs("1.1.1", "3.7.2")
@pytest.mark.parametrize("path", [*FOREIGN, None, 7, b"/"], ids=lambda path: ascii(path)[:40])
def test_paths_that_lead_elsewhere(path: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        checked_return_path(path)
    assert caught.value.status == 400
    assert "evil" not in f"{caught.value} {caught.value.detail}"


@given(st.text(st.sampled_from("/\\.%2F5c\t ae\u200b"), max_size=12))
def test_what_is_taken_has_one_slash_in_front_however_it_is_read(text: str) -> None:
    from urllib.parse import unquote, urljoin, urlsplit

    try:
        path = checked_return_path("/" + text)
    except InvalidRequest:
        return
    for reading in (path, unquote(path), unquote(unquote(path))):
        landed = urlsplit(urljoin("https://app.example/login", reading))
        assert landed.netloc == "app.example"
        assert not landed.path.startswith("//")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://app.example", "/"),
        ("https://app.example/", "/"),
        ("https://app.example/agents?x=1", "/agents?x=1"),
        ("/agents", "/agents"),
    ],
)
def test_targets_at_the_own_origin(url: str, path: str) -> None:
    assert own_path(url, "https://app.example/callback") == path


@pytest.mark.asvs("3.7.2")
@pytest.mark.parametrize(
    "url",
    "https://app.example.evil/ https://app.example@evil.example/ http://app.example/ https://app.example:444/ "
    "//app.example/ https:app.example/ https://evil.example/?https://app.example/ https://app.example//evil "
    "https://app.example/%2Fevil".split(),
)
def test_targets_elsewhere(url: str) -> None:
    with pytest.raises(InvalidRequest):
        own_path(url, "https://app.example/callback")
