"""What we accept, PyJWT and joserfc accept too, and read the same: on tokens that were changed in thousands of ways.

``WT_ORACLE_CASES=100000`` asks about so many. A token is good or changed in its text, its header, its payload or its
signature; headers and payloads are signed again, so that what stands behind the signature is reached.
"""

from __future__ import annotations

import json
import os
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt as pyjwt
import pytest
from joserfc import jwk as joserfc_jwk
from joserfc import jws as joserfc_jws
from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry
from joserfc.jwt import decode as joserfc_decode

from forge import AUDIENCE, ISSUER, SECRET, b64, header, pem, private, signed, verifier
from wellstreak_trust.core import FixedClock
from wellstreak_trust.identity import InvalidToken

CASES = int(os.environ.get("WT_ORACLE_CASES", "4000"))
AT = int(time.time())  # PyJWT reads the clock of the machine; no case is nearer to an edge than a minute
LEEWAY = timedelta(seconds=30)
ALGORITHMS = ("HS256", "RS256", "PS256", "ES256", "EdDSA")
REQUIRED: Any = {"require": ["iss", "sub", "aud", "exp", "iat"]}

VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 1.5, AT - 70, AT + 600, AT - 600, AT + 600.25, float(AT - 60), 10**30, "", "a", "é",
    "\ud800", ISSUER, AUDIENCE, [AUDIENCE], [AUDIENCE, "other"], [], {}, [AUDIENCE, 7], {"a": 1}, str(AT + 600),
    "a" * 300, "k1", "at+jwt", "AT+JWT", "application/at+jwt", "JWT", "b\n", [[]], "none", *ALGORITHMS,
]  # fmt: skip
CLAIMS = ("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "scope", "x", "cnf", "nonce")
MEMBERS = ("alg", "typ", "kid", "crit", "b64", "zip", "cty", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "x", "iss")
NUMBERS = ("{}", "{}.0", "{}e0", "{}E+0", "0{}", "+{}", "{}.", " {}", "{}_0", "0x{}", "-{}", "{}.5")


def claims(pick: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u1", "iat": AT - 100, "exp": AT + 600}
    if pick.random() < 0.3:
        found["aud"] = [AUDIENCE, "other"]
    if pick.random() < 0.3:
        found |= {"nbf": AT - 100.5, "jti": "j", "name": "Ada \U0001f642"}
    return found


def changed(pick: random.Random, members: dict[str, Any], names: tuple[str, ...]) -> bytes:
    """JSON of `members` after a change or two, in its values, its names or its text."""
    for _ in range(pick.choice((1, 1, 2))):
        name = pick.choice(names)
        if pick.random() < 0.2:
            members.pop(name, None)
        else:
            members[name] = pick.choice(VALUES)
    text = json.dumps(members, ensure_ascii=pick.random() < 0.7)
    if pick.random() < 0.25:
        text = pick.choice(TEXTS)(pick, text)
    return text.encode("utf-8", "surrogatepass")


def _twice(pick: random.Random, text: str) -> str:
    return text[:-1] + f', "{pick.choice((*CLAIMS, *MEMBERS))}": {json.dumps(pick.choice(VALUES))}}}'


def _number(pick: random.Random, text: str) -> str:
    return text.replace(str(AT + 600), pick.choice(NUMBERS).format(AT + 600))


TEXTS: tuple[Callable[[random.Random, str], str], ...] = (
    _twice,
    _number,
    lambda pick, text: pick.choice((" ", "\n", "\ufeff", "\x00", "\u00a0", "\x0b")) + text,
    lambda pick, text: text + pick.choice((" ", "\n", "\x00", "}", "{}", ",")),
    lambda pick, text: text.replace(", ", pick.choice((",", " ,\t", ",,", ";", ",\n\n"))),
    lambda pick, text: text.replace('"iss"', pick.choice(('"\\u0069ss"', "'iss'", '"ISS"', '"iss\\u0000"', '"iss "'))),
    lambda pick, text: text.replace('"', "'") if pick.random() < 0.3 else text[: pick.randrange(len(text))],
    lambda pick, text: text[:-1] + ', "n": ' + pick.choice(("NaN", "1e999", "-Infinity", "01", "1.", "/**/1")) + "}",
    lambda pick, text: "[" + text + "]",
)


def scrambled(pick: random.Random, token: str) -> str:
    """A token with its text changed, and nothing signed again."""
    at = pick.randrange(len(token))
    parts = token.split(".")
    return pick.choice(
        (
            lambda: token[:at] + pick.choice("ABCxyz019-_=.+/ \n\x00é") + token[at + 1 :],
            lambda: token[:at] + pick.choice("AQgw=.\n \t-_") + token[at:],
            lambda: token[:at] + token[at + 1 :],
            lambda: token + pick.choice(("=", "==", "A", ".", ".AA", "\n", " ")),
            lambda: pick.choice((" ", "\n", ".", "A", "\ufeff")) + token,
            lambda: ".".join(pick.sample(parts, 3)),
            lambda: ".".join([*parts[:2], pick.choice(("", "AA", parts[2][:-2], parts[2] * 2))]),
            lambda: ".".join([pick.choice(("", "e30", parts[1])), *parts[1:]]),
            lambda: token.swapcase(),
        )
    )()


def case(pick: random.Random) -> tuple[str, str, str]:
    """An algorithm, what was done, and the token."""
    alg = pick.choice(ALGORITHMS)
    kind = pick.choice(("good", "text", "header", "payload", "payload", "key"))
    head: Any = header(alg)
    body: Any = claims(pick)
    key = None
    if kind == "header":
        head = changed(pick, head, MEMBERS)
    elif kind == "payload":
        body = changed(pick, body, CLAIMS)
    elif kind == "key":
        key = private(alg, pick.choice((0, 1)))
    token = signed(head, body if isinstance(body, bytes) else json.dumps(body).encode(), alg=alg, key=key)
    return alg, kind, scrambled(pick, token) if kind == "text" else token


class Three:
    """The three verifiers, set to the same policy."""

    def __init__(self) -> None:
        clock = FixedClock(datetime.fromtimestamp(AT, UTC))
        self.ours = {alg: verifier(alg, leeway=LEEWAY, clock=clock) for alg in ALGORITHMS}
        self.public = {alg: SECRET if alg == "HS256" else private(alg).public_key() for alg in ALGORITHMS}
        kinds: dict[str, Any] = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
        self.keys: dict[str, Any] = {alg: joserfc_jwk.import_key(pem(alg), kind) for alg, kind in kinds.items()}
        self.keys["HS256"] = joserfc_jwk.OctKey.import_key(SECRET)
        self.registry = JWTClaimsRegistry(
            now=AT,
            leeway=30,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        # Members of the header that nobody marked critical are notes; joserfc refuses them unless told so.
        self.lenient = joserfc_jws.JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
        self.lenient.max_header_length = 2_048  # its 512 octets are fewer than what we read on purpose

    def pyjwt(self, alg: str, token: str) -> Any:
        return pyjwt.decode(
            token, self.public[alg], [alg], audience=AUDIENCE, issuer=ISSUER, leeway=LEEWAY, options=REQUIRED
        )

    def joserfc(self, alg: str, token: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # EdDSA is to be called Ed25519 one day (RFC 9864)
            found = joserfc_decode(token, self.keys[alg], algorithms=[alg], registry=self.lenient).claims
        self.registry.validate(found)
        return found


def test_what_we_accept_both_accept_and_read_the_same():
    pick, three, seen = random.Random(20261124), Three(), Counter[tuple[str, bool]]()
    for _ in range(CASES):
        alg, kind, token = case(pick)
        try:
            found = dict(three.ours[alg].verify(token))
        except InvalidToken:
            seen[kind, False] += 1
            continue
        seen[kind, True] += 1
        try:
            theirs = three.pyjwt(alg, token), three.joserfc(alg, token)
        except (pyjwt.PyJWTError, JoseError, ValueError) as refusal:
            pytest.fail(f"accepted here and nowhere else: {alg} {token} ({refusal!r})")
        assert theirs == (found, found)
    # Both answers in numbers, or the cases ask nothing.
    assert all(seen[kind, True] > CASES // 100 for kind in ("good", "header", "payload", "key"))
    assert all(seen[kind, False] > CASES // 100 for kind in ("text", "header", "payload", "key"))
    assert seen["good", False] == 0


def test_a_good_token_is_good_to_all_three():
    three = Three()
    for alg in ALGORITHMS:
        body = claims(random.Random(1))
        token = signed(header(alg), body, alg=alg)
        assert b64(body) in token
        assert dict(three.ours[alg].verify(token)) == three.pyjwt(alg, token) == three.joserfc(alg, token) == body
