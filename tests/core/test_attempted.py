"""An attempt is told before, its outcome after; no trail stands between a body and what it raised."""

from __future__ import annotations

import pytest

from wellstreak_trust.core.errors import AuditConflict, AuditUnavailable, NotFound, TrustError, Unavailable
from wellstreak_trust.core.event import Outcome, attempted
from wellstreak_trust.core.sansio import drive


class Trail:
    def __init__(self) -> None:
        self.told: list[Outcome] = []
        self.refuses: dict[Outcome, TrustError] = {}

    async def tell(self, outcome: Outcome) -> None:
        if outcome in self.refuses:
            raise self.refuses[outcome]
        self.told.append(outcome)


async def run(trail: Trail, raised: BaseException | None = None, spared: type[TrustError] = TrustError) -> str:
    async with attempted(trail.tell, spared):
        trail.told.append("denied")  # where the body stands among what is told
        if raised is not None:
            raise raised
    return "done"


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        (NotFound("x"), "failure"),
        (AuditUnavailable("x"), "error"),
        (ValueError(), "error"),
        (KeyboardInterrupt(), "error"),
    ],
)
def test_what_the_body_raises_is_an_outcome(raised: BaseException, outcome: Outcome) -> None:
    trail = Trail()
    with pytest.raises(type(raised)) as caught:
        drive(run(trail, raised))
    assert caught.value is raised
    assert trail.told == ["attempted", "denied", outcome]


def test_a_body_that_ends_well() -> None:
    trail = Trail()
    assert drive(run(trail)) == "done"
    assert trail.told == ["attempted", "denied", "success"]


def test_nothing_runs_that_cannot_be_told_before() -> None:
    trail = Trail()
    trail.refuses["attempted"] = AuditUnavailable("down")
    with pytest.raises(AuditUnavailable):
        drive(run(trail))
    assert trail.told == []


def test_a_trail_that_fails_afterwards_takes_nobodys_place() -> None:
    trail = Trail()
    trail.refuses = {"success": AuditUnavailable("down"), "failure": AuditUnavailable("down")}
    assert drive(run(trail, spared=Unavailable)) == "done"
    with pytest.raises(NotFound):
        drive(run(trail, NotFound("x"), Unavailable))


def test_what_is_not_spared_is_raised() -> None:
    trail = Trail()
    trail.refuses["success"] = AuditConflict("another event by this id")
    with pytest.raises(AuditConflict):
        drive(run(trail, spared=Unavailable))
