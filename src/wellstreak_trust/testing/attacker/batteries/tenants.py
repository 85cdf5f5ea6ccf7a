"""From one tenant into another: by name, by id, by both at once, by a field in a body."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from ..cast import Person
from ..finding import Attack, Case, Severity, Verdict, faulty, passed, unclear
from ..judge import alike, marks_in, must_refuse, same
from ..route import Route
from ..scene import Scene
from ..wire import Exchange, Lines, Request

__all__ = ["ATTACKS", "FIELDS"]

_REFUSALS: Final = (401, 403, 404)
FIELDS: Final = ("tenant_id", "tenant", "tenantId", "workspace_id", "workspace", "org_id", "organization_id")
_HEADERS: Final = (
    "X-Tenant-Id", "X-Tenant", "X-Workspace-Id", "X-Workspace", "X-Org-Id", "X-Organization-Id", "X-Account-Id",
)  # fmt: skip


# --- another's name --------------------------------------------------------------------------------------------------


def _by_name(scene: Scene) -> Iterator[Case]:
    for route in [*scene.guarded(), *scene.guarded(sockets=True)]:
        if scene.names_tenant(route):
            for person, tenant in scene.strangers():
                yield Case(route.place, f"{person.name} at {tenant}", partial(_named, scene, route, person, tenant))


def _named(scene: Scene, route: Route, person: Person, tenant: str) -> Verdict:
    found = scene.send(route.place, scene.request(route, person, tenant))
    return must_refuse(found, f"{person.name} of {person.tenant} at {tenant}", wanted=_REFUSALS)


def _exists(scene: Scene) -> Iterator[Case]:
    for route in scene.guarded():
        if scene.names_tenant(route):
            for person, tenant in scene.strangers():
                yield Case(route.place, f"{person.name} at {tenant}", partial(_oracle, scene, route, person, tenant))


def _oracle(scene: Scene, route: Route, person: Person, tenant: str) -> Verdict:
    unknown, ids = scene.nobody(), scene.ids_of(tenant, route)
    there = scene.send(route.place, scene.request(route, person, tenant))
    nowhere = scene.send(route.place, scene.request(route, person, unknown, ids=_but_tenants(scene, route, ids)))
    if there.answer.status == 429 or nowhere.answer.status == 429:
        return unclear("a rate limit answered", there, nowhere)
    if alike(there, nowhere, (tenant, unknown)):
        return passed(there, nowhere)
    return faulty(f"{tenant} is answered {_shown(there)}, a tenant that is not there {_shown(nowhere)}", there, nowhere)


def _but_tenants(scene: Scene, route: Route, ids: dict[str, str]) -> dict[str, str]:
    tenants = scene.tenant_parameters(route)
    return {name: value for name, value in ids.items() if name not in tenants}


def _shown(found: Exchange) -> str:
    return f"{found.answer.status} ({len(found.answer.body)} bytes)"


# --- another's ids ---------------------------------------------------------------------------------------------------


def _by_id(scene: Scene) -> Iterator[Case]:
    for route, person, tenant in _objects(scene):
        yield Case(route.place, f"{person.name}, ids of {tenant}", partial(_object, scene, route, person, tenant))


def _objects(scene: Scene) -> Iterator[tuple[Route, Person, str]]:
    for route in [*scene.guarded(), *scene.guarded(sockets=True)]:
        for person, tenant in scene.strangers():
            if any(name in scene.plan.ids.get(tenant, {}) for name in scene.object_parameters(route)):
                yield route, person, tenant


def _asked(scene: Scene, route: Route, person: Person, tenant: str) -> tuple[Exchange, Exchange, tuple[str, ...]]:
    """The same question about another's ids and about nobody's."""
    kinds = scene.object_parameters(route)
    theirs = {name: value for name, value in scene.plan.ids[tenant].items() if name in kinds}
    nobodys = {name: scene.nobody(kinds[name]) for name in theirs}
    there = scene.send(route.place, scene.request(route, person, ids=theirs))
    nowhere = scene.send(route.place, scene.request(route, person, ids=nobodys))
    return there, nowhere, (*theirs.values(), *nobodys.values())


def _object(scene: Scene, route: Route, person: Person, tenant: str) -> Verdict:
    there, nowhere, hidden = _asked(scene, route, person, tenant)
    if there.answer.ok and nowhere.answer.ok and alike(there, nowhere, hidden):
        return unclear("any id is answered alike, with success", there, nowhere)
    return must_refuse(there, f"{person.name} with an id of {tenant}", wanted=_REFUSALS)


def _object_exists(scene: Scene) -> Iterator[Case]:
    for route, person, tenant in _objects(scene):
        if not route.socket:
            variant = f"{person.name}, ids of {tenant}"
            yield Case(route.place, variant, partial(_object_oracle, scene, route, person, tenant))


def _object_oracle(scene: Scene, route: Route, person: Person, tenant: str) -> Verdict:
    there, nowhere, hidden = _asked(scene, route, person, tenant)
    if there.answer.status == 429 or nowhere.answer.status == 429:
        return unclear("a rate limit answered", there, nowhere)
    if alike(there, nowhere, hidden):
        return passed(there, nowhere)
    return faulty(f"an id of {tenant} is answered {_shown(there)}, an id of nobody {_shown(nowhere)}", there, nowhere)


# --- two tenants at once ---------------------------------------------------------------------------------------------


def _at_once(scene: Scene) -> Iterator[Case]:
    for route in scene.guarded(safe=True):
        for person, tenant in scene.borders(scene.able(route)):
            for name in _seconds(scene, tenant):
                variant = f"{person.name} also names {tenant} in {name}"
                yield Case(route.place, variant, partial(_second, scene, route, person, (tenant, name)))


def _seconds(scene: Scene, tenant: str) -> dict[str, tuple[str, Lines]]:
    """Query and header lines that name another tenant besides the one that is asked for."""
    found: dict[str, tuple[str, Lines]] = {f"?{name}": (f"{name}={tenant}", ()) for name in FIELDS}
    found |= {name: ("", ((name, tenant),)) for name in dict.fromkeys((*_HEADERS, scene.plan.naming.header)) if name}
    found["a cookie"] = ("", (("Cookie", f"tenant={tenant}"),))
    host = scene.plan.naming.host.replace("{tenant}", tenant) or f"{tenant}.{scene.target.host}"
    found["X-Forwarded-Host"] = ("", (("X-Forwarded-Host", host),))
    found["Forwarded"] = ("", (("Forwarded", f"host={host}"),))
    return found


def _second(scene: Scene, route: Route, person: Person, named: tuple[str, str]) -> Verdict:
    tenant, name = named
    before, again = scene.control(person, route)
    query, lines = _seconds(scene, tenant)[name]
    request = scene.request(route, person)
    if name == "a cookie" and person.cookies:
        request = _with_cookie(request, f"tenant={tenant}")
    else:
        request = replace(request.plus(*lines), target=request.target + (f"?{query}" if query else ""))
    found = scene.send(route.place, request)
    return _unmoved(scene, (before, again, found), tenant, f"{name} beside {person.tenant}")


def _with_cookie(request: Request, pair: str) -> Request:
    lines = tuple((n, f"{v!s}; {pair}") if n.lower() == "cookie" else (n, v) for n, v in request.headers)
    return replace(request, headers=lines)


def _unmoved(scene: Scene, exchanges: tuple[Exchange, Exchange, Exchange], tenant: str, what: str) -> Verdict:
    """Refused, or the answer of old. Two genuine answers tell whether there is one."""
    before, again, found = exchanges
    if found.answer.status >= 500:
        return must_refuse(found, what)
    if not found.answer.ok:
        return passed(found)
    mark = marks_in(found.answer, scene.plan.marks.get(tenant, ()))
    if mark and not marks_in(before.answer, [mark]):
        return faulty(f"{what}: the answer holds what is {tenant}'s", before, found)
    if same(before, again) and not same(before, found):
        return faulty(f"{what} changes the answer", before, found)
    return passed(before, found)


ATTACKS: Final = (
    Attack(
        id="tenants.by_name",
        threat="A member of one tenant names another one where the host expects the name.",
        expected="404",
        severity=Severity.CRITICAL,
        meaning="Every customer reads or changes what belongs to every other one.",
        fix="Prove the membership of whoever is named, on every request: TenantResolver(sources, memberships).",
        weakness="CWE-639",
        cases=_by_name,
        after=("anonymous.nothing",),
    ),
    Attack(
        id="tenants.name_oracle",
        threat="Asks about another tenant and about one that is not there, and compares the answers.",
        expected="the same bytes",
        severity=Severity.MEDIUM,
        meaning="Outsiders learn who the customers are.",
        fix="Answer a tenant that is not theirs as one that is not there.",
        weakness="CWE-204",
        cases=_exists,
        after=("anonymous.nothing", "anonymous.false_credential", "tenants.by_name"),
    ),
    Attack(
        id="tenants.by_id",
        threat="A member of one tenant asks their own tenant for an object of another.",
        expected="404",
        severity=Severity.CRITICAL,
        meaning="Objects are found by their id alone; whoever learns or guesses one has it.",
        fix="Put the tenant into every statement: TenantGuard for SQLAlchemy, TenantModel for Django.",
        weakness="CWE-639",
        cases=_by_id,
        after=("anonymous.nothing", "tenants.by_name"),
    ),
    Attack(
        id="tenants.id_oracle",
        threat="Asks for an id of another tenant and for one of nobody, and compares the answers.",
        expected="the same bytes",
        severity=Severity.MEDIUM,
        meaning="Outsiders learn which objects other customers have.",
        fix="Find the object inside the tenant first, and judge afterwards.",
        weakness="CWE-204",
        cases=_object_exists,
        after=("anonymous.nothing", "tenants.by_name", "tenants.by_id"),
    ),
    Attack(
        id="tenants.two_at_once",
        threat="Names the own tenant where it is checked, and another one where it might be read.",
        expected="a refusal, or the answer about the own tenant",
        severity=Severity.CRITICAL,
        meaning="One part of the host checks one tenant, and another part serves another.",
        fix="Resolve the tenant once, and take it from there: require_tenant().",
        weakness="CWE-436",
        cases=_at_once,
        after=("anonymous.nothing", "tenants.by_name"),
    ),
)
