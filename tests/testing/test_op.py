"""The provider for tests is itself sound until a fault is switched on: it refuses what a provider must refuse."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from sign_ins import CALLBACK, RelyingParty, jar
from wellstreak_trust.core import SystemClock
from wellstreak_trust.core.egress import Egress
from wellstreak_trust.testing import OpenIdProvider
from wellstreak_trust.testing.op import FAULTS

VERIFIER = "v" * 43


@pytest.fixture(scope="module")
def op():
    with OpenIdProvider(alg="ES256") as running:
        yield running


def ask(op: OpenIdProvider, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> Any:
    body = None if form is None else urlencode(form).encode()
    kind = {} if body is None else {"Content-Type": "application/x-www-form-urlencoded"}
    answer = Egress(SystemClock(), allow_private=True).send(method, op.url + path, {**kind, **headers}, body)
    return answer.status, json.loads(answer.body or b"null")


def code_of(op: OpenIdProvider) -> tuple[str, str]:
    """A fresh code, and the verifier that proves it."""
    party = RelyingParty(op)
    start = party.login.begin()
    code = parse_qs(urlsplit(op.sign_in(start.url)).query)["code"][0]
    (row,) = party.store._rows.values()
    from wellstreak_trust.identity.sealing import unseal

    return code, unseal(start.cookie.value, "login verifier", row.verifier)


def exchanged(op: OpenIdProvider, **change: str) -> int:
    code, verifier = code_of(op)
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": verifier,
        "client_id": op.client_id, "client_secret": op.client_secret, **change,
    }  # fmt: skip
    status: int = ask(op, "POST", "/token", form)[0]
    return status


def test_a_sound_exchange_goes_through(op: OpenIdProvider) -> None:
    assert exchanged(op) == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"client_secret": "wrong"}, 401),
        ({"client_id": "other"}, 401),
        ({"code": "made-up"}, 400),
        ({"code_verifier": VERIFIER}, 400),
        ({"redirect_uri": "http://127.0.0.1/other"}, 400),
    ],
)
def test_an_unsound_one_does_not(op: OpenIdProvider, change: dict[str, str], status: int) -> None:
    assert exchanged(op, **change) == status


def test_a_code_is_good_once(op: OpenIdProvider) -> None:
    code, verifier = code_of(op)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": verifier}
    good = "Basic " + b64encode(f"{op.client_id}:a+secret%3A+of+some%2Blength+%26+kind".encode()).decode()
    assert ask(op, "POST", "/token", form, Authorization=good)[0] == 200
    assert ask(op, "POST", "/token", form, Authorization=good)[0] == 400
    assert ask(op, "POST", "/token", form, Authorization="Basic ?")[0] == 401


@pytest.mark.parametrize("drop", ["code_challenge_method", "client_id"])
def test_a_request_without_pkce_or_client_is_refused(op: OpenIdProvider, drop: str) -> None:
    query = {
        "client_id": op.client_id, "redirect_uri": CALLBACK, "state": "s", "nonce": "n", "code_challenge": "c",
        "code_challenge_method": "S256",
    }  # fmt: skip
    assert op.sign_in(f"{op.issuer}/authorize?{urlencode(query)}").startswith(CALLBACK)
    del query[drop]
    assert op.sign_in(f"{op.issuer}/authorize?{urlencode(query)}") == "status 400"


def test_a_pushed_request_is_good_once(op: OpenIdProvider) -> None:
    party = RelyingParty(op, par=True)
    start = party.login.begin()
    assert op.sign_in(start.url).startswith(CALLBACK)
    assert op.sign_in(start.url) == "status 400"


def test_userinfo_wants_its_token(op: OpenIdProvider) -> None:
    assert ask(op, "GET", "/userinfo", Authorization="Bearer stolen")[0] == 401
    assert ask(op, "GET", "/nowhere")[0] == 404


def test_faults_end_with_their_block(op: OpenIdProvider) -> None:
    party = RelyingParty(op)
    with op.fault("id_token_other_nonce"), op.fault("answer_type_case"):
        start = party.login.begin()
        with pytest.raises(Exception, match="Authentication"):
            party.login.complete(op.sign_in(start.url), jar(start))
    assert party.sign_in().subject == "u-1"
    with pytest.raises(KeyError), op.fault("no such fault"):
        pass


def test_every_fault_says_which_rule_it_breaks() -> None:
    assert len(FAULTS) > 90
    assert all(fault.rule and name == fault.name for name, fault in FAULTS.items())
