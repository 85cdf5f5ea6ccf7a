"""A write hidden in a harmless method, by a header that frameworks take for the real one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ..finding import Verdict, faulty, passed
from ..judge import same
from ..route import Route
from ..scene import Scene
from ..wire import Request

__all__ = ["overridden", "overrides"]

_HEADERS: Final = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")


def overrides(scene: Scene, route: Route) -> Iterator[tuple[str, str]]:
    """Outer method and header of every try on a route; the outer method's own answer is harmless.

    It is one that reads, or one that the path does not have; where there is neither, nothing is tried.
    """
    taken = {(each.method, each.path) for each in scene.plan.routes}
    outer = "GET" if ("GET", route.path) in taken else "POST"
    if outer == "GET" or (outer, route.path) not in taken:
        for name in _HEADERS:
            yield outer, name


def overridden(scene: Scene, route: Route, plain: Request, by: tuple[str, str]) -> Verdict:
    """Whether the header turns the outer method into the route's, for whoever sends `plain`."""
    outer, name = by
    place, asked = f"{outer} {route.path}", replace(plain, method=outer)
    before, again = scene.send(place, asked), scene.send(place, asked)
    found = scene.send(place, asked.plus((name, route.method)))
    moved = found.answer.status != before.answer.status or (same(before, again) and not same(before, found))
    if found.answer.status < 400 and moved:
        return faulty(f"{name} turns {outer} into {route.method}: {found.answer.status}", before, found)
    return passed(before, found)
