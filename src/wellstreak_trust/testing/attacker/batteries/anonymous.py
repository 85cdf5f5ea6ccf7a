"""Without a credential, with a false one, with two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from ..cast import Person
from ..finding import Attack, Case, Severity, Verdict, faulty, passed
from ..judge import must_refuse, same
from ..route import Route
from ..scene import Scene
from ..wire import Exchange, Lines, Request
from .overriding import overridden, overrides

__all__ = ["ATTACKS"]

_UNAUTHENTICATED: Final = 401
_LONG: Final = 9_000
_GARBAGE: Final[dict[str, Lines]] = {
    "an empty header": (("Authorization", ""),),
    "an empty bearer token": (("Authorization", "Bearer "),),
    "garbage": (("Authorization", "%%%"),),
    "a made-up token": (("Authorization", "Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),),
    "an unknown scheme": (("Authorization", "Digest username=admin"),),
    "admin and admin": (("Authorization", "Basic YWRtaW46YWRtaW4="),),
    "raw bytes": (("Authorization", b"Bearer \xff\xfe\x80"),),
    "an endless token": (("Authorization", "Bearer " + "a" * _LONG),),
    "a made-up API key": (("X-Api-Key", "test"),),
}
_IDENTITY: Final = (
    "X-User", "X-User-Id", "X-Forwarded-User", "X-Remote-User", "Remote-User", "X-Auth-Request-User",
    "X-Auth-Request-Email", "X-Authenticated-User", "X-Tenant-Id", "X-Original-User",
)  # fmt: skip
_REWRITES: Final = ("X-Original-URL", "X-Rewrite-URL")


def _judge_anonymous(scene: Scene, found: Exchange, what: str) -> Verdict:
    answer = found.answer
    if answer.status == _UNAUTHENTICATED:
        return passed(found)
    login = scene.plan.login_path
    if login and 300 <= answer.status < 400 and (answer.header("location") or "").startswith(login):
        return passed(found)
    if answer.ok or answer.status >= 500 or answer.status == 429:
        return must_refuse(found, what)
    if found.request.method == "WEBSOCKET" and answer.status == 403:  # all that a server can say to a handshake
        return passed(found)
    return faulty(f"{what} is answered {answer.status} in place of 401", found, severity=Severity.LOW)


def _about(scene: Scene, route: Route) -> Request:
    """A request about a tenant that is there, without a credential."""
    tenant = next((person.tenant for person in scene.members()), None)
    return scene.request(route, tenant=tenant)


def _nothing(scene: Scene) -> Iterator[Case]:
    for route in [*scene.guarded(), *scene.guarded(sockets=True)]:
        yield Case(route.place, "no credential", partial(_ask, scene, route, (), "nobody"))


def _ask(scene: Scene, route: Route, lines: Lines, what: str) -> Verdict:
    return _judge_anonymous(scene, scene.send(route.place, _about(scene, route).plus(*lines)), what)


def _false(scene: Scene) -> Iterator[Case]:
    kinds = dict(_GARBAGE)
    for name in dict.fromkeys(name for person in scene.plan.people for name in person.cookies):
        kinds[f"a made-up {name}"] = (("Cookie", f"{name}={'A' * 43}"),)
        kinds[f"an empty {name}"] = (("Cookie", f"{name}="),)
        kinds[f"raw bytes in {name}"] = (("Cookie", f"{name}=".encode() + b"\xff\xfe"),)
    for number, headers in enumerate(scene.plan.stale, 1):
        kinds[f"expired credential {number}"] = tuple(headers.items())
    for route in scene.guarded():
        for kind, lines in kinds.items():
            yield Case(route.place, kind, partial(_ask, scene, route, lines, kind))


def _named(scene: Scene) -> Iterator[Case]:
    for route in scene.guarded(safe=True):
        for person in scene.plan.people[:1]:
            for name in _IDENTITY:
                lines = ((name, person.id or person.name),)
                yield Case(route.place, name, partial(_ask, scene, route, lines, f"whoever says {name}"))


def _two(scene: Scene) -> Iterator[Case]:
    for route in scene.guarded(safe=True):
        for person in (person for person in scene.plan.people if scene.control(person, route)[0].answer.ok):
            for name, lines in _seconds(scene, person).items():
                yield Case(route.place, f"{person.name}, {name}", partial(_doubled, scene, route, person, lines))


def _seconds(scene: Scene, person: Person) -> dict[str, Lines]:
    found: dict[str, Lines] = {}
    if person.cookies:
        found["a false bearer token beside the cookie"] = (("Authorization", "Bearer x"),)
        found["the cookie twice"] = tuple(line for line in person.headers.items() if line[0].lower() == "cookie")
        other = next((each for each in scene.plan.people if each.cookies and each is not person), None)
        if other is not None:
            found["another's cookie beside it"] = tuple(other.headers.items())
    if person.bearer:
        found["a second bearer token"] = (("Authorization", "Bearer x"),)
    return found


def _doubled(scene: Scene, route: Route, person: Person, lines: Lines) -> Verdict:
    found = scene.send(route.place, scene.request(route, person).plus(*lines))
    return must_refuse(found, "a request with two credentials", wanted=(400, 401, 403))


def _methods(scene: Scene) -> Iterator[Case]:
    for route in scene.guarded(safe=True):
        for method in ("HEAD", "OPTIONS", "get", "PROPFIND"):
            yield Case(route.place, method, partial(_method, scene, route, method))


def _method(scene: Scene, route: Route, method: str) -> Verdict:
    found = scene.send(f"{method} {route.path}", replace(_about(scene, route), method=method))
    if found.answer.status >= 500 and found.answer.status != 501:
        return must_refuse(found, f"an anonymous {method}")
    if not found.answer.ok or (method == "OPTIONS" and not _shows(scene, route, found)):
        return passed(found)
    if method == "HEAD" or found.answer.body:
        return faulty(f"an anonymous {method} is let in: {found.answer.status}", found)
    return passed(found)


def _shows(scene: Scene, route: Route, found: Exchange) -> bool:
    """Whether an answer is what a guarded GET says; that OPTIONS lists methods is no secret."""
    known = (scene.control(person, route)[0].answer for person in scene.plan.people)
    return bool(found.answer.body) and any(answer.ok and answer.body == found.answer.body for answer in known)


def _overrides(scene: Scene) -> Iterator[Case]:
    for route in scene.guarded(safe=False):
        for by in overrides(scene, route):
            run = partial(overridden, scene, route, _about(scene, route), by)
            yield Case(route.place, f"nobody, {' with '.join(by)}", run)


def _rewrites(scene: Scene) -> Iterator[Case]:
    for route in scene.guarded(safe=True):
        for name in _REWRITES:
            yield Case(route.place, name, partial(_rewritten, scene, route, name))


def _rewritten(scene: Scene, route: Route, name: str) -> Verdict:
    wanted = _about(scene, route)
    plain = replace(wanted, target="/")
    before = scene.send("GET /", plain)
    found = scene.send("GET /", plain.plus((name, wanted.target)))
    if found.answer.status < 400 and not same(before, found):
        return faulty(f"{name} leads past the guard: {found.answer.status}", before, found)
    return passed(before, found)


_OPEN: Final = "Anybody on the internet reads or changes what this route serves."

ATTACKS: Final = (
    Attack(
        id="anonymous.nothing",
        threat="Asks without any credential.",
        expected="401",
        severity=Severity.CRITICAL,
        meaning=_OPEN,
        fix="Guard the route with an Operation; or declare it public, with the reason.",
        weakness="CWE-306",
        cases=_nothing,
    ),
    Attack(
        id="anonymous.false_credential",
        threat="Asks with an empty, made-up, malformed, oversized or expired credential.",
        expected="401, as without one",
        severity=Severity.CRITICAL,
        meaning="A credential that nobody gave out is taken for one.",
        fix="Verify the credential and refuse on every error; Authenticator([...]) does.",
        weakness="CWE-287",
        cases=_false,
        after=("anonymous.nothing",),
    ),
    Attack(
        id="anonymous.named_by_header",
        threat="Names somebody in a header that proxies use for it.",
        expected="401",
        severity=Severity.CRITICAL,
        meaning="Whoever reaches the host without its proxy is whoever they say.",
        fix="Take identities from verified credentials only.",
        weakness="CWE-290",
        cases=_named,
        after=("anonymous.nothing",),
    ),
    Attack(
        id="anonymous.two_credentials",
        threat="Sends a second credential beside a good one, so that two parts of the host see two people.",
        expected="401 or 400",
        severity=Severity.LOW,
        meaning="Which credential counts depends on who reads it: a proxy, a log and the guard may each see another.",
        fix="Take exactly one credential, else refuse; Authenticator([...]) does.",
        weakness="CWE-436",
        cases=_two,
        after=("anonymous.nothing", "anonymous.false_credential"),
    ),
    Attack(
        id="anonymous.other_method",
        threat="Asks without a credential by HEAD, OPTIONS, or a method in another case.",
        expected="no success",
        severity=Severity.HIGH,
        meaning="The guard looks at some methods; the handler runs for others too.",
        fix="Guard the endpoint, not the method.",
        weakness="CWE-650",
        cases=_methods,
        after=("anonymous.nothing",),
    ),
    Attack(
        id="anonymous.method_override",
        threat="Hides a write in a harmless method, by a header that frameworks take for the real one.",
        expected="the answer to the harmless method",
        severity=Severity.CRITICAL,
        meaning="The guard judges one method, and another one runs.",
        fix="Drop the method override, or put it before everything that judges the method.",
        weakness="CWE-650",
        cases=_overrides,
        after=("anonymous.nothing",),
    ),
    Attack(
        id="anonymous.rewritten_url",
        threat="Asks for an open path and names a guarded one in a header.",
        expected="the answer to the open path",
        severity=Severity.CRITICAL,
        meaning="The guard judges one path, and another one is served.",
        fix="Do not route by X-Original-URL or X-Rewrite-URL.",
        weakness="CWE-436",
        cases=_rewrites,
        after=("anonymous.nothing",),
    ),
)
