"""The same rule asked of other people's middleware: one list, one anchored pattern, the same origins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from corsheaders.middleware import CorsMiddleware
from django.conf import UserSettingsHolder, global_settings
from django.conf import settings as django_settings
from django.http import HttpResponse
from django.test import RequestFactory
from flask import Flask
from flask_cors import CORS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList
from starlette.middleware.cors import CORSMiddleware

from wellstreak_trust import RequestFacts
from wellstreak_trust.origin import CorsPolicy, Origin
from wellstreak_trust.origin.suffixes import KNOWN

LISTED = ["https://app.example.com", "https://admin.example.com:8443"]
ZONE = r"https://[a-z0-9_-]{1,63}\.tenants\.example\.com"
OURS = CorsPolicy([*LISTED, "https://*.tenants.example.com"], credentials=True)
STARLETTE = CORSMiddleware(lambda *_: None, allow_origins=LISTED, allow_origin_regex=ZONE)  # type: ignore[arg-type]  # only its rule is asked

FLASK = Flask(__name__)
CORS(FLASK, origins=[*LISTED, re.compile(ZONE + r"\Z")], supports_credentials=True)
FLASK_CLIENT = FLASK.test_client()


@FLASK.route("/")
def index() -> str:
    return "ok"


def ours(origin: str) -> bool:
    decision = OURS.decide(RequestFacts("GET", "https://api.example.com/", [("Origin", origin)]))
    assert ("access-control-allow-origin" in decision.headers) is decision.allowed
    return decision.allowed


def flask_cors(origin: str) -> bool:
    return FLASK_CLIENT.get("/", headers={"Origin": origin}).headers.get("Access-Control-Allow-Origin") is not None


def django_cors(origin: str) -> bool:
    middleware: Any = CorsMiddleware(lambda request: HttpResponse("ok"))
    return "access-control-allow-origin" in middleware(RequestFactory().get("/", HTTP_ORIGIN=origin))


ORIGINS = [
    *LISTED,
    "https://a.tenants.example.com",
    "https://a-b_9.tenants.example.com",
    "https://tenants.example.com",
    "https://a.b.tenants.example.com",
    "https://a.tenants.example.com.evil.test",
    "https://eviltenants.example.com",
    "https://a.tenants.example.com:444",
    "http://app.example.com",
    "https://app.example.com.evil.test",
    "https://app.example.comevil.test",
    "https://app-example.com",
    "https://appxexample.com",
    "https://admin.example.com",
    "null",
    "https://",
    "https://x" + "a" * 64 + ".tenants.example.com",
]


@pytest.fixture(autouse=True)
def _django() -> Iterator[None]:
    mine = UserSettingsHolder(global_settings)
    mine.CORS_ALLOWED_ORIGINS = LISTED
    mine.CORS_ALLOWED_ORIGIN_REGEXES = [ZONE + r"\Z"]
    before, django_settings._wrapped = django_settings._wrapped, mine
    yield
    django_settings._wrapped = before


@pytest.mark.parametrize("origin", ORIGINS)
def test_all_four_agree(origin: str) -> None:
    assert {ours(origin), STARLETTE.is_allowed_origin(origin), flask_cors(origin), django_cors(origin)} == {
        origin in ORIGINS[:4]
    }


SEEN = st.sampled_from([*LISTED, "https://a.tenants.example.com"])
HEADER = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=3)


@given(SEEN, HEADER, st.integers(0, 40), st.integers(0, 3))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_allowed_is_allowed_by_every_anchored_peer(base: str, put: str, at: int, cut: int) -> None:
    origin = base[:at] + put + base[at + cut :]
    if ours(origin):
        assert STARLETTE.is_allowed_origin(origin)
        assert flask_cors(origin)
        assert django_cors(origin)
        assert str(Origin.parse(origin)) == origin


def test_the_table_of_public_suffixes_is_right() -> None:
    """Zones of countries and of hosts for strangers; a few the list leaves out are stricter here."""
    full = PublicSuffixList()
    assert {zone for zone in KNOWN if not full.is_public(zone)} <= {"cloudfront.net", "amazonaws.com", "glitch.me"}
