"""A page that looks almost like ours: origins that slipped through published middleware."""

from __future__ import annotations

import pytest

from wellstreak_trust import RequestFacts
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.origin import CorsPolicy, OriginPolicy

LISTED = ["https://app.example.com", "https://*.tenants.example.com"]
LOOKALIKES = {
    "prefix match, CVE-2026-37737": "https://app.example.com.evil.test",
    "open wildcard, CVE-2026-34157": "https://app.example.comevil.test",
    "shared suffix, GHSA-vhxv-fg4m-p2w8": "https://eviltenants.example.com",
    "two labels": "https://evil.acme.tenants.example.com",
    "unescaped dot": "https://appxexample.com",
    "dollar before a newline": "https://app.example.com\n",
    "user information": "https://app.example.com@evil.test",
    "url parser drops a tab": "https://app.exa\tmple.com",
    "path": "https://app.example.com/evil",
    "scheme": "http://app.example.com",
    "opaque": "null",
    "case": "https://APP.example.com",
    "header injection": "https://app.example.com\r\nAccess-Control-Allow-Origin: https://evil.test",
}


@pytest.mark.asvs("3.4.2")
@pytest.mark.parametrize("origin", LOOKALIKES.values(), ids=LOOKALIKES)
def test_lookalikes_are_strangers(origin: str) -> None:
    headers = [("Origin", origin), ("Cookie", "session=1"), ("Host", "api.example.com")]
    facts = RequestFacts("POST", "https://api.example.com/x", headers)
    decision = CorsPolicy(LISTED, credentials=True).decide(facts)
    assert decision.headers.items() == (("Vary", "Origin"),)
    assert not OriginPolicy(trusted=LISTED).check(facts)


@pytest.mark.parametrize(
    "pattern", ["https://myapp.com*", ".*", r"https://.*\.example\.com", "https://*example.com", "https://*.com"]
)
def test_patterns_that_admit_strangers_cannot_be_configured(pattern: str) -> None:
    with pytest.raises(ConfigurationError):
        CorsPolicy([pattern])


@pytest.mark.asvs("3.4.2")
def test_star_with_credentials_cannot_be_written() -> None:
    with pytest.raises(ConfigurationError, match=r"public\(\)"):
        CorsPolicy(["*"], credentials=True)


def test_specific_rules_cannot_be_shadowed_by_longer_ones() -> None:
    """CVE-2024-6839: rules sorted by length matched the wrong one; here there is one set and no order."""
    for order in (LISTED, LISTED[::-1]):
        assert CorsPolicy(order).decide(RequestFacts("GET", "https://x/", [("Origin", LISTED[0])])).allowed
