"""Forced races with real threads: the last owner (OW01), seats (OW05), one invitation, metered limits (EN03)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from wellstreak_trust.core import FixedClock, Principal, TrustError
from wellstreak_trust.storage.sql import Database, SqlMembershipStore, SqlUsageStore
from wellstreak_trust.tenancy import (
    EntitlementDenied,
    Entitlements,
    EntitlementSnapshot,
    Feature,
    InvitationInvalid,
    LastOwner,
    Memberships,
    SeatLimit,
    StaticEntitlements,
    TenantContext,
    testing_context,
)

ROUNDS, FEW = 24, 6
NOW = datetime(2026, 11, 24, tzinfo=UTC)


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


def ctx(who: str, tenant_id: str) -> TenantContext:
    return testing_context(tenant_id, id=who)


def person(who: str) -> Principal:
    return Principal(who, attributes={"email": f"{who}@example.com", "email_verified": True})


@pytest.fixture
def memberships(engine: Engine) -> Memberships:
    return Memberships(SqlMembershipStore(Database(engine)))


def invited(memberships: Memberships, tenant_id: str, role: str, people: Sequence[str]) -> list[str]:
    return [memberships.invite(ctx("u1", tenant_id), f"{who}@example.com", [role]).token for who in people]


def test_two_owners_who_demote_each_other_leave_one(memberships: Memberships) -> None:
    for number in range(ROUNDS):
        tenant_id = f"w{number}"
        memberships.create_workspace(Principal("u1"), tenant_id=tenant_id)
        memberships.accept(invited(memberships, tenant_id, "owner", ["u2"])[0], person("u2"))
        results = race(
            lambda: memberships.change_roles(ctx("u1", tenant_id), "u2", ["member"]),  # noqa: B023 - run in this round
            lambda: memberships.remove(ctx("u2", tenant_id), "u1"),  # noqa: B023 - run in this round
        )
        assert results.count(None) == 1
        owners = [found for found in memberships.list(ctx("u1", tenant_id)) if "owner" in found.roles]
        assert len(owners) == 1


def test_two_owners_who_leave_at_once_leave_one(memberships: Memberships) -> None:
    for number in range(FEW):
        tenant_id = f"w{number}"
        memberships.create_workspace(Principal("u1"), tenant_id=tenant_id)
        memberships.accept(invited(memberships, tenant_id, "owner", ["u2"])[0], person("u2"))
        leaving = [lambda who=who: memberships.remove(ctx(who, tenant_id), who) for who in ("u1", "u2")]  # noqa: B023 - run in this round
        assert sorted(map(str, race(*leaving))) == sorted((str(None), str(LastOwner)))


def test_seats_are_never_passed(memberships: Memberships) -> None:
    """N + 1 acceptances for N free seats, after billing lowered them."""
    people = [f"p{number}" for number in range(4)]
    for number in range(FEW):
        tenant_id = f"w{number}"
        memberships.create_workspace(Principal("u1"), tenant_id=tenant_id)
        tokens = invited(memberships, tenant_id, "member", people)
        memberships.set_seats(tenant_id, len(people))
        joining = [
            lambda token=token, who=who: memberships.accept(token, person(who))
            for token, who in zip(tokens, people, strict=True)
        ]
        results = race(*joining)
        assert results.count(None) == len(people) - 1
        assert results.count(SeatLimit) == 1
        assert len(memberships.list(ctx("u1", tenant_id))) == len(people)


def test_concurrent_invitations_share_the_last_seat(memberships: Memberships) -> None:
    memberships.create_workspace(Principal("u1"), tenant_id="w", seats=3)
    inviting = [lambda n=n: memberships.invite(ctx("u1", "w"), f"p{n}@example.com", ["member"]) for n in range(5)]
    assert race(*inviting).count(None) == 2
    assert len(memberships.invitations(ctx("u1", "w"))) == 2


def test_an_invitation_is_accepted_once(memberships: Memberships) -> None:
    """Two accounts with the same verified address: one joins."""
    for number in range(FEW):
        tenant_id = f"w{number}"
        memberships.create_workspace(Principal("u1"), tenant_id=tenant_id)
        token = invited(memberships, tenant_id, "member", ["p"])[0]
        twins = [Principal(who, attributes=person("p").attributes) for who in ("a", "b", "c")]
        results = race(*(lambda who=who: memberships.accept(token, who) for who in twins))  # noqa: B023 - run in this round
        assert (results.count(None), results.count(InvitationInvalid)) == (1, 2)


def test_a_metered_limit_is_never_passed(engine: Engine) -> None:
    plan = EntitlementSnapshot("pro", "active", NOW + timedelta(days=9), {"runs": Feature(limit=20)})
    entitlements = Entitlements(
        StaticEntitlements({"t1": plan}), usage=SqlUsageStore(Database(engine)), clock=FixedClock(NOW)
    )
    context, granted = testing_context("t1"), list[object]()

    def work() -> None:
        for number in range(10):
            try:
                reservation = entitlements.reserve(context, "runs", 1 + number % 2)
            except EntitlementDenied:
                continue
            if number % 3:
                granted.append(entitlements.commit(reservation) and reservation.amount)
            else:
                entitlements.release(reservation)

    assert race(*([work] * 4)) == [None] * 4
    assert sum(map(int, map(str, granted))) == entitlements.check(context, "runs").used
    used = entitlements.check(context, "runs").used
    assert used is not None
    assert 18 <= used <= 20
