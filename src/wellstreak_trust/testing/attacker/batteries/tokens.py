"""What becomes of a credential that is altered, forged, or given back."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256
from hmac import digest
from typing import Any, Final

from ..cast import Person, SignIn
from ..finding import Attack, Case, Severity, Verdict, faulty, passed, unclear
from ..judge import must_refuse
from ..route import Route
from ..scene import Scene

__all__ = ["ATTACKS"]

_REFUSALS: Final = (401,)
_PLANTED: Final = "planted-by-an-attacker-0123456789abcdef"


# --- altered ---------------------------------------------------------------------------------------------------------


def _altered(token: str) -> dict[str, str]:
    middle = len(token) // 2
    other = "B" if token[middle] == "A" else "A"
    return {
        "without its last character": token[:-1],
        "its first half": token[:middle],
        "one character changed": f"{token[:middle]}{other}{token[middle + 1 :]}",
        "one character more": f"{token}A",
        "in another case": token.swapcase(),
        "with a space in it": f"{token[:middle]} {token[middle:]}",
        "percent-encoded": "".join(f"%{ord(char):02X}" for char in token),
    }


def _with_token(person: Person, change: Callable[[str], str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The credential's lines with each of its tokens changed in turn."""
    if person.bearer is not None:
        lines = {n: v for n, v in person.headers.items() if n.lower() != "authorization"}
        yield "the bearer token", {**lines, "Authorization": f"Bearer {change(person.bearer)}"}
    for name, value in person.cookies.items():
        cookies = "; ".join(f"{n}={change(v) if n == name else v}" for n, v in person.cookies.items())
        lines = {n: v for n, v in person.headers.items() if n.lower() != "cookie"}
        if value:
            yield name, {**lines, "Cookie": cookies}


def _changed(scene: Scene) -> Iterator[Case]:
    for person, route in _one_route_each(scene):
        for variant in _altered("token"):
            for which, headers in _with_token(person, lambda token, v=variant: _altered(token)[v]):  # type: ignore[misc]  # bound by default
                yield Case(
                    route.place,
                    f"{person.name}'s {which}, {variant}",
                    partial(_presented, scene, route, person, headers),
                )


def _one_route_each(scene: Scene) -> Iterator[tuple[Person, Route]]:
    """What a credential is worth does not depend on the route; the first that somebody may read will do."""
    for person in scene.plan.people:
        route = next((r for r in scene.guarded(safe=True) if scene.control(person, r)[0].answer.ok), None)
        if route is not None:
            yield person, route


def _presented(scene: Scene, route: Route, person: Person, headers: Mapping[str, str]) -> Verdict:
    found = scene.send(route.place, scene.request(route, replace(person, headers=headers)))
    return must_refuse(found, "the altered credential", wanted=_REFUSALS)


# --- JSON Web Tokens -------------------------------------------------------------------------------------------------


def _forged(scene: Scene) -> Iterator[Case]:
    for person, route in _one_route_each(scene):
        for variant in _FORGERIES:
            for which, headers in _with_token(person, lambda token, v=variant: _forge(token, v)):  # type: ignore[misc]  # as above
                if headers != dict(person.headers):
                    what = f"{person.name}'s {which}: {variant}"
                    yield Case(route.place, what, partial(_presented, scene, route, person, headers))


def _read(part: str) -> Any:
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _part(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def _signed(header: Mapping[str, Any], claims: Any, key: bytes) -> str:
    content = f"{_part(header)}.{_part(claims)}"
    return f"{content}.{urlsafe_b64encode(digest(key, content.encode(), sha256)).decode().rstrip('=')}"


_FORGERIES: Final[dict[str, Callable[[dict[str, Any], Any, str], str]]] = {
    "algorithm none": lambda h, c, s: f"{_part(h | {'alg': 'none'})}.{_part(c)}.",
    "algorithm nOnE": lambda h, c, s: f"{_part(h | {'alg': 'nOnE'})}.{_part(c)}.",
    "algorithm none, the signature kept": lambda h, c, s: f"{_part(h | {'alg': 'none'})}.{_part(c)}.{s}",
    "no signature": lambda h, c, s: f"{_part(h)}.{_part(c)}.",
    "two parts": lambda h, c, s: f"{_part(h)}.{_part(c)}",
    "signed with an empty key": lambda h, c, s: _signed(h | {"alg": "HS256"}, c, b""),
    "signed with a guessable key": lambda h, c, s: _signed(h | {"alg": "HS256"}, c, b"secret"),
    "kid climbs to an empty file": lambda h, c, s: _signed(h | {"alg": "HS256", "kid": "../../../../dev/null"}, c, b""),
    "kid asks the database": lambda h, c, s: _signed(
        h | {"alg": "HS256", "kid": "x' UNION SELECT 'secret"}, c, b"secret"
    ),
    "a key of its own": lambda h, c, s: _signed(
        h | {"alg": "HS256", "jwk": {"kty": "oct", "k": "c2VjcmV0"}}, c, b"secret"
    ),
    "an unknown critical header": lambda h, c, s: f"{_part(h | {'crit': ['x'], 'x': 1})}.{_part(c)}.{s}",
    "claims changed": lambda h, c, s: f"{_part(h)}.{_part({**c, 'sub': 'admin', 'admin': True})}.{s}",
}


def _forge(token: str, variant: str) -> str:
    """The token forged, or itself where it is no JSON Web Token."""
    try:
        header, claims, signature = token.split(".")
        first, second = _read(header), _read(claims)
    except (ValueError, TypeError):
        return token
    usable = isinstance(first, dict) and isinstance(second, dict)
    return _FORGERIES[variant](first, second, signature) if usable else token


# --- sessions --------------------------------------------------------------------------------------------------------


def _sessions(scene: Scene, run: Callable[[Scene, Route, Person, SignIn], Verdict]) -> Iterator[Case]:
    sign_in = scene.plan.sign_in
    if sign_in is None:
        return
    for person, route in _one_route_each(scene):
        if person.name == sign_in.person:
            yield Case(route.place, person.name, partial(run, scene, route, person, sign_in))


def _left(scene: Scene, route: Route, person: Person, sign_in: SignIn) -> Verdict:
    again = replace(person, headers=sign_in.sign_in({}))
    before = scene.send(route.place, scene.request(route, again))
    if not before.answer.ok:
        return unclear("the new session is refused as well", before)
    sign_in.sign_out(again.headers)
    found = scene.send(route.place, scene.request(route, again))
    return must_refuse(found, "the session that was signed out", wanted=_REFUSALS)


def _fixed(scene: Scene, route: Route, person: Person, sign_in: SignIn) -> Verdict:
    if not person.cookies:
        return unclear("the credential is no cookie: nobody can plant it")
    planted = "; ".join(f"{name}={_PLANTED}" for name in person.cookies)
    sign_in.sign_in({"Cookie": planted})
    found = scene.send(route.place, scene.request(route, replace(person, headers={"Cookie": planted})))
    return must_refuse(found, "the planted session", wanted=_REFUSALS)


def _kept(scene: Scene, route: Route, person: Person, sign_in: SignIn) -> Verdict:
    first = replace(person, headers=sign_in.sign_in({}))
    second = replace(person, headers=sign_in.sign_in(dict(first.headers)))
    shared = [value for name, value in first.cookies.items() if second.cookies.get(name) == value]
    if first.cookies and shared:
        found = scene.send(route.place, scene.request(route, second))
        return faulty("a sign-in keeps the session that the browser brought", found)
    return passed()


_FORGEABLE: Final = "Whoever sees one token, or none, makes another."

ATTACKS: Final = (
    Attack(
        id="tokens.altered",
        threat="Presents a genuine credential cut, lengthened or changed by a character.",
        expected="401",
        severity=Severity.HIGH,
        meaning="Only a part of the credential is looked at; what is left is easier to guess.",
        fix="Look credentials up by a digest of the whole text, or verify the signature over it.",
        weakness="CWE-697",
        cases=_changed,
        after=("anonymous.nothing", "anonymous.false_credential"),
    ),
    Attack(
        id="tokens.forged",
        threat="Writes a JSON Web Token without a key, or with one that the token itself brings.",
        expected="401",
        severity=Severity.CRITICAL,
        meaning=_FORGEABLE,
        fix="Verify with a fixed algorithm and keys that the token cannot choose: JwtVerifier(keys, ...).",
        weakness="CWE-347",
        cases=_forged,
        after=("anonymous.nothing", "anonymous.false_credential"),
    ),
    Attack(
        id="tokens.outlives_sign_out",
        threat="Presents a session that was signed out.",
        expected="401",
        severity=Severity.HIGH,
        meaning="Signing out deletes a cookie in one browser; a stolen copy goes on.",
        fix="End the session on the server: SessionManager.revoke.",
        weakness="CWE-613",
        cases=partial(_sessions, run=_left),
        after=("anonymous.nothing",),
    ),
    Attack(
        id="tokens.fixed_before_sign_in",
        threat="Plants a session of its own choice in a browser, waits for the sign-in, and uses it.",
        expected="401",
        severity=Severity.HIGH,
        meaning="The attacker knows the session before its owner does.",
        fix="Open a new session at each sign-in: SessionManager.open.",
        weakness="CWE-384",
        cases=partial(_sessions, run=_fixed),
        after=("anonymous.nothing",),
    ),
    Attack(
        id="tokens.kept_at_sign_in",
        threat="Signs in with a live session at hand.",
        expected="another session",
        severity=Severity.MEDIUM,
        meaning="Whoever had the session before keeps it, now with more rights.",
        fix="Rotate at each sign-in: SessionManager.open with `replaces`.",
        weakness="CWE-384",
        cases=partial(_sessions, run=_kept),
        after=("anonymous.nothing", "tokens.fixed_before_sign_in"),
    ),
)
