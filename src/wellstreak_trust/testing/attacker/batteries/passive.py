"""What the answers to all the other attacks give away; nothing is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

from ..finding import Attack, Case, Severity, Verdict, faulty, passed
from ..scene import Scene
from ..wire import Exchange

__all__ = ["ATTACKS"]

_TRACES: Final = re.compile(
    r"Traceback \(most recent call last\)|File \"[^\"]+\", line \d+|<title>[^<]*(?:Werkzeug|Debugger|at /)"
    r"|sqlalche\.me|psycopg|sqlite3\.\w*Error|SyntaxError: |django\.(?:core|db)\.|\bORA-\d{5}\b"
)
_TELLING: Final = ("x-powered-by", "x-aspnet-version", "x-generator", "x-runtime", "x-debug-token")
_VERSION: Final = re.compile(r"\d+\.\d+")
_PRIVATE: Final = ("detail", "hint", "traceback", "exception", "stack", "debug")
_MEDIA: Final = "application/problem+json"
_REFUSALS: Final = (401, 403, 404, 429)

Look = Callable[[Scene, Exchange], str]


def _traces(scene: Scene, found: Exchange) -> str:
    match = _TRACES.search(found.answer.text) if found.answer.status >= 400 else None
    return f"the answer holds {match[0][:40]!r}" if match else ""


def _private(scene: Scene, found: Exchange) -> str:
    said = found.answer.json
    if found.answer.status < 400 or not isinstance(said, dict):
        return ""
    told = [name for name in _PRIVATE if said.get(name) and not _plain(said[name])]
    return f"the answer has {', '.join(told)}" if told else ""


def _plain(value: Any) -> bool:
    """Frameworks' own refusals say the name of the status under `detail`, and tell nothing by it."""
    return isinstance(value, str) and value in ("Not Found", "Method Not Allowed", "Unauthorized", "Forbidden")


def _media(scene: Scene, found: Exchange) -> str:
    kind = (found.answer.header("content-type") or "").partition(";")[0].strip()
    if found.answer.status not in _REFUSALS or not found.answer.body or kind == _MEDIA:
        return ""
    return f"a {found.answer.status} is {kind or 'of no media type'}, not {_MEDIA}"


def _cached(scene: Scene, found: Exchange) -> str:
    if found.answer.status not in (401, 403, 404) or "no-store" in (found.answer.header("cache-control") or ""):
        return ""
    return f"a {found.answer.status} may be cached"


def _sniffed(scene: Scene, found: Exchange) -> str:
    if not found.answer.ok or not found.answer.body:
        return ""
    right = (found.answer.header("x-content-type-options") or "").lower() == "nosniff"
    return "" if right else "X-Content-Type-Options: nosniff is missing"


def _downgraded(scene: Scene, found: Exchange) -> str:
    if scene.target.scheme != "https" or not found.answer.ok:
        return ""
    said = found.answer.header("strict-transport-security") or ""
    age = re.search(r"max-age=\"?(\d+)", said)
    return "" if age and int(age[1]) > 0 else "Strict-Transport-Security is missing"


def _telling(scene: Scene, found: Exchange) -> str:
    answer = found.answer
    named = next((name for name in _TELLING if answer.header(name)), None)
    if named is not None:
        return f"{named} says {answer.header(named)!r}"
    server = answer.header("server") or ""
    return f"Server says {server!r}" if _VERSION.search(server) else ""


def _cookies(scene: Scene, found: Exchange) -> str:
    for line in found.answer.every("set-cookie"):
        name, *rest = (part.strip() for part in line.split(";"))
        flags = {flag.partition("=")[0].lower(): flag.partition("=")[2].lower() for flag in rest}
        if name.partition("=")[2] in ("", '""') or flags.get("max-age") == "0":
            continue  # it takes a cookie back
        wanted = ["httponly", "samesite", *(["secure"] if scene.target.scheme == "https" else [])]
        missing = [flag for flag in wanted if flag not in flags]
        if missing:
            return f"the cookie {name.partition('=')[0]} is set without {', '.join(missing)}"
        if flags["samesite"] == "none" and "secure" not in flags:
            return f"the cookie {name.partition('=')[0]} has SameSite=None without Secure"
    return ""


def _echoes(scene: Scene, found: Exchange) -> str:
    for person in scene.plan.people:
        if any(len(secret) >= 16 and secret in found.answer.text for secret in person.secrets):
            return f"the answer repeats {person.name}'s credential"
    hooks = scene.plan.webhooks
    return "the answer holds a webhook secret" if any(hook.secret in found.answer.text for hook in hooks) else ""


def _looked(scene: Scene, look: Look, *, guarded: bool = False) -> Iterator[Case]:
    """One case a place, over everything seen there."""
    seen: dict[str, list[Exchange]] = {}
    known = {route.place for route in scene.plan.routes if route.guarded and not route.socket}
    for place, exchange in scene.seen:
        if (place in known or not guarded) and exchange.request.method != "WEBSOCKET":
            seen.setdefault(place, []).append(exchange)
    for place, exchanges in seen.items():
        yield Case(place, f"{len(exchanges)} answers", partial(_first, scene, look, exchanges))


def _first(scene: Scene, look: Look, exchanges: Iterable[Exchange]) -> Verdict:
    for exchange in exchanges:
        if fault := look(scene, exchange):
            return faulty(fault, exchange)
    return passed()


def _once(scene: Scene, look: Look) -> Iterator[Case]:
    """One case for the host: such headers are set for all answers or for none."""
    exchanges = [exchange for _, exchange in scene.seen if exchange.request.method != "WEBSOCKET"]
    yield Case("every route", f"{len(exchanges)} answers", partial(_first, scene, look, exchanges))


def _attack(id: str, severity: Severity, weakness: str, cases: Any, words: tuple[str, str, str, str]) -> Attack:
    threat, expected, meaning, fix = words
    return Attack(
        id=f"answers.{id}",
        threat=threat,
        expected=expected,
        severity=severity,
        meaning=meaning,
        fix=fix,
        weakness=weakness,
        cases=cases,
    )


ATTACKS: Final = (
    _attack("traceback", Severity.MEDIUM, "CWE-209", partial(_looked, look=_traces), (
        "Reads error answers for paths, versions and statements.",
        "no exception in an answer",
        "Attackers learn how the host is built, and see what their input did.",
        "Turn debug off; the adapters render errors without their text.",
    )),
    _attack("private_detail", Severity.LOW, "CWE-209", partial(_looked, look=_private), (
        "Reads error documents for what is meant for operators.",
        "type, title, status, code",
        "What a refusal turned on is told to whoever tries.",
        "Raise a TrustError and let the adapter render it; on FastAPI install problems(app).",
    )),
    _attack("credential", Severity.HIGH, "CWE-522", partial(_looked, look=_echoes), (
        "Looks for credentials in answers.",
        "none",
        "A credential in a body stands in caches, logs and screenshots.",
        "Never repeat a header or a cookie in a body.",
    )),
    _attack("media_type", Severity.LOW, "CWE-116", partial(_looked, look=_media, guarded=True), (
        "Reads the media type of refusals.",
        _MEDIA,
        "Clients cannot tell a refusal from a page; a page can be made to run.",
        "Render refusals with the adapter (RFC 9457).",
    )),
    _attack("cached_refusal", Severity.LOW, "CWE-525", partial(_looked, look=_cached, guarded=True), (
        "Reads Cache-Control of refusals.",
        "no-store",
        "A cache may serve one person's refusal to another, or to the same one after they were let in.",
        "Render refusals with the adapter; set Cache-Control: no-store.",
    )),
    _attack("sniffing", Severity.LOW, "CWE-430", partial(_once, look=_sniffed), (
        "Reads what browsers are told about media types.",
        "X-Content-Type-Options: nosniff",
        "A browser may run as a script what was stored as text.",
        "SecurityHeaders.api() or .app() in the Trust.",
    )),
    _attack("no_hsts", Severity.LOW, "CWE-319", partial(_once, look=_downgraded), (
        "Reads what browsers are told about https.",
        "Strict-Transport-Security over https",
        "The first request of a visit may go out in clear, with its cookies.",
        "SecurityHeaders.api() or .app() in the Trust; behind a proxy, let it say so.",
    )),
    _attack("version", Severity.LOW, "CWE-200", partial(_once, look=_telling), (
        "Reads what the server says about itself.",
        "no version, no framework",
        "Attackers pick what fits the version.",
        "Switch the header off where it is set.",
    )),
    _attack("cookie_flags", Severity.MEDIUM, "CWE-1004", partial(_looked, look=_cookies), (
        "Reads the flags of cookies.",
        "HttpOnly, SameSite, and Secure over https",
        "Scripts, other sites or anybody on the path get the cookie.",
        "Open sessions with SessionManager, whose cookies have all of them.",
    )),
)  # fmt: skip
