"""`CorsPolicy`, row by row, then preflights."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.middleware.cors import CORSMiddleware

from wellstreak_trust import RequestFacts
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.origin import CorsDecision, CorsPolicy

LISTED = ["https://app.example.com", "https://*.tenants.example.com", "https://partner.example.org:8443"]
POLICY = CorsPolicy(LISTED, credentials=True, expose=("ETag",))
APP = ("Origin", "https://app.example.com")


def decide(*headers: tuple[str, str], method: str = "GET", policy: CorsPolicy = POLICY) -> CorsDecision:
    return policy.decide(RequestFacts(method, "https://api.example.com/x", headers))


def preflight(*headers: tuple[str, str], policy: CorsPolicy = POLICY) -> CorsDecision:
    return decide(*headers, method="OPTIONS", policy=policy)


def granted(decision: CorsDecision) -> list[str]:
    return [name for name, _ in decision.headers if name.lower().startswith("access-control-")]


@pytest.mark.asvs("3.4.2")
def test_the_table(vectors) -> None:
    for row in vectors("origin/cors.json"):
        policy = CorsPolicy(row["policy"]["origins"], credentials=row["policy"]["credentials"])
        decision = decide(("Origin", row["origin"]), policy=policy)
        assert decision.headers.get_all("vary") == ("Origin",), row["id"]
        if row["expected"] == "allow":
            assert decision.allowed, row["id"]
            assert decision.headers.get_all("access-control-allow-origin") == (row["origin"],), row["id"]
            assert decision.headers.get("access-control-allow-credentials") == "true", row["id"]
        else:
            assert not decision, row["id"]
            assert granted(decision) == [], row["id"]


def test_a_listed_origin_gets_exactly_this() -> None:
    assert decide(APP).headers.items() == (
        ("Access-Control-Allow-Origin", "https://app.example.com"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "ETag"),
        ("Vary", "Origin"),
    )
    assert granted(decide(APP, policy=CorsPolicy(LISTED))) == ["Access-Control-Allow-Origin"]


def test_no_origin_or_two_get_nothing() -> None:
    for headers in ((), (APP, APP), (APP, ("Origin", "https://evil.test"))):
        assert decide(*headers).headers.items() == (("Vary", "Origin"),)


def test_a_granted_preflight() -> None:
    decision = preflight(
        APP, ("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "Authorization,content-type")
    )
    assert decision.headers.items() == (
        ("Access-Control-Allow-Origin", "https://app.example.com"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("Access-Control-Allow-Headers", "authorization, content-type"),
        ("Access-Control-Max-Age", "600"),
        ("Vary", "Origin"),
    )


@pytest.mark.parametrize(
    "asked",
    [
        [("Access-Control-Request-Method", "put")],
        [("Access-Control-Request-Method", "PURGE")],
        [("Access-Control-Request-Method", "*")],
        [("Access-Control-Request-Method", "PUT\r\nX: y")],
        [("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Method", "PUT")],
        [("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "x-admin")],
        [("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "*")],
        [("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "authorization\r\n")],
        [("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "authorization," * 100)],
        [("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "," * 40 + "x-admin")],
        [("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "authorization")]
        + [("Access-Control-Request-Headers", "x-admin")],
    ],
)
def test_a_preflight_that_asks_for_more_gets_nothing(asked: list[tuple[str, str]]) -> None:
    decision = preflight(APP, *asked)
    assert not decision.allowed
    assert decision.headers.items() == (("Vary", "Origin"),)


def test_private_networks_are_never_granted() -> None:
    """CVE-2024-6221."""
    asked = (("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Private-Network", "true"))
    assert "access-control-allow-private-network" not in preflight(APP, *asked).headers


def test_an_options_request_without_the_question_is_plain() -> None:
    assert "access-control-allow-methods" not in preflight(APP).headers


def test_public_is_a_star_and_nothing_that_varies() -> None:
    public = CorsPolicy.public(expose=("ETag",))
    for headers in ((), (("Origin", "null"),), (("Origin", "https://evil.test"),), (APP, APP)):
        assert decide(*headers, policy=public).headers.items() == (
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Expose-Headers", "ETag"),
        )
    refused = preflight(("Access-Control-Request-Method", "get"), policy=public)
    assert (refused.allowed, refused.headers.items()) == (False, ())
    with pytest.raises(TypeError):
        CorsPolicy.public(credentials=True)  # type: ignore[call-arg]  # cannot be written


@pytest.mark.parametrize(
    "arguments",
    [
        {"methods": ("get",)}, {"methods": "GET"}, {"methods": ("*",)}, {"methods": ("",)}, {"headers": ("*",)},
        {"headers": ("a b",)}, {"headers": ("a\n",)}, {"headers": (b"x",)}, {"expose": ("*",)}, {"max_age": -1},
        {"max_age": True}, {"max_age": 86_401}, {"max_age": 1.0},
    ],
)  # fmt: skip
def test_unsafe_arguments_are_refused(arguments: dict) -> None:
    for build in (lambda **given: CorsPolicy(LISTED, **given), CorsPolicy.public):
        with pytest.raises(ConfigurationError):
            build(**arguments)


def test_many_labels_are_answered_alike_and_remembered_within_bounds() -> None:
    policy = CorsPolicy(["https://*.tenants.example.com"])
    for number in range(1_100):
        origin = f"https://t{number}.tenants.example.com"
        assert decide(("Origin", origin), policy=policy).headers.get("access-control-allow-origin") == origin
    assert len(policy._grants) <= 1_024


@given(st.sampled_from([*LISTED, "https://a.tenants.example.com"]), st.text(max_size=3), st.integers(0, 40))
@settings(max_examples=100)
def test_never_more_permissive_than_an_anchored_peer(base: str, put: str, at: int) -> None:
    peer = CORSMiddleware(
        lambda *_: None,  # type: ignore[arg-type]  # only its rule is asked
        allow_origins=[LISTED[0], LISTED[2]],
        allow_origin_regex=r"https://[a-z0-9_-]{1,63}\.tenants\.example\.com",
    )
    origin = base[:at] + put + base[at:]
    assert decide(("Origin", origin)).allowed is peer.is_allowed_origin(origin)
