"""Forced races with real threads: the last owner (OW01), seats (OW05), invitations, metered use (EN03).

Each race is one workspace and a barrier. `WST_RACES` sets how many of each kind are run on each database.
"""

from __future__ import annotations

import os

import pytest
from sqlalchemy import Engine

from wellstreak_trust.core import FixedClock, Principal
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import Database, SqlMembershipStore, SqlOutbox, SqlUsageStore
from wellstreak_trust.tenancy import (
    EntitlementDenied,
    Entitlements,
    Feature,
    InvitationInvalid,
    LastOwner,
    Memberships,
    Plan,
    SeatLimit,
    StaticPlans,
    TransferPolicy,
    testing_context,
)
from workspaces import NOW, Trail, ctx, person, race

ROUNDS = int(os.environ.get("WST_RACES", "8"))  # 1,000 before a release
each_round = pytest.mark.parametrize("rounds", [ROUNDS])


class Place:
    """One workspace, owned by u1 and whoever else is named."""

    def __init__(self, memberships: Memberships, number: int, *owners: str) -> None:
        self.tenant_id, self.memberships = f"w{number}", memberships
        memberships.create_workspace(Principal("u1"), tenant_id=self.tenant_id)
        for who in owners:
            memberships.accept(self.invited("owner", who), person(who))

    def ctx(self, who: str) -> object:
        return ctx(who, self.tenant_id)

    def invited(self, role: str, who: str) -> str:
        return self.memberships.invite(ctx("u1", self.tenant_id), f"{who}@example.com", [role]).token

    def owners(self) -> list[str]:
        found = self.memberships.list(ctx("u1", self.tenant_id))
        return [member.principal_id for member in found if "owner" in member.roles and not member.suspended]


@pytest.fixture
def memberships(engine: Engine) -> Memberships:
    return Memberships(SqlMembershipStore(Database(engine)), audit=Trail())


@pytest.mark.asvs("15.4.2")
@each_round
def test_two_owners_who_end_each_other_leave_one(memberships: Memberships, rounds: int) -> None:
    """By demotion, removal and suspension, whichever way they meet."""
    m = memberships
    ways = [
        lambda place, whom, by: m.change_roles(place.ctx(by), whom, ["member"]),
        lambda place, whom, by: m.remove(place.ctx(by), whom),
        lambda place, whom, by: m.suspend(place.ctx(by), whom),
    ]
    for number in range(rounds):
        place = Place(m, number, "u2")
        one, other = ways[number % 3], ways[number // 3 % 3]
        results = race(lambda go=one, at=place: go(at, "u2", "u1"), lambda go=other, at=place: go(at, "u1", "u2"))
        assert results.count(None) == 1
        assert len(place.owners()) == 1


@each_round
def test_two_owners_who_leave_at_once_leave_one(memberships: Memberships, rounds: int) -> None:
    for number in range(rounds):
        place = Place(memberships, number, "u2")
        results = race(*(lambda who=who, at=place: memberships.leave(at.ctx(who)) for who in ("u1", "u2")))
        assert sorted(map(str, results)) == sorted((str(None), str(LastOwner)))
        assert len(place.owners()) == 1


@each_round
def test_an_ownership_is_accepted_or_withdrawn(engine: Engine, rounds: int) -> None:
    memberships = Memberships(SqlMembershipStore(Database(engine)), transfer=TransferPolicy())
    for number in range(min(rounds, 100)):
        place = Place(memberships, number)
        memberships.accept(place.invited("admin", "u2"), person("u2"))
        memberships.transfer_ownership(place.ctx("u1"), "u2")
        results = race(
            lambda at=place: memberships.accept_ownership(at.ctx("u2")),
            lambda at=place: memberships.cancel_transfer(at.ctx("u1")),
        )
        assert results.count(None) == 1
        assert place.owners() == (["u2"] if results[0] is None else ["u1"])


@pytest.mark.asvs("2.3.4")
@each_round
def test_seats_are_never_passed(memberships: Memberships, rounds: int) -> None:
    """N + 1 acceptances for N free seats, after billing lowered them."""
    people = ["p0", "p1", "p2"]
    for number in range(rounds):
        place = Place(memberships, number)
        tokens = [place.invited("member", who) for who in people]
        memberships.set_seats(place.tenant_id, len(people))
        results = race(
            *(
                lambda token=token, who=who: memberships.accept(token, person(who))
                for token, who in zip(tokens, people, strict=True)
            )
        )
        assert (results.count(None), results.count(SeatLimit)) == (len(people) - 1, 1)
        assert len(memberships.list(place.ctx("u1"))) == len(people)


@pytest.mark.asvs("2.3.4")
@each_round
def test_concurrent_invitations_share_the_last_seat(memberships: Memberships, rounds: int) -> None:
    for number in range(rounds):
        place = Place(memberships, number)
        memberships.set_seats(place.tenant_id, 2)
        results = race(*(lambda who=who, at=place: at.invited("member", who) for who in ("a", "b", "c")))
        assert (results.count(None), results.count(SeatLimit)) == (1, 2)
        assert memberships.seats_taken(place.tenant_id) == 2


@each_round
def test_an_invitation_is_accepted_once(memberships: Memberships, rounds: int) -> None:
    """Accounts with the same verified address: one joins."""
    for number in range(rounds):
        token = Place(memberships, number).invited("member", "p")
        twins = [Principal(who, attributes=person("p").attributes) for who in ("a", "b", "c")]
        results = race(*(lambda who=who, token=token: memberships.accept(token, who) for who in twins))
        assert (results.count(None), results.count(InvitationInvalid)) == (1, 2)


@pytest.mark.asvs("2.3.2")
@each_round
def test_a_metered_limit_is_never_passed(engine: Engine, rounds: int) -> None:
    """Five at once for a limit of three, one of which gives back what it took."""
    database = Database(engine)
    source = StaticPlans([Plan("pro", {"runs": Feature(limit=2, overage=1)})], {}, "pro")
    entitlements = Entitlements(source, usage=SqlUsageStore(database), clock=FixedClock(NOW))
    for number in range(rounds):
        context, taken = testing_context(f"t{number}"), list[object]()

        def work(context: object = context, taken: list[object] = taken) -> None:
            reservation = entitlements.reserve(context, "runs")
            taken.append(reservation)

        results = race(*([work] * 5))
        assert (results.count(None), results.count(EntitlementDenied)) == (3, 2)
        assert entitlements.check(context, "runs").used == 3
        closing = race(
            lambda taken=taken: entitlements.release(taken[0]),
            lambda taken=taken: entitlements.commit(taken[0]),
            lambda taken=taken: entitlements.commit(taken[1]),
        )
        assert closing == [None, None, None]
        assert entitlements.check(context, "runs").used in (2, 3)
        assert not entitlements.release(taken[0])
        assert not entitlements.release(taken[1])


def test_every_change_of_the_races_was_told(engine: Engine) -> None:
    trail = Trail()
    memberships = Memberships(SqlMembershipStore(Database(engine)), audit=trail)
    place = Place(memberships, 0, "u2", "u3")
    results = race(*(lambda who=who: memberships.leave(place.ctx(who)) for who in ("u1", "u2", "u3")))
    assert results.count(None) == 2
    assert trail.actions.count("member.removed") == 2
    assert drive(SqlOutbox(Database(engine)).waiting(9)) == []
