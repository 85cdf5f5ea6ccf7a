"""More than a tenant may, on purpose. Nothing here is tried unless a burst is named: it spends the limit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from ..cast import Burst, Person
from ..finding import Attack, Case, Severity, Verdict, faulty, passed, unclear
from ..route import Route
from ..scene import Scene
from ..wire import Exchange

__all__ = ["ATTACKS"]

_LIMITED: Final = 429
_GENEROUS: Final = 2  # some come back while the burst is under way


def _bursts(scene: Scene) -> Iterator[Case]:
    for burst in scene.plan.bursts:
        route = next((route for route in scene.plan.routes if route.place == burst.place), None)
        if route is not None:
            yield Case(route.place, f"{burst.limit} and one more", partial(_burst, scene, route, burst))


def _burst(scene: Scene, route: Route, burst: Burst) -> Verdict:
    able = scene.able(route)
    other = next((person for person in able if person.tenant != able[0].tenant), None) if able else None
    if not able:
        return unclear("nobody's genuine request succeeds")
    if scene.plan.on_limited is not None:
        scene.plan.on_limited(burst.per)  # what the attacks before have spent comes back
    found = _until_limited(scene, route, able[0], _GENEROUS * burst.limit)
    if not found.answer.ok and found.answer.status != _LIMITED:
        return unclear(f"the genuine request is answered {found.answer.status} by now", found)
    if found.answer.status != _LIMITED:
        return faulty(f"{_GENEROUS * burst.limit} requests are let in where {burst.limit} may", found)
    wait = found.answer.header("retry-after") or ""
    if not wait.isdigit() or int(wait) < 1:
        return faulty(f"Retry-After is {wait!r}", found, severity=Severity.LOW)
    if other is None:
        return passed(found)
    beside = _once(scene, route, other)
    if beside.answer.status == _LIMITED:
        return faulty(f"{other.tenant} is stopped by what {able[0].tenant} spent", found, beside)
    return passed(found, beside)


def _until_limited(scene: Scene, route: Route, person: Person, times: int) -> Exchange:
    found = _once(scene, route, person)
    for _ in range(times - 1):
        if found.answer.status == _LIMITED:
            break
        found = _once(scene, route, person)
    return found


def _once(scene: Scene, route: Route, person: Person) -> Exchange:
    """Without waiting for a limit to pass: to meet it is the point."""
    return scene.send(route.place, scene.request(route, person), patient=False)


ATTACKS: Final = (
    Attack(
        id="limits.burst",
        threat="One tenant asks as fast as it can.",
        expected="429 with Retry-After, and another tenant undisturbed",
        severity=Severity.MEDIUM,
        meaning="One customer, or one leaked key, takes the host from all the others.",
        fix='Limit by tenant: LimitRule("tenant", limit, per, by=("tenant",)) in the RateLimiter or the Operation.',
        weakness="CWE-770",
        cases=_bursts,
    ),
)
