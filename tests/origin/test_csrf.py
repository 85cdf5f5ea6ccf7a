"""`OriginPolicy`, row by row, then what the table does not hold."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust import RequestFacts
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.origin import OriginPolicy

URL = "https://app.example.com/x"
COOKIE = ("Cookie", "session=1")
POLICY = OriginPolicy(trusted=["https://partner.example.org", "https://*.tenants.example.net"])


def check(*headers: tuple[str, str], method: str = "POST", url: str = URL, policy: OriginPolicy = POLICY, **facts):
    return policy.check(RequestFacts(method, url, headers, **facts))


@pytest.mark.asvs("3.5.1")
def test_the_table(vectors) -> None:
    for row in vectors("origin/csrf.json"):
        rule, request = row["policy"], row["request"]
        policy = OriginPolicy(
            trusted=rule["trusted"], mode=rule["mode"], isolate=rule["isolate"], exempt=rule["exempt"]
        )
        verdict = policy.check(
            RequestFacts(request["method"], request["url"], request["headers"], route=request["route"])
        )
        assert verdict.allowed == (row["expected"] == "allow"), (row["id"], verdict)
        assert bool(verdict) is verdict.allowed


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([("Sec-Fetch-Site", "same-origin"), COOKIE], "same_origin"),
        ([("Sec-Fetch-Site", "Same-Origin"), COOKIE], "cross_site"),
        ([("Sec-Fetch-Site", ""), COOKIE], "no_evidence"),
        ([("Sec-Fetch-Site", "cross-site"), ("Origin", "https://partner.example.org")], "trusted_origin"),
        ([("Sec-Fetch-Site", "same-site"), ("Origin", "https://a.tenants.example.net")], "trusted_origin"),
        ([("Sec-Fetch-Site", "cross-site")] + [("Origin", "https://partner.example.org")] * 2, "cross_site"),
        ([("Origin", "null")], "origin_opaque"),
        ([("Origin", ""), COOKIE], "no_evidence"),
        ([("Origin", "https://app.example.com"), COOKIE], "same_origin"),
        ([("Origin", "https://app.example.com"), ("Origin", "https://app.example.com")], "origin_opaque"),
        ([("Origin", "https://evil.test")], "origin_mismatch"),
        ([("Referer", "https://app.example.com")], "same_referer"),
        ([("Referer", "https://app.example.com#x"), COOKIE], "same_referer"),
        ([("Referer", "https://app.example.com@evil.test/"), COOKIE], "referer_mismatch"),
        ([("Referer", "https://evil.test/https://app.example.com/"), COOKIE], "referer_mismatch"),
        ([("Referer", "https://app.example.com/")] * 2 + [COOKIE], "referer_mismatch"),
        ([("Referer", "https://evil.test/")], "no_cookie"),
        ([("Referer", ""), COOKIE], "no_evidence"),
        ([], "no_cookie"),
    ],
)
def test_reasons(headers: list[tuple[str, str]], reason: str) -> None:
    assert check(*headers).reason == reason


def test_compat_forgives_silence_only() -> None:
    compat = OriginPolicy(mode="compat")
    assert check(COOKIE, policy=compat).allowed
    assert not check(COOKIE, ("Referer", "https://evil.test/"), policy=compat).allowed
    assert not check(COOKIE, ("Origin", "https://evil.test"), policy=compat).allowed


def test_https_page_behind_an_unconfigured_proxy_and_never_the_other_way() -> None:
    url = "http://app.example.com/x"
    page = ("Origin", "https://app.example.com")
    assert check(page, COOKIE, url=url, scheme_is_trusted=False).allowed
    assert check(page, COOKIE, url="http://app.example.com:80/x", scheme_is_trusted=False).allowed
    assert not check(page, COOKIE, url=url).allowed
    assert not check(("Origin", "http://app.example.com"), COOKIE, scheme_is_trusted=False).allowed
    assert not check(("Origin", "https://other.example.com"), COOKIE, url=url, scheme_is_trusted=False).allowed


@pytest.mark.parametrize("url", ["/x", "ftp://app.example.com/x", "https:///x", "https://app.example.com:99999/x", ""])
def test_a_url_without_an_origin_is_nobodys_own(url: str) -> None:
    assert check(("Origin", "https://app.example.com"), COOKIE, url=url).reason == "origin_mismatch"


@pytest.mark.asvs("3.5.3")
def test_websockets_are_writes() -> None:
    for url, upgrade in ((URL, ("Upgrade", "h2c,\twebSocket")), ("WSS://app.example.com/x", ("X", "y"))):
        assert not check(upgrade, COOKIE, ("Origin", "https://evil.test"), method="GET", url=url).allowed
        assert check(upgrade, COOKIE, ("Origin", "https://app.example.com"), method="GET", url=url).allowed
        referer = ("Referer", "https://app.example.com/")
        assert check(upgrade, COOKIE, referer, method="GET", url=url).reason == "no_evidence"


@pytest.mark.asvs("3.2.1", "3.5.3", "3.5.8")
@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ((), True),
        ((("Sec-Fetch-Site", "none"),), True),
        ((("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")), True),
        ((("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "object")), False),
        ((("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")), False),
        ((("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")), False),
        ((("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")), False),
        ((("Sec-Fetch-Site", "cross-site"), ("Origin", "https://partner.example.org")), True),
    ],
)
def test_isolated_reads(headers: tuple[tuple[str, str], ...], allowed: bool) -> None:
    policy = OriginPolicy(trusted=["https://partner.example.org"], isolate=True)
    verdict = check(*headers, method="GET", policy=policy)
    assert verdict.allowed is allowed
    assert verdict.reason == ("safe_method" if allowed else "isolated")


@pytest.mark.asvs("3.2.1")
def test_isolation_never_lets_another_method_navigate() -> None:
    headers = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"))
    assert check(*headers, method="HEAD", policy=OriginPolicy(isolate=True)).reason == "isolated"


@pytest.mark.parametrize("exempt", [["POST"], [("POST",)], [("POST", "")], [("POST", None)], [("POST", "a", "b")]])
def test_malformed_exemptions_are_refused(exempt) -> None:
    with pytest.raises(ConfigurationError, match="pairs"):
        OriginPolicy(exempt=exempt)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="mode"):
        OriginPolicy(mode="lax")  # type: ignore[arg-type]  # the point of the test


NAMES = st.sampled_from(["Origin", "Sec-Fetch-Site", "Referer", "Cookie", "Upgrade", "Host"])


@given(st.text(max_size=12), st.text(max_size=40), st.lists(st.tuples(NAMES, st.text(max_size=40)), max_size=6))
@settings(max_examples=100)
def test_no_request_makes_it_raise(method: str, url: str, headers: list[tuple[str, str]]) -> None:
    for policy in (POLICY, OriginPolicy(isolate=True, mode="compat")):
        assert policy.check(RequestFacts(method, url, headers)).reason


def test_the_rows_of_go(published_vectors) -> None:
    """Go's CrossOriginProtection. Ours is stricter: bypasses are route names, so its path rows are not run."""
    policy = OriginPolicy(trusted=["https://trusted.example"])
    ran = 0
    for row in published_vectors("origin/published_go_csrf.json")["rows"]:
        if row["test"] not in ("TestSecFetchSite", "TestTrustedOriginBypass", "TestServer"):
            continue
        headers = [
            ("Sec-Fetch-Site", row["secFetchSite"]),
            ("Origin", row["origin"].replace("ts.URL", "https://example.com")),
        ]
        facts = RequestFacts(row.get("method", "POST"), "https://example.com/x", headers)
        assert policy.check(facts).allowed is (row["expectedStatus"] == "200"), row
        ran += 1
    assert ran >= 20
