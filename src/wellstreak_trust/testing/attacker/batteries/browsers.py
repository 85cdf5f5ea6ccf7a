"""From a page of somebody else, in the browser of somebody who is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from ..cast import Person
from ..finding import Attack, Case, Severity, Verdict, faulty, passed, unclear
from ..judge import must_refuse
from ..route import Route
from ..scene import Scene
from ..wire import Exchange, Lines

__all__ = ["ATTACKS"]

_EVIL: Final = "https://evil.example"
_REFUSALS: Final = frozenset((401, 403, 419))  # 419 is what some frameworks say of a missing token
_CROSS: Final = ("Sec-Fetch-Site", "cross-site")


def _pages(scene: Scene) -> dict[str, Lines]:
    """What a browser says of a request from a page that is not the host's."""
    host = scene.target.host
    other = "http" if scene.target.scheme == "https" else "https"
    return {
        "another site": (("Origin", _EVIL), _CROSS),
        "another site, an older browser": (("Origin", _EVIL),),
        "a sandboxed frame": (("Origin", "null"), _CROSS),
        "a sandboxed frame, an older browser": (("Origin", "null"),),
        "a site that begins alike": (("Origin", f"https://{host}.evil.example"),),
        "a site that ends alike": (("Origin", f"https://evil{host}"),),
        "the host in the user part": (("Origin", f"https://{host}@evil.example"),),
        "the host over the other scheme": (("Origin", f"{other}://{host}"),),
        "the host at another port": (("Origin", f"{scene.target.scheme}://{host.partition(':')[0]}:4443"),),
        "a sibling": (("Origin", f"https://evil.{host.partition('.')[2] or host}"), ("Sec-Fetch-Site", "same-site")),
        "a referrer alone": (("Referer", f"{_EVIL}/{host}"),),
        "two origins": (("Origin", scene.target.origin), ("Origin", _EVIL)),
        "no evidence at all": (),
        "a form of plain text": (("Origin", _EVIL), _CROSS, ("Content-Type", "text/plain")),
        "a plain form": (("Origin", _EVIL), _CROSS, ("Content-Type", "application/x-www-form-urlencoded")),
    }


def _browsing(scene: Scene) -> list[Person]:
    """Only cookies travel by themselves; who sends a token sends it on purpose."""
    return [person for person in scene.plan.people if person.cookies]


def _forged(scene: Scene) -> Iterator[Case]:
    for route in scene.guarded(safe=False):
        for person in _browsing(scene)[:1]:
            for variant, lines in _pages(scene).items():
                yield Case(route.place, variant, partial(_forge, scene, route, person, lines))


def _forge(scene: Scene, route: Route, person: Person, lines: Lines) -> Verdict:
    request = scene.request(route, person).without("Origin", "Sec-Fetch-Site")
    if any(name == "Content-Type" for name, _ in lines):
        request = request.without("Content-Type")
    found = scene.send(route.place, request.plus(*lines))
    answer = found.answer
    if answer.status == 400 and route.body is None:
        return unclear("400 may judge the input; give a body that is accepted", found)
    if answer.status in _REFUSALS or answer.status == 400:
        return passed(found)
    if answer.status in (404, 409, 422):
        return faulty(f"the request of a foreign page reaches the handler: {answer.status}", found)
    return must_refuse(found, "the request of a foreign page")


def _shared(scene: Scene) -> Iterator[Case]:
    host = scene.target.host
    origins = (_EVIL, "null", f"https://{host}.evil.example", f"https://evil{host}", f"http://{host}")
    for route in scene.guarded(safe=True):
        for person in scene.plan.people[:1]:
            for origin in origins:
                yield Case(route.place, origin, partial(_share, scene, route, person, origin))
                yield Case(route.place, f"{origin}, preflight", partial(_preflight, scene, route, origin))


def _share(scene: Scene, route: Route, person: Person, origin: str) -> Verdict:
    found = scene.send(route.place, scene.request(route, person).plus(("Origin", origin), _CROSS))
    return _shares(found, origin)


def _preflight(scene: Scene, route: Route, origin: str) -> Verdict:
    asked = scene.request(route, tenant=scene.members()[0].tenant if scene.members() else None)
    lines = (("Origin", origin), ("Access-Control-Request-Method", "PUT"), _CROSS)
    found = scene.send(f"OPTIONS {route.path}", replace(asked.plus(*lines), method="OPTIONS"))
    return _shares(found, origin)


def _shares(found: Exchange, origin: str) -> Verdict:
    allowed = found.answer.header("access-control-allow-origin")
    with_cookies = (found.answer.header("access-control-allow-credentials") or "").lower() == "true"
    if allowed is None or (allowed == "*" and not with_cookies) or allowed not in ("*", origin):
        return passed(found)
    severity = Severity.HIGH if with_cookies else Severity.MEDIUM
    return faulty(f"a page of {origin} may read the answer", found, severity=severity)


def _sockets(scene: Scene) -> Iterator[Case]:
    for route in scene.guarded(sockets=True):
        for person in _browsing(scene)[:1]:
            for variant, lines in _pages(scene).items():
                if "form" not in variant and "referrer" not in variant:
                    yield Case(route.place, variant, partial(_hijack, scene, route, person, lines))


def _hijack(scene: Scene, route: Route, person: Person, lines: Lines) -> Verdict:
    request = scene.request(route, person).without("Origin", "Sec-Fetch-Site", "Content-Type")
    found = scene.send(route.place, replace(request, body=b"").plus(*lines))
    return must_refuse(found, "the handshake of a foreign page")


ATTACKS: Final = (
    Attack(
        id="browsers.forged_request",
        threat="A foreign page sends a write with the cookie of whoever looks at it.",
        expected="403, before anything is read",
        severity=Severity.HIGH,
        meaning="Whoever visits a hostile page while signed in does what that page wants.",
        fix="Check where each write comes from: OriginPolicy() in the Trust.",
        weakness="CWE-352",
        cases=_forged,
        after=("anonymous.nothing",),
    ),
    Attack(
        id="browsers.shared_with_anybody",
        threat="A foreign page asks for data with the cookie of whoever looks at it, and reads the answer.",
        expected="no Access-Control-Allow-Origin for it",
        severity=Severity.HIGH,
        meaning="Hostile pages read what their visitors may read.",
        fix="List the origins that may: CorsPolicy([...], credentials=True). Never repeat the Origin that came.",
        weakness="CWE-942",
        cases=_shared,
    ),
    Attack(
        id="browsers.hijacked_socket",
        threat="A foreign page opens a websocket with the cookie of whoever looks at it.",
        expected="a refused handshake",
        severity=Severity.HIGH,
        meaning="Handshakes are under no CORS rule: hostile pages talk to the host as their visitors.",
        fix="Check the Origin of handshakes: TrustMiddleware does, with an OriginPolicy in the Trust.",
        weakness="CWE-1385",
        cases=_sockets,
        after=("anonymous.nothing",),
    ),
)
