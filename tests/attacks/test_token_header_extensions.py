"""Header members that change what a token means: understood or refused, never skipped."""

from __future__ import annotations

import base64

import jwt as pyjwt
import pytest

from forge import b64, claims, header, keys, private, signed, verifier, why
from wellstreak_trust.identity import InvalidToken, verify_jws


@pytest.mark.parametrize(
    "crit",
    [["exp"], [], ["b64"], ["bork"], ["alg"], [""], [7], "exp", None, {}, ["http://example.com/x"], ["exp", "exp"]],
)
def test_cve_2025_59420_and_cve_2026_32597_unknown_critical_members(crit):
    """RFC 7515, 4.1.11: a recipient that does not understand one must refuse. We understand none."""
    assert why(verifier(), signed(header(crit=crit, exp=1, bork="x"))) == "header"
    with pytest.raises(InvalidToken):
        verify_jws(signed(header(crit=crit)), keys("RS256"), algorithms={"RS256"})


@pytest.mark.parametrize("more", [{"b64": False}, {"b64": True}, {"b64": None}, {"b64": False, "crit": ["b64"]}])
def test_ghsa_w7vc_732c_9m39_unencoded_payloads(more):
    """Also CVE-2026-48525; RFC 7797: what is signed is not what is read."""
    assert why(verifier(), signed(header(**more))) == "header"
    head = b64(header(**more))
    mac = pyjwt.get_algorithm_by_name("RS256").sign(f"{head}.plain".encode(), private("RS256"))
    for payload in ("plain", ""):
        with pytest.raises(InvalidToken):
            verify_jws(f"{head}.{payload}.{b64(mac)}", keys("RS256"), algorithms={"RS256"})


@pytest.mark.parametrize("member", ["zip", "cty", "jwk", "jku", "x5u", "x5c", "crit", "b64"])
@pytest.mark.parametrize("value", [None, "", [], {}, 0, False])
def test_a_refused_member_is_refused_whatever_it_holds(member, value):
    assert why(verifier(), signed(header(**{member: value}))) == "header"


def test_a_token_within_a_token():
    """RFC 7519, 5.2: `cty` says JWT, and the payload is another token that nobody has verified."""
    inner = signed(body=claims(sub="inner"))
    assert why(verifier(), signed(header(cty="JWT"), inner.encode())) == "header"
    assert why(verifier(), signed(body=inner.encode())) == "payload"


@pytest.mark.asvs("1.5.3")
@pytest.mark.parametrize(
    "text",
    [
        b'{"alg":"RS256","alg":"none","typ":"at+jwt","kid":"k1"}',
        b'{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"k1"}',
        b'{"alg":"RS256","typ":"at+jwt","kid":"k1","kid":"k2"}',
        b'{"alg":"RS256","\\u0061lg":"RS256","typ":"at+jwt","kid":"k1"}',
        b'{"alg":"RS256","typ":"at+jwt","kid":"k1","x":{"a":1,"a":2}}',
        b'{"alg":"RS256","typ":"at+jwt","kid":"k1","x":NaN}',
        b'{"alg":"RS256","typ":"at+jwt","kid":"k1","x":1e999}',
        b'{"alg":"RS256","typ":"at+jwt","kid":"k1","x":"\\ud800"}',
        b'{"alg":"RS256","typ":"at+jwt","kid":"k1"}{}',
        b'{"alg":"RS256","typ":"at+jwt","kid":"k1"}\x00',
        b'\xef\xbb\xbf{"alg":"RS256","typ":"at+jwt","kid":"k1"}',
        b'[{"alg":"RS256"}]',
        b'"RS256"',
        b"null",
        b"",
        b"\xff\xfe",
        '{"alg":"RS256","typ":"at+jwt","kid":"k1"}'.encode("utf-16"),
        '{"alg":"RS256","typ":"at+jwt","kid":"k1"}'.encode("utf-32"),
    ],
    ids=range(18),
)
def test_headers_that_two_parsers_read_differently(text):
    assert why(verifier(), signed(text)) in {"header", "shape"}


def test_what_is_only_a_note_is_ignored():
    """RFC 7515, 4: members that nobody marked critical, and white space that JSON allows."""
    assert verifier().verify(signed(header(iss="x", note=[1, {"a": None}])))["sub"] == "admin"
    spaced = b' {\n"alg" : "RS256" , "typ":"at+jwt","kid":"k1"}\t\r\n '
    assert verifier().verify(signed(spaced))["sub"] == "admin"
    assert base64.urlsafe_b64encode(spaced) != b64(header()).encode()
