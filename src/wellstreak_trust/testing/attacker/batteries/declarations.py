"""Routes that say nothing about themselves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from ..finding import Attack, Case, Severity, Verdict, faulty, passed
from ..route import Route
from ..scene import Scene

__all__ = ["ATTACKS"]


def _undeclared(scene: Scene) -> Iterator[Case]:
    for route in scene.plan.routes:
        yield Case(route.place, "its declaration", partial(_look, scene, route))


def _look(scene: Scene, route: Route) -> Verdict:
    if route.declared:
        return passed()
    tenant = next((person.tenant for person in scene.members()), None)
    found = scene.send(route.place, scene.request(route, tenant=tenant)) if route.safe else None
    if found is None:
        return faulty("the route is neither guarded nor public")
    told = f"the route is neither guarded nor public, and answers anybody with {found.answer.status}"
    return faulty(told, found, severity=Severity.CRITICAL if found.answer.ok else None)


ATTACKS: Final = (
    Attack(
        id="declarations.missing",
        threat="Looks for routes that nobody decided about.",
        expected="every route is guarded, or public with a reason",
        severity=Severity.HIGH,
        meaning="What was added in a hurry, or by a framework, is open unless somebody remembers it.",
        fix="Guard it, or declare it @public(reason=...); assert_all_routes_declared(app) keeps it so.",
        weakness="CWE-306",
        cases=_undeclared,
    ),
)
