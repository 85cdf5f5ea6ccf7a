from __future__ import annotations

import base64

import pytest

from wellstreak_trust.core import ConfigurationError, UsageError
from wellstreak_trust.origin import NONCE, SecurityHeaders, new_nonce

CSP = "Content-Security-Policy"
PRESETS = [SecurityHeaders.api(), SecurityHeaders.app(), SecurityHeaders.strict()]


@pytest.mark.asvs("3.4.1", "3.4.4", "3.4.8", "3.5.8")
@pytest.mark.parametrize("preset", PRESETS)
def test_what_all_presets_send(preset: SecurityHeaders) -> None:
    sent = dict(preset.apply([]))
    assert sent["X-Content-Type-Options"] == "nosniff"
    assert sent["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains"
    assert sent["X-Frame-Options"] == "DENY"
    assert sent["Cross-Origin-Opener-Policy"] == sent["Cross-Origin-Resource-Policy"] == "same-origin"
    assert sent["Permissions-Policy"].startswith("camera=(), geolocation=()")
    assert not {"Cross-Origin-Embedder-Policy", "X-XSS-Protection", "Server"} & sent.keys()
    directives = [directive.split()[0] for directive in sent[CSP].split(";")]
    assert len(directives) == len(set(directives))
    assert "unsafe" not in sent[CSP]
    assert "nonce" not in sent[CSP]


@pytest.mark.asvs("3.4.3", "3.4.5", "3.4.6", "14.2.2", "14.3.2")
def test_the_three_policies() -> None:
    api, app, strict = (
        dict(preset.apply([], nonce="A" * 16 if preset is not PRESETS[0] else None)) for preset in PRESETS
    )
    assert api[CSP] == "default-src 'none'; frame-ancestors 'none'"
    assert api["Cache-Control"] == "no-store"
    assert app[CSP] == (
        "default-src 'self'; script-src 'self' 'nonce-AAAAAAAAAAAAAAAA'; style-src 'self' 'nonce-AAAAAAAAAAAAAAAA'; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    assert strict[CSP] == (
        "default-src 'none'; script-src 'nonce-AAAAAAAAAAAAAAAA' 'strict-dynamic'; "
        "style-src 'self' 'nonce-AAAAAAAAAAAAAAAA'; img-src 'self'; connect-src 'self'; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    assert (app["Referrer-Policy"], strict["Referrer-Policy"]) == ("strict-origin-when-cross-origin", "no-referrer")
    assert dict(SecurityHeaders.strict().apply([]))[CSP].startswith("default-src 'none'; script-src 'strict-dynamic'; ")


def test_given_pairs_stay_in_order_and_win() -> None:
    given = [("Set-Cookie", "a=1"), ("x-frame-options", "SAMEORIGIN"), ("Set-Cookie", "b=2")]
    sent = SecurityHeaders.app().apply(given, nonce=new_nonce())
    assert sent[:3] == given
    assert [value for name, value in sent if name.lower() == "x-frame-options"] == ["SAMEORIGIN"]
    own = SecurityHeaders.app().apply({"content-security-policy": "default-src 'self'"}, nonce=new_nonce())
    assert [value for name, value in own if name.lower() == CSP.lower()] == ["default-src 'self'"]
    assert own[-1][0] == "Permissions-Policy"


def test_nonces_are_fresh_and_never_remembered() -> None:
    headers = SecurityHeaders.app()
    first, second = headers.new_nonce(), new_nonce()
    assert first != second
    assert len(base64.b64decode(first)) == 16
    assert first in dict(headers.apply([], nonce=first))[CSP]
    assert first not in str(headers.apply([], nonce=second)) + str(headers.apply([]))


@pytest.mark.parametrize(
    "nonce",
    ["", "short", "A" * 15, "A" * 16 + " ", "A" * 16 + "'", "A" * 16 + ";", "A" * 16 + ",", "A" * 16 + "\n",
     "A" * 16 + "\r\nX: y", "A" * 16 + "é", "=" * 20, "A" * 16 + "===", b"A" * 16, 7, "A" * 400],
)  # fmt: skip
def test_what_is_no_nonce_is_refused(nonce: str) -> None:
    with pytest.raises(UsageError, match="nonce"):
        SecurityHeaders.app().apply([], nonce=nonce)


def test_changes_return_new_objects() -> None:
    app = SecurityHeaders.app()
    changed = app.with_csp("img-src", "'self'", "https://cdn.example.com").with_csp("frame-src", NONCE)
    assert "img-src 'self' https://cdn.example.com" in dict(changed.apply([]))[CSP]
    assert dict(changed.apply([], nonce="B" * 20))[CSP].endswith("frame-src 'nonce-BBBBBBBBBBBBBBBBBBBB'")
    assert app == SecurityHeaders.app()
    preload = app.with_header("strict-transport-security", "max-age=63072000; includeSubDomains; preload")
    assert [name for name, _ in preload.apply([])].count("strict-transport-security") == 1
    assert "Strict-Transport-Security" not in dict(preload.apply([]))
    reporting = app.report_only()
    assert CSP not in dict(reporting.apply([]))
    assert f"{CSP}-Report-Only" in dict(reporting.apply([], nonce=new_nonce()))
    assert dict(app.with_csp("script-src", "'unsafe-inline'", unsafe=True).apply([]))[CSP].count("unsafe-inline") == 1


@pytest.mark.parametrize(
    ("directive", "source"),
    [
        ("script-src", "'unsafe-inline'"), ("script-src", "'UNSAFE-EVAL'"), ("script-src", "a b"),
        ("script-src", "a;b"),
        ("script-src", "a,b"), ("script-src", "a\n"), ("script-src", ""), ("script-src", "é"), ("script-src", "\x7f"),
        ("script-src", 7), ("script-src", "'nonce-AAAAAAAAAAAAAAAA'"), ("Script-Src", "'self'"), ("a;b", "'self'"),
        (7, "'self'"),
    ],
)  # fmt: skip
def test_unsafe_directives_are_refused(directive: str, source: str) -> None:
    with pytest.raises(ConfigurationError):
        SecurityHeaders.app().with_csp(directive, source)


@pytest.mark.asvs("1.2.1")
@pytest.mark.parametrize(
    ("name", "value"),
    [("X-A", "a\r\nb"), ("X-A", "a\n"), ("X-A", "a\x00"), ("X-A", "\u0100"), ("X A", "a"), ("", "a"), ("X-A\n", "a"),
     ("X-A", 7), (7, "a"), (CSP, "default-src *"), (f"{CSP.lower()}-report-only", "x")],
)  # fmt: skip
def test_unsafe_headers_are_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError):
        SecurityHeaders.app().with_header(name, value)
