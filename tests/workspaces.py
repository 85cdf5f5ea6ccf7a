"""A workspace to try rules on: a clock that stands, a trail in a list, and people with verified addresses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from wellstreak_trust.core import AuditEvent, FixedClock, Principal, TrustError
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.tenancy import Membership, Memberships, TenantContext, WorkspaceState, testing_context

NOW = datetime(2026, 11, 24, tzinfo=UTC)
OWNER = Principal("u1")


class Trail:
    """Takes events in a list; `fault` is raised in place of that."""

    suspends = False

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.fault: Exception | None = None

    async def aemit(self, event: AuditEvent) -> None:
        if self.fault is not None:
            raise self.fault
        self.events.append(event)

    @property
    def actions(self) -> list[str]:
        return [event.action for event in self.events]


class World:
    """A workspace ``t1`` owned by u1; `more` goes to `Memberships`."""

    def __init__(self, store: Any, seats: int | None = None, **more: Any) -> None:
        self.clock, self.trail, self.store = FixedClock(NOW), Trail(), store
        self.memberships = Memberships(store, clock=self.clock, audit=self.trail, **more)
        self.memberships.create_workspace(OWNER, tenant_id="t1", name="Acme", seats=seats)

    def add(self, who: str, *roles: str, by: str = "u1") -> None:
        invitation = self.memberships.invite(ctx(by), f"{who}@example.com", roles)
        self.memberships.accept(invitation.token, person(who))

    def place(self, who: str, *roles: str) -> None:
        """Puts a membership into the store, past every rule."""
        drive(self.store.transact("t1", lambda state: state.with_member(who, frozenset(roles))))

    def roles(self) -> dict[str, set[str]]:
        return {found.principal_id: set(found.roles) for found in self.memberships.list(ctx("u1"))}

    def proof(self, who: str, kind: Any = "user") -> Membership | None:
        return self.memberships.prove(Principal(who, kind=kind), "t1")

    def state(self) -> WorkspaceState:
        found: WorkspaceState = drive(self.store.load("t1"))
        return found


def ctx(who: str, tenant_id: str = "t1", **principal: Any) -> TenantContext:
    return testing_context(tenant_id, roles=("owner",), id=who, **principal)  # roles of the context never count


def person(who: str, email: str | None = None, verified: Any = True) -> Principal:
    return Principal(who, attributes={"email": email or f"{who}@example.com", "email_verified": verified})


def race(*calls: Callable[[], object]) -> list[type[TrustError] | None]:
    """Starts all at once; what each raised."""
    gate, results = threading.Barrier(len(calls)), dict[int, type[TrustError] | None]()

    def run(number: int, call: Callable[[], object]) -> None:
        gate.wait()
        try:
            call()
        except TrustError as error:
            results[number] = type(error)
        else:
            results[number] = None

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[number] for number in range(len(calls))]
