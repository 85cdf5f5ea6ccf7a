"""Bytes that no client of the host would send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from ..finding import Attack, Case, Severity, Verdict, faulty, passed, unclear
from ..judge import must_refuse
from ..route import Route
from ..scene import Scene
from ..wire import Lines, Request

__all__ = ["ATTACKS", "MARK"]

MARK: Final = "zq7-planted-9c41e0"  # what must never come back
_DEEP: Final = 20_000
_LONG: Final = 16_384

_LINES: Final[dict[str, Lines]] = {
    "raw bytes in a header": (("X-Request-Id", b"\xff\xfe\x80"),),
    "a long header": (("X-Request-Id", "a" * _LONG),),
    "a false content length of text": (("X-Content-Length", "NaN"),),
    "raw bytes in Accept": (("Accept", b"\xff/\xff;q=\xff"),),
    "a false language": (("Accept-Language", "*" * 500),),
    "a false range": (("Range", "bytes=-1-,99999999999999999999-"),),
    "false conditions": (("If-Modified-Since", "yesterday"), ("If-None-Match", '"' * 99)),
    "raw bytes in cookies": (("X-Cookie", b"\xff"), ("Cookie", b"a=\xff\xfe; =; ;;; b")),
    "a false forwarded address": (("X-Forwarded-For", "' OR 1=1 --, \t,,"),),
}
_QUERIES: Final = {
    "a NUL in the query": "q=%00",
    "half a percent sign": "q=%",
    "no UTF-8 in the query": "q=%FF%FE&%FF=1",
    "a thousand parameters": "&".join(f"p{number}=1" for number in range(1_000)),
    "an array for a value": "limit[]=1&limit=1&limit=x",
    "a huge number": "limit=" + "9" * 400,
    "a quote": "q='%20OR%20'1'='1",
    "a surrogate": "q=%ED%A0%80",
}
_BODIES: Final[dict[str, tuple[str, bytes]]] = {
    "no JSON": ("application/json", b'{"password": "' + MARK.encode() + b'"'),
    "deep JSON": ("application/json", b"[" * _DEEP + b"]" * _DEEP),
    "a JSON number for an object": ("application/json", b"1e999"),
    "NaN": ("application/json", b'{"x": NaN}'),
    "null": ("application/json", b"null"),
    "wrong types": (
        "application/json",
        b'{"email": {"$ne": 1}, "password": ["' + MARK.encode() + b'"], "id": 1e400, "name": null}',
    ),
    "no UTF-8": ("application/json", b'{"a": "\xff\xfe"}'),
    "a lone surrogate": ("application/json", b'{"email": "\\ud800", "password": "\\ud800"}'),
    "a NUL": ("application/json", b'{"email": "a\\u0000b", "password": "\\u0000"}'),
    "a long number": ("application/json", b'{"id": ' + b"9" * 5_000 + b"}"),
    "JSON said to be XML": ("application/xml", b"<a/>"),
    "a false media type": ("\xff/;;", b"{}"),
    "an unknown charset": ("application/json; charset=x-none", b"{}"),
    "multipart without a border": ("multipart/form-data", b"--x\r\n\r\n"),
    "a broken multipart": ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\r\n\r\n"),
    "an empty body": ("application/json", b""),
}


def _inputs(scene: Scene) -> Iterator[Case]:
    """Reads with a credential; writes only where nothing can come of them."""
    for route in scene.plan.routes:
        if route.socket or not route.declared:
            continue
        if route.safe or route.public or route.benign:
            for variant, lines in _LINES.items():
                yield Case(route.place, variant, partial(_line, scene, route, lines, variant))
            for variant, query in _QUERIES.items():
                yield Case(route.place, variant, partial(_query, scene, route, query, variant))
        if not route.safe:
            for variant, (kind, body) in _BODIES.items():
                yield Case(route.place, variant, partial(_body, scene, route, (kind, body), variant))


def _base(scene: Scene, route: Route) -> Request:
    """By somebody who may where that is harmless, and by nobody else where it is not."""
    person = scene.insider(route) if route.guarded and (route.safe or route.benign) else None
    tenant = person.tenant if person is not None else next((p.tenant for p in scene.members()), None)
    return scene.request(route, person, tenant)


def _line(scene: Scene, route: Route, lines: Lines, what: str) -> Verdict:
    request = _base(scene, route)
    return _judged(scene, route, (request, request.plus(*lines)), what)


def _query(scene: Scene, route: Route, query: str, what: str) -> Verdict:
    request = _base(scene, route)
    return _judged(scene, route, (request, replace(request, target=f"{request.target}?{query}")), what)


def _body(scene: Scene, route: Route, sent: tuple[str, bytes], what: str) -> Verdict:
    kind, body = sent
    request = _base(scene, route)
    sent_as = replace(request.without("Content-Type").plus(("Content-Type", kind)), body=body)
    return _judged(scene, route, (request, sent_as), what)


def _judged(scene: Scene, route: Route, requests: tuple[Request, Request], what: str) -> Verdict:
    """The malformed request, and where it breaks something the well-formed one: a dependency may be down."""
    well_formed, malformed = requests
    found = scene.send(route.place, malformed)
    if found.answer.status >= 500 and found.answer.status != 501:
        before = scene.send(route.place, well_formed)
        if before.answer.status == found.answer.status:
            return unclear(f"{before.answer.status} without it as well", before, found)
        return must_refuse(found, what)
    if MARK in found.answer.text:
        return faulty("the answer repeats what stood in a password", found, severity=Severity.LOW)
    return passed(found)


ATTACKS: Final = (
    Attack(
        id="malformed.input",
        threat="Sends broken headers, queries and bodies, and looks for what breaks and what comes back.",
        expected="4xx or the usual answer; nothing repeated",
        severity=Severity.MEDIUM,
        meaning="An error that nobody thought of: at least an alarm that anybody can ring, often the way to more; or "
        "an answer that carries a secret into logs and caches.",
        fix="Answer input with InvalidRequest where it is read; on FastAPI install problems(app).",
        weakness="CWE-20",
        cases=_inputs,
        after=("anonymous.nothing",),
    ),
)
