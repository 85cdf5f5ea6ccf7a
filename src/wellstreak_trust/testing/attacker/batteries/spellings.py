"""Another tenant's name in every spelling that a router, a proxy and a database may read differently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import quote

from ..cast import Person
from ..finding import Attack, Case, Severity, Verdict, faulty, passed
from ..judge import alike, must_refuse
from ..route import Route
from ..scene import Scene
from ..wire import Request

__all__ = ["ATTACKS"]

# Most spellings lead to no route at all: what answers them is not the route.
_ELSEWHERE: Final = "GET elsewhere"
_FULL_WIDTH: Final = {code: code + 0xFEE0 for code in range(ord("!"), ord("~") + 1)}


def _spelled(name: str) -> dict[str, str]:
    """Ways to write a path segment; each is already encoded."""
    whole = "".join(f"%{ord(char):02X}" for char in name) if name.isascii() else quote(name)
    return {
        "upper case": quote(name.upper(), safe=""),
        "title case": quote(name.title(), safe=""),
        "percent-encoded": whole,
        "encoded twice": whole.replace("%", "%25"),
        "a trailing dot": f"{quote(name, safe='')}.",
        "a trailing space": f"{quote(name, safe='')}%20",
        "a leading space": f"%20{quote(name, safe='')}",
        "a trailing tab": f"{quote(name, safe='')}%09",
        "a trailing NUL": f"{quote(name, safe='')}%00",
        "a line break": f"{quote(name, safe='')}%0A",
        "an encoded slash": f"{quote(name, safe='')}%2F",
        "an encoded backslash": f"{quote(name, safe='')}%5C",
        "a matrix parameter": f"{quote(name, safe='')};x=1",
        "an encoded query": f"{quote(name, safe='')}%3Fx=1",
        "an encoded fragment": f"{quote(name, safe='')}%23",
        "full width": quote(name.translate(_FULL_WIDTH), safe=""),
        "a zero-width space": f"{quote(name, safe='')}%E2%80%8B",
        "a soft hyphen": f"{quote(name[:1], safe='')}%C2%AD{quote(name[1:], safe='')}",
        "overlong bytes": f"{quote(name, safe='')}%C0%AE",
        "a wildcard": "%25",
        "a star": "*",
        "an array": f"{quote(name, safe='')},{quote(name, safe='')}",
        "quotes": f"%22{quote(name, safe='')}%22",
    }


def _climbed(route: Route, scene: Scene, person: Person, tenant: str) -> dict[str, str]:
    """Ways to write the whole path: through the own tenant's, around slashes."""
    own = scene.request(route, person).target
    theirs = scene.request(route, person, tenant).target
    up = own.count("/") - own.endswith("/")
    return {
        "two slashes": "/" + theirs,
        "slashes doubled inside": theirs.replace("/", "//"),
        "a dot segment": "/." + theirs,
        "an encoded dot segment": "/%2e" + theirs,
        "up from the own": own.rstrip("/") + "/.." * up + theirs,
        "up from the own, encoded": own.rstrip("/") + "/%2e%2e" * up + theirs,
        "up from the own, slashes encoded": own.rstrip("/") + "%2f%2e%2e" * up + theirs.replace("/", "%2f"),
        "up by backslashes": own.rstrip("/") + "\\.." * up + theirs,
        "a matrix parameter before it": f"/;{scene.plan.people[0].name}" + theirs,
    }


def _by_spelling(scene: Scene) -> Iterator[Case]:
    for route in scene.guarded(safe=True):
        parameters = scene.tenant_parameters(route)
        if not parameters:
            continue
        for person, tenant in scene.borders(scene.members()):
            for variant in [*_spelled(tenant), *_climbed(route, scene, person, tenant)]:
                what = f"{person.name} at {tenant}, {variant}"
                yield Case(route.place, what, partial(_try, scene, route, person, (tenant, variant)))


def _try(scene: Scene, route: Route, person: Person, named: tuple[str, str]) -> Verdict:
    tenant, variant = named
    found = scene.send(_ELSEWHERE, _write(scene, route, person, tenant, variant))
    if found.answer.status >= 500:
        return must_refuse(found, variant)
    if not found.answer.ok:
        return passed(found)
    # A page that answers every path says nothing about the tenant.
    unknown = scene.nobody()
    nowhere = scene.send(_ELSEWHERE, _write(scene, route, person, unknown, variant))
    if alike(found, nowhere, (tenant, unknown)):
        return passed(found, nowhere)
    return faulty(f"{variant}: {person.name} of {person.tenant} is let into {tenant}", found, nowhere)


def _write(scene: Scene, route: Route, person: Person, tenant: str, variant: str) -> Request:
    spelled = _spelled(tenant)
    request = scene.request(route, person, tenant)
    if variant in spelled:
        parameters = scene.tenant_parameters(route)
        return scene.request(route, person, tenant, ids=dict.fromkeys(parameters, spelled[variant]), raw=parameters)
    return replace(request, target=_climbed(route, scene, person, tenant)[variant])


ATTACKS: Final = (
    Attack(
        id="tenants.by_spelling",
        threat="Writes another tenant's name in another case, encoding or alphabet, or climbs to it from the own.",
        expected="no success",
        severity=Severity.CRITICAL,
        meaning="Whoever checks the name reads it in one way, and whoever uses it in another.",
        fix="Check the very text that is used: take the tenant from the resolver's context, never from the path again.",
        weakness="CWE-178",
        cases=_by_spelling,
        after=("anonymous.nothing", "tenants.by_name"),
    ),
)
