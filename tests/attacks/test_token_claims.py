"""Good signatures over claims that a tolerant reader makes something of: issuers, audiences, times, types."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from forge import AT, AUDIENCE, ISSUER, b64, claims, header, private, signed, verifier, why


@pytest.mark.parametrize(
    "issuer",
    [
        ISSUER[:-1],
        ISSUER + "/",
        ISSUER.upper(),
        "op.example",
        "",
        "h",
        ISSUER + ".evil.example",
        " " + ISSUER,
        [ISSUER],
        {ISSUER: 1},
        None,
        True,
        ...,
    ],
    ids=str,
)
def test_cve_2024_53861_part_of_the_issuer(issuer):
    """A comparison by `in` took every part of the text, and every list that holds it."""
    assert why(verifier(), signed(body=claims(iss=issuer))) == "issuer"


@pytest.mark.asvs("9.2.3", "10.3.1")
@pytest.mark.parametrize(
    "audience",
    [
        AUDIENCE[:-1],
        AUDIENCE + "/",
        "",
        [],
        ["other"],
        [[AUDIENCE]],
        {AUDIENCE: 1},
        [AUDIENCE, 7],
        [AUDIENCE, None],
        None,
        7,
        ...,
        f"{AUDIENCE},other",
        f"{AUDIENCE} other",
    ],
    ids=str,
)
def test_somebody_elses_audience(audience):
    assert why(verifier(), signed(body=claims(aud=audience))) == "audience"


@pytest.mark.asvs("9.2.1", "15.3.5")
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value",
    [
        b'"1800000000"',
        b'"1_800_000_000"',
        '"\u0661\u0668\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660"'.encode(),
        b"true",
        b"null",
        b"[1800000000]",
        b"{}",
        b"0",
        b"-1",
        b"-0.0",
        b"1e400",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"253402300799",
        b"99999999999999999999999999",
        b"1.7976931348623157e308",
    ],
    ids=lambda value: value.decode("ascii", "replace"),
)
def test_times_that_a_tolerant_reader_takes(name, value):
    body = json.dumps(claims(**{name: "PLACE"})).encode().replace(b'"PLACE"', value)
    assert why(verifier(), signed(body=body)) in {"time", "payload", "lifetime", "claims"}


@pytest.mark.asvs("9.2.1")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": AT}, "time"),
        ({"exp": AT - 1}, "time"),
        ({"iat": AT + 1}, "time"),
        ({"nbf": AT + 1}, "time"),
        ({"exp": ...}, "claims"),
        ({"iat": ...}, "claims"),
        ({"iat": AT - 10, "exp": AT - 10 + 86_401}, "lifetime"),
        ({"exp": AT + 10**9}, "lifetime"),
    ],
    ids=str,
)
def test_times_that_have_passed_or_never_do(changes, reason):
    assert why(verifier(), signed(body=claims(**changes))) == reason


@pytest.mark.asvs("9.2.1")
def test_leeway_is_not_stretched_by_the_token():
    """By thirty seconds and not by one more, at either end."""
    loose = verifier(leeway=timedelta(seconds=30))
    assert loose.verify(signed(body=claims(iat=AT - 60, exp=AT - 29)))
    assert why(loose, signed(body=claims(iat=AT - 60, exp=AT - 30))) == "time"
    assert loose.verify(signed(body=claims(iat=AT + 30)))
    assert why(loose, signed(body=claims(iat=AT + 31))) == "time"


@pytest.mark.parametrize(
    "subject",
    ["", "a" * 256, "é", "admin\n", "admin\x00", "admin\x7f", 7, None, ["admin"], {"admin": 1}, True],
    ids=lambda value: repr(value)[:20].encode("ascii", "backslashreplace").decode(),
)
def test_subjects_that_are_none(subject):
    assert why(verifier(), signed(body=claims(sub=subject))) == "subject"
    assert why(verifier(), signed(body=claims(sub=...))) == "claims"


@pytest.mark.parametrize("value", [7, True, [], {}, 1.5])
def test_a_token_id_is_text(value):
    assert why(verifier(), signed(body=claims(jti=value))) == "claims"


DUPLICATES: list[Any] = ["sub", "iss", "aud", "exp", "scope"]


@pytest.mark.parametrize("name", DUPLICATES)
def test_a_claim_twice(name):
    """RFC 7519, 4: one parser takes the first, another the last."""
    text = json.dumps(claims(scope="agents:read"))
    twice = text[:-1] + f', "{name}": {json.dumps(claims(scope="agents:read")[name])}}}'
    assert json.loads(twice) == json.loads(text)
    assert why(verifier(), signed(body=twice.encode())) == "payload"


@pytest.mark.asvs("9.1.1")
def test_what_stands_in_the_payload_decides_nothing_before_the_signature():
    """The order of the checks: a forged token is a forged token, whatever else is wrong with it."""
    for body in (claims(iss="evil"), claims(exp=1), claims(aud="other"), b"[", b"\xff"):
        assert why(verifier(), signed(body=body, key=private("RS256", 1))) == "signature"
    text = f"{b64(header())}.{b64(claims())}"
    assert why(verifier(), f"{text}.{b64(bytes(256))}") == "signature"
