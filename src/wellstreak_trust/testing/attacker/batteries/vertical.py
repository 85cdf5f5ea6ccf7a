"""Inside one tenant: what a role may not do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from ....core.principal import Principal
from ..cast import Person
from ..finding import Attack, Case, Severity, Verdict, passed
from ..judge import must_refuse
from ..route import Route
from ..scene import Scene
from .overriding import overridden, overrides

__all__ = ["ATTACKS"]

# Whatever the resource: other refusals of a policy may turn on attributes that are not known here.
_NEVER: Final = frozenset(("no_grant", "tenant_mismatch"))


def _denied(scene: Scene, person: Person, route: Route) -> bool:
    """Whether the person may not use the route, by the roles it names or by the policy."""
    if route.roles is not None:
        return not set(person.roles) & set(route.roles)
    policy, operation = scene.plan.policy, route.operation
    if policy is None or operation is None:
        return False
    subject = Principal(person.id or person.name, tenant_id=person.tenant, roles=frozenset(person.roles), aal=2)
    return policy.check(subject, operation.permission).code in _NEVER


def _pairs(scene: Scene, *, safe: bool | None = None, sockets: bool = False) -> Iterator[tuple[Route, Person]]:
    for route in scene.guarded(safe=safe, sockets=sockets):
        for person in scene.plan.people:
            if _denied(scene, person, route):
                yield route, person


def _beyond(scene: Scene) -> Iterator[Case]:
    for route, person in [*_pairs(scene), *_pairs(scene, sockets=True)]:
        yield Case(route.place, person.name, partial(_ask, scene, route, person))


def _whose(scene: Scene, route: Route, person: Person) -> str | None:
    """An operator of the platform asks about somebody's tenant; a member about their own."""
    return person.tenant or next((other.tenant for other in scene.members()), None)


def _ask(scene: Scene, route: Route, person: Person) -> Verdict:
    request = scene.request(route, person, _whose(scene, route, person))
    return must_refuse(scene.send(route.place, request), f"{person.name} ({_roles(person)})")


def _roles(person: Person) -> str:
    return ", ".join(sorted(person.roles)) or "no role"


def _heads(scene: Scene) -> Iterator[Case]:
    for route, person in _pairs(scene, safe=True):
        yield Case(route.place, f"{person.name}, HEAD", partial(_head, scene, route, person))


def _head(scene: Scene, route: Route, person: Person) -> Verdict:
    request = replace(scene.request(route, person, _whose(scene, route, person)), method="HEAD")
    found = scene.send(f"HEAD {route.path}", request)
    return must_refuse(found, f"HEAD by {person.name}") if found.answer.ok else passed(found)


def _overrides(scene: Scene) -> Iterator[Case]:
    for route, person in _pairs(scene, safe=False):
        plain = scene.request(route, person, _whose(scene, route, person))
        for by in overrides(scene, route):
            yield Case(route.place, f"{person.name}, {' with '.join(by)}", partial(overridden, scene, route, plain, by))


ATTACKS: Final = (
    Attack(
        id="vertical.beyond_role",
        threat="A member of the tenant calls what their role does not allow.",
        expected="403, or 404 where it is concealed",
        severity=Severity.HIGH,
        meaning="Roles are shown in the interface and not enforced behind it.",
        fix="Guard the route with an Operation whose permission the role does not hold.",
        weakness="CWE-862",
        cases=_beyond,
        after=("anonymous.nothing",),
    ),
    Attack(
        id="vertical.head",
        threat="Asks by HEAD for what the role may not GET.",
        expected="no success",
        severity=Severity.MEDIUM,
        meaning="The handler runs for those who may not call it, and its headers are told.",
        fix="Guard the endpoint, not the method.",
        weakness="CWE-650",
        cases=_heads,
        after=("anonymous.nothing", "anonymous.other_method", "vertical.beyond_role"),
    ),
    Attack(
        id="vertical.method_override",
        threat="Hides a write that the role may not do in a method that it may use.",
        expected="the answer to the outer method",
        severity=Severity.HIGH,
        meaning="The guard judges one method, and another one runs.",
        fix="Drop the method override, or put it before everything that judges the method.",
        weakness="CWE-650",
        cases=_overrides,
        after=("anonymous.nothing", "anonymous.method_override", "vertical.beyond_role"),
    ),
)
