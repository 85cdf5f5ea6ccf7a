"""A body that names another tenant as the owner of what it writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from ..cast import Person
from ..finding import Attack, Case, Severity, Verdict, faulty, passed
from ..judge import must_refuse, same
from ..route import Route
from ..scene import Scene
from .tenants import FIELDS

__all__ = ["ATTACKS"]


def _assigned(scene: Scene) -> Iterator[Case]:
    for route in scene.guarded(safe=False):
        if not route.benign or not isinstance(route.body, dict):
            continue
        for person, tenant in scene.strangers():
            for name in FIELDS:
                variant = f"{person.name} writes {name}: {tenant}"
                yield Case(route.place, variant, partial(_assign, scene, route, person, (tenant, name)))


def _assign(scene: Scene, route: Route, person: Person, named: tuple[str, str]) -> Verdict:
    tenant, name = named
    before = _views(scene, tenant)
    request = scene.request(route, person)
    body = json.dumps({**route.body, name: tenant}).encode()
    found = scene.send(route.place, replace(request, body=body))
    if found.answer.status >= 500:
        return must_refuse(found, f"{name} in a body")
    if not found.answer.ok:
        return passed(found)
    if _says(found.answer.json, name, tenant):
        return faulty(f"the answer says {name} is {tenant}", found)
    after = _views(scene, tenant)
    changed = [place for place, view in after.items() if place in before and before[place] != view]
    if changed:
        return faulty(f"{name} in a body changes what {tenant} sees at {changed[0]}", found)
    return passed(found)


def _views(scene: Scene, tenant: str) -> dict[str, bytes]:
    """What the tenant's people read, where it holds still by itself."""
    found: dict[str, bytes] = {}
    for route in scene.guarded(safe=True):
        person = next((person for person in scene.able(route) if person.tenant == tenant), None)
        if person is not None and same(*scene.control(person, route)):
            answer = scene.send(route.place, scene.request(route, person)).answer
            if answer.ok:
                found[route.place] = answer.body
    return found


def _says(value: Any, name: str, wanted: str) -> bool:
    if isinstance(value, dict):
        return value.get(name) == wanted or any(_says(item, name, wanted) for item in value.values())
    return isinstance(value, list) and any(_says(item, name, wanted) for item in value)


ATTACKS: Final = (
    Attack(
        id="tenants.assigned",
        threat="Writes into the own tenant a body that names another as the owner.",
        expected="a refusal, or a row of the own tenant",
        severity=Severity.HIGH,
        meaning="Whoever may write at all writes into other tenants.",
        fix="Never take the tenant from what a client sends; the guards of the ORMs stamp it.",
        weakness="CWE-915",
        cases=_assigned,
        after=("anonymous.nothing", "tenants.by_name"),
    ),
)
