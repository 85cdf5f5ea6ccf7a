"""What attacks see of the host: they ask the scene for requests and send them through it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from uuid import UUID

from .cast import Burst, Naming, Person, SignIn, WebhookTarget
from .route import Route
from .target import Target
from .wire import Answer, Exchange, Lines, Request

__all__ = ["Plan", "Scene", "Spent"]

_PATIENCE: Final = 3_600.0  # seconds; a longer Retry-After is not believed
_TIMES: Final = 3  # several limits may stop one request after another
_JSON: Final = ("Content-Type", "application/json")


class Spent(Exception):
    """The engagement's requests or seconds are used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything the attacker was told; see `Attacker`."""

    people: Sequence[Person]
    routes: Sequence[Route]
    ids: Mapping[str, Mapping[str, str]]
    marks: Mapping[str, Sequence[str]]
    naming: Naming
    webhooks: Sequence[WebhookTarget]
    bursts: Sequence[Burst]
    sign_in: SignIn | None
    stale: Sequence[Mapping[str, str]]
    policy: Any
    login_path: str
    on_limited: Callable[[float], object] | None


@dataclass(slots=True)
class Scene:
    """One engagement under way.

    Args:
        seen: every exchange with its place, for what is judged without sending anything.
    """

    target: Target
    plan: Plan
    dice: Random
    max_requests: int
    max_seconds: float
    sent: int = 0
    seen: list[tuple[str, Exchange]] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _controls: dict[tuple[str, str], tuple[Exchange, Exchange]] = field(default_factory=dict)

    # --- sending -----------------------------------------------------------------------------------------------------

    def send(self, place: str, request: Request, *, patient: bool = True) -> Exchange:
        """One request; where a limit stops it and the host gave a way to wait, again.

        Args:
            patient: False to take a limit's answer for the answer.

        Raises:
            Spent: nothing more may be sent.
        """
        found = self._sent(request)
        for _ in range(_TIMES if patient and self.plan.on_limited is not None else 0):
            if found.answer.status != 429 or self.plan.on_limited is None:
                break
            self.plan.on_limited(_seconds(found.answer))
            found = self._sent(request)
        self.seen.append((place, found))
        return found

    def _sent(self, request: Request) -> Exchange:
        if self.sent >= self.max_requests or time.monotonic() - self._began > self.max_seconds:
            raise Spent
        self.sent += 1
        socket = request.method == "WEBSOCKET"
        return self.target.handshake(request) if socket else self.target.send(request)

    # --- making requests ---------------------------------------------------------------------------------------------

    def request(
        self,
        route: Route,
        person: Person | None = None,
        tenant: str | None = None,
        *,
        ids: Mapping[str, str] | None = None,
        raw: Sequence[str] = (),
    ) -> Request:
        """What a client of this host would send.

        Args:
            person: whose credential goes along; None for none.
            tenant: whom it is about; by default the person's own.
            ids: for the path's parameters; by default the ones known of that tenant.
            raw: parameters that are not percent-encoded.
        """
        about = tenant if tenant is not None else (person.tenant if person else None)
        values = self.ids_of(about, route) | dict(ids or {})
        lines: list[tuple[str, str | bytes]] = list(person.headers.items()) if person is not None else []
        naming, host = self.plan.naming, None
        if naming.header and about is not None:
            lines.append((naming.header, about))
        if naming.host and about is not None:
            host = naming.host.replace("{tenant}", about)
        if not route.safe:
            lines += self.own_page(host)
            if route.octets:
                lines.append(_JSON)
        return Request(route.method, route.fill(values, raw=raw), tuple(lines), route.octets, host)

    def own_page(self, host: str | None = None) -> Lines:
        """What a browser says of a request from a page of the host itself."""
        return ("Origin", f"{self.target.scheme}://{host or self.target.host}"), ("Sec-Fetch-Site", "same-origin")

    def ids_of(self, tenant: str | None, route: Route) -> dict[str, str]:
        """Values for every parameter of a path: the tenant's own ids, and made-up ones for what is not known."""
        known = {**self.plan.ids.get("", {}), **self.plan.ids.get(tenant or "", {})}
        named = {name: tenant for name in self.tenant_parameters(route) if tenant is not None}
        return {
            name: named.get(name) or known.get(name) or self.nobody(kind) for name, kind in route.parameters.items()
        }

    def tenant_parameters(self, route: Route) -> list[str]:
        """The parameters of a path that hold the tenant."""
        return [name for name in route.parameters if name in self.plan.naming.parameters]

    def object_parameters(self, route: Route) -> dict[str, str]:
        """Name to kind of the others."""
        tenants = self.tenant_parameters(route)
        return {name: kind for name, kind in route.parameters.items() if name not in tenants}

    def names_tenant(self, route: Route) -> bool:
        """Whether a request of this route says whom it is about."""
        return bool(self.tenant_parameters(route) or self.plan.naming.header or self.plan.naming.host)

    def nobody(self, kind: str = "str") -> str:
        """An id that nobody has."""
        if kind == "int":
            return str(self.dice.randrange(10**8, 10**9))
        bits = self.dice.getrandbits(128)
        return str(UUID(int=bits, version=4)) if kind == "uuid" else f"nobody{bits % 10**12:012d}"

    # --- people and controls -----------------------------------------------------------------------------------------

    def guarded(self, *, safe: bool | None = None, sockets: bool = False) -> list[Route]:
        """Guarded routes. What nobody declared is one finding, and no route to judge by its answers."""
        return [
            route
            for route in self.plan.routes
            if route.declared and route.guarded and route.socket == sockets and safe in (None, route.safe)
        ]

    def members(self) -> list[Person]:
        """People who belong to a tenant."""
        return [person for person in self.plan.people if person.tenant is not None]

    def able(self, route: Route) -> list[Person]:
        """Members whose genuine request of a safe or benign route succeeds."""
        return [person for person in self.members() if self.control(person, route)[0].answer.ok]

    def strangers(self) -> Iterator[tuple[Person, str]]:
        """Each person with each tenant that is another's."""
        tenants = dict.fromkeys(person.tenant for person in self.members())
        for person in self.members():
            for tenant in tenants:
                if tenant is not None and tenant != person.tenant:
                    yield person, tenant

    def borders(self, among: Sequence[Person]) -> Iterator[tuple[Person, str]]:
        """As `strangers`, the first of `among` from each tenant: for what does not depend on who it is."""
        taken: set[tuple[str | None, str]] = set()
        for person, tenant in self.strangers():
            if person in among and (person.tenant, tenant) not in taken:
                taken.add((person.tenant, tenant))
                yield person, tenant

    def control(self, person: Person, route: Route) -> tuple[Exchange, Exchange]:
        """A genuine request, twice, kept: what a later answer is compared with, and whether it holds still.

        For safe and benign routes only.
        """
        key = person.name, route.place
        if key not in self._controls:
            request = self.request(route, person)
            self._controls[key] = self.send(route.place, request), self.send(route.place, request)
        return self._controls[key]

    def reached(self, route: Route) -> bool:
        """Whether anybody's genuine request of a safe or benign route was answered with success."""
        return any(self.control(person, route)[0].answer.ok for person in self.plan.people)

    def insider(self, route: Route) -> Person | None:
        """The first whose genuine request of a safe or benign route succeeds."""
        return next((person for person in self.plan.people if self.control(person, route)[0].answer.ok), None)


def _seconds(answer: Answer) -> float:
    said = answer.header("retry-after") or ""
    return min(float(said), _PATIENCE) if said.isdigit() else 1.0
